"""An uploaded image: one version of one object, as the workflow knows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from functions.matching import keys

#: Rekognition's limit for an image in S3, 15 MB (Guidelines and quotas in Amazon Rekognition).
MAX_IMAGE_BYTES: Final = 15 * 1024 * 1024
#: A day less than the 90 days for which Step Functions keeps the name of an execution that ended
#: (AWS Step Functions API Reference, StartExecution).
_NAMES_ARE_KEPT: Final = timedelta(days=89)


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadedImage:
    """One version of one object in the images bucket.

    Attributes
    ----------
    bucket, key
        Where the object is; the key is decoded.
    version_id
        None in a bucket without versioning.
    etag
        Without quotation marks.
    size
        In bytes.
    last_modified
        When S3 took the version in, UTC.
    """

    bucket: str
    key: str
    version_id: str | None
    etag: str
    size: int
    last_modified: datetime

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote.

        Raises
        ------
        ValueError
            When a field is missing or of another type: the execution was not started by the
            starter.
        """
        try:
            return cls(
                bucket=_text(payload["bucket"]),
                key=_text(payload["key"]),
                version_id=None if payload["versionId"] is None else _text(payload["versionId"]),
                etag=_text(payload["eTag"]),
                size=int(payload["size"]),
                last_modified=datetime.fromisoformat(payload["lastModified"]).astimezone(UTC),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(
                "not an uploaded image: bucket, key, versionId, eTag, size and lastModified are "
                f"expected, as the starter writes them ({type(error).__name__}: {error})"
            ) from None

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON, in S3's own words."""
        return {
            "bucket": self.bucket,
            "key": self.key,
            "versionId": self.version_id,
            "eTag": self.etag,
            "size": self.size,
            "lastModified": timestamp(self.last_modified),
        }

    @property
    def digest(self) -> str:
        """Names the report, the failure record and the execution; the correlation id of logs."""
        return keys.version_digest(self.bucket, self.key, self.version_id or f"etag:{self.etag}")

    @property
    def day(self) -> str:
        """UTC date of the upload, as in ``dt=2026-11-22``: the partition of its records."""
        return self.last_modified.astimezone(UTC).date().isoformat()

    @property
    def uri(self) -> str:
        """For people; carries the key, so never for a log."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def execution_name(self) -> str:
        """The same on every delivery, so that a duplicate event starts nothing."""
        return keys.execution_name(self.key, self.digest)

    @property
    def execution_input(self) -> str:
        """Canonical JSON: the same bytes on every delivery.

        StartExecution takes a repeated name for the same execution only when the input is the
        same too (AWS Step Functions API Reference, StartExecution).
        """
        return json.dumps(self.to_payload(), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal(UploadedImage):
    """An object version, or a whole object, that left the images bucket.

    It goes the way of an image, in a state machine of its own, and like one it has an execution,
    and a failure record if that fails. `version_id` is the removed version's or the delete
    marker's, `etag` the event's sequencer, `last_modified` the time of the event.
    """

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote."""
        return super(Removal, cls).from_payload(payload)

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON, which tells a removal from an upload."""
        return {**UploadedImage.to_payload(self), "removed": True}

    @property
    def digest(self) -> str:
        """Of the removal: not that of the version which was removed."""
        return keys.version_digest(self.bucket, self.key, f"removed:{self.version_id or self.etag}")

    @property
    def removed_digest(self) -> str:
        """Of the version that was removed, if it was one and not a delete marker that was set."""
        return keys.version_digest(self.bucket, self.key, self.version_id or "")

    @property
    def execution_name(self) -> str:
        """That of an image, with ``-d`` behind it."""
        return f"{keys.execution_name(self.key, self.digest)}{keys.REMOVAL_SUFFIX}"


def version_id_of(said: str | None) -> str | None:
    """The id of a version as S3 says it; None for one that has none.

    That is every object of a bucket without versioning, and what was uploaded while versioning was
    suspended: S3 calls it "null" (Amazon S3 User Guide, Adding objects to versioning-suspended
    buckets), and the next one is called so, too.
    """
    return None if said in {None, "", "null"} else said


def image_or_removal(payload: dict[str, Any]) -> UploadedImage:
    """What an execution's input is about."""
    kind = Removal if payload.get("removed") is True else UploadedImage
    return kind.from_payload(payload)


def is_first_attempt(
    image: UploadedImage, execution_arn: str, redrive_count: int | None, *, now: datetime
) -> bool:
    """Whether no other execution, and no earlier run of this one, was about the image's version.

    Then there is no record of it that would have to be removed. Any doubt is a no: a replay, an
    execution that somebody started by hand, one that was redriven, an image so old that its
    execution may have been forgotten, and bytes that came again without a version of their own.

    Parameters
    ----------
    redrive_count
        Of the execution, as its context says; None when it does not.
    """
    return (
        execution_arn.rpartition(":")[2] == image.execution_name
        and redrive_count == 0
        and image.version_id is not None
        and now - image.last_modified < _NAMES_ARE_KEPT
    )


def timestamp(moment: datetime) -> str:
    """UTC in ISO 8601 with milliseconds, as in ``2026-11-22T11:15:07.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("text expected")
    return value
