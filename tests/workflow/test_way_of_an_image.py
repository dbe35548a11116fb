"""Each way that an image can take through the state machine, executed."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.cli.options import Where
from facematch.operations.image_history import image_history
from facematch.operations.matches import matches
from facematch.operations.upload import Uploader, wait_for_outcomes
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

ALWAYS = 10_000
STEPS_OF_A_MATCH = [
    "IndexFaces",
    "Settle",
    "SearchFaces",
    "WriteReport",
    "AboveThreshold",
    "NotifyMatch",
]


@pytest.fixture
def starter_paused(workflow: Workflow) -> Iterator[Any]:
    """Messages stay in the queue until the fixture's function is called."""
    client = workflow.cloud.client("lambda")
    (mapping,) = client.list_event_source_mappings()["EventSourceMappings"]

    def enabled(*, yes: bool) -> None:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=yes)

    enabled(yes=False)
    yield lambda: enabled(yes=True)
    enabled(yes=True)


def test_a_match_above_the_threshold_is_reported_and_notified(workflow: Workflow) -> None:
    notifications = workflow.subscribed("MatchesTopicArn")
    first = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(first)

    second = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("obama2.jpg"))
    execution = workflow.finished(second)

    assert execution["status"] == "SUCCEEDED"
    assert workflow.states(execution["executionArn"]) == STEPS_OF_A_MATCH
    report = workflow.report(second)
    assert report["status"] == "MATCHED"
    assert report["above_threshold"] is True
    assert report["execution_arn"] == execution["executionArn"]
    (row,) = workflow.records("matches", second)
    assert (row["name"], row["matched_name"]) == ("Bea_Roe", "Ann_Lee")
    assert row["matched_key"] == first.key
    assert row["similarity"] >= 99
    (message,) = eventually(lambda: notifications() or None)
    assert message["Subject"].endswith("Bea_Roe looks like Ann_Lee")
    (pair,) = json.loads(message["Message"])["pairs"]
    assert pair["pair_id"] == row["pair_id"]


