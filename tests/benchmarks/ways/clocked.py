"""What the scripts share. Nothing of the project is imported: it is not installed where they run.

A script reads the photographs' paths from a file (its first argument), writes a line of JSON for
each photograph into another (the second) and, at the end, a line with what it took to standard
output. It works on the largest face only, as the product does by default.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: The vector of a photograph's largest face, or None; and its distances to each earlier one.
Embed = Callable[[str], Any]
Distances = Callable[[list[Any], Any], Any]


def run(embed: Embed, distances: Distances, *, threshold: float) -> None:
    """Go through the photographs in order, each compared with all before it.

    The first photograph is looked at once before the clock starts: models are loaded then.
    """
    listed, results = map(Path, sys.argv[1:3])
    photographs = listed.read_text().splitlines()
    embed(photographs[0])
    known: list[Any] = []
    of: list[int] = []
    faceless = 0
    started, used = time.perf_counter(), time.process_time()
    with results.open("w") as lines:
        for number, photograph in enumerate(photographs):
            embedding = embed(photograph)
            matches: list[list[float]] = []
            if embedding is None:
                faceless += 1
            else:
                if known:
                    found = distances(known, embedding)
                    matches = [
                        [earlier, round(float(distance), 4)]
                        for earlier, distance in zip(of, found, strict=True)
                        if distance <= threshold
                    ]
                known.append(embedding)
                of.append(number)
            lines.write(json.dumps({"photograph": number, "matches": matches}) + "\n")
    total = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "images": len(photographs),
        "faceless": faceless,
        "threshold": threshold,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(total), flush=True)


def peak_mb() -> float:
    """The most memory that this process has had resident.

    Not getrusage on Linux: a child begins with what its parent had.
    """
    status = Path("/proc/self/status")
    if found := status.exists() and re.search(r"VmHWM:\s*(\d+) kB", status.read_text()):
        return int(found[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
