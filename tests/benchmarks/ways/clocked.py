"""What the scripts share. Nothing of the project is imported: it is not installed where they run.

A script gets three arguments: a file with the photographs' paths, the file for its results (a line
of JSON for each photograph), and the number of processes. At the end it writes a line to standard
output that says what the run took. It works on the largest face only, as the product does by
default.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

#: Return the vector of a photograph's largest face, or None.
Embed = Callable[[str], Any]
#: Return the distances of a vector to each earlier one.
Distances = Callable[[list[Any], Any], Any]


class Embedded(NamedTuple):
    """A photograph's vector, and what the process that made it has taken so far."""

    vector: Any
    pid: int
    cpu_seconds: float
    peak_mb: float


class _Embedding:
    """Embeds a photograph and says what that took. It can be sent to another process."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed

    def __call__(self, photograph: str) -> Embedded:
        used = time.process_time()
        vector = self._embed(photograph)
        return Embedded(vector, os.getpid(), time.process_time() - used, peak_mb())


def run(prepare: Callable[[], None], embed: Embed, distances: Distances, threshold: float) -> None:
    """Embed the photographs, and compare each with all before it, in their order.

    Each process looks at the first photograph before the clock starts, so that its models are
    loaded. With several processes, a pool of them embeds and this one compares, as the command
    line of face_recognition does with `--cpus`.
    """
    listed, results = map(Path, sys.argv[1:3])
    processes = int(sys.argv[3])
    photographs = listed.read_text().splitlines()
    known: list[Any] = []
    of: list[int] = []
    faceless = 0
    cpu_seconds = 0.0
    peaks: dict[int, float] = {}
    prepare()
    with _embedded(prepare, embed, photographs, processes) as embeddings, results.open("w") as out:
        started, used = time.perf_counter(), time.process_time()
        for number, embedded in enumerate(embeddings()):
            if embedded.pid != os.getpid():
                cpu_seconds += embedded.cpu_seconds
                peaks[embedded.pid] = embedded.peak_mb
            matches: list[list[float]] = []
            if embedded.vector is None:
                faceless += 1
            else:
                if known:
                    found = distances(known, embedded.vector)
                    matches = [
                        [earlier, round(float(distance), 4)]
                        for earlier, distance in zip(of, found, strict=True)
                        if distance <= threshold
                    ]
                known.append(embedded.vector)
                of.append(number)
            out.write(json.dumps({"photograph": number, "matches": matches}) + "\n")
        seconds, cpu_seconds = (
            time.perf_counter() - started,
            cpu_seconds + time.process_time() - used,
        )
    total = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "images": len(photographs),
        "faceless": faceless,
        "threshold": threshold,
        "peak_mb": peak_mb() + sum(peaks.values()),
    }
    print(json.dumps(total), flush=True)


@contextmanager
def _embedded(
    prepare: Callable[[], None], embed: Embed, photographs: list[str], processes: int
) -> Iterator[Callable[[], Iterator[Embedded]]]:
    """Give what embeds the photographs in their order, ready to start."""
    embedding = _Embedding(embed)
    if processes == 1:
        embed(photographs[0])
        yield lambda: map(embedding, photographs)
        return
    spawned = multiprocessing.get_context("spawn")
    ready = spawned.Semaphore(0)
    arguments = (prepare, embed, photographs[0], ready)
    with spawned.Pool(processes, _get_ready, arguments) as pool:
        for _ in range(processes):
            ready.acquire()
        yield lambda: pool.imap(embedding, photographs)


def _get_ready(prepare: Callable[[], None], embed: Embed, first: str, ready: Any) -> None:
    prepare()
    embed(first)
    ready.release()


def peak_mb() -> float:
    """Return the most memory that this process has had resident.

    Not getrusage on Linux: a child begins with what its parent had.
    """
    status = Path("/proc/self/status")
    if found := status.exists() and re.search(r"VmHWM:\s*(\d+) kB", status.read_text()):
        return int(found[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
