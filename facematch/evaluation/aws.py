"""The faces of the photographs, by Amazon Rekognition: in a collection made for it and deleted."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
import numpy as np
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from facematch.errors import Actionable
from facematch.evaluation.faces import NO_FACE, UNREADABLE, Face, Faces
from facematch.evaluation.scores import Similarities
from facematch.stack.deployment import PARALLEL
from facematch.stack.errors import NEVER_SENT
from functions.matching.errors import Reason
from functions.matching.faces import Box
from functions.matching.pace import Pace
from functions.matching.settings import OTHER_REGIONS_QUOTA, REKOGNITION_QUOTA, paced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from facematch.evaluation.labels import Photograph

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Of an image that travels in the request, bytes (Guidelines and quotas in Amazon Rekognition).
IMAGE_LIMIT: Final = 5 * 1024 * 1024
#: As many look-alikes as SearchFaces gives.
MOST_LOOK_ALIKES: Final = 4096
_CONFIG: Final = Config(
    max_pool_connections=PARALLEL, retries={"mode": "standard", "total_max_attempts": 8}
)
#: Until the last face can be found, seconds; AWS names no time.
_SETTLE: Final = 1.0
_TOO_LARGE_TO_SEND: Final = "MORE_THAN_5_MB"


def rekognition_client(*, profile: str | None, region: str | None) -> Any:  # noqa: ANN401 - a client
    """A client with the user's credentials."""
    session = boto3.session.Session(profile_name=profile, region_name=region)
    return session.client("rekognition", config=_CONFIG)


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


@dataclass(frozen=True, slots=True)
class _Indexed:
    faces: list[tuple[str, Box]]
    refused: str | None
    face_model_version: str = ""


def found_by_rekognition(
    client: Any,  # noqa: ANN401 - of Rekognition
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
    ClientError, BotoCoreError
        When AWS refuses.
    """
    region = client.meta.region_name
    rate = _per_second(region)
    with _temporary_collection(client) as collection:
        work = _Work(client, collection, rate, max_faces=max_faces, quality_filter=quality_filter)
        indexed: list[_Indexed] = []

        def has_indexed(number: int, found: _Indexed) -> None:
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
        engine=f"Amazon Rekognition, {region}",
        face_model_version=next((f.face_model_version for f in indexed if f.faces), ""),
    )


def _on_disk(faces: int) -> np.memmap[Any, np.dtype[np.float32]]:
    """A square of zeros in a file that nobody else sees: with 13,000 faces it has 680 MB."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=(max(1, faces), max(1, faces)))


@contextmanager
def _temporary_collection(client: Any) -> Iterator[str]:  # noqa: ANN401 - of Rekognition
    collection = f"facematch-evaluation-{uuid.uuid4().hex}"
    refused = False
    try:
        try:
            client.create_collection(CollectionId=collection)
        except (ClientError, *NEVER_SENT):
            refused = True
            raise
        yield collection
    finally:
        if not refused:
            _delete(client, collection)


def _delete(client: Any, collection: str) -> None:  # noqa: ANN401 - of Rekognition
    try:
        client.delete_collection(CollectionId=collection)
    except client.exceptions.ResourceNotFoundException:
        pass  # it was never made
    except (ClientError, BotoCoreError) as error:
        raise Actionable(
            f"The temporary collection {collection} could not be deleted ({error}). It holds the "
            "faces and costs money each month. Delete it: aws rekognition delete-collection "
            f"--region {client.meta.region_name} --collection-id {collection}"
        ) from None


class _Work:
    """Calls, side by side, not faster than the quota allows."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - of Rekognition
        collection: str,
        per_second: float,
        *,
        max_faces: int,
        quality_filter: str,
    ) -> None:
        self._client, self._collection = client, collection
        self._max_faces, self._quality_filter = max_faces, quality_filter
        self._pace = Pace(per_second, _StartSlots(), clock=time.time, sleep=time.sleep)

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

    def index(self, photograph: Photograph) -> _Indexed:
        """Add the faces of one photograph; its number, not its key, goes with them."""
        try:
            content = photograph.file.read()
        except OSError:
            return _Indexed([], UNREADABLE)
        if len(content) > IMAGE_LIMIT:
            return _Indexed([], _TOO_LARGE_TO_SEND)
        known = self._client.exceptions
        self._pace.wait()
        try:
            answer = self._client.index_faces(
                CollectionId=self._collection,
                Image={"Bytes": content},
                # The same bytes under two names are two photographs here, as in the workflow.
                ExternalImageId=uuid.uuid5(uuid.NAMESPACE_URL, photograph.key).hex,
                MaxFaces=self._max_faces,
                QualityFilter=self._quality_filter,
                DetectionAttributes=["DEFAULT"],
            )
        except known.InvalidImageFormatException:
            return _Indexed([], Reason.NOT_JPEG_OR_PNG)
        except known.ImageTooLargeException:
            return _Indexed([], Reason.TOO_LARGE)
        except known.InvalidParameterException:
            return _Indexed([], Reason.TOO_SMALL)
        faces = [
            (record["Face"]["FaceId"], _box(record["Face"]["BoundingBox"]))
            for record in answer["FaceRecords"]
        ]
        refused = None
        if not faces:
            reasons = [face["Reasons"][0] for face in answer.get("UnindexedFaces", [])]
            refused = str(reasons[0]) if reasons else NO_FACE
        return _Indexed(faces, refused, answer["FaceModelVersion"])

    def search(self, face_id: str) -> list[tuple[str, float]]:
        """The faces like this one, with their similarities, %."""
        self._pace.wait()
        answer = self._client.search_faces(
            CollectionId=self._collection,
            FaceId=face_id,
            FaceMatchThreshold=0,
            MaxFaces=MOST_LOOK_ALIKES,
        )
        return [
            (match["Face"]["FaceId"], float(match["Similarity"])) for match in answer["FaceMatches"]
        ]


def _box(box: dict[str, float]) -> Box:
    return Box(box["Left"], box["Top"], box["Width"], box["Height"])
