"""Processes that decode files of other people, with a deadline for each file.

A decoder cannot be interrupted, only ended. So each worker is a process of its own, which the
operating system ends when one piece of work has taken too much processor time. Processor time does
not pass while a process waits for its turn: on a busy machine a good image takes longer, and is not
refused. The other workers, and the work that waits for one, are not touched.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar

from facematch.forks import SAFE, fork_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.process import BaseProcess

_STANDARD_ERROR: Final = 2
P = ParamSpec("P")
R = TypeVar("R")


class DeadlineError(Exception):
    """The work took more processor time than it may. Its process was ended."""


class WorkerDiedError(Exception):
    """The process ended before its work was done, or could not start."""


class Workers(Generic[P, R]):
    """A number of worker processes. Thread-safe; they end with this process, even by SIGKILL.

    Parameters
    ----------
    prepare
        A function of a module. Each process calls it when it starts, and what it returns does
        the work.
    seconds
        Processor time that one piece of work may take.
    """

    def __init__(
        self, count: int, prepare: Callable[[], Callable[P, R]], *, seconds: float
    ) -> None:
        self._all = [Worker(prepare, seconds) for _ in range(count)]
        # The one that worked last works next: the others need not even start.
        self._idle: queue.LifoQueue[Worker[P, R]] = queue.LifoQueue()
        for worker in self._all:
            self._idle.put(worker)

    def wait_until_ready(self) -> None:
        """Start the processes now, rather than with the first work.

        Raises
        ------
        WorkerDiedError
            When one could not start.
        """
        for worker in self._all:
            worker.start()
        for worker in self._all:
            worker.wait_until_ready()

    @contextmanager
    def idle(self) -> Iterator[Worker[P, R]]:
        """Wait for a worker that has nothing to do, and hold it."""
        worker = self._idle.get()
        try:
            yield worker
        finally:
            self._idle.put(worker)

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do one piece of work in the next worker that is idle.

        Raises
        ------
        DeadlineError, WorkerDiedError
            The next work gets a new process.
        Exception
            Whatever the work raised.
        """
        with self.idle() as worker:
            return worker.run(*args, **kwargs)

    def close(self) -> None:
        """End the processes, and what they work on."""
        for worker in self._all:
            worker.close()


#: Each start of a process asks for the ends of all others (multiprocessing.process). The end of a
#: fork is read from a pipe, once: of two threads that read, the second takes it for another end.
_children: Final = threading.Lock()


def process_ids() -> list[int]:
    """Return the ids of the workers of this process that run."""
    with _children:
        return [child.pid for child in multiprocessing.active_children() if child.pid]


class Worker(Generic[P, R]):
    """One worker process, which is replaced when it ends. Used by one thread at a time."""

    def __init__(self, prepare: Callable[[], Callable[P, R]], seconds: float) -> None:
        self._prepare = prepare
        self._seconds = seconds
        self._started: _Started | None = None
        self._is_ready = False
        self._is_closed = False

    def start(self) -> None:
        """Start the process, unless it runs."""
        with _children:
            if self._started and not self._started.process.is_alive():
                self._started = None  # it ended while it was idle
        if self._started or self._is_closed:
            return
        context = _context(self._prepare)
        work, to_worker = context.Pipe(duplex=False)
        from_worker, answers = context.Pipe(duplex=False)
        process = context.Process(
            target=_serve, args=(work, answers, self._prepare, self._seconds), daemon=True
        )
        with _children:
            process.start()
        for end in (work, answers):
            end.close()  # Otherwise the end of the process could not be seen at the other ends.
        self._started, self._is_ready = _Started(process, to_worker, from_worker), False

    def wait_until_ready(self) -> None:
        """Wait until the process can work.

        Raises
        ------
        WorkerDiedError
        """
        try:
            self._ready()
        except (OSError, EOFError):
            reason = self._reason_of_end()
            raise reason from None

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do one piece of work: see `Workers.run`."""
        self.start()
        try:
            started = self._ready()
            started.work.send((args, kwargs))
            result, error = started.answers.recv()
        except (OSError, EOFError):
            reason = self._reason_of_end()
            self.start()  # now, rather than when the next work waits for it
            raise reason from None
        if error is not None:
            raise error
        done: R = result
        return done

    def close(self) -> None:
        """End the process for good."""
        self._is_closed = True
        if started := self._started:
            with _children:
                started.process.terminate()
                started.process.join()

    def _ready(self) -> _Started:
        if not self._started:
            raise EOFError
        if not self._is_ready:
            self._started.answers.recv()
            self._is_ready = True
        return self._started

    def _reason_of_end(self) -> DeadlineError | WorkerDiedError:
        started, self._started = self._started, None
        if not started:
            return WorkerDiedError()
        with _children:
            started.process.join()
            code = started.process.exitcode
        return DeadlineError() if code == -signal.SIGPROF else WorkerDiedError()


@dataclass(frozen=True, slots=True)
class _Started:
    """A process, and our ends of its pipes."""

    process: BaseProcess
    work: Connection[Any, Any]
    answers: Connection[Any, Any]


def _context(prepare: Callable[..., Any]) -> ForkServerContext | SpawnContext:
    """Return how processes start: with OpenCV and NumPy imported, where that is safe."""
    return fork_context(prepare.__module__) if SAFE else multiprocessing.get_context("spawn")


def _serve(
    work: Connection[Any, Any],
    answers: Connection[Any, Any],
    prepare: Callable[[], Callable[..., Any]],
    seconds: float,
) -> None:
    """Work until the other end is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, whatever it is doing
    done = prepare()
    _silence_libraries()
    answers.send(None)
    while True:
        try:
            args, kwargs = work.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds)
        answer: tuple[Any, Exception | None]
        try:
            answer = done(*args, **kwargs), None
        except Exception as error:  # noqa: BLE001 - it is raised again where the work was asked for
            answer = None, error
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.send(answer)


def _silence_libraries() -> None:
    """Drop what decoders print about a file, such as libpng's and Pillow's warnings.

    The answer says what became of the file; an error that is raised goes to the caller.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STANDARD_ERROR)
    os.close(nowhere)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # returns when the parent has died, by whatever signal
    os._exit(1)
