"""What the README of `face_recognition` shows: find, encode, compare with all known encodings."""

from __future__ import annotations

from typing import Any

import face_recognition

from tests.benchmarks.ways import clocked

#: face_recognition's own default tolerance.
TOLERANCE = 0.6


def prepare() -> None:
    """Nothing: the import has loaded the models."""


def embed(photograph: str) -> Any:
    image = face_recognition.load_image_file(photograph)
    locations = face_recognition.face_locations(image, model="hog")
    if not locations:
        return None
    largest = max(locations, key=lambda box: (box[2] - box[0]) * (box[1] - box[3]))
    return face_recognition.face_encodings(image, [largest])[0]


if __name__ == "__main__":
    clocked.run(prepare, embed, face_recognition.face_distance, TOLERANCE)
