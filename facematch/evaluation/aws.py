"""The faces of the photographs, by Amazon Rekognition: in a collection made for it and deleted."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from facematch.evaluation.faces import NO_FACE, UNREADABLE, Face, Faces
from facematch.evaluation.scores import Similarities
from facematch.stack.deployment import PARALLEL
from facematch.stack.temporary_collection import MOST_LOOK_ALIKES, Indexed
from functions.matching.pace import Pace
from functions.matching.settings import OTHER_REGIONS_QUOTA, REKOGNITION_QUOTA, paced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facematch.evaluation.labels import Photograph
    from facematch.stack.temporary_collection import TemporaryCollection

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Of an image that travels in the request, bytes (Guidelines and quotas in Amazon Rekognition).
IMAGE_LIMIT: Final = 5 * 1024 * 1024
#: Until the last face can be found, seconds; AWS names no time.
_SETTLE: Final = 1.0
_TOO_LARGE_TO_SEND: Final = "MORE_THAN_5_MB"


def beforehand(
    photographs: int, *, max_faces: int, region: str, cost_of_calls: Callable[[int], str]
) -> list[str]:
    """What a person must know before it begins: calls, money, time, and what will not be seen."""
    calls = photographs * (1 + max_faces)
    minutes = calls / _per_second(region) / 60
    said = [
        f"{photographs:,} photographs are sent to Amazon Rekognition in {region}, each up to 5 MB, "
        "into a temporary collection that is deleted in the end. At most "
        f"{calls:,} calls (IndexFaces, SearchFaces): about {cost_of_calls(calls)}. At the default "
        f"quota it takes {minutes:,.0f} minutes or more.",
    ]
    if photographs * max_faces > MOST_LOOK_ALIKES:
        said.append(
            f"A search returns the {MOST_LOOK_ALIKES:,} most similar faces. What is further down "
            "the list of both faces of a pair is not seen, and counts as below every threshold."
        )
    return said


def _per_second(region: str) -> float:
    return paced(REKOGNITION_QUOTA.get(region, OTHER_REGIONS_QUOTA), 1)


class _StartSlots:
    """The line of `Pace`, within one process."""

    def __init__(self) -> None:
        self._next = 0.0
        self._lock = threading.Lock()

    def take(self, now: float, interval: float) -> float:
        with self._lock:
            turn = max(now, self._next)
            self._next = turn + interval
        return turn


def found_by_rekognition(
    collection: TemporaryCollection,
    photographs: Sequence[Photograph],
    *,
    max_faces: int,
    quality_filter: str,
    progress: Callable[[str, int, int], object],
) -> Faces:
    """Index the photographs in a temporary collection and search it for each face.

    The collection is deleted in the end, whatever happened.

    Parameters
    ----------
    progress
        Told what is being done, how many are done, and of how many.

    Raises
    ------
    Actionable
        When the collection could not be deleted.
    """
    with collection.made():
        work = _Work(collection, max_faces=max_faces, quality_filter=quality_filter)
        indexed: list[Indexed] = []

        def has_indexed(number: int, found: Indexed) -> None:
            indexed.append(found)
            progress("photographs indexed", number + 1, len(photographs))

        work.each(work.index, photographs, has_indexed)
        faces = [
            (face_id, Face(number, box))
            for number, found in enumerate(indexed)
            for face_id, box in found.faces
        ]
        number_of = {face_id: number for number, (face_id, _) in enumerate(faces)}
        matrix = _on_disk(len(faces))

        def has_searched(number: int, found: list[tuple[str, float]]) -> None:
            for other_id, similarity in found:
                other = number_of[other_id]
                # Each pair is seen from both sides, unless one side's list was full.
                best = max(similarity, float(matrix[number, other]))
                matrix[number, other] = matrix[other, number] = best
            progress("faces searched for", number + 1, len(faces))

        time.sleep(_SETTLE)
        work.each(work.search, [face_id for face_id, _ in faces], has_searched)
    return Faces(
        faces=tuple(face for _, face in faces),
        refused={n: found.refused for n, found in enumerate(indexed) if found.refused},
        comparison=Similarities(matrix),
        engine=f"Amazon Rekognition, {collection.region}",
        face_model_version=next((f.face_model_version for f in indexed if f.faces), ""),
        several=frozenset(number for number, found in enumerate(indexed) if found.people > 1),
    )


def _on_disk(faces: int) -> np.memmap[Any, np.dtype[np.float32]]:
    """A square of zeros in a file that nobody else sees: with 13,000 faces it has 680 MB."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=(max(1, faces), max(1, faces)))


class _Work:
    """Calls, side by side, not faster than the quota allows."""

    def __init__(
        self, collection: TemporaryCollection, *, max_faces: int, quality_filter: str
    ) -> None:
        self._collection = collection
        self._max_faces, self._quality_filter = max_faces, quality_filter
        rate = _per_second(collection.region)
        self._pace = Pace(rate, _StartSlots(), clock=time.time, sleep=time.sleep)

    def each(
        self,
        work: Callable[[Item], Result],
        items: Sequence[Item],
        take: Callable[[int, Result], object],
    ) -> None:
        """Do it for every item, and hand over the results in order."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            try:
                for number, result in enumerate(pool.map(work, items)):
                    take(number, result)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def index(self, photograph: Photograph) -> Indexed:
        """Add the faces of one photograph; its number, not its key, goes with them."""
        try:
            content = photograph.file.read()
        except OSError:
            return Indexed([], UNREADABLE)
        if len(content) > IMAGE_LIMIT:
            return Indexed([], _TOO_LARGE_TO_SEND)
        self._pace.wait()
        found = self._collection.index(
            content,
            # The same bytes under two names are two photographs here, as in the workflow.
            uuid.uuid5(uuid.NAMESPACE_URL, photograph.key).hex,
            max_faces=self._max_faces,
            quality_filter=self._quality_filter,
        )
        return found if found.faces or found.refused else replace(found, refused=NO_FACE)

    def search(self, face_id: str) -> list[tuple[str, float]]:
        """The faces like this one, with their similarities, %."""
        self._pace.wait()
        return self._collection.look_alikes(face_id)
