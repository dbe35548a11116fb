"""What a page in a browser asks of the local cloud is refused; what a program asks is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from facematch.local.browsers import for_programs

if TYPE_CHECKING:
    from collections.abc import Coroutine


def finished(work: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing: without an event loop, which would need a socket."""
    with pytest.raises(StopIteration):
        work.send(None)


def asked(*headers: tuple[bytes, bytes]) -> tuple[int, bytes, bool]:
    """Status and body of the answer, and whether the application was reached."""
    reached: list[bool] = []
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        reached.append(True)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a photograph"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": list(headers)}
    finished(for_programs(app)(scope, None, send))
    start, body = sent
    return start["status"], body["body"], bool(reached)


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1:4566",
        b"127.0.0.1",
        b"localhost:4566",
        b"LOCALHOST:4566",
        b"[::1]:4566",
        b"bucket.localhost:4566",
        b"facematching-images.s3.localhost",
    ],
)
def test_a_program_of_this_machine_is_answered(host: bytes) -> None:
    agent = (b"user-agent", b"Boto3/1.43")
    assert asked((b"host", host), agent) == (200, b"a photograph", True)


@pytest.mark.parametrize(
    "host",
    [
        b"photographs.example:4566",  # which its owner points to 127.0.0.1
        b"127.0.0.1.example:4566",
        b"localhost.example",
        b"notlocalhost:4566",
        b"evil.example@127.0.0.1.example",
        b"169.254.169.254",
        b"0.0.0.0:4566",
        b"",
        b"\xff",
        b"[::1",
    ],
)
def test_a_page_under_a_name_of_its_own_is_refused(host: bytes) -> None:
    status, body, reached = asked((b"host", host))

    assert (status, reached) == (403, False)
    assert b"programs of this machine" in body


@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"https://photographs.example"),
        (b"origin", b"null"),  # of a file, or of a frame without rights
        (b"origin", b"http://localhost:8000"),  # another program's page
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-site", b"same-site"),
    ],
)
def test_what_a_browser_sends_for_a_page_is_refused(header: tuple[bytes, bytes]) -> None:
    """A form, which needs no leave, or a picture."""
    status, _, reached = asked((b"host", b"127.0.0.1:4566"), header)

    assert (status, reached) == (403, False)


def test_what_a_person_types_is_answered() -> None:
    found = asked((b"host", b"127.0.0.1:4566"), (b"sec-fetch-site", b"none"))

    assert found == (200, b"a photograph", True)


def test_starting_and_ending_are_no_requests() -> None:
    seen: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    finished(for_programs(app)({"type": "lifespan"}, None, None))

    assert seen == ["lifespan"]
