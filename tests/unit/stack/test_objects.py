"""Versions are found whatever else begins with their key, and deleted whatever the key is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from facematch.errors import Actionable
from facematch.stack import objects
from facematch.stack.objects import Bucket, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions.matching.images import UploadedImage

KEYS = [f"images/Ann_{number}.jpg" for number in range(5)]
#: Of which XML 1.0 has no representation: DeleteObjects cannot name them.
ODD_KEYS = ["images/\x1b[31mred_0001.jpg", "images/\x00\x01.jpg", "images/\ufffe.jpg"]


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="pile")
        client.put_bucket_versioning(Bucket="pile", VersioningConfiguration={"Status": "Enabled"})
        yield client


def entry(key: str) -> Entry:
    return Entry(key, "1", True, datetime.now(UTC), None)


def left(s3: Any) -> list[str]:
    found = s3.list_object_versions(Bucket="pile")
    return [item["Key"] for item in found.get("Versions", []) + found.get("DeleteMarkers", [])]


def test_a_thousand_at_once_and_all_are_gone(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_MOST_AT_ONCE", 2)
    for key in KEYS:
        s3.put_object(Bucket="pile", Key=key)
    s3.delete_object(Bucket="pile", Key=KEYS[0])
    bucket = Bucket(s3, "pile")
    bucket.delete_versions([entry for entry in bucket.listed() if entry.key != KEYS[1]])
    assert left(s3) == [KEYS[1]]


def test_the_current_version_of_a_key_is_not_one_that_only_begins_with_it(s3: Any) -> None:
    bucket = Bucket(s3, "pile")
    for key in ("images/Ann.jpg.png", "images/Ann", "images/Ann.jpg"):
        s3.put_object(Bucket="pile", Key=key, Body=key.encode())

    found = bucket.current_version("images/Ann.jpg")

    assert found
    assert (found.key, found.size) == ("images/Ann.jpg", len("images/Ann.jpg"))
    assert bucket.current_version("images/An") is None


def test_a_version_is_current_until_another_or_a_delete_marker_is_newer(s3: Any) -> None:
    bucket = Bucket(s3, "pile")

    def put() -> UploadedImage:
        s3.put_object(Bucket="pile", Key=KEYS[0])
        found = bucket.current_version(KEYS[0])
        assert found
        return found

    first = put()
    assert bucket.is_current(first)
    second = put()
    assert (bucket.is_current(first), bucket.is_current(second)) == (False, True)
    marker = s3.delete_object(Bucket="pile", Key=KEYS[0])["VersionId"]
    assert bucket.current_version(KEYS[0]) is None
    assert not bucket.is_current(second)
    assert list(bucket.current("")) == []
    s3.delete_object(Bucket="pile", Key=KEYS[0], VersionId=marker)
    assert bucket.is_current(second)


class Strict:
    """Keeps objects, and reads DeleteObjects as S3 does: as XML."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = set(keys)

    def delete_object(self, Bucket: str, Key: str, VersionId: str) -> None:  # noqa: N803
        assert (Bucket, VersionId) == ("pile", "1")
        self.keys.remove(Key)

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "pile"
        for item in Delete["Objects"]:
            fromstring(f"<Key>{escape(item['Key'])}</Key>")
            self.keys.remove(item["Key"])
        return {}


def test_a_key_that_xml_cannot_hold_is_deleted_too() -> None:
    s3 = Strict(KEYS + ODD_KEYS)

    Bucket(s3, "pile").delete_versions(map(entry, KEYS + ODD_KEYS))

    assert s3.keys == set()


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_delete_objects_gets_no_key_that_xml_cannot_hold(key: str) -> None:
    s3 = Strict([key])

    Bucket(s3, "pile").delete_versions([entry(key)])

    assert s3.keys == set()


def test_a_refusal_says_how_many_and_why() -> None:
    class Refusing:
        def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
            return {
                "Errors": [
                    {"Code": "AccessDenied", "Message": f"no, {Bucket}", **item}
                    for item in Delete["Objects"]
                ]
            }

    with pytest.raises(Actionable, match=r"2 objects of pile .*AccessDenied: no, pile"):
        Bucket(Refusing(), "pile").delete_objects(["a", "b"])
