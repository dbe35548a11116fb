"""Photographs made small, and faces cut out of them."""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import ExifTags, Image

from facematch.images import limits
from facematch.images.limits import InvalidImageFormatError, admitted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facematch.images.limits import Photograph
    from functions.matching.faces import Box

#: Pixels: the longer side of a photograph, and each side of a face.
PHOTOGRAPH_SIDE: Final = 640
FACE_SIDE: Final = 192
#: Around a face, in parts of its longer side: hair, chin and ears help a person to judge.
_MARGIN: Final = 0.3
_QUALITY: Final = 80
#: A JPEG is decoded at one of these parts of its width and height.
_PARTS: Final = (1, 2, 4, 8)
#: Pixels that are converted at a time.
_STRIP: Final = 2**20

Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""


@dataclass(frozen=True, slots=True)
class Cropped:
    """JPEG files without any metadata: the photograph, its width and height, and its faces."""

    photograph: bytes
    size: tuple[int, int]
    faces: list[bytes]


def cropper() -> Callable[[bytes, Sequence[Box]], Cropped]:
    """Prepare a process that does nothing but `cropped`."""
    # Pillow warns of images that it thinks large, and refuses larger ones; `admitted` has decided.
    Image.MAX_IMAGE_PIXELS = None
    return cropped


def cropped(content: bytes, boxes: Sequence[Box]) -> Cropped:
    """Make a photograph small and cut out its faces, each as a square with a margin.

    It is decoded once, at the lowest resolution that still gives what is needed (for JPEG), and
    never copied whole: only what is cut out is converted, and turned upright as its Exif says.
    Boxes are ratios of the upright image.

    Raises
    ------
    UnusableImageError
        When it is beyond a limit, or cannot be decoded.
    """
    source = _decoded(admitted(content), boxes)
    faces = [_jpeg(_face(source, box)) for box in boxes]
    whole = source.cut((0, 0, source.width, source.height), source.size_within(PHOTOGRAPH_SIDE))
    return Cropped(_jpeg(whole), whole.size, faces)


def scaled_down(content: bytes, side: int) -> bytes:
    """Return the photograph as an upright JPEG whose longer side has at most `side` pixels.

    Raises
    ------
    UnusableImageError
        When it is beyond a limit, or cannot be decoded.
    """
    source = _decoded(admitted(content), [], side)
    return _jpeg(source.cut((0, 0, source.width, source.height), source.size_within(side)))


