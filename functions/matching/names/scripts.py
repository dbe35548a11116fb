"""Scripts of letters, and words of other scripts in Latin letters."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from functions.matching.names import tables

ABJADS: Final = ("ARABIC", "HEBREW")
#: Scripts in which marks are vowels, or tell consonants apart.
MARKED: Final = ("INDIC", "THAI", "KANA")
#: Scripts in which a single letter may be an initial.
WITH_INITIALS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN")
#: The first word of a letter's name in Unicode, if it is not the script's name here.
_FIRST_WORDS: Final = {
    **dict.fromkeys(("CJK", "IDEOGRAPHIC"), "HAN"),
    **dict.fromkeys(("HIRAGANA", "KATAKANA"), "KANA"),
    **dict.fromkeys(("DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA"), "INDIC"),
    **dict.fromkeys(("TELUGU", "KANNADA", "MALAYALAM"), "INDIC"),
    **{script: script for script in (*WITH_INITIALS, *ABJADS, "GEORGIAN", "THAI", "HANGUL")},
}
_LETTERS: Final = str.maketrans(dict(tables.pairs("letters")))
#: Sounds of Hangul in Unicode's names, each as in the Revised Romanisation.
_revised: Final = tables.replacing("hangul_sounds")
#: The last consonant of a syllable, as it is spoken at the end of a word.
_FINAL: Final = re.compile("(?<=[aeiou])(?!ng)([^aeiou])[^aeiou]*$")
_SPOKEN: Final = dict(zip("gdbsjch", "ktptttt", strict=True))

#: Sounds of Indic letters in Unicode's names that names of people spell in another way.
_INDIC_SOUNDS: Final = {"ca": "cha", "ssa": "sha"}


@lru_cache(maxsize=4_096)
def script_of(letter: str) -> str:
    """Return the script of a letter; "OTHER" is a script without rules."""
    if letter.isascii():
        return "LATIN"
    name = unicodedata.name(letter, "").removeprefix("COMBINING ")
    return _FIRST_WORDS.get(re.split("[ -]", name)[0], "OTHER")


def without_marks(text: str) -> str:
    """Return the text without case and diacritics, Greek and Cyrillic letters included."""
    plain = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")


def in_latin(word: str, script: str) -> str:
    """Return a word of one script, which has no case and no diacritics, in Latin letters.

    Chinese characters have readings instead, and words of Hebrew and Arabic have consonants.
    """
    if script in ("HAN", "OTHER", *ABJADS):
        return ""
    if script == "HANGUL":
        return "".join(hangul_syllables(word))
    if script == "KANA":
        return _kana(word)
    if script == "INDIC":
        return _indic(word)
    if script == "GREEK":
        word = re.sub("^μπ", "b", re.sub("^ντ", "d", word.replace("ου", "u")))
    elif script == "CYRILLIC" and re.search("[іїєґ]", word):
        word = word.replace("г", "h")  # a Ukrainian word
    elif script == "ARMENIAN":
        word = word.replace("ու", "u")
    elif script == "THAI":
        word = re.sub("([เแโใไ])([ก-ฮ])", r"\2\1", word)  # vowels written before their consonant
    return re.sub("[^a-z0-9]", "", word.translate(_LETTERS))


def _sound(letter: str) -> str:
    """Return the last word of a letter's name: "KA" for KATAKANA LETTER KA."""
    return unicodedata.name(letter, "").rpartition(" ")[2].lower()


def hangul_syllables(word: str) -> list[str]:
    """Return the syllables in the Revised Romanisation, each as it is written alone."""
    return [
        _FINAL.sub(lambda found: _SPOKEN.get(found[1], found[1]), _revised(_sound(letter)))
        for letter in unicodedata.normalize("NFC", word)
    ]


def _kana(word: str) -> str:
    text = ""
    for letter in unicodedata.normalize("NFKC", word):
        name = unicodedata.name(letter, "")
        if "LETTER" in name:
            text += ("*" if "SMALL" in name else "") + _sound(letter)
    return re.sub(r"\*tu|[aeiou]\*(?!tu)|\*", "", text)


def _indic(word: str) -> str:
    """Return the letters of an Indic script; a consonant carries an a unless a sign follows."""
    text = ""
    for letter in unicodedata.normalize("NFD", word):
        name, sound = unicodedata.name(letter, ""), _sound(letter)
        if "VIRAMA" in name or "VOWEL SIGN" in name:
            text = text.removesuffix("a")
        if "LETTER" in name or "VOWEL SIGN" in name:
            text += _INDIC_SOUNDS.get(sound, sound) + ("i" if "VOCALIC" in name else "")
        elif sound in ("anusvara", "candrabindu", "bindi", "tippi"):
            text += "n"
    return text.removesuffix("a")
