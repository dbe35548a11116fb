"""What `facematch matches` counts: only what two photographs that are there now show."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.cli.options import Where
from facematch.operations.matches import matches, read_matches
from facematch.stack.records import Records
from functions.aws.buckets import ImagesBucket
from functions.matching.errors import ImageRejected
from functions.matching.faces import NamesLeftOut
from functions.matching.images import Removal, version_id_of
from functions.matching.places import Place
from functions.matching.register import register_key
from functions.matching.reports import matches_key
from tests.pile import NEW_IN_VERSION_2
from tests.unit.cloud import IMAGES, OUTPUT, deployment_of
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from typer.testing import Result

    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

ANN, BEA = "images/Ann_1.jpg", "images/Bea_1.jpg"


@pytest.fixture
def deployment(cloud: Cloud) -> Deployment:
    return deployment_of(cloud)


def processed(cloud: Cloud, image: UploadedImage) -> None:
    cloud.run("report", cloud.report_event(image))


def names(deployment: Deployment) -> set[tuple[str, str]]:
    return {(pair.name_a, pair.name_b) for pair in matches(deployment, minimum=80)}


def test_two_photographs_of_one_face_match(cloud: Cloud, deployment: Deployment) -> None:
    for key in (ANN, BEA):
        processed(cloud, cloud.upload(key, photograph(0)))

    assert names(deployment) == {("Ann", "Bea")}


def test_an_older_versions_face_counts_until_the_newer_version_has_its_outcome(
    cloud: Cloud, deployment: Deployment
) -> None:
    processed(cloud, cloud.upload(ANN, photograph(0)))
    newer = cloud.upload(ANN, photograph(90))  # somebody else, and it waits
    processed(cloud, cloud.upload(BEA, photograph(0)))

    assert names(deployment) == {("Ann", "Bea")}
    processed(cloud, newer)
    assert list(Records(deployment).keys(Place.MATCHES))
    assert names(deployment) == set()


def test_nor_is_it_when_the_newer_one_turns_out_to_be_no_photograph(
    cloud: Cloud, deployment: Deployment
) -> None:
    processed(cloud, cloud.upload(ANN, photograph(0)))
    broken = cloud.upload(ANN, b"no photograph")
    processed(cloud, cloud.upload(BEA, photograph(0)))
    with pytest.raises(ImageRejected):
        cloud.index(broken)
    later = replace(broken, last_modified=broken.last_modified + timedelta(seconds=1))
    cloud.fail(later, error="ImageRejected", cause="NOT_JPEG_OR_PNG")

    assert names(deployment) == set()


def test_an_older_version_that_comes_back_does_not_inherit_the_newer_ones_matches(
    cloud: Cloud, deployment: Deployment
) -> None:
    processed(cloud, cloud.upload(ANN, photograph(90)))
    newer = cloud.upload(ANN, photograph(0))
    processed(cloud, newer)
    processed(cloud, cloud.upload(BEA, photograph(0)))
    assert names(deployment) == {("Ann", "Bea")}

    assert newer.version_id
    cloud.s3.delete_object(Bucket=IMAGES, Key=ANN, VersionId=newer.version_id)
    removal = Removal(
        bucket=IMAGES,
        key=ANN,
        version_id=newer.version_id,
        sequencer="1",
        removed_at=newer.last_modified,
    )
    cloud.run("removal", {"removal": removal.to_payload()})

    assert names(deployment) == set()


def test_a_photograph_that_was_deleted_and_uploaded_anew_matches_again(
    cloud: Cloud, deployment: Deployment
) -> None:
    first = cloud.upload(ANN, photograph(0))
    processed(cloud, first)
    cloud.s3.delete_object(Bucket=IMAGES, Key=ANN)
    processed(cloud, cloud.upload(ANN, photograph(1)))
    processed(cloud, cloud.upload(BEA, photograph(0)))

    assert names(deployment) == {("Ann", "Bea")}


def test_registers_are_not_needed(cloud: Cloud, deployment: Deployment) -> None:
    """As after report and registers were restored from somewhere in part."""
    for key in (ANN, BEA):
        processed(cloud, cloud.upload(key, photograph(0)))
    for key in (ANN, BEA):
        cloud.s3.delete_object(Bucket=OUTPUT, Key=register_key(IMAGES, key))

    assert names(deployment) == {("Ann", "Bea")}


# --- Reports that leave names out ---


def told(deployment: Deployment, *options: str) -> Result:
    with patch.object(Where, "deployment", lambda _: deployment):
        return CliRunner().invoke(app, ["matches", "--min", "80", *options])


def test_photographs_whose_reports_leave_names_out_are_named_whatever_the_minimum(
    cloud: Cloud, deployment: Deployment
) -> None:
    cloud.handler("search", MAX_MATCHES="1")
    for name in ("Dee", "Eli", "Fay"):
        cloud.index(cloud.upload(f"images/{name}_1.jpg", photograph(0)))
    processed(cloud, cloud.upload(ANN, photograph(0)))

    found = read_matches(deployment, minimum=100)

    assert found.pairs == []
    assert found.lacking == {ANN: NamesLeftOut(2, more_possible=False)}
    assert f"{ANN} looks like 2 more records than its report lists" in told(deployment).stderr
    assert json.loads(told(deployment, "--json").stdout) == []

    processed(cloud, cloud.upload(ANN, photograph(90)))  # the newest version is what counts
    assert read_matches(deployment, minimum=100).lacking == {}


def test_complete_reports_name_no_photograph(cloud: Cloud, deployment: Deployment) -> None:
    for key in (ANN, BEA):
        processed(cloud, cloud.upload(key, photograph(0)))

    assert read_matches(deployment, minimum=80).lacking == {}
    assert told(deployment).stderr == ""


def test_rows_of_an_earlier_version_are_read_and_claim_nothing(
    cloud: Cloud, deployment: Deployment
) -> None:
    images = [cloud.upload(key, photograph(0)) for key in (ANN, BEA)]
    for image in images:
        processed(cloud, image)
    for image in images[1:]:
        (row,) = cloud.rows(image)
        former = {k: v for k, v in row.items() if k not in NEW_IN_VERSION_2}
        cloud.write(matches_key(image), {**former, "schema_version": 1})

    found = read_matches(deployment, minimum=80)

    assert [(pair.name_a, pair.name_b) for pair in found.pairs] == [("Ann", "Bea")]
    assert found.lacking == {}


# --- Versions without an id ---


@pytest.mark.parametrize(("said", "known"), [("null", None), (None, None), ("", None), ("1", "1")])
def test_s3_calls_a_version_without_an_id_null(said: str | None, known: str | None) -> None:
    assert version_id_of(said) == known


def test_two_uploads_while_versioning_is_suspended_are_two_photographs(cloud: Cloud) -> None:
    """S3 says "null" of each in a HEAD, as moto does not."""

    class Suspended:
        exceptions = cloud.s3.exceptions

        def head_object(self, **asked: Any) -> dict[str, Any]:
            return {**cloud.s3.head_object(**asked), "VersionId": "null"}

    cloud.version_bucket("Suspended")
    images: Any = ImagesBucket(Suspended())  # type: ignore[arg-type]
    found = []
    for angle in (0, 90):
        cloud.s3.put_object(Bucket=IMAGES, Key=ANN, Body=photograph(angle))
        found.append(images.version(IMAGES, ANN, None))

    one, other = found
    assert one.version_id is other.version_id is None
    assert one.digest != other.digest
    assert one.execution_name != other.execution_name


# --- The same file under two names ---


def test_a_pair_of_copies_is_the_same_file_and_a_pair_of_photographs_is_not(
    cloud: Cloud, deployment: Deployment
) -> None:
    for name, content in (
        ("Ann_1", photograph(0)),
        ("Bea_1", photograph(0)),
        ("Bea_2", photograph(2)),
        ("Cy_1", photograph(3)),
    ):
        processed(cloud, cloud.upload(f"images/{name}.jpg", content))

    found = {
        (pair.name_a, pair.name_b): (pair.same_file, pair.same_files, pair.image_pairs)
        for pair in matches(deployment, minimum=80)
    }

    assert found == {
        ("Ann", "Bea"): (True, 1, 2),
        ("Ann", "Cy"): (False, 0, 1),
        ("Bea", "Cy"): (False, 0, 2),
    }
    shown = told(deployment).stdout
    assert shown.count("The two photographs are the same file.") == 1
    assert shown.count("proves that a photograph was copied") == 1
    documents = json.loads(told(deployment, "--json").stdout)
    assert [each["same_file"] for each in documents] == [True, False, False]
