"""Measures the query `conflicts`: ``python -m tests.benchmarks.conflicts FOLDER [--output FILE]``.

FOLDER holds photographs whose files carry names, as those of Labeled Faces in the Wild do. In each
round, every person with two photographs or more gets one of somebody else, drawn with a fixed seed,
under their own name. The names of a round end in its number, so that no round knows another's
records. A local cloud in a temporary folder has them all. Counted is how many of the strangers the
query lists, and how many photographs of the people themselves.

Without FOLDER the command only writes the table of the document, out of the figures that are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.files.photographs import listed
from facematch.local.cloud import LocalCloud
from facematch.local.state_folder import StateFolder
from facematch.operations.conflicts import conflicts
from facematch.operations.upload import Uploader, wait_for_outcomes
from facematch.stack.deployment import on_local_cloud
from facematch.stack.records import Records
from functions.matching.identity import FROM_FILE, compiled_names_from, name_in
from functions.matching.places import Place
from functions.matching.reports import Outcome
from tests.benchmarks.accuracy import written
from tests.benchmarks.conditions import conditions, say, write
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DOCUMENT: Final = PROJECT / "docs" / "queries.md"
MEASURED: Final = PROJECT / "docs" / "measured" / "conflicts.json"
_SEED: Final = 2026
_ROUNDS: Final = 5
_NAMES_FROM: Final = compiled_names_from(FROM_FILE)
_STRANGERS: Final = "strangers"
_OWN: Final = "own"

#: Photographs by the name of the person.
People = dict[str, list[Path]]


def people_in(folder: Path) -> People:
    """Return the photographs of a folder by the names that its files carry."""
    people: People = defaultdict(list)
    for file in listed(folder).files:
        if name := name_in(file.key, _NAMES_FROM):
            people[name].append(file.path)
    return {name: sorted(paths) for name, paths in sorted(people.items())}


def strangers(
    people: People, aliases: Iterable[tuple[str, str]], chance: random.Random
) -> dict[str, Path]:
    """Draw a photograph of another person for each person with two photographs or more.

    Parameters
    ----------
    aliases
        Pairs of names that are one person.
    """
    same = {frozenset(pair) for pair in aliases}
    drawn = {}
    for name, own in people.items():
        if len(own) > 1:
            others = [other for other in people if other != name and {name, other} not in same]
            drawn[name] = chance.choice(people[chance.choice(others)])
    return drawn


def plant(people: People, planted: Sequence[Mapping[str, Path]], folder: Path) -> dict[str, str]:
    """Copy the photographs of all rounds into a folder.

    Returns
    -------
    dict
        `_STRANGERS` or `_OWN` by the name of the file.
    """
    kinds = {}
    for number, of_round in enumerate(planted, 1):
        for name, stranger in of_round.items():
            copies = [(path, _OWN) for path in people[name]] + [(stranger, _STRANGERS)]
            for place, (path, kind) in enumerate(copies, 1):
                file = f"{name}-round-{number}_{place:04}{path.suffix}"
                shutil.copyfile(path, folder / file)
                kinds[file] = kind
    return kinds


def measure(people: People, aliases: Sequence[tuple[str, str]], rounds: int) -> dict[str, Any]:
    """Return how many photographs of each kind there were, and how many the query lists."""
    chance = random.Random(_SEED)
    planted = [strangers(people, aliases, chance) for _ in range(rounds)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photographs"
        folder.mkdir()
        kinds = plant(people, planted, folder)
        with LocalCloud(StateFolder(Path(temporary) / "cloud")) as cloud:
            assert cloud.running
            deployment = on_local_cloud(cloud.running, cloud.home)
            uploader = Uploader(deployment)
            versions, errors = uploader.upload(uploader.plan(folder).new, done=lambda _: None)
            assert not errors, errors
            wait_for_outcomes(deployment, versions, finished=lambda _: None)
            records = Records(deployment)
            with_face = {
                Path(report["key"]).name
                for report in records.read(list(records.keys(Place.REPORTS)))
                if report["status"] != Outcome.NO_FACE
            }
            found = {Path(conflict.key).name for conflict in conflicts(deployment)}
    counted: dict[str, Any] = {
        kind: _counted({file for file in kinds if kinds[file] == kind}, with_face, found)
        for kind in (_STRANGERS, _OWN)
    }
    for file in sorted(with_face):
        if (file in found) != (kinds[file] == _STRANGERS):
            say(f"{'listed' if file in found else 'not listed'}: {file}")
    return {"seed": _SEED, "rounds": rounds, "people": len(planted[0]), **counted}


def _counted(files: set[str], with_face: set[str], found: set[str]) -> dict[str, int]:
    return {
        "photographs": len(files),
        "with_face": len(files & with_face),
        "listed": len(files & found),
    }


def table(measured: dict[str, Any]) -> str:
    """Return what stands between the markers of the document."""
    lines = [["photographs", "with a face", "listed", "share"], ["---", *["---:"] * 3]]
    for kind, words in (
        (_STRANGERS, "of another person, under the record's name"),
        (_OWN, "of the person"),
    ):
        row = measured[kind]
        lines.append(
            [
                words,
                f"{row['with_face']:,}",
                f"{row['listed']:,}",
                f"{100 * row['listed'] / row['with_face']:.1f} %",
            ]
        )
    told = measured["conditions"]
    return "\n".join(
        [
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"{measured['rounds']} rounds with {measured['people']} people, {told['date']}, "
            f"`{told['command']}`.",
        ]
    )


def _aliases(folder: Path) -> list[tuple[str, str]]:
    file = folder / "aliases.csv"
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as read:
        return [(row["name_a"], row["name_b"]) for row in csv.DictReader(read)]


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="photographs; else only the table")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--output", type=Path, help="where the figures are kept")
    options = parser.parse_args()
    if options.folder:
        told = conditions("python -m tests.benchmarks.conflicts FOLDER")
        found = measure(people_in(options.folder), _aliases(options.folder), options.rounds)
        measured = {"conditions": told, **found}
        write(measured, options.output)
        say(table(measured))
    if not options.folder or (options.output and options.output.resolve() == MEASURED):
        shown = {"conflicts": table(json.loads(MEASURED.read_text()))}
        DOCUMENT.write_text(written(DOCUMENT.read_text(), shown))


if __name__ == "__main__":
    _main()
