"""Tables of words and letters: text files beside this module, with comments after ``#``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDER: Final = Path(__file__).with_name("data")


def lines(table: str) -> list[list[str]]:
    """Return the words of each line of a table."""
    text = (_FOLDER / f"{table}.txt").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def words(table: str) -> tuple[str, ...]:
    """Return all words of a table."""
    return tuple(word for line in lines(table) for word in line)


def pairs(table: str) -> list[tuple[str, str]]:
    """Return the words of a table two by two; a second word "-" stands for nothing."""
    found = words(table)
    return [(a, b.strip("-")) for a, b in zip(found[::2], found[1::2], strict=True)]


def replacing(table: str) -> Callable[[str], str]:
    """Return a function that replaces the first word of each pair by the second, longest first."""
    to = dict(pairs(table))
    pattern = re.compile("|".join(sorted(to, key=len, reverse=True)))
    return lambda text: pattern.sub(lambda found: to[found[0]], text)
