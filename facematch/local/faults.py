"""Faults made on purpose: a plan in a TOML file, carried out by the processes of the local cloud.

A plan says where (`at`), what goes wrong (`what`), for which share of the images, and for how many
of an image's calls::

    seed = 7
    about = "Rekognition throttles one image in three"

    [[fault]]
    at = "rekognition.IndexFaces"
    what = "throttle"
    share = 0.3
    calls = 4

Whether an image is hit depends on the seed, the fault's place in the plan and the image's key
alone, and each hit image is hit `calls` times, however the calls of many images interleave. So a
second run injects the same, with the exceptions that `Fault` names.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import threading
import time
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from facematch.errors import Unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: Longer than the functions' clients wait for an answer (functions/aws/clients.py).
HANG_SECONDS: Final = 20.0


class What(StrEnum):
    """What goes wrong.

    A call to a service: THROTTLE and ERROR answer so; HANG answers nothing until the client gives
    up; DROP closes the connection and does nothing; LOSE does what was asked, then closes the
    connection. KILL_BEFORE and KILL_AFTER kill the process of the calling function before and after
    that was done. At a function (``lambda.Report``) they kill it before it does anything, and after
    it has done everything, before it answers.
    """

    THROTTLE = "throttle"
    ERROR = "error"
    HANG = "hang"
    DROP = "drop"
    LOSE = "lose"
    KILL_BEFORE = "kill-before"
    KILL_AFTER = "kill-after"


_KILLS: Final = frozenset({What.KILL_BEFORE, What.KILL_AFTER})
#: The endpoint is another process than the one that holds the functions: it kills none.
_POSSIBLE: Final = {
    "rekognition": frozenset(What) - _KILLS,
    "s3": frozenset(What),
    "sns": frozenset(What),
    "states": frozenset(What),
    "lambda": _KILLS,
}


class PlanError(Unusable):
    """A plan that cannot be carried out; the text names the file and the entry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One kind of thing that goes wrong.

    Attributes
    ----------
    at
        ``service.Operation`` of a call that a function makes, as in ``s3.PutObject``, or
        ``lambda.Name`` for a function itself.
    share
        Of the images, 0 to 1.
    calls
        So many first calls of each such image. The calls of the starter are those of a batch,
        which is known by its first message: not the same in every run.
    seconds
        An outage in place of `calls`: every call of these images from the first on, for so long.
        How many those are is not the same in every run.
    """

    at: str
    what: What
    share: float = 1.0
    calls: int = 1
    seconds: float | None = None

    def __post_init__(self) -> None:
        service, _, name = self.at.partition(".")
        if self.what not in _POSSIBLE.get(service, ()) or not name:
            raise ValueError(f"{self.what!r} is not possible at {self.at!r}")
        if not 0 < self.share <= 1 or self.calls < 1:
            raise ValueError("a share from 0 to 1, and at least one call")


@dataclass(frozen=True, kw_only=True, slots=True)
class Messages:
    """How the messages of S3 come: for whoever sends them in place of S3.

    Attributes
    ----------
    copies
        Of each message.
    shuffled
        In any order, those of two versions of one key too.
    late
        Once more, a day after the upload, when everything has ended.
    """

    copies: int = 1
    shuffled: bool = False
    late: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultPlan:
    """What goes wrong in one run.

    Attributes
    ----------
    findable_after
        Seconds after which a search finds a face that was indexed. Searching for others *by* that
        face works at once, which is the harder case: the workflow retries the other.
    """

    name: str
    about: str
    seed: int
    faults: tuple[Fault, ...] = ()
    findable_after: float = 0.0
    messages: Messages = field(default_factory=Messages)

    @classmethod
    def read(cls, path: Path) -> FaultPlan:
        """Read a plan.

        Raises
        ------
        PlanError
        """
        try:
            table = tomllib.loads(path.read_text())
            entries = table.pop("fault", [])
            messages = Messages(**table.pop("messages", {}))
            faults = tuple(Fault(**{**entry, "what": What(entry["what"])}) for entry in entries)
            return cls(name=path.stem, faults=faults, messages=messages, **table)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise PlanError(f"{path} is not a fault plan: {error}. See docs/chaos.md.") from None


class Injector:
    """Decides which calls are hit, and writes each hit into a file.

    Parameters
    ----------
    log
        JSON Lines, appended by every process: what, where, and a digest of the image's key.
    """

    def __init__(
        self, plan: FaultPlan, log: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.plan = plan
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[tuple[int, str], int] = {}
        self._began: dict[int, float] = {}

    @classmethod
    def told(cls, files: Sequence[Path] | None) -> Self | None:
        """What a process is told on its command line: the plan and the log; None: no faults."""
        return cls(FaultPlan.read(files[0]), files[1]) if files else None

    def hit(self, at: str, image: str) -> What | None:
        """What goes wrong with this call, the image's next one there.

        Parameters
        ----------
        image
            What the call is about: its key, or the id of its face.
        """
        with self._lock:
            hits = (
                fault.what
                for number, fault in enumerate(self.plan.faults)
                if fault.at == at and self._is_hit(number, fault, image)
            )
            what = next(hits, None)  # the others wait for the image's later calls
        if what is None:
            return None
        digest = hashlib.sha256(image.encode()).hexdigest()[:12]
        with self._log.open("a") as log:
            log.write(json.dumps({"what": what, "at": at, "image": digest}) + "\n")
        return what

    def _is_hit(self, number: int, fault: Fault, image: str) -> bool:
        if _drawn(self.plan.seed, number, image) >= fault.share:
            return False
        if fault.seconds is not None:
            began = self._began.setdefault(number, self._clock())
            return self._clock() - began < fault.seconds
        called = self._calls.get((number, image), 0)
        self._calls[number, image] = called + 1
        return called < fault.calls


def _drawn(*what: object) -> float:
    """A number from 0 to 1, the same for the same."""
    digest = hashlib.sha256(repr(what).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


# --- Calls --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Called:
    """A call that may be hit: where, about which image, and how its caller is killed."""

    at: str
    image: str
    kill: Callable[[], None]


class FaultyCalls:
    """An ASGI application in front of a service.

    Parameters
    ----------
    called
        Reads a request's headers and body; None for a request that is none of the functions'.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        injector: Injector,
        called: Callable[[Mapping[str, str], str, bytes], Called | None],
    ) -> None:
        self._app = app
        self._injector = injector
        self._called = called

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve, or do what the plan says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        body = await _body(receive)
        call = self._called(headers, scope["method"], body)
        what = self._injector.hit(call.at, call.image) if call else None
        if call is None or what is None:
            await self._app(scope, _again(body, receive), send)
            return
        if what in {What.LOSE, What.KILL_AFTER}:
            await self._app(scope, _again(body, receive), _nothing)
        if what in _KILLS:
            call.kill()
        if what is What.HANG:
            await _until_disconnected(receive)
        if what in {What.THROTTLE, What.ERROR}:
            await _refuse(call.at.partition(".")[0], what, send)
        else:
            # An answer that begins and does not go on: the server closes the connection.
            await send(_start(200, [(b"content-length", b"2")]))


