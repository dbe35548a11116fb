"""What each operation of Rekognition does."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from facematch.images.limits import ImageTooLargeError, InvalidImageFormatError, TooCostlyError
from facematch.images.workers import WorkerDiedError, process_ids
from facematch.local.rekognition.collections import (
    CollectionExistsError,
    CollectionFace,
    CollectionNotFoundError,
    CollectionStore,
    FaceNotFoundError,
    PageTokenError,
    face_id,
    image_id,
)
from facematch.local.rekognition.faces import (
    FACE_MODEL_VERSION,
    MAX_FACES,
    AnalysedImage,
    Box,
    Face,
    ImageTooSmallError,
    QualityFilter,
    similarity,
)
from facematch.local.rekognition.protocol import (
    Call,
    Parameters,
    RekognitionError,
    _arn,
    _image_too_large,
    _internal_error,
    _invalid_image_format,
    _invalid_parameter,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.local.rekognition.workers import FaceWorkers, S3Images

logger = logging.getLogger("facematch.rekognition")

_PAGE_SIZE = 4096
_DEFAULT_MATCHES = 80
_DEFAULT_THRESHOLD = 80.0


@dataclass
class Counters:
    """What the endpoint has done since it started. `engine_seconds` is processor time."""

    indexed_images: int = 0
    searches: int = 0
    engine_seconds: float = 0.0


class Rekognition:
    """The operations, on parameters that `RequestReader` has checked."""

    def __init__(self, store: CollectionStore, workers: FaceWorkers, images: S3Images) -> None:
        self._store = store
        self._workers = workers
        self._images = images
        self._counters = Counters()
        self._counters_lock = threading.Lock()
        self._operations: dict[str, Callable[[Parameters], Parameters]] = {
            "CreateCollection": self._create_collection,
            "DescribeCollection": self._describe_collection,
            "ListCollections": self._list_collections,
            "DeleteCollection": self._delete_collection,
            "IndexFaces": self._index_faces,
            "SearchFaces": self._search_faces,
            "ListFaces": self._list_faces,
            "DeleteFaces": self._delete_faces,
            "SearchFacesByImage": self._search_faces_by_image,
            "DetectFaces": self._detect_faces,
            "CompareFaces": self._compare_faces,
        }

    def perform(self, call: Call) -> Parameters:
        """Carry out a call, with the store's errors in AWS's words."""
        collection_id = call.parameters.get("CollectionId")
        try:
            return self._operations[call.operation](call.parameters)
        except CollectionNotFoundError:
            raise RekognitionError(
                "ResourceNotFoundException", f"The collection id: {collection_id} does not exist"
            ) from None
        except CollectionExistsError:
            raise RekognitionError(
                "ResourceAlreadyExistsException",
                f"The collection id: {collection_id} already exists",
            ) from None
        except FaceNotFoundError:
            raise _invalid_parameter("faceId was not found in the collection.") from None
        except PageTokenError:
            raise RekognitionError(
                "InvalidPaginationTokenException", "Invalid pagination token"
            ) from None
        except sqlite3.Error as error:  # a full disk: nothing of the call was kept
            logger.error("%s: the database of faces: %s", call.operation, error)  # noqa: TRY400 - the traceback would quote rows
            raise _internal_error() from None

    def health(self) -> dict[str, Any]:
        """Counters, and the worker processes' ids, for whoever supervises this process."""
        with self._counters_lock:
            counters = asdict(self._counters)
        return {
            "status": "ok",
            **counters,
            "faces": self._store.count_faces(),
            "worker_process_ids": process_ids(),
        }

    def _create_collection(self, parameters: Parameters) -> Parameters:
        collection_id = parameters["CollectionId"]
        self._store.create(collection_id)
        return {
            "StatusCode": 200,
            "CollectionArn": _arn(collection_id).removeprefix("arn:"),  # as AWS writes it here
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def _describe_collection(self, parameters: Parameters) -> Parameters:
        collection_id = parameters["CollectionId"]
        faces, created_at = self._store.describe(collection_id)
        return {
            "FaceCount": faces,
            "FaceModelVersion": FACE_MODEL_VERSION,
            "CollectionARN": _arn(collection_id),
            "CreationTimestamp": created_at,
            "UserCount": 0,
        }

    def _list_collections(self, parameters: Parameters) -> Parameters:
        page = self._store.list_collections(
            limit=parameters.get("MaxResults") or _PAGE_SIZE, token=parameters.get("NextToken")
        )
        return {
            "CollectionIds": page.items,
            "FaceModelVersions": [FACE_MODEL_VERSION] * len(page.items),
            **({"NextToken": page.next_token} if page.next_token else {}),
        }

    def _delete_collection(self, parameters: Parameters) -> Parameters:
        self._store.delete(parameters["CollectionId"])
        return {"StatusCode": 200}

    def _index_faces(self, parameters: Parameters) -> Parameters:
        collection_id = parameters["CollectionId"]
        external_id = parameters.get("ExternalImageId")
        self._store.describe(collection_id)  # an unknown collection costs no face work
        image = self._image(parameters["Image"])
        analysed = self._analysed(
            image,
            min(parameters.get("MaxFaces", MAX_FACES), MAX_FACES),
            QualityFilter(parameters.get("QualityFilter", "AUTO")),
        )
        digest = hashlib.sha256(image).hexdigest()
        of_image = image_id(collection_id, external_id, digest)
        indexed = [
            (
                CollectionFace(
                    face_id=face_id(collection_id, external_id, digest, index),
                    image_id=of_image,
                    external_image_id=external_id,
                    box=face.box,
                    confidence=face.confidence,
                ),
                face,
            )
            for index, face in enumerate(analysed.faces)
            if face.embedding is not None
        ]
        embeddings = [face.embedding for _, face in indexed if face.embedding is not None]
        self._store.add(collection_id, [record for record, _ in indexed], embeddings)
        return {
            "FaceRecords": [
                {"Face": _face_json(record), "FaceDetail": _detail_json(face)}
                for record, face in indexed
            ],
            "UnindexedFaces": [
                {"Reasons": list(face.reasons), "FaceDetail": _detail_json(face)}
                for face in analysed.faces
                if face.embedding is None
            ],
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def _image(self, image: Parameters) -> bytes:
        s3_object = image.get("S3Object")
        content: bytes | None = image.get("Bytes")
        if (content is None) == (s3_object is None):
            raise _invalid_parameter()
        if content is not None:
            return content
        if s3_object is None or "Bucket" not in s3_object or "Name" not in s3_object:
            raise _invalid_parameter()
        return self._images.fetch(s3_object["Bucket"], s3_object["Name"], s3_object.get("Version"))

    def _analysed(
        self, image: bytes, max_faces: int, quality_filter: QualityFilter
    ) -> AnalysedImage:
        try:
            analysed, seconds = self._workers.analyse(image, max_faces, quality_filter)
        except TooCostlyError as error:
            raise _invalid_image_format(str(error)) from None
        except InvalidImageFormatError:
            raise _invalid_image_format() from None
        except ImageTooLargeError:
            raise _image_too_large() from None
        except ImageTooSmallError:
            raise _invalid_parameter() from None
        except WorkerDiedError:
            raise _internal_error() from None
        with self._counters_lock:
            self._counters.indexed_images += 1
            self._counters.engine_seconds += seconds
        return analysed

    def _search_faces(self, parameters: Parameters) -> Parameters:
        matches = self._store.search(
            parameters["CollectionId"],
            parameters["FaceId"],
            limit=parameters.get("MaxFaces", _DEFAULT_MATCHES),
            min_similarity=parameters.get("FaceMatchThreshold", _DEFAULT_THRESHOLD),
        )
        with self._counters_lock:
            self._counters.searches += 1
        return {
            "SearchedFaceId": parameters["FaceId"],
            "FaceMatches": [
                {"Similarity": match.similarity, "Face": _face_json(match.face)}
                for match in matches
            ],
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def _search_faces_by_image(self, parameters: Parameters) -> Parameters:
        """Search with the largest face of an image, as Rekognition does."""
        collection_id = parameters["CollectionId"]
        self._store.describe(collection_id)  # an unknown collection costs no face work
        face = self._largest_face(parameters["Image"], parameters)
        if face is None or face.embedding is None:
            raise _invalid_parameter("There are no faces in the image. Should be at least 1.")
        matches = self._store.search_vector(
            collection_id,
            face.embedding,
            limit=parameters.get("MaxFaces", _DEFAULT_MATCHES),
            min_similarity=parameters.get("FaceMatchThreshold", _DEFAULT_THRESHOLD),
        )
        with self._counters_lock:
            self._counters.searches += 1
        return {
            "SearchedFaceBoundingBox": _box_json(face.box),
            "SearchedFaceConfidence": face.confidence,
            "FaceMatches": [
                {"Similarity": match.similarity, "Face": _face_json(match.face)}
                for match in matches
            ],
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def _largest_face(self, image: Parameters, parameters: Parameters) -> Face | None:
        quality = QualityFilter(parameters.get("QualityFilter", "NONE"))
        analysed = self._analysed(self._image(image), 1, quality)
        return next((face for face in analysed.faces if face.embedding is not None), None)

    def _detect_faces(self, parameters: Parameters) -> Parameters:
        # No face is described by a vector, which is most of the work.
        analysed = self._analysed(self._image(parameters["Image"]), 0, QualityFilter.NONE)
        return {"FaceDetails": [_detail_json(face) for face in analysed.faces[:MAX_FACES]]}

    def _compare_faces(self, parameters: Parameters) -> Parameters:
        source = self._largest_face(parameters["SourceImage"], parameters)
        if source is None or source.embedding is None:
            raise _invalid_parameter()
        quality = QualityFilter(parameters.get("QualityFilter", "NONE"))
        target = self._analysed(self._image(parameters["TargetImage"]), MAX_FACES, quality)
        least = parameters.get("SimilarityThreshold", _DEFAULT_THRESHOLD)
        alike: list[tuple[float, Face]] = []
        others: list[Face] = []
        for face in target.faces:
            if face.embedding is None:
                continue
            percent = similarity(float(source.embedding @ face.embedding))
            if percent >= least:
                alike.append((percent, face))
            else:
                others.append(face)
        alike.sort(key=lambda each: -each[0])
        return {
            "SourceImageFace": {
                "BoundingBox": _box_json(source.box),
                "Confidence": source.confidence,
            },
            "FaceMatches": [
                {"Similarity": percent, "Face": _detail_json(face)} for percent, face in alike
            ],
            "UnmatchedFaces": [_detail_json(face) for face in others],
        }

    def _list_faces(self, parameters: Parameters) -> Parameters:
        page = self._store.list_faces(
            parameters["CollectionId"],
            limit=parameters.get("MaxResults") or _PAGE_SIZE,
            token=parameters.get("NextToken"),
            face_ids=parameters.get("FaceIds"),
        )
        if "UserId" in parameters:  # Rekognition's "users" group faces; nothing here makes any
            raise RekognitionError(
                "ResourceNotFoundException",
                f"The user id: {parameters['UserId']} does not exist",
            )
        return {
            "Faces": [_face_json(face) for face in page.items],
            "FaceModelVersion": FACE_MODEL_VERSION,
            **({"NextToken": page.next_token} if page.next_token else {}),
        }

    def _delete_faces(self, parameters: Parameters) -> Parameters:
        asked = list(dict.fromkeys(parameters["FaceIds"]))
        deleted = self._store.delete_faces(parameters["CollectionId"], asked)
        missing = set(asked) - set(deleted)
        return {
            "DeletedFaces": deleted,
            "UnsuccessfulFaceDeletions": [
                {"FaceId": asked_id, "Reasons": ["FACE_NOT_FOUND"]}
                for asked_id in asked
                if asked_id in missing
            ],
        }


def _face_json(face: CollectionFace) -> Parameters:
    return {
        "FaceId": face.face_id,
        "BoundingBox": _box_json(face.box),
        "ImageId": face.image_id,
        **({"ExternalImageId": face.external_image_id} if face.external_image_id else {}),
        "Confidence": face.confidence,
    }


def _detail_json(face: Face) -> Parameters:
    marks = face.landmarks
    points = {
        "eyeLeft": marks.eye_left,
        "eyeRight": marks.eye_right,
        "mouthLeft": marks.mouth_left,
        "mouthRight": marks.mouth_right,
        "nose": marks.nose,
    }
    return {
        "BoundingBox": _box_json(face.box),
        "Landmarks": [{"Type": name, "X": x, "Y": y} for name, (x, y) in points.items()],
        "Pose": {"Roll": face.pose.roll, "Yaw": face.pose.yaw, "Pitch": face.pose.pitch},
        "Quality": {"Brightness": face.quality.brightness, "Sharpness": face.quality.sharpness},
        "Confidence": face.confidence,
    }


def _box_json(box: Box) -> Parameters:
    return {"Width": box.width, "Height": box.height, "Left": box.left, "Top": box.top}
