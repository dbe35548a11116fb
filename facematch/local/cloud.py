"""The local cloud: starts the emulator and the Rekognition endpoint, deploys, and ends them."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Final, Self

import boto3
import botocore.session
from botocore.config import Config

from facematch.local import emulator
from facematch.local.deploy import deploy
from facematch.local.differences import Machine
from facematch.local.home import Home, LocalCloudError, Running
from facematch.local.keys import AccessKey, AccessKeys
from facematch.local.restarts import say_deployed
from facematch.local.snapshots import STATE_DAMAGED
from facematch.toolkit import PROJECT, SynthesisError, synthesised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 20
#: One a core, with one thread each, beats one process with several threads.
_FACE_WORKERS: Final = max(1, min(4, os.cpu_count() or 1))


def local_client(
    running: Running,
    key: AccessKey,
    service: str,
    **options: Any,
) -> Any:  # noqa: ANN401
    """A client of the running local cloud, for 127.0.0.1 only.

    Parameters
    ----------
    key
        The user's.
    options
        Of botocore's Config.
    """
    endpoint = running.rekognition if service == "rekognition" else running.endpoint
    if not endpoint.startswith("http://127.0.0.1:"):
        raise LocalCloudError(
            f"{endpoint} is not on this machine, so nothing was sent there. Start the local cloud "
            "anew: facematch local stop, then facematch local start"
        )
    make: Callable[..., Any] = _session().client
    return make(
        service,
        endpoint_url=endpoint,
        region_name=emulator.REGION,
        # Neither photographs nor the key go to a proxy that the environment names.
        config=Config(s3={"addressing_style": "path"}, proxies={}, **options),
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
    )


@functools.cache
def _session() -> boto3.session.Session:
    """A session that reads nothing of the user's AWS configuration."""
    nowhere = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.session.Session(botocore_session=botocore.session.Session(nowhere))


class LocalCloud:
    """A local cloud in a folder, as a context manager or by `start` and `stop`.

    Parameters
    ----------
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
    """

    def __init__(
        self,
        home: Home,
        *,
        overrides: Mapping[str, Any] | None = None,
        wait_scale: float = 1.0,
        calls_per_second: float | None = None,
        enforce_permissions: bool = False,
        faults: Path | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.home = home
        self._faults = ("--faults", str(faults), str(self.fault_log)) if faults else ()
        self._overrides = overrides
        self._wait_scale = wait_scale
        self._quota = [f"--calls-per-second={calls_per_second:g}"] if calls_per_second else []
        self._enforce_permissions = enforce_permissions
        self._say = say
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._lock: IO[str] | None = None
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
            raise LocalCloudError("The local cloud is not running. Start it: facematch local start")
        return local_client(self.running, AccessKeys.read(self.home.keys).user, service, **options)

    def start(self) -> Running:
        """Start everything and deploy; what was kept is there again.

        Raises
        ------
        LocalCloudError
            With what failed and where its log is. Nothing is left running.
        """
        self._lock = self.home.lock()
        self.home.has_stopped()
        try:
            self.running = self._start()
        except BaseException:
            self.stop()
            raise
        self.home.is_running(self.running)
        return self.running

    def stop(self) -> None:
        """End the processes; the emulator writes its state first."""
        self.home.has_stopped()
        for _, child in self._children:
            if child.stdin:
                child.stdin.close()  # which it waits for: facematch.local.parent
        deadline = time.monotonic() + _STOP_SECONDS
        for _, child in self._children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children.clear()
        self.running = None
        if self._lock:
            _empty(self._tmp)  # copies of what is kept elsewhere, and forgotten there
            self._lock.close()
            self._lock = None

    def ended_child(self) -> str | None:
        """Name of a process that ended by itself, which it never should."""
        return next((name for name, child in self._children if child.poll() is not None), None)

    def _start(self) -> Running:
        _empty(self._tmp)
        for folder in (self._tmp, self.home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        key = AccessKeys.kept_in(self.home.keys).user
        with self.home.choosing_ports() as (port, rekognition_port):
            machine = self._spawn_all(port, rekognition_port)
            self._say("synthesising the template")  # while they start
            try:
                assembly = synthesised(self._overrides)
            except SynthesisError as error:
                raise LocalCloudError(str(error)) from None
            self._await("emulator", f"{machine.endpoint}/_ministack/health", key)
            self._await("rekognition", f"{machine.rekognition}/health", key)
        self._say("deploying the template")
        running = Running(os.getpid(), machine.endpoint, machine.rekognition, "")
        name = deploy(assembly, machine, lambda service: local_client(running, key, service))
        say_deployed(machine.endpoint, key)
        return Running(running.pid, running.endpoint, running.rekognition, name)

    def _spawn_all(self, port: int, rekognition_port: int) -> Machine:
        machine = Machine(
            endpoint=f"http://127.0.0.1:{port}", rekognition=f"http://127.0.0.1:{rekognition_port}"
        )
        environment = emulator.environment(
            port=port,
            state=self.home.state,
            wait_scale=self._wait_scale,
            enforce_permissions=self._enforce_permissions,
        )
        self._say("starting the emulator and the face engine")
        self._spawn(
            "emulator",
            environment,
            *("--port", str(port), "--keys", str(self.home.keys)),
            *self._faults,
        )
        self._spawn(
            "rekognition",
            environment,
            *("--port", str(rekognition_port), "--s3-endpoint", machine.endpoint),
            *("--database", str(self.home.database), "--keys", str(self.home.keys)),
            *("--workers", str(_FACE_WORKERS)),
            "--watch-stdin",
            *self._quota,
            *self._faults,
            *(("--iam-endpoint", machine.endpoint) if self._enforce_permissions else ()),
        )
        return machine

    def _spawn(self, module: str, environment: dict[str, str], *arguments: str) -> None:
        log = self._log(module)
        with log.open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", f"facematch.local.{module}", *arguments],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who then end them in order
            )
        self._children.append((module, child))

    def _await(self, module: str, url: str, key: AccessKey) -> None:
        (child,) = (child for name, child in self._children if name == module)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if child.poll() == STATE_DAMAGED:
                raise LocalCloudError(
                    f"The state in {self.home.state} is damaged: {_tail(self._log(module), 1)}. "
                    "Put back a copy of it, if there is one; otherwise delete everything and begin "
                    "anew with: facematch local reset"
                )
            if child.poll() is not None:
                raise LocalCloudError(
                    f"The process {module!r} ended while starting (exit code {child.returncode}). "
                    f"Mend what its log, {self._log(module)}, ends with:\n"
                    f"{_tail(self._log(module))}"
                )
            with contextlib.suppress(OSError):
                key.ask(url, seconds=2)
                return
            time.sleep(0.05)
        raise LocalCloudError(
            f"The process {module!r} did not answer within {_START_SECONDS} s. Look into its log, "
            f"{self._log(module)}, and repeat the command when the machine is less busy."
        )

    def _log(self, module: str) -> Path:
        return self.home.logs / f"{module}.log"


def reset(home: Home) -> None:
    """Delete everything that a local cloud has kept: images, faces, reports, executions."""
    with home.lock():
        if home.state.exists():
            shutil.rmtree(home.state)  # what cannot be deleted is said, not ignored
        for log in (*home.logs.glob("*.log"), home.logs / "faults.jsonl"):
            log.unlink(missing_ok=True)
        if home.logs.is_dir() and not any(home.logs.iterdir()):
            home.logs.rmdir()


def _empty(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    for path in folder.iterdir() if folder.is_dir() else ():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
