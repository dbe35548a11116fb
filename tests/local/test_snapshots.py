"""Snapshots of the services' state: none is written before what was kept has been read."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from facematch.local.emulator import snapshots as module
from facematch.local.emulator.snapshots import Snapshots
from facematch.local.events import Events
from tests.local.processes import eventually

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class SlowEmulator:
    """Reads its one service's state when it is told to."""

    def __init__(self) -> None:
        self._state_map = {"s3": "s3"}
        self.may_read = threading.Event()
        self.buckets: dict[str, Any] = {}

    def load_state(self, _service: str) -> dict[str, Any]:
        self.may_read.wait()
        return {"images": {}}

    def _get_module(self, _name: str) -> SimpleNamespace:
        return SimpleNamespace(load_persisted_state=self.buckets.update)

    def _build_persistence_save_dict(self) -> dict[str, Any]:
        return {"s3": lambda: dict(self.buckets)}

    async def app(self, *_: object) -> None:
        """The emulator's startup is a call of its application, too."""


def test_a_start_that_takes_long_does_not_overwrite_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORTEST_INTERVAL", 0.01)
    saved: list[dict[str, Any]] = []
    (tmp_path / "s3.json").write_text("{}")
    emulator = SlowEmulator()
    persistence = SimpleNamespace(
        STATE_DIR=str(tmp_path),
        json=None,
        logger=logging.getLogger("persistence"),
        save_state=lambda _service, state: saved.append(state),
    )
    snapshots = Snapshots(emulator, persistence, Events(tmp_path / "events.jsonl"))
    snapshots.start()
    # In a thread of its own: a browser's tests leave a loop running in this one.
    startup = threading.Thread(
        target=lambda: asyncio.run(snapshots.app({"type": "lifespan"}, None, None))
    )
    startup.start()
    startup.join()
    reading = threading.Thread(target=snapshots.read)
    reading.start()

    time.sleep(0.2)  # many intervals
    snapshots.end(None)  # and somebody stops it
    before = list(saved)
    emulator.may_read.set()
    reading.join()

    assert before == []
    assert eventually(lambda: {"images": {}} in saved)
