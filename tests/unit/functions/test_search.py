"""The search step: the same face under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from functions.matching.errors import Unavailable
from functions.matching.keys import external_image_id
from tests.unit.cloud import COLLECTION
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud


def test_the_same_face_under_another_name_is_found_whichever_came_first(cloud: Cloud) -> None:
    ann = cloud.upload("images/Ann_1.jpg", photograph(0))
    bo = cloud.upload("images/Bo_1.jpg", photograph(5))
    cloud.upload("images/Cy_1.jpg", photograph(90))
    indexed = {image: cloud.index(image) for image in (ann, bo)}
    for image, other in ((ann, bo), (bo, ann)):
        found = cloud.search(image, indexed[image])
        (match,) = found["matches"]
        assert match["key"] == other.key
        assert match["searched_face_id"] == indexed[image]["faces"][0]["face_id"]
        assert match["face_id"] == indexed[other]["faces"][0]["face_id"]
        assert found["best_similarity"] == pytest.approx(99.62, abs=0.01)


def test_photographs_under_the_same_name_are_counted_and_no_match(cloud: Cloud) -> None:
    first = cloud.upload("images/Ann_1.jpg", photograph(0))
    for number in (2, 3):
        cloud.index(cloud.upload(f"images/Ann_{number}.jpg", photograph(number)))
    found = cloud.search(first, cloud.index(first))
    assert found["matches"] == []
    assert found["same_name"] == 2
    assert found["best_similarity"] == 0


def test_an_older_version_of_the_image_itself_is_no_match(cloud: Cloud) -> None:
    older = cloud.upload("images/Ann_1.jpg", photograph(0))
    newer = cloud.upload("images/Ann_1.jpg", photograph(1))
    indexed = cloud.index(newer)
    cloud.rekognition.index_faces(  # it leaves a moment later
        CollectionId=COLLECTION,
        ExternalImageId="images::Ann_1.jpg",
        Image={
            "S3Object": {"Bucket": older.bucket, "Name": older.key, "Version": older.version_id}
        },
    )
    found = cloud.search(newer, indexed)
    assert len(cloud.rekognition.collections[COLLECTION]) == 2
    assert (found["matches"], found["same_name"], found["unattributed"]) == ([], 0, 0)


def test_many_photographs_under_the_own_name_do_not_crowd_out_another(cloud: Cloud) -> None:
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(20)))
    for number in range(120):
        cloud.index(cloud.upload(f"images/Ann_{number}.jpg", photograph(number / 100)))
    image = cloud.upload("images/Ann_999.jpg", photograph(0))
    found = cloud.search(image, cloud.index(image))
    assert [match["name"] for match in found["matches"]] == ["Bo"]
    assert found["same_name"] == 120


def test_a_face_below_the_search_threshold_is_no_match(cloud: Cloud) -> None:
    cloud.handler("search", SEARCH_THRESHOLD="95")
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(20)))
    cloud.index(cloud.upload("images/Cy_1.jpg", photograph(10)))
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    found = cloud.search(image, cloud.index(image))
    assert [match["name"] for match in found["matches"]] == ["Cy"]


def test_every_indexed_face_is_searched(cloud: Cloud) -> None:
    cloud.handler("index", MAX_FACES="2")
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(2)))
    cloud.index(cloud.upload("images/Cy_1.jpg", photograph(91)))
    image = cloud.upload("images/Ann_1.jpg", photograph(0, 90))
    found = cloud.search(image, cloud.index(image))
    assert {match["name"] for match in found["matches"]} == {"Bo", "Cy"}


def test_an_image_without_a_face_matches_nobody(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph())
    found = cloud.search(image, cloud.index(image))
    assert (found["matches"], found["best_similarity"]) == ([], 0)


def test_the_best_matches_are_kept_and_the_rest_is_counted(cloud: Cloud) -> None:
    cloud.handler("search", MAX_MATCHES="2")
    for angle in (9, 3, 6):
        cloud.index(cloud.upload(f"images/P{angle}.jpg", photograph(angle)))
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    found = cloud.search(image, cloud.index(image))
    assert [match["name"] for match in found["matches"]] == ["P3", "P6"]
    assert found["left_out"] == 1


def test_copies_under_one_name_do_not_push_another_name_out(cloud: Cloud) -> None:
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(6)))
    for number in range(105):
        cloud.index(cloud.upload(f"images/Decoy_{number}.jpg", photograph(number / 100)))
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    found = cloud.search(image, cloud.index(image))
    assert [match["name"] for match in found["matches"]] == ["Decoy"] * 99 + ["Bo"]
    assert found["left_out"] == 6
    assert (found["names_left_out"], found["more_names_possible"]) == (0, False)
    assert found["best_left_out_similarity"] == 0


def test_names_beyond_the_limit_are_counted_with_the_best_of_their_similarities(
    cloud: Cloud,
) -> None:
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(6)))
    for number in range(105):
        angle = number / 100
        cloud.index(cloud.upload(f"images/Decoy{number:03}.jpg", photograph(angle)))
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    found = cloud.search(image, cloud.index(image))
    assert [m["name"] for m in found["matches"]] == [f"Decoy{n:03}" for n in range(100)]
    assert (found["names_left_out"], found["more_names_possible"]) == (6, False)
    assert found["best_left_out_similarity"] == pytest.approx(99.9847, abs=1e-4)  # by 1 degree


@pytest.mark.parametrize(("faces", "possible"), [(4095, False), (4096, True)])
def test_a_search_that_gives_all_that_rekognition_gives_may_have_left_out_more(
    cloud: Cloud, faces: int, possible: bool
) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    indexed = cloud.index(image)
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(6)))
    cloud.rekognition.copy_faces(COLLECTION, "images::Ann_2.jpg", angle=3, count=faces - 1)
    found = cloud.search(image, indexed)
    assert found["same_name"] == faces - 1
    assert [match["name"] for match in found["matches"]] == ["Bo"]
    assert (found["names_left_out"], found["more_names_possible"]) == (0, possible)
    least = found["best_similarity"] if possible else 0
    assert found["best_left_out_similarity"] == least


def test_a_face_that_somebody_else_put_there_is_counted_apart(cloud: Cloud) -> None:
    image = cloud.upload("images/Bo_1.jpg", photograph(0))
    cloud.rekognition.index_faces(
        CollectionId=COLLECTION,
        Image={"S3Object": {"Bucket": image.bucket, "Name": image.key}},
        ExternalImageId="customer:4711",
    )
    found = cloud.search(image, cloud.index(image))
    assert external_image_id(image.key) != "customer:4711"
    assert (found["matches"], found["unattributed"]) == ([], 1)


def test_a_face_that_cannot_be_found_yet_is_worth_a_retry(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    indexed = cloud.index(image)
    (face,) = cloud.rekognition.collections[COLLECTION].items()
    cloud.rekognition.collections[COLLECTION].clear()
    with pytest.raises(Unavailable, match="cannot be found"):
        cloud.search(image, indexed)
    cloud.rekognition.collections[COLLECTION].update([face])
    assert cloud.search(image, indexed)["matches"] == []


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "InternalServerError"])
def test_a_throttled_or_failing_rekognition_is_unavailable(cloud: Cloud, code: str) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    indexed = cloud.index(image)
    cloud.rekognition.fail_next(code)
    with pytest.raises(Unavailable, match=code):
        cloud.search(image, indexed)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_missing_permission_or_collection_is_not_worth_a_retry(cloud: Cloud, code: str) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    indexed = cloud.index(image)
    cloud.rekognition.fail_next(code)
    with pytest.raises(ClientError, match=code):
        cloud.search(image, indexed)
