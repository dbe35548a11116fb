"""The figures of docs/pace.md: ``python -m tests.benchmarks.pace``.

Simulates what a burst of uploads does under Rekognition's quotas, with and without the tap: every
call of every image, on the settings of the template as it would be deployed now. Each constant says
what is assumed because AWS does not document it. An independent model, written with simpy, gives
the same figures (tests/unit/benchmarks/test_pace.py).
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from heapq import heappop, heappush, heapreplace
from math import exp
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer
from rich.table import Table

from facematch.cli.terminal import output
from facematch.local.rekognition.rate_limits import TokenBucket
from facematch.planning.template import Starters
from functions.aws.clients import ATTEMPTS
from functions.matching.settings import paced
from workflow.synthesis import synthesised_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# --- Assumptions, in seconds unless said otherwise ---------------------------------------------

#: Refill of the StartExecution quota, per second, where IndexFaces has 50 calls per second and
#: elsewhere (AWS Step Functions Developer Guide, Quotas, API action throttling). Without the tap
#: nothing else limits the starts.
UNTAPPED_STARTS: Final = {50.0: 300.0}
OTHER_UNTAPPED_STARTS: Final = 150.0
#: HeadObject, the turn and StartExecution, one after the other, by one starter.
START_SECONDS: Final = 0.1
#: From one batch to the next of a starter.
POLL_SECONDS: Final = 0.1
#: From a state's beginning until its call reaches Rekognition, and how long IndexFaces takes: the
#: median of a log-normal distribution and the deviation of its logarithm.
OVERHEAD: Final = (0.12, 0.5)
INDEXING: Final = (0.6, 0.4)
#: Until a throttled call's Lambda invocation has ended and Step Functions has noticed.
THROTTLED_SECONDS: Final = 0.1
#: Price of a state transition, us-east-1, USD (AWS Step Functions pricing).
TRANSITION_PRICE: Final = 0.025 / 1000

_HOUR: Final = 3600
_POINTS: Final = 240


class QuotaModel(StrEnum):
    """How Rekognition counts, which AWS does not document. A throttled call costs no quota."""

    #: A bucket of tokens that holds a second's worth and refills evenly.
    BUCKET = "bucket"
    #: So many calls in each second of the clock, and nothing carried over.
    WINDOW = "window"


# --- How Rekognition may count ----------------------------------------------------------------


class Windows:
    """Admits so many calls in each second of the clock."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._window = 0

    def admits(self, now: float) -> bool:
        """Whether a call at `now` gets through; times never go backwards."""
        if int(now) != self._window:
            self._window, self._left = int(now), self._per_second
        if self._left < 1:
            return False
        self._left -= 1
        return True


