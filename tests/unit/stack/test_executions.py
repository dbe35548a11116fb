"""What is asked of Step Functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facematch.stack.executions import Executions
from tests.unit.cloud import deployment_of
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud


def test_executions_and_histories_are_asked_for_a_thousand_at_a_time(cloud: Cloud) -> None:
    """Step Functions gives 100 in an answer unless it is asked for more: ten times the calls."""
    deployment = deployment_of(cloud)
    asked: dict[str, set[Any]] = {}

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        asked.setdefault(model.name, set()).add(params.get("maxResults"))

    client = deployment.make_client("stepfunctions")
    client.meta.events.register("provide-client-params.sfn", note)
    execution = cloud.start(cloud.upload("images/Ann_1.jpg", photograph(0)))
    executions = Executions(deployment)

    list(executions.listed())
    executions.steps(execution)

    assert asked["ListExecutions"] == {1000}
    assert asked["GetExecutionHistory"] == {1000}