def test_a_photograph_that_was_copied_under_another_name_is_called_that(
    workflow: Workflow,
) -> None:
    for name, photograph in (("Ann_Lee", "obama.jpg"), ("Bea_Roe", "obama2.jpg")):
        workflow.finished(workflow.upload(f"{name}_0001.jpg", workflow.photograph(photograph)))
    notifications = workflow.subscribed("MatchesTopicArn")

    copy = workflow.upload("Cyd_Moe_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(copy)

    (message,) = eventually(lambda: notifications() or None)
    pairs = json.loads(message["Message"])["pairs"]
    assert {pair["other_name"]: pair["same_file"] for pair in pairs} == {
        "Ann_Lee": True,
        "Bea_Roe": False,
    }
    shown = {
        (pair.name_a, pair.name_b): pair.same_file
        for pair in matches(workflow.deployment, minimum=80)
    }
    assert shown[("Ann_Lee", "Cyd_Moe")]
    assert not shown[("Bea_Roe", "Cyd_Moe")]
    told = image_history(workflow.deployment, "images/Ann_Lee_0001.jpg")
    assert (copy.key, True) in [(row["key"], row["same_file"]) for row in told.seen_by_others]


def test_a_photograph_of_two_people_says_so_in_every_place_that_names_its_match(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Where, "deployment", lambda _: workflow.deployment)
    notifications = workflow.subscribed("MatchesTopicArn")
    both = workflow.upload("Ivy_Dow_0001.jpg", workflow.two_people("obama.jpg", "biden.jpg"))
    workflow.finished(both)
    alone = workflow.upload("Jon_Fox_0001.jpg", workflow.photograph("obama2.jpg"))
    workflow.finished(alone)

    report = workflow.report(both)
    assert (report["subject"], report["prominent_faces"]) == ("LARGEST_OF_SEVERAL", 2)
    (row,) = workflow.records("matches", alone)
    assert (row["prominent_faces"], row["matched_prominent_faces"]) == (1, 2)
    (message,) = eventually(lambda: notifications() or None)
    assert message["MessageAttributes"]["subject"]["Value"] == '["LARGEST_OF_SEVERAL"]'
    (pair,) = [
        pair
        for pair in matches(workflow.deployment, minimum=80)
        if (pair.name_a, pair.name_b) == ("Ivy_Dow", "Jon_Fox")
    ]
    assert (pair.people_a, pair.people_b, pair.shows_several) == (2, 1, True)
    for command in (["show", alone.key], ["show", both.key], ["matches"]):
        shown = CliRunner().invoke(app, command, catch_exceptions=False).stdout
        assert "this photograph shows 2 people" in shown, command


def test_a_match_below_the_threshold_is_reported_and_nobody_is_notified(
    workflow: Workflow,
) -> None:
    notifications = workflow.subscribed("MatchesTopicArn")
    workflow.finished(workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg")))
    workflow.set_notify_threshold("100")
    try:
        image = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("obama2.jpg"))
        execution = workflow.finished(image)
    finally:
        workflow.set_notify_threshold("99")

    assert execution["status"] == "SUCCEEDED"
    assert "NotifyMatch" not in workflow.states(execution["executionArn"])
    report = workflow.report(image)
    assert report["status"] == "MATCHED"
    assert report["above_threshold"] is False
    assert report["notify_threshold"] == 100
    assert notifications() == []


def test_another_photograph_of_the_same_name_is_no_match(workflow: Workflow) -> None:
    workflow.finished(workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg")))

    image = workflow.upload("Ann_Lee_0002.jpg", workflow.photograph("obama2.jpg"))
    workflow.finished(image)

    report = workflow.report(image)
    assert report["status"] == "UNIQUE"
    assert report["same_name_matches"] == 1


def test_an_image_without_a_face_is_an_outcome(workflow: Workflow, faceless: bytes) -> None:
    image = workflow.upload("Nobody_0001.png", faceless)
    execution = workflow.finished(image)

    assert execution["status"] == "SUCCEEDED"
    report = workflow.report(image)
    assert report["status"] == "NO_FACE"
    assert report["faces_in_image"] == 0


@pytest.mark.parametrize(
    ("key", "body", "reason"),
    [
        ("Broken_0001.jpg", b"not a photograph", "NOT_JPEG_OR_PNG"),
        ("Empty_0001.jpg", b"", "CUT_OFF"),
        ("people/.jpg", b"nameless", "UNNAMED"),
        ("x/" * 200 + "Deep_0001.jpg", b"far down", "KEY_UNUSABLE"),
    ],
)
def test_an_image_at_fault_is_rejected_and_recorded_once(
    workflow: Workflow, key: str, body: bytes, reason: str
) -> None:
    failures = workflow.subscribed("FailuresTopicArn")
    image = workflow.upload(key, body)
    execution = workflow.finished(image)

    assert execution["status"] == "FAILED"
    assert execution["error"] == "ImageRejected"
    assert execution["cause"].startswith(f"{reason}: s3://")
    assert workflow.states(execution["executionArn"])[-2:] == ["RecordFailure", "ImageRejected"]
    failure = workflow.failure(image)
    assert (failure["status"], failure["reason"]) == ("REJECTED", reason)
    assert (failure["step"], failure["replay"]) == ("IndexFaces", "NONE")
    assert failure["remedy"]
    assert workflow.records("reports", image) == []
    assert failures() == []


def test_a_transient_error_is_retried_until_it_passes(workflow: Workflow) -> None:
    workflow.rekognition.fail_next(5, "ProvisionedThroughputExceededException", "IndexFaces")

    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    execution = workflow.finished(image)

    assert execution["status"] == "SUCCEEDED"
    errors = [
        event["taskFailedEventDetails"]["error"]
        for event in workflow.history(execution["executionArn"])
        if "taskFailedEventDetails" in event
    ]
    assert errors
    assert set(errors) == {"Unavailable"}
    assert workflow.report(image)["status"] == "UNIQUE"
    assert workflow.records("failures", image) == []


def test_a_transient_error_that_stays_fails_the_execution_at_its_step(
    workflow: Workflow,
) -> None:
    failures = workflow.subscribed("FailuresTopicArn")
    workflow.rekognition.fail_next(ALWAYS, "ThrottlingException", "SearchFaces")

    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    execution = workflow.finished(image)

    assert execution["status"] == "FAILED"
    assert execution["error"] == "Unavailable"
    assert workflow.states(execution["executionArn"])[-1] == "SearchFaces"
    failure = workflow.failure(image)
    assert (failure["status"], failure["reason"]) == ("FAILED", "Unavailable")
    assert (failure["step"], failure["replay"]) == ("SearchFaces", "REDRIVE")
    assert failure["execution_arn"] == execution["executionArn"]
    (message,) = eventually(lambda: failures() or None)
    assert execution["executionArn"] in message["Message"]


def test_a_denied_call_is_neither_retried_nor_called_the_images_fault(workflow: Workflow) -> None:
    workflow.rekognition.fail_next(ALWAYS, "AccessDeniedException", "IndexFaces")

    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    execution = workflow.finished(image)

    assert execution["error"] == "AccessDeniedException"
    scheduled = [
        event
        for event in workflow.history(execution["executionArn"])
        if event["type"] == "TaskScheduled"
    ]
    assert len(scheduled) == 1
    failure = workflow.failure(image)
    assert (failure["status"], failure["replay"]) == ("FAILED", "REDRIVE")


def test_an_execution_that_somebody_stopped_is_recorded(workflow: Workflow) -> None:
    workflow.rekognition.fail_next(ALWAYS, "ThrottlingException", "SearchFaces")
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    arn = workflow.arn(image)
    eventually(lambda: "SearchFaces" in states_so_far(workflow, arn) or None)

    workflow.stepfunctions.stop_execution(executionArn=arn)

    failure = workflow.failure(image)
    assert (failure["status"], failure["step"]) == ("ABORTED", "SearchFaces")
    assert failure["replay"] == "REDRIVE"


def test_a_report_of_a_later_execution_removes_the_failure_and_a_late_event_changes_nothing(
    workflow: Workflow,
) -> None:
    workflow.rekognition.fail_next(ALWAYS, "ThrottlingException", "SearchFaces")
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    failed = workflow.finished(image)
    workflow.failure(image)
    workflow.rekognition.fail_next(0, "")

    again = workflow.stepfunctions.start_execution(
        stateMachineArn=workflow.deployment.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )
    assert workflow.ended(again["executionArn"])["status"] == "SUCCEEDED"
    late = invoke_failure(workflow, failed)

    assert late["recorded"] is False
    assert workflow.report(image)["status"] == "UNIQUE"
    assert workflow.records("failures", image) == []


def test_a_failure_event_about_an_execution_that_succeeded_changes_nothing(
    workflow: Workflow,
) -> None:
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    execution = workflow.finished(image)

    late = invoke_failure(workflow, execution)

    assert late == {"recorded": False}
    assert workflow.records("failures", image) == []


def test_a_duplicate_event_starts_nothing(workflow: Workflow) -> None:
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)
    before = workflow.report(image)

    for _ in range(3):
        send(workflow, s3_event(workflow, image))
    other = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("biden.jpg"))
    workflow.finished(other)
    eventually(lambda: True if queue_is_empty(workflow) else None)

    assert len(workflow.executions_of(image)) == 1
    assert workflow.report(image) == before


