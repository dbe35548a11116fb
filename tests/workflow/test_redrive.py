"""RedriveExecution on the local cloud, as AWS documents it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

ALWAYS = 10_000


def fail_at_search(workflow: Workflow, key: str = "Ann_Lee_0001.jpg") -> UploadedImage:
    """An image whose execution fails at SearchFaces, with nothing in the way any more."""
    workflow.rekognition.fail_next(ALWAYS, "AccessDeniedException", "SearchFaces")
    image = workflow.upload(key, workflow.photograph("obama.jpg"))
    assert workflow.finished(image)["status"] == "FAILED"
    workflow.failure(image)
    workflow.rekognition.fail_next(0, "")
    return image


def redriven(workflow: Workflow, image: UploadedImage) -> dict[str, Any]:
    workflow.stepfunctions.redrive_execution(executionArn=workflow.arn(image))
    return workflow.finished(image)


def test_a_redriven_execution_goes_on_at_the_step_that_failed_and_repeats_none(
    workflow: Workflow,
) -> None:
    image = fail_at_search(workflow)

    execution = redriven(workflow, image)

    assert execution["status"] == "SUCCEEDED"
    events = workflow.history(execution["executionArn"])
    kinds = [event["type"] for event in events]
    redrive = kinds.index("ExecutionRedriven")
    assert events[redrive]["executionRedrivenEventDetails"] == {"redriveCount": 1}
    assert kinds[redrive + 1] == "TaskScheduled"
    entered = [
        e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e
    ]
    assert entered.count("IndexFaces") == 1
    assert entered.count("SearchFaces") == 1
    assert entered[-2:] == ["AboveThreshold", "Done"]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))


def test_after_a_redrive_the_report_stands_and_the_failure_record_is_gone(
    workflow: Workflow,
) -> None:
    image = fail_at_search(workflow)

    redriven(workflow, image)

    assert workflow.report(image)["status"] == "UNIQUE"
    assert workflow.records("failures", image) == []


def test_an_execution_tells_whether_and_how_often_it_was_redriven(workflow: Workflow) -> None:
    image = fail_at_search(workflow)
    arn = workflow.arn(image)
    before = workflow.stepfunctions.describe_execution(executionArn=arn)

    after = redriven(workflow, image)

    assert (before["redriveStatus"], before["redriveCount"]) == ("REDRIVABLE", 0)
    assert (after["redriveStatus"], after["redriveCount"]) == ("NOT_REDRIVABLE", 1)
    assert after["redriveDate"] > before["stopDate"]
    listed = workflow.stepfunctions.list_executions(
        stateMachineArn=workflow.deployment.state_machine_arn
    )["executions"]
    assert next(e for e in listed if e["executionArn"] == arn)["redriveCount"] == 1


@pytest.mark.parametrize("error", ["ExecutionNotRedrivable", "ExecutionDoesNotExist"])
def test_what_cannot_be_redriven_is_refused_by_its_name(workflow: Workflow, error: str) -> None:
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    arn = workflow.finished(image)["executionArn"]
    if error == "ExecutionDoesNotExist":
        arn += "-never-started"

    with pytest.raises(getattr(workflow.stepfunctions.exceptions, error)):
        workflow.stepfunctions.redrive_execution(executionArn=arn)


def test_a_rejected_image_is_rejected_again_by_a_redrive(workflow: Workflow) -> None:
    image = workflow.upload("Broken_0001.jpg", b"not a photograph")
    workflow.finished(image)

    again = redriven(workflow, image)

    assert (again["status"], again["error"]) == ("FAILED", "ImageRejected")
    assert workflow.states(again["executionArn"])[-2:] == ["ImageRejected", "ImageRejected"]


def test_the_same_client_token_redrives_once(workflow: Workflow) -> None:
    image = fail_at_search(workflow)
    arn = workflow.arn(image)

    for _ in range(3):
        workflow.stepfunctions.redrive_execution(executionArn=arn, clientToken="once")
    execution = workflow.finished(image)

    assert execution["redriveCount"] == 1


def test_of_many_redrives_at_once_one_is_taken(workflow: Workflow) -> None:
    image = fail_at_search(workflow)
    refused: list[str] = []
    client = workflow.cloud.client("stepfunctions", max_pool_connections=8)

    def redrive() -> None:
        try:
            client.redrive_execution(executionArn=workflow.arn(image))
        except client.exceptions.ExecutionNotRedrivable as error:
            refused.append(str(error))

    threads = [threading.Thread(target=redrive) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 5
    assert workflow.finished(image)["redriveCount"] == 1


def test_an_aborted_execution_goes_on_and_its_old_run_changes_nothing_any_more(
    workflow: Workflow,
) -> None:
    workflow.rekognition.fail_next(ALWAYS, "ThrottlingException", "SearchFaces")
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    arn = workflow.arn(image)
    eventually(lambda: workflow.executions_of(image) or None)
    eventually(lambda: "SearchFaces" in workflow.states(arn) or None)
    workflow.stepfunctions.stop_execution(executionArn=arn)
    workflow.rekognition.fail_next(0, "")

    execution = redriven(workflow, image)

    assert execution["status"] == "SUCCEEDED"
    assert workflow.states(arn).count("WriteReport") == 1


def test_a_redrive_runs_the_definition_that_the_execution_was_started_with(
    workflow: Workflow,
) -> None:
    image = fail_at_search(workflow)
    machine = workflow.deployment.state_machine_arn
    client = workflow.stepfunctions
    usual = client.describe_state_machine(stateMachineArn=machine)["definition"]
    client.update_state_machine(
        stateMachineArn=machine, definition=usual.replace('"Next":"WriteReport"', '"Next":"Done"')
    )
    try:
        started_with = client.describe_state_machine_for_execution(
            executionArn=workflow.arn(image)
        )["definition"]
        redriven(workflow, image)
    finally:
        client.update_state_machine(stateMachineArn=machine, definition=usual)

    assert started_with == usual
    assert workflow.report(image)["status"] == "UNIQUE"