# --- The workflow ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """The settings that decide over a burst; times in seconds.

    Attributes
    ----------
    starters, batch_size, starter_timeout
        How many starters work at a time, on how many messages each, for how long at most.
    retention, visibility_timeout
        Of the queue.
    retry_interval, retry_backoff, retry_attempts, retry_max_delay
        Of the steps, in Step Functions, with full jitter.
    sdk_attempts
        Calls of the SDK within one invocation, the first included.
    """

    starters: Starters
    batch_size: int
    starter_timeout: float
    max_faces: int
    retention: float
    visibility_timeout: float
    settle: float
    retry_interval: float
    retry_backoff: float
    retry_attempts: int
    retry_max_delay: float
    sdk_attempts: int = ATTEMPTS

    @classmethod
    def from_template(cls, template: Mapping[str, Any]) -> Self:
        """Read them out of the synthesised template."""

        def properties(kind: str, mark: str) -> dict[str, Any]:
            (found,) = [
                resource["Properties"]
                for resource in template["Resources"].values()
                if resource["Type"] == kind and mark in json.dumps(resource["Properties"])
            ]
            return dict(found)

        starter = properties("AWS::Lambda::Function", "functions.starter.handler")
        source = properties("AWS::Lambda::EventSourceMapping", "ScalingConfig")
        queue = properties("AWS::SQS::Queue", "RedrivePolicy")
        states = _states(properties("AWS::StepFunctions::StateMachine", "IndexFaces"))
        (retry,) = states["IndexFaces"]["Retry"]
        return cls(
            starters=Starters.of_source(source),
            batch_size=source["BatchSize"],
            starter_timeout=starter["Timeout"],
            max_faces=int(starter["Environment"]["Variables"]["MAX_FACES"]),
            retention=queue["MessageRetentionPeriod"],
            visibility_timeout=queue["VisibilityTimeout"],
            settle=states.get("Settle", {}).get("Seconds", 0),
            retry_interval=retry["IntervalSeconds"],
            retry_backoff=retry["BackoffRate"],
            retry_attempts=retry["MaxAttempts"],
            retry_max_delay=retry["MaxDelaySeconds"],
        )


def _states(machine: Mapping[str, Any]) -> dict[str, Any]:
    _, parts = machine["DefinitionString"]["Fn::Join"]
    text = "".join(part if isinstance(part, str) else "reference" for part in parts)
    states: dict[str, Any] = json.loads(text)["States"]
    return states


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """A burst, and the quotas that it meets.

    Attributes
    ----------
    images
        Uploaded at the same moment, each with one face.
    tps
        Quota of IndexFaces, and of SearchFaces, calls per second.
    tap
        Whether the starter keeps its pace.
    burst
        Calls that the bucket of tokens holds; by default a second's worth.
    """

    images: int
    tps: float
    tap: bool = True
    quota: QuotaModel = QuotaModel.BUCKET
    burst: float | None = None
    seed: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of it; times in seconds.

    Attributes
    ----------
    finished, failed
        Executions that found their way to the end, and that used up their retries.
    expired
        Messages that the queue dropped before a starter took them.
    throttled
        Calls that Rekognition refused.
    retries
        Of steps, by Step Functions; each is a state transition that is paid.
    seconds, ideal_seconds
        Until the last execution had made its last call; and N/TPS.
    aimed
        The rate of the starts, as a share of the quota.
    longest_wait, longest_batch
        Of a message in the queue; of a batch in a starter.
    timeline
        How many have finished, at evenly spaced times from 0 to `seconds`.
    """

    images: int
    tps: float
    tap: bool
    quota: QuotaModel
    finished: int
    failed: int
    expired: int
    calls: int
    throttled: int
    retries: int
    seconds: float
    ideal_seconds: float
    aimed: float
    longest_wait: float
    longest_batch: float
    timeline: tuple[int, ...]

    @property
    def speed(self) -> float:
        """Images finished per second, as a share of the quota."""
        return self.finished / (self.tps * self.seconds) if self.seconds else 0.0

    def to_document(self) -> dict[str, Any]:
        """For programs."""
        document = {**asdict(self), "speed": round(self.speed, 4)}
        del document["timeline"]
        return document


@dataclass(slots=True)
class _Queue:
    """The starts, one after the other, and what becomes of the messages meanwhile."""

    load: Load
    deployed: Deployed
    expired: int = 0
    longest_wait: float = 0.0
    longest_batch: float = 0.0

    @property
    def rate(self) -> float:
        """Starts per second that are aimed at."""
        if self.load.tap:
            return paced(self.load.tps, self.deployed.max_faces)
        return UNTAPPED_STARTS.get(self.load.tps, OTHER_UNTAPPED_STARTS)

    def starts(self) -> Iterator[float]:
        """The time of each StartExecution, in order: that of the turn that a starter was given."""
        load, deployed = self.load, self.deployed
        if not load.tap:
            yield from (n / self.rate for n in range(load.images))
            return
        # Of each starter: when it is ready, when it got its batch, what is left of that.
        starters = [(0.0, 0.0, 0)] * deployed.starters.at(self.rate, deployed.max_faces)
        waiting = load.images
        next_turn = 0.0
        while starters:
            now, received, left = starters[0]
            if left:
                turn = max(next_turn, now)
                next_turn = turn + 1 / self.rate
                self.longest_batch = max(self.longest_batch, turn - received)
                pause = START_SECONDS if left > 1 else POLL_SECONDS
                heapreplace(starters, (turn + pause, received, left - 1))
                yield turn
            elif not waiting:
                heappop(starters)
            elif now > deployed.retention:
                self.expired, waiting = waiting, 0
            else:
                batch = min(deployed.batch_size, waiting)
                waiting -= batch
                self.longest_wait = now
                heapreplace(starters, (now + START_SECONDS, now, batch))


