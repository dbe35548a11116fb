"""Which tests share a process: two run side by side, since most of the time each waits."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the workflow's tests, which share one deployed local cloud, in one process.

    Everything else is about as long, and goes into the other.
    """
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0]
        group = "workflow" if folder == "workflow" else "rest"
        item.add_marker(pytest.mark.xdist_group(group))
