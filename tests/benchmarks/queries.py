"""Measures the queries on a local cloud of its own: ``python -m tests.benchmarks.queries``.

Records are made by the workflow's own writer, one object for each image, over thirty days; three
images in ten have match rows, three on average. They are laid into the local cloud's state while
it is stopped, as it keeps them itself. Printed are seconds: of the first query, which reads every
object; then for each query the median of three when nothing has changed, and of three after one
image more. Beside the time there is what the emulator's process computed meanwhile (Linux only):
on a busy machine that is the figure to compare.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facematch.local.cloud import LocalCloud
from facematch.local.emulator.addresses import ACCOUNT
from facematch.local.state_folder import StateFolder
from facematch.operations import query as command
from facematch.stack.athena import run
from facematch.stack.deployment import Deployment, on_local_cloud
from functions.matching.decisions import Decided
from functions.matching.errors import Reason
from functions.matching.failures import FailureStatus
from tests.pile import Photograph, Pile
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = 3
_DAY = 24 * 60
_WRITTEN = "2026-11-22T09:00:00.000Z"
_PARAMETERS = {
    "pair_photographs": ["name=Person 000001", "other_name=Person 000002"],
    "history": ["key=images/Person 000001_1.jpg"],
}


def made(images: int) -> Pile:
    """So many images, five for a name, one in a hundred rejected and one in a hundred faceless."""
    chance = random.Random(images)
    pile = Pile()
    photographs = [
        Photograph(
            f"images/Person {number // 5:06}_{number % 5}.jpg",
            minute=round(chance.uniform(-29 * _DAY, 0), 3),
        )
        for number in range(images)
    ]
    for number, photograph in enumerate(photographs):
        kind = chance.random()
        if kind < 0.01:
            pile.failed(photograph, FailureStatus.REJECTED, Reason.NOT_JPEG_OR_PNG)
        elif kind < 0.02:
            pile.reported(photograph, faces=0)
        elif kind < 0.32:
            # Look-alikes are a few names that resemble each other.
            near = [
                other
                for other in photographs[max(0, number - 15) : number + 15]
                if other.name != photograph.name
            ]
            found = chance.sample(near, min(len(near), chance.randint(1, 5)))
            pile.reported(
                photograph,
                *((other, chance.uniform(80, 100)) for other in found),
                searched=1,
            )
        else:
            pile.reported(photograph, searched=1)
    for number in range(0, min(images // 5, 1000) - 1, 2):
        one, other = f"Person {number:06}", f"Person {number + 1:06}"
        pile.decided(one, other, Decided.DIFFERENT_PEOPLE, similarity=99, on=photographs[:2])
    return pile


def lay(state: Path, bucket: str, objects: dict[str, bytes]) -> None:
    """Write objects as the emulator keeps them: the body, and a file beside it."""
    for key, body in objects.items():
        path = state / "s3" / ACCOUNT / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        beside = {"key": key, "etag": f'"{etag}"', "size": len(body), "last_modified": _WRITTEN}
        path.with_name(f"{path.name}.meta.json").write_text(json.dumps(beside))


def deployed(cloud: LocalCloud) -> Deployment:
    assert cloud.running
    return on_local_cloud(cloud.running, cloud.home)


def measured(images: int) -> None:
    """Print a line for each query."""
    pile = made(images)
    with tempfile.TemporaryDirectory() as folder:
        home = StateFolder(Path(folder))
        with LocalCloud(home) as cloud:
            bucket = deployed(cloud).output_bucket
        lay(home.state, bucket, pile.objects)
        with LocalCloud(home) as cloud:
            (pid,) = [part.process.pid for part in cloud._parts if part.name == "emulator"]
            print_times(deployed(cloud), pile, Clock(pid))


class Clock:
    """Wall time, and the CPU time of a process."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")

    def _now(self) -> tuple[float, float]:
        times = self._stat.read_text().rpartition(")")[2].split()[11:13]  # utime, stime: proc(5)
        return time.perf_counter(), sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def seconds(self, work: Callable[[], Any]) -> tuple[float, float]:
        """Of the wall, and of the CPU."""
        before = self._now()
        work()
        after = self._now()
        return after[0] - before[0], after[1] - before[1]


def shown(times: list[tuple[float, float]]) -> str:
    """The medians."""
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    return f"{wall:.2f} ({cpu:.2f})"


def print_times(deployment: Deployment, pile: Pile, clock: Clock) -> None:
    s3 = deployment.make_client("s3")
    kinds = [key.partition("/")[0] for key in pile.objects]
    rows = sum(body.count(b"\n") for key, body in pile.objects.items() if key[:3] == "mat")
    print(
        f"\n{kinds.count('reports'):,} reports, {rows:,} match rows in "
        f"{kinds.count('matches'):,} objects, {kinds.count('failures'):,} failures, "
        f"{kinds.count('decisions'):,} decisions, "
        f"{sum(map(len, pile.objects.values())) / 1e6:,.0f} MB\n"
    )
    first = clock.seconds(lambda: run(deployment, queries()["pairs"].sql))
    print(f"pairs, at first: {shown([first])} s; load {os.getloadavg()[0]:.0f}\n")
    print("| query | rows | again | after one more |")
    print("|---|---|---|---|")
    for name, asked in queries().items():
        literals = command.bound(asked, _PARAMETERS.get(name, []))
        ask = partial(run, deployment, asked.sql, literals)
        count = len(ask().rows)
        again = shown([clock.seconds(ask) for _ in range(TIMES)])
        more = []
        for number in range(TIMES):
            one = Pile()
            one.reported(Photograph(f"images/New {name} {number}_1.jpg"))
            for key, body in one.objects.items():
                s3.put_object(Bucket=deployment.output_bucket, Key=key, Body=body)
            more.append(clock.seconds(ask))
        print(f"| {name} | {count:,} | {again} | {shown(more)} |", flush=True)


def main() -> None:
    """Measure piles of the sizes that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    for images in parser.parse_args().images:
        measured(images)


if __name__ == "__main__":
    main()
