"""The index step: rejections with their reasons, and the faces that reach the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.matching.errors import CollectionFull, ImageRejected, Reason, Unavailable
from functions.matching.images import MAX_IMAGE_BYTES
from tests.unit.cloud import COLLECTION, IMAGES, REGION
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

KEY = "images/Ann_Lee_0001.jpg"
#: A JPEG without its end, and a whole PNG.
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20 + b"\0\0\0\0IEND\xaeB`\x82"


def rejection(cloud: Cloud, image: UploadedImage) -> Reason:
    with pytest.raises(ImageRejected) as raised:
        cloud.index(image)
    assert str(raised.value).startswith(f"{raised.value.reason} {image.digest}")
    return raised.value.reason


def stored(cloud: Cloud) -> int:
    return len(cloud.rekognition.collections[COLLECTION])


def test_the_largest_face_is_indexed_and_the_rest_is_told_with_reasons(cloud: Cloud) -> None:
    indexed = cloud.index(cloud.upload(KEY, photograph(0, 90, 45, blurred=1)))
    assert len(indexed["faces"]) == 1
    reasons = [face["reasons"] for face in indexed["unindexed"]]
    assert reasons == [["EXCEEDS_MAX_FACES"], ["EXCEEDS_MAX_FACES"], ["LOW_SHARPNESS"]]
    assert indexed["face_model_version"] == "7.0"
    assert stored(cloud) == 1


def test_more_faces_are_indexed_when_more_are_asked_for(cloud: Cloud) -> None:
    cloud.handler("index", MAX_FACES="2")
    indexed = cloud.index(cloud.upload(KEY, photograph(0, 90, 45)))
    assert len(indexed["faces"]) == stored(cloud) == 2


def test_no_face_is_an_outcome(cloud: Cloud) -> None:
    indexed = cloud.index(cloud.upload(KEY, photograph(blurred=1)))
    assert indexed["faces"] == []
    assert len(indexed["unindexed"]) == 1
    assert stored(cloud) == 0


def test_indexing_twice_changes_nothing(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    assert cloud.index(image) == cloud.index(image)
    assert stored(cloud) == 1


def test_the_same_bytes_uploaded_again_are_no_new_face(cloud: Cloud) -> None:
    first = cloud.index(cloud.upload(KEY, photograph(0)))
    second = cloud.index(cloud.upload(KEY, photograph(0)))
    assert first["faces"] == second["faces"]
    assert stored(cloud) == 1


def test_the_version_that_was_checked_is_the_one_that_is_indexed(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    expected = cloud.index(image)
    cloud.rekognition.collections[COLLECTION].clear()
    index = cloud.handler("index").collection.index
    cloud.upload(KEY, photograph(90, 45))
    indexed = index(image, max_faces=1, quality_filter="AUTO").to_payload()
    assert [face["face_id"] for face in indexed["faces"]] == [
        face["face_id"] for face in expected["faces"]
    ]


@pytest.mark.parametrize(
    "content", [b"GIF89a", b"\x00" * 100, b"<html>", JPEG + b"\xff\xd9\0", PNG]
)
def test_what_is_no_photograph_is_rejected(cloud: Cloud, content: bytes) -> None:
    assert rejection(cloud, cloud.upload(KEY, content)) is Reason.NOT_JPEG_OR_PNG


@pytest.mark.parametrize("content", [b"", JPEG[:3], JPEG, JPEG + b"\0" * 5000, PNG[:-12]])
def test_what_was_cut_off_on_its_way_is_not_taken_for_another_format(
    cloud: Cloud, content: bytes
) -> None:
    assert rejection(cloud, cloud.upload(KEY, content)) is Reason.CUT_OFF


def test_an_image_that_is_deleted_while_its_end_is_read_is_rejected_all_the_same(
    cloud: Cloud,
) -> None:
    image = cloud.upload(KEY, JPEG)
    cloud.meanwhile(
        "GetObject",
        lambda: cloud.s3.delete_object(Bucket=IMAGES, Key=KEY, VersionId=image.version_id),
    )
    assert rejection(cloud, image) is Reason.NOT_JPEG_OR_PNG


def test_nothing_of_a_photograph_that_can_be_decoded_is_read(cloud: Cloud) -> None:
    read: list[str] = []
    cloud.meanwhile("GetObject", lambda: read.append("register"))
    cloud.meanwhile("GetObject", lambda: read.append("photograph"))
    cloud.index(cloud.upload(KEY, photograph(0)))
    assert "photograph" not in read


def test_a_full_collection_is_not_the_images_fault(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.rekognition.fail_next("ServiceQuotaExceededException")
    with pytest.raises(CollectionFull):
        cloud.index(image)
    assert len(cloud.index(image)["faces"]) == 1


def test_an_image_above_the_limit_is_rejected_before_rekognition_is_asked(cloud: Cloud) -> None:
    image = replace(cloud.upload(KEY, photograph(0)), size=MAX_IMAGE_BYTES + 1)
    with pytest.raises(ImageRejected, match="15,728,641 bytes") as raised:
        cloud.index(image)
    assert raised.value.reason is Reason.TOO_LARGE
    assert stored(cloud) == 0


def test_an_image_at_the_limit_is_indexed(cloud: Cloud) -> None:
    image = replace(cloud.upload(KEY, photograph(0)), size=MAX_IMAGE_BYTES)
    assert len(cloud.index(image)["faces"]) == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ImageTooLargeException", Reason.TOO_LARGE),
        ("InvalidImageFormatException", Reason.NOT_JPEG_OR_PNG),
        ("InvalidParameterException", Reason.TOO_SMALL),
    ],
)
def test_what_rekognition_says_of_the_image_is_its_rejection(
    cloud: Cloud, code: str, reason: Reason
) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.rekognition.fail_next(code)
    assert rejection(cloud, image) is reason


@pytest.mark.parametrize("sides", [(79, 480), (640, 79)])
def test_an_image_with_a_side_below_80_pixels_is_rejected(
    cloud: Cloud, sides: tuple[int, int]
) -> None:
    image = cloud.upload(KEY, photograph(0, width=sides[0], height=sides[1]))
    assert rejection(cloud, image) is Reason.TOO_SMALL


def test_a_key_without_a_name_is_rejected(cloud: Cloud) -> None:
    assert rejection(cloud, cloud.upload("images/.jpg", photograph(0))) is Reason.UNNAMED


def test_a_key_that_does_not_fit_rekognition_is_rejected(cloud: Cloud) -> None:
    image = cloud.upload(f"images/{'é' * 200}.jpg", photograph(0))
    assert rejection(cloud, image) is Reason.KEY_UNUSABLE


def test_a_version_that_was_overwritten_is_rejected(cloud: Cloud) -> None:
    older = cloud.upload(KEY, photograph(0))
    cloud.upload(KEY, photograph(90))
    assert rejection(cloud, older) is Reason.SUPERSEDED
    assert stored(cloud) == 0


def test_a_version_that_was_overwritten_with_the_same_bytes_is_superseded_too(
    cloud: Cloud,
) -> None:
    """The eTag is the same: only the version's id tells them apart."""
    older = cloud.upload(KEY, photograph(0))
    newer = cloud.upload(KEY, photograph(0))
    assert older.etag == newer.etag
    assert rejection(cloud, older) is Reason.SUPERSEDED
    assert len(cloud.index(newer)["faces"]) == 1


