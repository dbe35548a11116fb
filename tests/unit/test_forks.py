"""Forks: what they are forks of starts wherever temporary files are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from facematch.forks import SAFE
from workflow.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os
from facematch.forks import fork_context

def look():
    import sys
    os._exit(3 if "decimal" in sys.modules else 4)

if __name__ == "__main__":
    process = fork_context("decimal").Process(target=look)
    process.start()
    process.join()
    print(process.exitcode)
"""


@pytest.mark.skipif(not SAFE, reason="there are no forks here")
def test_a_fork_has_the_modules_also_where_the_temporary_folder_has_a_long_path(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "3\n", done.stderr
    assert not list(folder.iterdir())
