"""The limits of a photograph: what a file's structure says is what a decoder does with it."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import zlib
from typing import TYPE_CHECKING
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from facematch.images import limits
from facematch.images.limits import (
    MAX_PIXELS,
    MAX_SCANS,
    ImageTooLargeError,
    InvalidImageFormatError,
    TooCostlyError,
    UnusableImageError,
    admitted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# --- JPEG: scans that can be seen --------------------------------------------------------------

SIDE = 8
"""Blocks of 8 x 8 pixels, across and down."""
BLOCKS = SIDE * SIDE
LAST_PATTERN = 63
STRENGTH = 40
"""Of a pattern; many can lie upon each other before they are black and white."""
#: What these Huffman codes of four bits stand for: runs of blocks that are left as they are, and a
#: coefficient of one bit. Zeros, which a decoder makes up where data is missing, draw nothing.
SYMBOLS = (0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x01)
END = b"\xff\xd9"


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (2 + len(content)).to_bytes(2) + content


def beginning(side: int = 8 * SIDE) -> bytes:
    """A grey progressive JPEG up to its first scan, which has the means of all blocks."""
    codes = bytes([0, 0, 0, len(SYMBOLS), *[0] * 12, *SYMBOLS])
    means = bytes([0, 0, 0, 1, *[0] * 12, 0])  # "as in the block before", four times 0
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + bytes([STRENGTH] * 64))
        + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
        + segment(0xC4, b"\0" + means + b"\x10" + codes)
        + segment(0xDA, b"\1\1\0\0\0\0")
        + bytes(BLOCKS // 2)
    )


def scan(pattern: int) -> bytes:
    """A scan that draws one of 63 patterns, which no other scan can draw, into one block."""
    bits = _run(pattern) + _code(0x01) + "1" + _run(BLOCKS - 1 - pattern)
    bits += "1" * (-len(bits) % 8)
    entropy = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    return segment(0xDA, bytes([1, 1, 0, pattern, pattern, 0])) + entropy


def _run(blocks: int) -> str:
    if not blocks:
        return ""
    power = blocks.bit_length() - 1
    rest = format(blocks - 2**power, f"0{power}b") if power else ""
    return _code(power << 4) + rest


def _code(symbol: int) -> str:
    return format(SYMBOLS.index(symbol), "04b")


#: The discrete cosine transform, which takes the patterns apart.
_COSINES = np.array(
    [
        [math.cos((2 * x + 1) * u * math.pi / 16) / (2 if u else math.sqrt(8)) for x in range(8)]
        for u in range(8)
    ]
)


def drawn(grey: NDArray[np.generic]) -> int:
    """How many patterns there are, in whatever block."""
    blocks = grey.reshape(SIDE, 8, SIDE, 8).transpose(0, 2, 1, 3).astype(float)
    strongest = np.abs(_COSINES @ blocks @ _COSINES.T).max((0, 1))
    return int((strongest > STRENGTH / 2).sum()) - int(strongest[0, 0] > STRENGTH / 2)


def decoded(content: bytes) -> Iterator[int]:
    """How many scans each decoder has decoded, besides the first; nothing of one that gives up."""
    seen = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if seen is not None and seen.shape == (8 * SIDE, 8 * SIDE):
        yield drawn(seen)
    with (
        contextlib.suppress(OSError, SyntaxError, ValueError),
        Image.open(io.BytesIO(content), formats=("JPEG",)) as image,
    ):
        yield drawn(np.asarray(image))


def is_admitted(content: bytes, most_scans: int) -> bool:
    with patch.object(limits, "MAX_SCANS", most_scans):
        try:
            admitted(content)
        except TooCostlyError:
            return False
    return True


def a_scan_and(between: bytes) -> bytes:
    """A scan with something in the middle of its data."""
    whole = scan(LAST_PATTERN)
    return whole[:-1] + between + whole[-1:]


SCANS = st.integers(1, LAST_PATTERN - 1).map(scan)
HIDDEN = st.lists(SCANS, max_size=3).map(b"".join)
WITHOUT_LENGTH = [0x01, *range(0xD0, 0xD8)]
WITH_LENGTH = [*range(0xE0, 0xF0), 0xFE, 0xDC]
HARMLESS = st.one_of(
    SCANS,
    st.builds(segment, st.sampled_from(WITH_LENGTH), HIDDEN),
    st.sampled_from(WITHOUT_LENGTH).map(lambda marker: bytes([0xFF, marker])),
    st.integers(1, 5).map(lambda count: b"\xff" * count),  # fill bytes before a marker
    st.just(b"\xff\0"),
    st.text(st.characters(max_codepoint=0x7F), max_size=3).map(str.encode),  # junk
)
WILD = st.one_of(
    HARMLESS,
    # Any marker, and what could be taken for its length.
    st.builds(
        lambda marker, behind: bytes([0xFF, marker]) + behind,
        st.integers(0, 0xFF),
        st.binary(max_size=3),
    ),
    st.integers(0, 3).map(lambda every: segment(0xDD, every.to_bytes(2))),  # restart markers
    st.builds(
        lambda marker, behind: a_scan_and(bytes([0xFF, marker]) + behind),
        st.integers(0, 0xFF),
        st.sampled_from([b"", b"\0", b"\x7f\xf0", b"\0\x20"]) | st.binary(max_size=3),
    ),
    st.binary(max_size=5),
)
ATTACK = [
    segment(0xDD, b"\0\1"),
    a_scan_and(b"\xff\x02\x7f\xf0"),
    segment(0xDD, b"\0\0"),
    *map(scan, range(1, 10)),
]
"""Markers for restarts are missing, so that libjpeg looks for one and skips what is none: the
marker only, not the length that it seems to have."""


def test_every_scan_can_be_seen() -> None:
    for count in (0, 1, 5, LAST_PATTERN):
        content = beginning() + b"".join(map(scan, range(1, 1 + count))) + END
        assert list(decoded(content)) == [count, count]


@given(st.lists(WILD, max_size=12))
@example(ATTACK)
def test_no_scan_that_a_decoder_decodes_goes_uncounted(pieces: list[bytes]) -> None:
    content = beginning() + b"".join(pieces) + END
    for scans in decoded(content):
        assert not is_admitted(content, most_scans=scans)


@given(st.lists(HARMLESS, max_size=12))
def test_no_scan_is_counted_that_a_decoder_does_not_decode(pieces: list[bytes]) -> None:
    content = beginning() + b"".join(pieces) + END
    assert is_admitted(content, most_scans=1 + sum(piece[:2] == b"\xff\xda" for piece in pieces))


def test_a_file_of_33_kilobytes_cannot_hide_its_scans() -> None:
    content = beginning() + b"".join(ATTACK) + b"".join(map(scan, range(1, BLOCKS))) * 40 + END
    assert 30_000 < len(content) < 34_000
    with pytest.raises(TooCostlyError, match=f"more than {MAX_SCANS} scans"):
        admitted(content)


# --- JPEG: what is kept in memory --------------------------------------------------------------


def jpeg_header(
    side: int, factors: tuple[int, ...], *, frame: int = 0xC2, in_first_scan: int | None = None
) -> bytes:
    """A JPEG with these sampling factors (one hexadecimal number a component) and no pixels."""
    components = b"".join(bytes([n, factor, 0]) for n, factor in enumerate(factors))
    count = len(factors) if in_first_scan is None else in_first_scan
    return (
        b"\xff\xd8"
        + segment(frame, struct.pack(">BHHB", 8, side, side, len(factors)) + components)
        + segment(0xDA, bytes([count]) + bytes(2 * count) + b"\0\x3f\0")
        + END
    )


WHOLE = math.isqrt(MAX_PIXELS)
HALF = math.isqrt(MAX_PIXELS // 2)
THREE_EIGHTHS = math.isqrt(3 * MAX_PIXELS // 8)


@pytest.mark.parametrize(
    ("factors", "side"),
    [
        ((0x11,), WHOLE),
        ((0x22, 0x11, 0x11), WHOLE),  # colours at a quarter of the resolution, as usual
        ((0x11, 0x11, 0x11), HALF),
        ((0x11, 0x11, 0x11, 0x11), THREE_EIGHTHS),  # CMYK
    ],
)
def test_a_jpeg_of_several_scans_has_no_more_samples_than_fit_into_the_memory(
    factors: tuple[int, ...], side: int
) -> None:
    assert admitted(jpeg_header(side, factors)).width == side
    with pytest.raises(ImageTooLargeError):
        admitted(jpeg_header(side + 8, factors))


def test_a_jpeg_of_one_scan_is_never_kept_whole() -> None:
    factors = (0x11, 0x11, 0x11, 0x11)
    assert admitted(jpeg_header(65_500, factors, frame=0xC0)).width == 65_500
    with pytest.raises(ImageTooLargeError):
        admitted(jpeg_header(WHOLE, factors, frame=0xC0, in_first_scan=1))


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF])
def test_kinds_of_jpeg_that_nobody_uses_are_refused(frame: int) -> None:
    """A lossless JPEG is decoded at its full size, whatever size is wanted."""
    with pytest.raises(InvalidImageFormatError):
        admitted(jpeg_header(100, (0x11,), frame=frame))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8" + END,
        b"\xff\xd8" + segment(0xDA, b"\1\1\0\0\x3f\0") + END,
        b"\xff\xd8" + segment(0xC0, b"\x08\0"),
        jpeg_header(100, ()),
        jpeg_header(100, (0,)),
        jpeg_header(0, (0x11,)),
    ],
)
def test_a_jpeg_without_a_readable_header_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidImageFormatError):
        admitted(content)


# --- PNG ---------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunks_of(content: bytes) -> list[bytes]:
    kinds, position = [], 8
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        kinds.append(kind)
        position += 12 + length
    return kinds


def saved(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
PIXELS = chunk(b"IDAT", zlib.compress(bytes(6)))
EVERYTHING = (
    png(
        HEADER,
        chunk(b"acTL", struct.pack(">II", 2, 0)),
        chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(7_000_000))),
        chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(7_000_000))),
        chunk(b"iTXt", b"bomb\0\1\0\0\0" + zlib.compress(bytes(7_000_000))),
        chunk(b"tEXt", b"Comment\0" + bytes(1000)),
        chunk(b"fcTL", bytes(26)),
        PIXELS,
        chunk(b"fdAT", bytes(4) + zlib.compress(bytes(6))),
        chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(7_000_000))),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0"),
        chunk(b"IEND"),
    )
    + b"behind the end"
)


def test_a_png_has_no_more_pixels_than_fit_into_the_memory() -> None:
    def of(side: int) -> bytes:
        return png(
            chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
            PIXELS,
            chunk(b"IEND"),
        )

    assert admitted(of(WHOLE)).width == WHOLE
    with pytest.raises(ImageTooLargeError):
        admitted(of(WHOLE + 1))


def test_of_a_png_only_what_the_pixels_need_is_decoded() -> None:
    assert chunks_of(admitted(EVERYTHING).content) == [b"IHDR", b"IDAT", b"IEND"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_pixels_of_a_png_stay_as_they_are(mode: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (40, 50), np.uint8)
    image = Image.fromarray(noise).convert(mode)
    frames = [image.transpose(Image.Transpose.ROTATE_180)]
    options = {"transparency": 3} if mode == "P" else {}
    for content in (
        saved(image, dpi=(72, 72), **options),
        saved(image, save_all=True, append_images=frames, **options),
    ):
        decoded_from = io.BytesIO(admitted(content).content)
        with Image.open(io.BytesIO(content)) as one, Image.open(decoded_from) as other:
            assert not getattr(other, "is_animated", False)
            assert one.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()


@pytest.mark.parametrize(
    "content",
    [
        png(),
        png(HEADER),
        png(HEADER, PIXELS),
        png(HEADER, PIXELS, chunk(b"IEND"))[:-1],
        png(PIXELS, HEADER, chunk(b"IEND")),
        png(HEADER, HEADER, PIXELS, chunk(b"IEND")),
        png(HEADER, b"\xff\xff\xff\xffIDAT", PIXELS, chunk(b"IEND")),
        png(chunk(b"IHDR", b"\0\0"), PIXELS, chunk(b"IEND")),
        png(chunk(b"IHDR", bytes(13)), PIXELS, chunk(b"IEND")),
    ],
)
def test_a_png_whose_chunks_do_not_fit_together_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidImageFormatError):
        admitted(content)


def test_a_png_of_a_million_chunks_is_read_in_seconds() -> None:
    content = png(HEADER, chunk(b"tEXt") * 1_200_000, PIXELS, chunk(b"IEND"))
    assert len(admitted(content).content) < 200


# --- Both --------------------------------------------------------------------------------------


def test_a_file_of_too_many_bytes_is_refused() -> None:
    content = beginning() + END
    padding = 15 * 1024 * 1024 - len(content)
    assert admitted(content + bytes(padding)).width == 8 * SIDE
    with pytest.raises(ImageTooLargeError):
        admitted(content + bytes(padding + 1))


BEGINNINGS = [b"", b"\xff\xd8\xff", beginning(), png(), png(HEADER)]


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=60))
def test_whatever_bytes_come_they_are_admitted_or_refused(start: bytes, junk: bytes) -> None:
    with contextlib.suppress(UnusableImageError):
        admitted(start + junk)
