"""What keeps a spreadsheet from running a text as a formula.

Names come from outside, and a spreadsheet splits a CSV file at commas, semicolons or tabs as its
language has it, whatever the file was written with; a quote in the middle of a cell then means
nothing. So a text gets a ``'`` in front wherever such a cell of it could be a formula, and the
import of decisions takes it off again. The evidence page has the same rule (page/decisions.js).
"""

from __future__ import annotations

import re
from typing import Final

#: A cell that begins so is a formula, or the apostrophe that says that it is none. Spreadsheets
#: know wide forms of = + - @, and skip white space before them (OWASP, CSV Injection; ASVS 1.2.10).
FORMULA_STARTS: Final = ("=", "+", "-", "@", "'", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")  # noqa: RUF001

_STARTS: Final = re.escape("".join(FORMULA_STARTS))
#: Where a cell begins when a file is split at another character; its opening quote is skipped.
_INNER: Final = re.compile(rf"([;\t\r\n])(?=[{_STARTS}\"])")
_GUARDED_INNER: Final = re.compile(rf"([;\t\r\n])'(?=[{_STARTS}\"])")


def guarded(text: str) -> str:
    """Return the text as a cell of CSV that no spreadsheet runs."""
    inner = _INNER.sub(r"\1'", text)
    return f"'{inner}" if text.startswith(FORMULA_STARTS) else inner


def unguarded(cell: str) -> str:
    """Return the text of which `guarded` made the cell."""
    if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS):
        cell = cell[1:]
    return _GUARDED_INNER.sub(r"\1", cell)
