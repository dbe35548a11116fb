"""The documents say what the code does: fields, settings and commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.matching.decisions import Decided, Decision
from functions.matching.faces import (
    Box,
    Face,
    IndexedFaces,
    Match,
    SearchResult,
    SimilarPhotograph,
)
from functions.matching.failures import Failure, FailureStatus, failure_record
from functions.matching.identity import FROM_FILE, Identity, compiled_names_from
from functions.matching.images import UploadedImage
from functions.matching.reports import look_alike_rows, match_rows, report
from workflow.project import PROJECT
from workflow.settings import SETTINGS

README = (PROJECT / "README.md").read_text()
RECORDS = (PROJECT / "docs" / "records.md").read_text()

IMAGE = UploadedImage(
    bucket="images",
    key="images/Ann_Lee_0001.jpg",
    version_id="v1",
    etag="e1",
    size=1,
    last_modified=datetime(2026, 1, 2, tzinfo=UTC),
)
BOX = Box(0.1, 0.2, 0.3, 0.4)


MATCH = Match(searched_face_id="f1", face_id="f2", key="k", name="Bea", similarity=99.5, box=BOX)
SEARCHED = SearchResult(
    matches=(MATCH,),
    left_out=0,
    same_name=1,
    look_alikes=(SimilarPhotograph(key="images/Ann_Lee_0002.jpg", similarity=99.5),),
    unattributed=0,
    searched_at="now",
)


def example_report() -> dict[str, Any]:
    face = Face(face_id="f1", box=BOX, confidence=99.0, brightness=50.0, sharpness=60.0)
    return report(
        IMAGE,
        IndexedFaces(faces=(face,), unindexed=(), face_model_version="7.0"),
        SEARCHED,
        own=Identity("Ann_Lee"),
        search_threshold=80,
        notify_threshold=99,
        execution_arn="arn",
    )


def example_failure() -> dict[str, Any]:
    failure = Failure(
        status=FailureStatus.FAILED,
        step="IndexFaces",
        error="Unavailable",
        cause=None,
        execution_arn="arn",
        failed_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return failure_record(IMAGE, failure, names_from=compiled_names_from(FROM_FILE))


def example_decision() -> dict[str, Any]:
    decided_at = datetime(2026, 1, 2, tzinfo=UTC)
    decision = Decision(
        record_a="name:Ann",
        record_b="name:Bea",
        name_a="Ann",
        name_b="Bea",
        decision=Decided.UNSURE,
        note="",
        decided_by="Rea Viewer",
        decided_at=decided_at,
        similarity=99.5,
        face_ids=frozenset({"f1"}),
    )
    return decision.to_record(imported_at=decided_at)


def documented(kind: str) -> set[str]:
    """The fields in the first column of the table about a kind of record."""
    section = RECORDS.split(f"## {kind}/")[1].split("\n## ")[0]
    first_columns = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for column in first_columns for name in re.findall(r"`([^`]+)`", column)}


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("reports", example_report()),
        ("matches", match_rows(example_report())[0]),
        ("look_alikes", look_alike_rows(example_report(), SEARCHED)[0]),
        ("failures", example_failure()),
        ("delivery_failures", example_failure()),
        ("decisions", example_decision()),
    ],
)
def test_every_field_of_a_record_is_described_and_none_that_is_not_there(
    kind: str, record: dict[str, Any]
) -> None:
    assert documented(kind) - {"faces[].matches"} == set(record)


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", README, re.MULTILINE))

    assert set(rows) == set(SETTINGS)
    for name, setting in SETTINGS.items():
        if isinstance(setting.default, int | float) and not isinstance(setting.default, bool):
            assert float(rows[name]) == setting.default, name


@pytest.mark.parametrize("text", [README, RECORDS], ids=["README", "records"])
def test_no_command_is_named_that_is_not_there(text: str) -> None:
    from typer.main import get_command  # noqa: PLC0415

    from facematch.cli.main import app  # noqa: PLC0415

    commands = get_command(app).commands  # type: ignore[attr-defined] # a group
    named = set(re.findall(r"facematch (\w+)", text))
    local = set(re.findall(r"facematch local (\w+)", text))

    assert named <= set(commands)
    assert local <= set(commands["local"].commands)
    targets = set(re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE))
    makefile = (PROJECT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in targets)
