"""Clients of AWS services, and the one translation of their errors into the domain's."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import botocore
from botocore import handlers, utils
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004
from botocore.session import get_session

from functions.matching.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from botocore.session import Session

# Of botocore, but not of its documented interface. Lambda brings botocore along, and may change its
# version under a function that is deployed: without these a call computes more, and goes on.
_add_expect_header: Final[Any] = getattr(handlers, "add_expect_header", None)
_add_trace_header: Final[Any] = getattr(handlers, "add_recursion_detection_header", None)
_parse_timestamp: Final[Any] = getattr(utils, "parse_timestamp", None)


def _moment(value: Any) -> datetime:  # noqa: ANN401 - whatever a service writes
    """A moment as a service writes it.

    botocore has each guessed by dateutil, a tenth of what a HEAD request computes; the dates in
    the headers of HTTP all have one form (RFC 9110, section 5.6.7).
    """
    if isinstance(value, str) and value.endswith(" GMT"):
        return parsedate_to_datetime(value)
    found: datetime = _parse_timestamp(value)
    return found


def _new_session() -> Session:
    made = get_session()
    if _parse_timestamp:
        with suppress(AttributeError, TypeError, ValueError):  # ValueError: no such component
            factory = made.get_component("response_parser_factory")
            factory.set_parser_defaults(timestamp_parser=_moment)
    return made


#: boto3 would add resources and transfers, which nobody here uses, and a tenth to a cold start.
#: One session, so that the clients share what it has read.
session: Final = _new_session()
#: Few, since the state machine retries too, with longer waits and where people can see it.
ATTEMPTS: Final = 2
_CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    # Else it is put together twice for each call, a tenth of what a call computes.
    user_agent=f"FaceMatching Botocore/{botocore.__version__}",
)
_THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "KMSThrottlingException",
        "KMS.ThrottlingException",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
#: S3 knows no such key or version (404), or the version is a delete marker (405).
ABSENT: Final = frozenset({"404", "405", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed"})
#: The caller lacks a right.
DENIED: Final = frozenset({"403", "AccessDenied", "AccessDeniedException"})
_SERVER_ERROR: Final = 500


def client(service: str) -> Any:  # noqa: ANN401 - each service has a type of its own
    """A client for `service`.

    Raises
    ------
    RuntimeError
        On the local cloud, when the endpoint is unset or is not on this machine: nothing may
        reach the real AWS from there by accident.
    """
    made = session.create_client(service, config=_CONFIG)
    if service == "s3" and _add_expect_header:
        # Else each PutObject asks first whether it may send its body (Expect: 100-continue): a
        # round trip more, for a few kilobytes.
        made.meta.events.unregister("before-call.s3", _add_expect_header)
    if service == "stepfunctions" and _add_trace_header:
        made.meta.events.unregister("before-call", _add_trace_header)
        made.meta.events.register("before-call", _continue_a_trace)
    if os.environ.get("FACEMATCH_LOCAL"):
        _require_loopback(service, made.meta.endpoint_url)
    return made


def _continue_a_trace(params: dict[str, Any], **kwargs: Any) -> None:
    """Tell Step Functions of the trace that this invocation is part of, if it is recorded.

    Whoever comes first decides whether a trace is recorded, and all after it follow (AWS X-Ray
    Developer Guide, Configuring sampling rules). Lambda passes on the id of an invocation that is
    not traced, too, at times as a decision against it: ``Sampled=0``. The starter is not traced by
    itself, so no execution ever would be.
    """
    if "Sampled=1" in os.environ.get("_X_AMZN_TRACE_ID", ""):
        _add_trace_header(params, **kwargs)


@contextmanager
def availability() -> Iterator[None]:
    """Raise `Unavailable` for what may succeed later: throttling, a failed or silent service.

    Every other error passes: the caller knows whether it is the image's fault, and what nobody
    claims is a bug or a missing permission, which retrying does not mend.
    """
    try:
        yield
    except ClientError as error:
        if is_transient(error):
            # Not `from error`: its text may name the object, and so a person, in the log.
            raise Unavailable(f"{error.operation_name}: {error_code(error)}") from None
        raise
    except (HTTPClientError, ConnectionError) as error:
        raise Unavailable(f"no answer from a service: {type(error).__name__}") from None


def error_code(error: ClientError) -> str:
    """The service's name for the error; for a HEAD request, which has no body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_transient(error: ClientError) -> bool:
    """Whether the same call may succeed later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error_code(error) in _THROTTLED or status >= _SERVER_ERROR


def _require_loopback(service: str, endpoint: str) -> None:
    """Look at what the client will really call, however it came to it."""
    if urlsplit(endpoint).hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise RuntimeError(
            f"FACEMATCH_LOCAL is set: refusing to call {service} at {endpoint}, which is not on "
            "this machine. Set AWS_ENDPOINT_URL to the local cloud's endpoint."
        )
