"""The face collection: an Amazon Rekognition collection, in the domain's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.aws.clients import availability
from functions.matching.errors import CollectionFull, ImageRejected, Reason, Unavailable
from functions.matching.faces import Box, Face, FoundFace, IndexedFaces, LookAlikes, UnindexedFace
from functions.matching.keys import external_image_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_rekognition import RekognitionClient
    from mypy_boto3_rekognition.type_defs import BoundingBoxTypeDef, S3ObjectTypeDef

    from functions.matching.images import UploadedImage

#: As many look-alikes as SearchFaces gives (Amazon Rekognition API Reference): the photographs
#: under a person's own name must not crowd out the one under another.
_MOST_LOOK_ALIKES: Final = 4096
#: As many as DeleteFaces takes.
_MOST_REMOVED_AT_ONCE: Final = 4096


class FaceNotFound(Exception):  # noqa: N818 - reads as what happened
    """A face is not in the collection: not yet, since AWS promises no time, or not any more."""


class FaceCollection:
    """Adds faces to a collection and finds look-alikes in it."""

    def __init__(self, rekognition: RekognitionClient, collection_id: str) -> None:
        self._rekognition = rekognition
        self._id = collection_id

    def index(self, image: UploadedImage, *, max_faces: int, quality_filter: str) -> IndexedFaces:
        """Add the image's faces, the largest first.

        Rekognition saves no duplicate when image, collection and ExternalImageId are the same,
        so doing it twice changes nothing.

        Raises
        ------
        ImageRejected
            For what Rekognition says of the image itself.
        CollectionFull
            When it holds as many faces as the account's quota allows.
        InvalidS3ObjectException
            When Rekognition cannot read the object, which the caller has seen to be there.
        Unavailable
            When Rekognition throttles or fails.
        """
        external_id = external_image_id(image.key)
        if external_id is None:
            raise ImageRejected(Reason.KEY_UNUSABLE, image.digest)
        known = self._rekognition.exceptions
        source: S3ObjectTypeDef = {"Bucket": image.bucket, "Name": image.key}
        if image.version_id:
            source["Version"] = image.version_id
        try:
            with availability():
                answer = self._rekognition.index_faces(
                    CollectionId=self._id,
                    Image={"S3Object": source},
                    ExternalImageId=external_id,
                    DetectionAttributes=["DEFAULT"],
                    MaxFaces=max_faces,
                    QualityFilter=quality_filter,  # type: ignore[arg-type] # checked at synthesis
                )
        except known.InvalidImageFormatException:
            raise ImageRejected(Reason.NOT_JPEG_OR_PNG, image.digest) from None
        except known.ImageTooLargeException:
            raise ImageRejected(Reason.TOO_LARGE, image.digest) from None
        except known.InvalidParameterException:
            # Every other parameter was checked before: what is left are the image's dimensions.
            raise ImageRejected(Reason.TOO_SMALL, image.digest) from None
        except known.ServiceQuotaExceededException:
            raise CollectionFull(self._id) from None
        return IndexedFaces(
            faces=tuple(
                Face(
                    face_id=record["Face"]["FaceId"],
                    box=box_of(record["Face"]["BoundingBox"]),
                    confidence=record["Face"]["Confidence"],
                    brightness=record["FaceDetail"]["Quality"]["Brightness"],
                    sharpness=record["FaceDetail"]["Quality"]["Sharpness"],
                )
                for record in answer["FaceRecords"]
            ),
            unindexed=tuple(
                UnindexedFace(tuple(face["Reasons"]), box_of(face["FaceDetail"]["BoundingBox"]))
                for face in answer.get("UnindexedFaces", [])
            ),
            face_model_version=answer["FaceModelVersion"],
        )

    def size(self) -> int:
        """Return how many faces the collection holds.

        Raises
        ------
        Unavailable
            When Rekognition throttles or fails.
        """
        with availability():
            return self._rekognition.describe_collection(CollectionId=self._id)["FaceCount"]

    def remove(self, face_ids: Sequence[str]) -> int:
        """Take faces out; those that are not there any more are no trouble.

        Returns
        -------
        int
            How many left.

        Raises
        ------
        Unavailable
            When Rekognition throttles or fails, or says that it could not delete some.
        """
        left = 0
        for start in range(0, len(face_ids), _MOST_REMOVED_AT_ONCE):
            with availability():
                answer = self._rekognition.delete_faces(
                    CollectionId=self._id,
                    FaceIds=list(face_ids[start : start + _MOST_REMOVED_AT_ONCE]),
                )
            kept = [
                face
                for face in answer.get("UnsuccessfulFaceDeletions", [])
                if set(face["Reasons"]) != {"FACE_NOT_FOUND"}
            ]
            if kept:
                reasons = sorted({reason for face in kept for reason in face["Reasons"]})
                raise Unavailable(
                    f"DeleteFaces left {len(kept)} faces in the collection: {', '.join(reasons)}"
                )
            left += len(answer["DeletedFaces"])
        return left

    def look_alikes(self, face_id: str, *, search_threshold: float) -> LookAlikes:
        """Faces at least `search_threshold` % similar to an indexed one.

        Raises
        ------
        FaceNotFound
            When the face is not there: not yet, or not any more.
        Unavailable
            When Rekognition throttles or fails.
        """
        try:
            with availability():
                answer = self._rekognition.search_faces(
                    CollectionId=self._id,
                    FaceId=face_id,
                    FaceMatchThreshold=search_threshold,
                    MaxFaces=_MOST_LOOK_ALIKES,
                )
        except self._rekognition.exceptions.InvalidParameterException:
            raise FaceNotFound(f"the face {face_id} cannot be found in the collection") from None
        faces = tuple(
            FoundFace(
                face_id=match["Face"]["FaceId"],
                external_image_id=match["Face"].get("ExternalImageId"),
                similarity=match["Similarity"],
                box=box_of(match["Face"]["BoundingBox"]),
            )
            for match in answer["FaceMatches"]
        )
        return LookAlikes(faces=faces, may_lack_some=len(faces) >= _MOST_LOOK_ALIKES)


def box_of(box: BoundingBoxTypeDef) -> Box:
    """Return the box that Rekognition gives."""
    return Box(
        left=box["Left"],
        top=box["Top"],
        width=box["Width"],
        height=box["Height"],
    )
