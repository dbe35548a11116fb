"""A list of versions can be read whatever characters the keys have, as from S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

import pytest
from ministack.services import s3

from facematch.local.emulator.listings import Listings

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ["a/\x1b[31mred_0001.jpg", "a/b/\x01.jpg", "a/ +%41ø.jpg", "a\x07/<&>.jpg", "plain.jpg"]
TAG = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Element]:
    """The emulator's own S3 with these keys, each in two versions; asked as by a client."""
    record = {"last_modified": "2026-11-22T10:00:00Z", "etag": '"e"', "size": 1}
    bucket = {"objects": {key: {**record, "version_id": "2"} for key in KEYS}}
    versions = {
        ("pile", key): [{**record, "version_id": v, "is_latest": v == "2"} for v in ("1", "2")]
        for key in KEYS
    }
    monkeypatch.setattr(s3, "_buckets", {"pile": bucket})
    monkeypatch.setattr(s3, "_object_versions", versions)
    for name in ("_list_object_versions", "_xml_body"):
        monkeypatch.setattr(s3, name, getattr(s3, name))
    Listings(s3).install()

    def ask(**query: str) -> Element:
        named = {name.replace("_", "-"): [value] for name, value in query.items()}
        status, _, body = s3._list_object_versions("pile", named)
        assert status == 200
        return fromstring(body)

    return ask


def texts(answer: Element, path: str) -> list[str]:
    found = answer.findall("/".join(TAG + name for name in path.split("/")))
    return [unquote_plus(element.text or "") for element in found]


def test_every_key_comes_back_from_a_list_of_versions(listed: Callable[..., Element]) -> None:
    answer = listed(encoding_type="url")

    assert texts(answer, "Version/Key") == [key for key in sorted(KEYS) for _ in range(2)]
    assert texts(answer, "EncodingType") == ["url"]


def test_what_was_asked_for_and_where_to_go_on_is_encoded_like_the_keys(
    listed: Callable[..., Element],
) -> None:
    answer = listed(encoding_type="url", prefix="a\x07", delimiter="\x07/", max_keys="1")
    pages: list[str] = []
    marker: dict[str, Any] = {}
    while True:
        page = listed(encoding_type="url", max_keys="1", **marker)
        pages += texts(page, "Version/Key")
        if texts(page, "IsTruncated") == ["false"]:
            break
        marker = {
            "key_marker": texts(page, "NextKeyMarker")[0],
            "version_id_marker": texts(page, "NextVersionIdMarker")[0],
        }
        assert texts(listed(encoding_type="url", **marker), "KeyMarker") == [marker["key_marker"]]

    assert texts(answer, "Prefix") == ["a\x07"]
    assert texts(answer, "Delimiter") == ["\x07/"]
    assert texts(listed(encoding_type="url", delimiter="\x07/"), "CommonPrefixes/Prefix") == [
        "a\x07/"
    ]
    assert pages == [key for key in sorted(KEYS) for _ in range(2)]


def test_a_client_that_asks_for_no_encoding_gets_none(listed: Callable[..., Element]) -> None:
    answer = listed(prefix="plain")

    assert texts(answer, "EncodingType") == []
    assert [e.text for e in answer.findall(f"{TAG}Version/{TAG}Key")] == ["plain.jpg"] * 2
    with pytest.raises(ParseError):  # as on AWS
        listed(prefix="a/")
