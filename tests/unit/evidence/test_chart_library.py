"""The charting library of the evidence page: bundled once for each version of its package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facematch.evidence import page
from facematch.evidence.page import chart_library

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The code that the package was asked to bundle."""
    asked: list[str] = []

    def bundle(code: str) -> str:
        asked.append(code)
        return f"{code} </script>"

    monkeypatch.setattr("vl_convert.javascript_bundle", bundle)
    return asked


def library(folder: Path) -> str:
    chart_library.cache_clear()
    try:
        return chart_library(folder)
    finally:
        chart_library.cache_clear()


def test_a_second_process_reads_what_the_first_one_bundled(
    tmp_path: Path, bundled: list[str]
) -> None:
    first = library(tmp_path / "state")

    assert library(tmp_path / "state") == first
    assert "<\\/script>" in first
    assert len(bundled) == 1
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_another_version_of_the_package_is_bundled_anew(
    tmp_path: Path, bundled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library(tmp_path)
    monkeypatch.setattr(page, "version", lambda _: "another")
    library(tmp_path)

    assert len(bundled) == 2


@pytest.mark.parametrize("content", [b"", b"alert(1)", b"\xff\xfe"])
def test_a_file_that_is_no_library_is_replaced(
    tmp_path: Path, bundled: list[str], content: bytes
) -> None:
    first = library(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)

    assert library(tmp_path) == first
    assert file.read_text() == first
    assert len(bundled) == 2


def test_a_folder_that_cannot_be_written_costs_time_only(
    tmp_path: Path, bundled: list[str]
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")

    assert library(tmp_path / "taken").endswith("vegaEmbed; <\\/script>")
    assert len(bundled) == 1
