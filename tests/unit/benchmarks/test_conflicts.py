"""docs/queries.md shows what was measured of the query `conflicts`, and strangers are strangers."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.benchmarks import conflicts
from tests.benchmarks.accuracy import written


def test_the_document_shows_what_was_measured() -> None:
    measured = json.loads(conflicts.MEASURED.read_text())
    document = conflicts.DOCUMENT.read_text()
    assert written(document, {"conflicts": conflicts.table(measured)}) == document


def test_the_query_finds_strangers_and_few_photographs_of_the_people_themselves() -> None:
    measured = json.loads(conflicts.MEASURED.read_text())
    planted, own = measured["strangers"], measured["own"]
    assert planted["listed"] >= 0.98 * planted["with_face"]
    assert own["listed"] <= 0.02 * own["with_face"]


def test_each_person_with_two_photographs_gets_one_of_somebody_else() -> None:
    people = {
        name: [Path(f"{name}_{n}.jpg") for n in range(count)]
        for name, count in (("Ann", 2), ("Anne", 3), ("Bob", 1), ("Cid", 2))
    }
    for seed in range(50):
        drawn = conflicts.strangers(people, [("Ann", "Anne")], random.Random(seed))
        assert drawn.keys() == {"Ann", "Anne", "Cid"}
        assert {drawn["Ann"].name[:3], drawn["Anne"].name[:3]} <= {"Bob", "Cid"}
        assert not drawn["Cid"].name.startswith("Cid")


def test_a_round_has_records_of_its_own(tmp_path: Path) -> None:
    photographs = [tmp_path / f"{name}.jpg" for name in ("Ann_1", "Ann_2", "Bob_1")]
    for path in photographs:
        path.write_bytes(path.name.encode())
    people = conflicts.people_in(tmp_path)
    folder = tmp_path / "planted"
    folder.mkdir()

    kinds = conflicts.plant(people, [{"Ann": photographs[2]}] * 2, folder)

    planted = conflicts.people_in(folder)
    assert [len(paths) for paths in planted.values()] == [3, 3]
    strangers = {file for file, kind in kinds.items() if kind == "strangers"}
    assert {(folder / file).read_bytes() for file in strangers} == {b"Bob_1.jpg"}
