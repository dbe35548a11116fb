"""How many messages a queue holds, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment


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


def _depth(deployment: Deployment, output: str) -> tuple[int, int]:
    attributes = deployment.make_client("sqs").get_queue_attributes(
        QueueUrl=deployment.outputs[output], AttributeNames=["All"]
    )["Attributes"]
    return (
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
    )
