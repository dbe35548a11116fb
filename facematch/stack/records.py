"""Records in the output bucket: which there are, what they say, and what a command writes there."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from facematch.errors import Actionable
from facematch.stack.deployment import PARALLEL
from facematch.stack.errors import actionable
from facematch.stack.objects import Bucket
from functions.aws.clients import ABSENT, error_code
from functions.aws.register import OVERTAKEN, FaceRegisters
from functions.matching.images import UploadedImage
from functions.matching.reports import json_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from facematch.stack.deployment import Deployment
    from functions.matching.places import Place
    from functions.matching.register import Register


#: A wait for the next look at the records is this many times as long as a look, up to a limit in
#: seconds.
_REST: Final = 8
_LONGEST_REST: Final = 300.0


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


class Body(NamedTuple):
    """The content of an object in the output bucket, and its eTag."""

    content: bytes
    etag: str


class Records:
    """Records in the output bucket."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._s3 = deployment.make_client("s3")
        self._bucket = deployment.output_bucket
        self._registers = FaceRegisters(self._s3, self._bucket)

    def keys(self, place: Place, day: str | None = None) -> Iterator[str]:
        """Keys of the records of one kind, of one day or of all."""
        return (key for key, _ in self.listed(place, day))

    def since(self, place: Place, day: str) -> Iterator[str]:
        """Keys of the records of one kind, of a day and of all later ones."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=place, StartAfter=f"{place}dt={day}"
        )
        return (found["Key"] for page in pages for found in page.get("Contents", []))

    def listed(self, place: Place, day: str | None = None) -> Iterator[tuple[str, str]]:
        """Keys of the records as `keys` gives them, each with its eTag."""
        prefix = f"{place}dt={day}/" if day else place
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:
            for found in page.get("Contents", []):
                yield found["Key"], found["ETag"]

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

    def uri(self, key: str) -> str:
        """Where the object of that key is, for people."""
        return f"s3://{self._bucket}/{key}"

    def body(self, key: str) -> Body | None:
        """The object of that key as it is; None when there is none."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error_code(error) in ABSENT:
                return None
            raise
        return Body(found["Body"].read(), found["ETag"])

    def register(self, image: UploadedImage) -> Register:
        """What is entered of the image's key; nothing, where nobody has been."""
        return self.register_of(image.bucket, image.key)

    def register_of(self, bucket: str, key: str) -> Register:
        """What is entered of the key of an image."""
        with actionable():
            return self._registers.of_key(bucket, key)

    def write(self, key: str, lines: list[dict[str, Any]], *, replaces: str | None) -> bool:
        """Write a record unless somebody else has written or deleted it meanwhile.

        Parameters
        ----------
        replaces
            The eTag of the record that it replaces; None where there was none.

        Returns
        -------
        bool
            False when somebody else was faster: nothing was written.
        """
        is_new = replaces is None
        unless_changed = {"IfNoneMatch": "*"} if is_new else {"IfMatch": replaces}
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=json_lines(lines),
                ContentType="application/x-ndjson",
                **unless_changed,
            )
        except ClientError as error:
            if error_code(error) in (OVERTAKEN if is_new else OVERTAKEN | ABSENT):
                return False
            raise
        return True

    def rewrite(self, record: Record) -> bool:
        """Write other lines into a record that was read; `write` says when it does not."""
        return self.write(record.key, record.lines, replaces=record.etag)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete records.

        Raises
        ------
        Actionable
            When S3 refuses some.
        """
        Bucket(self._s3, self._bucket).delete_objects(keys)

    def _lines(self, key: str) -> list[dict[str, Any]]:
        return self._record(key).lines

    def _record(self, key: str) -> Record:
        body = self.body(key)
        if body is None:
            return Record(key, [], "")
        try:
            lines = [json.loads(line) for line in body.content.splitlines() if line.strip()]
            return Record(key, lines, body.etag)
        except ValueError as error:
            raise Actionable(
                f"{self.uri(key)} is not JSON Lines: {error}. Nothing of this project "
                "writes so. Restore an older version of it, or delete it and have the report "
                f"written again: {self._deployment.command('audit', '--fix')}"
            ) from None


def rest_after(look_seconds: float) -> float:
    """Return how long to wait after a look at the records, seconds.

    S3 lists 1,000 records in a request, and each request costs: the more there is to list, the more
    rarely somebody who waits looks again.
    """
    return min(_LONGEST_REST, _REST * look_seconds)


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
