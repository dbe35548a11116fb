"""The limits of a photograph, checked wherever a file is decoded, before it is decoded.

A small file can ask for much work and memory. `admitted` reads the structure of a file, not its
pixels, and either refuses it or returns what a decoder needs of it. What the structure does not
tell, `DEADLINE_SECONDS` bounds: decoders run in `facematch.images.workers`.

Sources
-------
- ITU-T T.81 (JPEG), B.1.1 and B.2; libjpeg-turbo, jdmarker.c: which markers have a length.
- PNG Specification (Third Edition), 5.3 and 5.4: which chunks a decoder needs.
- Amazon Rekognition Developer Guide, "Guidelines and quotas in Amazon Rekognition".
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from functions.matching.images import MAX_IMAGE_BYTES

MIN_SIDE: Final = 80
"""Pixels. Rekognition's lower limit for the width and the height of an image whose faces it finds;
a picture of a face may come from a smaller one."""
MAX_PIXELS: Final = 100_000_000
"""A larger PNG is refused, and a larger JPEG in several scans. OpenCV keeps three bytes of each
pixel, Pillow four. A JPEG in one scan is decoded at a reduced size, down to an eighth: the largest
that there is, of 65,500 by 65,500 pixels, then has 67 million."""
MAX_COEFFICIENT_BYTES: Final = 3 * MAX_PIXELS
"""libjpeg keeps two bytes for each sample of a JPEG that has more than one scan, so that such an
image would take twice the memory and more. This many bytes are 100 megapixels with the usual
subsampling of colours, 50 without."""
MAX_SCANS: Final = 100
"""A JPEG with more is refused: a scan of 14 bytes can cost a pass over all its pixels, so that a
small file would keep a processor busy for hours. Usual are 1 to 12."""
DEADLINE_SECONDS: Final = 12.0
"""Processor time for one image. The functions wait 15 seconds for an answer, so that an image that
takes longer could never succeed. Measured on one core of an AMD EPYC (Zen 4): 0.1 s for 12
megapixels, 2.4 s for the costliest ordinary file that is admitted (100 megapixels, 16-bit
interlaced PNG)."""

_JPEG: Final = b"\xff\xd8\xff"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
# Markers that have a segment behind them, and the end of the image. Behind every other marker
# libjpeg goes on at the next byte, or gives up: a length that is claimed there hides nothing.
_JPEG_MARKER: Final = re.compile(rb"\xff([\xc0-\xc7\xc9-\xcf\xd9-\xdd\xe0-\xef\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# The headers of a frame: baseline, extended and progressive JPEG, by Huffman's or by arithmetic
# coding; then those of the kinds that hardly any decoder knows.
_FRAMES, _PROGRESSIVE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA}), frozenset({0xC2, 0xCA})
_RARE_FRAMES: Final = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})


class UnusableImageError(Exception):
    """The image itself is at fault: it fails in the same way however often it is tried."""


class InvalidImageFormatError(UnusableImageError):
    """The bytes are no JPEG or PNG that can be decoded."""


class TooCostlyError(InvalidImageFormatError):
    """Decoding the image would take, or took, more processor time than one image may.

    Its text says what is too much, as a part of a sentence.
    """


class ImageTooLargeError(UnusableImageError):
    """The image has too many bytes or pixels."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file that may be decoded.

    Attributes
    ----------
    content
        The file, without the parts of a PNG that no pixel depends on: texts and colour profiles
        that unpack to gigabytes, and further frames.
    width, height
        In pixels, as stored: Exif may yet turn a JPEG.
    """

    content: bytes
    width: int
    height: int


def admitted(content: bytes) -> Photograph:
    """Check a file against every limit that can be checked before it is decoded.

    Raises
    ------
    InvalidImageFormatError, TooCostlyError, ImageTooLargeError
    """
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLargeError(f"The image has {len(content):,} bytes: too many.")
    if content.startswith(_JPEG):
        return _admitted_jpeg(content)
    if content.startswith(_PNG):
        return _admitted_png(content)
    raise InvalidImageFormatError("The image is neither a JPEG nor a PNG file.")


def _require_pixels(width: int, height: int) -> None:
    if not width or not height:
        raise InvalidImageFormatError("The image has no pixels.")


# --- JPEG -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """The header of a JPEG's frame. `samples` are those of all components together."""

    width: int
    height: int
    components: int
    samples: float
    is_progressive: bool


