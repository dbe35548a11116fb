"""Which tests share a process: two run side by side, since most of the time each waits."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share one deployed local cloud in one process, in their order."""
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0]
        if folder in {"before", "workflow"}:
            item.add_marker(pytest.mark.xdist_group(folder))
