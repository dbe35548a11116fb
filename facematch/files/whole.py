"""Files that are whole whenever somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(
    file: Path, content: str | bytes, *, temporary: Path | None = None, private: bool = False
) -> None:
    """Write a file beside its place, by default with the suffix ``.new``, then put it there.

    Parameters
    ----------
    private
        Whether only its owner may read it.
    """
    temporary = temporary or file.with_suffix(".new")
    if private:
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(file)
