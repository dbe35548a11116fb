"""The Rekognition of the local cloud: Amazon's protocol in front of this machine's face engine.

One process answers AWS JSON 1.1 over HTTP on the loopback interface; the face work is done by
worker processes; the faces are kept by `collections`. Requests are checked against botocore's own
model of the service, so that a client which works here sends what AWS accepts, and errors have the
names and, where known, the sentences of AWS.

Run it with::

    python -m facematch.local.rekognition.server --port 4567 \
        --s3-endpoint http://127.0.0.1:4566 --database .facematch/faces.db \
        --keys .facematch/keys.json

Sources
-------
- Amazon Rekognition API Reference; Developer Guide, "Error handling" (the form of an error),
  "Guidelines and quotas" (limits).
- Smithy, "AWS JSON 1.1 protocol".
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import logging
import math
import os
import signal
import socket
import sqlite3
import sys
import threading
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from facematch.images.workers import WorkerDiedError
from facematch.local.faults import FaultyCalls, Injector, called_at_rekognition
from facematch.local.keys import AccessKey, AccessKeys, NoAccessKeysError
from facematch.local.loopback_guard import guarded
from facematch.local.permissions import Permissions
from facematch.local.rekognition.bodies import read_body
from facematch.local.rekognition.collections import CollectionStore, OtherModelError
from facematch.local.rekognition.faces import FACE_MODEL_VERSION, ModelFilesError, check_model_files
from facematch.local.rekognition.guards import CallersRights, CallsPerSecond, Guard
from facematch.local.rekognition.protocol import (
    OPERATIONS,
    Call,
    Parameters,
    RekognitionError,
    RequestReader,
    _image_too_large,
    _internal_error,
)
from facematch.local.rekognition.service import Rekognition
from facematch.local.rekognition.workers import FaceWorkers, S3Images
from facematch.text import local_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send


_TARGET_PREFIX = "RekognitionService"
_LAST_PORT = 65535
logger = logging.getLogger("facematch.rekognition")


class Endpoint:
    """The ASGI application: AWS JSON 1.1 at every address, GET /health beside it.

    Parameters
    ----------
    indexing_limit
        How many images may be fetched and analysed at a time; the others wait their turn.
    guards
        Asked in this order before every operation.
    """

    def __init__(
        self, service: Rekognition, *, indexing_limit: int, guards: Iterable[Guard] = ()
    ) -> None:
        self._service = service
        self._reader = RequestReader()
        self._guards = tuple(guards)
        self._indexing = anyio.CapacityLimiter(indexing_limit)
        self.app = Starlette(routes=[Route("/health", self._health), Mount("/", app=self._answer)])

    async def _health(self, request: Request) -> Response:  # noqa: ARG002 - Starlette passes it
        return JSONResponse(await anyio.to_thread.run_sync(self._service.health))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request_id = str(uuid.uuid4())
        operation = "an unknown operation"
        try:
            operation = _operation(request)
            body = await _body(request)
            limiter = self._indexing if operation == "IndexFaces" else None
            status, answer = (
                200,
                await anyio.to_thread.run_sync(
                    self._perform, operation, body, request.headers, limiter=limiter
                ),
            )
        except ClientDisconnect:
            return
        except RekognitionError as error:
            logger.warning("%s: %s (request %s)", operation, error.code, request_id)
            status, answer = error.status, _error_json(error, request_id)
        except Exception as error:  # noqa: BLE001 - whatever happens, the client hears it as of AWS
            _log_bug(operation, error, request_id)
            status, answer = 500, _error_json(_internal_error(), request_id)
        response = Response(
            json.dumps(answer),
            status,
            headers={"x-amzn-RequestId": request_id},
            media_type="application/x-amz-json-1.1",
        )
        await response(scope, receive, send)

    def _perform(self, operation: str, body: bytes, headers: Mapping[str, str]) -> Parameters:
        call = Call(operation, self._reader.read(operation, body), headers)
        for guard in self._guards:
            guard(call)
        return self._service.perform(call)


def _log_bug(operation: str, error: Exception, request_id: str) -> None:
    # An exception's message can carry names and keys; the places in the code cannot.
    frames = traceback.extract_tb(error.__traceback__)
    places = " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    logger.error("%s: %s at %s (request %s)", operation, type(error).__name__, places, request_id)


def _error_json(error: RekognitionError, request_id: str) -> Parameters:
    return {
        "__type": error.code,
        "Code": error.code,
        "Logref": request_id,
        "Message": error.message,
    }


def _operation(request: Request) -> str:
    prefix, _, name = request.headers.get("x-amz-target", "").partition(".")
    if request.method != "POST" or prefix != _TARGET_PREFIX or name not in OPERATIONS:
        raise RekognitionError(
            "UnknownOperationException",
            f"The local Rekognition answers POST with an X-Amz-Target of {_TARGET_PREFIX}. and "
            f"one of: {', '.join(OPERATIONS)}.",
        )
    return name


async def _body(request: Request) -> bytes:
    body = await read_body(request)
    if body is None:  # only an image can make a request that long
        raise _image_too_large()
    return body


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, Ctrl-C or, with ``--watch-stdin``, the end of the standard input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for library in ("botocore", "urllib3"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # their warnings name keys
    for number in (signal.SIGINT, signal.SIGTERM):
        # Uvicorn stops orderly on these, then raises them again: leave through the `finally`s.
        signal.signal(number, lambda *_: sys.exit(0))
    _forget_aws_settings()
    try:
        return _serve(options)
    except _CannotStartError as error:
        print(error, file=sys.stderr)
        return 1


class _CannotStartError(Exception):
    pass


def _serve(options: argparse.Namespace) -> int:
    address = f"http://127.0.0.1:{options.port}"
    try:
        keys = AccessKeys.read(options.keys)
        check_model_files()
        listener = (
            socket.create_server(("127.0.0.1", options.port), backlog=256)
            if options.listener is None
            else socket.socket(fileno=options.listener)
        )
        # asyncio does so only for sockets that it has made itself. Without it every answer waits
        # 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (NoAccessKeysError, ModelFilesError) as error:
        raise _CannotStartError(str(error)) from None
    except OSError as error:
        raise _CannotStartError(
            f"{address} cannot be used ({error.strerror}). Stop what listens there, or choose "
            "another --port."
        ) from None
    injector = Injector.told(options.faults)
    try:
        store = CollectionStore(
            options.database, findable_after=injector.plan.findable_after if injector else 0.0
        )
    except OtherModelError as other:
        raise _CannotStartError(
            f"The faces in {options.database} were made by the face model {other}, and this is "
            f"{FACE_MODEL_VERSION}: they cannot be compared. Empty the local cloud "
            f"({local_command('reset')}) and upload the photographs again, or go back to the "
            "version of this software that made them."
        ) from None
    except (sqlite3.Error, OSError) as error:
        raise _CannotStartError(
            f"The database {options.database} cannot be used ({error}). Stop the other endpoint, "
            "if one has it open; else move the file away to start with empty collections."
        ) from None
    workers = FaceWorkers(options.workers)
    try:
        workers.wait_until_ready()
        indexing_limit = 4 * options.workers
        endpoint = Endpoint(
            Rekognition(store, workers, S3Images(options.s3_endpoint, indexing_limit, keys.user)),
            indexing_limit=indexing_limit,
            guards=_guards(options, keys.user),
        )
        server = uvicorn.Server(
            uvicorn.Config(
                guarded(
                    FaultyCalls(endpoint.app, injector, called_at_rekognition)
                    if injector
                    else endpoint.app,
                    keys,
                ),
                lifespan="off",
                proxy_headers=False,
                access_log=False,
                log_level="warning",
                ws="none",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=10,
            )
        )
        if options.watch_stdin:
            threading.Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
        print(
            f"The local Rekognition listens on http://127.0.0.1:{listener.getsockname()[1]}.",
            flush=True,
        )
        server.run(sockets=[listener])
    except WorkerDiedError:
        raise _CannotStartError(
            "A face worker process could not start. Mend what its error, above, says."
        ) from None
    finally:
        workers.close()
        store.close()
    return 0


def _guards(options: argparse.Namespace, key: AccessKey) -> Iterable[Guard]:
    if options.iam_endpoint:
        yield CallersRights(Permissions(options.iam_endpoint, key))
    if options.calls_per_second:
        yield CallsPerSecond(options.calls_per_second)


def _stop_at_end_of_stdin(server: uvicorn.Server) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True


def _forget_aws_settings() -> None:
    """Keep the user's profiles, regions, endpoints and credentials out of this process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m facematch.local.rekognition.server",
        description="A Rekognition endpoint on this machine, with real face work.",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--port", type=_port, help="0 takes a free one")
    place.add_argument(
        "--listener",
        type=int,
        metavar="FILE_DESCRIPTOR",
        help="a socket that listens already, inherited",
    )
    parser.add_argument(
        "--s3-endpoint",
        type=_loopback_url,
        required=True,
        help="where the images are; only an address of this machine is accepted",
    )
    parser.add_argument("--keys", type=Path, required=True, help="the file of the access keys")
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file of the faces")
    parser.add_argument("--workers", type=_positive, default=2, help="processes for the face work")
    parser.add_argument(
        "--calls-per-second",
        type=_rate,
        help="a quota, of IndexFaces and of SearchFaces each; without it there is none",
    )
    parser.add_argument(
        "--iam-endpoint",
        type=_loopback_url,
        help="the emulator to ask what a caller may do; without it everybody may do everything",
    )
    parser.add_argument(
        "--faults",
        nargs=2,
        type=Path,
        metavar=("PLAN", "LOG"),
        help="what goes wrong on purpose, and where each time is written down",
    )
    parser.add_argument(
        "--watch-stdin", action="store_true", help="stop when the standard input ends"
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is not a port; they go from 0 to {_LAST_PORT}.")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of processes.")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of calls per second.")
    return rate


def _loopback_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
        parts = urlsplit("")
    if not local or parts.scheme not in {"http", "https"}:
        raise argparse.ArgumentTypeError(
            f"{text} is not an address of this machine, such as http://127.0.0.1:4566. The local "
            "Rekognition reads images from the local S3 only, never from AWS."
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
