"""What the exit code of a command means."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit codes, for scripts.

    FAILED: something failed, and the text says what. UNUSABLE: wrong usage, or nothing to work on
    (no such stack, no local cloud, no photographs). INTERRUPTED: by Ctrl-C, as shells number it.
    """

    DONE = 0
    FAILED = 1
    UNUSABLE = 2
    INTERRUPTED = 130


class Interrupted(BaseException):
    """Ctrl-C; not KeyboardInterrupt, which Typer turns into an exit code of failure."""
