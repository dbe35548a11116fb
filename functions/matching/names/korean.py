"""Korean names: a family name of a short list, and a given name of two syllables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from functions.matching.names import scripts, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A family name and a key of a given name, each the same for all spellings.
Reading = tuple[str, str]

_FAMILIES: Final = {word: line[0] for line in tables.lines("korean_families") for word in line}
_MOST_WORDS: Final = 3
_SHORT: Final = 3
_SYLLABLE: Final = (
    "(?:ch|kk|tt|pp|ss|jj|sh|[bcdghjklmnprst])?"
    "(?:w(?:eo|oo|ae|[aeiou])|y(?:eo|ou|oo|ae|u|a|e|o)|ae|eo|eu|oo|oe|ui|ou|ee|ay|[aeiou])h?"
    "(?:ng|ck|[kgnlmptbr](?![aeiouwy]))?"
)
_GIVEN: Final = re.compile(f"(?:{_SYLLABLE}){{2}}")
_SILENT_H: Final = re.compile("h(?=[^aeiouwy]|$)")
_simplified: Final = tables.replacing("korean_sounds")


def family_and_given(name: str) -> list[str]:
    """Return the family and the given name of a name in Hangul without a space."""
    syllables = scripts.hangul_syllables(name)
    length = 2 if len(syllables) > _SHORT else 1
    return ["".join(syllables[:length]), "".join(syllables[length:])]


def readings(words: Sequence[str]) -> frozenset[Reading]:
    """Return how the words of a name in Latin letters read as a Korean name."""
    if not 1 < len(words) <= _MOST_WORDS:
        return frozenset()
    return frozenset(
        (_FAMILIES[family], _SILENT_H.sub("", _simplified(given)))
        for family, given in (
            (words[0], "".join(words[1:])),
            (words[-1], "".join(words[:-1])),
        )
        if family in _FAMILIES and _GIVEN.fullmatch(given)
    )
