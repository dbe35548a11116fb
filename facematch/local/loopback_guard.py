"""Who is let into the local cloud, on both of its ports, before anything else looks at a request.

The emulator runs code on request, and every process of the machine reaches its ports: another
user's, and each page that is open in a browser. A page can call 127.0.0.1 with a form, by a
redirect, or under a name of its own that it points there (DNS rebinding), so that the answers count
as its own.

- What a browser sends is refused, whatever else it carries.
- Everybody else must know an access key of this local cloud (`facematch.local.keys`).
"""

from __future__ import annotations

import functools
import hmac
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from facematch.local.keys import AccessKeys

_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
#: Of a bucket that is part of the host's name. Browsers and systems keep it on this machine
#: (RFC 6761, section 6.3).
_BELOW: Final = ".localhost"
_REMEDY: Final = (
    "The request carries no access key of this local cloud. Set it in your shell with: "
    'eval "$(facematch local env)"'
)


def guarded(app: Callable[..., Any], keys: AccessKeys) -> Callable[..., Any]:
    """Return the application behind the front.

    Parameters
    ----------
    app
        An ASGI application.
    keys
        Of this local cloud.
    """
    user, functions = keys.user.id.encode(), keys.functions.id.encode()
    length = len(functions)

    async def front(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = scope["headers"]
        why, authorizations = _of_a_browser(headers)
        if why:
            await _refuse_page(send, why)
            return
        given = _only_key(authorizations, scope.get("query_string", b""))
        if hmac.compare_digest(given, user) or hmac.compare_digest(given[:length], functions):
            await app(scope, receive, send)
        else:
            await _refuse_key(send, headers, known=bool(given))

    return front


def access_key_id(authorization: bytes, query_string: bytes = b"") -> bytes:
    """The access key id that a request names, in its header or its query.

    Empty if it names none, or several.

    Signature Version 4 and 2 (AWS General Reference; Amazon S3 Developer Guide, Signing and
    Authenticating REST Requests).
    """
    if authorization.startswith(b"AWS4-"):
        if authorization.count(b"Credential=") > 1:
            return b""
        return authorization.partition(b"Credential=")[2].partition(b"/")[0]
    if authorization.startswith(b"AWS "):
        return authorization[len(b"AWS ") :].partition(b":")[0]
    if not query_string:
        return b""
    presigned = parse_qs(query_string.decode("latin-1"))
    credentials = presigned.get("X-Amz-Credential", []) + presigned.get("AWSAccessKeyId", [])
    return credentials[0].partition("/")[0].encode() if len(credentials) == 1 else b""


def _only_key(authorizations: Sequence[bytes], query_string: bytes) -> bytes:
    """Return the access key id of a request that names one only; empty otherwise.

    Of two, the front, the emulator and the check of rights might each take another one, and a
    caller would have the rights of a key that is not theirs.
    """
    presigned = access_key_id(b"", query_string)
    if not authorizations:
        return presigned
    only_header = len(authorizations) == 1 and not presigned
    return access_key_id(authorizations[0]) if only_header else b""


def _of_a_browser(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, list[bytes]]:
    """Why a request is a browser's; empty when it is a program's. And its Authorization headers."""
    authorizations = []
    for name, value in headers:
        if name == b"authorization":
            authorizations.append(value)
        elif name == b"host":
            if not _is_this_machine(value):
                return f"host {value.decode('latin-1')!r}", []
        elif name == b"user-agent":
            if value.startswith(b"Mozilla/"):
                return "a browser's User-Agent", []
        # No program sends these. Sec-Fetch-Site is "none" for an address that a person typed, but
        # also for a link from another program, and it stays so when that redirects to here.
        elif name == b"origin" or name.startswith(b"sec-fetch-"):
            return f"{name.decode('latin-1')} {value.decode('latin-1')!r}", []
    return "", authorizations


@functools.lru_cache(maxsize=64)
def _is_this_machine(host: bytes) -> bool:
    try:
        name = urlsplit(f"//{host.decode('ascii')}").hostname or ""
    except ValueError:
        return False
    return name in _NAMES or name.endswith(_BELOW)


async def _refuse_page(send: Callable[..., Any], why: str) -> None:
    said = f"The local cloud answers programs of this machine, not pages in a browser ({why})."
    await _refuse(send, b"text/plain; charset=utf-8", said.encode())


async def _refuse_key(
    send: Callable[..., Any], headers: Iterable[tuple[bytes, bytes]], *, known: bool
) -> None:
    """Answer so that a client of AWS shows the sentence. The key that was given is not in it."""
    code = "UnrecognizedClientException" if known else "MissingAuthenticationTokenException"
    sent = next((value for name, value in headers if name == b"content-type"), b"")
    if b"json" in sent:
        body = json.dumps({"__type": code, "message": _REMEDY})
        await _refuse(send, b"application/x-amz-json-1.1", body.encode())
        return
    body = (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>{_REMEDY}</Message></Error>"
        "</ErrorResponse>"
    )
    await _refuse(send, b"application/xml", body.encode())


async def _refuse(send: Callable[..., Any], content_type: bytes, body: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": body})
