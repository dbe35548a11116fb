"""Parts of a name: its words without titles, particles and apostrophes."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from functions.matching.names import chinese, korean, scripts, skeletons, spelling, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The first letters of a name that are compared; a person's name is shorter.
_COMPARED_LETTERS: Final = 300
_MOST_PARTS: Final = 10
_LONGEST_PART: Final = 40
_FAMILY_AND_GIVEN: Final = 2

_TITLES: Final = frozenset(tables.words("titles"))
_TITLES_IN_FRONT: Final = frozenset(tables.words("titles_in_front"))
_PARTICLES: Final = frozenset(tables.words("particles"))
#: Particles that are given names at an end of the name.
_GIVEN_NAMES_TOO: Final = frozenset({"al", "ben", "bin", "van"})
#: Words of Arabic that are one part with the next word: Abdul Rahman.
_SERVANT: Final = frozenset({"abdul", "abdel", "abdal", "abd", "abdol", "عبد"})
_ARABIC_GIVEN: Final = frozenset(tables.words("arabic_given"))

#: Letters and digits, and the vowel signs of Indic scripts and of Thai.
_WORD: Final = re.compile(r"(?:[^\W_]|[\u0900-\u0d7f\u0e00-\u0e7f])+")
_ARTICLE: Final = re.compile(r"(?i)\b(?:al|el|ul|a[dnrstz]|e[dnrstz]|[ae][dst]h)-(?=\w)")
_ARABIC_PARTICLE: Final = re.compile(r"(?i)\b(?:al|el|bin|ibn|ben|bint|abu)[\s-]")
_ABD: Final = re.compile("^abd[aueo]l(?=..)")
_APOSTROPHES: Final = re.compile("['’‘ʼʻʾʿ`´׳״\"]")
_TWO_IN_ONE: Final = re.compile("(?<=[a-zà-ÿ]{3})(?=[A-ZÀ-Þ][a-zà-ÿ]{2})")


@dataclass(frozen=True, slots=True)
class Part:
    """A word of a name: without case and diacritics, and in Latin letters.

    `arabic` and `wade_giles` are keys of the word, if the name looks Arabic or is Pinyin.
    """

    written: str
    latin: str
    script: str
    arabic: str = ""
    wade_giles: str = ""

    @property
    def initial(self) -> bool:
        """Return whether the part stands for any word with this first letter."""
        return len(self.written) == 1 and self.script in scripts.WITH_INITIALS

    def joined(self, other: Part) -> Part:
        """Return two parts as one."""
        return Part(
            self.written + other.written,
            self.latin + other.latin,
            self.script,
            self.arabic + other.arabic,
            self.wade_giles + other.wade_giles,
        )


@dataclass(frozen=True, slots=True)
class Name:
    """A name in parts, or in Chinese characters if it has no other letters."""

    parts: tuple[Part, ...]
    characters: str
    korean: frozenset[korean.Reading]
    cut: bool

    @property
    def unknown(self) -> bool:
        """Return whether a part is in a script without rules."""
        return any(part.script == "OTHER" for part in self.parts)


@lru_cache(maxsize=8_192)
def parsed(name: str) -> Name:
    """Return the parts of a normalised name."""
    text = name[:_COMPARED_LETTERS]
    text = _TWO_IN_ONE.sub(" ", _APOSTROPHES.sub("", text))
    if not text.isascii():
        text = "".join(filter(_kept, unicodedata.normalize("NFKD", text)))
    words = _WORD.findall(unicodedata.normalize("NFC", _ARTICLE.sub("", text)))
    cut = len(name) > _COMPARED_LETTERS or len(words) > _MOST_PARTS
    parts = [part for word in words[:_MOST_PARTS] for part in _split(word[:_LONGEST_PART])]
    named = _named([part for part in parts if part.script != "HAN"])
    latin = all(part.script == "LATIN" for part in named)
    return Name(
        parts=_with_keys(named, name) if latin else named,
        characters="" if named else "".join(part.written for part in parts),
        korean=korean.readings(_korean_words(named)),
        cut=cut or any(len(word) > _LONGEST_PART for word in words),
    )


def _kept(letter: str) -> bool:
    """Return whether a letter is none of the marks that spellings leave out."""
    return unicodedata.category(letter) != "Mn" or scripts.script_of(letter) in scripts.MARKED


def _split(word: str) -> Iterator[Part]:
    """Return the runs of one script within a word."""
    if word.isascii():
        yield Part(word.lower(), word.lower(), "LATIN")
        return
    start = 0
    for end in range(1, len(word) + 1):
        script = scripts.script_of(word[start])
        if end == len(word) or scripts.script_of(word[end]) != script:
            yield _part(word[start:end], script)
            start = end


def _part(word: str, script: str) -> Part:
    written = word if script in ("HANGUL", *scripts.MARKED) else scripts.without_marks(word)
    if script in scripts.ABJADS:
        written = skeletons.written_alike(written)
    return Part(written, scripts.in_latin(written, script), script)


def _named(parts: list[Part]) -> tuple[Part, ...]:
    """Return the parts that name somebody; all of them if all are titles and particles."""
    kept = [part for part in parts if part.written not in _TITLES]
    while len(kept) > _FAMILY_AND_GIVEN and kept[0].written in _TITLES_IN_FRONT:
        kept = kept[1:]
    if len(kept) > _FAMILY_AND_GIVEN:
        inner = [part for part in kept[1:-1] if part.written not in _PARTICLES]
        first, last = (
            [] if part.written in _PARTICLES - _GIVEN_NAMES_TOO else [part]
            for part in (kept[0], kept[-1])
        )
        kept = [*first, *inner, *last]
    joined: list[Part] = []
    for part in kept or parts:
        if joined and joined[-1].written in _SERVANT and joined[-1].script == part.script:
            joined[-1] = joined[-1].joined(part)
        else:
            joined.append(part)
    return tuple(joined)


def _korean_words(parts: Sequence[Part]) -> list[str]:
    if len(parts) == 1 and parts[0].script == "HANGUL":
        return korean.family_and_given(parts[0].written)
    return [part.latin for part in parts]


def _with_keys(parts: tuple[Part, ...], name: str) -> tuple[Part, ...]:
    """Return Latin parts with the keys of the languages that the name seems to be in."""
    if _ARABIC_PARTICLE.search(name) or any(
        part.latin in _ARABIC_GIVEN or part.latin.startswith("abd") for part in parts
    ):
        parts = tuple(replace(part, latin=_ABD.sub("abd", part.latin)) for part in parts)
        parts = tuple(replace(part, arabic=spelling.arabic_key(part.latin)) for part in parts)
    if all(chinese.wade_giles(part.latin) for part in parts):
        return tuple(replace(part, wade_giles=chinese.wade_giles(part.latin)) for part in parts)
    return parts
