"""How long a search takes in collections of 1,000 to 1,000,000 faces.

    python -m tests.benchmarks.search
    python -m tests.benchmarks.search --faces 100000 --profile

The faces are random unit vectors; every searched one has five planted neighbours, which have to be
found. Each size is measured in a process of its own, so that its memory is known. Through the
endpoint a search is what the search step sees: HTTP, AWS's JSON and the checks of the request.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import os
import pstats
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facematch.local.clients import local_client
from facematch.local.emulator import process as emulator
from facematch.local.keys import AccessKey, AccessKeys
from facematch.local.rekognition.collections import CollectionFace, CollectionStore
from facematch.local.rekognition.faces import EMBEDDING_SIZE, Box
from facematch.local.state_folder import Running
from tests.benchmarks.conditions import conditions, end_in_order, percentiles, say, write
from tests.benchmarks.ways.clocked import peak_mb
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
THROUGH_HTTP: Final = 100_000
_COLLECTION: Final = "measured"
_BATCH: Final = 10_000
_NEIGHBOURS: Final = 5
_SEARCHED: Final = 100
#: Cosine of a planted neighbour, about; 0.40 is a similarity of 80 %.
_NEAR: Final = 0.7
_BOX: Final = Box(0.2, 0.2, 0.4, 0.4)
#: The search step asks for as many as there can be (functions/aws/collection.py), at 80 %.
_LIMIT, _THRESHOLD = 4096, 80.0
_PATIENCE_SECONDS: Final = 600
_START_SECONDS: Final = 60


def fill(store: CollectionStore, faces: int) -> None:
    """So many faces, of which the first ones are searched and have neighbours."""
    rng = np.random.default_rng(1)
    store.create(_COLLECTION)
    searched = _unit(rng.standard_normal((_SEARCHED, EMBEDDING_SIZE)))
    # At right angles to its face, so that the mixture has the wanted cosine.
    strange = rng.standard_normal((_NEIGHBOURS, *searched.shape))
    strange -= (strange * searched).sum(-1, keepdims=True) * searched
    near = _NEAR * searched + np.sqrt(1 - _NEAR**2) * _unit(strange)
    _add(store, [_searched_id(number) for number in range(_SEARCHED)], searched)
    for nth, vectors in enumerate(near):
        _add(store, [_neighbour_id(number, nth) for number in range(_SEARCHED)], vectors)
    there = _SEARCHED * (1 + _NEIGHBOURS)
    while there < faces:
        count = min(_BATCH, faces - there)
        vectors = _unit(rng.standard_normal((count, EMBEDDING_SIZE), np.float32))
        _add(store, [_id(there + number) for number in range(count)], vectors)
        there += count


def _add(store: CollectionStore, ids: list[str], vectors: NDArray[Any]) -> None:
    faces = [
        CollectionFace(face_id, face_id, f"images::{face_id}.jpg", _BOX, 99.0) for face_id in ids
    ]
    store.add(_COLLECTION, faces, list(vectors.astype(np.float32)))


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    lengths: NDArray[Any] = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[Any] = vectors / lengths
    return unit


def _id(number: int) -> str:
    return str(uuid.UUID(int=number))


def _searched_id(number: int) -> str:
    return _id(number)


def _neighbour_id(number: int, nth: int) -> str:
    return _id(_SEARCHED * (1 + nth) + number)


def timed(search: Callable[[str], list[str]], searches: int) -> dict[str, Any]:
    """Milliseconds of a search, and whether the planted neighbours are what it found first."""
    seconds = []
    missed = 0
    for number in range(_SEARCHED // 10):
        search(_searched_id(number))
    used = time.process_time()
    for turn in range(searches):
        number = turn % _SEARCHED
        started = time.perf_counter()
        found = search(_searched_id(number))
        seconds.append(time.perf_counter() - started)
        wanted = {_neighbour_id(number, nth) for nth in range(_NEIGHBOURS)}
        missed += len(wanted - set(found[:_NEIGHBOURS]))
    return {
        "searches": searches,
        "milliseconds": {name: 1000 * value for name, value in percentiles(seconds).items()},
        "cpu_ms": 1000 * (time.process_time() - used) / searches,
        "neighbours_missed": missed,
    }


def in_process(faces: int, searches: int, database: Path, *, profile: bool) -> dict[str, Any]:
    """Fill a store and search it, in this process."""
    before = peak_mb()
    store = CollectionStore(database)
    started = time.perf_counter()
    fill(store, faces)
    filled = time.perf_counter() - started

    def search(face_id: str) -> list[str]:
        found = store.search(_COLLECTION, face_id, limit=_LIMIT, min_similarity=_THRESHOLD)
        return [match.face.face_id for match in found]

    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    measured = timed(search, searches)
    profiler.disable()
    if profile:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(8)
    store.close()
    return {
        "faces": faces,
        "way": "in process",
        **measured,
        "filled_seconds": filled,
        "peak_mb_more": peak_mb() - before,
    }


def through_http(faces: int, searches: int, database: Path) -> dict[str, Any]:
    """Search a filled database through the endpoint; the time is the client's."""
    with _endpoint(database) as (running, key):
        client = local_client(running, key, "rekognition")

        def search(face_id: str) -> list[str]:
            answer = client.search_faces(
                CollectionId=_COLLECTION,
                FaceId=face_id,
                MaxFaces=_LIMIT,
                FaceMatchThreshold=_THRESHOLD,
            )
            return [match["Face"]["FaceId"] for match in answer["FaceMatches"]]

        return {"faces": faces, "way": "through HTTP", **timed(search, searches)}