def run(load: Load, deployed: Deployed) -> Result:
    """Simulate; the same seed gives the same result."""
    chance = random.Random(load.seed)
    uniform, gauss = chance.random, chance.gauss

    def log_normal(median: float, deviation: float) -> float:
        return median * exp(gauss(0, deviation))

    quotas = [
        TokenBucket(load.tps, burst=load.burst or load.tps)
        if load.quota is QuotaModel.BUCKET
        else Windows(load.tps)
        for _ in range(2)
    ]
    index, search = range(2)
    delays = [
        min(deployed.retry_max_delay, deployed.retry_interval * deployed.retry_backoff**n)
        for n in range(deployed.retry_attempts)
    ]
    queue = _Queue(load, deployed)
    starts = queue.starts()
    next_start = next(starts, None)
    # The calls to come: time, operation, retries of the step so far, SDK attempts so far.
    calls: list[tuple[float, int, int, int]] = []
    made = throttled = retries = failed = 0
    ended = 0.0
    finishes: Counter[int] = Counter()  # by second
    while calls or next_start is not None:
        if next_start is not None and (not calls or next_start <= calls[0][0]):
            heappush(calls, (next_start + log_normal(*OVERHEAD), index, 0, 1))
            next_start = next(starts, None)
            continue
        now, operation, retry, attempt = heappop(calls)
        made += 1
        if quotas[operation].admits(now):
            if operation == index:
                found = now + log_normal(*INDEXING) + deployed.settle
                heappush(calls, (found + log_normal(*OVERHEAD), search, 0, 1))
            else:
                finishes[int(now)] += 1
                ended = now
            continue
        throttled += 1
        if attempt < deployed.sdk_attempts:
            # botocore's standard mode: anything up to 1, 2, 4 … seconds
            wait = uniform() * 2 ** (attempt - 1)
            heappush(calls, (now + wait, operation, retry, attempt + 1))
        elif retry < deployed.retry_attempts:
            retries += 1
            wait = THROTTLED_SECONDS + uniform() * delays[retry]
            heappush(calls, (now + wait, operation, retry + 1, 1))
        else:
            failed += 1
            ended = now
    return Result(
        images=load.images,
        tps=load.tps,
        tap=load.tap,
        quota=load.quota,
        finished=finishes.total(),
        failed=failed,
        expired=queue.expired,
        calls=made,
        throttled=throttled,
        retries=retries,
        seconds=ended,
        ideal_seconds=load.images / load.tps,
        aimed=queue.rate / load.tps,
        longest_wait=queue.longest_wait,
        longest_batch=queue.longest_batch,
        timeline=_timeline(finishes, ended),
    )


def _timeline(finishes: Counter[int], ended: float) -> tuple[int, ...]:
    counts = [0] * (_POINTS + 1)
    for second, count in finishes.items():
        counts[min(_POINTS, int(second / ended * _POINTS) + 1)] += count
    return tuple(sum(counts[: n + 1]) for n in range(_POINTS + 1))


# --- The command -------------------------------------------------------------------------------


def main(
    *,
    images: Annotated[int, typer.Option(min=1, help="Uploaded at the same moment.")] = 1_000_000,
    tps: Annotated[
        list[float] | None, typer.Option(help="Quotas, calls per second; default: 5 and 50.")
    ] = None,
    tap: Annotated[
        bool | None, typer.Option("--tap/--no-tap", help="Only with the tap, or only without.")
    ] = None,
    quota: Annotated[
        QuotaModel, typer.Option(help="How Rekognition counts: evenly, or second by second.")
    ] = QuotaModel.BUCKET,
    burst: Annotated[
        float | None, typer.Option(help="Calls that the even quota saves up; default: a second's.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write an SVG of the results there.")
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", "-c", help="A setting, as name=value.")
    ] = None,
) -> None:
    """Simulate a burst of uploads under Rekognition's quotas, with the settings as they are now."""
    deployed = Deployed.from_template(synthesised_template(context or []))
    results = [
        run(Load(images=images, tps=calls, tap=with_tap, quota=quota, burst=burst), deployed)
        for calls in tps or [5.0, 50.0]
        for with_tap in ([True, False] if tap is None else [tap])
    ]
    if picture:
        picture.write_text(drawn(results))
    output.print(_table(results))


def _tap(*, tap: bool) -> str:
    return "with the tap" if tap else "without the tap"


