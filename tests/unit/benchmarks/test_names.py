"""docs/names.md shows the figures that stand beside it."""

from __future__ import annotations

import json

from tests.benchmarks import names
from tests.benchmarks.accuracy import written


def test_the_document_shows_what_was_measured() -> None:
    measured = json.loads(names.MEASURED.read_text())
    document = names.DOCUMENT.read_text()
    assert written(document, names.tables(measured)) == document


def test_every_pair_is_counted_once_and_a_third_is_apart() -> None:
    rows = [
        {
            "name_a": "Ann Lee",
            "name_b": f"Ann Lee {other}",
            "relation": "VARIANT",
            "kind": "married",
            "script_a": "Latin",
            "script_b": "Latin",
        }
        for other in ("Smith", "Young", "Planck")
    ]
    measured = names.measure(rows)
    assert measured["developed"]["VARIANT"]["VARIANT"] == 2
    assert measured["held_out"]["VARIANT"]["VARIANT"] == 1
    assert measured["scripts"]["Latin - Latin"]["VARIANT"]["VARIANT"] == 3
