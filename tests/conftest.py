"""Settings of every test, and the order of the files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hypothesis import settings

from tests.examples import examples

if TYPE_CHECKING:
    import pytest

settings.register_profile("all", deadline=None, max_examples=examples(100))
settings.load_profile("all")

# Containers often forbid bytecode. Each process that a test starts would then compile everything
# that it imports, and a local cloud would take 10 s of CPU to start instead of 3.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_TESTS: Final = Path(__file__).parent
#: The files that take longest, which begin first. One that began last would leave the other
#: processes idle; `make test` tells xdist to keep this order.
_LONGEST: Final = (
    "local/test_crash.py",
    "local/test_cloud.py",
    "local/test_starts.py",
    "workflow/test_hostile_input.py",
    "workflow/test_replay.py",
    "local/test_permissions.py",
    "workflow/test_way_of_an_image.py",
    "before/test_stack.py",
    "infrastructure/test_synthesis.py",
    "workflow/test_names_left_out.py",
    "workflow/test_chaos.py",
    "workflow/test_pace.py",
    "local/test_full_disk.py",
    "local/test_rekognition.py",
    "test_install.py",
    "local/test_faces.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first."""
    places = {_TESTS / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
