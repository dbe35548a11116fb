"""A function's process that is a fork is what an interpreter of its own would be."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from facematch.local.emulator.forks import ForkedProcess, fork_functions

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there are functions forks")

HANDLER = """
import os, sys, time
from pathlib import Path

import botocore
from functions import matching

def handler(event, context):
    if event == "sleep":
        time.sleep(60)
    if event == "exit":
        os._exit(7)
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "main": sys.argv[0],
        "domain": matching.__file__,
        "called": Path("/proc/self/comm").read_text().strip(),
        "pid": os.getpid(),
    }
"""
NAME = "FaceMatching-IntakeStarterFunctionBA385B63"


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    lambda_runtime: Any = importlib.import_module("ministack.core.lambda_runtime")
    monkeypatch.setattr(lambda_runtime, "subprocess", subprocess)
    monkeypatch.setenv("OF_THE_EMULATOR", "passed on, as MiniStack does")
    fork_functions(lambda_runtime)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("step.py", HANDLER)
        archive.writestr("functions/__init__.py", "")
        archive.writestr("functions/matching.py", "")
    config = {
        "FunctionName": NAME,
        "Runtime": "python3.11",
        "Handler": "step.handler",
        "Timeout": 1,
        "FunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{NAME}",
        "Environment": {"Variables": {"OF_THE_FUNCTION": "é"}},
    }
    made = lambda_runtime.Worker("step", config, code.getvalue())
    yield made
    made.kill()


def test_it_has_the_functions_environment_folder_code_and_name(worker: Any) -> None:
    found = worker.invoke("look", "1")["result"]

    assert isinstance(worker._proc, ForkedProcess)
    assert found["pid"] == worker._proc.pid
    assert found["environment"]["OF_THE_FUNCTION"] == "é"
    assert found["environment"]["OF_THE_EMULATOR"]
    assert found["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == NAME
    assert Path(found["folder"]) == Path(worker._tmpdir, "code").resolve()
    assert Path(found["domain"]).is_relative_to(worker._tmpdir)  # not this checkout's
    assert found["main"] == str(Path(worker._tmpdir, "_worker.py"))
    assert found["called"] == "IntakeStarter"


def test_a_second_invocation_meets_the_same_process(worker: Any) -> None:
    first, second = (worker.invoke("look", each)["result"]["pid"] for each in ("1", "2"))

    assert first == second


def test_one_that_exits_is_told_and_the_next_invocation_gets_a_new_one(worker: Any) -> None:
    before = worker.invoke("look", "1")["result"]["pid"]

    assert worker.invoke("exit", "2")["error"] == "Worker process died"
    assert worker.invoke("look", "3")["result"]["pid"] != before


def test_one_that_takes_longer_than_its_timeout_is_ended(worker: Any) -> None:
    worker.invoke("look", "1")
    process = worker._proc

    assert "timed out" in worker.invoke("sleep", "2")["error"]
    assert process.wait(5) < 0


def test_it_ends_when_its_input_is_closed(worker: Any) -> None:
    worker.invoke("look", "1")
    process = worker._proc

    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.stdin.close()
    assert process.wait(5) == 0


def test_one_that_is_killed_says_so(worker: Any) -> None:
    worker.invoke("look", "1")

    worker._proc.kill()

    assert worker._proc.wait(5) == -9
