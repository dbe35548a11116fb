"""Reads what the workflow wrote: which versions have an outcome, and the records themselves."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from facematch.errors import Actionable
from facematch.stack.deployment import PARALLEL
from functions.aws.clients import error_code
from functions.aws.register import ABSENT
from functions.matching.images import UploadedImage, version_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from facematch.stack.deployment import Deployment
    from functions.matching.places import Place


class Record(NamedTuple):
    """An object in the output bucket, as it was read.

    Attributes
    ----------
    etag
        Changes when somebody writes it anew.
    """

    key: str
    lines: list[dict[str, Any]]
    etag: str


class Records:
    """Records in the output bucket."""

    def __init__(self, deployment: Deployment) -> None:
        self._s3 = deployment.make_client("s3")
        self._bucket = deployment.output_bucket

    def keys(self, place: Place, day: str | None = None) -> Iterator[str]:
        """Keys of the records of one kind, of one day or of all."""
        prefix = f"{place}dt={day}/" if day else place
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:
            for found in page.get("Contents", []):
                yield found["Key"]

    def exists(self, key: str) -> bool:
        """Whether there is a record of that key."""
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error_code(error) in ABSENT:
                return False
            raise
        return True

    def read(self, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The lines of these records; one that has been deleted meanwhile is left out."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            for lines in pool.map(self._lines, keys):
                yield from lines

    def read_each(self, keys: Iterable[str]) -> Iterator[Record]:
        """Each record; one that has been deleted meanwhile has no lines."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            yield from pool.map(self._record, keys)

    def _lines(self, key: str) -> list[dict[str, Any]]:
        return self._record(key).lines

    def _record(self, key: str) -> Record:
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.NoSuchKey:
            return Record(key, [], "")
        body = found["Body"].read()
        try:
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]
            return Record(key, lines, found["ETag"])
        except ValueError as error:
            raise Actionable(
                f"s3://{self._bucket}/{key} is not JSON Lines: {error}. Nothing of this project "
                "writes so. Restore an older version of it, or delete it; facematch audit --fix "
                "then has the report written again."
            ) from None


def digest_of(key: str) -> str:
    """The digest of the version that a record's key names."""
    return PurePosixPath(key).stem


def image_recorded(record: dict[str, Any]) -> UploadedImage:
    """The image that a record is about."""
    return UploadedImage(
        bucket=record["bucket"],
        key=record["key"],
        version_id=record["version_id"],
        etag=record["etag"],
        size=record["size"],
        last_modified=datetime.fromisoformat(record["uploaded_at"]),
    )


def image_listed(bucket: str, item: dict[str, Any]) -> UploadedImage:
    """The image that an item of ListObjectVersions describes."""
    return UploadedImage(
        bucket=bucket,
        key=item["Key"],
        version_id=version_id_of(item["VersionId"]),
        etag=item["ETag"].strip('"'),
        size=item["Size"],
        last_modified=item["LastModified"],
    )
