"""The faces of the photographs, by the local engine: in processes, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from facematch.errors import Actionable
from facematch.evaluation.scores import Cosines
from facematch.local.faces import (
    EMBEDDING_SIZE,
    FACE_MODEL_VERSION,
    FaceEngine,
    ImageTooLargeError,
    ImageTooSmallError,
    InvalidImageFormatError,
    QualityFilter,
    check_model_files,
    similarity,
)
from functions.matching.errors import Reason
from functions.matching.faces import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facematch.evaluation.labels import Photograph
    from facematch.evaluation.scores import Comparison
    from facematch.folders import FolderFile
    from facematch.local.faces import Floats

NO_FACE: Final = "NO_FACE"
UNREADABLE: Final = "UNREADABLE"
_AT_ONCE: Final = 4


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
    """

    faces: tuple[Face, ...]
    refused: dict[int, str]
    comparison: Comparison
    engine: str
    face_model_version: str


@dataclass(frozen=True, slots=True)
class _Analysed:
    boxes: list[Box]
    vectors: list[Floats]
    refused: str | None


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
    pool = ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(max_faces, quality_filter),
    )
    files = [photograph.file for photograph in photographs]
    try:
        for number, found in enumerate(pool.map(_analyse, files, chunksize=_AT_ONCE)):
            faces += [Face(number, box) for box in found.boxes]
            vectors += found.vectors
            if found.refused:
                refused[number] = found.refused
            done()
    except BrokenProcessPool:
        raise Actionable(
            "A process of the face engine ended before its work was done, perhaps for want of "
            "memory. Repeat the command with fewer: --processes 1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
    matrix = np.array(vectors, np.float32).reshape(-1, EMBEDDING_SIZE)
    return Faces(
        faces=tuple(faces),
        refused=refused,
        comparison=Cosines(matrix, similarity),
        engine="the local face engine",
        face_model_version=FACE_MODEL_VERSION,
    )


@dataclass(frozen=True, slots=True)
class _Worker:
    engine: FaceEngine
    max_faces: int
    quality_filter: QualityFilter


_worker: _Worker | None = None


def _start(max_faces: int, quality_filter: QualityFilter) -> None:
    global _worker  # noqa: PLW0603 - how a worker of a process pool keeps state between calls
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    cv2.setNumThreads(1)
    _worker = _Worker(FaceEngine(), max_faces, quality_filter)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _analyse(file: FolderFile) -> _Analysed:
    if _worker is None:
        raise RuntimeError("the worker has not been started")
    try:
        found = _worker.engine.detect_and_embed(
            file.read(), max_faces=_worker.max_faces, quality_filter=_worker.quality_filter
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
    )
