"""Names as they are shown."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MOST_MARKS: Final = 30
#: Variation selectors, fillers and the grapheme joiner are marks or letters, yet invisible.
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180f\u034f\u115f\u1160\u3164\uffa0"


def normalised(name: str) -> str:
    """Return a name as it is shown: composed (NFC), with single spaces, nothing invisible.

    Case stays. Only the first 30 marks of a letter stay, as in the stream-safe text format
    (Unicode Standard Annex 15), so that no name takes long to compose.
    """
    if not name.isascii():
        name = re.sub(f"[{_SELECTORS}]", "", name)
    if not name.isprintable():
        spaced = "".join(" " if letter.isspace() else letter for letter in name)
        name = "".join(
            letter for letter in spaced if unicodedata.category(letter) not in ("Cc", "Cf")
        )
    if not name.isascii():
        name = _few_marks(unicodedata.normalize("NFC", _few_marks(name)))
    return " ".join(name.replace("_", " ").split())


def _few_marks(text: str) -> str:
    if len(text) <= _MOST_MARKS:
        return text
    kept, marks = [], 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks <= _MOST_MARKS:
            kept.append(letter)
    return "".join(kept)
