"""Names in Chinese characters: two writings of them, and their readings in Latin letters.

The readings are those of common name characters in Pinyin, and of common Japanese family and given
names. A name without a known reading is only excluded if the other cannot be pronounced that way.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Final

from functions.matching.names import readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INITIAL: Final = "zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]"
_SYLLABLE: Final = (
    f"({_INITIAL})?(iang|iong|uang|ueng|ang|eng|ing|ong|ian|iao|uai|uan|ai|ei|ao|ou|an|en|in|un|er|"
    f"ia|ie|iu|ua|uo|ui|ue|ve|a|o|e|i|u|v)"
)
_PINYIN: Final = re.compile(f"{_SYLLABLE}(?=(?:{_INITIAL})[aeiouv]|$)")
_ONE_SYLLABLE: Final = re.compile(_SYLLABLE)
_ROMAJI: Final = re.compile(
    "(?:(?:ky|gy|sh|sy|ch|ty|ny|hy|by|py|my|ry|ts|tt|kk|pp|ss|[kgsztdnhfbpmyrwj])?[aeiou]"
    "(?:h(?![aeiouy]))?|n(?![aeiouy])|m(?=[bpm]))+"
)
_SIBILANTS: Final = {"zh": "ch", "j": "ch", "q": "ch", "x": "hs", "b": "p", "d": "t", "g": "k",
                     "r": "j", "z": "ts", "c": "ts"}  # fmt: skip
_FINALS: Final = {"ong": "ung", "ian": "ien", "iong": "iung", "ie": "ieh", "ue": "ueh", "iu": "iu"}
_WHOLE: Final = {
    "zhi": "chih", "chi": "chih", "shi": "shih", "ri": "jih", "zi": "tzu", "ci": "tzu",
    "si": "ssu", "you": "yu", "yan": "yen", "ye": "yeh", "yue": "yueh", "er": "erh",
    "ge": "ko", "ke": "ko", "he": "ho", "gui": "kuei", "kui": "kuei", "guo": "kuo", "kuo": "kuo",
    "duo": "to", "tuo": "to", "luo": "lo", "nuo": "no", "zuo": "tso", "suo": "so", "ruo": "jo",
    "zhuo": "cho", "de": "te", "te": "te", "ze": "tse", "ce": "tse", "yong": "yung",
}  # fmt: skip
_COMPOUND: Final = (
    "欧阳",
    "司马",
    "诸葛",
    "上官",
    "皇甫",
    "令狐",
    "东方",
    "夏侯",
    "尉迟",
    "公孙",
    "慕容",
    "司徒",
)
_FOLDED: Final = str.maketrans(
    {letter: line[0] for line in readings.SAME.split() for letter in line[1:]}
)


def _table(lines: str) -> dict[str, tuple[str, ...]]:
    words = lines.split()
    return {
        name.translate(_FOLDED): tuple(sounds.split("/"))
        for name, sounds in zip(words[::2], words[1::2], strict=True)
    }


_FAMILIES: Final = _table(readings.JAPANESE_FAMILIES)
_GIVEN: Final = _table(readings.JAPANESE_GIVEN)


def _characters() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    words = readings.PINYIN.split()
    for sound, characters in zip(words[::2], words[1::2], strict=True):
        for character in characters:
            found.setdefault(character, []).append(sound)
    return found


_SOUNDS: Final = _characters()
_LONGEST: Final = 8


def wade_giles(word: str) -> str:
    """Return a Pinyin word in Wade-Giles without apostrophes, or nothing if it is none."""
    return _wade_giles(word) if len(word) <= 3 * _LONGEST else ""


@lru_cache(maxsize=8_192)
def _wade_giles(word: str) -> str:
    found, end = "", 0
    for syllable in _PINYIN.finditer(word):
        if syllable.start() != end:
            return ""
        end = syllable.end()
        initial, final = syllable[1] or "", syllable[2]
        found += _WHOLE.get(syllable[0]) or _SIBILANTS.get(initial, initial) + _FINALS.get(
            final, final
        )
    return found if end == len(word) else ""


def wade_giles_alike(a: str, b: str) -> bool:
    """Return whether one word is the other, in Wade-Giles."""
    return wade_giles(a) == b or wade_giles(b) == a


def one_syllable(word: str) -> bool:
    """Return whether a word is one syllable of Pinyin."""
    return len(word) <= len("zhuang") and bool(_ONE_SYLLABLE.fullmatch(word))


def relation(a: str, b: str) -> str:
    """Return how two names in Chinese characters relate."""
    a, b = a.translate(_FOLDED), b.translate(_FOLDED)
    if a == b:
        return "VARIANT"
    shared = any(
        (family_a == family_b or given_a == given_b != "")
        for family_a, given_a in [_split(a)]
        for family_b, given_b in [_split(b)]
    )
    return "SHARED_PART" if shared else "UNRELATED"


def _split(name: str) -> tuple[str, str]:
    """Return the family and the given name."""
    for length in (3, 2):
        if name[:length] in _FAMILIES or name[:length] in _COMPOUND:
            return name[:length], name[length:]
    short = len(name) <= _CHINESE_LETTERS or (name[:1] in _FAMILIES and name[1:] in _GIVEN)
    return (name[:1], name[1:]) if short else (name[:2], name[2:])


#: The most characters of a Chinese name whose family name is not one of two characters.
_CHINESE_LETTERS: Final = 3


def read_as(name: str, words: tuple[str, ...], alike: Callable[[str, str], bool]) -> str:
    """Return how a name in Chinese characters relates to the words of one in Latin letters."""
    name = name.translate(_FOLDED)
    best, known = "UNRELATED", True
    for pronounceable, (families, givens) in (
        (_PINYIN_WORD, _chinese(name)),
        (_ROMAJI, _japanese(name)),
    ):
        possible = [word for word in words if pronounceable.fullmatch(word)]
        for family, given in _orders(words):
            same_family = _reads(family, families, alike)
            same_given = _reads(given, givens, alike)
            if same_family and same_given:
                return "VARIANT"
            if same_family or (same_given and len(name) >= _CHINESE_LETTERS):
                best = "SHARED_PART"
        if len(possible) == len(words) and not (families and givens):
            known = False
    return best if known or best == "SHARED_PART" else "UNKNOWN"


def _reads(word: str, sounds: tuple[str, ...], alike: Callable[[str, str], bool]) -> bool:
    """Return whether a word is one of the sounds in some spelling."""
    return any(
        sound == word or alike(sound, word) or wade_giles_alike(sound, word) for sound in sounds
    )


_PINYIN_WORD: Final = re.compile(f"(?:{_SYLLABLE}(?=(?:{_INITIAL})[aeiouv]|$))+")


def _orders(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield words[0], "".join(words[1:])
    yield words[-1], "".join(words[:-1])


def _chinese(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    length = 2 if name[:2] in _COMPOUND else 1
    return _pinyin(name[:length]), _pinyin(name[length:])


def _pinyin(characters: str) -> tuple[str, ...]:
    if not characters or len(characters) > _CHINESE_LETTERS:
        return ()
    sounds = [_SOUNDS.get(character, []) for character in characters]
    return tuple("".join(ways) for ways in product(*sounds))


def _japanese(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    for length in (3, 2, 1):
        if name[:length] in _FAMILIES and len(name) > length:
            return _FAMILIES[name[:length]], _GIVEN.get(name[length:], ())
    for length in (3, 2, 1):
        if name[-length:] in _GIVEN and len(name) > length:
            return (), _GIVEN[name[-length:]]
    return (), ()
