"""Chinese in Latin letters: syllables of Pinyin, and the same in Wade-Giles."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from functions.matching.names import tables

_INITIAL: Final = "zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]"
_SYLLABLE: Final = (
    f"({_INITIAL})?(iang|iong|uang|ueng|ang|eng|ing|ong|ian|iao|uai|uan|ai|ei|ao|ou|an|en|in|un|er|"
    f"ia|ie|iu|ua|uo|ui|ue|ve|a|o|e|i|u|v)"
)
_INSIDE: Final = f"{_SYLLABLE}(?=(?:{_INITIAL})[aeiouv]|$)"
_ALONE: Final = re.compile(_SYLLABLE)
_SYLLABLES: Final = re.compile(f"(?:{_INSIDE})+")
_WADE_GILES: Final = dict(tables.pairs("wade_giles"))
_LONGEST: Final = 24


def is_syllable(word: str) -> bool:
    """Return whether a word is one syllable of Pinyin."""
    return bool(_ALONE.fullmatch(word))


def is_pinyin(word: str) -> bool:
    """Return whether a word consists of syllables of Pinyin."""
    return len(word) <= _LONGEST and bool(_SYLLABLES.fullmatch(word))


@lru_cache(maxsize=8_192)
def wade_giles(word: str) -> str:
    """Return a Pinyin word in Wade-Giles without apostrophes, or nothing if it is none."""
    return re.sub(_INSIDE, _syllable, word) if is_pinyin(word) else ""


def _syllable(found: re.Match[str]) -> str:
    initial, final = found[1] or "", found[2]
    return _WADE_GILES.get(found[0]) or (
        _WADE_GILES.get(f"{initial}-", initial) + _WADE_GILES.get(f"-{final}", final)
    )
