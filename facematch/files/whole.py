"""Files that are whole whenever somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(file: Path, content: str | bytes, *, temporary: Path | None = None) -> None:
    """Write a file beside its place, by default with the suffix ``.new``, then put it there."""
    temporary = temporary or file.with_suffix(".new")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(file)
