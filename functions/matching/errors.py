"""The two kinds of error that the state machine tells apart, and every reason for the first.

`ImageRejected` is the image's own fault and never retried; `Unavailable` is a service's fault and
is. Anything else is a bug: it leaves the execution FAILED at its step, to be redriven once fixed.
Lambda reports an exception under its class name, which is what Retry and Catch match.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an image can never succeed as it is."""

    NOT_JPEG_OR_PNG = "NOT_JPEG_OR_PNG"
    CUT_OFF = "CUT_OFF"
    TOO_LARGE = "TOO_LARGE"
    TOO_SMALL = "TOO_SMALL"
    GONE = "GONE"
    SUPERSEDED = "SUPERSEDED"
    KEY_UNUSABLE = "KEY_UNUSABLE"
    UNNAMED = "UNNAMED"
    SEVERAL_PEOPLE = "SEVERAL_PEOPLE"


class ImageRejected(Exception):  # noqa: N818 - the name that Retry and Catch match
    """An image that can never succeed as it is.

    The message carries the reason, the version's digest and figures, but neither key nor name:
    Lambda writes it to the log. The sentence for people is made with the failure record.
    """

    def __init__(self, reason: Reason, digest: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason} {digest}" + (f" {detail}" if detail else ""))


class Unavailable(Exception):  # noqa: N818 - the name that Retry and Catch match
    """A service throttled, failed or did not answer: the same call may succeed later."""


class CollectionFull(Exception):  # noqa: N818 - the name that the failure record knows
    """The collection holds as many faces as the account's quota allows; no image is at fault."""


def rejection_in(message: str) -> tuple[Reason, str] | None:
    """Reason and detail out of the message of an `ImageRejected`, or None when it is not one."""
    reason, _, rest = message.partition(" ")
    if reason not in Reason.__members__:
        return None
    return Reason(reason), rest.partition(" ")[2]
