"""The local cloud: starts the emulator and the Rekognition endpoint, deploys, and ends them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, Self

from facematch.local.clients import local_client
from facematch.local.deploy import deploy
from facematch.local.differences import Machine
from facematch.local.emulator import process as emulator
from facematch.local.emulator.restarts import say_deployed
from facematch.local.emulator.snapshots import STATE_DAMAGED
from facematch.local.errors import LocalCloudError
from facematch.local.events import Kind
from facematch.local.kept_settings import KeptSettings
from facematch.local.keys import AccessKey, AccessKeys
from facematch.local.state_folder import Running, StateFolder
from facematch.text import command, local_command
from workflow.project import PROJECT
from workflow.synthesis import SynthesisError, synthesised

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

_EMULATOR: Final = "emulator"
_ENGINE: Final = "face engine"
_LOGS: Final = {_EMULATOR: "emulator", _ENGINE: "rekognition"}
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 20
_LOOK_SECONDS: Final = 0.5
#: Before each new start of the face engine after it has ended by itself, seconds.
_RESTART_WAITS: Final = (0.0, 1.0, 4.0, 15.0)
#: So long an end by itself counts, seconds.
_RESTART_WINDOW: Final = 600.0
#: One a core, with one thread each, beats one process with several threads.
_FACE_WORKERS: Final = max(1, min(4, os.cpu_count() or 1))


@dataclass(slots=True)
class _Part:
    """A process of the local cloud, and what it takes to start it again."""

    name: str
    process: subprocess.Popen[bytes]
    start: Callable[[], subprocess.Popen[bytes]]


class LocalCloud:
    """A local cloud in a folder, as a context manager or by `start` and `stop`.

    Parameters
    ----------
    lock
        The folder's, claimed already; by default `start` claims it.
    overrides
        Settings, as ``-c name=value`` gives them to the CDK.
    wait_scale
        Shortens the waits between retries and in Settle, for tests.
    calls_per_second
        Quota of the Rekognition endpoint, of IndexFaces and of SearchFaces each; None: no quota.
    enforce_permissions
        Refuse what a function's role does not allow, in the emulator and in the endpoint.
    faults
        File of what goes wrong on purpose (facematch.local.faults); each time is written down in
        `fault_log`.
    say
        Told what is being done.

    Attributes
    ----------
    engine_module
        What the face engine's process runs.
    ended
        Set when a part has ended by itself and nothing more is tried: only `stop` is left to do.
    """

    engine_module: ClassVar[str] = "facematch.local.rekognition.server"

    def __init__(
        self,
        home: StateFolder,
        *,
        lock: IO[str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        wait_scale: float = 1.0,
        calls_per_second: float | None = None,
        enforce_permissions: bool = False,
        faults: Path | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.home = home
        self._faults = ("--faults", str(faults), str(self.fault_log)) if faults else ()
        self._overrides = dict(overrides or {})
        self._wait_scale = wait_scale
        self._quota = [f"--calls-per-second={calls_per_second:g}"] if calls_per_second else []
        self._enforce_permissions = enforce_permissions
        self._say = say
        self._parts: list[_Part] = []
        self._listeners: list[socket.socket] = []
        self._lock = lock
        self._holder: IO[str] | None = None
        self._stopping = threading.Event()
        self._guard: threading.Thread | None = None
        self.ended = threading.Event()
        self.running: Running | None = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self.stop()

    @property
    def fault_log(self) -> Path:
        """Where each fault that was made is written down; not there before the first."""
        return self.home.logs / "faults.jsonl"

    @property
    def _tmp(self) -> Path:
        """Where the emulator and its functions keep what nobody needs after them."""
        return self.home.state / "tmp"

    def client(self, service: str, **options: Any) -> Any:  # noqa: ANN401
        """A client of this local cloud; `options` are botocore's Config's."""
        if self.running is None:
            raise LocalCloudError(
                f"The local cloud is not running. Start it: {local_command('start')}"
            )
        return local_client(self.running, AccessKeys.read(self.home.keys).user, service, **options)

    def start(self) -> Running:
        """Start everything and deploy; what was kept is there again.

        Raises
        ------
        LocalCloudError
            With what failed and where its log is. Nothing is left running.
        """
        self._lock = self._lock or self.home.lock()
        self.home.has_stopped()
        self.home.events.begin("The local cloud is starting.")
        try:
            self._holder = self.home.hold()
            self.running = self._start()
            self.home.is_running(self.running)
        except BaseException as error:
            if isinstance(error, Exception):
                self.home.events.note(f"The local cloud did not start. {error}", Kind.FAILURE)
            else:
                self.home.events.note("The local cloud was stopped while it started.", Kind.END)
            self.running = None
            self.stop()
            raise
        self._note("The local cloud runs.")
        self._guard = threading.Thread(target=self._look_after, name="look-after", daemon=True)
        self._guard.start()
        return self.running

    def stop(self) -> None:
        """End the processes; the emulator writes its state first."""
        self._stopping.set()
        if self._guard:
            self._guard.join()
        self.home.has_stopped()
        for listener in self._listeners:
            listener.close()
        for part in self._parts:
            _ask_to_end(part.process)
        deadline = time.monotonic() + _STOP_SECONDS
        for part in self._parts:
            try:
                part.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()
                self._note(
                    f"The {part.name} did not end within {_STOP_SECONDS} s and was killed. What it "
                    "had not yet written to the disk is lost.",
                    Kind.TROUBLE,
                )
        self._parts.clear()
        if self.running and not self.ended.is_set():
            self._note("The local cloud was stopped.", Kind.END)
        self.running = None
        if self._holder:
            self._holder.close()
        if self._lock:
            _empty(self._tmp)  # copies of what is kept elsewhere, and forgotten there
            self._lock.close()
            self._lock = None

    def _note(self, what: str, kind: Kind = Kind.NEWS) -> None:
        self.home.events.note(what, kind)
        self._say(what)

    def _look_after(self) -> None:
        """Start the face engine again when it ends by itself; give up when that does not help.

        The emulator is not started again: it would go on with its last snapshot, in the middle of
        an upload or a command that knows of what came after.
        """
        ends: list[float] = []
        while not self._stopping.wait(_LOOK_SECONDS):
            for part in self._parts:
                if part.process.poll() is None:
                    continue
                if part.name != _ENGINE:
                    self._give_up(
                        f"The {part.name} ended by itself ({_how_ended(part.process)}), and the "
                        "local cloud with it. Every photograph is kept. What was on its way is as "
                        "it was at the last snapshot: start the local cloud, then look for what "
                        f"that lost with: {command('audit', '--local', local=True)}"
                    )
                    return
                now = time.monotonic()
                ends = [*(end for end in ends if now - end < _RESTART_WINDOW), now]
                if len(ends) > len(_RESTART_WAITS):
                    self._give_up(
                        f"The {_ENGINE} ended by itself {len(ends)} times in "
                        f"{_RESTART_WINDOW / 60:g} minutes, the last time with "
                        f"{_how_ended(part.process)}, and the local cloud with it. Everything is "
                        f"kept. Its log, {self._log(_LOGS[_ENGINE])}, ends with:\n"
                        f"{_tail(self._log(_LOGS[_ENGINE]))}"
                    )
                    return
                self._note(
                    f"The {_ENGINE} ended by itself ({_how_ended(part.process)}) and is started "
                    f"again, {len(ends)} of at most {len(_RESTART_WAITS)} times in "
                    f"{_RESTART_WINDOW / 60:g} minutes.",
                    Kind.TROUBLE,
                )
                if not self._stopping.wait(_RESTART_WAITS[len(ends) - 1]):
                    _ask_to_end(part.process)
                    part.process = part.start()

    def _give_up(self, why: str) -> None:
        for listener in self._listeners:  # else clients would wait for who never answers
            listener.close()
        self._note(why, Kind.FAILURE)
        self.ended.set()

    def _start(self) -> Running:
        self._tmp.mkdir(exist_ok=True)
        _empty(self._tmp)
        key = AccessKeys.kept_in(self.home.keys).user
        self._listeners[:] = self.home.listeners()
        machine = self._spawn_all(*self._listeners)
        self._say("synthesising the template")  # while they start
        try:
            assembly = synthesised(self._overrides)
        except SynthesisError as error:
            raise LocalCloudError(str(error)) from None
        self._await(_EMULATOR, f"{machine.endpoint}/_ministack/health", key)
        self._await(_ENGINE, f"{machine.rekognition}/health", key)
        self._say("deploying the template")
        running = Running(os.getpid(), machine.endpoint, machine.rekognition, "")
        name = deploy(assembly, machine, lambda service: local_client(running, key, service))
        say_deployed(machine.endpoint, key)
        KeptSettings({}, {}).with_given(self._overrides).keep(self.home)
        return Running(running.pid, running.endpoint, running.rekognition, name)

    def _spawn_all(self, gateway: socket.socket, rekognition: socket.socket) -> Machine:
        machine = Machine(endpoint=_address(gateway), rekognition=_address(rekognition))
        environment = emulator.environment(
            port=gateway.getsockname()[1],
            state=self.home.state,
            wait_scale=self._wait_scale,
            enforce_permissions=self._enforce_permissions,
        )
        self._say("starting the emulator and the face engine")
        keys = ("--keys", str(self.home.keys))
        self._spawn(
            _EMULATOR,
            "facematch.local.emulator.process",
            environment,
            gateway,
            *("--events", str(self.home.events.file), *keys),
            *("--rekognition", str(rekognition.getsockname()[1])),
            *self._faults,
        )
        self._spawn(
            _ENGINE,
            self.engine_module,
            environment,
            rekognition,
            *("--s3-endpoint", machine.endpoint, *keys),
            *("--database", str(self.home.database), "--workers", str(_FACE_WORKERS)),
            "--watch-stdin",
            *self._quota,
            *self._faults,
            *(("--iam-endpoint", machine.endpoint) if self._enforce_permissions else ()),
        )
        return machine

    def _spawn(
        self,
        name: str,
        module: str,
        environment: dict[str, str],
        listener: socket.socket,
        *arguments: str,
    ) -> None:
        # They claim the folder, too: one that outlives us when we are killed still writes to it.
        inherited = [listener.fileno(), *([self._lock.fileno()] if self._lock else [])]

        log = self._log(_LOGS[name])

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(  # noqa: S603 - our own module
                    [
                        *(sys.executable, "-m", module),
                        *("--listener", str(listener.fileno()), *arguments),
                    ],
                    cwd=PROJECT,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=inherited,
                    umask=0o077,
                    start_new_session=True,  # Ctrl-C is for us, who then end them in order
                )

        self._parts.append(_Part(name, start(), start))

    def _await(self, name: str, url: str, key: AccessKey) -> None:
        (child,) = (part.process for part in self._parts if part.name == name)
        log = self._log(_LOGS[name])
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if child.poll() == STATE_DAMAGED:
                raise LocalCloudError(
                    f"The state in {self.home.state} is damaged: {_tail(log, 1)}. "
                    "Put back a copy of it, if there is one; otherwise delete everything and begin "
                    f"anew with: {local_command('reset')}"
                )
            if child.poll() is not None:
                raise LocalCloudError(
                    f"The {name} ended while it started ({_how_ended(child)}). "
                    f"Fix what its log, {log}, ends with:\n"
                    f"{_tail(log)}"
                )
            with contextlib.suppress(OSError):
                key.ask(url, seconds=2)
                return
            time.sleep(0.05)
        raise LocalCloudError(
            f"The {name} did not answer within {_START_SECONDS} s. Look into its log, "
            f"{log}, and repeat the command when the machine is less busy."
        )

    def _log(self, module: str) -> Path:
        return self.home.logs / f"{module}.log"


def reset(home: StateFolder) -> None:
    """Delete everything that a local cloud has kept: images, faces, reports, executions."""
    with home.lock():
        home.events.forget()
        if home.state.exists():
            shutil.rmtree(home.state)  # what cannot be deleted is said, not ignored
        for log in (*home.logs.glob("*.log"), home.logs / "faults.jsonl"):
            log.unlink(missing_ok=True)
        if home.logs.is_dir() and not any(home.logs.iterdir()):
            home.logs.rmdir()


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()  # which it waits for: facematch.local.child_process


def _how_ended(process: subprocess.Popen[bytes]) -> str:
    code = process.poll()
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"


def _address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _empty(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    for path in folder.iterdir() if folder.is_dir() else ():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _tail(log: Path, lines: int = 15) -> str:
    try:
        text = log.read_text(errors="replace")
    except OSError as error:  # what it is to explain has to be told all the same
        return f"({log} cannot be read: {error.strerror}.)"
    return "\n".join(text.splitlines()[-lines:])
