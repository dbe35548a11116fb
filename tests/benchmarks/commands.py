"""How long each command of reading takes, as a multiple of `facematch query pairs`.

    python -m tests.benchmarks.commands FOLDER --photographs 2000
    python -m tests.benchmarks.commands FOLDER --photographs 2000 --state DIR

FOLDER holds photographs whose files carry names. Where more are asked for than it holds, the others
are variations of them under further numbers of the same names, and one person in ten has a second
name (`tests.benchmarks.photographs`). A local cloud of its own takes them all. Then every command
runs as a process of its own, one after the other, in several turns. The first turn warms up and is
not counted. A multiple compares a command with `query pairs` of the same turn.

The upload takes minutes. `--state` keeps the local cloud in a folder, so that the next run with as
many photographs does without it. The photographs in it are people's: delete the folder at the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from facematch.local.state_folder import StateFolder
from facematch.stack.objects import Bucket
from facematch.stack.records import Records
from functions.matching.identity import FROM_FILE, compiled_names_from, name_in
from functions.matching.places import Place
from tests.benchmarks import photographs
from tests.benchmarks.conditions import conditions, end_in_order, say, spread, write
from tests.benchmarks.throughput import local_cloud
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facematch.stack.deployment import Deployment

#: What every other command is compared with.
YARDSTICK: Final = "query pairs"
#: At most this many times as long as the yardstick.
TARGETS: Final = {
    "matches": 1.5,
    "status": 0.5,
    "show": 0.5,
    "failures": 0.5,
    "forget --dry-run": 3.0,
    "collection check": 3.0,
    "audit": 2.0,
    "evidence": 2.0,
}
_NAMES_FROM: Final = compiled_names_from(FROM_FILE)


class Ran(NamedTuple):
    """A process that has ended."""

    seconds: float
    cpu_seconds: float


def commands(home: Path, key: str, name: str) -> dict[str, Sequence[str]]:
    """Return the arguments of each command, by the name that the table has for it."""
    return {
        YARDSTICK: ("query", "pairs"),
        # Without the table, which takes longer to draw than the pairs to find.
        "query pairs --json": ("query", "pairs", "--json"),
        "matches": ("matches",),
        "status": ("status",),
        "show": ("show", key),
        "failures": ("failures",),
        "forget --dry-run": ("forget", "--name", name, "--dry-run"),
        "collection check": ("collection", "check"),
        "audit": ("audit",),
        # One match: the records are read all the same, and there are two pictures to make.
        "evidence": ("evidence", "--limit", "1", "--to", str(home / "page")),
    }


def ran(home: Path, arguments: Sequence[str]) -> Ran:
    """Run a command to its end.

    Raises
    ------
    SystemExit
        If it fails.
    """
    log = home / "command.log"
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "facematch", *arguments, "--local"],
            cwd=PROJECT,
            env={**os.environ, "FACEMATCH_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        told = log.read_text(errors="replace")[-2000:]
        raise SystemExit(f"facematch {arguments[0]} ended with {process.returncode}: {told}")
    return Ran(seconds, used.ru_utime + used.ru_stime)


def uploaded(
    deployment: Deployment, home: Path, options: argparse.Namespace
) -> dict[str, float] | None:
    """Upload the photographs unless the local cloud holds them; return what that took."""
    images = Bucket.images(deployment)
    if sum(1 for _ in images.current(deployment.image_prefix)) == options.photographs:
        return None
    with tempfile.TemporaryDirectory(prefix="photographs-") as temporary:
        folder = Path(temporary)
        say(f"preparing {options.photographs:,} photographs")
        photographs.laid(
            photographs.sources(options.folder),
            options.photographs,
            folder,
            seed=options.seed,
            described="",
        )
        say("uploading them")
        took = ran(home, ("upload", str(folder), "--wait"))
    return took._asdict()


def example(deployment: Deployment) -> tuple[str, str]:
    """Return the key of a photograph that matches, and the name of most photographs that do."""
    records = Records(deployment)
    keys = sorted({row["key"] for row in records.read(records.keys(Place.MATCHES))})
    if not keys:
        raise SystemExit("No photograph matches another one. Name a folder with more people.")
    names = [name_in(key, _NAMES_FROM) or "" for key in keys]
    return keys[len(keys) // 2], max(sorted(set(names)), key=names.count)


def measured(home: Path, deployment: Deployment, *, turns: int) -> dict[str, Any]:
    """Run every command once a turn; the first turn warms up and is not counted."""
    asked = commands(home, *example(deployment))
    runs: dict[str, list[Ran]] = {name: [] for name in asked}
    for turn in range(turns + 1):
        for name, arguments in asked.items():
            took = ran(home, arguments)
            if turn:
                runs[name].append(took)
            say(f"turn {turn}, {name}: {took.seconds:.2f} s")
    return {
        name: {
            "seconds": spread(each.seconds for each in took),
            "cpu_seconds": spread(each.cpu_seconds for each in took),
            "multiple": spread(
                each.seconds / of.seconds for each, of in zip(took, runs[YARDSTICK], strict=True)
            ),
            "target": TARGETS.get(name),
        }
        for name, took in runs.items()
    }


def held(deployment: Deployment) -> dict[str, int]:
    """Count what the local cloud holds."""
    records = Records(deployment)
    places = (Place.REPORTS, Place.MATCHES, Place.LOOK_ALIKES, Place.FAILURES)
    return {place.kind: sum(1 for _ in records.keys(place)) for place in places}


def table(document: dict[str, Any]) -> str:
    """Return the table of the documents, in Markdown."""
    lines = [
        "| command | seconds | times `query pairs`: median (least to most) | target |",
        "|---|---|---|---|",
    ]
    for name, found in document["commands"].items():
        times, target = found["multiple"], found["target"]
        lines.append(
            f"| `{name}` | {found['seconds']['median']:.2f} "
            f"| {times['median']:.2f} ({times['min']:.2f} to {times['max']:.2f}) "
            f"| {target or ''} |"
        )
    return "\n".join(lines) + "\n"


@contextmanager
def _home(state: Path | None, images: int) -> Iterator[Path]:
    """The folder of the local cloud, kept or temporary."""
    if state is None:
        with tempfile.TemporaryDirectory(prefix="commands-") as temporary:
            yield Path(temporary)
    else:
        home = state / str(images)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield home


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--photographs", type=int, default=2000, metavar="N")
    parser.add_argument("--turns", type=int, default=5, help="that are counted")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep the local cloud there")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    end_in_order()
    command = f"python -m tests.benchmarks.commands FOLDER --photographs {options.photographs}"
    circumstances = conditions(f"{command} --turns {options.turns}")
    with (
        _home(options.state, options.photographs) as home,
        local_cloud(StateFolder(home)) as (_, deployment),
    ):
        document = {
            "conditions": circumstances,
            "photographs": options.photographs,
            "upload": uploaded(deployment, home, options),
            "records": held(deployment),
            "commands": measured(home, deployment, turns=options.turns),
        }
    say(table(document))
    write(document, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
