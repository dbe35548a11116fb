"""How two names relate: one name, two spellings, a part in common, or nothing.

Two names are split into parts, titles and particles are left out, and the parts are paired one to
one. What decides is which parts find no partner. Parts are compared by what they stand for, as in
the name matching of OpenSanctions (rigour; "logic-v2" of nomenklatura): by keys of romanisation, by
nicknames, and only long parts by their letters. A score over the whole name would take Paul Fuchs
and Paula Fuchs for one person.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from functions.matching.names import han, sounds, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Relation(StrEnum):
    """How two names relate; a name is not a person, and nothing is silenced by it."""

    SAME_NAME = "SAME_NAME"
    VARIANT = "VARIANT"
    SHARED_PART = "SHARED_PART"
    UNRELATED = "UNRELATED"
    UNKNOWN = "UNKNOWN"


def relation(a: str, b: str) -> Relation:
    """Return how two names relate; the order of the two does not matter."""
    a, b = sorted((normalised(a), normalised(b)))
    if not a:
        return Relation.UNKNOWN
    if a == b:
        return Relation.SAME_NAME
    return _relation(*(_parsed(name[: _COMPARED_LETTERS + 1]) for name in (a, b)))


def normalised(name: str) -> str:
    """Return a name as it is shown: composed (NFC), with single spaces, nothing invisible.

    Case stays. Of more than 30 marks on one letter the rest is dropped, as the stream-safe text
    format does (Unicode Standard Annex 15), so that no name takes long to compose.
    """
    if not name.isprintable() or _SELECTORS.search(name):
        spaced = "".join(" " if letter.isspace() else letter for letter in name)
        name = "".join(letter for letter in spaced if not _invisible(letter))
    if not name.isascii():
        name = _few_marks(unicodedata.normalize("NFC", _few_marks(name)))
    return " ".join(name.replace("_", " ").split())


def forget_names() -> None:
    """Empty the caches, so that the next names are parsed anew."""
    for cached in (_parsed, _alike, *sounds.CACHED):
        cached.cache_clear()


def _invisible(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf") or bool(_SELECTORS.match(letter))


def _few_marks(text: str) -> str:
    if len(text) <= _MOST_MARKS:
        return text
    kept, marks = [], 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks <= _MOST_MARKS:
            kept.append(letter)
    return "".join(kept)


_MOST_MARKS: Final = 30
#: Variation selectors, fillers and the grapheme joiner: they are marks or letters, yet invisible.
_SELECTORS: Final = re.compile(
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180f\u034f\u115f\u1160\u3164\uffa0]"
)

#: The first letters of a name that are compared; a person's name is shorter.
_COMPARED_LETTERS: Final = 300
_MOST_PARTS: Final = 10
_LONGEST_PART: Final = 40

_SCRIPTS: Final = (
    (0x0041, 0x024F, "Latin"), (0x1E00, 0x1EFF, "Latin"), (0x0250, 0x02AF, "Latin"),
    (0x2C60, 0x2C7F, "Latin"), (0xA720, 0xA7FF, "Latin"), (0xFF21, 0xFF5A, "Latin"),
    (0x0370, 0x03FF, "Greek"), (0x1F00, 0x1FFF, "Greek"), (0x0400, 0x052F, "Cyrillic"),
    (0x0530, 0x058F, "Armenian"), (0xFB13, 0xFB17, "Armenian"), (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x077F, "Arabic"), (0xFB50, 0xFDFF, "Arabic"), (0xFE70, 0xFEFF, "Arabic"),
    (0x0900, 0x0B7F, "Indic"), (0x0C00, 0x0D7F, "Indic"), (0x0E00, 0x0E7F, "Thai"),
    (0x10A0, 0x10FF, "Georgian"), (0x1C90, 0x1CBF, "Georgian"), (0xAC00, 0xD7A3, "Hangul"),
    (0x3040, 0x30FF, "Kana"), (0xFF66, 0xFF9F, "Kana"), (0x3400, 0x9FFF, "Han"),
    (0xF900, 0xFAFF, "Han"), (0x20000, 0x3FFFF, "Han"), (0x3005, 0x3007, "Han"),
)  # fmt: skip
_ABJADS: Final = ("Hebrew", "Arabic")


@lru_cache(maxsize=4_096)
def _script(letter: str) -> str:
    if letter.isascii():
        return "Latin"
    code = ord(letter)
    return next((script for first, last, script in _SCRIPTS if first <= code <= last), "Other")


@dataclass(frozen=True, slots=True)
class _Part:
    """A word of a name: as Latin letters, and in a script with few vowels as it is written."""

    latin: str
    script: str
    written: str

    @property
    def initial(self) -> bool:
        return len(self.written) == 1 and self.script in ("Latin", "Cyrillic", "Greek", "Armenian")


@dataclass(frozen=True, slots=True)
class _Name:
    """A name in parts; `han` are its Chinese characters, if it has no other letters."""

    parts: tuple[_Part, ...]
    han: tuple[str, ...]
    cut: bool
    unknown: bool
    arabic: bool
    pinyin: bool
    korean: frozenset[tuple[str, str]]


#: Letters and digits, and the vowel signs of Indic scripts and of Thai.
_WORD: Final = re.compile(r"(?:[^\W_]|[\u0900-\u0d7f\u0e00-\u0e7f])+")
_ARTICLES: Final = re.compile(tables.ARTICLES, re.IGNORECASE)
_ARABIC_PARTICLE: Final = re.compile(r"\b(?:al|el|bin|ibn|ben|bint|abu)[\s-]", re.IGNORECASE)
_ABD: Final = re.compile("^abd[aueo]l(?=..)")
_APOSTROPHES: Final = re.compile("['’‘ʼʻʾʿ`´׳״\"]")
_CAMEL: Final = re.compile(r"(?<=[a-zà-ÿ]{3})(?=[A-ZÀ-Þ][a-zà-ÿ]{2})")


@lru_cache(maxsize=8_192)
def _parsed(name: str) -> _Name:
    """Return the parts of a normalised name, without titles, particles and apostrophes."""
    text = _CAMEL.sub(" ", _APOSTROPHES.sub("", name[:_COMPARED_LETTERS]))
    if not text.isascii():
        text = "".join(filter(_written, unicodedata.normalize("NFKD", text)))
    words = _WORD.findall(unicodedata.normalize("NFC", _ARTICLES.sub("", text)))
    cut = len(name) > _COMPARED_LETTERS or len(words) > _MOST_PARTS
    cut = cut or any(len(word) > _LONGEST_PART for word in words)
    parts = [part for word in words[:_MOST_PARTS] for part in _split(word[:_LONGEST_PART])]
    chinese = tuple(part.written for part in parts if part.script == "Han")
    others = _named([part for part in parts if part.script != "Han"])
    return _Name(
        parts=tuple(others),
        han=() if others else chinese,
        cut=cut,
        unknown=any(part.script == "Other" for part in others),
        arabic=_arabic(others, name),
        pinyin=all(part.script == "Latin" and han.wade_giles(part.latin) for part in others),
        korean=_korean(others),
    )


def _written(letter: str) -> bool:
    """Return whether a letter is none of the marks that spellings leave out."""
    return unicodedata.category(letter) != "Mn" or _script(letter) in _MARKED


#: Scripts in which marks are vowels, or tell consonants apart.
_MARKED: Final = ("Indic", "Thai", "Kana")


def _split(word: str) -> Iterable[_Part]:
    """Return the runs of one script within a word."""
    if word.isascii():
        yield _Part(word.lower(), "Latin", word.lower())
        return
    run, script = "", ""
    for letter in word:
        found = _script(letter)
        if run and found != script:
            yield _part(run, script)
            run = ""
        run, script = run + letter, found
    if run:
        yield _part(run, script)


def _part(word: str, script: str) -> _Part:
    written = word if script in ("Hangul", *_MARKED) else sounds.without_marks(word)
    if script in _ABJADS:
        written = sounds.written_alike(written)
        return _Part("", script, written)
    if script in ("Other", "Han"):
        return _Part("", script, written)
    return _Part(sounds.romanised(written, script), script, written)


def _named(parts: list[_Part]) -> list[_Part]:
    """Return the parts that name somebody; all of them if all are titles and particles."""
    kept = [part for part in parts if part.latin not in tables.TITLES or part.script != "Latin"]
    while len(kept) > _FAMILY_AND_GIVEN and kept[0].latin in tables.LEADING_TITLES:
        kept = kept[1:]
    if len(kept) > _FAMILY_AND_GIVEN:
        ends = (0, len(kept) - 1)
        kept = [part for i, part in enumerate(kept) if not _particle(part, at_an_end=i in ends)]
    joined: list[_Part] = []
    for part in kept or parts:
        before = joined[-1] if joined else None
        if before and before.script == part.script and before.written in _SERVANT:
            latin = f"abd{part.latin}" if part.latin else ""
            joined[-1] = _Part(latin, part.script, f"{before.written}{part.written}")
        else:
            joined.append(_servant(part))
    return joined


def _particle(part: _Part, *, at_an_end: bool) -> bool:
    """Return whether a part is a particle; Ben and Van may be given names at an end of the name."""
    if at_an_end and part.latin in tables.GIVEN_NAMES_TOO:
        return False
    return part.latin in tables.PARTICLES or part.written in _PARTICLES_ELSEWHERE


_PARTICLES_ELSEWHERE: Final = frozenset({"بن", "ابن", "بنت", "ابو", "בן", "בת", "фон", "де", "ван"})
_SERVANT: Final = frozenset({"abdul", "abdel", "abdal", "abd", "abdol", "عبد"})
_FAMILY_AND_GIVEN: Final = 2


def _servant(part: _Part) -> _Part:
    """Return a part with Abdul, Abdel and Abdal written alike."""
    plain = _ABD.sub("abd", part.latin)
    return part if plain == part.latin else _Part(plain, part.script, part.written)


def _arabic(parts: Sequence[_Part], name: str) -> bool:
    return any(
        part.script == "Latin" and (part.latin in tables.ARABIC or part.latin.startswith("abd"))
        for part in parts
    ) or bool(_ARABIC_PARTICLE.search(name))


_KOREAN_NAMES: Final = {word: line.split()[0] for line in tables.KOREAN for word in line.split()}
_KOREAN_SYLLABLE: Final = re.compile(
    "(?:ch|kk|tt|pp|ss|jj|sh|[bcdghjklmnprst])?"
    "(?:w(?:eo|oo|ae|[aeiou])|y(?:eo|ou|oo|ae|u|a|e|o)|ae|eo|eu|oo|oe|ui|ou|ee|ay|[aeiou])h?"
    "(?:ng|ck|[kgnlmptbr](?![aeiouwy]))?"
)
_KOREAN_GIVEN: Final = re.compile(f"(?:{_KOREAN_SYLLABLE.pattern})+")
_GIVEN_SYLLABLES: Final = 2
_MOST_KOREAN: Final = 3


def _korean(parts: Sequence[_Part]) -> frozenset[tuple[str, str]]:
    """Return the family and given name that a Korean name may consist of, spelled alike."""
    if (
        not parts
        or len(parts) > _MOST_KOREAN
        or {part.script for part in parts} - {"Latin", "Hangul"}
    ):
        return frozenset()
    if len(parts) == 1 and parts[0].script == "Hangul":
        letters = sounds.hangul_syllables(parts[0].written)
        at = 2 if len(letters) > _MOST_KOREAN else 1
        orders = [("".join(letters[:at]), "".join(letters[at:]))]
    else:
        words = [part.latin for part in parts]
        orders = [(words[0], "".join(words[1:])), (words[-1], "".join(words[:-1]))]
    return frozenset(
        (_KOREAN_NAMES[family], _korean_key(given))
        for family, given in orders
        if family in _KOREAN_NAMES
        and given
        and len(_KOREAN_SYLLABLE.findall(given)) == _GIVEN_SYLLABLES
        and _KOREAN_GIVEN.fullmatch(given)
    )


def _korean_key(given: str) -> str:
    text = re.sub("sh", "s", re.sub("ch|jj", "j", given))
    text = re.sub("w?oo|w?uk|eo|eu|ou|u|o", lambda found: "uk" if "k" in found[0] else "u", text)
    text = re.sub("yu+", "yu", re.sub("a[ey]|e", "e", re.sub("ee|ui", "i", text)))
    return re.sub("h(?=[^aeiouwy]|$)", "", text.translate(str.maketrans("gdbrv", "ktplw")))


class _Match(IntEnum):
    """How well two parts agree."""

    NONE = 0
    WEAK = 1
    INITIAL = 2
    TYPO = 3
    NAME = 4
    EXACT = 5


def _lines(lines: Sequence[str]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for number, line in enumerate(lines):
        for word in line.split():
            found.setdefault(word, set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


_SPELLINGS: Final = _lines(tables.SPELLINGS)
_SAME_SPELLINGS: Final = {word: line.split() for line in tables.SPELLINGS for word in line.split()}
_NICKNAMES: Final = frozenset(
    pair
    for line in tables.NICKNAMES
    for first, *nicknames in [line.split()]
    for name in {first, *_SAME_SPELLINGS.get(first, ())}
    for nickname in nicknames
    for pair in ((name, nickname), (nickname, name))
)
_GIVEN: Final = frozenset(word for pair in _NICKNAMES for word in pair) | frozenset(_SPELLINGS)
_NONE: Final[frozenset[int]] = frozenset()


def _match(a: _Part, b: _Part, schools: Sequence[str] = ()) -> _Match:
    """Return how well two parts agree, typing errors left out."""
    if a.written == b.written or a.latin == b.latin != "":
        return _Match.INITIAL if a.initial or b.initial else _Match.EXACT
    if a.initial or b.initial:
        return _Match.INITIAL if _initial_of(a, b) or _initial_of(b, a) else _Match.NONE
    if a.latin and b.latin and _alike(a.latin, b.latin):
        return _Match.NAME
    if a.script != b.script:
        return _across(a, b)
    same = any(_SCHOOLS[school](a.latin, b.latin) for school in schools) if a.latin else False
    return _Match.NAME if same else _Match.NONE


def _arabic_alike(a: str, b: str) -> bool:
    return sounds.arabic_key(a) == sounds.arabic_key(b)


#: Comparisons that only hold between two names of a language.
_SCHOOLS: Final = {"Arabic": _arabic_alike, "Chinese": han.wade_giles_alike}


def _initial_of(a: _Part, b: _Part) -> bool:
    """Return whether the first part is the initial of the second."""
    if not a.initial:
        return False
    if a.script == b.script:
        return b.written.startswith(a.written)
    return bool(b.latin) and b.latin[0] == a.latin[:1]


@lru_cache(maxsize=16_384)
def _alike(a: str, b: str) -> bool:
    """Return whether two Latin words are one name in two spellings, or a nickname of it."""
    if (a, b) in _NICKNAMES:
        return True
    if _DIGIT.search(a) or _DIGIT.search(b):
        return False
    if han.one_syllable(a) and han.one_syllable(b):
        return a == b
    if sounds.may_start_alike(a, b) and sounds.family_keys(a) & sounds.family_keys(b):
        return True
    if _SPELLINGS.get(a, _NONE) & _SPELLINGS.get(b, _NONE) and not _close_and_short(a, b):
        return True
    return _unjoined(a) == b or _unjoined(b) == a


def _close_and_short(a: str, b: str) -> bool:
    return min(len(a), len(b)) <= _SHORT and sounds.one_apart(a, b)


_SHORT: Final = 5


def _unjoined(word: str) -> str:
    """Return a word without a particle that is written together with it."""
    return _JOINED.sub("", word)


_DIGIT: Final = re.compile("[0-9]")
_JOINED: Final = re.compile(f"^(?:{'|'.join(tables.JOINED)})(?=....)")


def _across(a: _Part, b: _Part) -> _Match:
    """Return how well two parts of two scripts agree, by their consonants."""
    if "Other" in (a.script, b.script):
        return _Match.NONE
    if a.script in _ABJADS or b.script in _ABJADS:
        common = sounds.abjad_forms(a.written, a.latin) & sounds.abjad_forms(b.written, b.latin)
    else:
        common = sounds.skeletons(a.latin, a.script) & sounds.skeletons(b.latin, b.script)
    longest = max(map(len, common), default=0)
    if longest >= _CLEAR:
        return _Match.NAME
    return _Match.WEAK if longest == _CLEAR - 1 else _Match.NONE


#: Sounds that two skeletons must have in common to be clearly one name.
_CLEAR: Final = 3


def _relation(a: _Name, b: _Name) -> Relation:
    if a.han or b.han:
        return _with_han(a, b)
    if not a.parts or not b.parts:
        return Relation.UNKNOWN
    if not a.korean.isdisjoint(b.korean):
        return Relation.VARIANT
    found = _compared(a, b)
    if found is Relation.UNRELATED:
        if {family for family, _ in a.korean} & {family for family, _ in b.korean}:
            return Relation.SHARED_PART
        if a.unknown or b.unknown:
            return Relation.UNKNOWN
    return found


def _compared(a: _Name, b: _Name) -> Relation:
    """Return the relation of two names by their parts."""
    schools = ["Arabic"] if a.arabic and b.arabic else []
    schools += ["Chinese"] if a.pinyin or b.pinyin else []
    short, long = sorted((a.parts, b.parts), key=len)
    cut = a.cut or b.cut
    joined = "".join(part.latin for part in short)
    if joined and not cut and joined == "".join(part.latin for part in long):
        return Relation.VARIANT
    first = _paired(short, long, schools)
    if first.left_short:
        short = _merged(short, long, schools)
        long = _merged(long, short, schools)
        short, long = sorted((short, long), key=len)
        first = _paired(short, long, schools)
    matches = first.matches
    solid = sum(match >= _Match.NAME for match in matches)
    shared = any(match != _Match.INITIAL for match in matches)
    explained = _typo(first, given=(short[0], long[0])) or _initials_of(first)
    if not first.left_short or explained:
        whole = len(short) == len(long) == 1 and solid
        together = solid and len(matches) + explained > 1
        if (whole or together) and not cut:
            return Relation.VARIANT
    return Relation.SHARED_PART if shared else Relation.UNRELATED


@dataclass(frozen=True, slots=True)
class _Pairing:
    matches: list[_Match]
    left_short: list[_Part]
    left_long: list[_Part]


def _paired(short: Sequence[_Part], long: Sequence[_Part], schools: Sequence[str]) -> _Pairing:
    """Return the best pairs first; each part has at most one partner."""
    graded = sorted(
        (
            (-match, abs(i - j), i, j)
            for i, a in enumerate(short)
            for j, b in enumerate(long)
            if (match := _match(a, b, schools))
        ),
    )
    taken_short: set[int] = set()
    taken_long: set[int] = set()
    matches = []
    for grade, _, i, j in graded:
        if i not in taken_short and j not in taken_long:
            taken_short.add(i)
            taken_long.add(j)
            matches.append(_Match(-grade))
    return _Pairing(
        matches,
        [part for i, part in enumerate(short) if i not in taken_short],
        [part for j, part in enumerate(long) if j not in taken_long],
    )


def _merged(
    parts: Sequence[_Part], others: Sequence[_Part], schools: Sequence[str]
) -> tuple[_Part, ...]:
    """Return the parts; two neighbours are one if the other name writes them together."""
    found: list[_Part] = []
    for part in parts:
        if (
            found
            and found[-1].script == part.script
            and not any(_match(part, other, schools) >= _Match.NAME for other in others)
        ):
            both = _Part(
                found[-1].latin + part.latin, part.script, found[-1].written + part.written
            )
            if any(
                len(other.latin or other.written) > len(part.latin or part.written)
                and (_match(both, other, schools) >= _Match.NAME or _mistyped(both, other))
                for other in others
            ):
                found[-1] = both
                continue
        found.append(part)
    return tuple(found)


def _initials_of(pairing: _Pairing) -> bool:
    """Return whether all that differs are initials in one word, as in "JRR Tolkien"."""
    initials = "".join(part.latin[:1] for part in pairing.left_long)
    return len(initials) > 1 and [part.latin for part in pairing.left_short] == [initials]


def _typo(pairing: _Pairing, given: tuple[_Part, _Part]) -> bool:
    """Return whether all that differs is one typing error, in a long part.

    Parts in front are probably given names, of which many are one letter apart.
    """
    matches, left = pairing.matches, pairing.left_short
    if len(left) != 1 or all(match < _Match.NAME for match in matches):
        return False
    return any(
        _mistyped(left[0], other, last=len(matches) >= _MANY)
        and ((left[0], other) != given or len(left[0].latin + other.latin) > 2 * _LONG_PART)
        for other in pairing.left_long
        if not (left[0].latin in _GIVEN and other.latin in _GIVEN)
    )


def _mistyped(a: _Part, b: _Part, *, last: bool = False) -> bool:
    """Return whether two long parts are one letter apart, neither the first nor the last."""
    words = (a.latin, b.latin)
    return (
        min(map(len, words)) >= _LONG_PART - 1
        and max(map(len, words)) >= _LONG_PART
        and a.script == b.script
        and words[0][0] == words[1][0]
        and (last or words[0][-1] == words[1][-1])
        and sounds.one_apart(*words)
    )


_LONG_PART: Final = 7
_MANY: Final = 3


def _with_han(a: _Name, b: _Name) -> Relation:
    if a.han and b.han:
        if a.cut or b.cut:
            return Relation.UNKNOWN
        return Relation(han.relation("".join(a.han), "".join(b.han)))
    chinese, other = (a, b) if a.han else (b, a)
    if not other.parts or other.unknown or chinese.cut or other.cut:
        return Relation.UNKNOWN
    if not all(part.latin and part.script != "Hangul" for part in other.parts):
        return Relation.UNKNOWN
    return Relation(
        han.read_as("".join(chinese.han), tuple(part.latin for part in other.parts), _alike)
    )
