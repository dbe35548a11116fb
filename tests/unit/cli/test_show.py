"""What `facematch show` says of executions, and of a report that leaves names out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.cli.options import Where
from functions.matching.reports import report_key
from tests.pile import as_version_1
from tests.unit.album import Album
from tests.unit.cloud import deployment_of
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud


@pytest.fixture
def image(cloud: Cloud) -> UploadedImage:
    """A photograph that looks like three names, of which its report lists one."""
    cloud.handler("search", MAX_MATCHES="1")
    for angle in (1, 2, 3):
        cloud.index(cloud.upload(f"images/P{angle}_1.jpg", photograph(angle)))
    made = cloud.upload("images/Ann Lee_1.jpg", photograph(0))
    cloud.run("report", cloud.report_event(made))
    return made


def shown(cloud: Cloud, image: UploadedImage, *options: str) -> str:
    removals = cloud.removal_state_machine_arn
    deployment = deployment_of(cloud, RemovalStateMachineArn=removals)
    with patch.object(Where, "deployment", lambda _: deployment):
        result = CliRunner().invoke(app, ["show", image.key, *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_records_are_told_with_their_ids(cloud: Cloud) -> None:
    album = Album(cloud)
    image, other = album.add("7-Ann_1.jpg"), album.add("8-Ann_1.jpg")
    album.report(image, {other: 99.5})
    (report,) = cloud.records(report_key(image)) or []
    match = report["faces"][0]["matches"][0]
    report |= {"name": "Ann", "record": "id:7"}
    match |= {"name": "Ann", "record": "id:8"}
    cloud.write(report_key(image), report)

    told = shown(cloud, image)

    assert "name Ann (id 7)" in told
    assert "Ann (id 8)" in told


def test_names_that_the_report_leaves_out_are_said_with_the_command_to_search_again(
    cloud: Cloud, image: UploadedImage
) -> None:
    said = shown(cloud, image)

    assert "looks like 2 more records than its report lists, by 99.93 % at most" in said
    assert "facematch backfill --again --prefix 'images/Ann Lee_1.jpg'" in said


def test_a_report_of_an_earlier_version_that_left_matches_out_may_lack_names(
    cloud: Cloud, image: UploadedImage
) -> None:
    (report,) = cloud.records(report_key(image)) or []
    cloud.write(report_key(image), json.loads(json.dumps(as_version_1(report))))

    assert "may look like more records than its report lists" in shown(cloud, image)


def test_a_complete_report_says_nothing_of_names_left_out(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    cloud.run("report", cloud.report_event(image))

    said = shown(cloud, image)
    assert "than its report lists" not in said
    assert "name Ann\n" in said


def test_the_document_has_the_executions_in_fields_of_our_own(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    arns = [cloud.start(image, replay=replay) for replay in (0, 1)]
    cloud.end(arns[0], "FAILED", "ImageRejected")

    document = json.loads(shown(cloud, image, "--json"))

    assert [each["arn"] for each in document["executions"]] == arns
    assert [each["status"] for each in document["executions"]] == ["FAILED", "RUNNING"]
    assert document["executions"][0]["error"] == "ImageRejected"
    assert "executionArn" not in document["executions"][0]
    assert "answer" not in document["executions"][0]
    said = shown(cloud, image)
    assert f"execution {image.execution_name} FAILED" in said
    assert f"execution {image.execution_name}-r1 RUNNING" in said


def test_faces_that_were_not_searched_are_said_with_reason_and_setting(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0, 90, blurred=1))
    cloud.run("report", cloud.report_event(image))

    said = shown(cloud, image)

    assert "not searched: EXCEEDS_MAX_FACES (setting max_faces)" in said
    assert "not searched: LOW_SHARPNESS (setting quality_filter)" in said


def test_an_image_without_any_face_says_so(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph())
    cloud.run("report", cloud.report_event(image))

    assert "Rekognition saw no face" in shown(cloud, image)


def test_the_cause_is_there_to_be_read(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    cause = json.dumps({"errorMessage": "User: ann is not authorized to index"})
    cloud.fail(image, error="AccessDeniedException", cause=cause)

    said = shown(cloud, image)

    assert "Read the cause" in said
    assert "cause: User: ann is not authorized to index" in said


@pytest.mark.parametrize(
    ("key", "content", "why"),
    [
        ("other/Ann_1.jpg", photograph(0), "not below images/"),
        ("images/Ann/", b"", "a folder marker"),
        ("images/Ann_1.jpg", photograph(0), "it waits in the queue"),
    ],
)
def test_what_is_never_processed_is_not_said_to_wait(
    cloud: Cloud, key: str, content: bytes, why: str
) -> None:
    assert why in shown(cloud, cloud.upload(key, content))


@pytest.mark.parametrize(("width", "said"), [(0.2, True), (0.19, False)])
def test_a_photograph_of_several_people_is_called_that(
    cloud: Cloud, width: float, *, said: bool
) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0, 90, widths=(0.4, width)))
    cloud.run("report", cloud.report_event(image))

    assert ("this photograph shows 2 people" in shown(cloud, image)) is said


def test_a_report_of_an_earlier_version_says_nothing_of_several_people(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0, 90))
    cloud.run("report", cloud.report_event(image))
    (report,) = cloud.records(report_key(image)) or []
    cloud.write(report_key(image), {k: v for k, v in report.items() if k != "subject"})

    assert "2 people" not in shown(cloud, image)