@contextmanager
def _endpoint(database: Path) -> Iterator[tuple[Running, AccessKey]]:
    file = database.with_name("keys.json")
    key = AccessKeys.kept_in(file).user
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "facematch.local.rekognition.server", "--port", str(port)),
            *("--database", str(database), "--s3-endpoint", "http://127.0.0.1:1"),
            *("--workers", "1", "--watch-stdin", "--keys", str(file)),
        ],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
    )
    try:
        _await(f"{url}/health", key, process)
        yield Running(process.pid, url, url, ""), key
    finally:
        assert process.stdin
        process.stdin.close()  # which it waits for
        try:
            process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, key: AccessKey, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(OSError):
            key.ask(url, seconds=2)
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("The Rekognition endpoint did not start.")
        time.sleep(0.1)


def main() -> int:
    """Measure each size; 1 when a neighbour was not found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, action="append", help="again for each size")
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    end_in_order()
    # As the local cloud starts the endpoint; the processes that follow read it at their start.
    given = emulator.environment(port=0, state=Path())
    os.environ["OPENBLAS_NUM_THREADS"] = given["OPENBLAS_NUM_THREADS"]
    circumstances = conditions("python -m tests.benchmarks.search")
    measured: list[dict[str, Any]] = []
    for faces in options.faces or SIZES:
        if faces < _SEARCHED * (1 + _NEIGHBOURS):
            parser.error(f"--faces {faces}: at least {_SEARCHED * (1 + _NEIGHBOURS)}")
        with tempfile.TemporaryDirectory(prefix="search-") as folder:
            database = Path(folder) / "faces.sqlite"
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, context) as pool:
                run = pool.submit(
                    in_process, faces, options.searches, database, profile=options.profile
                ).result(_PATIENCE_SECONDS)
            measured.append(run)
            if faces == THROUGH_HTTP:
                measured.append(through_http(faces, options.searches, database))
        for each in measured[-2:]:
            if each["faces"] == faces:
                say(f"search, {faces:,} faces, {each['way']}: {each['milliseconds']} ms")
    write({"conditions": circumstances, "runs": measured}, options.output)
    return 1 if any(each["neighbours_missed"] for each in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
