"""Object versions: which is current, and deleting them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Actionable
from facematch.stack.records import image_listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from functions.matching.images import UploadedImage


def current_versions(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """The newest version of each object, as ListObjectVersions describes it."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        yield from (item for item in page.get("Versions", []) if item["IsLatest"])


def current_version(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:  # noqa: ANN401
    """The newest version of one object, likewise; None when it is not there or deleted.

    By a listing, which knows what is there. Without the right to list, S3 answers 403 to a question
    about an object, whether it is there or not.
    """
    # Of what begins with the key, the key itself comes first, and of its versions the newest.
    listed_versions = s3.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=1)
    for item in listed_versions.get("Versions", []):
        if item["Key"] == key and item["IsLatest"]:
            found: dict[str, Any] = item
            return found
    return None


#: As many as DeleteObjects takes.
MOST_AT_ONCE: Final = 1000
#: What XML 1.0 cannot hold (Extensible Markup Language 1.0, 2.2 Characters), and a key can.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_current(s3: Any, image: UploadedImage) -> bool:  # noqa: ANN401
    """Whether a version is its key's newest entry now; it may have been when it was listed.

    Parameters
    ----------
    s3
        A client.
    """
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=image.bucket, Prefix=image.key)
    for page in pages:
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        for item in entries:
            if item["Key"] == image.key and item["IsLatest"]:
                is_version = "ETag" in item
                return is_version and image_listed(image.bucket, item).digest == image.digest
        # S3 lists in the order of the keys, and the key comes before what begins with it.
        if any(item["Key"] != image.key for item in entries):
            break
    return False


def delete_versions(s3: Any, bucket: str, versions: Sequence[dict[str, str]]) -> None:  # noqa: ANN401
    """Delete object versions and delete markers, or whole objects where no version is named.

    Parameters
    ----------
    s3
        A client.
    versions
        The Key of each, and its VersionId.

    Raises
    ------
    Actionable
        When S3 refuses some.
    """
    # DeleteObjects names keys in XML, DeleteObject in the address.
    apart = [version for version in versions if _NOT_IN_XML.search(version["Key"])]
    for version in apart:
        s3.delete_object(Bucket=bucket, **version)
    together = [version for version in versions if not _NOT_IN_XML.search(version["Key"])]
    for start in range(0, len(together), MOST_AT_ONCE):
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={"Objects": together[start : start + MOST_AT_ONCE], "Quiet": True},
        )
        if errors := answer.get("Errors"):
            raise Actionable(
                f"{len(errors)} objects of {bucket} were not deleted "
                f"({errors[0].get('Code')}: {errors[0].get('Message')}). Mend that, then repeat "
                "the command."
            )
