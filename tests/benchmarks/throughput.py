"""How fast the local cloud is from the first upload to the last outcome, and what it costs.

    python -m tests.benchmarks.throughput
    python -m tests.benchmarks.throughput --photos DIR --images 300 --images 2000 --images 5000

Each run has a local cloud of its own in a temporary folder, held as `facematch local start` holds
it, and a client process that uploads as `facematch upload --wait` does. Before the clock starts
every photograph lies on disk, and a few others have gone the whole way, so that every function has
been started. The clock runs from just before the first upload to the end of the last execution;
then it is checked that every photograph has an outcome and none has failed.

Right before each run the face engine is measured alone, on the same photographs and on all cores,
so that the two can be divided.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.local.state_folder import StateFolder
from facematch.stack.deployment import PARALLEL, Deployment, on_local_cloud
from facematch.stack.objects import Bucket
from facematch.stack.records import Records, digest_of
from functions.matching.places import Place
from tests.benchmarks import engine, photographs
from tests.benchmarks.conditions import (
    conditions,
    cores,
    end_in_order,
    percentiles,
    say,
    write,
)
from tests.benchmarks.processes import CLIENT, Watch
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_START_SECONDS: Final = 120
_STOP_SECONDS: Final = 60
#: A run that is slower than this is given up.
_LEAST_IMAGES_PER_SECOND: Final = 1.0
_SAMPLED: Final = 200
_TENTHS: Final = 10


class Invalid(Exception):  # noqa: N818 - reads as what the run is
    """The run measured nothing; the text says why."""


@dataclass(frozen=True)
class Ran:
    """An execution: when its image was stored, when it started and stopped, in seconds."""

    arn: str
    digest: str
    stored: float
    started: float
    stopped: float


def run(pile: photographs.Pile, warm_up: Path, homes: Path) -> dict[str, Any]:
    """One run: what it took. Its `problems` are empty when it counts.

    Parameters
    ----------
    homes
        Where its local cloud is kept, until all runs are done: ext4 without a journal passes over
        what was deleted in the last minutes, one by one, whenever a file is made, and the next
        run would be slower by what the one before has left.

    Raises
    ------
    Invalid
        When the local cloud did not start or the photographs did not finish.
    """
    images = len(pile.people)
    home = Path(tempfile.mkdtemp(prefix="throughput-", dir=homes))
    with local_cloud(StateFolder(home)) as (holder, deployment), _client(home) as client:
        client.ask(warm_up, seconds=_START_SECONDS)
        _at_rest(deployment)
        with Watch([holder, client.pid]) as watch:
            told = client.ask(
                pile.folder, seconds=_START_SECONDS + images / _LEAST_IMAGES_PER_SECOND
            )
        problems = _problems(told, images)
        ran = _executions(deployment, told["started"])
        if len(ran) != images:
            problems.append(f"{images} photographs, but {len(ran)} executions that have ended")
        if not ran:
            raise Invalid("; ".join(problems))
        last = max(each.stopped for each in ran)
        cpu = watch.account.cpu_seconds()
        if cpu:
            cpu[CLIENT] = told["cpu_seconds"]  # without its start, which the other has
        return {
            "images": images,
            "valid": not problems,
            "problems": problems,
            "seconds": last - told["started"],
            "images_per_second": images / (last - told["started"]),
            "upload_seconds": told["uploaded"] - told["started"],
            "outcomes": {name: told[name] for name in ("reported", "rejected", "failed")},
            "matched": _matched(deployment, {each.digest for each in ran}),
            "images_per_second_by_tenth": tenths([each.stopped for each in ran], told["started"]),
            "queue_seconds": percentiles(each.started - each.stored for each in ran),
            "execution_seconds": percentiles(each.stopped - each.started for each in ran),
            "state_seconds": _states(deployment, ran),
            "cpu_ms_per_image": {
                part: 1000 * seconds / images for part, seconds in sorted(cpu.items())
            },
            "cpu_ms_per_image_total": 1000 * sum(cpu.values()) / images if cpu else None,
            "peak_mb": dict(sorted(watch.account.peak_mb.items())),
            "peak_mb_total": watch.account.peak_total_mb or None,
            "watching_cpu_seconds": watch.own_cpu_seconds,
        }


@contextmanager
def local_cloud(home: StateFolder) -> Iterator[tuple[int, Deployment]]:
    """A local cloud, and the process that holds it; both are gone afterwards."""
    log = home.folder / "holder.log"
    with log.open("wb") as output:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.holder", str(home.folder)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us, who then end it in order
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while (running := home.running()) is None:
            if holder.poll() is not None or time.monotonic() > deadline:
                raise Invalid(f"the local cloud did not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield holder.pid, on_local_cloud(running, home)
    finally:
        assert holder.stdin
        holder.stdin.close()
        _end(holder)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait until it has ended, also when a signal comes meanwhile: it writes into our folder."""
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        process.wait(_STOP_SECONDS)


