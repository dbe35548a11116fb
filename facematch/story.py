"""An image's whole story, and how a deployment stands: gathered, not yet printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from facematch.deliveries import DELIVERY_FAILURES
from facematch.errors import Unusable
from facematch.executions import Executions, input_of
from facematch.matches import Present
from facematch.records import Records, digest_of, image_listed
from facematch.upload import current_version
from functions.matching.failures import Lacking
from functions.matching.images import UploadedImage
from functions.matching.keys import replay_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facematch.deployment import Deployment

_RATE_SECONDS: Final = 60


@dataclass(slots=True)
class Step:
    """One state that an execution entered.

    Attributes
    ----------
    seconds
        From entering to leaving it; None when it was not left.
    errors
        Of the attempts that failed, in order.
    """

    name: str
    entered: datetime
    seconds: float | None = None
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """Everything about one object version.

    Attributes
    ----------
    executions
        What DescribeExecution says of each attempt, the first one first.
    steps
        Of the newest attempt.
    seen_by_others
        Match rows of other images that found this one.
    """

    image: UploadedImage | None
    executions: list[dict[str, Any]]
    steps: list[Step]
    report: dict[str, Any] | None
    failure: dict[str, Any] | None
    delivery_failure: dict[str, Any] | None
    seen_by_others: list[dict[str, Any]]


def story(deployment: Deployment, name_or_key: str) -> Story:
    """Tell the story of an execution (name or ARN), or of a key's current version.

    Raises
    ------
    Unusable
        When there is no such execution and no such object.
    """
    executions = Executions(deployment)
    described = executions.described(executions.arn(name_or_key))
    if described:
        image = _image_of(described)
        version_name = image.execution_name if image else described["name"]
    else:
        image = _current_version(deployment, name_or_key)
        version_name = image.execution_name
    attempts = list(_attempts(executions, version_name))
    newest = attempts[-1] if attempts else None
    records = Records(deployment)
    return Story(
        image=image,
        executions=attempts,
        steps=steps(executions.history(newest["executionArn"])) if newest else [],
        report=_record(records, "reports", image),
        failure=_record(records, "failures", image),
        delivery_failure=_record(records, DELIVERY_FAILURES, image),
        seen_by_others=_seen_by_others(deployment, records, image) if image else [],
    )


def _seen_by_others(
    deployment: Deployment, records: Records, image: UploadedImage
) -> list[dict[str, Any]]:
    """Match rows of other images that found this one, as far as both are in the bucket now."""
    rows = [
        row
        for row in records.read(list(records.keys("matches")))
        if row["matched_key"] == image.key
    ]
    s3, current = deployment.make_client("s3"), {}
    for key in {image.key, *(row["key"] for row in rows)}:
        if item := current_version(s3, deployment.images_bucket, key):
            current[key] = item
    return list(Present(deployment, current).shown(rows))


def steps(history: Iterator[dict[str, Any]]) -> list[Step]:
    """The states in the order in which they were entered, with times and failed attempts."""
    found: list[Step] = []
    for event in history:
        if entered := event.get("stateEnteredEventDetails"):
            found.append(Step(entered["name"], event["timestamp"]))
        elif "stateExitedEventDetails" in event and found:
            found[-1].seconds = (event["timestamp"] - found[-1].entered).total_seconds()
        elif (found and (failed := event.get("taskFailedEventDetails"))) or (
            found and (failed := event.get("lambdaFunctionFailedEventDetails"))
        ):
            found[-1].errors.append(failed.get("error", "?"))
    return found


@dataclass(slots=True)
class Standing:
    """How a deployment stands.

    Attributes
    ----------
    oldest_seconds
        Age of the oldest message in the queue; None when nothing tells it.
    finished
        Versions uploaded since `since`, by the status of their report.
    failed
        Failure records of versions uploaded since, by status and reason.
    undelivered
        Of the finished ones, those of whose match nobody was notified, likewise.
    started_per_second
        Over the last minute.
    """

    since: datetime
    waiting: int
    in_flight: int
    oldest_seconds: float | None
    dead_letters: int
    running: int
    finished: dict[str, int]
    failed: dict[str, int]
    undelivered: dict[str, int]
    started_per_second: float


def standing(deployment: Deployment, *, since: datetime) -> Standing:
    """Ask the queues, Step Functions and the output bucket."""
    now = datetime.now(UTC)
    executions = Executions(deployment)
    records = Records(deployment)
    running = sum(1 for _ in executions.listed(statuses=("RUNNING",)))
    lately = sum(1 for _ in executions.listed(since=now - timedelta(seconds=_RATE_SECONDS)))
    days = [
        (since.astimezone(UTC) + timedelta(days=n)).date().isoformat()
        for n in range((now.date() - since.astimezone(UTC).date()).days + 1)
    ]

    def read(kind: str) -> Iterator[dict[str, Any]]:
        return records.read([key for day in days for key in records.keys(kind, day)])

    def reasons(kind: str) -> dict[str, int]:
        return dict(Counter(f"{record['status']} {record['reason']}" for record in read(kind)))

    waiting, in_flight = _depth(deployment, "QueueUrl")
    dead, dead_in_flight = _depth(deployment, "DeadLetterQueueUrl")
    return Standing(
        since=since,
        waiting=waiting,
        in_flight=in_flight,
        oldest_seconds=oldest_message_seconds(deployment) if waiting + in_flight else 0.0,
        dead_letters=dead + dead_in_flight,
        running=running,
        finished=dict(Counter(record["status"] for record in read("reports"))),
        failed=reasons("failures"),
        undelivered=reasons(DELIVERY_FAILURES),
        started_per_second=lately / _RATE_SECONDS,
    )


def oldest_message_seconds(deployment: Deployment) -> float | None:
    """Age of the oldest message; only CloudWatch knows it, so nobody does on the local cloud."""
    if deployment.local:
        return None
    now = datetime.now(UTC)
    points = deployment.make_client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": deployment.outputs["QueueUrl"].split("/")[-1]}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    newest = max(points, key=lambda point: point["Timestamp"], default=None)
    return float(newest["Maximum"]) if newest else None


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failure records with one reason.

    Attributes
    ----------
    lacks
        The outcome, or the delivery: a report stands, and nobody was notified of its match.
    """

    lacks: Lacking
    reason: str
    count: int
    replay: str
    remedy: str
    example: str
    steps: str


