"""One record, two faces: what the query finds of what the workflow wrote, and how it is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.cli.options import Where
from facematch.errors import Unusable
from facematch.operations.conflicts import Conflict, conflicts, mirrored_once
from facematch.stack.athena import QueryFailed
from functions.matching.decisions import Standing
from tests.unit.cloud import deployment_of
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from typer.testing import Result

    from facematch.stack.deployment import Deployment
    from tests.unit.cloud import Cloud


@pytest.fixture
def deployment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    made = deployment_of(cloud)
    monkeypatch.setattr(Where, "deployment", lambda _: made)
    return made


def process(cloud: Cloud, angles: dict[str, int]) -> None:
    """Let photographs of faces go through the workflow; two faces by the angle between them."""
    for key, angle in angles.items():
        image = cloud.upload(f"images/{key}.jpg", photograph(angle))
        cloud.run("report", cloud.report_event(image))


def told(*options: str) -> Result:
    return CliRunner().invoke(app, ["matches", "--conflicts", *options])


def conflict(
    key: str, other_key: str, photographs: int = 2, standing: Standing = Standing.UNDECIDED
) -> Conflict:
    decided = standing is not Standing.UNDECIDED
    return Conflict(
        record="name:Ann",
        name="Ann",
        key=key,
        other_key=other_key,
        photographs=photographs,
        uploaded_at="2026-11-22T08:00:00.000Z",
        report=f"reports/dt=2026-11-22/{key}.json",
        other_report=f"reports/dt=2026-11-22/{other_key}.json",
        standing=standing,
        decided_by="Rita" if decided else None,
        decided_at="2026-11-22T12:00:00.000Z" if decided else None,
    )


def test_a_stranger_under_somebodys_name_is_found(cloud: Cloud, deployment: Deployment) -> None:
    process(cloud, {"Ann_1": 0, "Ann_2": 3, "Ann_3": 90, "Bo_1": 0, "Cy_1": 45, "Cy_2": 46})

    (found,) = conflicts(deployment)

    assert (found.record, found.name) == ("name:Ann", "Ann")
    assert (found.key, found.other_key) == ("images/Ann_3.jpg", "images/Ann_1.jpg")
    assert (found.photographs, found.is_open) == (3, True)


def test_a_photograph_that_came_first_is_found_from_the_other_side(
    cloud: Cloud, deployment: Deployment
) -> None:
    process(cloud, {"Ann_1": 0})
    process(cloud, {"Ann_2": 90})
    assert len(conflicts(deployment)) == 2
    process(cloud, {"Ann_3": 3})
    assert [found.key for found in conflicts(deployment)] == ["images/Ann_2.jpg"]


def test_a_record_of_two_photographs_is_shown_once_with_what_was_decided() -> None:
    first, second = conflict("a", "b"), conflict("b", "a")
    decided = conflict("b", "a", standing=Standing.DIFFERENT_PEOPLE)

    assert mirrored_once([first, second]) == [first]
    assert mirrored_once([first, decided]) == [decided]


def test_in_a_larger_record_each_photograph_that_stands_alone_is_shown() -> None:
    found = [conflict(key, other, 3) for key, other in (("a", "b"), ("b", "a"), ("c", "a"))]
    assert mirrored_once(found) == found


@pytest.mark.usefixtures("deployment")
def test_the_command_shows_a_candidate_and_says_what_it_means(cloud: Cloud) -> None:
    process(cloud, {"Ann_1": 0, "Ann_2": 90})

    shown = told()

    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.output.split())
    assert "1 photograph resembles no other one of its record." in words
    assert "not a verdict" in words
    listed = json.loads(told("--json").stdout)
    assert [(row["record"], row["name"], row["key"], row["other_key"]) for row in listed] == [
        ("name:Ann", "Ann", "images/Ann_1.jpg", "images/Ann_2.jpg"),
        ("name:Ann", "Ann", "images/Ann_2.jpg", "images/Ann_1.jpg"),
    ]


@pytest.mark.usefixtures("deployment")
def test_decided_ones_are_shown_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [conflict("a", "b", 3), conflict("c", "b", 3, Standing.DIFFERENT_PEOPLE)]
    monkeypatch.setattr("facematch.cli.matches.conflicts", lambda _: found)

    shown = told().output

    assert "1 photograph resembles" in shown
    assert "1 decided" in shown
    assert "different people" in shown


@pytest.mark.usefixtures("deployment")
def test_without_a_conflict_it_says_so(cloud: Cloud) -> None:
    process(cloud, {"Ann_1": 0, "Ann_2": 3})

    assert "No record with two faces." in told().output
    assert json.loads(told("--json").stdout) == []


def test_whoever_may_not_ask_athena_is_told_which_rights_it_takes(
    cloud: Cloud, deployment: Deployment
) -> None:
    cloud.athena.denied = True

    with pytest.raises(QueryFailed, match=r"docs/queries\.md"):
        conflicts(deployment)


@pytest.mark.usefixtures("deployment")
def test_a_minimum_is_refused() -> None:
    refused = told("--min", "90")

    assert isinstance(refused.exception, Unusable)
    assert "--min" in str(refused.exception)
