"""The faces of the stack's collection: listed, and taken out."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from facematch.errors import Actionable
from functions.aws.collection import FaceCollection
from functions.matching.errors import Unavailable
from functions.matching.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facematch.stack.deployment import Deployment

#: In an answer of ListFaces, at most (Amazon Rekognition API Reference).
_LISTED: Final = 4096
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
            try:
                key = key_of(face.get("ExternalImageId", ""))
            except ValueError:
                key = None
            yield ListedFace(face["FaceId"], key)


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
