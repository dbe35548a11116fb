"""The audit, against a workflow that really loses something."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from facematch.cli.audit import audited
from facematch.operations.audit import Auditor, QueueHoldsMessages
from facematch.operations.ledger import Found, Ledger
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

AT_ONCE = timedelta(seconds=0)
NOT_AN_EVENT = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": None}]})


@contextlib.contextmanager
def starter_paused(workflow: Workflow) -> Iterator[None]:
    """Messages stay in the queue."""
    client = workflow.cloud.client("lambda")
    (mapping,) = client.list_event_source_mappings()["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def lose_messages(workflow: Workflow) -> None:
    """Empty the queue, whose messages nobody has read."""
    sqs = workflow.cloud.client("sqs")
    queue = workflow.deployment.outputs["QueueUrl"]
    eventually(lambda: messages_in(workflow, "QueueUrl") or None)
    sqs.purge_queue(QueueUrl=queue)
    eventually(lambda: True if messages_in(workflow, "QueueUrl") == 0 else None)


def messages_in(workflow: Workflow, queue: str) -> int:
    attributes = workflow.cloud.client("sqs").get_queue_attributes(
        QueueUrl=workflow.deployment.outputs[queue], AttributeNames=["All"]
    )["Attributes"]
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return sum(int(attributes[name]) for name in names)


def audit(workflow: Workflow, **options: Any) -> bool:
    with Ledger(workflow.deployment.images_bucket) as ledger:
        return audited(workflow.deployment, ledger, s3_tells_within=AT_ONCE, **options)


def found(workflow: Workflow) -> dict[str, list[str]]:
    """Keys of the versions, by what the audit finds of them."""
    auditor = Auditor(workflow.deployment, s3_tells_within=AT_ONCE)
    with Ledger(workflow.deployment.images_bucket) as ledger:
        result = auditor.run(ledger, listed=lambda *_: None)
        by_kind = {kind: [image.key for image in result.listed(kind)] for kind in Found}
    return {kind: keys for kind, keys in by_kind.items() if keys}


def lost_upload(workflow: Workflow, key: str, body: bytes) -> UploadedImage:
    """An upload whose message is lost."""
    with starter_paused(workflow):
        image = workflow.upload(key, body)
        lose_messages(workflow)
    return image


def test_a_version_whose_message_was_lost_is_named_sent_again_and_then_has_an_outcome(
    workflow: Workflow, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(kept)
    lost = lost_upload(workflow, "Bea Roe+1 100%_0001.jpg", workflow.photograph("obama2.jpg"))

    clean = audit(workflow)

    assert not clean
    printed = capsys.readouterr().out
    assert f"missing: {lost.key}" in printed
    assert kept.key not in printed
    assert audit(workflow, fix=True)
    assert workflow.finished(lost)["status"] == "SUCCEEDED"
    assert workflow.report(lost)["version_id"] == lost.version_id
    assert audit(workflow)
    assert found(workflow) == {Found.REPORTED: [kept.key, lost.key]}


def test_every_way_to_end_is_told_apart(workflow: Workflow, faceless: bytes) -> None:
    fine = workflow.upload("Ann_0001.png", faceless)
    broken = workflow.upload("Broken_0001.jpg", b"not a photograph")
    workflow.finished(fine)
    workflow.finished(broken)
    workflow.rekognition.fail_next(10_000, "AccessDeniedException", "IndexFaces")
    failed = workflow.upload("Failed_0001.png", faceless)
    workflow.finished(failed)
    workflow.failure(failed)
    workflow.rekognition.fail_next(0, "")
    lost = lost_upload(workflow, "Lost_0001.png", faceless)

    assert found(workflow) == {
        Found.REPORTED: [fine.key],
        Found.REJECTED: [broken.key],
        Found.FAILED: [failed.key],
        Found.MISSING: [lost.key],
    }


def test_an_older_version_needs_an_outcome_too(workflow: Workflow, faceless: bytes) -> None:
    older = lost_upload(workflow, "Ann_0001.png", faceless)
    newer = workflow.upload("Ann_0001.png", faceless)
    workflow.finished(newer)

    with Ledger(workflow.deployment.images_bucket) as ledger:
        result = Auditor(workflow.deployment, s3_tells_within=AT_ONCE).run(
            ledger, listed=lambda *_: None
        )
        missing = [image.digest for image in result.listed(Found.MISSING)]

    assert missing == [older.digest]
    assert audit(workflow, fix=True)
    assert workflow.finished(older)["error"] == "ImageRejected"
    assert workflow.failure(older)["reason"] == "SUPERSEDED"
    assert audit(workflow)


def test_what_the_queue_cannot_help_is_left_to_a_replay(
    workflow: Workflow, faceless: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    image = workflow.upload("Ann_0001.png", faceless)
    workflow.finished(image)
    lose_report(workflow, image)

    assert not audit(workflow, fix=True)

    assert f"replay: {image.key}" in capsys.readouterr().out
    assert len(workflow.executions_of(image)) == 1
    again = workflow.stepfunctions.start_execution(
        stateMachineArn=workflow.deployment.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )
    workflow.ended(again["executionArn"])
    assert audit(workflow)


def test_a_replay_that_runs_is_on_the_way_to_an_outcome(
    workflow: Workflow, faceless: bytes
) -> None:
    image = workflow.upload("Ann_0001.png", faceless)
    workflow.finished(image)
    lose_report(workflow, image)
    workflow.rekognition.fail_next(10_000, "ThrottlingException", "IndexFaces")

    again = workflow.stepfunctions.start_execution(
        stateMachineArn=workflow.deployment.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )

    assert found(workflow) == {Found.RUNNING: [image.key]}
    workflow.rekognition.fail_next(0, "")
    workflow.ended(again["executionArn"])


def test_what_may_wait_in_the_queue_is_not_called_missing(
    workflow: Workflow, faceless: bytes
) -> None:
    lost = lost_upload(workflow, "Lost_0001.png", faceless)
    with starter_paused(workflow):
        waiting = workflow.upload("Waiting_0001.png", faceless)
        eventually(lambda: messages_in(workflow, "QueueUrl") or None)

        assert found(workflow) == {Found.WAITING: [lost.key, waiting.key]}
        assert audit(workflow, fix=True)  # nothing is known to be missing

    workflow.finished(waiting)
    assert found(workflow)[Found.MISSING] == [lost.key]


def test_nothing_is_sent_while_the_queue_holds_messages_unless_forced(
    workflow: Workflow, faceless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lost_upload(workflow, "Lost_0001.png", faceless)
    # As if CloudWatch knew that the oldest message is younger than the version.
    monkeypatch.setattr("facematch.operations.audit.oldest_message_seconds", lambda _: -600.0)
    with starter_paused(workflow):
        waiting = workflow.upload("Waiting_0001.png", faceless)
        eventually(lambda: messages_in(workflow, "QueueUrl") or None)

        with pytest.raises(QueueHoldsMessages, match="--force"):
            audit(workflow, fix=True)
        assert messages_in(workflow, "QueueUrl") == 1
        audit(workflow, fix=True, force=True)

    for image in (lost, waiting):
        assert workflow.finished(image)["status"] == "SUCCEEDED"


def test_a_message_that_nobody_understands_shows_as_a_dead_letter(
    workflow: Workflow, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, outputs = workflow.cloud.client("sqs"), workflow.deployment.outputs
    before = messages_in(workflow, "DeadLetterQueueUrl")
    seconds = {"VisibilityTimeout": "1"}
    sqs.set_queue_attributes(QueueUrl=outputs["QueueUrl"], Attributes=seconds)
    try:
        sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody=NOT_AN_EVENT)
        dead = eventually(lambda: messages_in(workflow, "DeadLetterQueueUrl") - before or None)
    finally:
        sqs.set_queue_attributes(
            QueueUrl=outputs["QueueUrl"], Attributes={"VisibilityTimeout": "30"}
        )

    assert dead == 1
    assert audit(workflow)
    assert f"Dead letters: {before + 1}." in capsys.readouterr().out


def test_the_document_for_programs_names_every_key(
    workflow: Workflow, faceless: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = [lost_upload(workflow, f"Lost_{n}.png", faceless) for n in range(2)]

    audit(workflow, as_json=True)

    document = json.loads(capsys.readouterr().out)
    assert (document["versions"], document["missing"], document["reported"]) == (2, 2, 0)
    named = [(v["key"], v["version_id"]) for v in document["missing_versions"]]
    assert named == [(image.key, image.version_id) for image in lost]
    assert document["replay_versions"] == []


def lose_report(workflow: Workflow, image: UploadedImage) -> None:
    bucket = workflow.deployment.output_bucket
    listed = workflow.s3.list_objects_v2(Bucket=bucket, Prefix="reports/")["Contents"]
    (key,) = [item["Key"] for item in listed if image.digest in item["Key"]]
    workflow.s3.delete_object(Bucket=bucket, Key=key)
