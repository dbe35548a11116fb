"""Pictures of the evidence page: the right part of the photograph, and nothing else of it."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw

from facematch.images.cropping import FACE_SIDE, PHOTOGRAPH_SIDE, Cropped, cropped
from facematch.images.limits import ImageTooLargeError, InvalidImageFormatError, TooCostlyError
from functions.matching.faces import Box
from tests.crafted import STORED, with_scans

if TYPE_CHECKING:
    from collections.abc import Sequence

Colour = tuple[int, int, int]

GREY: Colour = (128, 128, 128)
RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 160, 30), (30, 30, 220), (220, 220, 30)


def with_face(size: tuple[int, int], face: tuple[int, int, int, int]) -> Image.Image:
    """A grey picture with a "face" in pixels: red, green, blue, yellow from its top left."""
    image = Image.new("RGB", size, GREY)
    left, top, width, height = face
    draw = ImageDraw.Draw(image)
    half_x, half_y = left + width // 2, top + height // 2
    right, bottom = left + width - 1, top + height - 1
    draw.rectangle((left, top, half_x - 1, half_y - 1), RED)
    draw.rectangle((half_x, top, right, half_y - 1), GREEN)
    draw.rectangle((left, half_y, half_x - 1, bottom), BLUE)
    draw.rectangle((half_x, half_y, right, bottom), YELLOW)
    return image


def box_of(face: tuple[int, int, int, int], size: tuple[int, int]) -> Box:
    return Box(face[0] / size[0], face[1] / size[1], face[2] / size[0], face[3] / size[1])


def file_of(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **{"quality": 95, **options} if kind == "JPEG" else options)
    return buffer.getvalue()


def stored(upright: Image.Image, orientation: int) -> Image.Image:
    return upright.transpose(STORED[orientation]) if orientation in STORED else upright


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[ExifTags.Base.Orientation] = orientation
    return made


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    assert image.mode == "RGB"
    return image


def looks(image: Image.Image, x: float, y: float, colour: Colour) -> bool:
    """Whether the picture has about this colour at a place given by ratios."""
    found = image.getpixel((int(x * image.width), int(y * image.height)))
    assert isinstance(found, tuple)
    return all(abs(one - other) < 40 for one, other in zip(found, colour, strict=True))


def one_face(made: Cropped) -> Image.Image:
    (face,) = made.faces
    image = opened(face)
    assert image.size == (FACE_SIDE, FACE_SIDE)
    return image


def assert_face(face: Image.Image) -> None:
    """The face is in the middle, the right way round, with grey around it."""
    quarters = [(0.35, 0.35, RED), (0.65, 0.35, GREEN), (0.35, 0.65, BLUE), (0.65, 0.65, YELLOW)]
    for x, y, colour in quarters:
        assert looks(face, x, y, colour), (x, y)
    for x, y in [(0.05, 0.05), (0.95, 0.05), (0.05, 0.95), (0.95, 0.95), (0.5, 0.05), (0.05, 0.5)]:
        assert looks(face, x, y, GREY), (x, y)


@pytest.mark.parametrize("orientation", [1, *STORED])
def test_a_face_is_cut_out_upright_whichever_way_the_camera_was_held(orientation: int) -> None:
    face = (500, 100, 160, 160)
    upright = with_face((1200, 800), face)
    content = file_of(stored(upright, orientation), exif=exif(orientation))

    made = cropped(content, [box_of(face, upright.size)])

    assert_face(one_face(made))
    photograph = opened(made.photograph)
    assert photograph.size == made.size == (640, 427)
    assert looks(photograph, 540 / 1200, 140 / 800, RED)
    assert looks(photograph, 620 / 1200, 220 / 800, YELLOW)
    assert looks(photograph, 0.1, 0.9, GREY)


@pytest.mark.parametrize("orientation", [1, *STORED])
def test_beside_a_face_that_is_larger_than_the_photograph_it_is_black(orientation: int) -> None:
    face = (50, 0, 300, 100)
    upright = with_face((400, 100), face)
    content = file_of(stored(upright, orientation), exif=exif(orientation))

    made = cropped(content, [box_of(face, upright.size)])

    cut = one_face(made)
    for x, y, colour in [(0.3, 0.45, RED), (0.7, 0.45, GREEN), (0.3, 0.55, BLUE)]:
        assert looks(cut, x, y, colour)
    for y in (0.05, 0.25, 0.75, 0.95):
        assert looks(cut, 0.5, y, (0, 0, 0))


def test_an_orientation_that_only_xmp_names_turns_nothing() -> None:
    """The search looked at Exif alone, so the boxes are of the picture as it is stored."""
    face = (40, 60, 80, 80)
    image = with_face((400, 300), face)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'

    made = cropped(file_of(image, xmp=xmp), [box_of(face, image.size)])

    assert made.size == (400, 300)
    assert_face(one_face(made))


@pytest.mark.parametrize("orientation", list(STORED))
def test_the_orientation_of_a_png_turns_nothing_as_on_rekognition(orientation: int) -> None:
    face = (40, 60, 80, 80)
    image = with_face((400, 300), face)

    made = cropped(file_of(image, "PNG", exif=exif(orientation)), [box_of(face, image.size)])

    assert made.size == (400, 300)
    assert_face(one_face(made))


def test_exif_that_cannot_be_read_turns_nothing() -> None:
    face = (40, 60, 80, 80)
    image = with_face((400, 300), face)

    made = cropped(file_of(image, exif=b"Exif\0\0MM\0garbage"), [box_of(face, image.size)])

    assert_face(one_face(made))


@pytest.mark.parametrize(
    ("face", "x", "y"),
    [((0, 100, 80, 80), 0.1, 0.5), ((320, 0, 80, 80), 0.9, 0.1), ((320, 220, 80, 80), 0.9, 0.9)],
    ids=["left edge", "upper right corner", "lower right corner"],
)
def test_at_an_edge_the_square_moves_inside(
    face: tuple[int, int, int, int], x: float, y: float
) -> None:
    image = with_face((400, 300), face)

    cut = one_face(cropped(file_of(image), [box_of(face, image.size)]))

    assert not looks(cut, x, y, GREY)
    assert all(looks(cut, 1 - x if x != 0.5 else 0.9, corner, GREY) for corner in (0.05, 0.95))


def test_a_face_larger_than_the_photograph_is_high_is_shown_whole() -> None:
    face = (50, 0, 300, 100)
    image = with_face((400, 100), face)

    cut = one_face(cropped(file_of(image), [box_of(face, image.size)]))

    assert looks(cut, 0.3, 0.45, RED)
    assert looks(cut, 0.7, 0.55, YELLOW)
    assert looks(cut, 0.5, 0.05, (0, 0, 0))


def test_a_small_face_in_a_large_photograph_keeps_its_details() -> None:
    """Decoded at the resolution of the small photograph, these stripes would be one grey."""
    image = Image.new("L", (4000, 3000), 128)
    for x in range(2000, 2064, 4):
        image.paste(255, (x, 1000, x + 2, 1064))
        image.paste(0, (x + 2, 1000, x + 4, 1064))

    made = cropped(file_of(image), [Box(2000 / 4000, 1000 / 3000, 64 / 4000, 64 / 3000)])

    middle = one_face(made).convert("L").crop((64, 64, 128, 128))
    darkest, lightest = middle.getextrema()
    assert isinstance(lightest, int)
    assert isinstance(darkest, int)
    assert lightest - darkest > 150
    assert made.size == (640, 480)


def test_a_small_photograph_is_not_made_larger() -> None:
    assert cropped(file_of(with_face((250, 200), (50, 50, 80, 80))), []).size == (250, 200)


def test_a_long_photograph_fits_whichever_side_is_longer() -> None:
    assert cropped(file_of(Image.new("RGB", (300, 3000))), []).size == (64, PHOTOGRAPH_SIDE)


def test_every_face_of_a_photograph_is_cut_out_in_order() -> None:
    image = Image.new("RGB", (900, 300), GREY)
    colours = [RED, GREEN, BLUE]
    for number, colour in enumerate(colours):
        image.paste(colour, (300 * number + 100, 100, 300 * number + 200, 200))
    boxes = [Box((300 * n + 100) / 900, 1 / 3, 1 / 9, 1 / 3) for n in range(3)]

    made = cropped(file_of(image), boxes)

    assert [
        looks(opened(face), 0.5, 0.5, colour)
        for face, colour in zip(made.faces, colours, strict=True)
    ] == [True] * 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_nothing_that_a_file_says_of_itself_is_written_on(kind: str) -> None:
    secret = "48 Elm Street"
    said = exif(1)
    said[ExifTags.Base.ImageDescription] = secret
    said.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    said.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 8.0, 0.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, object] = {"exif": said, "icc_profile": profile, "dpi": (301, 301)}
    if kind == "JPEG":
        options |= {"comment": secret, "xmp": f"<x>{secret}</x>".encode()}
    content = file_of(with_face((400, 300), (40, 60, 80, 80)), kind, **options)
    assert secret.encode() in content

    made = cropped(content, [Box(0.1, 0.2, 0.2, 0.3)])

    for written in (made.photograph, *made.faces):
        assert secret.encode() not in written
        assert b"Exif" not in written
        image = opened(written)
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("1", "PNG")],
)
def test_every_kind_of_photograph_becomes_a_jpeg_of_three_colours(mode: str, kind: str) -> None:
    image = with_face((400, 300), (40, 60, 80, 80)).convert(mode)

    made = cropped(file_of(image, kind), [Box(0.1, 0.2, 0.2, 0.3)])

    face = one_face(made)
    assert opened(made.photograph).size == (400, 300)
    if mode not in {"L", "LA", "1"}:
        assert_face(face)


#: The two tones of a picture, left and right, and how far JPEG may move a mean. No channel is at an
#: end of its range, so that a conversion that cuts it off, or turns it round, is seen.
DARK, LIGHT, TOLERANCE = 60, 200, 2


def two_tones(mode: str = "L") -> Image.Image:
    tones = Image.new("L", (400, 300), DARK)
    tones.paste(LIGHT, (200, 0, 400, 300))
    return tones.convert(mode)


def of_16_bits(*, channels: int) -> bytes:
    """A PNG by OpenCV: Pillow writes none of 16 bits and three colours."""
    tones = np.asarray(two_tones()).astype(np.uint16) * 257
    written, content = cv2.imencode(".png", np.dstack([tones] * channels))
    assert written
    assert content[24] == 16
    return content.tobytes()


def opaque(mode: str) -> bytes:
    image = two_tones()
    image.putalpha(255)
    return file_of(image.convert(mode), "PNG")


def black_and_white() -> bytes:
    """Without a grey: made larger, a pattern of dots is lighter than its mean."""
    return file_of(two_tones().point(lambda tone: 255 * (tone == LIGHT)).convert("1"), "PNG")


FILES = {
    "L": lambda: file_of(two_tones(), "PNG"),
    "L, JPEG": lambda: file_of(two_tones()),
    "LA": lambda: opaque("LA"),
    "P": lambda: file_of(two_tones("P"), "PNG"),
    "RGB": lambda: file_of(two_tones("RGB"), "PNG"),
    "RGB, JPEG": lambda: file_of(two_tones("RGB")),
    "RGBA": lambda: opaque("RGBA"),
    "grey of 16 bits": lambda: of_16_bits(channels=1),
    "RGB of 16 bits": lambda: of_16_bits(channels=3),
    "CMYK, JPEG": lambda: file_of(two_tones("CMYK")),  # inverted, as Adobe's are
    "1": black_and_white,
}


@pytest.mark.parametrize("mode", FILES)
def test_a_picture_is_as_light_as_the_photograph_in_every_mode(mode: str) -> None:
    tones = (0, 255) if mode == "1" else (DARK, LIGHT)

    made = cropped(FILES[mode](), [Box(0.1, 0.3, 0.2, 0.3), Box(0.7, 0.3, 0.2, 0.3)])

    faces = [np.asarray(opened(face)) for face in made.faces]
    halves = np.hsplit(np.asarray(opened(made.photograph)), 2)
    for picture, tone in zip((*faces, *halves), 2 * tones, strict=True):
        assert picture.mean(axis=(0, 1)) == pytest.approx([tone] * 3, abs=TOLERANCE)


def png_of(width: int, height: int) -> bytes:
    """The beginning of a PNG file that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize("size", [(10_001, 10_000), (50_000, 50_000)])
