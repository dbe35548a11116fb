"""Requests of the commands that read, against stubs over records that are computed from numbers."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from facematch.operations.audit import Auditor
from facematch.operations.consistency import CollectionCheck
from facematch.operations.ledger import Found, Ledger
from tests.benchmarks.million import (
    COMMANDS,
    MOST_MEMORY,
    MOST_REQUESTS,
    OF_PAIRS,
    run,
    seeded,
    table,
)
from tests.benchmarks.seeded import Digests, Kind, Seeded
from tests.benchmarks.stub_cloud import stub
from workflow.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from facematch.stack.deployment import Deployment

MEASURED = json.loads((PROJECT / "docs" / "measured" / "million.json").read_text())
TODAY = date(2026, 11, 1)
#: Fewer of everything: what has to be bounded is bounded above that.
SMALL = seeded(2_000, today=TODAY)


def stack(records: Seeded, folder: Path) -> tuple[Deployment, Any]:
    file = folder / f"{records.photographs}"
    if not file.exists():
        Digests.write(file, records)
    return stub(records, Digests(file))


def requests(command: str, records: Seeded, folder: Path) -> Counter[str]:
    deployment, counted = stack(records, folder)
    run(command, deployment, records)
    return Counter(counted.counts)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMATCH_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("command", MOST_REQUESTS)
def test_requests_are_bounded(command: str, tmp_path: Path) -> None:
    assert requests(command, SMALL, tmp_path).total() <= MOST_REQUESTS[command]


def test_requests_of_status_are_bounded_whatever_there_is(tmp_path: Path) -> None:
    many = seeded(4_000_000, pairs=200_000, today=TODAY)
    file = tmp_path / "no-digests"
    Digests.write(file, seeded(40, today=TODAY))  # that many failures are counted, and not read
    deployment, counted = stub(many, Digests(file))

    run("status", deployment, many)

    assert counted.counts.total() <= MOST_REQUESTS["status"]


@pytest.mark.parametrize("command", OF_PAIRS)
def test_requests_follow_the_pairs_and_not_the_photographs(command: str, tmp_path: Path) -> None:
    twice = seeded(2 * SMALL.photographs, pairs=SMALL.pairs, today=TODAY)

    assert requests(command, twice, tmp_path) == requests(command, SMALL, tmp_path)


def test_the_stub_agrees_with_itself(tmp_path: Path) -> None:
    deployment, _ = stack(SMALL, tmp_path)
    kinds = Counter(SMALL.kind(version) for version in SMALL.versions())

    with Ledger(deployment.images_bucket) as ledger:
        counts = Auditor(deployment).run(ledger, listed=lambda *_: None).counts
    compared = CollectionCheck(deployment).compare()

    undelivered = sum(1 for _ in SMALL.undelivered())
    assert {found: count for found, count in counts.items() if count} == {
        Found.REPORTED: sum(n for kind, n in kinds.items() if kind.has_report) - undelivered,
        Found.UNDELIVERED: undelivered,
        Found.REJECTED: kinds[Kind.REJECTED],
        Found.FAILED: kinds[Kind.FAILED],
        Found.DELETED: kinds[Kind.DELETED],
    }
    assert (len(compared.orphans), len(compared.faceless)) == (0, 1)


def test_a_million_photographs_have_the_overwritten_and_deleted_ones_beside_them() -> None:
    kinds = Counter(SMALL.kind(version) for version in SMALL.versions())

    assert SMALL.photographs == sum(kinds.values()) - 400
    assert kinds[Kind.MATCHED] == 100
    assert kinds[Kind.REJECTED] + kinds[Kind.FAILED] == 10
    assert kinds[Kind.DELETED] == 200


def test_the_document_has_the_table_of_what_was_measured() -> None:
    assert table(MEASURED) in (PROJECT / "docs" / "measured.md").read_text()


def test_every_target_was_met_at_every_size() -> None:
    for size in MEASURED["photographs"].values():
        assert size["commands"].keys() == set(COMMANDS)
        for command, found in size["commands"].items():
            assert found["requests"] <= MOST_REQUESTS.get(command, found["requests"])
            assert found["peak_mb"] <= MOST_MEMORY


def test_with_the_pairs_of_the_least_the_most_photographs_took_as_many_requests() -> None:
    least, *_ = MEASURED["photographs"].values()
    few = MEASURED["few_pairs"]

    assert few["pairs"] == least["pairs"]
    for command, found in few["commands"].items():
        assert found["by_operation"] == least["commands"][command]["by_operation"]
