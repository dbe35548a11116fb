"""Processes of functions start as forks of one process that has imported what they share.

MiniStack starts an interpreter for each, which spends half a second of processor time on botocore
and Powertools. A fork has them at once, and shares their memory with the others.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Final

from facematch.forks import SAFE, fork_context
from facematch.local.emulator.private_names import functions, values

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, ForkServerProcess

PRIVATE_NAMES: Final = (
    *values(
        "ministack.core.lambda_runtime", "starts the process of a function by Popen", "subprocess"
    ),
    *functions(
        "ministack.core.lambda_runtime",
        "starts the process of a function by Popen",
        {"Worker._spawn": ("self",)},
    ),
)

#: What every function imports, and none of it of the project: a function has the code that is
#: deployed, which may be another than that of this checkout.
_SHARED: Final = (
    "botocore.session",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.data_classes",
    "urllib3.connectionpool",
)
#: Imported again in each fork, by the name of the main module.
_MAIN: Final = "facematch.local.emulator.process"
_NAME: Final = re.compile(r"(?:.*-)?(\w+?)Function[0-9A-F]{8}")


def prepare_forks() -> None:
    """Start what the functions are forks of. They can read the environment of this moment."""
    if SAFE:
        fork_context(*_SHARED, _MAIN)


def fork_functions(lambda_runtime: Any) -> None:  # noqa: ANN401 - a module
    """Let MiniStack start the functions' processes as forks, where forks are safe."""
    if not SAFE:
        return
    context = fork_context(*_SHARED, _MAIN)

    def popen(command: list[str], **options: Any) -> subprocess.Popen[Any] | ForkedProcess:
        if command[0] != sys.executable:
            return subprocess.Popen(command, **options)  # noqa: S603 - MiniStack's own
        return ForkedProcess(context, command[1], cwd=options["cwd"], environment=options["env"])

    lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": popen})


class ForkedProcess:
    """What MiniStack uses of a `subprocess.Popen` with pipes for texts, of a fork.

    Parameters
    ----------
    script
        Path of the Python program that it runs.
    """

    def __init__(
        self, context: ForkServerContext, script: str, *, cwd: str, environment: dict[str, str]
    ) -> None:
        its_input, to_input = context.Pipe(duplex=False)
        from_output, its_output = context.Pipe(duplex=False)
        from_errors, its_errors = context.Pipe(duplex=False)
        its_ends = (its_input, its_output, its_errors)
        self._process: ForkServerProcess = context.Process(
            target=_run, args=(script, cwd, environment, its_ends), daemon=True
        )
        self._process.start()
        for end in its_ends:
            end.close()  # otherwise its end could not be seen at ours
        self.stdin = _text(to_input, "w")
        self.stdout = _text(from_output, "r")
        self.stderr = _text(from_errors, "r")

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code.

        Raises
        ------
        subprocess.TimeoutExpired
            When the process still runs after `timeout` seconds.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._process.kill()


def _text(end: Connection[Any, Any], mode: str) -> IO[str]:
    """Our end of a pipe as a file, as Popen has it."""
    file: IO[str] = os.fdopen(os.dup(end.fileno()), mode, buffering=1)
    end.close()
    return file


def _run(
    script: str,
    cwd: str,
    environment: dict[str, str],
    ends: tuple[Connection[Any, Any], ...],
) -> None:
    """In the fork: become what an interpreter with this script would be."""
    for standard, end in enumerate(ends):
        os.dup2(end.fileno(), standard)
        end.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for name in [each for each in sys.modules if each.partition(".")[0] == "functions"]:
        del sys.modules[name]  # this checkout's, should anything have imported it
    sys.argv = [script]
    sys.path[0] = str(Path(script).parent)
    _be_called(environment.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    runpy.run_path(script, run_name="__main__")


def _be_called(function: str) -> None:
    """Give the process the function's name, by which ps, top and our own figures tell it apart.

    As ``IntakeStarter`` of ``FaceMatching-IntakeStarterFunctionBA385B63``: 15 characters at most.
    """
    if found := _NAME.match(function):
        Path("/proc/self/comm").write_text(found[1][-15:])
