"""A measurement without an engine: faces are vectors that a test makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facematch.evaluation.faces import Face, Faces
from facematch.evaluation.labels import Labelled, Photograph
from facematch.evaluation.scores import Cosines, Labels, Similarities
from facematch.files.photographs import FolderFile
from facematch.local.rekognition.faces import similarity
from functions.matching.faces import Box

BOX = Box(0.25, 0.25, 0.5, 0.5)


def labelled(*keys: str, folder: Path = Path("nowhere")) -> Labelled:
    """Photographs named after their folder, or after the file without its number."""
    return Labelled(
        tuple(
            Photograph(
                key, FolderFile(folder, key), Path(key).stem.rstrip("0123456789").rstrip("_")
            )
            for key in keys
        ),
        (),
    )


def faces_with(matrix: list[list[float]], refused: dict[int, str] | None = None) -> Faces:
    """One face for each photograph that is not refused, with these similarities, %."""
    refused = refused or {}
    count = len(matrix) + len(refused)
    numbers = [number for number in range(count) if number not in refused]
    return Faces(
        faces=tuple(Face(number, BOX) for number in numbers),
        refused=refused,
        comparison=Similarities(np.array(matrix, np.float32).reshape(len(matrix), len(matrix))),
        engine="the local face engine",
        face_model_version="of the test",
    )


def crowd(
    *, people: int, seed: int, alike: float = 0.6, faces_each: int = 4
) -> tuple[Cosines, Labels]:
    """Vectors of people with one to `faces_each` faces, in no order; a third have two names."""
    chance = np.random.default_rng(seed)
    persons = np.repeat(np.arange(people), chance.integers(1, faces_each + 1, people))
    names = 2 * persons + ((persons % 3 == 0) & (chance.random(len(persons)) < 0.5))
    vectors = chance.normal(size=(people, 16))[persons] + alike * chance.normal(
        size=(len(persons), 16)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = chance.permutation(len(persons))
    # Two faces now and then are of one photograph.
    photographs = chance.permutation(len(persons)) * 3 // 4
    return (
        Cosines(vectors[order].astype(np.float32), similarity),
        Labels(persons[order], names[order], photographs),
    )
