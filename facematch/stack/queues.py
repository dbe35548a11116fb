"""The stack's queues: how full they are, and what is sent through the intake again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from facematch.stack.batches import batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from facematch.stack.deployment import Deployment
    from functions.aws.events import Origin
    from functions.matching.images import UploadedImage

#: As many messages as SQS takes or gives at once.
_BATCH: Final = 10
#: How long a dead letter stays unseen by others, so that each is looked at once.
_LOOKED_AT_SECONDS: Final = 300
_MOVED_WITHIN_SECONDS: Final = 30


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
    from functions.aws.events import Origin  # noqa: PLC0415 - as in _message

    deployment.make_client("sqs").send_message(
        QueueUrl=deployment.queue_url,
        MessageBody=_message(image, Origin.AGAIN),
    )


def send_lost(
    deployment: Deployment, images: Iterable[UploadedImage]
) -> Iterator[tuple[UploadedImage, str | None]]:
    """Send versions through the queue as a backfill does: one that has a report is skipped there.

    Yields
    ------
    tuple of UploadedImage and str
        Each, and why it was not sent; None when it was.
    """
    from functions.aws.events import Origin  # noqa: PLC0415 - as in _message

    sqs = deployment.make_client("sqs")
    for batch in batches(images, _BATCH):
        entries = [
            {
                "Id": str(number),
                "MessageBody": _message(image, Origin.BACKFILL),
            }
            for number, image in enumerate(batch)
        ]
        answer = sqs.send_message_batch(QueueUrl=deployment.queue_url, Entries=entries)
        failed = {
            int(item["Id"]): item.get("Message") or item["Code"]
            for item in answer.get("Failed", [])
        }
        yield from ((image, failed.get(number)) for number, image in enumerate(batch))


def _message(image: UploadedImage, origin: Origin) -> str:
    # Imported late: it needs Powertools, and a command that only looks at queues need not wait.
    from functions.aws.events import ObjectCreated, created_message  # noqa: PLC0415

    return created_message(ObjectCreated.of(image, origin=origin))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be understood, and how often it was tried.

    Attributes
    ----------
    receipt
        By which SQS deletes it or gives it back, as long as nobody else receives it.
    """

    message_id: str
    body: str
    received: int
    receipt: str = field(repr=False, compare=False)


class DeadLetters:
    """The dead-letter queue of the intake."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._sqs = deployment.make_client("sqs")
        self._url = deployment.dead_letter_queue_url

    def count(self) -> int:
        """How many there are, as far as SQS knows."""
        return depth(self._deployment, self._url).total

    def shown(self) -> list[DeadLetter]:
        """Some of them, which stay where they are and can be seen again a second later."""
        return self._received(unseen_seconds=1)

    def each(self, *, unseen_seconds: int = _LOOKED_AT_SECONDS) -> Iterator[DeadLetter]:
        """Every one of them once; others do not receive it for so long, unless it comes back."""
        while letters := self._received(unseen_seconds=unseen_seconds):
            yield from letters

    def delete(self, letters: Iterable[DeadLetter]) -> None:
        """Delete letters that `each` gave."""
        for letter in letters:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

    def give_back(self, letters: Iterable[DeadLetter]) -> None:
        """Let others receive letters at once that `each` gave."""
        for letter in letters:
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
            )

    def move_back(self) -> int:
        """Send all of them through the intake queue again; returns how many, about."""
        if self._deployment.local:
            return self._move_one_by_one()
        count = self.count()
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        self._sqs.start_message_move_task(SourceArn=arn["Attributes"]["QueueArn"])
        return count

    def _move_one_by_one(self) -> int:
        """What StartMessageMoveTask does, which the emulator lacks: first send, then delete."""
        moved = 0
        for letter in self.each(unseen_seconds=_MOVED_WITHIN_SECONDS):
            self._sqs.send_message(QueueUrl=self._deployment.queue_url, MessageBody=letter.body)
            self.delete([letter])
            moved += 1
        return moved

    def _received(self, *, unseen_seconds: int) -> list[DeadLetter]:
        messages = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=unseen_seconds,
            AttributeNames=["ApproximateReceiveCount"],
        ).get("Messages", [])
        return [
            DeadLetter(
                message["MessageId"],
                message["Body"],
                int(message.get("Attributes", {}).get("ApproximateReceiveCount", 0)),
                message["ReceiptHandle"],
            )
            for message in messages
        ]
