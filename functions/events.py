"""The shapes of AWS events, read into the domain's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from aws_lambda_powertools.utilities.data_classes import S3Event

from functions.matching.images import UploadedImage
from functions.matching.keys import decoded_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord


class MessageNotUnderstood(Exception):  # noqa: N818 - reads as what happened
    """A message in the queue that is not an S3 event of ours; it ends as a dead letter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectCreated:
    """What an S3 event says of a new object: where to look, and what to say if it is gone."""

    bucket: str
    key: str
    version_id: str | None
    etag: str
    size: int
    event_time: datetime

    def as_gone(self) -> UploadedImage:
        """The image, dated by the event, for when S3 no longer has it."""
        return UploadedImage(
            bucket=self.bucket,
            key=self.key,
            version_id=self.version_id,
            etag=self.etag,
            size=self.size,
            last_modified=self.event_time,
        )


def created_objects(body: str, *, bucket: str, prefix: str) -> Iterator[ObjectCreated]:
    """The new objects in the body of an SQS message that S3 sent.

    `s3:TestEvent` (which S3 sends when a notification is set up), folder markers and events of
    other kinds are nothing to do.

    Parameters
    ----------
    bucket, prefix
        Of the images: a message about anything else is not ours.

    Raises
    ------
    MessageNotUnderstood
        Without the key, which carries a name, in its text.
    """
    event = _json_object(body)
    if event.get("Event") == "s3:TestEvent":
        return
    if not isinstance(event.get("Records"), list) or not event["Records"]:
        raise MessageNotUnderstood("no Records in it, so not an S3 event")
    for record in S3Event(event).records:
        created = _created_object(record)
        if created is None:
            continue
        if created.bucket != bucket or not created.key.startswith(prefix):
            raise MessageNotUnderstood("an event about an object that is not in the images bucket")
        yield created


def _created_object(record: S3EventRecord) -> ObjectCreated | None:
    try:
        if not record.event_name.startswith("ObjectCreated:"):
            return None
        described = record.s3.get_object
        key = decoded_key(described.key)
        if key.endswith("/"):
            return None
        return ObjectCreated(
            bucket=_text(record.s3.bucket.name),
            key=_text(key),
            version_id=_text(described.version_id) if described.version_id else None,
            etag=_text(described.etag),
            size=int(described.size),
            event_time=datetime.fromisoformat(record.event_time).astimezone(UTC),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MessageNotUnderstood(
            f"an S3 event without what it should have ({type(error).__name__})"
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionEnded:
    """Step Functions Execution Status Change, as EventBridge delivers it."""

    execution_arn: str
    ended_at: datetime

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read the event; what else it says may be out of date, and is asked for."""
        detail = event["detail"]
        stopped = detail.get("stopDate")
        return cls(
            execution_arn=detail["executionArn"],
            ended_at=datetime.fromtimestamp(stopped / 1000, UTC) if stopped else datetime.now(UTC),
        )


def _json_object(body: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise MessageNotUnderstood("not JSON") from None
    if not isinstance(event, dict):
        raise MessageNotUnderstood("not a JSON object")
    return event


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("text expected")
    return value
