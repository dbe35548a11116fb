"""The tap: how fast executions are started."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.pace import Pace


@dataclass
class FakeTime:
    now: float = 1000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@given(
    per_second=st.floats(0.05, 1000),
    work=st.lists(st.floats(0, 30), min_size=1, max_size=30),
)
def test_calls_are_never_closer_than_the_pace(per_second: float, work: list[float]) -> None:
    time = FakeTime()
    pace = Pace(per_second, clock=time.clock, sleep=time.sleep)
    calls = []
    for seconds in work:
        pace.wait()
        calls.append(time.now)
        time.now += seconds
    assert all(after - before >= 1 / per_second - 1e-6 for before, after in pairwise(calls))


def test_an_idle_hour_saves_nothing_up_for_a_burst() -> None:
    time = FakeTime()
    pace = Pace(4, clock=time.clock, sleep=time.sleep)
    pace.wait()
    time.now += 3600
    started = time.now
    for _ in range(9):
        pace.wait()
    assert time.now - started == pytest.approx(2.0)


def test_the_first_call_does_not_wait() -> None:
    time = FakeTime()
    Pace(0.1, clock=time.clock, sleep=time.sleep).wait()
    assert time.now == 1000.0
