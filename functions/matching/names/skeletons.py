"""Skeletons of words: the classes of their consonants, by which words of two scripts compare.

Arabic and Hebrew write few vowels. A skeleton keeps those that they write: A is a vowel in front,
a, i and o are classes of vowels at the end.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from typing import Final

from functions.matching.names import tables

_MOST: Final = 16
_SOUND: Final = "(?<=^ab)d|shch|tsch|sch|tch|dzh|sh|zh|ch|kh|gh|ph|th|dh|bh|ck|ts|tz|dz|dj|[a-z]"
#: The classes of a sound, if they are not the class of its first letter.
_CLASSES: Final = {
    "shch": "S", "tsch": "C", "sch": "S", "tch": "C", "dzh": "G", "sh": "S", "zh": "ZG",
    "ch": "HCK", "kh": "H", "ts": "Z", "tz": "Z", "dz": "Z", "dj": "G", "c": "KSZ", "b": "P",
    "bh": "P", "ck": "K", "f": "P", "v": "P", "w": "P", "q": "K", "j": "GZ", "s": "SZ",
}  # fmt: skip
_ABJAD: Final = dict(tables.pairs("abjads"))
_ALEPH: Final = str.maketrans("أإآٱىیکہ", "اااايي" + "كه")
#: What letters stand for that may be vowels, by their place in the word.
_FIRST: Final = {"E": ["H"], "Y": ["Y", "A"], "W": ["A", "P"]}
_MIDDLE: Final = {"A": [""], "E": ["H"], "Y": [""], "W": ["", "P"]}
_FINAL: Final = {"A": [""], "E": ["V", "H", ""], "Y": ["V"], "W": ["V"]}


def of_latin(word: str, script: str = "LATIN") -> frozenset[str]:
    """Return the skeletons that a word in Latin letters may have.

    Kana write a vowel after the last consonant of a foreign name. Indic scripts write no a after
    a last consonant, though it may be spoken.
    """
    if script == "INDIC":
        return _of_latin(word) | _of_latin(f"{word}a")
    if script == "KANA":
        return _of_latin(word) | _of_latin(re.sub("[uo]$", "", word))
    return _of_latin(word)


@lru_cache(maxsize=16_384)
def _of_latin(word: str) -> frozenset[str]:
    plain = re.sub(r"([^aeiou])\1|(?<=[aeiou])h$", r"\1", word.replace("x", "ks"))
    sounds = re.findall(_SOUND, plain)
    last = len(sounds) - 1
    return _combined(
        [
            _vowel(sound, first=not place, last=place == last)
            if sound in "aeiouy"
            else ["Y", "G", "Z"]
            if sound == "j" and not place
            else ["", "G", "Z"]
            if sound == "j"
            else list(_CLASSES.get(sound, sound[0].upper()))
            for place, sound in enumerate(sounds)
        ]
    )


def _vowel(sound: str, *, first: bool, last: bool) -> list[str]:
    if first:
        return ["Y" if sound == "y" else "A"]
    if last:
        return ["o" if sound == "u" else "i" if sound in "ey" else sound]
    return [""]


def of_abjad(word: str) -> frozenset[str]:
    """Return the skeletons that an Arabic or Hebrew word may have; any last vowel is V."""
    classes = [found for letter in word if (found := _ABJAD.get(letter))]
    last = len(classes) - 1
    return _combined(
        [
            (_FIRST if not place else _FINAL if place == last else _MIDDLE).get(found, [found])
            for place, found in enumerate(classes)
        ]
    )


@lru_cache(maxsize=16_384)
def for_abjad(written: str, latin: str) -> frozenset[str]:
    """Return the skeletons of a word that is compared with one in Arabic or Hebrew letters."""
    if latin:
        return frozenset(re.sub("[aoi]$", "V", found) for found in _of_latin(latin))
    return of_abjad(written)


def _combined(ways: list[list[str]]) -> frozenset[str]:
    """Return the combinations of the ways, only the first few of very many."""
    found: list[str] = [""]
    for classes in ways:
        found = [before + after for before, after in product(found, classes)][:_MOST]
    return frozenset(found)


def written_alike(word: str) -> str:
    """Return a Hebrew or Arabic word with one form of each letter, and without the article."""
    return re.sub("^ال(?=..)", "", re.sub("[\u0640\u05f3\u05f4]", "", word.translate(_ALEPH)))
