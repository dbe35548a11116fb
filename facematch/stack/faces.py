"""The faces of the stack's collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from functions.matching.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facematch.stack.deployment import Deployment

#: In an answer of ListFaces, at most (Amazon Rekognition API Reference).
_LISTED: Final = 4096


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