def test_an_object_that_is_gone_before_the_start_is_rejected(
    workflow: Workflow, starter_paused: Any
) -> None:
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.s3.delete_object(Bucket=image.bucket, Key=image.key, VersionId=image.version_id)
    starter_paused()

    assert workflow.finished(image)["error"] == "ImageRejected"
    assert workflow.failure(image)["reason"] == "GONE"


def test_an_object_behind_a_delete_marker_is_rejected_and_no_face_is_kept(
    workflow: Workflow, starter_paused: Any
) -> None:
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)
    starter_paused()

    assert workflow.finished(image)["error"] == "ImageRejected"
    assert workflow.failure(image)["reason"] == "GONE"
    assert faces_in_collection(workflow) == []


def test_an_object_that_was_overwritten_leaves_its_outcome_to_the_newer_version(
    workflow: Workflow, starter_paused: Any
) -> None:
    older = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    newer = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama2.jpg"))
    starter_paused()

    assert workflow.finished(older)["error"] == "ImageRejected"
    assert workflow.failure(older)["reason"] == "SUPERSEDED"
    assert workflow.finished(newer)["status"] == "SUCCEEDED"


def test_two_concurrent_uploads_of_one_person_under_two_names_are_found(
    workflow: Workflow,
) -> None:
    images: list[UploadedImage] = []
    both = threading.Barrier(2)

    def upload(key: str, photograph: str) -> None:
        body = workflow.photograph(photograph)
        both.wait()
        images.append(workflow.upload(key, body))

    threads = [
        threading.Thread(target=upload, args=arguments)
        for arguments in (("Ann_Lee_0001.jpg", "obama.jpg"), ("Bea_Roe_0001.jpg", "obama2.jpg"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for image in images:
        assert workflow.finished(image)["status"] == "SUCCEEDED"

    found = {
        frozenset((row["name"], row["matched_name"]))
        for image in images
        for row in workflow.records("matches", image)
    }
    assert found == {frozenset(("Ann_Lee", "Bea_Roe"))}


def test_the_same_bytes_again_are_a_new_version_but_no_new_face(workflow: Workflow) -> None:
    first = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(first)
    before = faces_in_collection(workflow)

    second = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(second)

    assert second.digest != first.digest
    assert workflow.report(second)["status"] == "UNIQUE"
    assert faces_in_collection(workflow) == before


def test_uploading_a_folder_again_starts_nothing_and_changes_no_report(
    workflow: Workflow, tmp_path: Path
) -> None:
    (tmp_path / "Ann_Lee_0001.jpg").write_bytes(workflow.photograph("obama.jpg"))
    (tmp_path / "Bea_Roe_0001.jpg").write_bytes(workflow.photograph("obama2.jpg"))
    uploader = Uploader(workflow.deployment)
    plan = uploader.plan(tmp_path)
    versions, errors = uploader.upload(plan.new, done=lambda _: None)
    outcomes = wait_for_outcomes(workflow.deployment, versions, finished=lambda _: None)
    assert not errors
    assert len(outcomes.reported) == 2
    before = everything_written(workflow)

    again = uploader.plan(tmp_path)

    assert again.new == {}
    assert {v.digest for v in again.unchanged} == {v.digest for v in versions}
    wait_for_outcomes(workflow.deployment, again.unchanged, finished=lambda _: None)
    assert everything_written(workflow) == before


def test_a_message_that_cannot_be_understood_reaches_the_dead_letters_with_its_body(
    workflow: Workflow,
) -> None:
    sqs = workflow.cloud.client("sqs")
    queue = workflow.deployment.outputs["QueueUrl"]
    set_redelivery(workflow, seconds=1)
    try:
        poison = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": None}]})
        send(workflow, poison)
        image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
        assert workflow.finished(image)["status"] == "SUCCEEDED"
        dead_letters = workflow.deployment.outputs["DeadLetterQueueUrl"]
        (dead,) = eventually(
            lambda: sqs.receive_message(QueueUrl=dead_letters).get("Messages") or None
        )
    finally:
        set_redelivery(workflow, seconds=30)

    assert dead["Body"] == poison
    assert sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])


def states_so_far(workflow: Workflow, execution_arn: str) -> list[str]:
    try:
        return workflow.states(execution_arn)
    except workflow.stepfunctions.exceptions.ExecutionDoesNotExist:
        return []


def invoke_failure(workflow: Workflow, execution: dict[str, Any]) -> dict[str, Any]:
    """Deliver the event of a failed execution, as EventBridge does, at any time."""
    event = {
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "detail": {
            "executionArn": execution["executionArn"],
            "status": "FAILED",
            "stopDate": int(execution["stopDate"].timestamp() * 1000),
        },
    }
    answer = workflow.cloud.client("lambda").invoke(
        FunctionName=workflow.function("Failure"), Payload=json.dumps(event)
    )
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    return result


def s3_event(workflow: Workflow, image: UploadedImage) -> str:
    """What S3 sends for the image, as it may do twice."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": image.last_modified.isoformat(),
        "s3": {
            "bucket": {"name": workflow.deployment.images_bucket},
            "object": {
                "key": image.key,
                "size": image.size,
                "eTag": image.etag,
                "versionId": image.version_id,
            },
        },
    }
    return json.dumps({"Records": [record]})


def send(workflow: Workflow, body: str) -> None:
    queue = workflow.deployment.outputs["QueueUrl"]
    workflow.cloud.client("sqs").send_message(QueueUrl=queue, MessageBody=body)


def queue_is_empty(workflow: Workflow) -> bool:
    attributes = workflow.cloud.client("sqs").get_queue_attributes(
        QueueUrl=workflow.deployment.outputs["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return all(attributes[name] == "0" for name in names)


def set_redelivery(workflow: Workflow, *, seconds: int) -> None:
    workflow.cloud.client("sqs").set_queue_attributes(
        QueueUrl=workflow.deployment.outputs["QueueUrl"],
        Attributes={"VisibilityTimeout": str(seconds)},
    )


def faces_in_collection(workflow: Workflow) -> list[str]:
    collection = workflow.deployment.outputs["CollectionId"]
    faces = workflow.cloud.client("rekognition").list_faces(CollectionId=collection)["Faces"]
    return sorted(face["FaceId"] for face in faces)


def everything_written(workflow: Workflow) -> dict[str, Any]:
    """Every record with its time of writing, and every execution."""
    listed = workflow.s3.list_objects_v2(Bucket=workflow.deployment.output_bucket)
    executions = workflow.stepfunctions.list_executions(
        stateMachineArn=workflow.deployment.state_machine_arn
    )["executions"]
    return {
        **{item["Key"]: item["LastModified"] for item in listed.get("Contents", [])},
        "executions": sorted(execution["name"] for execution in executions),
    }
