"""CPU time and memory of the local cloud by its parts, out of Linux's /proc.

CPU time is a process's own; that of a process which has ended is what it had at the last look,
and the rest of it (its parent is told when it ends) counts as `ended between two looks`. Memory
is the proportional set size: what processes share is shared out among them, so it can be summed.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROC: Final = Path("/proc")
UNSEEN: Final = "ended between two looks"
CLIENT: Final = "client (uploads and waits)"
#: Parts by what their command line contains.
_PARTS: Final = (
    ("facematch.local.emulator.process", "emulator"),
    ("facematch.local.rekognition.server", "Rekognition endpoint"),
    ("multiprocessing.resource_tracker", "Rekognition endpoint"),
    ("multiprocessing.forkserver", "face workers"),  # the emulator's have its name in them
    ("tests.benchmarks.client", CLIENT),
    ("facematch.local", "holder of the local cloud"),
)
_FUNCTIONS: Final = ("Starter", "Index", "Search", "Report", "Notify", "Failure", "Removal")
_LOOK_EVERY_SECONDS: Final = 1.0
#: Adding up the pages of a process costs a millisecond or more, so memory is read more rarely.
_MEMORY_EVERY: Final = 3


@dataclass(frozen=True, slots=True)
class Process:
    """A process at one moment.

    Attributes
    ----------
    started
        In ticks since the boot: a process id comes again, not with the same start.
    cpu, children_cpu
        Seconds, of itself and of its children that have ended.
    memory_mb
        None when it was not read.
    """

    pid: int
    started: int
    parent: int
    part: str
    cpu: float
    children_cpu: float
    memory_mb: float | None = None


@dataclass
class Account:
    """Adds up what was seen of processes, from the first look to the last."""

    _first: dict[tuple[int, int], Process] = field(default_factory=dict)
    _last: dict[tuple[int, int], Process] = field(default_factory=dict)
    _living: set[tuple[int, int]] = field(default_factory=set)
    peak_mb: dict[str, float] = field(default_factory=dict)
    peak_total_mb: float = 0.0
    _looks: int = 0

    def look(self, processes: Iterable[Process]) -> None:
        """Take in all processes of one moment."""
        self._living = set()
        memory: dict[str, float] = {}
        for process in processes:
            key = (process.pid, process.started)
            self._living.add(key)
            if self._looks == 0:
                self._first[key] = process
            self._last[key] = process
            if process.memory_mb is not None:
                memory[process.part] = memory.get(process.part, 0.0) + process.memory_mb
        self._looks += 1
        for part, megabytes in memory.items():
            self.peak_mb[part] = max(self.peak_mb.get(part, 0.0), megabytes)
        self.peak_total_mb = max(self.peak_total_mb, sum(memory.values()))

    def cpu_seconds(self) -> dict[str, float]:
        """By part, since the first look."""
        used: dict[str, float] = {}
        for key, process in self._last.items():
            before = self._first.get(key)
            spent = process.cpu - (before.cpu if before else 0.0)
            used[process.part] = used.get(process.part, 0.0) + spent
        unseen = sum(max(0.0, self._unseen(key)) for key in self._last)
        return {**used, **({UNSEEN: unseen} if unseen else {})}

    def _unseen(self, parent: tuple[int, int]) -> float:
        """What a parent was told of ended children, less what was seen of them alive."""
        before = self._first.get(parent)
        told = self._last[parent].children_cpu - (before.children_cpu if before else 0.0)
        seen = sum(
            child.cpu + child.children_cpu
            for key, child in self._last.items()
            if child.parent == parent[0] and key not in self._living
        )
        return told - seen


def part_of(command_line: str, name: str) -> str:
    """Which part of the local cloud a process is.

    Parameters
    ----------
    name
        Of the process, as the system has it: by default its program's.
    """
    if function := next((each for each in _FUNCTIONS if name.endswith(each)), None):
        return f"function {function}"
    return next((part for text, part in _PARTS if text in command_line), "other")


def tree(roots: Iterable[int], *, memory: bool = False) -> Iterator[Process]:
    """The processes and all their descendants, as far as they still are."""
    stats = dict(_stats())
    children: dict[int, list[int]] = {}
    for pid, (parent, *_) in stats.items():
        children.setdefault(parent, []).append(pid)
    waiting = [pid for pid in roots if pid in stats]
    while waiting:
        pid = waiting.pop()
        waiting.extend(children.get(pid, []))
        parent, started, cpu, children_cpu = stats[pid]
        try:
            command = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            name = (PROC / str(pid) / "comm").read_text().strip()
            megabytes = _proportional_mb(pid) if memory else None
        except OSError:  # it has ended meanwhile
            continue
        yield Process(pid, started, parent, part_of(command, name), cpu, children_cpu, megabytes)


def _stats() -> Iterator[tuple[int, tuple[int, int, float, float]]]:
    """Parent, start and CPU seconds of every process (proc(5))."""
    ticks = os.sysconf("SC_CLK_TCK")
    for name in os.listdir(PROC):  # noqa: PTH208 - half the time of iterdir, every second
        if name.isdigit():
            try:
                fields = (PROC / name / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            own, of_children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
            yield int(name), (int(fields[1]), int(fields[19]), own / ticks, of_children / ticks)


def _proportional_mb(pid: int) -> float:
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class Watch:
    """Looks at processes every second, in a thread, from `start` to `stop`.

    Does nothing where there is no /proc: then nothing is known of the parts.
    """

    def __init__(self, roots: list[int]) -> None:
        self._roots = roots
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.account = Account()
        #: What looking itself took.
        self.own_cpu_seconds = 0.0
        self.known = (PROC / "self" / "smaps_rollup").exists()

    def __enter__(self) -> Self:
        """Take the first look, from which on is counted."""
        if self.known:
            self.account.look(tree(self._roots, memory=True))
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Take the last look."""
        if self.known:
            self._ending.set()
            self._thread.join()
            self.account.look(tree(self._roots, memory=True))

    def _run(self) -> None:
        looks = 0
        while not self._ending.wait(_LOOK_EVERY_SECONDS):
            looks += 1
            self.account.look(tree(self._roots, memory=looks % _MEMORY_EVERY == 0))
            self.own_cpu_seconds = time.thread_time()
