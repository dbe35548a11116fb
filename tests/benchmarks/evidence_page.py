"""Time and peak memory of `facematch evidence` on synthetic records and generated photographs.

Starts a local cloud of its own, fills its buckets without running the workflow, runs the command
in a process of its own and measures that process::

    python -m tests.benchmarks.evidence_page
    python -m tests.benchmarks.evidence_page --images 500 --matches 1000 --large 0

The emulator that serves S3 shares the cores with the command; on AWS it would not.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facematch.local.cloud import LocalCloud
from facematch.local.state_folder import StateFolder
from facematch.stack.objects import Bucket
from functions.matching.faces import Box, Face, IndexedFaces, Match, SearchResult
from functions.matching.identity import FROM_FILE, Identity, compiled_names_from, name_in
from functions.matching.reports import json_lines, match_rows, matches_key, report, report_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from functions.matching.images import UploadedImage

PARALLEL = 16
SMALL, LARGE = (250, 250), (6000, 4000)
#: Distinct photographs; more would only take longer to make.
DISTINCT = 64
#: Photographs of a person, on average.
PER_NAME = 3
NAMES_FROM = compiled_names_from(FROM_FILE)
#: So many matches are reported from both sides, as when photographs come at once.
BOTH_SIDES = 0.5


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    peak_mb: float


def photograph(size: tuple[int, int], rng: np.random.Generator) -> bytes:
    """Coarse shapes with the grain of a camera: as large, and as slow to decode, as a real one."""
    shapes = Image.fromarray(rng.integers(0, 220, (12, 12, 3), np.uint8)).resize(size)
    pixels = np.asarray(shapes) + rng.integers(0, 12, (size[1], size[0], 1), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def each(work: Callable[[Any], object], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(work, items):
            pass


def fill(cloud: LocalCloud, images: int, matches: int, large: int) -> None:
    """Photographs, reports and match rows, as the workflow would have left them."""
    s3 = cloud.client("s3", max_pool_connections=PARALLEL)
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in cloud.client("cloudformation").describe_stacks(
            StackName=cloud.running.stack_name if cloud.running else ""
        )["Stacks"][0]["Outputs"]
    }
    bucket, prefix = outputs["ImagesBucket"], outputs["ImagePrefix"]
    functions = cloud.client("lambda")
    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    rng = np.random.default_rng(1)
    distinct = [photograph(SMALL, rng) for _ in range(min(DISTINCT, images))]
    big = photograph(LARGE, rng) if large else b""

    def put(number: int) -> None:
        body = big if number < large else distinct[number % len(distinct)]
        key = f"{prefix}Person_{number // PER_NAME:05}_{number % PER_NAME:04}.jpg"
        s3.put_object(Bucket=bucket, Key=key, Body=body)

    each(put, range(images))
    uploaded = list(Bucket(s3, bucket).current(prefix))
    found = reported(uploaded, matches)

    def write(image: UploadedImage) -> None:
        record = report_of(image, found.get(image.key, ()))
        output = outputs["OutputBucket"]
        s3.put_object(Bucket=output, Key=report_key(image), Body=json_lines([record]))
        if rows := match_rows(record):
            s3.put_object(Bucket=output, Key=matches_key(image), Body=json_lines(rows))

    each(write, uploaded)


def reported(images: list[UploadedImage], matches: int) -> dict[str, list[Match]]:
    """So many distinct pairs of faces of different names, by the key of who reports them."""
    choose = random.Random(1)
    found: dict[str, list[Match]] = {}
    pairs: set[tuple[str, str]] = set()
    while len(pairs) < matches:
        one, other = choose.sample(images, 2)
        names = name_of(one), name_of(other)
        keys = (one.key, other.key) if one.key < other.key else (other.key, one.key)
        if names[0] == names[1] or keys in pairs:
            continue
        pairs.add(keys)
        similarity = 100 - 20 * choose.random() ** 2
        sides = [(one, other), (other, one)][: 2 if choose.random() < BOTH_SIDES else 1]
        for own, matched in sides:
            match = Match(
                searched_face_id=face_id(own),
                face_id=face_id(matched),
                key=matched.key,
                name=name_of(matched),
                similarity=similarity,
                box=BOX,
            )
            found.setdefault(own.key, []).append(match)
    return found


BOX = Box(0.28, 0.24, 0.44, 0.5)


def name_of(image: UploadedImage) -> str:
    return name_in(image.key, NAMES_FROM) or "?"


def face_id(image: UploadedImage) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, image.key))


def report_of(image: UploadedImage, matches: Iterable[Match]) -> dict[str, Any]:
    face = Face(face_id=face_id(image), box=BOX, confidence=99.9, brightness=60, sharpness=80)
    searched = SearchResult(
        matches=tuple(sorted(matches, key=lambda match: -match.similarity)),
        left_out=0,
        same_name=0,
        unattributed=0,
        searched_at="2099-01-01T00:00:00.000Z",
    )
    return report(
        image,
        IndexedFaces(faces=(face,), unindexed=(), face_model_version="7.0"),
        searched,
        own=Identity(name_of(image)),
        search_threshold=80,
        notify_threshold=99,
        execution_arn=f"arn:aws:states:us-east-1:0:execution:FaceMatching:{image.execution_name}",
    )


def measured(arguments: list[str], home: StateFolder) -> Measured:
    """Run the command line in a process of its own."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "facematch.cli.main", *arguments]
    environment = {**os.environ, "FACEMATCH_HOME": str(home.folder)}
    process = os.spawnve(os.P_NOWAIT, sys.executable, command, environment)
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit("the command failed")
    return Measured(
        time.perf_counter() - started,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,  # KiB on Linux
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--matches", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=20, help="of the images: of 24 megapixels")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = StateFolder(Path(temporary) / "home")
        with LocalCloud(home) as cloud:
            started = time.perf_counter()
            fill(cloud, options.images, options.matches, options.large)
            print(f"{'buckets filled':<24}{time.perf_counter() - started:9.1f} s")
            folder = Path(temporary) / "page"
            for _ in range(options.runs):
                run = measured(["dashboard", "--local", "--to", str(folder)], home)
                print(
                    f"{'page written':<24}{run.seconds:9.1f} s{run.cpu_seconds:9.1f} s CPU"
                    f"{run.peak_mb:9.0f} MB at most   (load {os.getloadavg()[0]:.1f})",
                    flush=True,
                )
            files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            counts = json.loads((folder / "facematch-dashboard.json").read_text())["counts"]
            print(f"{'index.html':<24}{(folder / 'index.html').stat().st_size / 1e6:9.1f} MB")
            print(f"{'folder':<24}{sum(files) / 1e6:9.1f} MB in {len(files):,} files")
            print(f"{'shown':<24}{json.dumps(counts)}")
            measured(["dashboard", "--local", "--delete", "--to", str(folder)], home)


if __name__ == "__main__":
    main()
