"""The Rekognition endpoint under a quota: throttling as on AWS, seen by plain boto3."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from facematch.local.rekognition.guards import CallsPerSecond
from facematch.local.rekognition.protocol import Call, RekognitionError
from tests.local.conftest import KEYS, KEYS_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from mypy_boto3_rekognition import RekognitionClient

QUOTA = 10
DONE = (200, "", "")
THROTTLED = (400, "ProvisionedThroughputExceededException", "Provisioned rate exceeded")
COMMAND = [
    *(sys.executable, "-m", "facematch.local.rekognition.server", "--port", "0", "--workers", "1"),
    *("--s3-endpoint", "http://127.0.0.1:9", "--watch-stdin"),
    *("--keys", str(KEYS_FILE)),
]


def client(url: str, attempts: int = 1) -> RekognitionClient:
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEYS.user.id,
        aws_secret_access_key=KEYS.user.secret,
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = tmp_path_factory.mktemp("quota") / "faces.db"
    process = subprocess.Popen(
        [*COMMAND, "--database", database, "--calls-per-second", str(QUOTA)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    yield process.stdout.readline().split()[-1].rstrip(".")
    process.stdin.close()
    process.wait(timeout=15)


@pytest.fixture(scope="module")
def face(url: str, photographs: dict[str, bytes]) -> Any:
    """What a search asks for."""
    rekognition = client(url)
    rekognition.create_collection(CollectionId="people")
    (record,) = rekognition.index_faces(
        CollectionId="people", Image={"Bytes": photographs["obama.jpg"]}, ExternalImageId="ann"
    )["FaceRecords"]
    return {"CollectionId": "people", "FaceId": record["Face"]["FaceId"]}


def answers(call: Callable[[], object], seconds: float) -> Counter[tuple[int, str, str]]:
    """How often each answer came, one call after the other for so long."""
    found: Counter[tuple[int, str, str]] = Counter()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            call()
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            found[status, error.response["Error"]["Code"], error.response["Error"]["Message"]] += 1
        else:
            found[DONE] += 1
    return found


def test_more_calls_than_the_quota_are_refused_as_aws_does(url: str, face: Any) -> None:
    rekognition = client(url)
    seconds = 2.0

    found = answers(lambda: rekognition.search_faces(**face), seconds)

    # A second's worth that the pause has saved up, then so many in a second.
    assert set(found) == {DONE, THROTTLED}
    assert found[DONE] == pytest.approx(QUOTA + seconds * QUOTA, abs=2)
    assert found[THROTTLED] > found[DONE]


def test_each_operation_has_a_quota_of_its_own_and_others_have_none(
    url: str, face: Any, photographs: dict[str, bytes]
) -> None:
    rekognition = client(url)

    assert answers(lambda: rekognition.search_faces(**face), 0.5)[THROTTLED] > 0
    rekognition.index_faces(CollectionId="people", Image={"Bytes": photographs["biden.jpg"]})
    assert answers(lambda: rekognition.list_faces(CollectionId="people"), 0.5)[THROTTLED] == 0


def test_a_client_that_retries_gets_through(url: str, face: Any) -> None:
    rekognition = client(url, attempts=6)

    for _ in range(2 * QUOTA):
        rekognition.search_faces(**face)


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "nan", "inf"])
def test_a_quota_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--database", tmp_path / "faces.db", f"--calls-per-second={wrong}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert wrong in done.stderr


def admitted(guard: CallsPerSecond, operation: str) -> bool:
    try:
        guard(Call(operation, {}, {}))
    except RekognitionError as error:
        return (error.status, error.code, error.message) != THROTTLED
    return True


def test_the_guard_admits_the_quota_evenly_and_a_refused_call_costs_none() -> None:
    now = 100.0
    guard = CallsPerSecond(5, clock=lambda: now)
    times = []
    for step in range(400):  # 40 a second, for ten seconds
        now = 100 + step / 40
        if admitted(guard, "IndexFaces"):
            times.append(now)

    assert len(times) == pytest.approx(5 + 10 * 5, abs=1)
    for second in range(101, 110):
        assert sum(second <= time_ < second + 1 for time_ in times) <= 6


def test_the_guard_leaves_other_operations_alone() -> None:
    guard = CallsPerSecond(1, clock=lambda: 0.0)

    assert all(admitted(guard, "DeleteFaces") for _ in range(100))
    assert admitted(guard, "IndexFaces")
    assert admitted(guard, "SearchFaces")  # its own quota
    assert not admitted(guard, "IndexFaces")
