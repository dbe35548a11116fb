"""Deleting object versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Actionable

if TYPE_CHECKING:
    from collections.abc import Sequence

#: As many as DeleteObjects takes.
MOST_AT_ONCE: Final = 1000
#: What XML 1.0 cannot hold (Extensible Markup Language 1.0, 2.2 Characters), and a key can.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
