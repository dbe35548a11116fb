"""Where things lie in the output bucket."""

from __future__ import annotations

import re
from pathlib import Path

from functions.matching.places import MAY_NAME_ANYBODY, Place
from functions.matching.schema import TABLES
from workflow.project import PROJECT


def test_every_table_reads_one_of_the_places() -> None:
    assert {f"{name}/" for name in TABLES} <= set(Place)


def test_what_is_not_read_record_by_record_is_deleted_with_any_person() -> None:
    assert set(MAY_NAME_ANYBODY) == {Place.QUERY_RESULTS, Place.INVENTORIES}


def test_a_place_is_written_down_once() -> None:
    """Whoever writes a prefix by hand writes where `forget` does not look."""
    found = {
        (path.relative_to(PROJECT), place)
        for package in ("functions", "facematch", "workflow")
        for path in sorted((PROJECT / package).rglob("*.py"))
        for place in Place
        if re.search(rf"[\"']{place}", path.read_text())
    }

    assert {path for path, _ in found} == {Path("functions/matching/places.py")}
