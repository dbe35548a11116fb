"""Failures of which the emulator tells nobody but its log."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class LoggedFailures(logging.Filter):
    """Catches the exceptions that a logger of the emulator is given as the last argument.

    Where it cannot write or read a file, the emulator logs that and goes on as if it had.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._thread = threading.local()
        logger.addFilter(self)

    @contextmanager
    def caught(self) -> Iterator[list[Exception]]:
        """The exceptions that this thread logs meanwhile; they do not get into the log.

        Its lines name the object's key, and so a person.
        """
        before = getattr(self._thread, "found", None)
        found: list[Exception] = []
        self._thread.found = found
        try:
            yield found
        finally:
            self._thread.found = before

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line goes into the log."""
        found: list[Exception] | None = getattr(self._thread, "found", None)
        error = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        if found is None or not isinstance(error, Exception):
            return True
        found.append(error)
        return False
