"""Who matches whom: pairs of records out of match rows, and which rows still count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facematch.cli.matches import by_relation
from facematch.operations.matches import RecordPair, matches, paired
from functions.matching.images import timestamp
from functions.matching.relations import Relation
from tests.unit.cloud import IMAGES, deployment_of
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud


def row(key: str, matched_key: str, similarity: float, **more: Any) -> dict[str, Any]:
    def name(of: str) -> str:
        return of.rpartition("/")[2].partition("_")[0]

    return {
        "key": key,
        "name": name(key),
        "matched_key": matched_key,
        "matched_name": name(matched_key),
        "similarity": similarity,
        "face_id": f"face of {key}",
        "matched_face_id": f"face of {matched_key}",
        "same_file": False,
        "versions": (f"version of {key}", f"version of {matched_key}"),
        **more,
    }


@st.composite
def reported(draw: st.DrawFn) -> tuple[dict[frozenset[str], float], list[dict[str, Any]]]:
    """Pairs of photographs with their similarity, each reported by one side or by both."""
    keys = [f"{name}_{number}" for name in ("Ann", "Bo", "Cy") for number in range(3)]
    two = st.lists(st.sampled_from(keys), min_size=2, max_size=2, unique=True).filter(
        lambda pair: pair[0].partition("_")[0] != pair[1].partition("_")[0]
    )
    pairs = draw(
        st.dictionaries(two.map(frozenset), st.integers(8000, 10000).map(lambda n: n / 100))
    )
    rows = []
    for pair, similarity in pairs.items():
        one, other = draw(st.permutations(sorted(pair)))
        rows.append(row(one, other, similarity))
        if draw(st.booleans()):
            rows.append(row(other, one, similarity))
    return pairs, draw(st.permutations(rows))


@given(given=reported())
def test_each_pair_of_names_comes_once_whichever_side_reported_it(
    given: tuple[dict[frozenset[str], float], list[dict[str, Any]]],
) -> None:
    photographs, rows = given
    expected: dict[frozenset[str], dict[frozenset[str], float]] = {}
    for pair, similarity in photographs.items():
        names = frozenset(key.partition("_")[0] for key in pair)
        expected.setdefault(names, {})[pair] = similarity
    found = paired(rows)
    assert len(found) == len(expected)
    for pair_of_names in found:
        supporting = expected[frozenset({pair_of_names.name_a, pair_of_names.name_b})]
        assert pair_of_names.image_pairs == len(supporting)
        assert pair_of_names.similarity == max(supporting.values())
        best = frozenset({pair_of_names.key_a, pair_of_names.key_b})
        assert supporting[best] == pair_of_names.similarity
        assert pair_of_names.key_a.startswith(f"{pair_of_names.name_a}_")
        assert pair_of_names.key_b.startswith(f"{pair_of_names.name_b}_")
    assert [one.similarity for one in found] == sorted(
        (one.similarity for one in found), reverse=True
    )


def test_names_stand_in_their_order_with_their_own_photograph() -> None:
    expected = RecordPair(
        record_a="name:Ann",
        record_b="name:Bo",
        name_a="Ann",
        name_b="Bo",
        similarity=99.0,
        image_pairs=1,
        key_a="Ann_1",
        key_b="Bo_1",
        relation=Relation.UNRELATED,
    )
    assert paired([row("Bo_1", "Ann_1", 99.0)]) == [expected]
    assert paired([row("Ann_1", "Bo_1", 99.0)]) == [expected]


def test_a_pair_says_how_its_names_relate() -> None:
    found = paired([row("Ann Lee_1", "Bruce Lee_1", 99.0), row("Ann Lee_1", "LEE, Ann_1", 99.5)])
    assert {pair.name_b: pair.relation for pair in found} == {
        "Bruce Lee": Relation.SHARED_PART,
        "LEE, Ann": Relation.VARIANT,
    }
    assert [pair.relation for pair in by_relation(found)] == [
        Relation.SHARED_PART,
        Relation.VARIANT,
    ]


def test_without_rows_there_is_no_pair() -> None:
    assert paired([]) == []


# --- Against the buckets ---


@pytest.fixture
def deployment(cloud: Cloud) -> Deployment:
    return deployment_of(cloud)


def report_match(
    cloud: Cloud,
    image: UploadedImage,
    other: UploadedImage,
    similarity: float,
    ago: timedelta = timedelta(0),
) -> None:
    cloud.write(
        f"matches/dt={image.day}/{image.digest}.json",
        row(
            image.key,
            other.key,
            similarity,
            version_id=image.version_id,
            searched_at=timestamp(datetime.now(UTC) - ago),
        ),
    )


@pytest.fixture
def ann(cloud: Cloud) -> UploadedImage:
    return cloud.upload("images/Ann_1.jpg", photograph(0))


@pytest.fixture
def bo(cloud: Cloud) -> UploadedImage:
    return cloud.upload("images/Bo_1.jpg", photograph(3))


def names(deployment: Deployment, minimum: float = 80) -> list[tuple[str, str]]:
    return [(pair.name_a, pair.name_b) for pair in matches(deployment, minimum=minimum)]


def test_a_reported_match_is_a_pair(
    cloud: Cloud, deployment: Deployment, ann: UploadedImage, bo: UploadedImage
) -> None:
    report_match(cloud, bo, ann, 99.5)
    assert names(deployment) == [("Ann", "Bo")]


@pytest.mark.parametrize(("minimum", "shown"), [(99.5, True), (99.51, False)])
def test_a_match_below_the_minimum_is_left_out(
    cloud: Cloud,
    deployment: Deployment,
    ann: UploadedImage,
    bo: UploadedImage,
    minimum: float,
    *,
    shown: bool,
) -> None:
    report_match(cloud, ann, bo, 99.5)
    assert bool(names(deployment, minimum)) is shown


@pytest.mark.parametrize("deleted", ["images/Ann_1.jpg", "images/Bo_1.jpg"])
def test_a_match_with_a_photograph_that_was_deleted_is_no_evidence(
    cloud: Cloud, deployment: Deployment, ann: UploadedImage, bo: UploadedImage, deleted: str
) -> None:
    report_match(cloud, ann, bo, 99.5)
    cloud.s3.delete_object(Bucket=IMAGES, Key=deleted)
    assert names(deployment) == []


@pytest.mark.parametrize("overwritten", ["images/Ann_1.jpg", "images/Bo_1.jpg"])
def test_a_match_with_a_photograph_that_was_overwritten_is_no_evidence(
    cloud: Cloud, deployment: Deployment, ann: UploadedImage, bo: UploadedImage, overwritten: str
) -> None:
    report_match(cloud, ann, bo, 99.5, ago=timedelta(minutes=1))
    cloud.upload(overwritten, photograph(90))
    assert names(deployment) == []


def test_the_row_of_a_newer_version_counts_while_that_of_the_older_does_not(
    cloud: Cloud, deployment: Deployment, ann: UploadedImage, bo: UploadedImage
) -> None:
    cy = cloud.upload("images/Cy_1.jpg", photograph(90))
    report_match(cloud, ann, bo, 99.5)
    report_match(cloud, cloud.upload(ann.key, photograph(90)), cy, 99.9)
    assert names(deployment) == [("Ann", "Cy")]


def test_without_versioning_a_match_counts_as_long_as_its_photographs_are_there(
    cloud: Cloud, deployment: Deployment
) -> None:
    cloud.s3.create_bucket(
        Bucket="unversioned", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    deployment.outputs["ImagesBucket"] = "unversioned"
    ann = cloud.upload("images/Ann_1.jpg", photograph(0), bucket="unversioned")
    bo = cloud.upload("images/Bo_1.jpg", photograph(3), bucket="unversioned")
    report_match(cloud, ann, bo, 99.5)
    assert names(deployment) == [("Ann", "Bo")]


def test_two_spellings_of_one_record_in_rows_of_before_are_no_pair() -> None:
    assert paired([row("Ann Lee_1", "Ann  Lee_1", 99.9)]) == []
