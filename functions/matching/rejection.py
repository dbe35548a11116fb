"""What can be said of an image before anything is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.matching.errors import ImageRejected, Reason
from functions.matching.images import MAX_IMAGE_BYTES
from functions.matching.keys import external_image_id, name_in

if TYPE_CHECKING:
    import re

    from functions.matching.images import UploadedImage


def require_usable(image: UploadedImage, name_pattern: re.Pattern[str]) -> None:
    """Raise `ImageRejected` for what the key and the size already tell."""
    if name_in(image.key, name_pattern) is None or image.key.endswith("/"):
        raise ImageRejected(Reason.UNNAMED, image.digest)
    if external_image_id(image.key) is None:
        raise ImageRejected(Reason.KEY_UNUSABLE, image.digest)
    if image.size == 0:
        raise ImageRejected(Reason.NOT_JPEG_OR_PNG, image.digest, "the file is empty")
    if image.size > MAX_IMAGE_BYTES:
        raise ImageRejected(Reason.TOO_LARGE, image.digest, f"{image.size:,} bytes")
