"""The faces of the photographs, by the local engine: in processes, one thread each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from facematch.errors import Actionable
from facematch.evaluation.scores import Cosines
from facematch.images.limits import DEADLINE_SECONDS, ImageTooLargeError, InvalidImageFormatError
from facematch.images.workers import DeadlineError, WorkerDiedError, Workers
from facematch.local.rekognition.faces import (
    EMBEDDING_SIZE,
    FACE_MODEL_VERSION,
    FaceEngine,
    ImageTooSmallError,
    QualityFilter,
    check_model_files,
    similarity,
)
from functions.matching.errors import Reason
from functions.matching.faces import Box
from functions.matching.subjects import prominent_faces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facematch.evaluation.labels import Photograph
    from facematch.evaluation.scores import Comparison
    from facematch.files.photographs import FolderFile
    from facematch.local.rekognition.faces import Floats

NO_FACE: Final = "NO_FACE"
UNREADABLE: Final = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Face:
    """A face that takes part: of which photograph (its number), and where in it."""

    photograph: int
    box: Box


@dataclass(frozen=True, slots=True)
class Faces:
    """What was found on the photographs, and how the faces compare.

    Attributes
    ----------
    refused
        Why a photograph has no face that takes part, by its number: the reason of its largest
        face, `NO_FACE`, or what is wrong with the file.
    engine
        What found and compares them, in words.
    several
        Numbers of the photographs that show several people.
    """

    faces: tuple[Face, ...]
    refused: dict[int, str]
    comparison: Comparison
    engine: str
    face_model_version: str
    several: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Analysed:
    boxes: list[Box]
    vectors: list[Floats]
    refused: str | None
    people: int = 0


def found_by_engine(
    photographs: Sequence[Photograph],
    *,
    max_faces: int,
    quality_filter: QualityFilter,
    processes: int,
    done: Callable[[], object],
) -> Faces:
    """Find and describe the faces as the local cloud would.

    Parameters
    ----------
    done
        Told after each photograph.

    Raises
    ------
    Actionable
        When a process died.
    ModelFilesError
    """
    check_model_files()
    faces: list[Face] = []
    vectors: list[Floats] = []
    refused: dict[int, str] = {}
    several: set[int] = set()
    workers = Workers(
        processes, partial(_analyser, max_faces, quality_filter), seconds=DEADLINE_SECONDS
    )
    files = [photograph.file for photograph in photographs]
    pool = ThreadPoolExecutor(processes)
    try:
        for number, found in enumerate(pool.map(partial(_analysed, workers), files)):
            faces += [Face(number, box) for box in found.boxes]
            vectors += found.vectors
            if found.refused:
                refused[number] = found.refused
            if found.people > 1:
                several.add(number)
            done()
    except WorkerDiedError:
        raise Actionable(
            "A process of the face engine ended before its work was done, perhaps for want of "
            "memory. Repeat the command with fewer: --processes 1"
        ) from None
    finally:
        workers.close()
        pool.shutdown(cancel_futures=True)
    matrix = np.array(vectors, np.float32).reshape(-1, EMBEDDING_SIZE)
    return Faces(
        faces=tuple(faces),
        refused=refused,
        comparison=Cosines(matrix, similarity),
        engine="the local face engine",
        face_model_version=FACE_MODEL_VERSION,
        several=frozenset(several),
    )


def _analysed(workers: Workers[[FolderFile], _Analysed], file: FolderFile) -> _Analysed:
    try:
        return workers.run(file)
    except DeadlineError:
        return _Analysed([], [], Reason.NOT_JPEG_OR_PNG)


def _analyser(max_faces: int, quality_filter: QualityFilter) -> Callable[[FolderFile], _Analysed]:
    """In a worker: prepare what analyses a file."""
    cv2.setNumThreads(1)
    return partial(_analyse, FaceEngine(), max_faces, quality_filter)


def _analyse(
    engine: FaceEngine, max_faces: int, quality_filter: QualityFilter, file: FolderFile
) -> _Analysed:
    try:
        found = engine.detect_and_embed(
            file.read(), max_faces=max_faces, quality_filter=quality_filter
        ).faces
    except InvalidImageFormatError:
        return _Analysed([], [], Reason.NOT_JPEG_OR_PNG)
    except ImageTooLargeError:
        return _Analysed([], [], Reason.TOO_LARGE)
    except ImageTooSmallError:
        return _Analysed([], [], Reason.TOO_SMALL)
    except OSError:
        return _Analysed([], [], UNREADABLE)
    taken = [(face, face.embedding) for face in found if face.embedding is not None]
    refused = None
    if not taken:
        refused = str(found[0].reasons[0]) if found else NO_FACE
    return _Analysed(
        [Box(face.box.left, face.box.top, face.box.width, face.box.height) for face, _ in taken],
        [vector for _, vector in taken],
        refused,
        prominent_faces(
            [face.box.width for face, _ in taken],
            [face.box.width for face in found if face.embedding is None],
        ),
    )
