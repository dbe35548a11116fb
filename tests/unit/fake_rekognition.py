"""A Rekognition client that behaves: it keeps faces, finds look-alikes and refuses like AWS."""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAGIC = b"\xff\xd8\xff\xe0"
_END = b"\xff\xd9"
_ALLOWED_ID = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")
_LARGEST = 15 * 1024 * 1024
_SERVER_ERRORS = {"InternalServerError": 500, "ServiceUnavailableException": 503}


def photograph(
    *angles: float,
    width: int = 640,
    height: int = 480,
    blurred: int = 0,
    widths: tuple[float, ...] = (),
) -> bytes:
    """A picture of one face for each angle, the largest first.

    Two faces look alike by the cosine of the angle between them: 5 degrees are 99.6 %, 20 are
    94 %, 90 are nothing.

    Parameters
    ----------
    blurred
        How many further faces there are, too blurred to be indexed.
    widths
        Of the faces' boxes, the blurred ones last, as ratios of the image's width; all the same
        unless they are given.
    """
    content = {"width": width, "height": height, "faces": angles, "blurred": blurred}
    if widths:
        content["widths"] = widths
    return _MAGIC + json.dumps(content).encode() + _END


@dataclass(frozen=True)
class _Stored:
    face: dict[str, Any]
    angle: float


@dataclass(frozen=True)
class _OnePage:
    """A paginator of an operation that gives everything at once."""

    operation: Callable[..., dict[str, Any]]

    def paginate(self, *, PaginationConfig: object = None, **request: Any) -> Iterator[Any]:  # noqa: ARG002, N803 - as boto3 has it
        yield self.operation(**request)


