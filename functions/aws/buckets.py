"""The images bucket and the output bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.aws.clients import ABSENT, DENIED, availability, error_code
from functions.matching.decisions import Decision, decision_keys
from functions.matching.errors import ImageRejected, Reason
from functions.matching.failures import Lacking
from functions.matching.images import Subject, UploadedImage, version_id_of
from functions.matching.places import Place
from functions.matching.rejection import BEGINNING, END, is_cut_off
from functions.matching.reports import (
    delivery_failure_key,
    failure_key,
    json_lines,
    look_alikes_key,
    match_rows,
    matches_key,
    record_key,
    report_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

    from functions.matching.identity import Identity

#: Where the record of what is lacking lies.
_KEYS: Final = {Lacking.OUTCOME: failure_key, Lacking.DELIVERY: delivery_failure_key}


class ImagesBucket:
    """What S3 itself says of an uploaded object, whatever an event says."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3

    def version(self, bucket: str, key: str, version_id: str | None) -> UploadedImage | None:
        """The version, or the current one when `version_id` is None; None when it is gone.

        Raises
        ------
        Unavailable
            When S3 throttles or fails.
        """
        head = self._head(bucket, key, version_id)
        if head is None:
            return None
        return UploadedImage(
            bucket=bucket,
            key=key,
            version_id=version_id_of(head.get("VersionId")),
            etag=head["ETag"].strip('"'),
            size=head["ContentLength"],
            last_modified=head["LastModified"],
        )

    def require_current(self, image: UploadedImage) -> None:
        """Raise `ImageRejected` unless the image is its key's current version.

        A version behind a delete marker, or behind a newer version, can still be read by its id:
        indexing it would bring back a face that somebody has removed.
        """
        current = self.version(image.bucket, image.key, None)
        if current and (current.version_id, current.etag) == (image.version_id, image.etag):
            return
        # Without this version, the current one may be an older one that came back.
        gone = not current or not self.version(image.bucket, image.key, image.version_id)
        raise ImageRejected(Reason.GONE if gone else Reason.SUPERSEDED, image.digest)

    def is_same_file(self, image: UploadedImage, key: str) -> bool:
        """Tell whether the object of another key is the same file now, byte for byte.

        False where S3 does not tell, as for a key that is below a former image prefix.
        """
        try:
            other = self.version(image.bucket, key, None)
        except ClientError as error:
            if error_code(error) in DENIED:
                return False
            raise
        return other is not None and image.is_same_file_as(other)

    def is_cut_off(self, image: UploadedImage) -> bool:
        """Tell whether a version that cannot be decoded is a JPEG or PNG without its end."""
        last = image.size - 1
        return is_cut_off(
            self._part(image, 0, BEGINNING - 1), self._part(image, max(0, image.size - END), last)
        )

    def _part(self, image: UploadedImage, first: int, last: int) -> bytes:
        """Read some bytes of the version; none when it is gone."""
        version: dict[str, Any] = {"VersionId": image.version_id} if image.version_id else {}
        try:
            with availability():
                return self._s3.get_object(
                    Bucket=image.bucket, Key=image.key, Range=f"bytes={first}-{last}", **version
                )["Body"].read()
        except ClientError as error:
            if error_code(error) in ABSENT:
                return b""
            raise

    def _head(
        self, bucket: str, key: str, version_id: str | None
    ) -> HeadObjectOutputTypeDef | None:
        try:
            with availability():
                if version_id:
                    return self._s3.head_object(Bucket=bucket, Key=key, VersionId=version_id)
                return self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in ABSENT:
                return None
            raise


