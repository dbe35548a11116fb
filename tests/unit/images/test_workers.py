"""Workers: each piece of work has a deadline in processor time, and ends only its own process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from facematch.images.workers import DeadlineError, WorkerDiedError, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def laborious() -> Callable[[str, float], int]:
    return labour


def labour(what: str, amount: float = 0) -> int:
    """What a test asks for; the process's id."""
    match what:
        case "compute":
            until = time.process_time() + amount
            while time.process_time() < until:
                pass
        case "hang":
            # One call of C that neither ends nor lets another thread or a signal handler run.
            sum(iter(int, 1))
        case "sleep":
            time.sleep(amount)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "warn":
            warnings.warn("Truncated File Read", stacklevel=1)
            os.write(2, b"libpng warning: iCCP: known incorrect sRGB profile\n")
        case "raise":
            raise LookupError(f"nothing within {amount}")
    return os.getpid()


def cannot_start() -> Callable[[str, float], int]:
    raise RuntimeError("no model")


@contextmanager
def workers(
    count: int, seconds: float, prepare: Callable[[], Callable[[str, float], int]] = laborious
) -> Iterator[Workers[[str, float], int]]:
    made = Workers(count, prepare, seconds=seconds)
    try:
        yield made
    finally:
        made.close()


def is_alive(process: int) -> bool:
    multiprocessing.active_children()  # buries the dead
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_work_is_done_one_after_another_in_the_same_process_which_is_not_ours() -> None:
    with workers(3, 10) as made:
        processes = {made.run("", 0) for _ in range(5)}
        assert len(processes) == 1
        assert processes != {os.getpid()}


def test_an_error_of_the_work_is_raised_here_and_costs_no_process() -> None:
    with workers(1, 10) as made:
        before = made.run("", 0)
        with pytest.raises(LookupError, match=r"nothing within 7"):
            made.run("raise", 7)
        assert made.run("", 0) == before


def test_work_that_does_not_end_is_ended_and_the_next_work_is_done() -> None:
    with workers(1, 0.5) as made:
        first = made.run("", 0)
        start = time.monotonic()
        with pytest.raises(DeadlineError):
            made.run("hang", 0)
        assert time.monotonic() - start > 0.4
        assert made.run("", 0) != first
        assert not is_alive(first)


def test_other_work_goes_on_while_some_is_ended() -> None:
    with workers(2, 1) as made, ThreadPoolExecutor(8) as threads:
        made.wait_until_ready()
        hanging = [threads.submit(made.run, "hang", 0) for _ in range(2)]
        waiting = [threads.submit(made.run, "compute", 0.01) for _ in range(20)]
        for done in hanging:
            with pytest.raises(DeadlineError):
                done.result()
        assert len([done.result() for done in waiting]) == 20


def test_workers_that_end_at_the_same_time_each_end_for_the_deadline() -> None:
    """A process that starts asks for the ends of all others, and an end can be read once only."""
    with workers(4, 0.1) as made, ThreadPoolExecutor(4) as threads:
        made.wait_until_ready()
        hanging = [threads.submit(made.run, "hang", 0) for _ in range(24)]
        ends = {type(done.exception()) for done in hanging}
    assert ends == {DeadlineError}


def test_time_in_which_a_process_only_waits_does_not_count() -> None:
    with workers(1, 0.5) as made:
        assert made.run("sleep", 1)


def test_the_time_of_several_pieces_of_work_does_not_add_up() -> None:
    with workers(1, 0.5) as made:
        assert len({made.run("compute", 0.2) for _ in range(5)}) == 1


def test_work_whose_process_dies_fails_and_the_next_is_done() -> None:
    with workers(1, 10) as made:
        with pytest.raises(WorkerDiedError):
            made.run("die", 0)
        assert made.run("", 0)


def test_a_process_that_died_while_it_was_idle_costs_no_work() -> None:
    with workers(1, 10) as made:
        idle = made.run("", 0)
        os.kill(idle, signal.SIGKILL)
        while is_alive(idle):
            time.sleep(0.01)
        assert made.run("", 0) != idle


def test_a_process_that_cannot_start_is_told() -> None:
    with workers(1, 10, cannot_start) as made:
        with pytest.raises(WorkerDiedError):
            made.wait_until_ready()
        with pytest.raises(WorkerDiedError):
            made.run("", 0)


def test_why_a_process_cannot_start_is_printed() -> None:
    start = (
        "from tests.unit.images.test_workers import cannot_start, workers\n"
        "with workers(1, 10, cannot_start) as made: made.wait_until_ready()"
    )
    done = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, check=False
    )
    assert "RuntimeError: no model" in done.stderr


def test_at_the_end_nothing_runs_and_nothing_is_started() -> None:
    with workers(2, 60) as made, ThreadPoolExecutor(1) as threads:
        made.wait_until_ready()
        processes = [child.pid for child in multiprocessing.active_children()]
        hanging = threads.submit(made.run, "hang", 0)
        time.sleep(0.2)
        made.close()
        with pytest.raises(WorkerDiedError):
            hanging.result()
        with pytest.raises(WorkerDiedError):
            made.run("", 0)
        assert not [process for process in processes if process and is_alive(process)]


def test_what_libraries_print_about_a_file_reaches_no_terminal() -> None:
    start = (
        "from tests.unit.images.test_workers import laborious, workers\n"
        "with workers(1, 10) as made: print(made.run('warn', 0) > 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
