"""Spellings of Latin words: words that sound alike have a key in common.

A word has one key for each school of romanisation that gives another. The idea of rules by
language instead of one code is from Beider and Morse, "Phonetic Matching: A Better Soundex" (2010).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from functions.matching.names import tables

_sounds: Final = tables.replacing("latin_sounds")
_SILENT: Final = re.compile("(?<=[aeiou])h$|(?<=[aou])e(?!$|i)")
_DOUBLED: Final = re.compile(r"([^o])\1+")
_U: Final = re.compile("ou|oo")
_SOFT_J: Final = re.compile("^j(?=[aeiou])|(?<=[aeiou])j|(?<=.)j(?=[aou])")
_OV: Final = re.compile("i?[eo]v(a?)$")
_EI: Final = re.compile("ei$")
_OPEN_SYLLABLES: Final = re.compile("(?:[^aeiou]{0,3}[aeiou])+[nh]?")
_japanese_sounds: Final = tables.replacing("japanese_sounds")
_LONG_O: Final = re.compile("(?<=o)h(?=[^aeiou]|$)")
#: Endings of women's family names, as men bear them: Petrova, Dostoevskaya; Dvořáková.
_WOMEN: Final = (
    (re.compile("(?<=..[eo]v)a$"), ""),
    (re.compile("(?<=...)sk(?:aia|a)$"), "ski"),
    (re.compile("(?<=.....)ova$"), ""),
)
_arabic_sounds: Final = tables.replacing("arabic_sounds")
_ARABIC_I: Final = re.compile("[ae][iy](?![aeiouy])")
_SOFT_G: Final = re.compile("g(?=[aei])")
_LONG: Final = 5


@lru_cache(maxsize=16_384)
def keys(word: str) -> frozenset[str]:
    """Return the keys of a Latin word; a woman's family name has the keys of a man's too."""
    found = _keys(word)
    women = [key for key in found if key.endswith("a")]
    return found.union(rule.sub(to, key) for rule, to in _WOMEN for key in women)


def _keys(word: str) -> frozenset[str]:
    base = _DOUBLED.sub(r"\1", _SILENT.sub("", _sounds(word)))
    plain = _U.sub("u", base)
    found = {plain}
    if _OPEN_SYLLABLES.fullmatch(base):
        found.add(_japanese_sounds(_LONG_O.sub("", base)))
    if len(word) >= _LONG:
        french = plain.replace("zh", "j")
        soft = _DOUBLED.sub(r"\1", _SOFT_J.sub("i", base))
        found |= {french, base.replace("ch", "h").replace("mb", "mp"), _EI.sub("i", base)}
        found |= {_OV.sub(r"ev\1", key) for key in (french, soft)}
    if "oe" in word[1:-1]:
        found |= _keys(word.replace("oe", "u"))
    if word.startswith("z"):
        found.add(f"ts{plain[1:]}")
    return frozenset(found)


@lru_cache(maxsize=16_384)
def arabic_key(word: str) -> str:
    """Return the key of an Arabic word, in which e stands for i, and o for u."""
    text = _arabic_sounds(_SOFT_G.sub("j", _ARABIC_I.sub("i", word)))
    return _DOUBLED.sub(r"\1", text).removesuffix("h")


def one_apart(a: str, b: str) -> bool:
    """Return whether one letter is added, left out, replaced or exchanged with its neighbour."""
    short, long = sorted((a, b), key=len)
    if len(long) - len(short) > 1 or a == b:
        return False
    start = next((i for i, letter in enumerate(short) if letter != long[i]), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    exchanged = short[start + 1 : start + 2] + short[start] + short[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or exchanged == long[start:]