def _admitted_jpeg(content: bytes) -> Photograph:
    """Go from marker to marker as a decoder does.

    What an application put into a segment, such as a thumbnail, or behind the image, such as a
    film, is not looked at.
    """
    frame: _Frame | None = None
    scans, position = 0, len(_JPEG) - 1
    while found := _JPEG_MARKER.search(content, position):
        marker = found[1][0]
        if marker == _END_OF_IMAGE:
            break
        start = found.end() + 2
        position = found.end() + int.from_bytes(content[found.end() : start])
        if marker in _RARE_FRAMES:
            raise InvalidImageFormatError("The image is a JPEG of a kind that is not decoded.")
        if marker in _FRAMES and frame is None:
            frame = _frame(content[start:position], is_progressive=marker in _PROGRESSIVE)
            _require_pixels(frame.width, frame.height)
        elif marker == _START_OF_SCAN:
            scans += 1
            if frame is None:
                raise InvalidImageFormatError("The image has a scan before its header.")
            if scans == 1:
                _require_coefficients(frame, content[start:position])
            if scans > MAX_SCANS:
                raise TooCostlyError(f"more than {MAX_SCANS} scans")
    if frame is None:
        raise InvalidImageFormatError("The image has no header.")
    return Photograph(content, frame.width, frame.height)


def _frame(segment: bytes, *, is_progressive: bool) -> _Frame:
    try:
        _precision, height, width, count = struct.unpack_from(">BHHB", segment)
        factors = [divmod(segment[7 + 3 * number], 16) for number in range(count)]
        largest = max(across for across, _ in factors) * max(down for _, down in factors)
        samples = width * height * sum(across * down for across, down in factors) / largest
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        raise InvalidImageFormatError("The image's header cannot be read.") from None
    return _Frame(width, height, count, samples, is_progressive)


def _require_coefficients(frame: _Frame, scan: bytes) -> None:
    """Refuse an image that has further scans after its first one and is too large to be kept."""
    has_further_scans = frame.is_progressive or scan[:1] != bytes([frame.components])
    is_too_large = (
        frame.width * frame.height > MAX_PIXELS or 2 * frame.samples > MAX_COEFFICIENT_BYTES
    )
    if has_further_scans and is_too_large:
        raise ImageTooLargeError(
            f"The image has {frame.width}x{frame.height} pixels in several scans: too many."
        )


# --- PNG --------------------------------------------------------------------------------------


def _admitted_png(content: bytes) -> Photograph:
    """Keep the header, the palette and the pixels.

    Exif goes too, so that no decoder turns the image. Rekognition does not apply the orientation of
    a PNG (API reference, IndexFaces), and boxes are of the image as stored.

    The other chunks unpack to as much as 8 MB each, of which libpng keeps a thousand, or make an
    animation of the image, which OpenCV decodes with three more copies of it.
    """
    view = memoryview(content)
    kind, header = _chunk(view, len(_PNG))
    if kind != b"IHDR":
        raise InvalidImageFormatError("The image has no header.")
    width, height = _size(header)
    _require_pixels(width, height)
    if width * height > MAX_PIXELS:
        raise ImageTooLargeError(f"The image has {width}x{height} pixels: too many.")
    kept: list[bytes | memoryview] = [_PNG, header]
    position = len(_PNG) + len(header)
    while kind != b"IEND":
        kind, chunk = _chunk(view, position)
        position += len(chunk)
        if kind == b"IHDR":
            raise InvalidImageFormatError("The image has two headers.")
        if not kind[0] & 0x20 or kind == b"tRNS":  # a capital letter: critical
            kept.append(chunk)
    return Photograph(b"".join(kept), width, height)


def _chunk(view: memoryview, position: int) -> tuple[bytes, memoryview]:
    """Return the kind of the chunk at a position, and all its bytes."""
    try:
        length, kind = struct.unpack_from(">I4s", view, position)
    except struct.error:
        raise InvalidImageFormatError("The image's file is incomplete.") from None
    chunk = view[position : position + 12 + length]
    if len(chunk) < 12 + length:
        raise InvalidImageFormatError("The image's file is incomplete.")
    return kind, chunk


def _size(header: memoryview) -> tuple[int, int]:
    try:
        width, height = struct.unpack_from(">II", header[8:-4])
    except struct.error:
        raise InvalidImageFormatError("The image's header cannot be read.") from None
    return width, height
