"""Names in Chinese characters: their forms, and their readings in Latin letters.

The tables hold common name characters in Pinyin, and common Japanese family and given names. A name
without a listed reading is only excluded if the other name cannot be pronounced that way.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final

from functions.matching.names import chinese, tables
from functions.matching.names.agreement import alike

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMS: Final = str.maketrans(
    {form: line[0] for line in tables.words("character_forms") for form in line[1:]}
)
_CHINESE_FAMILIES_OF_TWO: Final = frozenset(
    "欧阳 司马 诸葛 上官 皇甫 令狐 东方 夏侯 尉迟 公孙 慕容 司徒".split()
)
_CHINESE_LETTERS: Final = 3
_ROMAJI: Final = (
    "(?:(?:ky|gy|sh|sy|ch|ty|ny|hy|by|py|my|ry|ts|tt|kk|pp|ss|[kgsztdnhfbpmyrwj])?[aeiou]"
    "(?:h(?![aeiouy]))?|n(?![aeiouy])|m(?=[bpm]))+"
)


def _readings(table: str) -> dict[str, list[str]]:
    return {name.translate(_FORMS): sounds.split("/") for name, sounds in tables.pairs(table)}


_JAPANESE_FAMILIES: Final = _readings("japanese_families")
_JAPANESE_GIVEN: Final = _readings("japanese_given")
_PINYIN: Final[dict[str, list[str]]] = {}
for _sound, _characters in tables.pairs("pinyin"):
    for _character in _characters:
        _PINYIN.setdefault(_character, []).append(_sound)


def relation(a: str, b: str) -> str:
    """Return how two names in Chinese characters relate."""
    a, b = a.translate(_FORMS), b.translate(_FORMS)
    if a == b:
        return "VARIANT"
    (family_a, given_a), (family_b, given_b) = _split(a), _split(b)
    shared = family_a == family_b or given_a == given_b != ""
    return "SHARED_PART" if shared else "UNRELATED"


def _split(name: str) -> tuple[str, str]:
    """Return the family and the given name."""
    for length in (3, 2, 1):
        family = name[:length]
        if family in _JAPANESE_FAMILIES or family in _CHINESE_FAMILIES_OF_TWO:
            return family, name[length:]
    length = 1 if len(name) <= _CHINESE_LETTERS else 2
    return name[:length], name[length:]


def relation_to_latin(name: str, words: Sequence[str]) -> str:
    """Return how a name in Chinese characters relates to the words of one in Latin letters."""
    name = name.translate(_FORMS)
    length = 2 if name[:2] in _CHINESE_FAMILIES_OF_TWO else 1
    family, given = _split(name)
    pinyin = _pinyin(name[:length]), _pinyin(name[length:])
    japanese = _JAPANESE_FAMILIES.get(family, []), _JAPANESE_GIVEN.get(given, [])
    found = set()
    for families, givens in (pinyin, japanese):
        for front, rest in ((words[0], words[1:]), (words[-1], words[:-1])):
            same_family, same_given = _reads(front, families), _reads("".join(rest), givens)
            if same_family and same_given:
                return "VARIANT"
            if same_family or (same_given and len(name) >= _CHINESE_LETTERS):
                found.add("SHARED_PART")
    if found:
        return "SHARED_PART"
    unread = (not all(pinyin) and all(map(chinese.is_pinyin, words))) or (
        not all(japanese) and all(re.fullmatch(_ROMAJI, word) for word in words)
    )
    return "UNKNOWN" if unread else "UNRELATED"


def _pinyin(characters: str) -> list[str]:
    if not 0 < len(characters) <= _CHINESE_LETTERS:
        return []
    return ["".join(ways) for ways in product(*(_PINYIN.get(letter, []) for letter in characters))]


def _reads(word: str, sounds: Sequence[str]) -> bool:
    """Return whether a word is one of the sounds in some spelling."""
    return any(alike(sound, word) or word in (sound, chinese.wade_giles(sound)) for sound in sounds)
