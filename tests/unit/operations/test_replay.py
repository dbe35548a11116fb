"""What is replayed, where Step Functions no longer knows every attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facematch.operations.replay import Replayer, Selection
from facematch.stack.executions import Executions
from functions.matching.failures import FailureStatus
from tests.unit.album import Album
from tests.unit.cloud import deployment_of

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud


@pytest.mark.parametrize("forgotten", [1, 2])
def test_a_version_whose_replay_runs_is_not_planned_after_its_first_attempts_are_forgotten(
    cloud: Cloud, forgotten: int
) -> None:
    album, deployment = Album(cloud), deployment_of(cloud)
    image = album.add("Ann_1.jpg", b"photograph")
    first = Executions(deployment).arn(image.execution_name)
    album.fail(image, FailureStatus.FAILED, execution_arn=first)
    cloud.start(image, replay=forgotten)

    plan = Replayer(deployment).plan(Selection(everything=True))

    assert plan.replays == []
    assert plan.left_out == {"another attempt succeeded or still runs": 1}
