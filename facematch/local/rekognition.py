"""The Rekognition of the local cloud: Amazon's protocol in front of this machine's face engine.

One process answers AWS JSON 1.1 over HTTP on the loopback interface; the face work is done by
worker processes; the faces are kept by `facematch.local.collections`. Requests are checked
against botocore's own model of the service, so that a client which works here sends what AWS
accepts, and errors have the names and, where known, the sentences of AWS.

Run it with::

    python -m facematch.local.rekognition --port 4567 \
        --s3-endpoint http://127.0.0.1:4566 --database .facematch/faces.db \
        --keys .facematch/keys.json

Sources
-------
- Amazon Rekognition API Reference; Developer Guide, "Error handling" (the form of an error),
  "Guidelines and quotas" (limits).
- Smithy, "AWS JSON 1.1 protocol".
"""

import argparse
import base64
import hashlib
import ipaddress
import json
import logging
import math
import multiprocessing
import os
import re
import signal
import socket
import sqlite3
import sys
import threading
import time
import traceback
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlsplit

import anyio.to_thread
import cv2
import urllib3
import uvicorn
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import create_loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from facematch.images.limits import (
    DEADLINE_SECONDS,
    ImageTooLargeError,
    InvalidImageFormatError,
    TooCostlyError,
)
from facematch.images.workers import DeadlineError, WorkerDiedError, Workers
from facematch.local.collections import (
    CollectionExistsError,
    CollectionFace,
    CollectionNotFoundError,
    CollectionStore,
    FaceNotFoundError,
    OtherModelError,
    PageTokenError,
    face_id,
    image_id,
)
from facematch.local.faces import (
    FACE_MODEL_VERSION,
    MAX_FACES,
    AnalysedImage,
    Box,
    Face,
    FaceEngine,
    ImageTooSmallError,
    ModelFilesError,
    QualityFilter,
    check_model_files,
)
from facematch.local.faults import FaultyCalls, Injector, called_at_rekognition
from facematch.local.front import guarded
from facematch.local.keys import AccessKey, AccessKeys, NoAccessKeysError
from facematch.local.permissions import Permissions
from facematch.quota import TokenBucket
from functions.matching.images import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

OPERATIONS = (
    "CreateCollection",
    "DescribeCollection",
    "ListCollections",
    "DeleteCollection",
    "IndexFaces",
    "SearchFaces",
    "ListFaces",
    "DeleteFaces",
)
_TARGET_PREFIX = "RekognitionService"
_REGION, _ACCOUNT = "us-east-1", "000000000000"
_PAGE_SIZE = 4096
_DEFAULT_MATCHES = 80
_DEFAULT_THRESHOLD = 80.0
# An inline image of 5 MB in base64, and room for the rest of a request.
_MAX_BODY = 8 * 1024 * 1024
# A longer body is read to its end and thrown away, because a client that is still sending does
# not see the answer; but not without a limit.
_MAX_DISCARDED = 64 * 1024 * 1024
_SHOWN_VIOLATIONS = 10
# Images that were too costly.
_REMEMBERED = 10_000
_LAST_PORT = 65535
_S3_FAILURES = (500, 502, 503, 504)
_S3_TROUBLE = (
    "Unable to get object metadata from S3. Check object key, region and/or access permissions."
)

logger = logging.getLogger("facematch.rekognition")

Parameters = dict[str, Any]
"""An operation's input or output, as JSON has it; blobs are bytes."""


class RekognitionError(Exception):
    """An error as AWS answers it: its name, its sentence, its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


def _invalid_parameter(message: str = "Request has invalid parameters") -> RekognitionError:
    return RekognitionError("InvalidParameterException", message)


def _internal_error() -> RekognitionError:
    return RekognitionError("InternalServerError", "Internal server error", status=500)


@dataclass(frozen=True, slots=True)
class Call:
    """One valid request: what a guard may look at. Header names are in lower case."""

    operation: str
    parameters: Parameters
    headers: Mapping[str, str]


Guard = Callable[[Call], None]
"""Looks at a call before it is carried out, and raises `RekognitionError` to refuse it.