def test_a_file_that_would_unpack_to_too_many_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLargeError):
        cropped(png_of(*size), [])


def test_of_a_file_with_two_photographs_the_first_is_shown_and_only_its_scans_count() -> None:
    """As phones write them (MPO): the second one is the first in another light, or a depth map."""
    face = (40, 60, 80, 80)
    first = with_face((400, 300), face)
    content = file_of(
        first, "MPO", save_all=True, append_images=[Image.new("RGB", (400, 300))], progressive=True
    )
    behind = with_scans(2000)

    made = cropped(content + behind, [box_of(face, first.size)])

    assert_face(one_face(made))
    assert made.size == first.size


def test_a_file_of_too_many_scans_is_refused() -> None:
    assert cropped(with_scans(90), []).size == (320, 320)
    for crafted in (with_scans(100), with_scans(2000, hidden=True)):
        with pytest.raises(TooCostlyError):
            cropped(crafted, [])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        file_of(Image.new("RGB", (100, 100)), "GIF"),
        file_of(with_face((400, 300), (40, 60, 80, 80)))[:900],
    ],
    ids=["nothing", "SVG", "GIF", "broken off"],
)
def test_a_file_that_is_no_whole_jpeg_or_png_is_an_error(content: bytes) -> None:
    with pytest.raises(InvalidImageFormatError):
        cropped(content, [])


@pytest.mark.parametrize(
    "boxes",
    [[Box(0, 0, 0, 0)], [Box(-0.5, -0.5, 2, 2)], [Box(1.2, 1.2, 0.1, 0.1)], []],
    ids=["nothing", "around the photograph", "beside it", "no face"],
)
def test_an_impossible_box_gives_some_picture(boxes: Sequence[Box]) -> None:
    made = cropped(file_of(with_face((400, 300), (40, 60, 80, 80))), boxes)
    assert [opened(face).size for face in made.faces] == [(FACE_SIDE, FACE_SIDE)] * len(boxes)