def failure_groups(deployment: Deployment) -> list[FailureGroup]:
    """Failures by reason, the most frequent first."""
    records = Records(deployment)
    groups: dict[tuple[Lacking, str], list[dict[str, Any]]] = {}
    for lacks, kind in ((Lacking.OUTCOME, "failures"), (Lacking.DELIVERY, DELIVERY_FAILURES)):
        for record in records.read(list(records.keys(kind))):
            groups.setdefault((lacks, record["reason"]), []).append(record)
    return sorted(
        (
            FailureGroup(
                lacks=lacks,
                reason=reason,
                count=len(members),
                replay=members[0]["replay"],
                remedy=members[0]["remedy"],
                example=members[0]["key"],
                steps=", ".join(sorted({str(m["step"]) for m in members if m["step"]})),
            )
            for (lacks, reason), members in groups.items()
        ),
        key=lambda group: (-group.count, group.lacks, group.reason),
    )


def _depth(deployment: Deployment, output: str) -> tuple[int, int]:
    attributes = deployment.make_client("sqs").get_queue_attributes(
        QueueUrl=deployment.outputs[output], AttributeNames=["All"]
    )["Attributes"]
    return (
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
    )


def _image_of(described: dict[str, Any]) -> UploadedImage | None:
    try:
        return UploadedImage.from_payload(input_of(described))
    except ValueError:
        return None


def _current_version(deployment: Deployment, key: str) -> UploadedImage:
    s3, bucket = deployment.make_client("s3"), deployment.images_bucket
    for candidate in (key, deployment.image_prefix + key):
        if item := current_version(s3, bucket, candidate):
            return image_listed(bucket, item)
    raise Unusable(
        f"There is no execution named {key!r}, and no object of that key in {bucket} now. "
        "Find executions by a part of their name: facematch executions --name PART"
    )


def _attempts(executions: Executions, version_name: str) -> Iterator[dict[str, Any]]:
    attempt = 0
    while True:
        found = executions.described(executions.arn(replay_name(version_name, attempt)))
        if found:
            yield found
        elif attempt:
            return
        attempt += 1


def _record(records: Records, kind: str, image: UploadedImage | None) -> dict[str, Any] | None:
    if image is None:
        return None
    keys = [key for key in records.keys(kind, image.day) if digest_of(key) == image.digest]
    return next(records.read(keys), None)
