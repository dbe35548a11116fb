"""The audit: what it makes of what AWS says, and that it does not keep everything in memory."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facematch.cli.audit import audited
from facematch.errors import Unusable
from facematch.operations import audit as module
from facematch.operations.audit import Auditor, QueueHoldsMessages
from facematch.operations.ledger import Found, Ledger
from facematch.stack.executions import Executions
from facematch.stack.objects import Entry
from functions.aws.events import ObjectCreated, Origin, changed_objects
from functions.matching.images import UploadedImage
from functions.matching.reports import delivery_failure_key, failure_key, report_key
from tests.unit.cloud import IMAGES, OUTPUT, deployment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facematch.stack.deployment import Deployment
    from tests.unit.cloud import Cloud

AT_ONCE = timedelta(0)


@pytest.fixture
def deployment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(module, "oldest_message_seconds", lambda _: None)
    queues = {
        output: cloud.sqs.create_queue(QueueName=output)["QueueUrl"]
        for output in ("QueueUrl", "DeadLetterQueueUrl")
    }
    return deployment_of(cloud, **queues)


def found(deployment: Deployment, **options: Any) -> dict[Found, list[str]]:
    auditor = Auditor(deployment, **{"s3_tells_within": AT_ONCE, **options})
    with Ledger(deployment.images_bucket) as ledger:
        result = auditor.run(ledger, listed=lambda *_: None)
        by_kind = {kind: [image.key for image in result.listed(kind)] for kind in Found}
    return {kind: keys for kind, keys in by_kind.items() if keys}


def audit(deployment: Deployment, **options: Any) -> bool:
    with Ledger(deployment.images_bucket) as ledger:
        return audited(deployment, ledger, **{"s3_tells_within": AT_ONCE, **options})


def put(cloud: Cloud, name: str) -> UploadedImage:
    return cloud.upload(f"images/{name}", b"x")


def fail(cloud: Cloud, image: UploadedImage, status: str) -> None:
    cloud.write(failure_key(image), {"digest": image.digest, "status": status})


def test_an_empty_bucket_lacks_nothing(deployment: Deployment) -> None:
    assert found(deployment) == {}
    assert audit(deployment)


def test_a_report_wins_over_a_failure_and_a_running_replay_over_it_too(
    cloud: Cloud, deployment: Deployment
) -> None:
    reported, replayed, rejected, failed = (put(cloud, f"{n}.jpg") for n in range(4))
    cloud.write(report_key(reported), {"status": "UNIQUE"})
    for image, status in ((reported, "FAILED"), (replayed, "FAILED"), (rejected, "REJECTED")):
        fail(cloud, image, status)
    fail(cloud, failed, "TIMED_OUT")
    cloud.end(cloud.start(replayed), "FAILED")
    cloud.stepfunctions.start_execution(
        stateMachineArn=cloud.state_machine_arn,
        name=f"{replayed.execution_name}-r1",
        input=replayed.execution_input,
    )

    assert found(deployment) == {
        Found.REPORTED: [reported.key],
        Found.RUNNING: [replayed.key],
        Found.REJECTED: [rejected.key],
        Found.FAILED: [failed.key],
    }


def match(cloud: Cloud, name: str, status: str, *, replay: str = "", above: bool = True) -> str:
    """A photograph with a match whose execution has ended; its key."""
    image = put(cloud, name)
    arn = cloud.start(image)
    cloud.end(arn, status)
    report = {"execution_arn": f"{arn}{replay}", "above_threshold": above}
    cloud.write(report_key(image), report)
    return image.key


def test_a_report_whose_notification_failed_is_told_apart_with_the_replay_that_repairs_it(
    cloud: Cloud, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    told = put(cloud, "told.jpg")
    cloud.write(report_key(told), {"status": "MATCHED"})
    cloud.write(delivery_failure_key(told), {"status": "FAILED"})

    assert found(deployment) == {Found.UNDELIVERED: [told.key]}
    assert audit(deployment)
    assert audit(deployment, as_json=True)
    shown, document = capsys.readouterr().out.split("{", 1)
    assert "1  have a report, but nobody was notified" in shown
    assert "\nOnce the cause is fixed: facematch replay --all\n" in shown
    assert json.loads("{" + document)["undelivered"] == 1


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_notification_that_failed_unnoticed_is_named(
    cloud: Cloud, deployment: Deployment, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """EventBridge delivers events at best effort, and none of this one came."""
    key = match(cloud, "untold.jpg", status)

    assert found(deployment) == {Found.REPLAY: [key]}
    assert not audit(deployment)
    assert f"replay: {key}" in capsys.readouterr().out


def test_an_execution_that_ended_badly_and_owes_no_notification_lacks_nothing(
    cloud: Cloud, deployment: Deployment
) -> None:
    below = match(cloud, "below.jpg", "ABORTED", above=False)
    replayed = match(cloud, "replayed.jpg", "FAILED", replay="-r1")
    notified = match(cloud, "notified.jpg", "SUCCEEDED")

    assert found(deployment) == {Found.REPORTED: [below, notified, replayed]}


def test_a_failed_notification_whose_report_has_left_is_no_outcome(
    cloud: Cloud, deployment: Deployment
) -> None:
    image = put(cloud, "Ann.jpg")
    cloud.write(delivery_failure_key(image), {"status": "FAILED"})

    assert found(deployment) == {Found.MISSING: [image.key]}


def test_every_version_is_looked_at_but_folder_and_delete_markers_are_not(
    cloud: Cloud, deployment: Deployment
) -> None:
    put(cloud, "Ann.jpg")
    put(cloud, "Ann.jpg")
    put(cloud, "Gone.jpg")
    cloud.s3.delete_object(Bucket=IMAGES, Key="images/Gone.jpg")
    cloud.s3.put_object(Bucket=IMAGES, Key="images/folder/")
    cloud.s3.put_object(Bucket=IMAGES, Key="elsewhere/Bea.jpg")

    missing = ["images/Ann.jpg", "images/Ann.jpg"]
    assert found(deployment) == {Found.DELETED: ["images/Gone.jpg"], Found.MISSING: missing}
    assert found(deployment, prefix="images/A") == {Found.MISSING: missing}


def processed(cloud: Cloud, name: str) -> UploadedImage:
    """Uploaded, and its execution has succeeded; its report is another matter."""
    image = put(cloud, name)
    cloud.end(cloud.start(image), "SUCCEEDED")
    return image


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the versions whose executions were looked up."""
    names: list[str] = []
    statuses = Executions.statuses

    def look(executions: Executions, version_name: str) -> Iterator[str]:
        names.append(version_name)
        return statuses(executions, version_name)

    monkeypatch.setattr(Executions, "statuses", look)
    return names


