"""An uploaded image: one version of one object, as the workflow knows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from functions.matching import keys

#: Rekognition's limit for an image in S3, 15 MB (Guidelines and quotas in Amazon Rekognition).
MAX_IMAGE_BYTES: Final = 15 * 1024 * 1024
#: For people, about two photographs whose contents are equal; then what follows from it.
SAME_FILE: Final = "The two photographs are the same file."
SAME_FILE_MEANS: Final = (
    "One file under two names, byte for byte, proves that a photograph was copied. It does not "
    "prove that two photographs show one person."
)
#: %. The faces in two copies of one file are equal, but for rounding: no less similar ones can be.
COPY_SIMILARITY: Final = 99.99
#: Characters of an MD5 digest. The ETag of an object of several parts is longer: ``<digest>-<n>``.
_DIGEST_LENGTH: Final = 32
#: A day less than the 90 days for which Step Functions keeps the name of an execution that ended
#: (AWS Step Functions API Reference, StartExecution).
_NAMES_ARE_KEPT: Final = timedelta(days=89)


class Subject:
    """What an execution is about: a version of an object, or its removal."""

    __slots__ = ()

    bucket: str
    key: str
    version_id: str | None

    @property
    def digest(self) -> str:
        """Names the records and the execution; the correlation id of logs."""
        raise NotImplementedError

    @property
    def _told(self) -> tuple[str, int, datetime]:
        """The eTag, the size in bytes and the moment, as payloads and records have them."""
        raise NotImplementedError

    @property
    def day(self) -> str:
        """UTC date of that moment, as in ``dt=2026-11-22``: the partition of its records."""
        _, _, moment = self._told
        return moment.astimezone(UTC).date().isoformat()

    @property
    def columns(self) -> dict[str, Any]:
        """What every record says of it."""
        etag, size, moment = self._told
        return {
            "digest": self.digest,
            "bucket": self.bucket,
            "key": self.key,
            "version_id": self.version_id,
            "etag": etag,
            "size": size,
            "uploaded_at": timestamp(moment),
        }

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON, in S3's own words."""
        etag, size, moment = self._told
        return {
            "bucket": self.bucket,
            "key": self.key,
            "versionId": self.version_id,
            "eTag": etag,
            "size": size,
            "lastModified": timestamp(moment),
        }

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
class UploadedImage(Subject):
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

    @property
    def digest(self) -> str:
        """Names the report, the failure record and the execution; the correlation id of logs."""
        return keys.version_digest(self.bucket, self.key, self.version_id or f"etag:{self.etag}")

    @property
    def content_id(self) -> str | None:
        """Id of the content: two images with the same id are the same file, byte for byte.

        The ETag of an object of one part is the MD5 digest of its content, unless it is encrypted
        under a key of KMS or of the client. Such ETags differ even if the contents are equal
        (Amazon S3 API Reference, Object). So equal contents may have different ids. None when the
        ETag is no digest. `workflow/queries/parts/evidence.sql` has the same rule.
        """
        return f"{self.etag}-{self.size}" if len(self.etag) == _DIGEST_LENGTH else None

    def is_same_file_as(self, other: UploadedImage) -> bool:
        """Tell whether the other image has the same content, as far as S3 tells contents apart."""
        return self.content_id is not None and self.content_id == other.content_id

    @property
    def _told(self) -> tuple[str, int, datetime]:
        return self.etag, self.size, self.last_modified


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal(Subject):
    """An object version, or a whole object, that left the images bucket.

    It has an execution of a state machine of its own, and a failure record if that fails.

    Attributes
    ----------
    version_id
        Of the version that was removed, or of the delete marker that was set; None in a bucket
        without versioning.
    sequencer
        Tells two removals of one key apart (Amazon S3 User Guide, Event message structure).
    removed_at
        As the event says, UTC.
    """

    bucket: str
    key: str
    version_id: str | None
    sequencer: str
    removed_at: datetime

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote.

        Raises
        ------
        ValueError
            When a field is missing or of another type.
        """
        told = UploadedImage.from_payload(payload)
        return cls(
            bucket=told.bucket,
            key=told.key,
            version_id=told.version_id,
            sequencer=told.etag,
            removed_at=told.last_modified,
        )

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON: that of an image, which every version of the workflow reads, and a mark."""
        return {**Subject.to_payload(self), "removed": True}

    @property
    def digest(self) -> str:
        """Of the removal: not that of the version which was removed."""
        removed = f"removed:{self.version_id or self.sequencer}"
        return keys.version_digest(self.bucket, self.key, removed)

    @property
    def removed_digest(self) -> str:
        """Of the version that was removed, if it was one and not a delete marker that was set."""
        return keys.version_digest(self.bucket, self.key, self.version_id or "")

    @property
    def _told(self) -> tuple[str, int, datetime]:
        return self.sequencer, 0, self.removed_at

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


def subject_of(payload: dict[str, Any]) -> Subject:
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
