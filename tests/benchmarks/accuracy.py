"""Measures docs/accuracy.md: ``python -m tests.benchmarks.accuracy DIR --same FILE``.

It writes LFW's kind of pairs for the photographs in DIR, measures all pairs and those, keeps the
figures in docs/measured/accuracy.json and the curve in docs/measured/reference_sample.json, and
writes the tables between the markers of the document.
Without DIR it only writes the tables, out of the figures that are kept. The page with the faces is
made in a temporary folder and deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facematch.evaluation.faces import found_by_engine
from facematch.evaluation.labels import Persons, labelled_photographs, read_persons
from facematch.evaluation.reference import DATA, Reference
from facematch.evaluation.wording import (
    best_rows,
    expected_rows,
    seldom,
    sentences,
    single_subject_rows,
    single_subject_title,
    threshold_rows,
)
from facematch.local.rekognition.faces import QualityFilter, similarity
from functions.matching.identity import FROM_FILE, compiled_names_from
from tests.benchmarks.lfw import read_pairs, run_protocol, write_pairs
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT = PROJECT / "docs" / "accuracy.md"
MEASURED = PROJECT / "docs" / "measured" / "accuracy.json"
CURVE = PROJECT / "docs" / "measured" / "reference_sample.json"


def tables(figures: dict[str, Any], curve: dict[str, Any]) -> dict[str, str]:
    """What stands between the markers, by their names."""
    conditions, sample, protocol = (figures[name] for name in ("conditions", "sample", "protocol"))
    return {
        "sample": (
            f"{conditions['date']}, {conditions['data_set']}: {sample['faces']:,} faces of "
            f"{sample['people']:,} people under {sample['names']:,} names, "
            f"{sample['same_person_pairs']:,} pairs of one person and "
            f"{sample['different_person_pairs']:,} of different people; model "
            f"`{conditions['face_model_version']}`, Python {conditions['python']}. "
            f"{sentences(figures)[0]}"
        ),
        "thresholds": _table(*threshold_rows(figures)),
        "single": f"{single_subject_title(figures)}.\n\n{_table(*single_subject_rows(figures))}",
        "best": _table(*best_rows(figures)),
        "expected": _table(*expected_rows(figures)),
        "curve": _table(*_curve_rows(curve)),
        "protocol": (
            f"**{protocol['accuracy']:.4f} ± {protocol['standard_error']:.4f}** "
            f"({len(protocol['folds'])} folds, {protocol['pairs']:,} pairs, "
            f"{protocol['pairs_without_face']:,} with a photograph without a usable face). The "
            "thresholds chosen lie between "
            f"{min(fold['threshold'] for fold in protocol['folds']):.1f} and "
            f"{max(fold['threshold'] for fold in protocol['folds']):.1f} %."
        ),
    }


def _curve_rows(curve: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the sample's curve beside the reference curve, where both are known."""
    reference, pairs = Reference.read(), json.loads(DATA.read_text())["pairs_of_different_people"]
    head = ["Cosine", "Similarity, %", "Reference rate", "Reference false matches, about"]
    head += ["Sample rate", "Sample false matches", "Sample rate / reference rate"]
    rows = []
    for point in curve["false_matches"]:
        rate, bound = reference.rate(point["cosine"])
        if not bound:
            rows.append(
                [
                    f"{point['cosine']:.2f}",
                    f"{similarity(point['cosine']):.1f}",
                    seldom(rate),
                    f"{float(f'{rate * pairs:.2g}'):,.0f}",
                    f"{seldom(point['rate'])} ({seldom(point['low'])} to {seldom(point['high'])})",
                    f"{point['count']:,}",
                    f"{point['rate'] / rate:.2f}",
                ]
            )
    return head, rows


def written(text: str, made: dict[str, str]) -> str:
    """The document with these tables between its markers."""
    for name, table in made.items():
        text, found = re.subn(
            rf"(<!-- table {name} -->\n).*?(<!-- end -->)",
            lambda marks, table=table: f"{marks[1]}{table}\n{marks[2]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
        if found != 1:
            raise SystemExit(f"{DOCUMENT} has {found} places for the table {name!r}, not one.")
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _measure(folder: Path, same: Path | None, data_set: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "facematch", "evaluate", str(folder)]
        command += ["--same", str(same)] if same else []
        command += ["--data-set", data_set, "--to", f"{temporary}/page", "--output", str(MEASURED)]
        command += ["--reference", str(CURVE)]
        subprocess.run(command, check=True)
        figures = json.loads(MEASURED.read_text())
        figures["protocol"] = _protocol(folder, same, Path(temporary) / "pairs.txt")
    MEASURED.write_text(json.dumps(figures, indent=2) + "\n")


def _protocol(folder: Path, same: Path | None, file: Path) -> dict[str, Any]:
    """What LFW's protocol finds for pairs that are drawn from the folder."""
    photographs = labelled_photographs(folder, compiled_names_from(FROM_FILE)).photographs
    persons = read_persons(same) if same else Persons()
    file.write_text(write_pairs(photographs, persons, seed=1))
    found = found_by_engine(
        photographs,
        max_faces=1,
        quality_filter=QualityFilter.AUTO,
        processes=os.cpu_count() or 1,
        done=lambda: None,
    )
    return run_protocol(read_pairs(file, photographs), found).to_document()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of photographs; else only the tables")
    parser.add_argument("--same", type=Path, help="CSV name_a,name_b: one person's names")
    parser.add_argument("--data-set", default="LFW sample", help="what the photographs are called")
    options = parser.parse_args()
    if options.folder:
        _measure(options.folder, options.same, options.data_set)
    figures, curve = (json.loads(file.read_text()) for file in (MEASURED, CURVE))
    DOCUMENT.write_text(written(DOCUMENT.read_text(), tables(figures, curve)))