def test_what_was_deleted_with_its_records_lacks_nothing_and_is_not_looked_up(
    cloud: Cloud, deployment: Deployment, looked_up: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        processed(cloud, "Gone.jpg")
    cloud.s3.delete_object(Bucket=IMAGES, Key="images/Gone.jpg")

    assert found(deployment) == {Found.DELETED: ["images/Gone.jpg"] * 2}
    assert audit(deployment)
    assert audit(deployment, as_json=True)

    assert looked_up == []
    shown, document = capsys.readouterr().out.split("{", 1)
    assert "2  were deleted or overwritten" in shown
    assert json.loads("{" + document)["deleted"] == 2


def test_a_deleted_version_with_a_record_is_what_the_record_says(
    cloud: Cloud, deployment: Deployment
) -> None:
    reported, rejected, running = (put(cloud, f"{n}.jpg") for n in range(3))
    cloud.write(report_key(reported), {"status": "UNIQUE"})
    fail(cloud, rejected, "REJECTED")
    cloud.start(running)
    for image in (reported, rejected, running):
        cloud.s3.delete_object(Bucket=IMAGES, Key=image.key)

    assert found(deployment) == {
        Found.REPORTED: [reported.key],
        Found.REJECTED: [rejected.key],
        Found.RUNNING: [running.key],
    }


class Listing:
    """Changes what ListObjectVersions is asked and answers."""

    def __init__(self, s3: Any) -> None:
        self.page_size = 1000
        self.markers_last = False
        self.dates: dict[str, datetime] = {}
        self._held_back: list[dict[str, Any]] = []
        self.hooks: dict[str, Any] = {
            "before-parameter-build.s3.ListObjectVersions": self._ask,
            "after-call.s3.ListObjectVersions": self._answer,
        }
        for event, hook in self.hooks.items():
            s3.meta.events.register(event, hook)

    def _ask(self, params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = self.page_size

    def _answer(self, parsed: dict[str, Any], **_: Any) -> None:
        for item in [*parsed.get("Versions", []), *parsed.get("DeleteMarkers", [])]:
            item["LastModified"] = self.dates.get(item["VersionId"], item["LastModified"])
        if self.markers_last:
            self._held_back += parsed.pop("DeleteMarkers", [])
            if not parsed["IsTruncated"]:
                parsed["DeleteMarkers"], self._held_back = self._held_back, []


@pytest.fixture
def listing(cloud: Cloud) -> Iterator[Listing]:
    made = Listing(cloud.s3)
    yield made
    for event, hook in made.hooks.items():
        cloud.s3.meta.events.unregister(event, hook)


@pytest.mark.parametrize("pages", list(itertools.product([1, 2, 3, 1000], [False, True])))
def test_a_marker_counts_on_whichever_page_it_is_listed(
    cloud: Cloud,
    deployment: Deployment,
    listing: Listing,
    looked_up: list[str],
    pages: tuple[int, bool],
) -> None:
    for name in ("A.jpg", "B.jpg", "C.jpg"):
        put(cloud, name)
        put(cloud, name)
        if name != "B.jpg":
            cloud.s3.delete_object(Bucket=IMAGES, Key=f"images/{name}")
    listing.page_size, listing.markers_last = pages

    assert found(deployment) == {
        Found.DELETED: ["images/A.jpg"] * 2 + ["images/C.jpg"] * 2,
        Found.MISSING: ["images/B.jpg"] * 2,
    }
    assert {name.rpartition("-")[0] for name in looked_up} == {"B"}


def test_a_version_that_came_after_a_marker_needs_an_outcome(
    cloud: Cloud, deployment: Deployment, listing: Listing, looked_up: list[str]
) -> None:
    before = processed(cloud, "Ann.jpg")
    marker = cloud.s3.delete_object(Bucket=IMAGES, Key=before.key)["VersionId"]
    again = put(cloud, "Ann.jpg")
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    # S3's dates are whole seconds.
    listing.dates = {str(before.version_id): moment - timedelta(seconds=1)}
    listing.dates |= {marker: moment, str(again.version_id): moment}

    assert found(deployment) == {Found.DELETED: [before.key], Found.MISSING: [again.key]}
    assert looked_up == [again.execution_name]


def test_an_overwritten_version_that_succeeded_is_not_for_a_replay_and_one_that_failed_is(
    cloud: Cloud, deployment: Deployment
) -> None:
    for _ in range(2):
        processed(cloud, "Ann.jpg")
    cloud.end(cloud.start(put(cloud, "Bea.jpg")), "FAILED")
    cloud.end(cloud.start(put(cloud, "Bea.jpg")), "FAILED")
    for name in ("Ann.jpg", "Bea.jpg"):
        cloud.write(report_key(put(cloud, name)), {"status": "UNIQUE"})
    put(cloud, "Ann.jpg.old")  # another key that begins so

    kinds = found(deployment)

    assert kinds[Found.DELETED] == ["images/Ann.jpg"] * 2
    assert kinds[Found.REPLAY] == ["images/Bea.jpg"] * 2
    assert kinds[Found.MISSING] == ["images/Ann.jpg.old"]


def test_a_version_that_is_deleted_after_it_was_listed_is_not_for_a_replay(
    cloud: Cloud, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed(cloud, "Ann.jpg")
    queues = Auditor.queues

    def meanwhile(auditor: Auditor) -> Any:
        cloud.s3.delete_object(Bucket=IMAGES, Key="images/Ann.jpg")
        return queues(auditor)

    monkeypatch.setattr(Auditor, "queues", meanwhile)

    assert found(deployment) == {Found.DELETED: ["images/Ann.jpg"]}


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])
def test_an_execution_that_ended_without_a_record_is_for_a_replay_and_is_not_sent(
    cloud: Cloud, deployment: Deployment, status: str
) -> None:
    image = put(cloud, "Ann.jpg")
    cloud.end(cloud.start(image), status)

    assert found(deployment) == {Found.REPLAY: [image.key]}
    assert not audit(deployment, fix=True)
    assert sent(cloud, deployment) == []


def test_a_record_that_is_written_meanwhile_is_seen(
    cloud: Cloud, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported, rejected = put(cloud, "Ann.jpg"), put(cloud, "Bea.jpg")
    queues = Auditor.queues

    def meanwhile(auditor: Auditor) -> Any:
        cloud.write(report_key(reported), {"status": "UNIQUE"})
        fail(cloud, rejected, "REJECTED")
        return queues(auditor)

    monkeypatch.setattr(Auditor, "queues", meanwhile)

    assert found(deployment) == {Found.REPORTED: [reported.key], Found.REJECTED: [rejected.key]}


def test_a_failure_record_that_is_gone_when_it_is_read_proves_nothing(
    cloud: Cloud, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = put(cloud, "Ann.jpg")
    fail(cloud, image, "FAILED")
    join = Ledger.join

    def replayed_meanwhile(ledger: Ledger, *order: Found) -> None:
        cloud.write(report_key(image), {"status": "UNIQUE"})
        cloud.s3.delete_object(Bucket=OUTPUT, Key=failure_key(image))
        join(ledger, *order)

    monkeypatch.setattr(Ledger, "join", replayed_meanwhile)

    assert found(deployment) == {Found.REPORTED: [image.key]}


def test_a_young_version_may_be_on_its_way_from_s3(cloud: Cloud, deployment: Deployment) -> None:
    image = put(cloud, "Ann.jpg")

    assert found(deployment, s3_tells_within=None) == {Found.WAITING: [image.key]}


@pytest.mark.parametrize(
    ("oldest", "kind"),
    [(None, Found.WAITING), (0.0, Found.WAITING), (-1200.0, Found.MISSING)],
)
def test_what_is_younger_than_the_oldest_message_counts_as_waiting(
    cloud: Cloud,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    oldest: float | None,
    kind: Found,
) -> None:
    image = put(cloud, "Ann.jpg")
    cloud.sqs.send_message(QueueUrl=deployment.outputs["QueueUrl"], MessageBody="someone else's")
    monkeypatch.setattr(module, "oldest_message_seconds", lambda _: oldest)

    assert found(deployment) == {kind: [image.key]}


def test_nothing_is_sent_while_the_queue_holds_messages_unless_forced(
    cloud: Cloud, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = put(cloud, "Ann.jpg")
    cloud.sqs.send_message(QueueUrl=deployment.outputs["QueueUrl"], MessageBody="someone else's")
    monkeypatch.setattr(module, "oldest_message_seconds", lambda _: -1200.0)

    with pytest.raises(QueueHoldsMessages):
        audit(deployment, fix=True)
    assert audit(deployment, fix=True, force=True)

    assert sent(cloud, deployment) == [(image.key, image.version_id)]


def test_what_is_missing_is_sent_with_its_version_and_marked(
    cloud: Cloud, deployment: Deployment
) -> None:
    images = [put(cloud, f"Ann Lee+{n}é.jpg") for n in range(23)]

    assert not audit(deployment)
    assert audit(deployment, fix=True)

    wanted = sorted((image.key, image.version_id) for image in images)
    assert sorted(sent(cloud, deployment)) == wanted


def test_a_message_that_the_queue_refuses_is_named(
    cloud: Cloud, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [put(cloud, f"{n}.jpg") for n in range(3)]
    refuse_one(cloud.sqs)

    assert not audit(deployment, fix=True)

    printed = capsys.readouterr()
    assert f"not sent: {images[1].key}: as told" in printed.err
    assert "2 were sent" in printed.out


def test_dead_letters_are_counted(
    cloud: Cloud, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.sqs.send_message(QueueUrl=deployment.outputs["DeadLetterQueueUrl"], MessageBody="poison")

    audit(deployment, as_json=True)

    assert json.loads(capsys.readouterr().out)["dead_letters"] == 1


def test_a_prefix_that_starts_no_workflow_is_refused(deployment: Deployment) -> None:
    with pytest.raises(Unusable, match="--prefix images/Ann"):
        audit(deployment, prefix="Ann")


def test_names_cannot_play_with_the_terminal(
    cloud: Cloud, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    put(cloud, "[bold]Ann\u202e.jpg")

    audit(deployment)

    printed = capsys.readouterr().out
    assert "[bold]Ann" in printed
    assert "\u202e" not in printed


def test_memory_does_not_grow_with_the_number_of_versions() -> None:
    def peak(number: int) -> float:
        tracemalloc.start()
        with Ledger(IMAGES) as ledger:
            ledger.add_versions(synthetic(2 * number))
            ledger.add_markers(markers(number, 2 * number))
            ledger.add_known((image.digest for image in synthetic(number)), Found.REPORTED)
            ledger.join(Found.REPORTED)
            ledger.set_deleted()
            assert ledger.counts()[Found.DELETED] == number
            assert ledger.counts()[Found.REPORTED] == number
            assert sum(1 for _ in ledger.versions(Found.REPORTED)) == number
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(12_000) < 1.5 * peak(3_000)


def synthetic(number: int) -> Iterator[UploadedImage]:
    for n in range(number):
        yield UploadedImage(
            bucket=IMAGES,
            key=f"images/{n:08}/Ann_Lee_{n:08}.jpg",
            version_id=f"{n:032}",
            etag=f"{n:032x}",
            size=n,
            last_modified=datetime.now(UTC),
        )


def markers(start: int, end: int) -> Iterator[Entry]:
    """Of the synthetic versions with these numbers."""
    for n in range(start, end):
        yield Entry(f"images/{n:08}/Ann_Lee_{n:08}.jpg", "1", True, datetime.now(UTC), None)


def sent(cloud: Cloud, deployment: Deployment) -> list[tuple[str, str | None]]:
    """Keys and versions of our messages in the queue."""
    read = []
    while messages := cloud.sqs.receive_message(
        QueueUrl=deployment.outputs["QueueUrl"], MaxNumberOfMessages=10
    ).get("Messages"):
        for message in messages:
            if message["Body"].startswith("{"):
                (created,) = changed_objects(message["Body"], bucket=IMAGES, prefix="images/")
                assert isinstance(created, ObjectCreated)
                assert created.origin is Origin.BACKFILL
                read.append((created.key, created.version_id))
    return read


def refuse_one(sqs: Any) -> None:
    """Let the queue refuse the second entry of the next batch."""

    def refuse(parsed: dict[str, Any], **_: Any) -> None:
        entry = parsed["Successful"].pop(1)
        parsed["Failed"] = [
            {"Id": entry["Id"], "Code": "InternalError", "Message": "as told", "SenderFault": False}
        ]
        sqs.meta.events.unregister("after-call.sqs.SendMessageBatch", refuse)

    sqs.meta.events.register("after-call.sqs.SendMessageBatch", refuse)


def test_a_report_that_must_not_be_looked_at_is_not_taken_for_absent(
    cloud: Cloud, deployment: Deployment
) -> None:
    """With 403 an audit would send every such version through the queue again."""
    image = put(cloud, "Ann_1.jpg")

    class Denied:
        def __getattr__(self, name: str) -> Any:
            return getattr(cloud.s3, name)

        def head_object(self, **_: Any) -> None:
            response: Any = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(response, "HeadObject")

    make = deployment.make_client
    denied = replace(
        deployment, make_client=lambda service: Denied() if service == "s3" else make(service)
    )
    with pytest.raises(ClientError, match="403"):
        found(denied)
    assert found(deployment) == {Found.MISSING: [image.key]}


@pytest.mark.parametrize("forgotten", [1, 2])
def test_a_replay_that_runs_is_seen_after_the_first_attempts_are_forgotten(
    cloud: Cloud, deployment: Deployment, forgotten: int
) -> None:
    """Step Functions keeps an execution for 90 days after it ended."""
    image = put(cloud, "Ann.jpg")
    cloud.start(image, replay=forgotten)

    assert found(deployment) == {Found.RUNNING: [image.key]}
    assert list(Executions(deployment).statuses(image.execution_name)) == ["RUNNING"]
