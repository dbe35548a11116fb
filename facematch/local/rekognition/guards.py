"""What stands before an operation: the quota, and the rights of who calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from facematch.local.rekognition.protocol import IMAGES, Call, RekognitionError, _arn
from facematch.local.rekognition.rate_limits import TokenBucket
from facematch.local.rekognition.workers import _S3_TROUBLE

if TYPE_CHECKING:
    from facematch.local.permissions import Permissions

Guard = Callable[[Call], None]


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
        for image in IMAGES:
            s3_object = call.parameters.get(image, {}).get("S3Object", {})
            if {"Bucket", "Name"} <= s3_object.keys() and self._permissions.refusal(
                authorization,
                "s3:GetObjectVersion" if "Version" in s3_object else "s3:GetObject",
                f"arn:aws:s3:::{s3_object['Bucket']}/{s3_object['Name']}",
            ):
                raise RekognitionError("InvalidS3ObjectException", _S3_TROUBLE)
