"""Versions are deleted whatever their keys are, in as few calls as S3 allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from facematch.errors import Actionable
from facematch.stack import objects as versions
from facematch.stack.objects import delete_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def left(s3: Any) -> list[str]:
    found = s3.list_object_versions(Bucket="pile")
    return [item["Key"] for item in found.get("Versions", []) + found.get("DeleteMarkers", [])]


def test_a_thousand_at_once_and_all_are_gone(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_AT_ONCE", 2)
    put = [
        {"Key": key, "VersionId": s3.put_object(Bucket="pile", Key=key)["VersionId"]}
        for key in KEYS
    ]
    delete_versions(s3, "pile", put[1:])
    assert left(s3) == [KEYS[0]]


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

    delete_versions(s3, "pile", [{"Key": key, "VersionId": "1"} for key in KEYS + ODD_KEYS])

    assert s3.keys == set()


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_delete_objects_gets_no_key_that_xml_cannot_hold(key: str) -> None:
    s3 = Strict([key])

    delete_versions(s3, "pile", [{"Key": key, "VersionId": "1"}])

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
        delete_versions(Refusing(), "pile", [{"Key": "a"}, {"Key": "b"}])
