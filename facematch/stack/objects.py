"""A bucket of the stack: its object versions, listed, read, written and deleted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from botocore.exceptions import ClientError

from facematch.errors import Actionable
from facematch.stack.batches import batches
from facematch.stack.errors import AWS_ERRORS, explained
from functions.aws.clients import ABSENT, DENIED, error_code
from functions.matching.images import UploadedImage, version_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader

    from facematch.stack.deployment import Deployment

#: As many as ListObjectVersions lists and DeleteObjects takes.
_MOST_AT_ONCE: Final = 1000
#: What XML 1.0 cannot hold (Extensible Markup Language 1.0, 2.2 Characters), and a key can.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object version or a delete marker, as S3 lists it.

    Attributes
    ----------
    version_id
        In S3's own words: "null" where there is no versioning.
    is_newest
        No other entry of the key is newer.
    image
        The version; None for a delete marker.
    """

    key: str
    version_id: str
    is_newest: bool
    last_modified: datetime
    image: UploadedImage | None


class Checksum(NamedTuple):
    """What S3 knows of a version's content beside the eTag.

    Attributes
    ----------
    crc32
        As S3 writes it, if it was sent along with the upload.
    """

    is_under_a_key: bool
    crc32: str | None


class Why(Enum):
    """Why the content of a version was not delivered."""

    GONE = auto()
    DENIED = auto()
    TOO_LARGE = auto()
    UNAVAILABLE = auto()