def _table(results: Sequence[Result]) -> Table:
    table = Table(title=f"{results[0].images:,} uploads at once", title_justify="left")
    table.add_column("")
    rows = (
        ("quota, calls per second", [f"{r.tps:g}" for r in results]),
        ("finished", [f"{r.finished:,}" for r in results]),
        ("executions failed", [f"{r.failed:,}" for r in results]),
        ("messages expired", [f"{r.expired:,}" for r in results]),
        ("throttled calls", [f"{r.throttled:,}" for r in results]),
        (
            "retries paid",
            [f"{r.retries:,} ({r.retries * TRANSITION_PRICE:,.2f} USD)" for r in results],
        ),
        ("time to drain", [_hours(r.seconds) for r in results]),
        ("ideal, N/TPS", [_hours(r.ideal_seconds) for r in results]),
        ("finished, share of the quota", [f"{r.speed:.1%}" for r in results]),
        ("longest wait in the queue", [_hours(r.longest_wait) for r in results]),
        ("longest batch of a starter", [f"{r.longest_batch:.1f} s" for r in results]),
    )
    for result in results:
        table.add_column(_tap(tap=result.tap), justify="right")
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _hours(seconds: float) -> str:
    return f"{seconds / _HOUR:.2f} h"


# --- The picture -------------------------------------------------------------------------------

_PANEL, _HEIGHT, _LEFT, _TOP, _BOTTOM = 430, 300, 60, 50, 60
_PLOT_WIDTH, _PLOT_HEIGHT = _PANEL - _LEFT - 20, _HEIGHT - _TOP - _BOTTOM


def drawn(results: Sequence[Result]) -> str:
    """An SVG: one panel for each quota; how many have finished, over time."""
    quotas = list(dict.fromkeys(result.tps for result in results))
    panels = [
        _panel([result for result in results if result.tps == tps], left=number * _PANEL)
        for number, tps in enumerate(quotas)
    ]
    width = _PANEL * len(quotas)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{_HEIGHT}" fill="white"/>\n' + "".join(panels) + "</svg>\n"
    )


def _panel(results: Sequence[Result], *, left: int) -> str:
    first = results[0]
    longest = max(first.ideal_seconds, *(result.seconds for result in results))

    def point(seconds: float, count: float) -> str:
        x = _LEFT + _PLOT_WIDTH * seconds / longest
        y = _TOP + _PLOT_HEIGHT * (1 - count / first.images)
        return f"{x:.1f},{y:.1f}"

    def line(points: Sequence[str], style: str) -> str:
        return f'<polyline fill="none" points="{" ".join(points)}" {style}/>\n'

    def text(x: float, y: float, words: str, style: str = "") -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{words}</text>\n'

    parts = [f'<g transform="translate({left},0)">\n']
    parts.append(text(_LEFT, 20, f"{first.images:,} uploads, {first.tps:g} calls a second"))
    bottom, right = _TOP + _PLOT_HEIGHT, _LEFT + _PLOT_WIDTH
    parts.append(
        line([f"{_LEFT},{_TOP}", f"{_LEFT},{bottom}", f"{right},{bottom}"], 'stroke="black"')
    )
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _TOP + _PLOT_HEIGHT * (1 - share)
        parts.append(text(_LEFT - 8, y + 4, f"{share:.0%}", 'text-anchor="end"'))
        x = _LEFT + _PLOT_WIDTH * share
        hours = f"{share * longest / _HOUR:.1f} h"
        parts.append(text(x, bottom + 18, hours, 'text-anchor="middle"'))
    parts.append(
        line(
            [point(0, 0), point(first.ideal_seconds, first.images)],
            'stroke="gray" stroke-dasharray="2 4"',
        )
    )
    for number, result in enumerate(results):
        colour = "#1b6ca8" if result.tap else "#c0392b"
        steps = [
            point(result.seconds * n / _POINTS, count) for n, count in enumerate(result.timeline)
        ]
        steps.append(point(longest, result.finished))
        parts.append(line(steps, f'stroke="{colour}" stroke-width="2"'))
        words = f"{_tap(tap=result.tap)}: {result.finished:,} finished, {result.failed:,} failed"
        parts.append(text(_LEFT, bottom + 36 + 15 * number, words, f'fill="{colour}"'))
    parts.append(text(_LEFT + 6, _TOP - 8, "finished; dotted: the quota itself", 'fill="gray"'))
    return "".join(parts) + "</g>\n"


if __name__ == "__main__":
    typer.run(main)
