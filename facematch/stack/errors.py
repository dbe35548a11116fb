"""What AWS answered when it refused or could not be asked, as a sentence with a remedy."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from facematch.errors import Actionable, Unusable
from facematch.text import local_command
from functions.aws.clients import error_code, is_transient
from functions.matching.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

#: What a client of AWS raises; `explained` makes a sentence of each.
AWS_ERRORS: Final = (BotoCoreError, ClientError)
_DENIED: Final = re.compile(r"AccessDenied|NotAuthorized|Unauthorized|AuthorizationError|^403$")
#: What AWS calls its reasons, and what to do; the first that fits counts. S3 and the services that
#: speak JSON, XML or Query each have names of their own for the same.
_REMEDIES: Final = (
    (
        _DENIED,
        "Ask for that right, or choose other credentials with --profile.",
    ),
    (
        re.compile(r"Expired"),
        "Sign in again (aws sso login, or however you got these credentials), then repeat the "
        "command.",
    ),
    (
        re.compile(r"RequestTimeTooSkewed|RequestInTheFuture"),
        "Set this machine's clock right, then repeat the command.",
    ),
    (
        re.compile(
            r"InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch|"
            r"InvalidSignature|IncompleteSignature|MissingAuthenticationToken|AuthFailure|"
            r"InvalidToken|OptInRequired"
        ),
        "Mend the credentials (aws configure), choose others with --profile, or name a region that "
        "is switched on for the account with --region.",
    ),
    (
        re.compile(r"^NoSuch|NotFound|DoesNotExist|NonExistent"),
        "If it was part of the stack, deploy that again (make deploy); if there is another, name "
        "it with --stack, --profile and --region.",
    ),
)
#: With these a call has not reached AWS. A timeout is not among them: it may have been an answer
#: that got lost.
NEVER_SENT: Final = (
    *(NoCredentialsError, PartialCredentialsError, CredentialRetrievalError),
    *(SSOError, TokenRetrievalError, NoRegionError, InvalidRegionError, ParamValidationError),
    *(EndpointConnectionError, ProxyConnectionError, SSLError),
)
_LATER: Final = "Wait a minute, then repeat the command."
_OTHERWISE: Final = "Mend what it says, then repeat the command."
_LOOPBACK: Final = re.compile(r"https?://127\.0\.0\.1[:/]")


def explained(error: BotoCoreError | ClientError) -> Actionable:
    """What AWS refused, or why it was not even asked, and what to do."""
    if isinstance(error, BotoCoreError):
        return _not_asked(error)
    code = error_code(error)
    said = str(error.response.get("Error", {}).get("Message") or "no reason given")
    by_code = (remedy for pattern, remedy in _REMEDIES if pattern.search(code))
    remedy = _LATER if is_transient(error) else next(by_code, _OTHERWISE)
    return Actionable(f"AWS refused {error.operation_name} ({code}): {said.rstrip('.')}. {remedy}")


def if_allowed(ask: Callable[[], T]) -> T | None:
    """Return what AWS answers; None if the caller lacks the right to ask."""
    try:
        return ask()
    except ClientError as error:
        if _DENIED.search(error_code(error)):
            return None
        raise


@contextmanager
def actionable() -> Iterator[None]:
    """Raise `Actionable` in place of `Unavailable`, which the code of the functions raises."""
    try:
        yield
    except Unavailable as error:
        raise Actionable(
            f"AWS did not answer in time ({error}). Wait a minute, then repeat the command."
        ) from None


def _not_asked(error: BotoCoreError) -> Actionable:
    said = str(error).rstrip(".")
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return Unusable(
                f"There are no AWS credentials to work with: {said}. Sign in (aws sso login, aws "
                "configure) or name a profile with --profile."
            )
        case ProfileNotFound():
            return Unusable(f"{said}. Name one of those that `aws configure list-profiles` lists.")
        case NoRegionError() | InvalidRegionError():
            return Unusable(f"{said}. Name the stack's region with --region, or set AWS_REGION.")
        case SSOError() | TokenRetrievalError() | CredentialRetrievalError():
            remedy = "Sign in again (aws sso login), then repeat the command."
        case ConnectionError() | HTTPClientError() if _LOOPBACK.search(said):
            remedy = (
                f"Start the local cloud anew: {local_command('stop')} && {local_command('start')}"
            )
        case ConnectionError() | HTTPClientError():
            remedy = (
                "Check the network, the proxy and the region (--region), then repeat the command."
            )
        case _:
            remedy = _OTHERWISE
    return Actionable(f"AWS could not be asked: {said}. {remedy}")