class NotDelivered(Exception):  # noqa: N818 - reads as what happened
    """S3 did not deliver the content of a version."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


class Bucket:
    """One bucket."""

    def __init__(self, s3: Any, name: str) -> None:  # noqa: ANN401 - a client
        self._s3 = s3
        self.name = name

    @classmethod
    def images(cls, deployment: Deployment) -> Self:
        """The bucket into which photographs are uploaded."""
        return cls(deployment.make_client("s3"), deployment.images_bucket)

    @classmethod
    def output(cls, deployment: Deployment) -> Self:
        """The bucket of the records."""
        return cls(deployment.make_client("s3"), deployment.output_bucket)

    def listed(self, prefix: str = "") -> Iterator[Entry]:
        """Every version and delete marker of the keys that begin so."""
        pages = self._s3.get_paginator("list_object_versions").paginate(
            Bucket=self.name, Prefix=prefix, PaginationConfig={"PageSize": _MOST_AT_ONCE}
        )
        for page in pages:
            yield from self._entries(page)

    def current(self, prefix: str) -> Iterator[UploadedImage]:
        """The newest version of each object whose key begins so, unless that was deleted."""
        return (entry.image for entry in self.listed(prefix) if entry.is_newest and entry.image)

    def current_version(self, key: str) -> UploadedImage | None:
        """The newest version of one object; None when it is not there or deleted.

        By a listing, which knows what is there. Without the right to list, S3 answers 403 to a
        question about an object, whether it is there or not.
        """
        # Of what begins with the key, the key itself comes first, and of its entries the newest.
        page = self._s3.list_object_versions(Bucket=self.name, Prefix=key, MaxKeys=1)
        newest = next(self._entries(page), None)
        return newest.image if newest and newest.key == key and newest.is_newest else None

    def is_current(self, image: UploadedImage) -> bool:
        """Whether a version is its key's newest entry now; it may have been when it was listed."""
        newest = self.current_version(image.key)
        return newest is not None and newest.digest == image.digest

    def checksum(self, image: UploadedImage) -> Checksum | None:
        """Ask for the checksum of a version; None when these rights do not allow it."""
        try:
            found = self._s3.head_object(
                Bucket=self.name,
                Key=image.key,
                VersionId=image.version_id or "null",
                ChecksumMode="ENABLED",
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.FORBIDDEN:
                return None
            raise
        encryption = str(found.get("ServerSideEncryption", ""))
        return Checksum(encryption.startswith("aws:kms"), found.get("ChecksumCRC32"))

    def content(self, key: str, version_id: str, *, at_most: int) -> bytes:
        """Read a version.

        Raises
        ------
        NotDelivered
            When it is gone, larger than `at_most` bytes, or S3 does not give it.
        """
        try:
            answer = self._s3.get_object(Bucket=self.name, Key=key, VersionId=version_id)
            if answer["ContentLength"] > at_most:
                answer["Body"].close()
                raise NotDelivered(Why.TOO_LARGE)
            content: bytes = answer["Body"].read()
        except AWS_ERRORS as error:
            code = error_code(error) if isinstance(error, ClientError) else ""
            denied = Why.DENIED if code in DENIED else Why.UNAVAILABLE
            raise NotDelivered(Why.GONE if code in ABSENT else denied) from None
        return content

    def put(self, key: str, file: BufferedReader, *, content_type: str) -> UploadedImage:
        """Upload a file.

        Raises
        ------
        Actionable
            When S3 refuses or cannot be asked.
        """
        size = os.fstat(file.fileno()).st_size
        try:
            answer = self._s3.put_object(
                Bucket=self.name, Key=key, Body=file, ContentType=content_type
            )
        except AWS_ERRORS as error:
            raise explained(error) from None
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return UploadedImage(
            bucket=self.name,
            key=key,
            version_id=version_id_of(answer.get("VersionId")),
            etag=answer["ETag"].strip('"'),
            size=size,
            last_modified=parsedate_to_datetime(date) if date else datetime.now(UTC),
        )

    def delete_versions(self, entries: Iterable[Entry]) -> None:
        """Delete versions and delete markers for good.

        Raises
        ------
        Actionable
            When S3 refuses some.
        """
        self._delete({"Key": entry.key, "VersionId": entry.version_id} for entry in entries)

    def delete_objects(self, keys: Iterable[str]) -> None:
        """Delete whole objects.

        Raises
        ------
        Actionable
            When S3 refuses some.
        """
        self._delete({"Key": key} for key in keys)

    def _delete(self, named: Iterable[dict[str, str]]) -> None:
        for batch in batches(named, _MOST_AT_ONCE):
            # DeleteObjects names keys in XML, DeleteObject in the address.
            apart = [version for version in batch if _NOT_IN_XML.search(version["Key"])]
            together = [version for version in batch if not _NOT_IN_XML.search(version["Key"])]
            for version in apart:
                self._s3.delete_object(Bucket=self.name, **version)
            if not together:
                continue
            answer = self._s3.delete_objects(
                Bucket=self.name, Delete={"Objects": together, "Quiet": True}
            )
            if errors := answer.get("Errors"):
                raise Actionable(
                    f"{len(errors)} objects of {self.name} were not deleted "
                    f"({errors[0].get('Code')}: {errors[0].get('Message')}). Fix the "
                    "problem and run the command again."
                )

    def stop_telling(self) -> None:
        """Let S3 tell nobody any more of what happens in the bucket."""
        self._s3.put_bucket_notification_configuration(
            Bucket=self.name, NotificationConfiguration={}
        )

    def empty(self) -> None:
        """Delete every version and delete marker."""
        self.delete_versions(self.listed())

    def delete(self) -> None:
        """Delete the bucket with everything in it."""
        self.empty()
        self._s3.delete_bucket(Bucket=self.name)

    def _entries(self, page: dict[str, Any]) -> Iterator[Entry]:
        """Entries of an answer of ListObjectVersions: versions first, then delete markers."""
        for item in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
            image = None
            if "ETag" in item:
                image = UploadedImage(
                    bucket=self.name,
                    key=item["Key"],
                    version_id=version_id_of(item["VersionId"]),
                    etag=item["ETag"].strip('"'),
                    size=item["Size"],
                    last_modified=item["LastModified"],
                )
            yield Entry(
                item["Key"], item["VersionId"], item["IsLatest"], item["LastModified"], image
            )
