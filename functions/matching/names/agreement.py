"""Agreement of two parts: by letters, spellings, nicknames, or consonants of two scripts."""

from __future__ import annotations

from collections import defaultdict
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from functions.matching.names import chinese, scripts, skeletons, spelling, tables

if TYPE_CHECKING:
    from functions.matching.names.parts import Part


class Match(IntEnum):
    """How well two parts agree."""

    NONE = 0
    WEAK = 1
    INITIAL = 2
    NAME = 3
    EXACT = 4


#: Each name with its spellings, and with the nicknames of all its spellings.
_SPELLINGS: Final[defaultdict[str, set[str]]] = defaultdict(set)
for _line in tables.lines("spellings"):
    for _word in _line:
        _SPELLINGS[_word].update(_line)
_NICKNAMES: Final[defaultdict[str, set[str]]] = defaultdict(set)
for _first, *_others in tables.lines("nicknames"):
    for _word in {_first, *_SPELLINGS.get(_first, ())}:
        _NICKNAMES[_word].update(_others)
_JOINED: Final = frozenset(tables.words("joined_particles"))
#: Letters that follow a joined particle: Alzahrani has one, Alma has none.
_LEAST_JOINED: Final = 4
#: Up to this length, translations that are one letter apart are two names: Marco and Mark.
_SHORT: Final = 5
#: Sounds that two skeletons must have in common to be clearly one name.
_CLEAR: Final = 3


def match(a: Part, b: Part) -> Match:
    """Return how well two parts agree, typing errors left out."""
    same = a.written == b.written or a.latin == b.latin != ""
    if a.initial or b.initial:
        return Match.INITIAL if same or _initial_of(a, b) or _initial_of(b, a) else Match.NONE
    if same:
        return Match.EXACT
    if a.latin and b.latin and alike(a.latin, b.latin):
        return Match.NAME
    if a.script != b.script:
        return _across(a, b)
    romanised = (
        a.arabic == b.arabic != "" or a.latin == b.wade_giles != "" or b.latin == a.wade_giles != ""
    )
    return Match.NAME if romanised else Match.NONE


def _initial_of(a: Part, b: Part) -> bool:
    """Return whether the first part is the initial of the second."""
    if a.script == b.script:
        return a.initial and b.written.startswith(a.written)
    return a.initial and b.latin[:1] == a.latin[:1] != ""


@lru_cache(maxsize=16_384)
def alike(a: str, b: str) -> bool:
    """Return whether two Latin words are one name in two spellings, or a nickname of it."""
    if b in _NICKNAMES.get(a, ()) or a in _NICKNAMES.get(b, ()):
        return True
    if not (a + b).isalpha():
        return False
    sounds = not spelling.keys(a).isdisjoint(spelling.keys(b))
    listed = b in _SPELLINGS.get(a, ()) and (
        min(len(a), len(b)) > _SHORT or not spelling.one_apart(a, b)
    )
    if sounds or listed:
        return not (chinese.is_syllable(a) and chinese.is_syllable(b))
    short, long = sorted((a, b), key=len)
    particle = long[: -len(short)] if long.endswith(short) else ""
    return particle in _JOINED and len(short) >= _LEAST_JOINED


def _across(a: Part, b: Part) -> Match:
    """Return how well two parts of two scripts agree, by their consonants."""
    if "OTHER" in (a.script, b.script):
        return Match.NONE
    if a.script in scripts.ABJADS or b.script in scripts.ABJADS:
        common = skeletons.for_abjad(a.written, a.latin) & skeletons.for_abjad(b.written, b.latin)
    else:
        common = skeletons.of_latin(a.latin, a.script) & skeletons.of_latin(b.latin, b.script)
    longest = max(map(len, common), default=0)
    if longest >= _CLEAR:
        return Match.NAME
    return Match.WEAK if longest == _CLEAR - 1 else Match.NONE