def test_a_version_behind_a_delete_marker_is_gone(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.s3.delete_object(Bucket=IMAGES, Key=KEY)
    assert rejection(cloud, image) is Reason.GONE
    assert stored(cloud) == 0


def test_a_version_that_was_deleted_while_an_older_one_stays_is_gone(cloud: Cloud) -> None:
    cloud.upload(KEY, photograph(0))
    newer = cloud.upload(KEY, photograph(90))
    cloud.s3.delete_object(Bucket=IMAGES, Key=KEY, VersionId=newer.version_id)
    assert rejection(cloud, newer) is Reason.GONE


def test_a_version_that_is_current_again_is_indexed(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    marker = cloud.s3.delete_object(Bucket=IMAGES, Key=KEY)["VersionId"]
    cloud.s3.delete_object(Bucket=IMAGES, Key=KEY, VersionId=marker)
    assert len(cloud.index(image)["faces"]) == 1


def test_without_versioning_other_content_under_the_key_supersedes(cloud: Cloud) -> None:
    cloud.s3.create_bucket(
        Bucket="unversioned", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    older = cloud.upload(KEY, photograph(0), bucket="unversioned")
    current = cloud.upload(KEY, photograph(90), bucket="unversioned")
    assert rejection(cloud, older) is Reason.SUPERSEDED
    assert len(cloud.index(current)["faces"]) == 1


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "InternalServerError",
        "ServiceUnavailableException",
    ],
)
def test_a_throttled_or_failing_rekognition_is_unavailable_and_then_not(
    cloud: Cloud, code: str
) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.rekognition.fail_next(code, times=2)
    for _ in range(2):
        with pytest.raises(Unavailable, match=code):
            cloud.index(image)
    assert len(cloud.index(image)["faces"]) == 1


def test_a_throttled_or_silent_s3_is_unavailable(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.fail_next("HeadObject", "503", status=503)
    cloud.break_next("HeadObject", ReadTimeoutError(endpoint_url="https://s3"))
    for _ in range(2):
        with pytest.raises(Unavailable):
            cloud.index(image)
    assert len(cloud.index(image)["faces"]) == 1


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ResourceNotFoundException", "InvalidS3ObjectException"]
)
def test_a_missing_permission_or_resource_is_neither_the_images_fault_nor_worth_a_retry(
    cloud: Cloud, code: str
) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.rekognition.fail_next(code)
    with pytest.raises(ClientError, match=code):
        cloud.index(image)


def test_a_forbidden_object_is_not_gone(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.fail_next("HeadObject", "403", status=403)
    with pytest.raises(ClientError, match="403"):
        cloud.index(image)
