"""The stack's queues: how full they are, and what is sent through the intake again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from functions.aws.events import ObjectCreated, Origin, created_message

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages a queue holds: about, says SQS.

    Attributes
    ----------
    in_flight
        Received, and neither deleted nor given back.
    kept
        How long the queue keeps a message.
    """

    waiting: int
    in_flight: int
    delayed: int
    kept: timedelta

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.in_flight + self.delayed


def depth(deployment: Deployment, queue_url: str) -> Depth:
    """Ask SQS how full a queue is."""
    found: dict[str, str] = deployment.make_client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["All"]
    )["Attributes"]
    return Depth(
        waiting=int(found["ApproximateNumberOfMessages"]),
        in_flight=int(found["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(found.get("ApproximateNumberOfMessagesDelayed", 0)),
        kept=timedelta(seconds=int(found["MessageRetentionPeriod"])),
    )


def oldest_message_seconds(deployment: Deployment) -> float | None:
    """Age of the oldest message; only CloudWatch knows it, so nobody does on the local cloud."""
    if deployment.local:
        return None
    now = datetime.now(UTC)
    points = deployment.make_client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": deployment.queue_url.split("/")[-1]}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    newest = max(points, key=lambda point: point["Timestamp"], default=None)
    return float(newest["Maximum"]) if newest else None


def send_again(deployment: Deployment, image: UploadedImage) -> None:
    """Send a version through the queue, to be indexed and searched whatever it has already."""
    deployment.make_client("sqs").send_message(
        QueueUrl=deployment.queue_url,
        MessageBody=created_message(ObjectCreated.of(image, origin=Origin.AGAIN)),
    )
