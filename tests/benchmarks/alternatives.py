"""The product against what a user would pick instead, on the same photographs and machine.

    python -m tests.benchmarks.alternatives --photos DIR --images 600 --runs 3

The others run in `.venv-bench`, since their needs conflict with ours. In turn: ours, theirs, ours,
theirs. Ours is end to end on the local cloud (tests.benchmarks.throughput), on all cores. Theirs
finds the largest face of each photograph, encodes it, compares it with all before it and writes a
line of result. It runs on all cores too, with a process for each core, and once in one process as
its documentation shows. Its models are loaded before its clock starts, as ours are. A ratio is of
two neighbouring runs, so that what the machine did meanwhile hits both.

How well each tells people apart is measured beside it on the same photographs, at the threshold
that each has by default, so that speed is not compared at another accuracy. A pair of photographs
is of one person when the names say so; a photograph in which no face was found matches none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facematch.images.limits import UnusableImageError
from facematch.local.rekognition.faces import EMBEDDING_SIZE, FaceEngine, QualityFilter, similarity
from tests.benchmarks import photographs, throughput
from tests.benchmarks.conditions import conditions, cores, end_in_order, say, write
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from facematch.local.rekognition.faces import Floats

PYTHON: Final = PROJECT / ".venv-bench" / "bin" / "python"
OURS: Final = "Face Matching"
_PATIENCE_SECONDS: Final = 60.0
#: A way that is slower than this is given up.
_LEAST_IMAGES_PER_SECOND: Final = 0.5
#: The thresholds that the product has by default: what a report lists, what notifies.
_OUR_THRESHOLDS: Final = (80.0, 99.0)


@dataclass(frozen=True)
class Way:
    """One of the others, in a number of processes."""

    library: str
    module: str
    processes: int
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return f"{self.library}, {'1 process' if self.processes == 1 else 'all cores'}"


FASTEST: Final = "face_recognition"
WAYS: Final = (
    Way(FASTEST, "face_recognition_way", cores()),
    Way(FASTEST, "face_recognition_way", 1),
    Way("deepface (OpenCV)", "deepface_way", cores(), ("opencv",)),
    Way("deepface (dlib)", "deepface_way", cores(), ("dlib",)),
)


def run_way(way: Way, pile: photographs.Pile, folder: Path) -> tuple[dict[str, Any], Path]:
    """One run of one of the others, and the file with its results.

    Raises
    ------
    SystemExit
        When it failed or took too long.
    """
    listed, results = folder / "photographs.txt", folder / f"{WAYS.index(way)}.jsonl"
    listed.write_text("\n".join(map(str, pile.people)))
    patience = _PATIENCE_SECONDS + len(pile.people) / _LEAST_IMAGES_PER_SECOND
    try:
        done = subprocess.run(
            [
                *(str(PYTHON), "-W", "ignore", "-m", f"tests.benchmarks.ways.{way.module}"),
                *(str(listed), str(results), str(way.processes), *way.arguments),
            ],
            cwd=PROJECT,
            # Weights come out of packages: whatever tries to download some fails at once.
            env={
                **os.environ,
                **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:1"),
            },
            stdout=subprocess.PIPE,
            timeout=patience,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{way.name} was not done after {patience:.0f} s.") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"{way.name} failed (exit code {error.returncode}), as said above."
        ) from None
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    images = len(pile.people)
    return {
        "way": way.name,
        "processes": way.processes,
        "images_per_second": images / told["seconds"],
        "cpu_ms_per_image": 1000 * told["cpu_seconds"] / images,
        "peak_mb": told["peak_mb"],
        "faceless": told["faceless"],
        "threshold": told["threshold"],
    }, results


def run_ours(pile: photographs.Pile, warm_up: Path) -> dict[str, Any]:
    """One run of the product.

    Raises
    ------
    SystemExit
        When it does not count.
    """
    try:
        done = throughput.run(pile, warm_up, warm_up.parent)
    except throughput.Invalid as error:
        raise SystemExit(f"Our run does not count: {error}") from None
    if not done["valid"]:
        raise SystemExit(f"Our run does not count: {'; '.join(done['problems'])}")
    return {
        "way": OURS,
        "images_per_second": done["images_per_second"],
        "cpu_ms_per_image": done["cpu_ms_per_image_total"],
        "peak_mb": done["peak_mb_total"],
    }


def rates(matched: set[tuple[int, int]], people: Sequence[str]) -> dict[str, Any]:
    """True and false match rate over all pairs of photographs.

    Parameters
    ----------
    matched
        Pairs of positions in `people`, the smaller first.
    people
        Who is on each photograph.
    """
    counted = {True: 0, False: 0}
    found = {True: 0, False: 0}
    for one, other in combinations(range(len(people)), 2):
        same = people[one] == people[other]
        counted[same] += 1
        found[same] += (one, other) in matched
    return {
        "same_pairs": counted[True],
        "different_pairs": counted[False],
        "true_match_rate": found[True] / counted[True] if counted[True] else None,
        "false_match_rate": found[False] / counted[False] if counted[False] else None,
    }


def their_pairs(lines: Iterable[str]) -> set[tuple[int, int]]:
    """The pairs that a script's results tell."""
    results = map(json.loads, lines)
    return {
        (int(earlier), result["photograph"])
        for result in results
        for earlier, _distance in result["matches"]
    }


