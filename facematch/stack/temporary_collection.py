"""A face collection that is made for one measurement, and deleted after it."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import ClientError

from facematch.errors import Actionable
from facematch.stack.deployment import clients_on_aws
from facematch.stack.errors import AWS_ERRORS, NEVER_SENT
from facematch.stack.faces import delete_collection
from functions.matching.errors import Reason
from functions.matching.faces import Box
from functions.matching.subjects import prominent_faces

if TYPE_CHECKING:
    from collections.abc import Iterator

#: As many look-alikes as SearchFaces gives.
MOST_LOOK_ALIKES: Final = 4096
_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class Indexed:
    """Faces that were found in one photograph, with their ids.

    Attributes
    ----------
    refused
        Why there is none, as far as Rekognition says it.
    people
        Number of faces that may be the one that is meant.
    """

    faces: list[tuple[str, Box]]
    refused: str | None
    face_model_version: str = ""
    people: int = 0


class TemporaryCollection:
    """Adds faces to a collection of its own, and searches it.

    It is there within ``with collection.made():``.
    """

    def __init__(self, rekognition: Any) -> None:  # noqa: ANN401 - a client
        self._rekognition = rekognition
        self._id = f"facematch-evaluation-{uuid.uuid4().hex}"

    @classmethod
    def on_aws(cls, *, profile: str | None, region: str | None) -> Self:
        """With the user's credentials; nothing is asked of AWS yet."""
        make_client = clients_on_aws(profile=profile, region=region, attempts=_ATTEMPTS)
        return cls(make_client("rekognition"))

    @property
    def region(self) -> str:
        """Where the photographs are sent to."""
        return str(self._rekognition.meta.region_name)

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make the collection, and delete it in the end, whatever happened.

        Raises
        ------
        Actionable
            When the collection could not be deleted.
        """
        refused = False
        try:
            try:
                self._rekognition.create_collection(CollectionId=self._id)
            except (ClientError, *NEVER_SENT):
                refused = True
                raise
            yield
        finally:
            if not refused:
                self._delete()

    def index(
        self, content: bytes, external_id: str, *, max_faces: int, quality_filter: str
    ) -> Indexed:
        """Add the faces of one photograph, the largest first."""
        known = self._rekognition.exceptions
        try:
            answer = self._rekognition.index_faces(
                CollectionId=self._id,
                Image={"Bytes": content},
                ExternalImageId=external_id,
                MaxFaces=max_faces,
                QualityFilter=quality_filter,
                DetectionAttributes=["DEFAULT"],
            )
        except known.InvalidImageFormatException:
            return Indexed([], Reason.NOT_JPEG_OR_PNG)
        except known.ImageTooLargeException:
            return Indexed([], Reason.TOO_LARGE)
        except known.InvalidParameterException:
            return Indexed([], Reason.TOO_SMALL)
        faces = [
            (record["Face"]["FaceId"], _box(record["Face"]["BoundingBox"]))
            for record in answer["FaceRecords"]
        ]
        unindexed = answer.get("UnindexedFaces", [])
        reasons = [str(face["Reasons"][0]) for face in unindexed]
        refused = reasons[0] if reasons and not faces else None
        people = prominent_faces(
            [box.width for _, box in faces],
            [face["FaceDetail"]["BoundingBox"]["Width"] for face in unindexed],
        )
        return Indexed(faces, refused, answer["FaceModelVersion"], people)

    def look_alikes(self, face_id: str) -> list[tuple[str, float]]:
        """The faces like this one, with their similarities, %."""
        answer = self._rekognition.search_faces(
            CollectionId=self._id,
            FaceId=face_id,
            FaceMatchThreshold=0,
            MaxFaces=MOST_LOOK_ALIKES,
        )
        return [
            (match["Face"]["FaceId"], float(match["Similarity"])) for match in answer["FaceMatches"]
        ]

    def _delete(self) -> None:
        try:
            delete_collection(self._rekognition, self._id)
        except AWS_ERRORS as error:
            raise Actionable(
                f"The temporary collection {self._id} could not be deleted ({error}). It holds the "
                "faces and costs money each month. Delete it: aws rekognition delete-collection "
                f"--region {self.region} --collection-id {self._id}"
            ) from None


def _box(box: dict[str, float]) -> Box:
    return Box(box["Left"], box["Top"], box["Width"], box["Height"])
