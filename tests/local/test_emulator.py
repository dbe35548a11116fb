"""The emulator's private names, and what our changes to it do.

A failure here after an upgrade of MiniStack says which name has changed and what it was for.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import operator
import pkgutil
import socket
import threading
import time
import traceback
import urllib.error
import urllib.request
import zipfile
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import facematch.local.emulator as emulators
from facematch.local.emulator import concurrency
from facematch.local.emulator import process as emulator
from facematch.local.emulator.concurrency import bound_invocations, leave_messages_in_the_queue
from facematch.local.emulator.exceptions import error_name, name_exceptions
from tests.local.conftest import KEYS
from tests.local.processes import addresses_of, emulating, eventually, needs_proc

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from facematch.local.emulator.private_names import PrivateName


#: Each module that puts something into the emulator.
PATCHES = [
    importlib.import_module(f"{emulators.__name__}.{module.name}")
    for module in pkgutil.iter_modules(emulators.__path__)
]


def declared(patch: ModuleType) -> tuple[PrivateName, ...]:
    return getattr(patch, "PRIVATE_NAMES", ())


def used_names(patch: ModuleType) -> set[str]:
    """Private names of other objects than the module's own, and than Python's."""
    return {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(patch)))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) not in {"self", "cls", "os"}
    }


@pytest.mark.parametrize(
    "private",
    sorted({private for patch in PATCHES for private in declared(patch)}, key=str),
    ids=lambda private: f"{private.module}.{private.name}",
)
def test_a_private_name_is_still_what_it_was(private: PrivateName) -> None:
    module = importlib.import_module(private.module)

    found = operator.attrgetter(private.name)(module)

    if private.parameters is None:
        assert not inspect.isroutine(found), private.use
    else:
        assert tuple(inspect.signature(found).parameters) == private.parameters, private.use


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.__name__.rpartition(".")[2])
def test_each_private_name_that_is_used_is_declared(patch: ModuleType) -> None:
    names = {private.name for private in declared(patch)}

    assert used_names(patch) <= names


def test_the_poller_is_still_woken_by_an_event() -> None:
    module = importlib.import_module("ministack.services.lambda_svc")

    assert isinstance(module._esm_wake, threading.Event)


def test_sessions_are_still_found_by_their_access_key() -> None:
    sts = importlib.import_module("ministack.services.sts")

    sts.register_session("ASIA", {"Arn": "role"})

    assert sts._sessions.pop("ASIA")["Arn"] == "role"


def test_every_state_that_is_kept_has_its_file_and_module() -> None:
    ministack = importlib.import_module("ministack.app")
    persistence = importlib.import_module("ministack.core.persistence")

    assert isinstance(persistence.STATE_DIR, str)
    assert {"s3", "stepfunctions", "sqs", "glue"} <= ministack._state_map.keys()
    assert ministack._state_map["lambda"] == "lambda_svc"


def test_the_emulator_is_the_version_that_was_looked_into() -> None:
    assert version("ministack") == "1.5.33"


class RaisedError(Exception):
    pass


def trace_of(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


def caused() -> Exception:
    error = RaisedError("outer")
    error.__cause__ = KeyError("inner")
    return error


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (RaisedError("one line"), "RaisedError"),
        (RaisedError(""), "RaisedError"),
        (RaisedError("two\nlines: of it"), "RaisedError"),
        (RaisedError("ends like: a name"), "RaisedError"),
        (ValueError("built in"), "ValueError"),
        (KeyError("quoted"), "KeyError"),
        (caused(), "RaisedError"),
    ],
    ids=str,
)
def test_an_exceptions_class_name_is_read_from_its_traceback(error: Exception, name: str) -> None:
    assert error_name(trace_of(error), str(error)) == name


@pytest.mark.parametrize("trace", ["", "Worker process died", "Task timed out after 3.00 seconds"])
def test_what_is_no_exception_gets_no_name(trace: str) -> None:
    assert error_name(trace, trace) is None


HANDLER = """
import os

def handler(event, context):
    if event == "fail":
        raise KeyError("a photograph")
    return os.getpid()
