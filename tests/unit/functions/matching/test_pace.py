"""The tap: how fast executions are started, however many starters there are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.aws.start_slots import SharedStartSlots
from functions.matching.pace import Occasion, Pace
from tests.examples import examples
from tests.unit.cloud import PACE_TABLE, own_client

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud

START = 1_800_000_000.0


@dataclass
class FakeTime:
    now: float = START

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@dataclass
class StartSlotsInMemory:
    next_turn: float = 0.0

    def take(self, now: float, interval: float) -> float:
        turn = max(self.next_turn, now)
        self.next_turn = turn + interval
        return turn


def gaps(calls: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(sorted(calls))]


@given(
    per_second=st.floats(0.05, 1000),
    work=st.lists(st.tuples(st.integers(0, 4), st.floats(0, 30)), min_size=1, max_size=40),
)
def test_calls_of_all_starters_are_never_closer_than_the_pace(
    per_second: float, work: list[tuple[int, float]]
) -> None:
    turns = StartSlotsInMemory()
    starters = [FakeTime() for _ in range(5)]
    calls = []
    for which, seconds in work:
        time = starters[which]
        Pace(per_second, turns, clock=time.clock, sleep=time.sleep).wait()
        calls.append(time.now)
        time.now += seconds
    assert all(gap >= 1 / per_second - 1e-6 for gap in gaps(calls))


@pytest.mark.parametrize("starters", [1, 2, 5])
def test_the_whole_rate_is_used_however_many_starters_share_it(starters: int) -> None:
    turns = StartSlotsInMemory()
    times = [FakeTime() for _ in range(starters)]
    calls = []
    for _ in range(100):
        time = min(times, key=lambda one: one.now)
        Pace(10, turns, clock=time.clock, sleep=time.sleep).wait()
        calls.append(time.now)
        time.now += 0.09  # nearly as long as the interval: what a start takes
    assert max(calls) - START == pytest.approx(9.9)


def test_an_idle_hour_saves_nothing_up_for_a_burst() -> None:
    time = FakeTime()
    pace = Pace(4, StartSlotsInMemory(), clock=time.clock, sleep=time.sleep)
    pace.wait()
    time.now += 3600
    started = time.now
    for _ in range(9):
        pace.wait()
    assert time.now - started == pytest.approx(2.0)


def test_the_first_call_does_not_wait() -> None:
    time = FakeTime()
    Pace(0.1, StartSlotsInMemory(), clock=time.clock, sleep=time.sleep).wait()
    assert time.now == START


def test_without_a_limit_nobody_stands_in_line() -> None:
    time, turns = FakeTime(), StartSlotsInMemory()
    Pace(float("inf"), turns, clock=time.clock, sleep=time.sleep).wait()
    assert (time.now, turns.next_turn) == (START, 0.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(20))
@given(
    interval=st.floats(0.01, 20),
    waits=st.lists(st.floats(0, 30), min_size=1, max_size=20),
)
def test_the_shared_line_gives_the_turns_that_one_in_memory_would(
    cloud: Cloud,  # noqa: ARG001 - for what it does
    interval: float,
    waits: list[float],
) -> None:
    own_client("dynamodb").delete_item(TableName=PACE_TABLE, Key={"line": {"S": "starts"}})
    shared, expected = SharedStartSlots(own_client("dynamodb"), PACE_TABLE), StartSlotsInMemory()
    now = START
    for seconds in waits:
        assert shared.take(now, interval) == pytest.approx(expected.take(now, interval), abs=1e-3)
        now += seconds


def test_who_is_overtaken_between_two_looks_gets_the_turn_behind(
    cloud: Cloud,  # noqa: ARG001 - for what it does
) -> None:
    client = own_client("dynamodb")
    line = SharedStartSlots(client, PACE_TABLE)
    overtaken: list[Any] = []

    class Overtaken(SharedStartSlots):
        def _advance(self, next_turn: str, condition: str, **seconds: float) -> float | None:
            if next_turn == ":after" and not overtaken:
                overtaken.append(line.take(START, 2))
            return super()._advance(next_turn, condition, **seconds)

    assert Overtaken(client, PACE_TABLE).take(START, 2) == START + 2
    assert overtaken == [START]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(20))
@given(
    looks=st.lists(st.tuples(st.integers(0, 2), st.floats(0, 2000)), min_size=1, max_size=30),
)
def test_an_occasion_is_for_one_of_all_starters_and_comes_again_after_the_interval(
    cloud: Cloud,  # noqa: ARG001 - for what it does
    looks: list[tuple[int, float]],
) -> None:
    dynamodb = own_client("dynamodb")
    dynamodb.delete_item(TableName=PACE_TABLE, Key={"line": {"S": "counts"}})
    time = FakeTime()
    starters = [
        Occasion(1000, SharedStartSlots(dynamodb, PACE_TABLE, line="counts"), clock=time.clock)
        for _ in range(3)
    ]
    taken = []
    for which, seconds in looks:
        time.now += seconds
        if starters[which].is_now():
            taken.append(time.now)
    # A slot's time is kept in microseconds.
    assert all(gap >= 1000 - 1e-3 for gap in gaps(taken))
    assert taken[0] == START + looks[0][1]
    # Each starter asks again after an interval, so no two intervals pass without an occasion.
    newcomer = Occasion(
        1000, SharedStartSlots(dynamodb, PACE_TABLE, line="counts"), clock=time.clock
    )
    time.now = taken[-1] + 1000.001
    assert newcomer.is_now()


def test_a_starter_asks_the_others_once_in_an_interval() -> None:
    time, asked = FakeTime(), []

    class SomebodyElsesSlots:
        def take_free(self, now: float, interval: float) -> bool:
            asked.append((now, interval))
            return False

    occasion = Occasion(3600, SomebodyElsesSlots(), clock=time.clock)
    for _ in range(61):
        assert not occasion.is_now()
        time.now += 60
    assert asked == [(START, 3600), (START + 3600, 3600)]


def test_the_lines_of_the_table_do_not_hold_each_other_up(
    cloud: Cloud,  # noqa: ARG001 - for what it does
) -> None:
    starts = SharedStartSlots(own_client("dynamodb"), PACE_TABLE)
    counts = SharedStartSlots(own_client("dynamodb"), PACE_TABLE, line="counts")
    assert counts.take_free(START, 3600)
    assert starts.take(START, 1) == START
    assert not counts.take_free(START + 1, 3600)
