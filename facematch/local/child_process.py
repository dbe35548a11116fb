"""Ending with the parent: children outlive nobody, not even a parent that was killed."""

from __future__ import annotations

import os
import signal
import sys
import threading


def end_with_parent() -> None:
    """Ask this process to end, as by SIGTERM, once its standard input is closed.

    The parent holds the other end of the pipe and never writes. When it dies, however it dies,
    the operating system closes the pipe. Works on every Unix, unlike PR_SET_PDEATHSIG.
    """

    def wait() -> None:
        # Not sys.stdin.buffer: a thread that waits in it aborts the interpreter at its exit.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
