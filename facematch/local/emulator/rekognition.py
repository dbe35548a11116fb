"""Rekognition at the emulator's address, so that a client needs one URL for all services.

The emulator has no Rekognition. This module hands its calls on to our endpoint
(`facematch.local.rekognition`) as the caller sent them. The endpoint checks the caller's access key
and rights as it does at its own address.
"""

from __future__ import annotations

import functools
import json
import uuid
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request

from facematch.local.rekognition.bodies import MAX_BODY, read_body
from facematch.text import local_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Headers = list[tuple[bytes, bytes]]

_TARGET: Final = b"RekognitionService."
#: More wait their turn; the endpoint itself works on fewer.
_CALLS_AT_A_TIME: Final = 32
#: As long as AWS's own clients wait for an answer.
_SECONDS: Final = 60.0
#: Each connection has its own.
_OF_A_CONNECTION: Final = frozenset(
    {b"connection", b"expect", b"keep-alive", b"transfer-encoding", b"upgrade"}
)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Headers
    body: bytes
    is_whole: bool = True


def with_rekognition(
    app: Callable[..., Any], port: int, *, seconds: float = _SECONDS
) -> Callable[..., Any]:
    """Return the application with the operations of Rekognition in front.

    Parameters
    ----------
    app
        An ASGI application, which gets every other request.
    port
        The port of the Rekognition endpoint, on 127.0.0.1.
    seconds
        Time that the endpoint has for an answer.
    """
    calls = anyio.CapacityLimiter(_CALLS_AT_A_TIME)

    async def front(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http" or not _is_for_rekognition(scope):
            await app(scope, receive, send)
            return
        try:
            body = await read_body(Request(scope, receive))
        except ClientDisconnect:
            return
        if body is None:
            body = bytes(MAX_BODY + 1)  # which the endpoint refuses in its own words
        ask = functools.partial(_answer, port, seconds, scope["headers"], body)
        # In a thread of anyio: asyncio's must stay free, because the endpoint asks the emulator for
        # images and rights meanwhile. And anyio's do not keep the emulator from ending.
        answer = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=calls)
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await send(start)
        # An answer that was cut off stays so: the server closes a connection where more is due.
        more = not answer.is_whole
        await send({"type": "http.response.body", "body": answer.body, "more_body": more})

    return front


def _is_for_rekognition(scope: Any) -> bool:  # noqa: ANN401 - ASGI
    return scope["method"] == "POST" and any(
        name == b"x-amz-target" and value.startswith(_TARGET) for name, value in scope["headers"]
    )


def _answer(port: int, seconds: float, headers: Headers, body: bytes) -> _Answer:
    try:
        return _asked(port, seconds, headers, body)
    except (OSError, HTTPException):
        return _unavailable()


def _asked(port: int, seconds: float, headers: Headers, body: bytes) -> _Answer:
    with closing(HTTPConnection("127.0.0.1", port, timeout=seconds)) as connection:
        connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
        for name, value in _handed_on(headers):
            if name != b"content-length":
                connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        given = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in answer.getheaders()
        ]
        try:
            return _Answer(answer.status, _handed_on(given), answer.read())
        except IncompleteRead as cut_off:
            return _Answer(answer.status, _handed_on(given), cut_off.partial, is_whole=False)


def _handed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name, value) for name, value in headers if name not in _OF_A_CONNECTION]


def _unavailable() -> _Answer:
    code = "ServiceUnavailableException"
    message = (
        "The face engine of the local cloud does not answer. See what happened to it with: "
        f"{local_command('status')}"
    )
    body = json.dumps({"__type": code, "Code": code, "Message": message}).encode()
    headers = [
        (b"content-type", b"application/x-amz-json-1.1"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
    ]
    return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers, body)
