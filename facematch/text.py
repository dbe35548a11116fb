"""Texts from outside, made fit to be shown, and commands for people to run."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from functions.matching.notifications import printable


def visible(text: str) -> str:
    """What the file system or a shell gave us; a byte that is not UTF-8 is shown as its number."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def shown(text: str) -> str:
    """The text without anything that controls a terminal; its lines stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def command(*words: str, local: bool = False) -> str:
    """Return a command of this program that runs as it is printed, from any folder.

    Parameters
    ----------
    local
        The command is about the local cloud, which FACEMATCH_HOME may name.
    """
    home = os.environ.get("FACEMATCH_HOME") if local else None
    place = [f"FACEMATCH_HOME={shlex.quote(home)}"] if home else []
    return " ".join([*place, shlex.join([*_program(), *words])])


def local_command(*words: str) -> str:
    """Return a command about the local cloud itself: start, stop, reset."""
    return command("local", *words, local=True)


def _program() -> list[str]:
    """Return the words by which a shell finds this program again.

    A program that only uses this code, such as a test, is not on the command line at all.
    """
    started = Path(sys.argv[0])
    if started.name == "__main__.py" and started.parent.name == "facematch":
        return [sys.executable, "-m", "facematch"]
    if started.name != "facematch" or not started.exists():
        return ["facematch"]
    found = shutil.which("facematch")
    is_found = found is not None and Path(found).samefile(started)
    return ["facematch" if is_found else str(started.absolute())]
