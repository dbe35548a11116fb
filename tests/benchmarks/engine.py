"""How fast the face engine is alone, on the bytes of files, as the endpoint's workers run it.

    python -m tests.benchmarks.engine --photos DIR

In one process with one thread, and in as many processes as there are cores: the most that the
local cloud could reach if everything around the engine cost nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2

from facematch.images.limits import UnusableImageError
from facematch.local.rekognition.faces import FaceEngine, QualityFilter
from tests.benchmarks import photographs
from tests.benchmarks.conditions import conditions, cores, end_in_order, say, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.synchronize import Barrier

_PATIENCE_SECONDS: Final = 120.0
_together: Barrier | None = None


def _meet(barrier: Barrier) -> None:
    global _together  # noqa: PLW0603 - how a process of a pool is handed a barrier
    _together = barrier


def _work(bodies: Sequence[bytes], seconds: float) -> tuple[int, float, float]:
    """In a process of its own: images, seconds of the wall and of the processor."""
    cv2.setNumThreads(1)  # as the endpoint's workers do
    engine = FaceEngine()
    _analyse(engine, bodies[0])
    assert _together
    _together.wait(_PATIENCE_SECONDS)
    images, started, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        _analyse(engine, bodies[images % len(bodies)])
        images += 1
    return images, time.perf_counter() - started, time.process_time() - used


def _analyse(engine: FaceEngine, body: bytes) -> None:
    """One face and the filter AUTO: the product's defaults."""
    with contextlib.suppress(UnusableImageError):  # it costs what it costs, and is rejected
        engine.detect_and_embed(body, max_faces=1, quality_filter=QualityFilter.AUTO)


def measured(bodies: Sequence[bytes], *, processes: int, seconds: float) -> dict[str, Any]:
    """Images a second of so many processes at once, for so many seconds.

    Parameters
    ----------
    bodies
        The photographs; each process goes round and round a share of its own.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, context, initializer=_meet, initargs=(context.Barrier(processes),)
    ) as pool:
        shares = [bodies[number::processes] or bodies for number in range(processes)]
        begun = [pool.submit(_work, share, seconds) for share in shares]
        done = [future.result(_PATIENCE_SECONDS + 2 * seconds) for future in begun]
    images = sum(count for count, _, _ in done)
    return {
        "processes": processes,
        "images": images,
        "images_per_second": sum(count / wall for count, wall, _ in done),
        "cpu_ms_per_image": 1000 * sum(used for _, _, used in done) / images,
    }


def main() -> None:
    """Measure alternately with one process and with one for each core."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    photographs.add_options(parser)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    end_in_order()
    circumstances = conditions(
        f"python -m tests.benchmarks.engine --images {options.images} --runs {options.runs}"
    )
    found = photographs.sources(options.photos, options.aliases)[: options.images]
    runs = []
    for number in range(options.runs):
        for processes in sorted({1, cores()}):
            run = measured(
                [source.body for source in found], processes=processes, seconds=options.seconds
            )
            say(f"engine, run {number + 1}: {processes} processes, {_shown(run)}")
            runs.append(run)
    write(
        {
            "conditions": circumstances,
            "photographs": photographs.described(options.photos),
            "runs": runs,
        },
        options.output,
    )


def _shown(run: dict[str, Any]) -> str:
    return f"{run['images_per_second']:.1f} images/s, {run['cpu_ms_per_image']:.1f} ms CPU each"


if __name__ == "__main__":
    main()