class _Client:
    """The process that uploads."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def ask(self, folder: Path, *, seconds: float) -> dict[str, Any]:
        """Have a folder uploaded, and wait for what came of it."""
        assert self._process.stdin
        self._process.stdin.write(os.fsencode(folder) + b"\n")
        self._process.stdin.flush()
        return self.answer(seconds)

    def answer(self, seconds: float) -> dict[str, Any]:
        """The next line that it says."""
        output = self._process.stdout
        assert output
        readable, _, _ = select.select([output], [], [], seconds)
        line = output.readline() if readable else b""
        if not line:
            raise Invalid(
                "the client ended" if readable else f"the client was not done after {seconds:.0f} s"
            )
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def _client(home: Path) -> Iterator[_Client]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.client"],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    client = _Client(process)
    try:
        client.answer(_START_SECONDS)
        yield client
    finally:
        process.kill()
        process.communicate()


def _at_rest(deployment: Deployment) -> None:
    """Wait until nothing runs any more; what ends an execution may still be told."""
    stepfunctions = deployment.make_client("stepfunctions")
    deadline = time.monotonic() + _START_SECONDS
    while stepfunctions.list_executions(
        stateMachineArn=deployment.state_machine_arn, statusFilter="RUNNING"
    )["executions"]:
        if time.monotonic() > deadline:
            raise Invalid(f"the warm-up did not end within {_START_SECONDS} s")
        time.sleep(0.2)
    time.sleep(2)


def _problems(told: Mapping[str, Any], images: int) -> list[str]:
    """Why a run does not count; empty when every photograph has an outcome and none failed."""
    outcomes = told["reported"] + told["rejected"]
    problems = [f"{told[name]} {name.replace('_', ' ')}" for name in ("failed", "not_uploaded")]
    return [
        *(problem for problem in problems if not problem.startswith("0 ")),
        *([f"{outcomes} of {images} have an outcome"] if outcomes != images else []),
    ]


def _executions(deployment: Deployment, since: float) -> list[Ran]:
    """The executions of the photographs, without those of the warm-up."""
    versions = {
        image.execution_name: (image.digest, image.last_modified.timestamp())
        for image in Bucket.images(deployment).current(deployment.image_prefix)
    }
    pages = deployment.make_client("stepfunctions").get_paginator("list_executions")
    return [
        Ran(item["executionArn"], digest, stored, started, item["stopDate"].timestamp())
        for page in pages.paginate(stateMachineArn=deployment.state_machine_arn)
        for item in page["executions"]
        if item["name"] in versions and "stopDate" in item
        for digest, stored in [versions[item["name"]]]
        for started in [item["startDate"].timestamp()]
        if stored >= since - 1 and started >= since
    ]


def _matched(deployment: Deployment, digests: set[str]) -> int:
    """How many of these versions' reports list a match under another name."""
    return len(digests & {digest_of(key) for key in Records(deployment).keys(Place.MATCHES)})


def tenths(stopped: Sequence[float], started: float) -> list[float]:
    """Images a second of each tenth of the images, in the order in which they ended."""
    ordered = sorted(stopped)
    bounds = [round(len(ordered) * part / _TENTHS) for part in range(_TENTHS + 1)]
    times = [started, *(ordered[bound - 1] for bound in bounds[1:])]
    return [
        (bounds[part + 1] - bounds[part]) / max(times[part + 1] - times[part], 0.001)
        for part in range(_TENTHS)
    ]


