"""Holds the local cloud of a run, as `facematch local start` does, until its input is closed.

It ends with the process that started it, even when that one is killed, and ends the local cloud.
"""

from __future__ import annotations

import sys
from pathlib import Path

from facematch.local import serve
from facematch.local.child_process import end_with_parent
from facematch.local.state_folder import StateFolder


def main() -> int:
    """Hold the local cloud in the folder that the only argument names."""
    folder = Path(sys.argv[1])
    end_with_parent()
    lock = StateFolder(folder).lock()
    return serve.main(["--home", str(folder), "--lock", str(lock.fileno())])


if __name__ == "__main__":
    sys.exit(main())
