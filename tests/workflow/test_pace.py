"""The tap, executed: a burst of uploads against an endpoint that enforces a quota.

``FACEMATCH_PACE_IMAGES=500`` in the environment makes it the long one of docs/pace.md.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_left
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from facematch.local.cloud import LocalCloud
from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from functions.matching.settings import paced
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

IMAGES = int(os.environ.get("FACEMATCH_PACE_IMAGES", "100"))
#: Calls per second, of IndexFaces and of SearchFaces each.
QUOTA = 20.0
PACE = paced(QUOTA, max_faces=1)
THROTTLED = "ProvisionedThroughputExceededException"


@pytest.fixture(autouse=True)
def _usual_threshold_and_no_faults() -> None:
    """Of the cloud that other tests share, which this one does not need."""


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    home = StateFolder(tmp_path_factory.mktemp("cloud"))
    settings = {"starts_per_second": f"{PACE:g}"}
    with LocalCloud(home, overrides=settings, calls_per_second=QUOTA) as cloud:
        yield cloud


def photograph(width: int = 250) -> bytes:
    buffer = io.BytesIO()
    with Image.open(fetch_photographs()["obama.jpg"]) as original:
        small = original.resize((width, original.height * width // original.width))
    small.convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def most_within_a_second(times: list[float]) -> int:
    return max(bisect_left(times, time + 1) - n for n, time in enumerate(times))


def test_a_burst_is_started_at_the_pace_and_none_fails_under_the_quota(cloud: LocalCloud) -> None:
    running = cloud.running
    assert running
    stacks = cloud.client("cloudformation").describe_stacks(StackName=running.stack_name)
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stacks["Stacks"][0]["Outputs"]}
    s3, stepfunctions = cloud.client("s3"), cloud.client("stepfunctions")
    rekognition = cloud.client("rekognition")
    content = photograph()

    for number in range(IMAGES):
        key = f"{outputs['ImagePrefix']}Ann_Lee_{number:04}.jpg"
        s3.put_object(Bucket=outputs["ImagesBucket"], Key=key, Body=content)

    def faces() -> int:
        """Asked of the endpoint, so as not to keep the emulator from its work."""
        described = rekognition.describe_collection(CollectionId=outputs["CollectionId"])
        return int(described["FaceCount"])

    def ended() -> list[dict[str, Any]] | None:
        pages = stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=outputs["StateMachineArn"]
        )
        executions = [execution for page in pages for execution in page["executions"]]
        running = [e for e in executions if e["status"] == "RUNNING"]
        return executions if len(executions) == IMAGES and not running else None

    patience = 30 + 3 * IMAGES / PACE
    eventually(lambda: faces() == IMAGES or None, patience=patience)
    executions = eventually(ended)
    times = sorted(execution["startDate"].timestamp() for execution in executions)
    calls = (cloud.home.logs / "rekognition.log").read_text().count(THROTTLED)
    rate = (IMAGES - 1) / (times[-1] - times[0])
    print(
        f"{IMAGES} images, {rate:.2f} starts a second at a pace of {PACE:g}, at most "
        f"{most_within_a_second(times)} within one; {calls} calls throttled"
    )

    assert {execution["status"] for execution in executions} == {"SUCCEEDED"}
    assert rate <= PACE * 1.02
    assert most_within_a_second(times) <= PACE + 2  # one at each end, and jitter
