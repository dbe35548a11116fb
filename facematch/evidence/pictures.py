"""Pictures of the evidence page: photographs made small, and faces cut out of them."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from facematch.images.cropping import cropper
from facematch.images.limits import (
    DEADLINE_SECONDS,
    MAX_PIXELS,
    MAX_SCANS,
    ImageTooLargeError,
    InvalidImageFormatError,
    TooCostlyError,
)
from facematch.images.workers import DeadlineError, WorkerDiedError, Workers
from facematch.stack.deployment import PARALLEL
from facematch.stack.objects import Bucket, NotDelivered, Why
from functions.matching.images import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from facematch.evidence.collect import Evidence, Photograph
    from facematch.images.cropping import Cropped
    from facematch.stack.deployment import Deployment
    from functions.matching.faces import Box


class Missing(StrEnum):
    """Why there is no picture, to be read after "3 photographs"."""

    GONE = "deleted since they were searched"
    DENIED = "not to be read with these rights (s3:GetObjectVersion, and kms:Decrypt of their key)"
    UNREADABLE = "broken, or neither JPEG nor PNG"
    TOO_LARGE = (
        f"too large (decoded are at most {MAX_IMAGE_BYTES:,} bytes; of a PNG {MAX_PIXELS:,} "
        "pixels, of a JPEG in several scans as many, or half as many with all colours)"
    )
    TOO_COSTLY = (
        f"too costly to decode (more than {MAX_SCANS} scans, or {DEADLINE_SECONDS:.0f} seconds "
        "of computing)"
    )
    CRASHED = "that ended the process that decoded them, perhaps for want of memory"
    UNAVAILABLE = "not delivered by S3: repeat the command"


_NOT_DELIVERED: Final = {
    Why.GONE: Missing.GONE,
    Why.DENIED: Missing.DENIED,
    Why.TOO_LARGE: Missing.TOO_LARGE,
    Why.UNAVAILABLE: Missing.UNAVAILABLE,
}


class _NoPictureError(Exception):
    def __init__(self, why: Missing) -> None:
        super().__init__(why)
        self.why = why


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
    made = []
    # Each takes up to some hundred MB.
    workers = Workers(os.cpu_count() or 1, cropper, seconds=DEADLINE_SECONDS)
    maker = _Maker(deployment, evidence, folder, workers)
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            for pictures in pool.map(maker.make, range(len(evidence.photographs))):
                made.append(pictures)
                progress(len(made), len(evidence.photographs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            workers.close()  # before the pool waits for its threads
    return made


class _Maker:
    def __init__(
        self,
        deployment: Deployment,
        evidence: Evidence,
        folder: Path,
        workers: Workers[[bytes, Sequence[Box]], Cropped],
    ) -> None:
        self._workers = workers
        self._bucket = Bucket.images(deployment)
        self._evidence = evidence
        self._folder = folder
        self._faces: list[list[int]] = [[] for _ in evidence.photographs]
        for number, face in enumerate(evidence.faces):
            self._faces[face.photograph].append(number)

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
        key, version_id = photograph.key, photograph.version_id
        try:
            content = self._bucket.content(key, version_id, at_most=MAX_IMAGE_BYTES)
            return self._workers.run(content, boxes)
        except NotDelivered as error:
            raise _NoPictureError(_NOT_DELIVERED[error.why]) from None
        except ImageTooLargeError:
            raise _NoPictureError(Missing.TOO_LARGE) from None
        except (TooCostlyError, DeadlineError):
            raise _NoPictureError(Missing.TOO_COSTLY) from None
        except InvalidImageFormatError:
            raise _NoPictureError(Missing.UNREADABLE) from None
        except WorkerDiedError:
            raise _NoPictureError(Missing.CRASHED) from None

    def _written(self, folder: str, digest: str, content: bytes) -> str:
        file = f"{folder}/{digest}.jpg"
        (self._folder / file).write_bytes(content)
        return file


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
