"""The console script around the command line: its beginning, and what its output cannot hold."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

from workflow.project import PROJECT

#: Ctrl-C at the moment when the command line is about to be imported.
INTERRUPTED_AT_ONCE = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "facematch.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from {module} import {function}
{function}()
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_ctrl_c_before_everything_is_imported_is_no_traceback() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    module, function = project["scripts"]["facematch"].split(":")

    done = run("-c", INTERRUPTED_AT_ONCE.format(module=module, function=function))

    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "Interrupted before it began.\n"


def test_what_an_ascii_terminal_cannot_show_is_shown_by_its_number() -> None:
    options = ["--faces", "100", "--new-per-month", "10", "--wrong-per-month", "1"]
    done = run(
        *("-m", "facematch", "calibrate", *options, "--stack", "Zo\u00eb"),
        PYTHONIOENCODING="ascii",
        PYTHONUTF8="1",
    )

    assert done.returncode == 0, done.stderr
    assert r"/Zo\xeb/notify-threshold" in done.stdout


def test_an_argument_that_is_quoted_back_controls_no_terminal() -> None:
    """As from a shell that has filled in the name of somebody's file."""
    hostile = "\x1b]0;title\x07\x1b[31m\x9b1A.jpg"
    for arguments in (["upload", hostile], [hostile], ["show", f"--{hostile}"]):
        done = run("-m", "facematch", *arguments)
        assert done.returncode == 2
        assert "title" in done.stderr
        assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n"))


def test_the_command_line_loads_no_library_for_pictures_before_a_command_needs_it() -> None:
    """They would make every command a third slower."""
    done = run("-c", "import sys, facematch.cli.main; print(*sys.modules)")

    assert done.returncode == 0, done.stderr
    assert not {"cv2", "duckdb", "numpy", "PIL"} & set(done.stdout.split())
