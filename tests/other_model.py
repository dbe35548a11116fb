"""A local cloud whose face engine is of another version, as after a new model of Rekognition.

Every face gets another id, and every similarity is a little higher or lower than before. Only the
tests and the benchmarks use it.
"""

from __future__ import annotations

import sys
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from facematch.local.cloud import LocalCloud
from facematch.local.rekognition import collections, server, service
from facematch.local.rekognition.faces import (
    EMBEDDING_SIZE,
    FACE_MODEL_VERSION,
    AnalysedImage,
    Face,
    Floats,
    QualityFilter,
)
from facematch.local.rekognition.workers import FaceWorkers

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = f"{FACE_MODEL_VERSION}-other"
#: How much the weights of the 128 numbers of a face differ from 1.
_SPREAD: Final = 0.15


class OtherModelCloud(LocalCloud):
    """A local cloud with the other face model."""

    engine_module: ClassVar[str] = "tests.other_model"


class _OtherFaceWorkers(FaceWorkers):
    """Weighs each number of a face's vector: the angles between faces change, not the faces."""

    def analyse(
        self, image: bytes, max_faces: int, quality_filter: QualityFilter
    ) -> tuple[AnalysedImage, float]:
        found, seconds = super().analyse(image, max_faces, quality_filter)
        return AnalysedImage(tuple(map(_seen_otherwise, found.faces))), seconds


def _seen_otherwise(face: Face) -> Face:
    if face.embedding is None:
        return face
    weighed = face.embedding * _WEIGHTS
    return replace(face, embedding=(weighed / np.linalg.norm(weighed)).astype(np.float32))


def _weights() -> Floats:
    spread = np.random.default_rng(1).normal(1, _SPREAD, EMBEDDING_SIZE)
    return spread.astype(np.float32)


_WEIGHTS: Final = _weights()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the usual engine does."""
    for module in (collections, server, service):
        vars(module)["FACE_MODEL_VERSION"] = VERSION
    vars(collections)["_NAMESPACE"] = uuid.uuid5(uuid.NAMESPACE_URL, VERSION)
    vars(server)["FaceWorkers"] = _OtherFaceWorkers
    return server.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
