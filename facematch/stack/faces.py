"""The faces of the stack's collection: listed, and taken out."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from facematch.errors import Actionable, Unusable
from functions.aws.clients import error_code
from functions.aws.collection import FaceCollection, box_of
from functions.matching.errors import Unavailable
from functions.matching.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facematch.stack.deployment import Deployment
    from functions.matching.faces import Box

#: In an answer of ListFaces, at most (Amazon Rekognition API Reference).
_LISTED: Final = 4096
#: Why Rekognition takes no photograph.
_REFUSED: Final = frozenset(
    {"InvalidImageFormatException", "ImageTooLargeException", "InvalidParameterException"}
)
#: Before each further attempt.
_WAITS_SECONDS: Final = (1, 2, 4, 8)


class ListedFace(NamedTuple):
    """A face, and the key of the image that it was found in; None for somebody else's face."""

    face_id: str
    key: str | None


def listed_faces(deployment: Deployment) -> Iterator[ListedFace]:
    """Every face in the collection."""
    pages = (
        deployment.make_client("rekognition")
        .get_paginator("list_faces")
        .paginate(CollectionId=deployment.collection_id, PaginationConfig={"PageSize": _LISTED})
    )
    for page in pages:
        for face in page["Faces"]:
            yield ListedFace(face["FaceId"], _key(face.get("ExternalImageId", "")))


def _key(external_image_id: str) -> str | None:
    try:
        return key_of(external_image_id)
    except ValueError:
        return None


class AlikeFace(NamedTuple):
    """A face of the collection that is like another one.

    Attributes
    ----------
    key
        Of the image that it was found in; None for somebody else's face.
    similarity
        In %.
    """

    key: str | None
    similarity: float


@dataclass(frozen=True, slots=True)
class PhotographSearch:
    """What the collection holds that is like a photograph.

    Attributes
    ----------
    faces
        How many the photograph shows.
    box
        Of the face that was searched for; None if none was.
    """

    faces: int
    box: Box | None
    alike: list[AlikeFace]


def search_photograph(
    deployment: Deployment, content: bytes, *, minimum: float
) -> PhotographSearch:
    """Search the collection for the largest face of a photograph. Nothing is stored.

    Parameters
    ----------
    content
        A JPEG or PNG file of at most 5 MB.
    minimum
        Lowest similarity, %.

    Raises
    ------
    Unusable
        If Rekognition refuses the photograph.
    """
    rekognition = deployment.make_client("rekognition")
    try:
        faces = len(rekognition.detect_faces(Image={"Bytes": content})["FaceDetails"])
    except ClientError as error:
        if error_code(error) not in _REFUSED:
            raise
        raise Unusable(
            f"Rekognition refused the photograph ({error_code(error)}). Give a JPEG or PNG file of "
            "at least 80 by 80 pixels."
        ) from None
    if not faces:
        return PhotographSearch(0, None, [])
    try:
        found = rekognition.search_faces_by_image(
            CollectionId=deployment.collection_id,
            Image={"Bytes": content},
            FaceMatchThreshold=minimum,
            MaxFaces=_LISTED,
        )
    except rekognition.exceptions.InvalidParameterException:
        return PhotographSearch(faces, None, [])  # a face that DetectFaces sees, and it does not
    alike = [
        AlikeFace(_key(match["Face"].get("ExternalImageId", "")), match["Similarity"])
        for match in found["FaceMatches"]
    ]
    return PhotographSearch(faces, box_of(found["SearchedFaceBoundingBox"]), alike)


def face_count(deployment: Deployment) -> int:
    """Return how many faces the collection holds."""
    found = deployment.make_client("rekognition").describe_collection(
        CollectionId=deployment.collection_id
    )
    return int(found["FaceCount"])


def remove_faces(deployment: Deployment, face_ids: Sequence[str]) -> int:
    """Take faces out of the collection; returns how many of them were there.

    Raises
    ------
    Actionable
        When Rekognition leaves some there, again and again.
    """
    collection = FaceCollection(deployment.make_client("rekognition"), deployment.collection_id)
    waits = iter(_WAITS_SECONDS)
    while True:
        try:
            return collection.remove(face_ids)
        except Unavailable as error:
            wait = next(waits, None)
            if wait is None:
                raise Actionable(
                    f"Not all of {len(face_ids)} faces left the collection "
                    f"{deployment.collection_id}: {error}. Repeat the command."
                ) from None
        time.sleep(wait)


def delete_collection(rekognition: Any, collection_id: str) -> None:  # noqa: ANN401 - a client
    """Delete a collection with its faces, if it exists."""
    with suppress(rekognition.exceptions.ResourceNotFoundException):
        rekognition.delete_collection(CollectionId=collection_id)