This is the place for what stands in front of an operation on AWS: a rate limit, the caller's
permissions, or errors made on purpose.
"""


class CallsPerSecond:
    """A guard: so many calls in a second, as Rekognition's quota has it for each operation.

    The error is the one that Rekognition answers (Amazon Rekognition Developer Guide, Error
    handling); a refused call costs no quota. That a pause saves up calls for one second, and not
    for longer, is an assumption.

    Parameters
    ----------
    clock
        Seconds; must never go backwards.
    """

    OPERATIONS = ("IndexFaces", "SearchFaces")

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        now = clock()
        self._quotas = {
            operation: TokenBucket(per_second, burst=per_second, now=now)
            for operation in self.OPERATIONS
        }

    def __call__(self, call: Call) -> None:
        """Refuse the call if it is one too many."""
        quota = self._quotas.get(call.operation)
        if quota is None:
            return
        with self._lock:
            admitted = quota.admits(self._clock())
        if not admitted:
            raise RekognitionError(
                "ProvisionedThroughputExceededException", "Provisioned rate exceeded"
            )


class CallersRights:
    """A guard: a caller may do what the policies of its role allow.

    Rekognition reads an image with the rights of whoever calls it, too (Amazon Rekognition
    Developer Guide, Troubleshooting: InvalidS3ObjectException).
    """

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions

    def __call__(self, call: Call) -> None:
        """Refuse the call if its caller lacks a right for it."""
        authorization = call.headers.get("authorization", "")
        collection = call.parameters.get("CollectionId")
        refused = self._permissions.refusal(
            authorization,
            f"rekognition:{call.operation}",
            _arn(collection) if collection else "*",
        )
        if refused:
            raise RekognitionError(refused.code, refused.message)
        s3_object = call.parameters.get("Image", {}).get("S3Object", {})
        if {"Bucket", "Name"} <= s3_object.keys() and self._permissions.refusal(
            authorization,
            "s3:GetObjectVersion" if "Version" in s3_object else "s3:GetObject",
            f"arn:aws:s3:::{s3_object['Bucket']}/{s3_object['Name']}",
        ):
            raise RekognitionError("InvalidS3ObjectException", _S3_TROUBLE)


# --- The protocol -----------------------------------------------------------------------------


class RequestReader:
    """Turns the body of a request into parameters, checked against botocore's service model.

    As on AWS, members that the model does not know are ignored, a null member counts as absent,
    a value of the wrong JSON type is a SerializationException, and all values out of bounds are
    reported together.
    """

    def __init__(self) -> None:
        description = create_loader().load_service_model("rekognition", "service-2")
        self._model = ServiceModel(description, "rekognition")

    def read(self, operation: str, body: bytes) -> Parameters:
        """The parameters of `operation`, one of `OPERATIONS`.

        Raises
        ------
        RekognitionError
            SerializationException, InvalidParameterException or ImageTooLargeException.
        """
        shape = self._model.operation_model(operation).input_shape
        if shape is None:
            return {}
        reading = _Reading()
        parameters: Parameters = reading.value(shape, _parse_json(body), "")
        if reading.violations:
            errors = "validation error" if reading.violations == 1 else "validation errors"
            raise _invalid_parameter(
                f"{reading.violations} {errors} detected: {'; '.join(reading.first_violations)}"
            )
        return parameters


class _Reading:
    """The walk through one request: values are converted, violations of bounds collected."""

    def __init__(self) -> None:
        self.violations = 0
        self.first_violations: list[str] = []

    def value(self, shape: Shape, value: object, path: str) -> Any:  # noqa: ANN401 - it is JSON
        readers: dict[str, Callable[[Any, object, str], Any]] = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
            "string": self._string,
            "blob": self._blob,
            "integer": self._integer,
            "float": self._float,
        }
        return readers[shape.type_name](shape, value, path)

    def _structure(self, shape: StructureShape, value: object, path: str) -> Parameters:
        if not isinstance(value, dict):
            _refuse_type(value, "a structure")
        result: Parameters = {}
        for name, member in shape.members.items():
            member_path = f"{path}.{_camel(name)}" if path else _camel(name)
            if value.get(name) is not None:
                result[name] = self.value(member, value[name], member_path)
            elif name in shape.required_members:
                self._violation(None, member_path, "Member must not be null")
        return result

    def _list(self, shape: ListShape, value: object, path: str) -> list[Any]:
        if not isinstance(value, list):
            _refuse_type(value, "a list")
        self._bounds(shape, len(value), "length", "...", path)
        # What is beyond the bounds is not looked at: it can be millions of members.
        within = islice(value, shape.metadata.get("max"))
        return [
            self.value(shape.member, item, f"{path}.{number}.member")
            for number, item in enumerate(within, start=1)
        ]

    def _map(self, shape: MapShape, value: object, path: str) -> Parameters:
        if not isinstance(value, dict):
            _refuse_type(value, "a map")
        self._bounds(shape, len(value), "length", "...", path)
        return {
            self.value(shape.key, key, f"{path}.key"): self.value(
                shape.value, item, f"{path}.value"
            )
            for key, item in islice(value.items(), shape.metadata.get("max"))
        }

    def _string(self, shape: StringShape, value: object, path: str) -> str:
        if not isinstance(value, str):
            _refuse_type(value, "a String")
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON's escapes can spell
            raise RekognitionError("SerializationException", "Invalid Unicode escape") from None
        self._bounds(shape, len(value), "length", value, path)
        if shape.enum and value not in shape.enum:
            allowed = ", ".join(shape.enum)
            self._violation(value, path, f"Member must satisfy enum value set: [{allowed}]")
        pattern = shape.metadata.get("pattern")
        if pattern and not _python_pattern(pattern).fullmatch(value):
            self._violation(
                value, path, f"Member must satisfy regular expression pattern: {pattern}"
            )
        return value

    def _blob(self, shape: Shape, value: object, path: str) -> bytes:
        if not isinstance(value, str):
            _refuse_type(value, "a Blob")
        try:
            content = base64.b64decode(value, validate=True)
        except ValueError:
            raise RekognitionError(
                "SerializationException", f"'{path}' is not valid Base64"
            ) from None
        if len(content) > shape.metadata["max"]:  # every blob of these operations is an image
            raise _image_too_large()
        self._bounds(shape, len(content), "length", "...", path)
        return content

    def _integer(self, shape: Shape, value: object, path: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not _fits_32_bits(value):
            _refuse_type(value, "an Integer")
        self._bounds(shape, value, "value", value, path)
        return value

    def _float(self, shape: Shape, value: object, path: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            _refuse_type(value, "a Float")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            _refuse_type(value, "a Float")
        self._bounds(shape, number, "value", value, path)
        return number

    def _bounds(self, shape: Shape, size: float, what: str, value: object, path: str) -> None:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and size < least:
            self._violation(
                value, path, f"Member must have {what} greater than or equal to {least}"
            )
        if most is not None and size > most:
            self._violation(value, path, f"Member must have {what} less than or equal to {most}")

    def _violation(self, value: object, path: str, constraint: str) -> None:
        self.violations += 1
        if len(self.first_violations) < _SHOWN_VIOLATIONS:
            shown = "null" if value is None else f"'{str(value)[:100]}'"
            self.first_violations.append(
                f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"
            )


def _parse_json(body: bytes) -> object:
    try:
        # A list, a string or null is JSON too; the reading of the structure refuses it.
        parsed: object = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # ValueError: bad UTF-8, bad JSON, endless digits
        raise RekognitionError("SerializationException", "The request is not valid JSON") from None
    return parsed


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _refuse_type(value: object, target: str) -> NoReturn:
    match value:
        case dict():
            message = "Start of structure or map found where not expected."
        case list():
            message = "Start of list found where not expected."
        case bool():
            message = f"{str(value).upper()}_VALUE can not be converted to {target}"
        case str():
            message = f"STRING_VALUE can not be converted to {target}"
        case None:
            message = f"NULL_VALUE can not be converted to {target}"
        case _:
            message = f"NUMBER_VALUE can not be converted to {target}"
    raise RekognitionError("SerializationException", message)


def _fits_32_bits(value: int) -> bool:
    return -(2**31) <= value < 2**31


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _python_pattern(pattern: str) -> re.Pattern[str]:
    r"""A pattern of the service model, which is Java's, for Python's `re`.

    Only ``\p{..}`` is unknown to Python. Its stand-ins accept a little more (``\w`` also has
    the underscore, ``\s`` the tab); only the tags of a collection use it.
    """
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


# --- Images and face work ---------------------------------------------------------------------


class S3Images:
    """Reads images from the S3 at one address of this machine, never from AWS.

    Parameters
    ----------
    endpoint_url
        Its address; a key is the rest of the path, after the bucket's name.
    connections
        How many images are fetched at the same time, at most.
    key
        The access key that they are fetched with.

    Notes
    -----
    A request is signed by botocore and sent by urllib3 as it is. A client of botocore's computes
    five times as much for each image, which was a third of what this process did.
    """

    def __init__(self, endpoint_url: str, connections: int, key: AccessKey) -> None:
        self._endpoint_url = endpoint_url
        self._pool = urllib3.connection_from_url(
            endpoint_url,
            maxsize=connections,
            timeout=urllib3.Timeout(connect=3, read=20),
            retries=urllib3.Retry(
                total=1, redirect=0, status_forcelist=_S3_FAILURES, raise_on_status=False
            ),
        )
        self._signer = S3SigV4Auth(Credentials(key.id, key.secret), "s3", _REGION)

    def fetch(self, bucket: str, name: str, version: str | None) -> bytes:
        """The content of an object; its size is checked before it is read.

        Raises
        ------
        RekognitionError
            ImageTooLargeException; InvalidS3ObjectException when S3 refuses the object;
            InternalServerError when S3 fails or does not answer.
        """
        target = f"/{quote(bucket, safe='')}/{quote(name, safe='/~')}"
        if version is not None:
            target += f"?versionId={quote(version, safe='')}"
        request = AWSRequest("GET", self._endpoint_url + target)
        self._signer.add_auth(request)
        try:
            # Closed, not returned to the pool, unless all of it has been read.
            with closing(
                self._pool.urlopen(
                    "GET", target, headers=dict(request.headers), preload_content=False
                )
            ) as answer:
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise _internal_error()
                if answer.status != HTTPStatus.OK:
                    raise RekognitionError("InvalidS3ObjectException", _S3_TROUBLE)
                if int(answer.headers.get("Content-Length", "0")) > MAX_IMAGE_BYTES:
                    raise _image_too_large()
                content = answer.read()
                answer.release_conn()
                return content
        except urllib3.exceptions.HTTPError:
            raise _internal_error() from None


def _face_engine() -> "Callable[[bytes, int, QualityFilter], tuple[AnalysedImage, float]]":
    """In a worker: prepare what finds the faces of an image, and the processor time it takes."""
    cv2.setNumThreads(1)  # two processes with one thread each are faster than the reverse
    engine = FaceEngine()

    def analyse(
        image: bytes, max_faces: int, quality_filter: QualityFilter
    ) -> tuple[AnalysedImage, float]:
        start = time.thread_time()
        analysed = engine.detect_and_embed(
            image, max_faces=max_faces, quality_filter=quality_filter
        )
        return analysed, time.thread_time() - start

    return analyse


class FaceWorkers:
    """Processes that do the face work: see `facematch.images.workers`.

    Parameters
    ----------
    seconds
        Processor time after which an image ends its worker.

    Notes
    -----
    Such an image is remembered, and refused at once when it comes again: the caller may have
    stopped waiting for the answer and ask again, many times.
    """

    def __init__(self, count: int, *, seconds: float = DEADLINE_SECONDS) -> None:
        self._workers = Workers(count, _face_engine, seconds=seconds)
        self._seconds = seconds
        self._too_costly: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def wait_until_ready(self) -> None:
        """Start the processes now, rather than with the first image.

        Raises
        ------
        WorkerDiedError
            When one could not start.
        """
        self._workers.wait_until_ready()

    def analyse(
        self, image: bytes, max_faces: int, quality_filter: QualityFilter
    ) -> tuple[AnalysedImage, float]:
        """The faces of an image and the seconds of processor time they took.

        Raises
        ------
        UnusableImageError
        WorkerDiedError
            When the process died on the way. The next image gets a new one.
        """
        digest = hashlib.sha256(image).digest()
        too_costly = TooCostlyError(
            f"decoding it takes more than {self._seconds:g} seconds of processor time"
        )
        with self._workers.idle() as worker:
            # Not before: it may have been refused while this call waited for the worker.
            if self._is_known_as_too_costly(digest):
                raise too_costly
            try:
                return worker.run(image, max_faces, quality_filter)
            except DeadlineError:
                self._remember(digest)
                raise too_costly from None

    def _is_known_as_too_costly(self, digest: bytes) -> bool:
        with self._lock:
            return digest in self._too_costly

    def _remember(self, digest: bytes) -> None:
        with self._lock:
            self._too_costly[digest] = None
            if len(self._too_costly) > _REMEMBERED:
                self._too_costly.popitem(last=False)

    def close(self) -> None:
        """End the processes."""
        self._workers.close()


# --- The operations ---------------------------------------------------------------------------


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
            logger.error("%s: the database of faces: %s", call.operation, error)  # noqa: TRY400
            raise _internal_error() from None

    def health(self) -> dict[str, Any]:
        """Counters, and the worker processes' ids, for whoever supervises this process."""
        with self._counters_lock:
            counters = asdict(self._counters)
        workers = [process.pid for process in multiprocessing.active_children()]
        return {
            "status": "ok",
            **counters,
            "faces": self._store.count_faces(),
            "worker_process_ids": workers,
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


def _invalid_image_format(reason: str = "") -> RekognitionError:
    """AWS's sentence; AWS gives no reason, and does not refuse what it is about."""
    sentence = "Request has invalid image format"
    return RekognitionError(
        "InvalidImageFormatException", f"{sentence}: {reason}." if reason else sentence
    )


def _image_too_large() -> RekognitionError:
    return RekognitionError(
        "ImageTooLargeException", "The input image size exceeds the allowed limit."
    )


def _arn(collection_id: str) -> str:
    return f"arn:aws:rekognition:{_REGION}:{_ACCOUNT}:collection/{collection_id}"


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


# --- The server -------------------------------------------------------------------------------


class Endpoint:
    """The ASGI application: AWS JSON 1.1 at every address, GET /health beside it.

    Parameters
    ----------
    indexing_limit
        How many images may be fetched and analysed at a time; the others wait their turn.
    guards
        Asked in this order before every operation.
    """

    def __init__(
        self, service: Rekognition, *, indexing_limit: int, guards: Iterable[Guard] = ()
    ) -> None:
        self._service = service
        self._reader = RequestReader()
        self._guards = tuple(guards)
        self._indexing = anyio.CapacityLimiter(indexing_limit)
        self.app = Starlette(routes=[Route("/health", self._health), Mount("/", app=self._answer)])

    async def _health(self, request: Request) -> Response:  # noqa: ARG002 - Starlette passes it
        return JSONResponse(await anyio.to_thread.run_sync(self._service.health))

    async def _answer(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        request = Request(scope, receive)
        request_id = str(uuid.uuid4())
        operation = "an unknown operation"
        try:
            operation = _operation(request)
            body = await _read_body(request)
            limiter = self._indexing if operation == "IndexFaces" else None
            status, answer = (
                200,
                await anyio.to_thread.run_sync(
                    self._perform, operation, body, request.headers, limiter=limiter
                ),
            )
        except ClientDisconnect:
            return
        except RekognitionError as error:
            logger.warning("%s: %s (request %s)", operation, error.code, request_id)
            status, answer = error.status, _error_json(error, request_id)
        except Exception as error:  # noqa: BLE001 - whatever happens, the client hears it as of AWS
            _log_bug(operation, error, request_id)
            status, answer = 500, _error_json(_internal_error(), request_id)
        response = Response(
            json.dumps(answer),
            status,
            headers={"x-amzn-RequestId": request_id},
            media_type="application/x-amz-json-1.1",
        )
        await response(scope, receive, send)

    def _perform(self, operation: str, body: bytes, headers: Mapping[str, str]) -> Parameters:
        call = Call(operation, self._reader.read(operation, body), headers)
        for guard in self._guards:
            guard(call)
        return self._service.perform(call)


def _log_bug(operation: str, error: Exception, request_id: str) -> None:
    # An exception's message can carry names and keys; the places in the code cannot.
    frames = traceback.extract_tb(error.__traceback__)
    places = " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    logger.error("%s: %s at %s (request %s)", operation, type(error).__name__, places, request_id)


def _error_json(error: RekognitionError, request_id: str) -> Parameters:
    return {
        "__type": error.code,
        "Code": error.code,
        "Logref": request_id,
        "Message": error.message,
    }


def _operation(request: Request) -> str:
    prefix, _, name = request.headers.get("x-amz-target", "").partition(".")
    if request.method != "POST" or prefix != _TARGET_PREFIX or name not in OPERATIONS:
        raise RekognitionError(
            "UnknownOperationException",
            f"The local Rekognition answers POST with an X-Amz-Target of {_TARGET_PREFIX}. and "
            f"one of: {', '.join(OPERATIONS)}.",
        )
    return name


async def _read_body(request: Request) -> bytes:
    size = 0
    body = bytearray()
    if int(request.headers.get("content-length", "0")) > _MAX_DISCARDED:
        raise _image_too_large()
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_DISCARDED:
            raise _image_too_large()
        if size <= _MAX_BODY:
            body += chunk
    if size > _MAX_BODY:  # only an image can make a request that long
        raise _image_too_large()
    return bytes(body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, Ctrl-C or, with ``--watch-stdin``, the end of the standard input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for library in ("botocore", "urllib3"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # their warnings name keys
    for number in (signal.SIGINT, signal.SIGTERM):
        # Uvicorn stops orderly on these, then raises them again: leave through the `finally`s.
        signal.signal(number, lambda *_: sys.exit(0))
    _forget_aws_settings()
    try:
        return _serve(options)
    except _CannotStartError as error:
        print(error, file=sys.stderr)
        return 1


class _CannotStartError(Exception):
    pass


def _serve(options: argparse.Namespace) -> int:
    address = f"http://127.0.0.1:{options.port}"
    try:
        keys = AccessKeys.read(options.keys)
        check_model_files()
        listener = (
            socket.create_server(("127.0.0.1", options.port), backlog=256)
            if options.listener is None
            else socket.socket(fileno=options.listener)
        )
        # asyncio does so only for sockets that it has made itself. Without it every answer waits
        # 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (NoAccessKeysError, ModelFilesError) as error:
        raise _CannotStartError(str(error)) from None
    except OSError as error:
        raise _CannotStartError(
            f"{address} cannot be used ({error.strerror}). Stop what listens there, or choose "
            "another --port."
        ) from None
    injector = Injector.told(options.faults)
    try:
        store = CollectionStore(
            options.database, findable_after=injector.plan.findable_after if injector else 0.0
        )
    except OtherModelError as other:
        raise _CannotStartError(
            f"The faces in {options.database} were made by the face model {other}, and this is "
            f"{FACE_MODEL_VERSION}: they cannot be compared. Empty the local cloud (facematch "
            "local reset) and upload the photographs again, or go back to the version of this "
            "software that made them."
        ) from None
    except (sqlite3.Error, OSError) as error:
        raise _CannotStartError(
            f"The database {options.database} cannot be used ({error}). Stop the other endpoint, "
            "if one has it open; else move the file away to start with empty collections."
        ) from None
    workers = FaceWorkers(options.workers)
    try:
        workers.wait_until_ready()
        indexing_limit = 4 * options.workers
        endpoint = Endpoint(
            Rekognition(store, workers, S3Images(options.s3_endpoint, indexing_limit, keys.user)),
            indexing_limit=indexing_limit,
            guards=_guards(options, keys.user),
        )
        server = uvicorn.Server(
            uvicorn.Config(
                guarded(
                    FaultyCalls(endpoint.app, injector, called_at_rekognition)
                    if injector
                    else endpoint.app,
                    keys,
                ),
                lifespan="off",
                proxy_headers=False,
                access_log=False,
                log_level="warning",
                ws="none",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=10,
            )
        )
        if options.watch_stdin:
            threading.Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
        print(
            f"The local Rekognition listens on http://127.0.0.1:{listener.getsockname()[1]}.",
            flush=True,
        )
        server.run(sockets=[listener])
    except WorkerDiedError:
        raise _CannotStartError(
            "A face worker process could not start. Mend what its error, above, says."
        ) from None
    finally:
        workers.close()
        store.close()
    return 0


def _guards(options: argparse.Namespace, key: AccessKey) -> Iterable[Guard]:
    if options.iam_endpoint:
        yield CallersRights(Permissions(options.iam_endpoint, key))
    if options.calls_per_second:
        yield CallsPerSecond(options.calls_per_second)


def _stop_at_end_of_stdin(server: uvicorn.Server) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True


def _forget_aws_settings() -> None:
    """Keep the user's profiles, regions, endpoints and credentials out of this process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m facematch.local.rekognition",
        description="A Rekognition endpoint on this machine, with real face work.",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--port", type=_port, help="0 takes a free one")
    place.add_argument(
        "--listener",
        type=int,
        metavar="FILE_DESCRIPTOR",
        help="a socket that listens already, inherited",
    )
    parser.add_argument(
        "--s3-endpoint",
        type=_loopback_url,
        required=True,
        help="where the images are; only an address of this machine is accepted",
    )
    parser.add_argument("--keys", type=Path, required=True, help="the file of the access keys")
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file of the faces")
    parser.add_argument("--workers", type=_positive, default=2, help="processes for the face work")
    parser.add_argument(
        "--calls-per-second",
        type=_rate,
        help="a quota, of IndexFaces and of SearchFaces each; without it there is none",
    )
    parser.add_argument(
        "--iam-endpoint",
        type=_loopback_url,
        help="the emulator to ask what a caller may do; without it everybody may do everything",
    )
    parser.add_argument(
        "--faults",
        nargs=2,
        type=Path,
        metavar=("PLAN", "LOG"),
        help="what goes wrong on purpose, and where each time is written down",
    )
    parser.add_argument(
        "--watch-stdin", action="store_true", help="stop when the standard input ends"
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is not a port; they go from 0 to {_LAST_PORT}.")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of processes.")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of calls per second.")
    return rate


def _loopback_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
        parts = urlsplit("")
    if not local or parts.scheme not in {"http", "https"}:
        raise argparse.ArgumentTypeError(
            f"{text} is not an address of this machine, such as http://127.0.0.1:4566. The local "
            "Rekognition reads images from the local S3 only, never from AWS."
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
