"""What can be said of an image before anything is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.matching.errors import ImageRejected, Reason
from functions.matching.identity import name_in
from functions.matching.images import MAX_IMAGE_BYTES
from functions.matching.keys import external_image_id

if TYPE_CHECKING:
    import re

    from functions.matching.images import UploadedImage


#: How a file of each format begins, and what its end holds.
_FORMATS: Final = ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND"))
#: Bytes of a file's beginning and of its end that tell whether it was cut off. Cameras write a
#: little after the end of the picture.
BEGINNING: Final = 8
END: Final = 1024


def is_cut_off(beginning: bytes, end: bytes) -> bool:
    """Tell whether a file that cannot be decoded begins as a JPEG or PNG and lacks its end."""
    return any(beginning.startswith(magic) and last not in end for magic, last in _FORMATS)


def require_usable(image: UploadedImage, names_from: re.Pattern[str]) -> None:
    """Raise `ImageRejected` for what the key and the size already tell."""
    if name_in(image.key, names_from) is None or image.key.endswith("/"):
        raise ImageRejected(Reason.UNNAMED, image.digest)
    if external_image_id(image.key) is None:
        raise ImageRejected(Reason.KEY_UNUSABLE, image.digest)
    if image.size == 0:
        raise ImageRejected(Reason.CUT_OFF, image.digest, "the file is empty")
    if image.size > MAX_IMAGE_BYTES:
        raise ImageRejected(Reason.TOO_LARGE, image.digest, f"{image.size:,} bytes")
