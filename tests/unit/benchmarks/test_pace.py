"""The simulation of a burst: what must hold whatever happens, and a second opinion by simpy."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from math import exp
from typing import TYPE_CHECKING, Any

import pytest
import simpy

from facematch.local.rekognition.rate_limits import TokenBucket
from facematch.planning.template import Starters
from functions.matching.settings import QUOTA_SHARE, paced
from tests.benchmarks import pace
from tests.benchmarks.pace import Deployed, Load, QuotaModel, Windows, drawn, run

if TYPE_CHECKING:
    from collections.abc import Generator

#: As the template has it: tests/infrastructure/test_pace_settings.py.
DEPLOYED = Deployed(
    starters=Starters(10, 2),
    batch_size=10,
    starter_timeout=71,
    max_faces=1,
    retention=10 * 24 * 3600,
    visibility_timeout=426,
    settle=1,
    retry_interval=2,
    retry_backoff=2,
    retry_attempts=6,
    retry_max_delay=60,
)


@pytest.mark.parametrize("tap", [True, False])
@pytest.mark.parametrize("tps", [5.0, 50.0])
@pytest.mark.parametrize("quota", QuotaModel)
def test_nothing_is_lost_every_image_ends_in_one_way(
    tps: float, quota: QuotaModel, *, tap: bool
) -> None:
    result = run(Load(images=3000, tps=tps, tap=tap, quota=quota), DEPLOYED)

    assert result.finished + result.failed + result.expired == 3000
    succeeded = result.calls - result.throttled
    assert 2 * result.finished <= succeeded <= 2 * (result.finished + result.failed)
    assert result.timeline[0] == 0
    assert result.timeline[-1] == result.finished
    assert list(result.timeline) == sorted(result.timeline)
    # Nobody gets more than the quota, and a second's worth that was saved up.
    assert result.finished <= tps * (result.seconds + 1) + 1


@pytest.mark.parametrize("quota", QuotaModel)
@pytest.mark.parametrize("tps", [5.0, 50.0])
def test_with_the_tap_nothing_fails_and_the_quota_is_used(tps: float, quota: QuotaModel) -> None:
    result = run(Load(images=20_000, tps=tps, quota=quota), DEPLOYED)

    assert (result.failed, result.expired) == (0, 0)
    assert result.speed >= 0.95
    assert result.speed <= QUOTA_SHARE
    assert result.retries < 0.05 * result.images


@pytest.mark.parametrize("tps", [5.0, 50.0])
def test_without_the_tap_most_executions_fail(tps: float) -> None:
    result = run(Load(images=20_000, tps=tps, tap=False), DEPLOYED)

    assert result.failed > 0.5 * result.images
    assert result.retries > result.images


def test_the_same_seed_gives_the_same_result_and_another_another() -> None:
    load = Load(images=500, tps=5, tap=False)

    assert run(load, DEPLOYED) == run(load, DEPLOYED)
    assert run(replace(load, seed=2), DEPLOYED) != run(load, DEPLOYED)


def test_what_waits_longer_than_the_queue_keeps_it_expires() -> None:
    result = run(Load(images=2000, tps=5), replace(DEPLOYED, retention=100))

    assert result.expired == pytest.approx(2000 - 100 * 5 * QUOTA_SHARE, abs=120)
    assert result.finished == 2000 - result.expired


def test_a_starter_that_runs_alone_keeps_the_whole_rate_of_most_regions() -> None:
    alone = run(Load(images=3000, tps=5), replace(DEPLOYED, starters=Starters(1, 1)))

    assert alone.speed == pytest.approx(run(Load(images=3000, tps=5), DEPLOYED).speed, abs=0.01)


@pytest.mark.parametrize(
    ("tps", "max_faces", "starters"), [(5, 1, 2), (5, 3, 2), (5.1, 1, 10), (50, 1, 10), (50, 3, 10)]
)
def test_as_many_starters_as_the_region_of_that_quota_has(
    tps: float, max_faces: int, starters: int
) -> None:
    assert DEPLOYED.starters.at(paced(tps, max_faces), max_faces) == starters


def test_too_few_starters_cannot_keep_the_rate_of_the_fastest_regions() -> None:
    two = run(Load(images=3000, tps=50), replace(DEPLOYED, starters=Starters(2, 2)))

    assert two.speed < 0.5
    assert two.failed == 0


@pytest.mark.parametrize("tps", [5.0, 50.0])
def test_no_batch_outlasts_its_starter(tps: float) -> None:
    result = run(Load(images=3000, tps=tps), DEPLOYED)

    assert result.longest_batch < DEPLOYED.starter_timeout / 2
    assert 6 * DEPLOYED.starter_timeout <= DEPLOYED.visibility_timeout


# --- The second opinion ------------------------------------------------------------------------


class Opinion:
    """The workflow as processes of simpy: one for each image, and one for each starter."""

    def __init__(self, load: Load, deployed: Deployed) -> None:
        self.load, self.deployed = load, deployed
        self.chance = random.Random(99)
        self.world = simpy.Environment()
        self.counts: Counter[str] = Counter()
        self.ended = 0.0
        self.left = load.images
        self.next_turn = 0.0
        self.quotas = {
            operation: TokenBucket(load.tps, burst=load.tps)
            if load.quota is QuotaModel.BUCKET
            else Windows(load.tps)
            for operation in ("index", "search")
        }
        if load.tap:
            for _ in range(deployed.starters.at(paced(load.tps, 1), 1)):
                self.world.process(self.starter())
        else:
            self.world.process(self.flood())
        self.world.run()

    def log_normal(self, parameters: tuple[float, float]) -> float:
        median, deviation = parameters
        return median * exp(self.chance.gauss(0, deviation))

    def starter(self) -> Generator[simpy.Event, Any, None]:
        while self.left:
            batch = min(self.deployed.batch_size, self.left)
            self.left -= batch
            for _ in range(batch):
                yield self.world.timeout(pace.START_SECONDS)
                turn = max(self.next_turn, self.world.now)
                self.next_turn = turn + 1 / (QUOTA_SHARE * self.load.tps)
                yield self.world.timeout(turn - self.world.now)
                self.world.process(self.execution())
            yield self.world.timeout(pace.POLL_SECONDS)

    def flood(self) -> Generator[simpy.Event, Any, None]:
        for _ in range(self.load.images):
            self.world.process(self.execution())
            yield self.world.timeout(1 / pace.OTHER_UNTAPPED_STARTS)

    def execution(self) -> Generator[simpy.Event, Any, None]:
        for operation, work in (
            ("index", self.log_normal(pace.INDEXING) + self.deployed.settle),
            ("search", 0.0),
        ):
            yield self.world.timeout(self.log_normal(pace.OVERHEAD))
            done = yield self.world.process(self.step(operation))
            self.ended = self.world.now
            if not done:
                self.counts["failed"] += 1
                return
            yield self.world.timeout(work)
        self.counts["finished"] += 1

    def step(self, operation: str) -> Generator[simpy.Event, Any, bool]:
        deployed = self.deployed
        for retry in range(deployed.retry_attempts + 1):
            for attempt in range(deployed.sdk_attempts):
                self.counts["calls"] += 1
                if self.quotas[operation].admits(self.world.now):
                    return True
                self.counts["throttled"] += 1
                if attempt + 1 < deployed.sdk_attempts:
                    yield self.world.timeout(self.chance.uniform(0, 2**attempt))
            if retry == deployed.retry_attempts:
                return False
            self.counts["retries"] += 1
            longest = min(
                deployed.retry_interval * deployed.retry_backoff**retry, deployed.retry_max_delay
            )
            yield self.world.timeout(pace.THROTTLED_SECONDS + self.chance.uniform(0, longest))
        return False


@pytest.mark.parametrize(
    "load",
    [
        Load(images=3000, tps=5, tap=False),
        Load(images=3000, tps=5, tap=False, quota=QuotaModel.WINDOW),
        Load(images=3000, tps=20, tap=False),
        Load(images=3000, tps=5, tap=True, quota=QuotaModel.WINDOW),
    ],
    ids=lambda load: f"{load.tps:g} {load.quota} {'tap' if load.tap else 'no tap'}",
)
def test_an_independent_model_comes_to_the_same_figures(load: Load) -> None:
    result, opinion = run(load, DEPLOYED), Opinion(load, DEPLOYED)

    assert opinion.counts["finished"] == pytest.approx(result.finished, rel=0.03)
    assert opinion.counts["failed"] == pytest.approx(result.failed, rel=0.05)
    assert opinion.counts["throttled"] == pytest.approx(result.throttled, rel=0.1)
    assert opinion.counts["retries"] == pytest.approx(result.retries, rel=0.15, abs=20)
    assert opinion.counts["calls"] == pytest.approx(result.calls, rel=0.05)
    assert opinion.ended == pytest.approx(result.seconds, rel=0.15)  # the slowest of all


# --- Quotas ------------------------------------------------------------------------------------


def test_a_bucket_of_tokens_admits_the_quota_evenly_after_a_burst() -> None:
    bucket = TokenBucket(5, burst=5)

    admitted = [n / 20 for n in range(200) if bucket.admits(n / 20)]
    assert admitted[:5] == [0.0, 0.05, 0.1, 0.15, pytest.approx(0.2)]
    assert len(admitted) == pytest.approx(5 + 50, abs=1)


def test_windows_admit_the_quota_in_each_second_and_carry_nothing_over() -> None:
    windows = Windows(5)

    assert sum(windows.admits(0.9) for _ in range(9)) == 5
    assert sum(windows.admits(1.0) for _ in range(9)) == 5
    assert sum(windows.admits(7.5) for _ in range(9)) == 5


def test_a_picture_says_what_came_of_each_side() -> None:
    results = [run(Load(images=300, tps=5, tap=tap), DEPLOYED) for tap in (True, False)]

    text = drawn(results)
    assert "with the tap: 300 finished, 0 failed" in text
    assert f"without the tap: {results[1].finished:,} finished" in text
