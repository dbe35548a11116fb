"""Fetches images from S3 and analyses faces in processes of their own."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import cv2
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from facematch.images.limits import DEADLINE_SECONDS, TooCostlyError
from facematch.images.workers import DeadlineError, Workers
from facematch.local.rekognition.faces import AnalysedImage, FaceEngine, QualityFilter
from facematch.local.rekognition.protocol import (
    _REGION,
    RekognitionError,
    _image_too_large,
    _internal_error,
)
from functions.matching.images import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.local.keys import AccessKey

# Images that were too costly.
_REMEMBERED = 10_000
_S3_FAILURES = (500, 502, 503, 504)
_S3_TROUBLE = (
    "Unable to get object metadata from S3. Check object key, region and/or access permissions."
)


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


def _face_engine() -> Callable[[bytes, int, QualityFilter], tuple[AnalysedImage, float]]:
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
