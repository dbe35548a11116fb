"""Calls of Rekognition at the emulator's address: what is handed on, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from facematch.local.emulator.rekognition import with_rekognition
from facematch.local.rekognition.bodies import MAX_BODY
from tests.local.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET = {"X-Amz-Target": "RekognitionService.ListFaces"}


@dataclass
class Engine:
    """An endpoint that says what it was sent, or does not answer as it should."""

    answers: str = "well"
    headers: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                engine.headers = [(name.lower(), value) for name, value in self.headers.items()]
                engine.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.close_connection = True
                if engine.answers == "never":
                    engine.released.wait(30)
                if engine.answers not in {"well", "half"}:
                    return
                self.send_response(418)
                self.send_header("X-Amzn-RequestId", "its own")
                self.send_header("Content-Length", "12")
                self.end_headers()
                self.wfile.write(b"twelve bytes" if engine.answers == "well" else b"twelve")

        return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # the system may reset connections that do not fit


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    with _Server(("127.0.0.1", 0), made.handler()) as server:
        made.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        made.released.set()
        server.shutdown()


async def emulator(_scope: Any, _receive: Any, send: Any) -> None:
    """What stands behind: it answers everything else, with the help of its threads."""
    await asyncio.to_thread(threading.get_ident)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the emulator"})


@contextlib.contextmanager
def serving(port: int, **options: Any) -> Iterator[Callable[..., tuple[int, Any, bytes]]]:
    """Both behind one address; what is yielded calls it."""
    app = with_rekognition(emulator, port, **options)
    config = uvicorn.Config(app, lifespan="off", log_level="critical", server_header=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert eventually(lambda: server.started)

        def call(method: str, headers: Any, body: Any = b"{}") -> tuple[int, Any, bytes]:
            host, at = listener.getsockname()
            with contextlib.closing(http.client.HTTPConnection(host, at, timeout=30)) as connection:
                connection.request(method, "/", body, headers)
                answer = connection.getresponse()
                return answer.status, answer.headers, answer.read()

        yield call
        server.should_exit = True
        thread.join()


def test_a_call_is_handed_on_as_it_was_sent_and_so_is_the_answer(engine: Engine) -> None:
    sent = {
        **TARGET,
        "Host": "localhost:4566",
        "Authorization": "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/rekognition",
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Security-Token": "of a session",
        "X-Amzn-Trace-Id": "Root=1-0-0",
        "Content-Type": "application/x-amz-json-1.1",
        "Content-Length": "8",
    }
    with serving(engine.port) as call:
        status, headers, body = call("POST", sent, b'{"a": 1}')

    assert engine.bodies == [b'{"a": 1}']
    expected = [(name.lower(), value) for name, value in sent.items()]
    assert sorted(engine.headers) == sorted([*expected, ("accept-encoding", "identity")])
    assert (status, headers["X-Amzn-RequestId"], body) == (418, "its own", b"twelve bytes")


def test_a_body_in_chunks_is_handed_on_in_one_piece(engine: Engine) -> None:
    with serving(engine.port) as call:
        call("POST", TARGET, iter([b'{"a"', b": 1}"]))

    assert engine.bodies == [b'{"a": 1}']


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", TARGET),
        ("POST", {}),
        ("POST", {"X-Amz-Target": "AmazonSSM.DescribeParameters"}),
        ("POST", {"X-Amz-Target": "RekognitionServices.ListFaces"}),
    ],
)
def test_everything_else_is_the_emulators(
    engine: Engine, method: str, headers: dict[str, str]
) -> None:
    with serving(engine.port) as call:
        assert call(method, headers)[2] == b"the emulator"

    assert engine.bodies == []


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1, 5 * MAX_BODY])
def test_no_more_of_a_body_is_handed_on_than_the_endpoint_refuses(
    engine: Engine, size: int
) -> None:
    with serving(engine.port) as call:
        call("POST", TARGET, bytes(size))

    assert [len(body) for body in engine.bodies] == [min(size, MAX_BODY + 1)]


def unavailable(answer: tuple[int, Any, bytes]) -> bool:
    status, headers, body = answer
    said = json.loads(body)
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert "facematch local status" in said["Message"]
    return (status, said["__type"]) == (503, "ServiceUnavailableException")


def test_an_engine_that_is_not_there_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(port) as call:
        assert unavailable(call("POST", TARGET))


@pytest.mark.parametrize("answers", ["never", "hangs up"])
def test_an_engine_that_does_not_answer_is_said_with_what_to_do(
    engine: Engine, answers: str
) -> None:
    engine.answers = answers
    with serving(engine.port, seconds=0.2) as call:
        assert unavailable(call("POST", TARGET))


def test_an_answer_that_is_cut_off_stays_so(engine: Engine) -> None:
    """As a fault makes one on purpose: the caller must not take it for an answer."""
    engine.answers = "half"
    with serving(engine.port) as call, pytest.raises(http.client.IncompleteRead) as cut_off:
        call("POST", TARGET)

    assert cut_off.value.partial == b"twelve"


def test_the_emulator_answers_the_engine_while_many_calls_wait_for_it(engine: Engine) -> None:
    """The engine asks the emulator for images and rights before it answers a call."""
    engine.answers = "never"
    with serving(engine.port) as call:
        waiting = [
            threading.Thread(target=lambda: call("POST", TARGET), daemon=True) for _ in range(40)
        ]
        for thread in waiting:
            thread.start()
        assert eventually(lambda: len(engine.bodies) >= 32)
        assert call("GET", {})[2] == b"the emulator"
        engine.released.set()
        for thread in waiting:
            thread.join()

    assert len(engine.bodies) == 40