async def _body(receive: Any) -> bytes:  # noqa: ANN401 - ASGI
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Any) -> Callable[[], Any]:  # noqa: ANN401 - ASGI
    """What gives the body that was read once more, and then what comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Any:  # noqa: ANN401 - ASGI
        return waiting.pop() if waiting else await receive()

    return give


async def _nothing(_message: Any) -> None:  # noqa: ANN401 - ASGI
    """Where an answer is lost."""


async def _until_disconnected(receive: Any) -> None:  # noqa: ANN401 - ASGI
    try:
        async with asyncio.timeout(HANG_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass


async def _refuse(service: str, what: What, send: Any) -> None:  # noqa: ANN401 - ASGI
    """Answer as the service does when it throttles or fails."""
    throttled = what is What.THROTTLE
    if service in {"s3", "sns"}:
        code = ("SlowDown" if service == "s3" else "Throttling") if throttled else "InternalError"
        error = f"<Error><Code>{code}</Code><Message>as planned</Message></Error>"
        body = error if service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>"
        status, kind = (503 if throttled else 500), b"application/xml"
    else:
        throttling = {
            "rekognition": "ProvisionedThroughputExceededException",
            "states": "ThrottlingException",
        }[service]
        code = throttling if throttled else "InternalServerError"
        body = json.dumps({"__type": code, "Message": "as planned"})
        status, kind = (400 if throttled else 500), b"application/x-amz-json-1.1"
    content = body.encode()
    length = str(len(content)).encode()
    await send(_start(status, [(b"content-type", kind), (b"content-length", length)]))
    await send({"type": "http.response.body", "body": content})


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def called_at_rekognition(headers: Mapping[str, str], _method: str, body: bytes) -> Called | None:
    """The call, about the image that is indexed or the face that is searched."""
    operation = headers.get("x-amz-target", "").partition(".")[2]
    try:
        request = json.loads(body)
        image = request["Image"]["S3Object"]["Name"] if "Image" in request else request["FaceId"]
    except (ValueError, KeyError, TypeError):
        return None
    return Called(f"rekognition.{operation}", str(image), lambda: None)


# --- Functions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Invocation:
    image: str
    worker: Any


class FaultyFunctions:
    """Knows which invocation runs in which process, and kills it when the plan says so."""

    _OPERATIONS: Final = {
        "PUT": "PutObject",
        "GET": "GetObject",
        "HEAD": "HeadObject",
        "DELETE": "DeleteObject",
    }

    def __init__(self, injector: Injector) -> None:
        self._injector = injector
        self._running: dict[str, _Invocation] = {}

    def install(self, lambda_runtime: Any) -> None:  # noqa: ANN401 - a module
        """Put it around each invocation.

        Parameters
        ----------
        lambda_runtime
            MiniStack's module; `facematch.local.emulator` lists what is used of it.
        """
        self._invoke = lambda_runtime.Worker.invoke

        def invoke(worker: Any, event: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
            return self.invoke(worker, event, *args, **kwargs)

        lambda_runtime.Worker.invoke = invoke

    def in_front_of(self, app: Callable[..., Any]) -> FaultyCalls:
        """The application, with the plan in front of the calls that functions make."""
        return FaultyCalls(app, self._injector, self.called)

    def invoke(self, worker: Any, event: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Invoke, and remember under the trace id, which every call of the function carries.

        A function that is traced only where its caller is has none in the emulator: it gets one, as
        of a caller that is.
        """
        name = _function_name(worker.func_name)
        image = image_of(event)
        what = self._injector.hit(f"lambda.{name}", image)
        if what is What.KILL_BEFORE:
            return _died(worker)
        trace = kwargs["trace_id"] = kwargs.get("trace_id") or _recorded_trace()
        self._running[trace] = _Invocation(image, worker)
        try:
            result: dict[str, Any] = self._invoke(worker, event, *args, **kwargs)
        finally:
            del self._running[trace]
        return _died(worker) if what is What.KILL_AFTER else result

    def called(self, headers: Mapping[str, str], method: str, _body: bytes) -> Called | None:
        """A call that a function makes, about the image that it was invoked for."""
        invocation = self._running.get(headers.get("x-amzn-trace-id", ""))
        scope = headers.get("authorization", "").partition("Credential=")[2].split("/")
        if invocation is None or len(scope) < 4:  # noqa: PLR2004 - key, date, region, service
            return None
        service = scope[3]
        operation = headers.get("x-amz-target", "").partition(".")[2]
        if service == "s3":
            operation = self._OPERATIONS.get(method, "")
        elif service == "sns":
            operation = "Publish"  # all that functions ask of it
        return Called(
            f"{service}.{operation}", invocation.image, lambda: _kill(invocation.worker._proc)
        )


def _recorded_trace() -> str:
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent=0;Sampled=1"


def _function_name(function: str) -> str:
    """``Report`` out of ``FaceMatching-ReportFunction1A2B-3C4D``."""
    return function.partition("Function")[0].rpartition("-")[2] or function


def image_of(event: Any) -> str:  # noqa: ANN401 - any JSON
    """The key of the image that an invocation is about; of a batch, of its first message.

    Empty for an event that is about none.
    """
    try:
        if "Records" in event:
            message = json.loads(event["Records"][0]["body"])
            return str(message["Records"][0]["s3"]["object"]["key"])
        if "detail" in event:
            return str(json.loads(event["detail"]["input"])["key"])
        return str((event.get("image") or event["removal"])["key"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return ""


def _died(worker: Any) -> dict[str, Any]:  # noqa: ANN401
    """What the emulator says of a process that has ended, which it has."""
    process, worker._proc = worker._proc, None
    _kill(process)
    return {"status": "error", "error": "Worker process died", "cold_start": False, "log": ""}


def _kill(process: Any) -> None:  # noqa: ANN401 - a subprocess.Popen, or None
    if process is not None:
        process.kill()
        process.wait()
