"""Processes that start as forks of one that has imported what they need."""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
import tempfile
import threading
from multiprocessing import forkserver, util
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

#: Elsewhere libraries of the system do not survive a fork (Python documentation, multiprocessing,
#: Contexts and start methods).
SAFE: Final = sys.platform == "linux"
#: The address of a socket has 108 bytes (unix(7)), and TMPDIR may be longer.
_SHORT_FOLDER: Final = "/tmp"  # noqa: S108 - multiprocessing makes a folder of its own in it
_starting: Final = threading.Lock()


def fork_context(*modules: str) -> ForkServerContext:
    """Return the context whose processes have these modules, and start what they are forks of.

    The first call in a process decides on the modules: later ones import what they lack.
    """
    context = multiprocessing.get_context("forkserver")
    with _starting:
        _choose_folder()
        context.set_forkserver_preload([*modules])
        forkserver.ensure_running()
    return context


@functools.cache
def _choose_folder() -> None:
    """Let multiprocessing keep its sockets where their addresses are short.

    It chooses a folder once, below `tempfile.tempdir`, and remembers it.
    """
    before = tempfile.tempdir
    if os.access(_SHORT_FOLDER, os.W_OK):
        tempfile.tempdir = _SHORT_FOLDER
    try:
        util.get_temp_dir()
    finally:
        tempfile.tempdir = before
