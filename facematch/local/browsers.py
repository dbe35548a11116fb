"""Keeps pages in a browser out of the local cloud.

Every page that somebody visits meanwhile can call 127.0.0.1: with a form, which asks nobody's
leave, or under a name of its own that it points there (DNS rebinding), so that the answers count as
its own. Nothing here checks a signature: it could read photographs, or delete everything.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
#: Of a bucket that is part of the host's name. Browsers and systems keep it on this machine
#: (RFC 6761, section 6.3).
_BELOW: Final = ".localhost"


def for_programs(app: Callable[..., Any]) -> Callable[..., Any]:
    """The application, which refuses what a page in a browser asks."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http" or not (why := _of_a_page(scope["headers"])):
            await app(scope, receive, send)
            return
        said = f"The local cloud answers programs of this machine, not pages in a browser ({why})."
        body = said.encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send(
            {"type": "http.response.start", "status": HTTPStatus.FORBIDDEN, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})

    return guarded


def _of_a_page(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Why a request is a page's; empty when it is a program's."""
    for name, value in headers:
        if name == b"host":
            if not _is_this_machine(value):
                return f"host {value.decode('latin-1')!r}"
        elif name == b"origin":  # no program sends it
            return f"origin {value.decode('latin-1')!r}"
        elif name == b"sec-fetch-site" and value != b"none":  # typed by a person
            return f"from a page, {value.decode('latin-1')!r}"
    return ""


def _is_this_machine(host: bytes) -> bool:
    try:
        name = urlsplit(f"//{host.decode('ascii')}").hostname or ""
    except ValueError:
        return False
    return name in _NAMES or name.endswith(_BELOW)