def _states(deployment: Deployment, ran: Sequence[Ran]) -> dict[str, dict[str, float]]:
    """Seconds that a sample of the executions spent in each state."""
    stepfunctions = deployment.make_client("stepfunctions")
    sample = random.Random(1).sample(ran, min(_SAMPLED, len(ran)))

    def history(each: Ran) -> list[dict[str, Any]]:
        pages = stepfunctions.get_paginator("get_execution_history").paginate(executionArn=each.arn)
        return [event for page in pages for event in page["events"]]

    seconds: dict[str, list[float]] = {}
    with ThreadPoolExecutor(PARALLEL) as pool:
        for events in pool.map(history, sample):
            for state, spent in state_seconds(events):
                seconds.setdefault(state, []).append(spent)
    return {state: percentiles(spent) for state, spent in seconds.items()}


def state_seconds(events: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Each state of an execution's history, and how long it took, waiting for a slot included."""
    entered: dict[str, float] = {}
    for event in events:
        if event["type"].endswith("StateEntered"):
            entered[event["stateEnteredEventDetails"]["name"]] = event["timestamp"].timestamp()
        elif event["type"].endswith("StateExited"):
            state = event["stateExitedEventDetails"]["name"]
            yield state, event["timestamp"].timestamp() - entered.pop(state)


def main() -> int:
    """Measure; 1 when a run does not count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    photographs.add_options(parser)
    parser.add_argument("--images", type=int, action="append", help="again for each size")
    parser.add_argument("--once", type=int, action="append", help="a size that is run only once")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engine-seconds", type=float, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    end_in_order()
    sizes = options.images or ([] if options.once else [300, 2000])
    once = options.once or []
    told = [
        *(f"--images {images}" for images in sizes),
        *(f"--once {images}" for images in once),
        f"--runs {options.runs}",
    ]
    measured: dict[str, Any] = {
        "conditions": conditions(f"python -m tests.benchmarks.throughput {' '.join(told)}"),
        "runs": [],
    }
    found = photographs.sources(options.photos, options.aliases)
    described = photographs.described(options.photos)
    with tempfile.TemporaryDirectory(prefix="photographs-") as temporary:
        warm_up = Path(temporary) / "warm"
        photographs.lay_warm_up(found, warm_up, seed=options.seed)
        piles: list[photographs.Pile] = []
        for images in [*sizes, *once]:
            say(f"preparing {images:,} photographs")
            folder = Path(temporary) / str(len(piles))
            piles.append(
                photographs.laid(found, images, folder, seed=options.seed, described=described)
            )
        for number in range(options.runs):
            for pile in piles[: len(sizes)] if number else piles:
                measured["runs"].append(_told(pile, warm_up, options.engine_seconds, number))
                if options.output:  # what was measured is kept, whatever happens to the next run
                    write(measured, options.output)
    if options.output is None:
        write(measured, None)
    return 0 if all(each["valid"] for each in measured["runs"]) else 1


def _told(
    pile: photographs.Pile, warm_up: Path, engine_seconds: float, number: int
) -> dict[str, Any]:
    """One run with the engine's own before it, and a line about it."""
    bodies = [path.read_bytes() for path in list(pile.people)[:300]]
    alone = engine.measured(bodies, processes=cores(), seconds=engine_seconds)
    try:
        done = run(pile, warm_up, warm_up.parent)
    except Invalid as error:
        say(f"run {number + 1}, {len(pile.people):,} photographs: INVALID: {error}")
        return {"images": len(pile.people), "valid": False, "problems": [str(error)]}
    share = done["images_per_second"] / alone["images_per_second"]
    say(
        f"run {number + 1}, {done['images']:,} photographs: "
        f"{done['images_per_second']:.1f} images/s, {share:.0%} of the engine alone"
        + "".join(f"; INVALID: {problem}" for problem in done["problems"])
    )
    return {**done, **pile.facts(), "engine": alone, "share_of_engine": share}


if __name__ == "__main__":
    sys.exit(main())