@dataclass
class FakeRekognition:
    """The operations that the functions call, and the client's `exceptions`.

    Parameters
    ----------
    s3
        Where the photographs are.
    real
        A real client, for its errors and its description of requests; it is never called.
    """

    s3: Any
    real: Any
    collections: dict[str, dict[str, _Stored]] = field(default_factory=dict)
    #: Faces that cannot be deleted, with the reason.
    held: dict[str, str] = field(default_factory=dict)
    _failures: deque[tuple[str, str]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.exceptions = self.real.exceptions
        self._model = self.real.meta.service_model

    def fail_next(self, code: str, *, times: int = 1, message: str = "on request") -> None:
        """Let the next calls fail."""
        self._failures.extend([(code, message)] * times)

    def copy_faces(self, collection_id: str, external_id: str, *, angle: float, count: int) -> None:
        """Let the collection hold faces of images that nobody has uploaded here."""
        for number in range(count):
            face_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{external_id} {angle} {number}"))
            face = {"FaceId": face_id, "BoundingBox": _box(0), "ExternalImageId": external_id}
            self.collections[collection_id][face_id] = _Stored(face, angle)

    def index_faces(self, **request: Any) -> dict[str, Any]:
        collection = self._collection("IndexFaces", request)
        external_id = request.get("ExternalImageId", "")
        if not _ALLOWED_ID.fullmatch(external_id):
            raise self._error("IndexFaces", "InvalidParameterException")
        content = self._photograph(request["Image"]["S3Object"])
        picture = self._decoded(content)
        limit = request.get("MaxFaces", 100)
        records = []
        for position, angle in enumerate(picture["faces"][:limit]):
            seed = f"{external_id} {hashlib.sha256(content).hexdigest()} {position}"
            face = {
                "FaceId": str(uuid.uuid5(uuid.NAMESPACE_OID, seed)),
                "BoundingBox": _box(position, picture),
                "ImageId": str(uuid.uuid5(uuid.NAMESPACE_OID, seed.rpartition(" ")[0])),
                "ExternalImageId": external_id,
                "Confidence": 99.98765563964844,
            }
            collection[face["FaceId"]] = _Stored(face, angle)
            quality = {"Brightness": 81.30812072753906, "Sharpness": 95.51618957519531}
            detail = {"BoundingBox": face["BoundingBox"], "Quality": quality}
            records.append({"Face": face, "FaceDetail": detail})
        unindexed = ["EXCEEDS_MAX_FACES"] * len(picture["faces"][limit:])
        unindexed += ["LOW_SHARPNESS"] * picture["blurred"]
        return {
            "FaceRecords": records,
            "UnindexedFaces": [
                {
                    "Reasons": [reason],
                    "FaceDetail": {"BoundingBox": _box(len(records) + position, picture)},
                }
                for position, reason in enumerate(unindexed)
            ],
            "FaceModelVersion": "7.0",
        }

    def search_faces(self, **request: Any) -> dict[str, Any]:
        collection = self._collection("SearchFaces", request)
        searched = collection.get(request["FaceId"])
        if searched is None:
            raise self._error("SearchFaces", "InvalidParameterException")
        others = {each: face for each, face in collection.items() if each != request["FaceId"]}
        return {
            "SearchedFaceId": request["FaceId"],
            "FaceMatches": _alike(searched.angle, others, request),
            "FaceModelVersion": "7.0",
        }

    def search_faces_by_image(self, **request: Any) -> dict[str, Any]:
        collection = self._collection("SearchFacesByImage", request)
        angles = self._decoded(request["Image"]["Bytes"])["faces"]
        if not angles:
            raise self._error("SearchFacesByImage", "InvalidParameterException")
        return {
            "SearchedFaceBoundingBox": _box(0),
            "SearchedFaceConfidence": 99.9,
            "FaceMatches": _alike(angles[0], collection, request),
            "FaceModelVersion": "7.0",
        }

    def detect_faces(self, **request: Any) -> dict[str, Any]:
        self._check("DetectFaces", request)
        picture = self._decoded(request["Image"]["Bytes"])
        count = len(picture["faces"]) + picture["blurred"]
        return {"FaceDetails": [{"BoundingBox": _box(position)} for position in range(count)]}

    def list_faces(self, **request: Any) -> dict[str, Any]:
        collection = self._collection("ListFaces", request)
        faces = [stored.face for stored in collection.values()]
        return {"Faces": faces, "FaceModelVersion": "7.0"}

    def describe_collection(self, **request: Any) -> dict[str, Any]:
        return {"FaceCount": len(self._collection("DescribeCollection", request))}

    def get_paginator(self, operation: str) -> _OnePage:
        return _OnePage(getattr(self, operation))

    def delete_faces(self, **request: Any) -> dict[str, Any]:
        collection = self._collection("DeleteFaces", request)
        there = [face_id for face_id in request["FaceIds"] if face_id in collection]
        kept = {face_id: [self.held[face_id]] for face_id in there if face_id in self.held}
        absent = {i: ["FACE_NOT_FOUND"] for i in request["FaceIds"] if i not in there}
        deleted = [face_id for face_id in there if face_id not in kept]
        for face_id in deleted:
            del collection[face_id]
        return {
            "DeletedFaces": deleted,
            "UnsuccessfulFaceDeletions": [
                {"FaceId": face_id, "Reasons": reasons}
                for face_id, reasons in {**kept, **absent}.items()
            ],
        }

    def _collection(self, operation: str, request: dict[str, Any]) -> dict[str, _Stored]:
        self._check(operation, request)
        if request["CollectionId"] not in self.collections:
            raise self._error(operation, "ResourceNotFoundException")
        return self.collections[request["CollectionId"]]

    def _check(self, operation: str, request: dict[str, Any]) -> None:
        shape = self._model.operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        if self._failures:
            raise self._error(operation, *self._failures.popleft())

    def _photograph(self, source: dict[str, str]) -> bytes:
        version = {"VersionId": source["Version"]} if "Version" in source else {}
        try:
            answer = self.s3.get_object(Bucket=source["Bucket"], Key=source["Name"], **version)
        except ClientError:
            raise self._error("IndexFaces", "InvalidS3ObjectException") from None
        content: bytes = answer["Body"].read()
        return content

    def _decoded(self, content: bytes) -> dict[str, Any]:
        if len(content) > _LARGEST:
            raise self._error("IndexFaces", "ImageTooLargeException")
        if not (content.startswith(_MAGIC) and content.endswith(_END)):
            raise self._error("IndexFaces", "InvalidImageFormatException")
        picture: dict[str, Any] = json.loads(content.removeprefix(_MAGIC).removesuffix(_END))
        if min(picture["width"], picture["height"]) < 80:
            raise self._error("IndexFaces", "InvalidParameterException")
        return picture

    def _error(self, operation: str, code: str, message: str = "as AWS says it") -> ClientError:
        status = _SERVER_ERRORS.get(code, 400)
        kind: type[ClientError] = self.exceptions.from_code(code)
        response: Any = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        return kind(response, operation)


def _box(position: int, picture: dict[str, Any] | None = None) -> dict[str, float]:
    widths = (picture or {}).get("widths")
    return {
        "Left": 0.1 * (position % 10),
        "Top": 0.05 * (position // 10),
        "Width": widths[position] if widths else 0.0959,
        "Height": 0.1278,
    }


def _alike(
    angle: float, faces: dict[str, _Stored], request: dict[str, Any]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"Face": face.face, "Similarity": _similarity(angle, face.angle)} for face in faces.values()
    ]
    found.sort(key=lambda match: -match["Similarity"])
    threshold = request.get("FaceMatchThreshold", 80)
    alike = [match for match in found if match["Similarity"] >= threshold]
    return alike[: request.get("MaxFaces", 80)]


def _similarity(angle: float, other: float) -> float:
    return 100 * max(0.0, math.cos(math.radians(angle - other)))
