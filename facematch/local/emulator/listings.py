"""ListObjectVersions for the emulator, which ignores ``encoding-type=url``.

A key may hold characters that XML 1.0 cannot, as the escape of a terminal's colour. With one in a
bucket, nobody could read any list of its versions any more. S3 percent-encodes what comes from
keys, when it is asked to (Amazon S3 API Reference, ListObjectVersions), which boto3 always does.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import Element, SubElement

from facematch.local.emulator.private_names import functions

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.s3",
        "keys that XML cannot hold",
        {
            "_list_object_versions": ("bucket_name", "query_params"),
            "_xml_body": ("root",),
            "_qp": ("params", "key", "default"),
            "_url_encode": ("value",),
        },
    ),
)

_ENCODED: Final = ("Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker")
_ROOT: Final = "ListVersionsResult"


class Listings:
    """Encodes what the emulator's list of versions says of keys, before it becomes a text.

    Parameters
    ----------
    s3
        The module; `PRIVATE_NAMES` lists what is used of it.
    """

    def __init__(self, s3: Any) -> None:  # noqa: ANN401 - a module
        self._s3 = s3
        self._encode = contextvars.ContextVar("encode", default=False)

    def install(self) -> None:
        """Put it in, before anything is served."""
        self._list_versions = self._s3._list_object_versions
        self._xml_body = self._s3._xml_body
        self._s3._list_object_versions = self.list_versions
        self._s3._xml_body = self.xml_body

    def list_versions(self, bucket_name: str, query_params: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """ListObjectVersions."""
        wanted = self._s3._qp(query_params, "encoding-type", "") == "url"
        token = self._encode.set(wanted)
        try:
            return self._list_versions(bucket_name, query_params)
        finally:
            self._encode.reset(token)

    def xml_body(self, root: Element) -> bytes:
        """The text of an answer."""
        if root.tag == _ROOT and self._encode.get():
            for element in root.iter():
                if element.tag in _ENCODED:
                    element.text = self._s3._url_encode(element.text or "")
            SubElement(root, "EncodingType").text = "url"
        body: bytes = self._xml_body(root)
        return body
