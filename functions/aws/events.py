"""What S3 says of an object, through the queue, read into the domain's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from aws_lambda_powertools.utilities.data_classes import S3Event

from functions.matching.images import Removal, UploadedImage, timestamp, version_id_of
from functions.matching.keys import decoded_key, is_folder_marker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord


class MessageNotUnderstood(Exception):  # noqa: N818 - reads as what happened
    """A message in the queue that is not an S3 event of ours; it ends as a dead letter.

    The text says of the message what is wrong with it; the starter's log has it.
    """


#: Bytes. S3's limit for a key and for a version id (Amazon S3 User Guide); the rest is shorter.
_LONGEST_TEXT: Final = 1024
#: What a bigint of the tables holds: a larger one would make the whole table unreadable.
_LARGEST_NUMBER: Final = 2**63 - 1
#: Families of S3 events that tell of an object which left: by somebody, or by its lifecycle.
_REMOVALS: Final = frozenset({"ObjectRemoved", "LifecycleExpiration"})


class Origin(StrEnum):
    """Where a message came from, and so what is done about a version that is known already.

    UPLOAD: S3 told of a new object; its execution's name keeps a second one from starting.
    BACKFILL: somebody went through the bucket; what has a report is skipped, since names stay
    taken for 90 days only. AGAIN: somebody wants it processed again, whatever there is.
    """

    UPLOAD = "UPLOAD"
    BACKFILL = "BACKFILL"
    AGAIN = "AGAIN"


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectCreated:
    """What an S3 event says of a new object: where to look, and what to say if it is gone.

    Attributes
    ----------
    version_id
        None when the event names no version: a backfill's listing, or a bucket without versioning.
    """

    bucket: str
    key: str
    version_id: str | None
    etag: str
    size: int
    event_time: datetime
    origin: Origin = Origin.UPLOAD

    @classmethod
    def of(cls, image: UploadedImage, *, origin: Origin) -> ObjectCreated:
        """What an event would say of a version that is in the bucket."""
        return cls(
            bucket=image.bucket,
            key=image.key,
            version_id=image.version_id,
            etag=image.etag,
            size=image.size,
            event_time=image.last_modified,
            origin=origin,
        )

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


def changed_objects(body: str, *, bucket: str, prefix: str) -> Iterator[ObjectCreated | Removal]:
    """The new and the removed objects in the body of an SQS message that S3 sent.

    `s3:TestEvent` (which S3 sends when a notification is set up), folder markers (empty objects
    whose keys end in a slash) and events of other kinds are nothing to do.

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
    if event.get("Event") == "s3:TestEvent" and "Records" not in event:
        return
    if not isinstance(event.get("Records"), list) or not event["Records"]:
        raise MessageNotUnderstood("it is not an S3 event: there are no Records in it")
    origin = _origin(event)
    for record in S3Event(event).records:
        changed = _changed_object(record, origin)
        if changed is None:
            continue
        if changed.bucket != bucket or not changed.key.startswith(prefix):
            raise MessageNotUnderstood(
                "it is about an object that is not below the image prefix of the images bucket"
            )
        yield changed


def created_message(created: ObjectCreated) -> str:
    """The message that S3 would have sent of the object, and back by `changed_objects`.

    For a version that the queue has lost. The backfill's state machine writes the same in JSONata
    (workflow/backfill.py).
    """
    described: dict[str, Any] = {
        "key": quote_plus(created.key, safe="/"),
        "size": created.size,
        "eTag": created.etag,
    }
    if created.version_id:
        described["versionId"] = created.version_id
    event: dict[str, Any] = {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "eventTime": timestamp(created.event_time),
                "s3": {"bucket": {"name": created.bucket}, "object": described},
            }
        ]
    }
    if created.origin is not Origin.UPLOAD:
        event["facematch"] = {"backfill": True, "again": created.origin is Origin.AGAIN}
    return json.dumps(event)


def _origin(event: dict[str, Any]) -> Origin:
    """Read our own mark beside the Records; S3 sets none."""
    mark = event.get("facematch")
    if mark is None:
        return Origin.UPLOAD
    if mark == {"backfill": True, "again": True}:
        return Origin.AGAIN
    if mark == {"backfill": True, "again": False}:
        return Origin.BACKFILL
    raise MessageNotUnderstood("it is marked as ours, but not as a backfill marks it")


def _changed_object(record: S3EventRecord, origin: Origin) -> ObjectCreated | Removal | None:
    try:
        family = record.event_name.partition(":")[0]
        if family not in {"ObjectCreated", *_REMOVALS}:
            return None
        described = record.s3.get_object
        key = decoded_key(described.key)
        if is_folder_marker(key, 0 if family in _REMOVALS else described.size):
            return None
        if family in _REMOVALS:
            return Removal(
                bucket=_text(record.s3.bucket.name),
                key=_text(key),
                version_id=version_id_of(
                    _text(described.version_id) if described.version_id else None
                ),
                sequencer=_text(described["sequencer"]),
                removed_at=datetime.fromisoformat(record.event_time).astimezone(UTC),
            )
        return ObjectCreated(
            bucket=_text(record.s3.bucket.name),
            key=_text(key),
            version_id=version_id_of(_text(described.version_id) if described.version_id else None),
            etag=_text(described.etag),
            size=_size(described.size),
            event_time=datetime.fromisoformat(record.event_time).astimezone(UTC),
            origin=origin,
        )
    except KeyError as error:
        raise MessageNotUnderstood(f"it is an S3 event that lacks the field {error}") from None
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise MessageNotUnderstood(
            "it is an S3 event with a field of another type or form than S3 writes"
        ) from None


def _json_object(body: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise MessageNotUnderstood("it is not JSON") from None
    if not isinstance(event, dict):
        raise MessageNotUnderstood("it is JSON, but not an object")
    return event


def _text(value: object) -> str:
    # Half a surrogate pair, which JSON can spell and UTF-8 cannot, is a ValueError here.
    if not isinstance(value, str) or not 0 < len(value.encode()) <= _LONGEST_TEXT:
        raise TypeError("text expected")
    return value


def _size(value: Any) -> int:  # noqa: ANN401 - it is JSON
    size = int(value)
    if not 0 <= size <= _LARGEST_NUMBER:
        raise ValueError("size expected")
    return size