def _decoded(photograph: Photograph, boxes: Sequence[Box], side: int = PHOTOGRAPH_SIDE) -> _Source:
    width, height = photograph.width, photograph.height
    # Width and height may yet change places: with the shorter no face is thought too large.
    face = min((max(box.width, box.height) for box in boxes), default=1) * min(width, height)
    scale = min(1, max(side / max(width, height), FACE_SIDE / max(1, face)))
    # A JPEG of more pixels than are kept is reduced, even when its faces lose details by that.
    part = next(part for part in _PARTS if width * height <= limits.MAX_PIXELS * part**2)
    least = [min(math.ceil(side * scale), side // part) for side in (width, height)]
    try:
        with Image.open(io.BytesIO(photograph.content), formats=("JPEG", "PNG")) as image:
            image.draft(None, (max(1, least[0]), max(1, least[1])))
            image.load()
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds on hostile files
        raise InvalidImageFormatError(f"It is broken: {type(error).__name__}.") from None
    return _Source(image, _TURNS.get(_orientation(image), _AS_STORED))


@dataclass(frozen=True, slots=True)
class _Turn:
    """How an image that is stored otherwise becomes upright.

    Attributes
    ----------
    transpose
        Pillow's way to do it; None when it is stored upright.
    mirrors_x, mirrors_y, swaps
        The way back: a place in the upright image is mirrored, then x and y change places.
    """

    transpose: Image.Transpose | None
    mirrors_x: bool
    mirrors_y: bool
    swaps: bool


_AS_STORED: Final = _Turn(None, mirrors_x=False, mirrors_y=False, swaps=False)
#: By the orientation in Exif (Exif 2.32, tag 0x0112).
_TURNS: Final = {
    orientation: _Turn(transpose, mirrors_x=bool(x), mirrors_y=bool(y), swaps=bool(swaps))
    for orientation, transpose, x, y, swaps in (
        (2, Image.Transpose.FLIP_LEFT_RIGHT, 1, 0, 0),
        (3, Image.Transpose.ROTATE_180, 1, 1, 0),
        (4, Image.Transpose.FLIP_TOP_BOTTOM, 0, 1, 0),
        (5, Image.Transpose.TRANSPOSE, 0, 0, 1),
        (6, Image.Transpose.ROTATE_270, 1, 0, 1),
        (7, Image.Transpose.TRANSVERSE, 1, 1, 1),
        (8, Image.Transpose.ROTATE_90, 0, 1, 1),
    )
}


@dataclass(frozen=True, slots=True)
class _Source:
    """A decoded image, from which upright pieces are cut."""

    image: Image.Image
    turn: _Turn

    @property
    def width(self) -> int:
        """Width of the upright image, pixels."""
        return self.image.height if self.turn.swaps else self.image.width

    @property
    def height(self) -> int:
        """Height of the upright image, pixels."""
        return self.image.width if self.turn.swaps else self.image.height

    def size_within(self, side: int) -> tuple[int, int]:
        """Return the size that the upright image has when no side is longer than `side`."""
        scale = min(1, side / max(self.width, self.height))
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    def cut(self, place: Rectangle, size: tuple[int, int]) -> Image.Image:
        """Return a piece of the upright image at another size, in three colours."""
        left, top, right, bottom = place
        if self.turn.mirrors_x:
            left, right = self.width - right, self.width - left
        if self.turn.mirrors_y:
            top, bottom = self.height - bottom, self.height - top
        if self.turn.swaps:
            left, top, right, bottom = top, left, bottom, right
            size = size[1], size[0]
        piece = _resized(self.image, (left, top, right, bottom), size)
        return piece.transpose(self.turn.transpose) if self.turn.transpose is not None else piece


def _resized(image: Image.Image, place: Rectangle, size: tuple[int, int]) -> Image.Image:
    """Return a piece of an image as it is stored, strip by strip.

    A copy of a large image in another mode would take its memory a second time.
    """
    left, top, right, bottom = place
    # Twice the size that is wanted is enough for the last step, which weighs the pixels better.
    across = max(1, (right - left) // (2 * size[0]))
    down = max(1, (bottom - top) // (2 * size[1]))
    reduced = Image.new("RGB", (-(-(right - left) // across), -(-(bottom - top) // down)))
    rows = down * max(1, _STRIP // ((right - left) * down))
    for start in range(top, bottom, rows):
        strip = image.crop((left, start, right, min(bottom, start + rows)))
        if strip.mode == "I;16":  # Pillow would make everything white that is not nearly black.
            strip = strip.point(lambda value: value / 257)
        reduced.paste(strip.convert("RGB").reduce((across, down)), (0, (start - top) // down))
    return reduced.resize(size, Image.Resampling.LANCZOS)


def _face(source: _Source, box: Box) -> Image.Image:
    """Return a square around a face; what lies beside the photograph is black."""
    longer = max(box.width * source.width, box.height * source.height)
    shorter_side = min(source.width, source.height)
    # A wide margin is given up where the photograph has none; the face itself never is.
    side = max(1, round(min(longer * (1 + 2 * _MARGIN), max(longer, shorter_side))))
    left, top = (
        _placed(start + length / 2, whole, side)
        for start, length, whole in (
            (box.left * source.width, box.width * source.width, source.width),
            (box.top * source.height, box.height * source.height, source.height),
        )
    )
    seen = (
        *(max(left, 0), max(top, 0)),
        *(min(left + side, source.width), min(top + side, source.height)),
    )
    x, y, right, bottom = (
        round((place - start) * FACE_SIDE / side)
        for place, start in zip(seen, (left, top, left, top), strict=True)
    )
    square = Image.new("RGB", (FACE_SIDE, FACE_SIDE))
    square.paste(source.cut(seen, (max(1, right - x), max(1, bottom - y))), (x, y))
    return square


def _placed(centre: float, whole: int, side: int) -> int:
    """Return where a stretch around the centre begins that lies inside, or spans it all."""
    first, last = sorted((0, whole - side))
    return min(max(round(centre - side / 2), first), last)


def _orientation(image: Image.Image) -> int:
    """Return what Exif says; Pillow's own function would obey XMP too, which the search did not."""
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # what cannot be read turns nothing
        exif.load(image.info.get("exif", b""))
    orientation: int = exif.get(ExifTags.Base.Orientation, 1)
    return orientation


def _jpeg(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
