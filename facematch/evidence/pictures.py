"""Pictures of the evidence page: photographs made small, and faces cut out of them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError
from PIL import ExifTags, Image

from facematch.deployment import PARALLEL
from functions.aws.clients import error_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from facematch.deployment import Deployment
    from facematch.evidence.collect import Evidence, Photograph
    from functions.matching.faces import Box

#: Pixels: the longer side of a photograph, and each side of a face.
PHOTOGRAPH_SIDE: Final = 640
FACE_SIDE: Final = 192
#: Around a face, in parts of its longer side: hair, chin and ears help a person to judge.
_MARGIN: Final = 0.3
_QUALITY: Final = 80
#: Of a file that makes more pixels than Pillow thinks sane: twice as many are its own limit.
_MAX_PIXELS: Final = Image.MAX_IMAGE_PIXELS or 0
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GONE: Final = frozenset({"404", "405", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed"})
_DENIED: Final = frozenset({"403", "AccessDenied", "AccessDeniedException"})


class Missing(StrEnum):
    """Why there is no picture, to be read after "3 photographs"."""

    GONE = "deleted since they were searched"
    DENIED = "not to be read with these rights (s3:GetObjectVersion, and kms:Decrypt of their key)"
    UNREADABLE = "broken, or neither JPEG nor PNG"
    TOO_LARGE = f"of more than {_MAX_PIXELS:,} pixels, which is refused"
    UNAVAILABLE = "not delivered by S3: repeat the command"


class _NoPictureError(Exception):
    def __init__(self, why: Missing) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Cropped:
    """JPEG files without any metadata: the photograph, its width and height, and its faces."""

    photograph: bytes
    size: tuple[int, int]
    faces: list[bytes]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files of one photograph.

    Attributes
    ----------
    file, faces
        Paths in the folder; `faces` by their numbers in the evidence. None and empty when there
        is no picture, and then `missing` says why.
    size
        Width and height of the file, pixels.
    """

    file: str | None
    size: tuple[int, int]
    faces: dict[int, str]
    missing: Missing | None = None


def cropped(content: bytes, boxes: Sequence[Box]) -> Cropped:
    """Make a photograph small and cut out its faces, each as a square with a margin.

    It is decoded once, at the lowest resolution that still gives what is needed (for JPEG), and
    turned upright as its Exif says: boxes are ratios of the upright image.

    Raises
    ------
    Image.DecompressionBombError
        When it has too many pixels.
    Exception
        Of many kinds, when it cannot be decoded.
    """
    with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
        width, height = image.size
        if width * height > _MAX_PIXELS:
            raise Image.DecompressionBombError(f"{width}x{height} pixels")
        # Width and height may yet change places: with the shorter no face is thought too large.
        face = min((max(box.width, box.height) for box in boxes), default=1) * min(width, height)
        scale = max(PHOTOGRAPH_SIDE / max(width, height), FACE_SIDE / max(1, face))
        if scale < 1:
            image.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))
        upright = _upright(image)
    faces = [_jpeg(_face(upright, box)) for box in boxes]
    upright.thumbnail((PHOTOGRAPH_SIDE, PHOTOGRAPH_SIDE))
    return Cropped(_jpeg(upright), upright.size, faces)


