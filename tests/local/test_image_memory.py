"""How much memory the costliest files take that are admitted, each in a process of its own.

All with a quarter of the pixels that there may be, so that it does not take minutes.
"""

from __future__ import annotations

import io
import math
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from PIL import Image

from facematch.images import limits
from facematch.images.cropping import cropper
from facematch.local.rekognition.faces import FaceEngine
from functions.matching.faces import Box

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PIXELS = limits.MAX_PIXELS // 4
MAX_COEFFICIENT_BYTES = limits.MAX_COEFFICIENT_BYTES // 4
SIDE = math.isqrt(MAX_PIXELS)
#: What detection takes, and the shrunk picture beside the coefficients.
BESIDE = 45_000_000
#: A face so small that a photograph is decoded at its full size, and one as large as it.
BOXES = [Box(0.1, 0.1, 0.015, 0.015), Box(0, 0, 1, 1)]
KILO = 1024 if sys.platform == "linux" else 1


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count: int) -> bytes:
    """So many of them in zlib's format, which take no time to be compressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    million = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = rest.compress(bytes(count % 1_000_000)) + rest.flush()
    checksum = (count % 65521 << 16) + 1
    return b"\x78\xda" + million * (count // 1_000_000) + end + struct.pack(">I", checksum)


INTERLACED = (
    *((8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0)),
    *((2, 4, 0, 2), (2, 2, 1, 0), (1, 2, 0, 1)),
)
"""The passes: steps across and down, and where they begin (PNG specification, 8)."""


def png(
    *,
    depth: int = 16,
    colours: int = 6,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """As many black pixels as there may be, with other chunks before and after them."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    count = 0
    for across, down, x, y in INTERLACED if interlaced else [(1, 1, 0, 0)]:
        width, height = -(-(SIDE - x) // across), -(-(SIDE - y) // down)
        count += height * (1 + -(-width * bits // 8))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, colours, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(3 * 2**depth)) if colours == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + before
        + chunk(b"IDAT", zeros(count))
        + after
        + chunk(b"IEND")
    )


def animated() -> bytes:
    def frame(number: int) -> bytes:
        control = struct.pack(">IIIIIHHBB", number, SIDE, SIDE, 0, 0, 1, 10, 0, 0)
        return chunk(b"fcTL", control)

    second = chunk(b"fdAT", struct.pack(">I", 2) + zeros(SIDE * (8 * SIDE + 1)))
    return png(before=chunk(b"acTL", struct.pack(">II", 2, 0)) + frame(0), after=frame(1) + second)


def texts() -> bytes:
    """Two hundred texts of 7 MB."""
    one = chunk(b"zTXt", b"Comment\0\0" + zeros(7_000_000))
    return png(depth=8, colours=2, after=one * 200)


def jpeg(mode: str, side: int, **options: object) -> bytes:
    """A small JPEG that says it is large: where data is missing, a decoder goes on without it."""
    buffer = io.BytesIO()
    Image.new(mode, (32, 32)).save(buffer, "JPEG", **options)
    content = buffer.getvalue()
    kind = b"\xff\xc2" if options.get("progressive") else b"\xff\xc0"
    size = content.index(kind) + 5
    return content[:size] + struct.pack(">HH", side, side) + content[size + 4 :]


HALF = math.isqrt(MAX_PIXELS // 2)
THREE_EIGHTHS = math.isqrt(3 * MAX_PIXELS // 8)
PNGS: dict[str, Callable[[], bytes]] = {
    "16 bits and transparency": png,
    "interlaced": lambda: png(interlaced=True),
    "a palette": lambda: png(depth=8, colours=3),
    "animated": animated,
    "texts that unpack to gigabytes": texts,
}
JPEGS: dict[str, Callable[[], bytes]] = {
    "in one scan": lambda: jpeg("RGB", SIDE, subsampling=0),
    "CMYK in one scan": lambda: jpeg("CMYK", SIDE),
    "in one scan, of more pixels than are kept": lambda: jpeg("L", 5 * SIDE),
}
JPEGS_IN_SCANS: dict[str, Callable[[], bytes]] = {
    "progressive": lambda: jpeg("RGB", SIDE, progressive=True),
    "progressive, with all colours": lambda: jpeg("RGB", HALF, subsampling=0, progressive=True),
    "progressive, CMYK": lambda: jpeg("CMYK", THREE_EIGHTHS, progressive=True),
}
FILES = {**PNGS, **JPEGS, **JPEGS_IN_SCANS}


def most_of(file: Path, decoder: str) -> int:
    """Decode a file in another process; how many bytes that takes at most."""
    measured = subprocess.run(
        [sys.executable, "-m", "tests.local.test_image_memory", str(file), decoder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert measured.returncode == 0, measured.stderr
    return int(measured.stdout)


@pytest.mark.parametrize("what", FILES)
def test_the_face_engine_keeps_to_the_memory(tmp_path: Path, what: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(FILES[what]())

    assert most_of(file, "engine") < 3 * MAX_PIXELS + BESIDE


@pytest.mark.parametrize("what", FILES)
def test_the_evidence_page_keeps_to_the_memory(tmp_path: Path, what: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(FILES[what]())

    of_scans = MAX_COEFFICIENT_BYTES if what in JPEGS_IN_SCANS else 0
    assert most_of(file, "page") < 4 * MAX_PIXELS + of_scans + BESIDE


def measure(content: bytes, decoder: str) -> int:
    decode: Callable[[bytes], object] = (
        FaceEngine().detect_and_embed
        if decoder == "engine"
        else lambda content: cropper()(content, BOXES)
    )
    decode(jpeg("RGB", 1000))  # what is loaded once is loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        patch.object(limits, "MAX_PIXELS", MAX_PIXELS),
        patch.object(limits, "MAX_COEFFICIENT_BYTES", MAX_COEFFICIENT_BYTES),
    ):
        decode(content)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * KILO


if __name__ == "__main__":
    print(measure(Path(sys.argv[1]).read_bytes(), sys.argv[2]))
