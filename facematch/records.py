"""Reads what the workflow wrote: which versions have an outcome, and the records themselves."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from facematch.deployment import PARALLEL
from facematch.errors import Actionable
from functions.matching.images import UploadedImage, version_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from facematch.deployment import Deployment


class Records:
    """Records in the output bucket."""

    def __init__(self, deployment: Deployment) -> None:
        self._s3 = deployment.make_client("s3")
        self._bucket = deployment.output_bucket

    def keys(self, kind: str, day: str | None = None) -> Iterator[str]:
        """Keys of the records of a kind (reports, matches, failures), of one day or of all."""
        prefix = f"{kind}/dt={day}/" if day else f"{kind}/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:
            for found in page.get("Contents", []):
                yield found["Key"]

    def read(self, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The lines of these records; one that has been deleted meanwhile is left out."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            for lines in pool.map(self._lines, keys):
                yield from lines

    def read_each(self, keys: Iterable[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Each record's key and lines; one that has been deleted meanwhile has none."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            yield from pool.map(lambda key: (key, self._lines(key)), keys)

    def _lines(self, key: str) -> list[dict[str, Any]]:
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return []
        try:
            return [json.loads(line) for line in body.splitlines() if line.strip()]
        except ValueError as error:
            raise Actionable(
                f"s3://{self._bucket}/{key} is not JSON Lines: {error}. Nothing of this project "
                "writes so. Restore an older version of it, or delete it; facematch audit --fix "
                "then has the report written again."
            ) from None


def digest_of(key: str) -> str:
    """The digest of the version that a record's key names."""
    return PurePosixPath(key).stem


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
