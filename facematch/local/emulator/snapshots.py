"""Snapshots of the emulator's state, which it writes by itself only when it ends cleanly.

After kill -9 the objects of S3 are all there, and the executions and messages as they were at the
last snapshot: what ran then is FAILED and can be redriven; what came after is found by
``facematch audit``, which sends it through the queue again. A snapshot that the disk refuses is
tried again and told of: until one succeeds, an end is like a kill at the last one.

A file that cannot be read ends the emulator when it starts. By itself it would go on without that
service's state, and overwrite it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.local.emulator.histories import PackedHistory
from facematch.local.emulator.logged_failures import LoggedFailures
from facematch.local.emulator.private_names import functions, values
from facematch.local.events import Kind
from facematch.text import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import NoReturn, TextIO

    from facematch.local.events import Events

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.app",
        "snapshots, so that a crash loses little",
        {
            "_build_persistence_save_dict": (),
            "save_all": ("services",),
            "_load_persisted_state": (),
            "load_state": ("service",),
            "_get_module": ("name",),
        },
    ),
    *values("ministack.app", "snapshots, so that a crash loses little", "_state_map"),
    *functions(
        "ministack.core.persistence",
        "snapshots, so that a crash loses little",
        {
            "save_state": ("service", "data"),
        },
    ),
)

#: At least so long between two snapshots, seconds; and so many times the last one's duration, so
#: that a large state costs no more than a fiftieth of the time.
SHORTEST_INTERVAL: Final = 3.0
_INTERVAL_PER_DURATION: Final = 50.0
_TRIES: Final = 5
#: Exit code of the emulator when it cannot read its state; the last line of its log says why.
STATE_DAMAGED: Final = 3

logger = logging.getLogger("facematch.snapshots")


class Snapshots:
    """Writes the state of all services now and then, if anything was asked of them since.

    Parameters
    ----------
    ministack, persistence
        The modules; `facematch.local.emulator` lists what is used of it.
    events
        Where it is told that the state cannot be written.
    """

    def __init__(self, ministack: Any, persistence: Any, events: Events) -> None:  # noqa: ANN401
        self._ministack = ministack
        self._events = events
        self._requests = 0
        self._lock = threading.RLock()
        #: Until then there is no state of ours to write, and one on the disk to lose.
        self._is_read = threading.Event()
        self._failures = LoggedFailures(persistence.logger)
        self._written = datetime.now(UTC)
        self._refused = False
        self._save_state = persistence.save_state
        ministack.save_all = self.end
        persistence.json = _InOneGo(persistence.json)
        self._folder = Path(persistence.STATE_DIR)
        ministack._load_persisted_state = self.read

    def read(self) -> None:
        """Read every service's state, or end the process: nothing has been written yet."""
        for service, module in self._ministack._state_map.items():
            file = self._folder / f"{service}.json"
            if not file.exists():
                continue
            try:
                state = self._ministack.load_state(service)
                if not isinstance(state, dict):  # it has logged why
                    end_damaged(f"{file} cannot be read")
                self._ministack._get_module(module).load_persisted_state(state)
            except Exception as error:  # noqa: BLE001 - of any service, for any content
                end_damaged(f"{file} cannot be read: {type(error).__name__}: {error}")
        self._is_read.set()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve as the emulator does, and count the requests."""
        self._requests += 1
        await self._ministack.app(scope, receive, send)

    def start(self) -> None:
        """Begin, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="snapshots", daemon=True).start()

    def _run(self) -> None:
        self._is_read.wait()
        seen, interval = 0, SHORTEST_INTERVAL
        while True:
            time.sleep(interval)
            requests = self._requests
            if requests != seen or self._refused:
                started = time.monotonic()
                self.write()
                seen = requests
                taken = time.monotonic() - started
                interval = max(SHORTEST_INTERVAL, _INTERVAL_PER_DURATION * taken)

    def write(self) -> bool:
        """Write the state of every service that has one; whether the disk took all of it."""
        with self._lock:
            refused = self._refused_by_disk()
            if refused and not self._refused:
                self._events.note(
                    f"The state of the services cannot be written to the disk ({refused}). If the "
                    "local cloud ended now, it would be as if it had been killed at "
                    f"{self._written:%H:%M:%S} UTC; photographs and reports are kept. Free up "
                    "space; it is tried again every few seconds.",
                    Kind.TROUBLE,
                )
            elif self._refused and not refused:
                self._events.note("The state of the services is written to the disk again.")
            self._refused = bool(refused)
        return not refused

    def end(self, _services: object) -> None:
        """Write the last state, after the snapshot that is being written."""
        with self._lock:
            if refused := self._refused_by_disk():
                self._events.note(
                    f"The last state of the services could not be written to the disk ({refused}). "
                    "The next start finds executions and messages as they were at "
                    f"{self._written:%Y-%m-%d %H:%M:%S} UTC; photographs and reports are kept. "
                    "Free up space, start, then look for what was lost with: "
                    + command("audit", "--local", local=True),
                    Kind.TROUBLE,
                )

    def _refused_by_disk(self) -> str:
        """Write every service's state; the reason when one could not be written."""
        if not self._is_read.is_set():  # it is ended while it starts
            return ""
        began = datetime.now(UTC)
        refused = ""
        for service, get_state in self._ministack._build_persistence_save_dict().items():
            with self._failures.caught() as failures:
                try:
                    state = _consistent(get_state)
                    if state is not None:
                        self._save_state(service, state)
                except Exception as error:  # noqa: BLE001 - of any service: the others are written
                    failures.append(error)
            for failure in failures:
                why = getattr(failure, "strerror", None) or type(failure).__name__
                logger.error("the state of %s could not be written: %s", service, why)
                refused = refused or why
        if not refused:
            self._written = began
        return refused


def end_damaged(why: str) -> NoReturn:
    """End at once: an orderly end would write what was not read."""
    print(why, file=sys.stderr, flush=True)
    os._exit(STATE_DAMAGED)


def _consistent(get_state: Callable[[], Any]) -> Any:  # noqa: ANN401 - a service's state
    """A copy of the state; threads that change it meanwhile make the copying fail now and then."""
    for _ in range(_TRIES):
        try:
            return get_state()
        except RuntimeError:  # a dictionary changed its size while it was copied
            time.sleep(0.01)
    return None


class _InOneGo:
    """The module json for the emulator, which writes a state to its file piece by piece.

    Only a text that is made in one go is made by the encoder in C, in a quarter of the time.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of the module's
        return getattr(self._module, name)

    @staticmethod
    def dump(value: object, file: TextIO, *, default: Callable[[Any], Any]) -> None:
        """Write the value, with packed histories as they are."""

        def known(item: Any) -> Any:  # noqa: ANN401 - as json has it
            return item.to_json() if isinstance(item, PackedHistory) else default(item)

        file.write(json.dumps(value, default=known))