class OutputBucket:
    """Reports, the rows beside them, failure records, decisions; a report wins over a failure."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self.name = bucket

    def write_report(
        self,
        image: UploadedImage,
        report: dict[str, Any],
        look_alikes: list[dict[str, Any]],
        *,
        replaces_nothing: bool = False,
    ) -> str:
        """Write the rows, then the report, then remove the version's failure records.

        In this order, so that a report never lacks its rows and no failure outlives a report.

        Parameters
        ----------
        look_alikes
            The look-alike rows; the match rows are made of the report.
        replaces_nothing
            Nothing can be there of the version yet, so nothing has to be removed: four requests
            fewer for nearly every image.

        Returns
        -------
        str
            Key of the report.
        """
        beside = {matches_key(image): match_rows(report), look_alikes_key(image): look_alikes}
        for key, rows in beside.items():
            if rows:
                self._put(key, rows)
            elif not replaces_nothing:
                self._delete(key)
        self._put(report_key(image), [report])
        if not replaces_nothing:
            self.delete_failure(image)
            self.delete_failure(image, Lacking.DELIVERY)
        return report_key(image)

    def write_failure(self, image: UploadedImage, record: dict[str, Any]) -> bool:
        """Write the failure record unless a report stands, and take it back if one appears.

        Returns
        -------
        bool
            Whether the record stands.
        """
        if self.has_report(image):
            return False
        self.put_failure(image, record)
        if self.has_report(image):
            self.delete_failure(image)
            return False
        return True

    def delete_report(self, day: str, digest: str) -> None:
        """Delete the report of a version, with the rows beside it and its delivery failure."""
        for place in (Place.MATCHES, Place.LOOK_ALIKES, Place.DELIVERY_FAILURES, Place.REPORTS):
            self._delete(record_key(place, day, digest))

    def put_failure(
        self, image: Subject, record: dict[str, Any], lacking: Lacking = Lacking.OUTCOME
    ) -> None:
        """Write the failure record, whatever else is there."""
        self._put(_KEYS[lacking](image), [record])

    def delete_failure(self, image: Subject, lacking: Lacking = Lacking.OUTCOME) -> None:
        """Delete the failure record of an attempt that has succeeded since."""
        self._delete(_KEYS[lacking](image))

    def report(self, image: Subject) -> dict[str, Any] | None:
        """The version's report, of any schema version; None when it has none."""
        body = self._get(report_key(image))
        if body is None:
            return None
        found: dict[str, Any] = json.loads(body)
        return found

    def has_report(self, image: Subject) -> bool:
        """Whether the version has a report."""
        try:
            with availability():
                self._s3.head_object(Bucket=self.name, Key=report_key(image))
        except ClientError as error:
            if error_code(error) in ABSENT:
                return False
            raise
        return True

    def decisions(self, own: Identity, others: Iterable[Identity]) -> dict[str, Decision]:
        """Read what people decided about a record and each of the others, by the other's key.

        Raises
        ------
        ValueError
            When a record is not a decision, with its key, which names nobody. No notification
            may be kept back, or sent, by a file that nobody can read.
        """
        found: dict[str, Decision] = {}
        for other in others:
            if other.record not in found and (decision := self._decision(own, other)):
                found[other.record] = decision
        return found

    def _decision(self, own: Identity, other: Identity) -> Decision | None:
        for key in decision_keys((own.record, other.record), (own.name, other.name)):
            body = self._get(key)
            if body is None:
                continue
            try:
                return Decision.from_record(json.loads(body))
            except (ValueError, AttributeError) as error:
                raise ValueError(
                    f"{key} in the output bucket is not a decision: {error}. Import the decision "
                    "again, or delete the object; then redrive the execution."
                ) from None
        return None

    def _get(self, key: str) -> bytes | None:
        try:
            with availability():
                return self._s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) in ABSENT:
                return None
            raise

    def _put(self, key: str, records: list[dict[str, Any]]) -> None:
        with availability():
            self._s3.put_object(
                Bucket=self.name,
                Key=key,
                Body=json_lines(records),
                ContentType="application/x-ndjson",
            )

    def _delete(self, key: str) -> None:
        with availability():
            self._s3.delete_object(Bucket=self.name, Key=key)
