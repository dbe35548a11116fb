"""An uploaded image, its payload and its execution's input."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.images import UploadedImage, is_first_attempt
from tests.pile import CONTENTS
from tests.unit.strategies import images

IMAGE = UploadedImage(
    bucket="facematch-images",
    key="images/Ann_Lee_0001.jpg",
    version_id="v1",
    etag="d41d8cd98f00b204e9800998ecf8427e",
    size=1024,
    last_modified=datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC),
)
ZONES = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@given(image=images())
def test_an_image_comes_back_from_its_payload(image: UploadedImage) -> None:
    travelled = json.loads(json.dumps(image.to_payload()))
    assert UploadedImage.from_payload(travelled) == image


@given(image=images())
def test_an_image_comes_back_from_its_executions_input(image: UploadedImage) -> None:
    assert UploadedImage.from_payload(json.loads(image.execution_input)) == image


@given(image=images(), zone=ZONES)
def test_the_same_image_always_gives_the_same_bytes(image: UploadedImage, zone: timezone) -> None:
    elsewhere = replace(image, last_modified=image.last_modified.astimezone(zone))
    shuffled = dict(sorted(image.to_payload().items(), reverse=True))
    for same in (elsewhere, UploadedImage.from_payload(shuffled)):
        assert same.execution_input.encode() == image.execution_input.encode()
        assert same.execution_name == image.execution_name
        assert same.day == image.day


def test_the_input_is_the_same_bytes_in_every_release() -> None:
    """A redelivery may meet a newer starter than the delivery did."""
    assert IMAGE.execution_input == (
        '{"bucket":"facematch-images","eTag":"d41d8cd98f00b204e9800998ecf8427e",'
        '"key":"images/Ann_Lee_0001.jpg","lastModified":"2026-11-22T23:59:59.000Z",'
        '"size":1024,"versionId":"v1"}'
    )


@given(image=images(), other=images())
def test_another_version_is_another_execution(image: UploadedImage, other: UploadedImage) -> None:
    identity = [(i.bucket, i.key, i.version_id or ("etag", i.etag)) for i in (image, other)]
    assert (image.digest == other.digest) is (identity[0] == identity[1])
    assert (image.execution_name == other.execution_name) is (identity[0] == identity[1])


def test_without_versioning_other_content_is_another_version() -> None:
    unversioned = replace(IMAGE, version_id=None)
    assert unversioned.digest != replace(unversioned, etag="0" * 32).digest
    assert IMAGE.digest == replace(IMAGE, etag="0" * 32).digest


def test_the_day_of_an_upload_is_that_of_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    late = replace(IMAGE, last_modified=datetime(2026, 11, 23, 8, 59, 59, tzinfo=tokyo))
    assert late.day == "2026-11-22"


@pytest.mark.parametrize("field", sorted(IMAGE.to_payload()))
def test_a_payload_without_a_field_is_refused(field: str) -> None:
    payload = IMAGE.to_payload()
    del payload[field]
    with pytest.raises(ValueError, match="as the starter writes them"):
        UploadedImage.from_payload(payload)


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": ""},
        {"bucket": None},
        {"key": 7},
        {"key": ""},
        {"versionId": ""},
        {"versionId": 3},
        {"eTag": None},
        {"size": None},
        {"size": "large"},
        {"size": float("inf")},
        {"lastModified": None},
        {"lastModified": 1795346107},
        {"lastModified": "yesterday"},
        {"lastModified": "0001-01-01T00:00:00+23:59"},
    ],
    ids=str,
)
def test_a_payload_with_a_field_of_another_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="as the starter writes them"):
        UploadedImage.from_payload({**IMAGE.to_payload(), **change})


ARN = "arn:aws:states:us-east-1:000000000000:execution:FaceMatching:"
NEXT_DAY = IMAGE.last_modified + timedelta(days=1)


def test_an_image_is_new_to_the_execution_that_carries_its_own_name() -> None:
    assert is_first_attempt(IMAGE, ARN + IMAGE.execution_name, 0, now=NEXT_DAY)


@pytest.mark.parametrize(
    ("image", "name", "redrive_count", "days"),
    [
        (IMAGE, f"{IMAGE.execution_name}-r1", 0, 1),
        (IMAGE, "3f0c8a1e-started-in-the-console", 0, 1),
        (IMAGE, IMAGE.execution_name, 1, 1),
        (IMAGE, IMAGE.execution_name, None, 1),
        (IMAGE, IMAGE.execution_name, 0, 90),
        (replace(IMAGE, version_id=None), None, 0, 1),
    ],
    ids=["replayed", "by-hand", "redriven", "unknown", "names-are-free-again", "no-version"],
)
def test_whatever_may_have_been_there_before_is_not_a_first_attempt(
    image: UploadedImage, name: str | None, redrive_count: int | None, days: int
) -> None:
    now = image.last_modified + timedelta(days=days)
    arn = ARN + (name or image.execution_name)

    assert not is_first_attempt(image, arn, redrive_count, now=now)


@pytest.mark.parametrize(("one", "other", "same"), CONTENTS)
def test_only_equal_digests_and_sizes_show_that_two_photographs_are_the_same_file(
    one: tuple[str, int], other: tuple[str, int], *, same: bool
) -> None:
    """Held against SQL by the same cases: tests/local/test_athena.py."""
    ann, bea = (
        replace(IMAGE, key=key, etag=etag, size=size)
        for key, (etag, size) in (("images/Ann_1.jpg", one), ("images/Bea_1.jpg", other))
    )

    assert ann.is_same_file_as(bea) is bea.is_same_file_as(ann) is same
