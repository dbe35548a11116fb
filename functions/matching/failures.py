"""Failure records: what went wrong with an image, and what a person can do about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from functions.matching.errors import CollectionFull, Reason, Unavailable, rejection_in
from functions.matching.identity import identity_in
from functions.matching.images import MAX_IMAGE_BYTES, Subject, timestamp
from functions.matching.reports import is_above_threshold
from functions.matching.settings import FACES_AT_MOST, FACES_BY_DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


SCHEMA_VERSION: Final = 1


class FailureStatus(StrEnum):
    """REJECTED: the image is at fault. Otherwise how Step Functions ended the execution."""

    REJECTED = "REJECTED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


class Replay(StrEnum):
    """What a replay can do: resume at the failed step, or nothing until the image is changed."""

    REDRIVE = "REDRIVE"
    NONE = "NONE"


class Lacking(StrEnum):
    """What an execution that ended badly still owes to its object version."""

    OUTCOME = "OUTCOME"
    DELIVERY = "DELIVERY"


#: The states that come after the one that writes the report.
AFTER_THE_REPORT: Final = frozenset({"AboveThreshold", "NotifyMatch", "Done"})


def lacking(
    report: Mapping[str, Any] | None, *, execution_arn: str, step: str | None
) -> Lacking | None:
    """Return what a version lacks because an execution ended badly; None when it lacks nothing.

    A report wins over a failure, but only the execution that wrote it can deliver its notification.
    A report that was written and is not there any more has left with its photograph.

    Parameters
    ----------
    report
        The version's report, of any schema version; None when there is none.
    step
        State in which the execution ended; None when it ended before the first.
    """
    if report is None:
        return None if step in AFTER_THE_REPORT else Lacking.OUTCOME
    owed = report.get("execution_arn") == execution_arn and is_above_threshold(report)
    return Lacking.DELIVERY if owed else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """How an execution ended.

    Attributes
    ----------
    step
        State in which it ended; None when it ended before the first.
    error, cause
        As Step Functions reports them; None when it reports none, as for an aborted execution.
    failed_at
        UTC.
    """

    status: FailureStatus
    step: str | None
    error: str | None
    cause: str | None
    execution_arn: str
    failed_at: datetime


_REJECTIONS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.NOT_JPEG_OR_PNG: (
        "is not a JPEG or PNG image that can be decoded, or takes too long to decode",
        "Save it anew as a JPEG or PNG image, and upload it again.",
    ),
    Reason.CUT_OFF: (
        "is cut off: its end is missing",
        "Upload it again from the original: what arrived is only a part of it.",
    ),
    Reason.TOO_LARGE: (
        f"is larger than Rekognition accepts ({MAX_IMAGE_BYTES:,} bytes), or has too many pixels",
        "Scale it down or compress it, and upload it again.",
    ),
    Reason.TOO_SMALL: (
        "was refused for its dimensions: each side needs at least 80 pixels",
        "Upload a larger version of it.",
    ),
    Reason.GONE: (
        "was deleted before it could be indexed",
        "Nothing, if that was meant. Otherwise upload it again.",
    ),
    Reason.SUPERSEDED: (
        "was overwritten before this version could be indexed",
        "Nothing: the newer version has an execution and an outcome of its own.",
    ),
    Reason.KEY_UNUSABLE: (
        "has a key that does not fit into Rekognition's ExternalImageId (255 characters)",
        "Copy the object to a shorter key: plain letters, digits, '-', '_' and '.' take one "
        "character each, a slash two; about 185 bytes always fit.",
    ),
    Reason.UNNAMED: (
        "has a key from which names_from reads no person's name",
        "Rename the object, or set names_from to a rule that fits your keys and deploy again.",
    ),
    Reason.SEVERAL_PEOPLE: (
        "is not indexed, because the setting several_faces is reject",
        "Crop it to the person whom its key names, and upload it again.",
    ),
}

_UNKNOWN_REJECTION: Final = (
    "was rejected for a reason that this version of the failure function does not know",
    "Read the cause, which names the reason; deploy all functions from the same version.",
)

_SERVICE_TROUBLE: Final = (
    "A service throttled or failed, longer than the retries lasted.",
    "Redrive the execution: it resumes at this step. If many fail so, lower starts_per_second or "
    "ask for a higher Rekognition quota.",
)
_ACCESS: Final = (
    "A call was denied, or something that the step needs does not exist.",
    "Read the cause; restore the permission or the resource, then redrive the execution.",
)
_CALL_DENIED: Final = (
    "The state machine may not call the step's function.",
    "Read the cause; restore lambda:InvokeFunction of the state machine's role, or the function's "
    "key, by deploying the stack again. Then redrive the execution.",
)
_DENIED: Final = re.compile(r"Status Code: 403\b|AccessDeniedException")
_OTHER: Final[dict[str, tuple[str, str]]] = {
    Unavailable.__name__: _SERVICE_TROUBLE,
    "Lambda.TooManyRequestsException": _SERVICE_TROUBLE,
    "Lambda.ServiceException": _SERVICE_TROUBLE,
    "Lambda.AWSLambdaException": _SERVICE_TROUBLE,
    "Lambda.SdkClientException": _SERVICE_TROUBLE,
    "Lambda.ClientExecutionTimeoutException": _SERVICE_TROUBLE,
    "Lambda.Unknown": _SERVICE_TROUBLE,
    "AccessDeniedException": _ACCESS,
    "ResourceNotFoundException": _ACCESS,
    "InvalidS3ObjectException": _ACCESS,
    "ClientError": _ACCESS,
    CollectionFull.__name__: (
        "The face collection is full: it holds as many faces as the account's quota allows, "
        f"{FACES_BY_DEFAULT:,} unless it was raised.",
        "Ask for more faces in a collection (Service Quotas, Amazon Rekognition; "
        f"{FACES_AT_MOST:,} at most), or delete photographs that nobody needs; then redrive the "
        "execution: it resumes at this step.",
    ),
    "Lambda.ResourceNotFoundException": (
        "The step's function, or the version of it that the state machine calls, does not exist.",
        "Deploy the stack again, then replay the execution.",
    ),
    "Lambda.KMSAccessDeniedException": _CALL_DENIED,
    "Lambda.KMSDisabledException": _CALL_DENIED,
    "Lambda.KMSInvalidStateException": _CALL_DENIED,
    "Lambda.KMSNotFoundException": _CALL_DENIED,
    # Of SNS (Amazon SNS API Reference, Publish).
    "NotFoundException": _ACCESS,
    "AuthorizationErrorException": _ACCESS,
    "KMSAccessDeniedException": _ACCESS,
    "KMSDisabledException": _ACCESS,
    "KMSInvalidStateException": _ACCESS,
    "KMSNotFoundException": _ACCESS,
    "KMSOptInRequired": _ACCESS,
    "Sandbox.Timedout": (
        "The function ran into its timeout.",
        "Redrive the execution. If it times out again, look at the function's log for what hangs.",
    ),
    # Never on AWS: what the local cloud's emulator says at its next start.
    "States.ServiceRestart": (
        "The local cloud was stopped while it ran.",
        "Redrive the execution: it resumes at this step.",
    ),
}
_BY_STATUS: Final[dict[FailureStatus, tuple[str, str]]] = {
    FailureStatus.TIMED_OUT: (
        "The execution took longer than the state machine allows.",
        "Redrive the execution: it resumes at this step.",
    ),
    FailureStatus.ABORTED: (
        "Somebody stopped the execution.",
        "Nothing, if that was meant. Otherwise redrive the execution: it resumes at this step.",
    ),
    FailureStatus.FAILED: (
        "The step failed with an error that it does not know: a bug, or a wrong deployment.",
        "Look at the step's log for this digest, mend the function and deploy it, then redrive "
        "the execution: it resumes at this step with the new code.",
    ),
}


def failure_record(
    image: Subject,
    failure: Failure,
    *,
    names_from: re.Pattern[str],
    lacking: Lacking = Lacking.OUTCOME,
) -> dict[str, Any]:
    """The failure record, as it is written."""
    shown = identity_in(image.key, names_from)
    rejected = failure.status is FailureStatus.REJECTED
    reason, detail = rejection_in(error_message(failure.cause or "")) or (None, "")
    if rejected:
        fault, remedy = _REJECTIONS[reason] if reason else _UNKNOWN_REJECTION
        message = f"{image.uri} {fault}" + (f": {detail}." if detail else ".")
    else:
        fault, remedy = _fault(failure)
        undelivered = " has a match, but nobody was notified" * (lacking is Lacking.DELIVERY)
        message = f"{image.uri}{undelivered}: {fault}"
    return {
        "schema_version": SCHEMA_VERSION,
        **image.columns,
        "name": shown.name if shown else None,
        "record": shown.record if shown else None,
        "status": failure.status,
        "reason": (reason if rejected else None) or failure.error or failure.status,
        "step": failure.step,
        "error": failure.error,
        "cause": _cause(failure, rejected=rejected),
        "message": message,
        "remedy": remedy,
        "replay": Replay.NONE if rejected else Replay.REDRIVE,
        "execution_arn": failure.execution_arn,
        "failed_at": timestamp(failure.failed_at),
    }


def _fault(failure: Failure) -> tuple[str, str]:
    """Return what went wrong with an execution that was not rejected, and what to do about it."""
    # Step Functions names a denied call as it names a service that failed.
    if failure.error == "Lambda.AWSLambdaException" and _DENIED.search(failure.cause or ""):
        return _CALL_DENIED
    return _OTHER.get(failure.error or "", _BY_STATUS[failure.status])


#: A cause has up to 32,768 characters, most of them a traceback of the library's own.
_CAUSE_LIMIT: Final = 4000


def _cause(failure: Failure, *, rejected: bool) -> str | None:
    if failure.cause is None:
        return None
    return error_message(failure.cause) if rejected else failure.cause[:_CAUSE_LIMIT]


def error_message(cause: str) -> str:
    """The message out of a Lambda task's cause, which is the error as JSON."""
    try:
        error = json.loads(cause)
    except (ValueError, RecursionError):
        return cause
    return str(error.get("errorMessage", cause)) if isinstance(error, dict) else cause