def our_vectors(paths: Iterable[Path]) -> Floats:
    """A row for each photograph, as the endpoint would index it; NaN where there is no face."""
    engine = FaceEngine()
    rows = []
    for path in paths:
        row = np.full(EMBEDDING_SIZE, np.nan, np.float32)
        with contextlib.suppress(UnusableImageError):
            analysed = engine.detect_and_embed(
                path.read_bytes(), max_faces=1, quality_filter=QualityFilter.AUTO
            )
            row = next((f.embedding for f in analysed.faces if f.embedding is not None), row)
        rows.append(row)
    return np.stack(rows)


def our_pairs(vectors: Floats, threshold: float) -> set[tuple[int, int]]:
    """The pairs whose similarity, %, reaches the threshold."""
    cosines = vectors @ vectors.T
    return {
        (one, other)
        for one, other in combinations(range(len(vectors)), 2)
        if similarity(float(cosines[one, other])) >= threshold
    }


def main() -> int:
    """Measure the ways in turn, then how well each tells people apart."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    photographs.add_options(parser)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    end_in_order()
    if not PYTHON.exists():
        parser.error(f"{PYTHON} is not there. Make it: make .venv-bench/.bench")
    measured: dict[str, Any] = {
        "conditions": conditions(
            f"python -m tests.benchmarks.alternatives --images {options.images}"
        ),
        "packages": _versions(),
    }
    found = photographs.sources(options.photos, options.aliases)
    with tempfile.TemporaryDirectory(prefix="alternatives-") as temporary:
        folder = Path(temporary)
        warm_up = folder / "warm"
        photographs.lay_warm_up(found, warm_up, seed=options.seed)
        pile = photographs.laid(
            found,
            options.images,
            folder / "pile",
            seed=options.seed,
            described=photographs.described(options.photos),
        )
        runs: list[dict[str, Any]] = []
        accuracy: dict[str, dict[str, Any]] = {}
        people = list(pile.people.values())
        for number in range(options.runs):
            for way in WAYS:
                ours = run_ours(pile, warm_up)
                theirs, results = run_way(way, pile, folder)
                ratio = ours["images_per_second"] / theirs["images_per_second"]
                say(
                    f"run {number + 1}: ours {ours['images_per_second']:.1f} images/s, "
                    f"{way.name} {theirs['images_per_second']:.1f}: {ratio:.1f} times"
                )
                runs.append({**theirs, "ours": ours, "ratio": ratio})
                accuracy[way.library] = {
                    "way": way.library,
                    "threshold": theirs["threshold"],
                    "faceless": theirs["faceless"],
                    **rates(their_pairs(results.read_text().splitlines()), people),
                }
        vectors = our_vectors(pile.people)
        measured |= {
            **pile.facts(),
            "images": options.images,
            "runs": runs,
            "accuracy": [
                *(
                    {
                        "way": OURS,
                        "threshold": threshold,
                        "faceless": int(np.isnan(vectors[:, 0]).sum()),
                        **rates(our_pairs(vectors, threshold), people),
                    }
                    for threshold in _OUR_THRESHOLDS
                ),
                *accuracy.values(),
            ],
        }
    write(measured, options.output)
    return 0


def _versions() -> dict[str, str]:
    """Of what the others are made of."""
    names = ("face-recognition", "dlib-bin", "deepface", "opencv-contrib-python-headless", "numpy")
    asked = f"from importlib.metadata import version\nfor n in {names}: print(version(n))"
    done = subprocess.run([str(PYTHON), "-c", asked], capture_output=True, text=True, check=True)
    return dict(zip(names, done.stdout.split(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
