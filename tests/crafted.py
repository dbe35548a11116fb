"""Files that no camera makes, small and costly to decode; and how a camera stores what it turns."""

from __future__ import annotations

import io

from PIL import Image

#: How a camera stores an upright picture under each orientation (Exif 2.32, tag 0x0112).
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def with_scans(scans: int, *, side: int = 320, hidden: bool = False) -> bytes:
    """A grey progressive JPEG whose last scan, of 14 bytes, is repeated.

    Parameters
    ----------
    hidden
        Behind a marker that has no length, but seems to have one that goes beyond all scans.
        Because a marker for a restart is missing there, libjpeg skips this one.
    """
    buffer = io.BytesIO()
    Image.new("L", (side, side), "grey").save(buffer, "JPEG", progressive=True)
    plain = buffer.getvalue()
    first, last = plain.index(b"\xff\xda"), plain[plain.rindex(b"\xff\xda") : -2]
    if hidden:
        entropy = first + 2 + int.from_bytes(plain[first + 2 : first + 4])
        restarts, no_restarts = (b"\xff\xdd\0\4\0" + every for every in (b"\1", b"\0"))
        begun = plain[:first] + restarts + plain[first:entropy] + b"\xff\x02\x90\0"
        plain = begun + plain[entropy:-2] + no_restarts + plain[-2:]
    return plain[:-2] + last * scans + plain[-2:]