def make_pictures(
    deployment: Deployment,
    evidence: Evidence,
    folder: Path,
    *,
    progress: Callable[[int, int], None],
) -> list[Pictures]:
    """Fetch every photograph of the evidence and write its pictures into the folder.

    Names of files are digests: what stands in a key cannot lead out of the folder.

    Parameters
    ----------
    progress
        Told how many photographs are done, and of how many.

    Returns
    -------
    list
        One entry for each photograph, in order.
    """
    for name in ("photographs", "faces"):
        (folder / name).mkdir(mode=0o700)
    maker = _Maker(deployment, evidence, folder)
    made = []
    with warnings.catch_warnings(), ThreadPoolExecutor(PARALLEL) as pool:
        # Pillow warns of large images before it refuses them; what is too large is told below.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            for pictures in pool.map(maker.make, range(len(evidence.photographs))):
                made.append(pictures)
                progress(len(made), len(evidence.photographs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return made


class _Maker:
    def __init__(self, deployment: Deployment, evidence: Evidence, folder: Path) -> None:
        self._s3 = deployment.make_client("s3")
        self._bucket = deployment.images_bucket
        self._evidence = evidence
        self._folder = folder
        self._faces: list[list[int]] = [[] for _ in evidence.photographs]
        for number, face in enumerate(evidence.faces):
            self._faces[face.photograph].append(number)
        # Many can be on the way at once; decoded, each takes up to some hundred MB.
        self._decoding = threading.BoundedSemaphore(os.cpu_count() or 1)

    def make(self, number: int) -> Pictures:
        photograph, faces = self._evidence.photographs[number], self._faces[number]
        try:
            pictures = self._cropped(photograph, [self._evidence.faces[n].box for n in faces])
        except _NoPictureError as error:
            return Pictures(None, (0, 0), {}, error.why)
        digest = _digest(photograph.key, photograph.version_id)
        file = self._written("photographs", digest, pictures.photograph)
        return Pictures(
            file,
            pictures.size,
            {
                n: self._written("faces", _digest(digest, self._evidence.faces[n].face_id), content)
                for n, content in zip(faces, pictures.faces, strict=True)
            },
        )

    def _cropped(self, photograph: Photograph, boxes: list[Box]) -> Cropped:
        content = self._fetched(photograph)
        with self._decoding:
            try:
                return cropped(content, boxes)
            except Image.DecompressionBombError:
                raise _NoPictureError(Missing.TOO_LARGE) from None
            except Exception:  # noqa: BLE001 - Pillow raises many kinds on hostile files
                raise _NoPictureError(Missing.UNREADABLE) from None

    def _fetched(self, photograph: Photograph) -> bytes:
        try:
            answer = self._s3.get_object(
                Bucket=self._bucket, Key=photograph.key, VersionId=photograph.version_id
            )
            content: bytes = answer["Body"].read()
        except ClientError as error:
            code = error_code(error)
            raise _NoPictureError(
                Missing.GONE
                if code in _GONE
                else Missing.DENIED
                if code in _DENIED
                else Missing.UNAVAILABLE
            ) from None
        except BotoCoreError:
            raise _NoPictureError(Missing.UNAVAILABLE) from None
        return content

    def _written(self, folder: str, digest: str, content: bytes) -> str:
        file = f"{folder}/{digest}.jpg"
        (self._folder / file).write_bytes(content)
        return file


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _orientation(image: Image.Image) -> int:
    """1 to 8, as Exif says; Pillow's own function would obey XMP too, which the search did not."""
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # what cannot be read turns nothing
        exif.load(image.info.get("exif", b""))
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in _UPRIGHT else 1


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    transpose = _UPRIGHT.get(_orientation(image))  # of PNG it is known only now
    upright = image.transpose(transpose) if transpose is not None else image
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _face(image: Image.Image, box: Box) -> Image.Image:
    longer = max(box.width * image.width, box.height * image.height)
    # A wide margin is given up where the photograph has none; the face itself never is.
    side = max(1, round(min(longer * (1 + 2 * _MARGIN), max(longer, min(image.size)))))
    left, top = (
        _placed(start + length / 2, whole, side)
        for start, length, whole in (
            (box.left * image.width, box.width * image.width, image.width),
            (box.top * image.height, box.height * image.height, image.height),
        )
    )
    square = image.crop((left, top, left + side, top + side))
    return square.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.LANCZOS)


def _placed(centre: float, whole: int, side: int) -> int:
    """Where a stretch around the centre begins, moved so that it lies inside, or spans it all."""
    first, last = sorted((0, whole - side))
    return min(max(round(centre - side / 2), first), last)


def _jpeg(image: Image.Image) -> bytes:
    image.info.clear()  # a comment would be written too
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