"""


def test_a_functions_process_goes_on_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    lambda_runtime: Any = importlib.import_module("ministack.core.lambda_runtime")
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    monkeypatch.setattr(lambda_runtime, "_PYTHON_WORKER_SCRIPT", script)
    monkeypatch.setattr(lambda_runtime.Worker, "invoke", lambda_runtime.Worker.invoke)
    name_exceptions(lambda_runtime, SimpleNamespace(_execute_function_warm=None))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("step.py", HANDLER)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:step"
    config = {"Runtime": "python3.11", "Handler": "step.handler", "FunctionArn": arn}
    worker = lambda_runtime.Worker("step", config, code.getvalue())

    try:
        first, failed, second = (worker.invoke(event, event) for event in ("1", "fail", "2"))
    finally:
        worker.kill()

    assert (failed["status"], failed["error"]) == ("error", "'a photograph'")
    assert "KeyError" in failed["trace"]
    assert (first["status"], second["status"]) == ("ok", "ok")
    assert first["result"] == second["result"]


class StandInLambda:
    """The part of lambda_svc that we wrap, doing nothing but counting."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self._esm_wake = threading.Event()

    def _execute_function_dispatch(
        self, _func: Any, config: dict[str, str], event: Any, _request_id: str, _started: float
    ) -> dict[str, Any]:
        name = config["FunctionName"]
        with self.lock:
            self.now[name] = self.now.get(name, 0) + 1
            self.most[name] = max(self.most.get(name, 0), self.now[name])
        time.sleep(0.02)
        with self.lock:
            self.now[name] -= 1
        return {"body": event}

    def _sqs_esm_concurrency(self, *_arguments: Any) -> int:
        return 2


@pytest.mark.parametrize(
    ("function", "allowed"),
    [
        ("FaceMatching-IndexFunction08CCB108-C05AF74E7DAD2", 4),
        ("FaceMatching-ReportFunction6EC312E5-4EE6E67B7C096", 1),
        ("Index-SearchFunction4AE05E44-F5EAEC1D8C6AC", 1),
    ],
)
def test_more_invocations_wait_for_a_free_process_and_all_are_served(
    function: str, allowed: int
) -> None:
    stand_in = StandInLambda()
    bound_invocations(stand_in)
    results: list[Any] = []

    def invoke(number: int) -> None:
        config = {"FunctionName": function}
        answer = stand_in._execute_function_dispatch(None, config, number, "", 0.0)
        results.append(answer["body"])

    threads = [threading.Thread(target=invoke, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == list(range(12))
    assert stand_in.most[function] == allowed


def test_messages_stay_in_the_queue_while_many_executions_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency, "MOST_RUNNING_EXECUTIONS", 2)
    stand_in, release = StandInLambda(), threading.Event()

    class StandInStepFunctions:
        @staticmethod
        def _run_execution(_arn: str) -> None:
            release.wait(5)

    stepfunctions = StandInStepFunctions()
    leave_messages_in_the_queue(stand_in, stepfunctions)
    allowed = [stand_in._sqs_esm_concurrency({}, {}, {})]

    threads = [
        threading.Thread(target=stepfunctions._run_execution, args=(str(number),))
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    allowed.append(stand_in._sqs_esm_concurrency({}, {}, {}))
    release.set()
    for thread in threads:
        thread.join()
    allowed.append(stand_in._sqs_esm_concurrency({}, {}, {}))

    assert allowed == [2, 0, 2]
    assert stand_in._esm_wake.is_set()


def test_the_emulator_gets_nothing_of_the_users_aws_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://example.org")

    environment = emulator.environment(port=1, state=tmp_path)

    assert environment["BIND_HOST"] == "127.0.0.1"
    assert not {"production", "AKIAREAL", "real", "https://example.org"} & {*environment.values()}


def test_the_emulator_refuses_to_be_started_with_another_address() -> None:
    with pytest.raises(SystemExit, match=r"127\.0\.0\.1"):
        emulator._require_own_environment({"BIND_HOST": "0.0.0.0"})


@needs_proc
def test_the_emulator_listens_nowhere_but_on_the_socket_that_it_was_given(tmp_path: Path) -> None:
    """MiniStack would open one more port, on every interface, as soon as it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = free.getsockname()[1]
    with emulating(tmp_path, IOT_MTLS_PORT=str(other)) as (process, endpoint):

        def is_ready() -> bool:
            with contextlib.suppress(urllib.error.HTTPError):
                KEYS.user.ask(f"{endpoint}/_ministack/ready", seconds=60)
                return True
            return False

        assert eventually(is_ready)

        assert addresses_of({process.pid}) == {endpoint}
