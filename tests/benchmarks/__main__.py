"""`make bench`: all measurements, one after the other, within about 20 minutes on two cores.

    make bench
    make bench PHOTOS=folder OUTPUT=folder ARGS='throughput alternatives'

Each part is a process of its own and writes its JSON into the output folder; then the tables are
printed. It ends by itself: a part that takes too long is ended, and what it started ends with it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.benchmarks import photographs, tables
from tests.benchmarks.conditions import end_in_order, say
from workflow.project import PROJECT

PARTS: Final = {
    "engine": [],
    "search": [],
    "throughput": ["--images", "300", "--images", "2000", "--once", "5000"],
    "alternatives": ["--images", "600"],
}
#: With two people only, each image matches half of the others: more would only take longer.
_OF_THE_DEMO: Final = ["--images", "300", "--images", "1000"]
_WITHOUT_PHOTOGRAPHS: Final = {"search"}
_PATIENCE_SECONDS: Final = 2400
_END_SECONDS: Final = 120


def main() -> int:
    """Run the parts; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    photographs.add_options(parser)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=PROJECT / ".facematch" / "bench")
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    end_in_order()
    failed = []
    for part in options.parts or PARTS:
        arguments = [*PARTS[part], "--output", str(options.output / f"{part}.json")]
        if part not in _WITHOUT_PHOTOGRAPHS:
            arguments += ["--runs", str(options.runs), "--seed", str(options.seed)]
            arguments += ["--photos", str(options.photos)] if options.photos else []
            arguments += ["--aliases", str(options.aliases)] if options.aliases else []
        if part == "throughput" and not options.photos:
            arguments[: len(PARTS[part])] = _OF_THE_DEMO
        started = time.monotonic()
        if _ended(part, arguments):
            failed.append(part)
        say(f"{part}: {time.monotonic() - started:.0f} s")
    for name, text in tables.tables(options.output).items():
        print(f"\n## {name}\n\n{text}")
    if failed:
        say(f"Failed, or not to be counted: {', '.join(failed)}")
    return 1 if failed else 0


def _ended(part: str, arguments: list[str]) -> int:
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.{part}", *arguments], cwd=PROJECT
    )
    try:
        return process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        say(f"{part} was ended after {_PATIENCE_SECONDS} s")
        return 1
    finally:
        process.terminate()  # it ends in order what it has started
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
