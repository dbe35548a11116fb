"""The bodies of requests to Rekognition, and how much of them is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

#: An inline image of 5 MB in base64, and room for the rest of a request.
MAX_BODY: Final = 8 * 1024 * 1024
# A longer body is read to its end and thrown away, because a client that is still sending does
# not see the answer; but not without a limit.
_MAX_DISCARDED: Final = 64 * 1024 * 1024


async def read_body(request: Request) -> bytes | None:
    """Return the body; None if it is longer than `MAX_BODY`.

    Raises
    ------
    ClientDisconnect
        When the client hangs up before its end.
    """
    if int(request.headers.get("content-length", "0")) > _MAX_DISCARDED:
        return None
    size = 0
    body = bytearray()
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_DISCARDED:
            return None
        if size <= MAX_BODY:
            body += chunk
    return bytes(body) if size <= MAX_BODY else None
