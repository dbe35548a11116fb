"""How many requests, seconds and megabytes each command takes of reading a million photographs.

    python -m tests.benchmarks.million
    python -m tests.benchmarks.million --photographs 10000 100000 1000000

No photograph is uploaded, and no workflow runs. The records are computed from numbers
(`tests.benchmarks.seeded`), and stubs of S3, Step Functions, Athena and the other services answer
at once and count the requests (`tests.benchmarks.stub_cloud`). One photograph in twenty has a
match, and one in two hundred failed. A fifth as many versions as photographs were overwritten or
deleted. Every command runs in a process of its own, so that its peak of memory is its own.

The seconds are processor time of the command and of the stub. They hold no network, no pace of AWS
and no Athena.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import typer

from facematch.cli import options as where_options
from facematch.cli.main import app
from facematch.cli.terminal import output
from facematch.evidence.collect import collect
from tests.benchmarks.conditions import conditions, end_in_order, say, write
from tests.benchmarks.seeded import Digests, Seeded
from tests.benchmarks.stub_cloud import stub
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facematch.stack.deployment import Deployment

#: The most requests, whatever there is.
MOST_REQUESTS: Final = {"status": 60, "show": 30}
#: The most that a command holds, MB.
MOST_MEMORY: Final = 300
#: Commands whose requests follow the pairs alone.
OF_PAIRS: Final = ("matches", "evidence")
COMMANDS: Final = (
    *("status", "show", "matches", "failures", "forget --dry-run", "collection check", "audit"),
    "evidence",
)
_PAIRS_OF: Final = 40
_LIMIT: Final = 10_000


def seeded(photographs: int, *, pairs: int | None = None, today: date | None = None) -> Seeded:
    """Return seeded records for this number of photographs; by default one in 20 has a match."""
    return Seeded(
        photographs=photographs,
        pairs=photographs // _PAIRS_OF if pairs is None else pairs,
        last_day=today or datetime.now(UTC).date(),
    )


def arguments(command: str, records: Seeded) -> Sequence[str]:
    """Return what a person types."""
    shown = records.matched(records.pairs)
    return {
        # So long ago that every failure counts.
        "status": ("status", "--since", "60d"),
        "show": ("show", records.key(shown.slot)),
        "forget --dry-run": (
            *("forget", "--dry-run", "--name"),
            records.identity(records.matched(0).slot).name,
        ),
        "collection check": ("collection", "check"),
    }.get(command, (command,))


def run(command: str, deployment: Deployment, records: Seeded) -> None:
    """Run a command in this process, on the stub."""
    if command == "evidence":  # the page's pictures would need photographs
        collect(deployment, minimum=0, limit=_LIMIT)
        return
    with mock.patch.object(where_options.Where, "deployment", return_value=deployment):
        try:
            app(list(arguments(command, records)), standalone_mode=False)
        except typer.Exit as ended:  # collection check finds the faces that are lost
            if ended.exit_code > 1:
                raise


def counted(command: str, records: Seeded, digests: Digests) -> dict[str, Any]:
    """Run a command, and count."""
    deployment, requests = stub(records, digests)
    _imported(command)
    before = _peak()
    started, worked = time.perf_counter(), time.process_time()
    run(command, deployment, records)
    return {
        "requests": requests.counts.total(),
        "by_operation": dict(sorted(requests.counts.items())),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - worked,
        "stub_cpu_seconds": requests.seconds,
        "peak_mb": _peak(),
        "peak_mb_before": before,
    }


def _imported(command: str) -> None:
    """Import the command, which belongs to its start and not to its work."""
    if command != "evidence":
        importlib.import_module(f"facematch.cli.{command.partition(' ')[0]}")


def _peak() -> float:
    """Return the most memory that this process has held, MB; macOS counts bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def in_a_process(command: str, records: Seeded, table: Path) -> dict[str, Any]:
    """Measure a command in a process of its own.

    Raises
    ------
    SystemExit
        If it fails.
    """
    result = table.with_suffix(".json")
    process = subprocess.run(
        [
            *(sys.executable, "-m", "tests.benchmarks.million", "--one", command),
            *("--photographs", str(records.photographs), "--pairs", str(records.pairs)),
            *("--today", records.last_day.isoformat(), "--table", str(table)),
            *("--output", str(result)),
        ],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(table.parent / "home")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}: {process.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(result.read_text())
    say(
        f"{records.photographs:,} photographs, {command}: {found['requests']:,} requests, "
        f"{found['cpu_seconds']:.1f} s, {found['peak_mb']:.0f} MB"
    )
    return found


def measured(records: Seeded, commands: Sequence[str]) -> dict[str, Any]:
    """Measure these commands on these records."""
    with tempfile.TemporaryDirectory(prefix="million-") as temporary:
        table = Path(temporary) / "digests"
        # In a process of its own: a child's peak begins with that of its parent.
        subprocess.run(
            [
                *(sys.executable, "-m", "tests.benchmarks.million", "--one", "table"),
                *("--photographs", str(records.photographs), "--pairs", str(records.pairs)),
                *("--today", records.last_day.isoformat(), "--table", str(table)),
            ],
            cwd=PROJECT,
            check=True,
        )
        return {
            "pairs": records.pairs,
            "commands": {each: in_a_process(each, records, table) for each in commands},
        }


def table(document: dict[str, Any]) -> str:
    """Return the table of the documents, in Markdown: a column for each number of photographs."""
    sizes = document["photographs"]
    heads = [f"{int(size):,}" for size in sizes]
    lines = [
        "| command | requests at "
        + " | ".join(heads)
        + " | processor seconds at "
        + " | ".join(heads)
        + " | peak MB at "
        + " | ".join(heads)
        + " |",
        "|---" * (1 + 3 * len(heads)) + "|",
    ]
    for command in COMMANDS:
        found = [size["commands"][command] for size in sizes.values()]
        cells = [
            *(f"{each['requests']:,}" for each in found),
            *(f"{each['cpu_seconds']:,.1f}" for each in found),
            *(f"{each['peak_mb']:,.0f}" for each in found),
        ]
        lines.append(f"| `{command}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _one(options: argparse.Namespace) -> None:
    records = seeded(options.photographs[0], pairs=options.pairs, today=options.today)
    if options.one == "table":
        Digests.write(options.table, records)
    else:
        # As wide as a terminal; what is printed goes nowhere.
        output.width = 120
        write(counted(options.one, records, Digests(options.table)), options.output)


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--photographs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="N"
    )
    parser.add_argument("--output", type=Path)
    # What the processes of the commands are told.
    parser.add_argument("--one", choices=("table", *COMMANDS), help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--today", type=date.fromisoformat, help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _one(options)
        return 0
    end_in_order()
    sizes = sorted(options.photographs)
    asked = "python -m tests.benchmarks.million --photographs " + " ".join(map(str, sizes))
    circumstances = conditions(asked)
    # As many photographs as the last, and as many pairs as the first.
    few = measured(seeded(sizes[-1], pairs=sizes[0] // _PAIRS_OF), OF_PAIRS)
    document: dict[str, Any] = {"conditions": circumstances, "few_pairs": few, "photographs": {}}
    for size in sizes:
        document["photographs"][size] = measured(seeded(size), COMMANDS)
    write(document, options.output)
    with redirect_stdout(sys.stderr):
        print(table(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
