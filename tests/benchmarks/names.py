"""Measures docs/names.md: ``python -m tests.benchmarks.names CSV [--output FILE]``.

CSV holds labelled pairs of names: name_a, name_b, relation, kind, script_a, script_b. A third of
them, drawn with a fixed seed, was put aside while the rules were written, and is reported apart.
Without CSV the command only writes the tables of the document, out of the figures that are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from functions.matching import names
from functions.matching.names import relation
from functions.matching.relations import Relation
from tests.benchmarks.accuracy import written
from tests.benchmarks.conditions import conditions, say, write
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DOCUMENT: Final = PROJECT / "docs" / "names.md"
MEASURED: Final = PROJECT / "docs" / "measured" / "names.json"
_SEED: Final = 2026
_REPEATS: Final = 5
_LABELS: Final = ("VARIANT", "SHARED_PART", "UNRELATED")

Row = dict[str, str]
#: How often each relation was found, by the label of the pair.
Matrix = dict[str, dict[str, int]]


def measure(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how the pairs were called: the rules' own pairs, those put aside, kinds, scripts."""
    aside = put_aside(len(rows))
    found = [relation(row["name_a"], row["name_b"]) for row in rows]
    called = list(zip(rows, found, strict=True))
    return {
        "pairs": len(rows),
        "seed": _SEED,
        "developed": _matrix(pair for i, pair in enumerate(called) if i not in aside),
        "held_out": _matrix(pair for i, pair in enumerate(called) if i in aside),
        "kinds": _grouped(called, lambda row: f"{row['relation']} {row['kind']}"),
        "held_out_kinds": _grouped(
            [pair for i, pair in enumerate(called) if i in aside],
            lambda row: f"{row['relation']} {row['kind']}",
        ),
        "scripts": _grouped(
            called, lambda row: " - ".join(sorted((row["script_a"], row["script_b"])))
        ),
        "pairs_per_second": _speed(rows),
    }


def put_aside(pairs: int) -> frozenset[int]:
    """Return the places of the pairs that were not looked at while the rules were written."""
    places = list(range(pairs))
    random.Random(_SEED).shuffle(places)
    return frozenset(places[: pairs // 3])


def _matrix(called: Iterable[tuple[Row, Relation]]) -> Matrix:
    counts = Counter((row["relation"], found.value) for row, found in called)
    return {
        label: {found.value: counts[label, found.value] for found in Relation} for label in _LABELS
    }


def _grouped(
    called: Sequence[tuple[Row, Relation]], group: Callable[[Row], str]
) -> dict[str, Matrix]:
    groups = sorted({group(row) for row, _ in called})
    return {name: _matrix(pair for pair in called if group(pair[0]) == name) for name in groups}


def _speed(rows: Sequence[Row]) -> dict[str, float]:
    """Return the pairs a second of processor time: names never seen before, and seen before."""
    fresh, known = [], []
    for _ in range(_REPEATS):
        _forget_names()
        fresh.append(_seconds(rows))
        known.append(_seconds(rows))
    return {"fresh": len(rows) / min(fresh), "known": len(rows) / min(known)}


def _forget_names() -> None:
    """Empty the caches of the package, so that the next names are read anew."""
    modules = [module for name, module in sys.modules.items() if name.startswith(names.__name__)]
    for value in [value for module in modules for value in vars(module).values()]:
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def _seconds(rows: Sequence[Row]) -> float:
    started = time.process_time()
    for row in rows:
        relation(row["name_a"], row["name_b"])
    return time.process_time() - started


def tables(measured: dict[str, Any]) -> dict[str, str]:
    """Return what stands between the markers of the document, by their names."""
    speed, told = measured["pairs_per_second"], measured["conditions"]
    return {
        "all": _table(
            "pairs of the label",
            [
                *((f"{label}, rules' own", row) for label, row in measured["developed"].items()),
                *((f"{label}, put aside", row) for label, row in measured["held_out"].items()),
            ],
        ),
        "kinds": _table("kind", _flat(measured["kinds"])),
        "held_out_kinds": _table("kind", _flat(measured["held_out_kinds"])),
        "scripts": _table("scripts and label", _flat(measured["scripts"], labelled=True)),
        "speed": (
            f"{speed['fresh']:,.0f} pairs a second of names never seen before, "
            f"{speed['known']:,.0f} of known names. {told['date']}, one core of "
            f"{told['processor']}, Python {told['python']}; load before: {told['load_before']}."
        ),
    }


def _flat(
    groups: dict[str, Matrix], *, labelled: bool = False
) -> Iterable[tuple[str, dict[str, int]]]:
    for name, matrix in groups.items():
        for label, row in matrix.items():
            if sum(row.values()):
                yield (f"{name}: {label}" if labelled else name), row


def _table(head: str, rows: Iterable[tuple[str, dict[str, int]]]) -> str:
    lines = [[head, "pairs", *Relation], ["---"] + ["---:"] * (len(Relation) + 1)]
    lines += [
        [name, str(sum(row.values())), *(str(row[found]) for found in Relation)]
        for name, row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=Path, nargs="?", help="CSV; else only the tables")
    parser.add_argument("--output", type=Path, help="where the figures are kept")
    options = parser.parse_args()
    if options.pairs:
        told = conditions("python -m tests.benchmarks.names CSV --output docs/measured/names.json")
        with options.pairs.open(newline="", encoding="utf-8") as file:
            measured = {"conditions": told, **measure(list(csv.DictReader(file)))}
        write(measured, options.output)
        for name, table in tables(measured).items():
            say(f"{name}\n{table}\n")
    if not options.pairs or (options.output and options.output.resolve() == MEASURED):
        figures = json.loads(MEASURED.read_text())
        DOCUMENT.write_text(written(DOCUMENT.read_text(), tables(figures)))


if __name__ == "__main__":
    _main()
