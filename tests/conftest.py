"""Settings of every test, and the order of the files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hypothesis import settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from tests.examples import examples

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer  # type: ignore[import-untyped]

settings.register_profile("all", deadline=None, max_examples=examples(100))
settings.load_profile("all")

# Containers often forbid bytecode. Each process that a test starts would then compile everything
# that it imports, and a local cloud would take 10 s of CPU to start instead of 3.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_TESTS: Final = Path(__file__).parent
_SYNTHESES: Final = "tests/infrastructure"
#: The files that take longest, and why. They begin first: one that began last would leave the
#: other processes idle. `make test` tells xdist to keep this order.
_LONGEST: Final = (
    "local/test_crash.py",  # kills each part of a local cloud during an upload, and starts it again
    "local/test_cloud.py",  # a newcomer's session: several starts, uploads and stops
    "local/test_starts.py",  # starts that are killed, cancelled or meet each other
    "workflow/test_hostile_input.py",  # nearly a hundred uploads, each until it has its outcome
    "workflow/test_replay.py",  # retries that are used up, then replays
    "local/test_permissions.py",  # each right is taken away once
    "workflow/test_way_of_an_image.py",  # retries that are used up
    "before/test_stack.py",  # deploys over a stack of an earlier commit
    "local/test_demo.py",  # four starts of a local cloud, as a newcomer makes them
    "infrastructure/test_synthesis.py",  # syntheses of 10 s each, by both ways to run the CDK
    "workflow/test_names_left_out.py",  # more faces than a report lists
    "workflow/test_chaos.py",  # a run with faults and one without
    "workflow/test_pace.py",  # a burst at the pace that is set
    "local/test_full_disk.py",  # local clouds on a disk that gets full
    "local/test_rekognition.py",  # face workers that are killed or get stuck
    "test_install.py",  # real installations, with uv and with pip
    "local/test_faces.py",  # the face engine on photographs that were changed in many ways
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first."""
    places = {_TESTS / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


class _Files(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Each process gets whole files, and one of them all that synthesise: the CDK starts once."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _SYNTHESES if file.startswith(_SYNTHESES) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Choose how tests are shared out to processes, where ``--dist loadfile`` is given."""
    return _Files(config, log) if config.getoption("dist") == "loadfile" else None
