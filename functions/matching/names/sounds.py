"""Sounds of words: other scripts in Latin letters, spelling keys and consonant skeletons.

A key makes the spellings of one sound equal; a word has one key for each school of romanisation,
and two words sound alike if they share one. The idea of rules by language instead of one code is
from Beider and Morse, "Phonetic Matching: A Better Soundex" (2010). A skeleton keeps the classes of
consonants, since Arabic and Hebrew write few vowels.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import product
from typing import Final

_CYRILLIC: Final = (
    "а a б b в v г g д d е e ё yo ж zh з z и i й y к k л l м m н n о o п p р r с s т t у u ф f "
    "х kh ц ts ч ch ш sh щ shch ъ - ы y ь - э e ю yu я ya і i ї yi є ye ґ g ў u ђ dj ј j љ lj "
    "њ nj ћ c џ dz ѓ gj ќ kj ѕ dz қ k ң n ғ gh ү u ұ u ө o һ h ә a"
)
_GREEK: Final = (
    "α a β v γ g δ d ε e ζ z η i θ th ι i κ k λ l μ m ν n ξ x ο o π p ρ r σ s ς s τ t υ y φ f "
    "χ ch ψ ps ω o"
)
_GEORGIAN: Final = (
    "ა a ბ b გ g დ d ე e ვ v ზ z თ t ი i კ k ლ l მ m ნ n ო o პ p ჟ zh რ r ს s ტ t უ u ფ p ქ k "
    "ღ gh ყ q შ sh ჩ ch ც ts ძ dz წ ts ჭ ch ხ kh ჯ j ჰ h"
)
_ARMENIAN: Final = (
    "ա a բ b գ g դ d ե e զ z է e ը y թ t ժ zh ի i լ l խ kh ծ ts կ k հ h ձ dz ղ gh ճ ch մ m յ y "
    "ն n շ sh ո o չ ch պ p ջ j ռ r ս s վ v տ t ր r ց ts ւ v փ p ք k օ o ֆ f և ev"
)
_THAI: Final = (
    "ก k ข kh ค kh ฆ kh ง ng จ j ฉ ch ช ch ซ s ฌ ch ญ y ฎ d ฏ t ฐ th ฑ th ฒ th ณ n ด d ต t ถ th "
    "ท th ธ th น n บ b ป p ผ ph ฝ f พ ph ฟ f ภ ph ม m ย y ร r ล l ว w ศ s ษ s ส s ห h ฬ l อ o ฮ h "
    "ะ a า a ำ am ิ i ี i ึ u ื u ุ u ู u เ e แ ae โ o ใ ai ไ ai ั a"
)
#: Consonants and vowels of Devanagari; the other Indic scripts stand in the same order (ISCII).
_DEVANAGARI: Final = (
    "क k ख kh ग g घ gh ङ n च ch छ chh ज j झ jh ञ n ट t ठ th ड d ढ dh ण n त t थ th द d ध dh न n "
    "प p फ ph ब b भ bh म m य y र r ल l ळ l व v श sh ष sh स s ह h"
)
_INDIC_VOWELS: Final = (
    "अ a आ a इ i ई i उ u ऊ u ऋ ri ए e ऐ ai ओ o औ au ऑ o ऍ e ं n ँ n ः h ा a ि i ी i ु u ू u ृ ri "
    "े e ै ai ो o ौ au ॉ o ॅ e"
)
#: Letters of Latin that no decomposition splits.
_LATIN: Final = "ø o æ ae œ oe ł l đ d ð d þ th ı i ß ss ħ h ŋ n ə e ŧ t ʻ - ʼ -"

#: Classes of consonants that Hebrew and Arabic letters stand for: A is silent, W and Y are
#: consonants or vowels, H is any h.
_ABJAD: Final = (
    "א A ב P ג G ד D ה E ו W ז Z ח H ט T י Y כ K ך K ל L מ M ם M נ N ן N ס S ע A פ P ף P צ Z ץ Z "
    "ק K ר R ש S ת T ا A أ A إ A آ A ٱ A ء - ب P پ P ت T ث T ج G چ C ح H خ H د D ذ D ر R ز Z ژ Z "
    "س S ش S ص S ض D ط T ظ Z ع A غ G ف P ق K ك K ک K گ G ل L م M ن N ه E و W ي Y ی Y ى Y ې Y "
    "ة V ئ - ؤ - ہ E ھ E ٹ T ڈ D ڑ R ں N"
)
_ALEPH: Final = str.maketrans("أإآٱىیکہ", "اااايي" + "كه")


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return {
        letter: "" if sound == "-" else sound
        for letter, sound in zip(words[::2], words[1::2], strict=True)
    }


_LETTERS: Final = str.maketrans(
    _pairs(" ".join((_LATIN, _CYRILLIC, _GREEK, _GEORGIAN, _ARMENIAN, _THAI)))
)
_ABJAD_CLASSES: Final = _pairs(_ABJAD)
_INDIC_CONSONANTS: Final = _pairs(_DEVANAGARI)
_INDIC: Final = _INDIC_CONSONANTS | _pairs(_INDIC_VOWELS)
_HALANT: Final = "\N{DEVANAGARI SIGN VIRAMA}"
_INITIALS: Final = "g kk n d tt r m b pp s ss - j jj ch k t p h".replace("-", "").split(" ")
_VOWELS: Final = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split()
_FINALS: Final = ",k,k,k,n,n,n,t,l,k,m,l,l,l,p,l,m,p,p,t,t,ng,t,t,k,t,p,t".split(",")
_FIRST_SYLLABLE: Final = 0xAC00
_SYLLABLES: Final = 11_172


def without_marks(text: str) -> str:
    """Return the text without case and diacritics, Greek and Cyrillic letters included."""
    plain = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")


def romanised(word: str, script: str) -> str:
    """Return a word in Latin letters, without case and diacritics."""
    if script == "Hangul":
        return "".join(hangul_syllables(word))
    if script == "Kana":
        return _kana(word)
    if script == "Indic":
        return _indic(word)
    text = without_marks(word) if script != "Thai" else word
    if script == "Greek":
        text = re.sub("^μπ", "b", re.sub("^ντ", "d", text.replace("ου", "u").replace("γγ", "ng")))
    elif script == "Cyrillic" and re.search("[іїєґ]", text):
        text = text.replace("г", "h")
    elif script == "Armenian":
        text = text.replace("ու", "u")
    elif script == "Thai":
        text = re.sub(r"([เแโใไ])([ก-ฮ])", r"\2\1", text)
    return re.sub("[^a-z0-9]", "", text.translate(_LETTERS))


def hangul_syllables(word: str) -> list[str]:
    """Return the syllables in the Revised Romanisation, each as it is written alone."""
    syllables = []
    for letter in unicodedata.normalize("NFC", word):
        place = ord(letter) - _FIRST_SYLLABLE
        if 0 <= place < _SYLLABLES:
            initial, rest = divmod(place, len(_VOWELS) * len(_FINALS))
            vowel, final = divmod(rest, len(_FINALS))
            syllables.append(_INITIALS[initial] + _VOWELS[vowel] + _FINALS[final])
    return syllables


def _kana(word: str) -> str:
    """Return the Latin letters that Unicode's names of the characters contain."""
    text = ""
    for letter in unicodedata.normalize("NFKC", word):
        name = unicodedata.name(letter, "")
        sound = name.rpartition(" ")[2].lower()
        if letter == "ー" or "LETTER" not in name or ("SMALL" in name and sound == "tu"):
            continue
        if "SMALL" in name and text:
            glide = "" if re.search(r"[^aeiou]i$", text) and len(sound) > 1 else sound[:-1]
            text = text[:-1] + (glide or ("y" if len(sound) > 1 else "")) + sound[-1]
        else:
            text += sound
    return text


def _indic(word: str) -> str:
    """Return the letters of an Indic script, with the vowel that a bare consonant carries."""
    letters = [chr(0x900 + (ord(letter) & 0x7F)) for letter in unicodedata.normalize("NFD", word)]
    text = ""
    for place, letter in enumerate(letters):
        text += _INDIC.get(letter, "")
        behind = letters[place + 1] if place + 1 < len(letters) else _HALANT
        if letter in _INDIC_CONSONANTS and (behind in _INDIC_CONSONANTS or behind in "ंँ"):
            text += "a"
    return text


#: Rewritings that every school shares, in their order.
_SHARED: Final = [
    (re.compile(pattern), to)
    for pattern, to in (
        (r"ph|pf", "f"),
        (r"chr|khr|^hr", "kr"),
        (r"ksh", "ks"),
        (r"tsch|tch", "ch"),
        (r"shch|sch|sht", lambda found: "st" if found[0] == "sht" else "sh"),
        (r"c?k+|q", "k"),
        (r"sc(?=[ei])|c(?=[eiy])", "s"),
        (r"c(?!h)", "k"),
        (r"x", "ks"),
        (r"aw(?=[^aeiou])", "au"),
        (r"w", "v"),
        (r"([tkgbd])h", lambda found: "h" if found[1] == "k" else found[1]),
        (r"tz", "ts"),
        (r"dzh|dj", "j"),
        (r"ee", "i"),
        (r"(?<=[^aeiouy])ie(?=[^aeiouyv]|$)", "i"),
        (r"(?<=[ou])y(?=e)", ""),
        (r"y", "i"),
        (r"ij$|ji$|ei$", lambda found: "ei" if found[0] == "ei" else "i"),
        (r"(?<=[aeiou])h$", ""),
        (r"(?<=[aou])e(?!$|i)", ""),
        (r"np(?=.)", "mp"),
    )
]
_DOUBLED: Final = re.compile(r"([^o])\1+")
_FAMILY_OF_WOMEN: Final = re.compile(r"(?<=..[eo]v)a$|(?<=.....)(?:aia|skaia|ska)$")
_CZECH_WOMEN: Final = re.compile("(?<=.....)ova$")
_KUNREI: Final = [
    (re.compile(pattern), to)
    for pattern, to in (
        (r"si(?=[aou])|sh?i(?=[aou])", "sh"),
        (r"(?<![td])si", "shi"),
        (r"ti(?=[aou])|ch?i(?=[aou])", "ch"),
        (r"ti", "chi"),
        (r"tu", "tsu"),
        (r"hu", "fu"),
        (r"[zd]i(?=[aou])|ji(?=[aou])", "j"),
        (r"[zd]i", "ji"),
        (r"dz?u", "zu"),
        (r"o(?:u|o|h(?=[^aeiou]|$))", "o"),
        (r"uu", "u"),
    )
]
_LONG: Final = 5


#: Words that may be Japanese.
_OPEN_SYLLABLES: Final = re.compile("(?:[^aeiou]{0,3}[aeiou])+[nh]?")
_U: Final = re.compile("ou|oo")
_HARD_C: Final = re.compile("c(?![hk])")
_OV: Final = re.compile("i?[eo]v(a?)$")
_SOFT_J: Final = re.compile("^j(?=[aeiou])|(?<=[aeiou])j|(?<=.)j(?=[aou])")
_GIA: Final = re.compile("^gi(?=[aeo])")
_AI: Final = re.compile("[ae]i(?!$)")
_EI: Final = re.compile("ei$")


@lru_cache(maxsize=16_384)
def keys(word: str) -> frozenset[str]:
    """Return the keys of a Latin word, one for each school of spelling that gives another."""
    text = word
    for pattern, to in _SHARED:
        text = pattern.sub(to, text)
    base = _DOUBLED.sub(r"\1", text)
    plain = _U.sub("u", base)
    found = {plain}
    if _OPEN_SYLLABLES.fullmatch(base):
        japanese = base
        for pattern, to in _KUNREI:
            japanese = pattern.sub(to, japanese)
        found.add(japanese)
    if len(word) >= _LONG:
        found |= _slavic(base, word)
        found.add(_GIA.sub("i", base.replace("ch", "h").replace("mb", "mp")))
        found.add(_AI.sub("ei", plain))
    if len(word) > _LONG:
        found.add(_EI.sub("i", base))
    if "oe" in word[1:-1]:
        found |= keys(word.replace("oe", "u"))
    if word.startswith("z"):
        found.add(f"ts{plain[1:]}")
    return frozenset(found)


def _slavic(base: str, word: str) -> set[str]:
    """Return the keys by the schools of Cyrillic, with the endings -ov and -ev alike."""
    french = _U.sub("u", base.replace("zh", "j"))
    soft = _DOUBLED.sub(r"\1", _SOFT_J.sub("i", base))
    found = {french, soft, _OV.sub(r"ev\1", soft), _OV.sub(r"ev\1", french)}
    if _HARD_C.search(word):
        found |= {_OV.sub(r"ev\1", key) for key in keys(_HARD_C.sub("ts", word))}
    return found


#: Letters that some school of spelling takes for each other at the start of a word.
_OWN_LETTERS: Final = str.maketrans("cdghijkqstxyzfwu", "c" * 13 + "pvo")


def may_start_alike(a: str, b: str) -> bool:
    """Return whether two words may have a key in common, by their first letters."""
    return a[:1].translate(_OWN_LETTERS) == b[:1].translate(_OWN_LETTERS)


@lru_cache(maxsize=16_384)
def family_keys(word: str) -> frozenset[str]:
    """Return the keys of a family name as a man bears it: Ivanov for Ivanova."""
    found = keys(word)
    return found.union(
        *({_FAMILY_OF_WOMEN.sub("", key), _CZECH_WOMEN.sub("", key)} for key in found)
    )


@lru_cache(maxsize=16_384)
def arabic_key(word: str) -> str:
    """Return the key of an Arabic word, in which e stands for i, and o for u."""
    text = re.sub("ou|oo|au|aw|ow", "u", word.replace("yy", "y"))
    text = re.sub("q", "k", re.sub("[ae][iy](?![aeiou])|ee|ie", "i", text))
    text = re.sub("g(?=[aei])", "j", re.sub("dh|th", lambda found: found[0][0], text))
    text = re.sub("y", "i", re.sub("kh", "h", text))
    text = _DOUBLED.sub(r"\1", text.translate(str.maketrans("eo", "iu")))
    return re.sub("h$", "", re.sub("^(muham|ahm)id$", r"\1ad", text))


_SOUND: Final = re.compile("shch|tsch|sch|tch|dzh|sh|zh|ch|kh|gh|ph|th|dh|bh|ck|ts|tz|dz|dj|[a-z]")
_CLASSES: Final = {
    "shch": "S", "tsch": "C", "sch": "S", "tch": "C", "dzh": "G", "sh": "S", "zh": "ZG",
    "ch": "HCK", "kh": "H", "gh": "G", "ph": "P", "th": "T", "dh": "D", "bh": "P", "ck": "K",
    "ts": "Z", "tz": "Z", "dz": "Z", "dj": "G", "b": "P", "p": "P", "f": "P", "v": "P", "w": "P",
    "d": "D", "t": "T", "g": "G", "h": "H", "k": "K", "q": "K", "l": "L", "m": "M", "n": "N",
    "r": "R", "z": "Z",
}  # fmt: skip
_MOST: Final = 16


@lru_cache(maxsize=16_384)
def skeletons(word: str, script: str = "Latin") -> frozenset[str]:
    """Return the skeletons that a word in Latin letters may have.

    A is a vowel in front, a small letter the class of the vowel at the end. Kana write a vowel
    behind the last consonant of a foreign name, and Indic scripts write none where one is spoken.
    """
    if script == "Indic":
        return skeletons(word) | skeletons(f"{word}a")
    if script == "Kana":
        return skeletons(word) | skeletons(re.sub("[uo]$", "", word))
    ways = []
    plain = re.sub(r"([^aeiou])\1|(?<=[aeiou])h$", r"\1", word.replace("x", "ks"))
    sounds = _SOUND.findall(plain)
    for place, sound in enumerate(sounds):
        before = sounds[place - 1] if place else ""
        behind = sounds[place + 1] if place + 1 < len(sounds) else ""
        ways.append(_classes(sound, before, behind))
    return _combined(ways)


def _classes(sound: str, before: str, behind: str) -> list[str]:
    """Return the classes that a sound may be between two others."""
    if sound in "aeiouy":
        return [_vowel(sound, before, behind)]
    if sound == "c":
        return ["S", "Z"] if behind in ("e", "i") else ["K", "Z"]
    if sound == "j":
        return ["" if before else "Y", "G", "Z"]
    if sound == "s":
        return ["S", "Z"] if before else ["S"]
    if sound == "g" and not before and behind == "i":
        return ["G", "Y"]
    return list(_CLASSES[sound])


def _vowel(sound: str, before: str, behind: str) -> str:
    """Return what a vowel leaves of itself: Y or A in front, its class at the end."""
    if before:
        return "" if behind else "a" if sound == "a" else "o" if sound in "ou" else "i"
    glide = sound == "y" or (sound == "i" and behind in ("a", "o", "u"))
    return "Y" if glide else "A"


def abjad_skeletons(word: str) -> frozenset[str]:
    """Return the skeletons that an Arabic or Hebrew word may have; any last vowel is V."""
    classes = [found for letter in word if (found := _ABJAD_CLASSES.get(letter))]
    final = _FINAL | ({"A": ["V"]} if word.endswith("ا") else {})
    return _combined(
        [
            (_FIRST if not place else final if place == len(classes) - 1 else _MIDDLE).get(
                found, [found]
            )
            for place, found in enumerate(classes)
        ]
    )


#: What letters stand for that may be vowels, by their place in the word.
_FIRST: Final = {"E": ["H"], "Y": ["Y", "A"], "W": ["A", "P"]}
_MIDDLE: Final = {"A": [""], "E": ["H"], "Y": [""], "W": ["", "P"]}
_FINAL: Final = {"A": [""], "E": ["V", "H", ""], "Y": ["V"], "W": ["V"]}


def _combined(ways: list[list[str]]) -> frozenset[str]:
    """Return the combinations of the ways, only the first few of very many."""
    found: list[str] = [""]
    for classes in ways:
        found = [before + after for before, after in product(found, classes)][:_MOST]
    return frozenset(found)


@lru_cache(maxsize=16_384)
def abjad_forms(written: str, latin: str) -> frozenset[str]:
    """Return the skeletons of a word that is compared with one in Arabic or Hebrew letters."""
    if latin:
        return frozenset(re.sub("[aoi]$", "V", found) for found in skeletons(latin))
    found = abjad_skeletons(written)
    return found | abjad_skeletons(written[2:]) if _has_article(written) else found


def _has_article(written: str) -> bool:
    return written.startswith("ال") and len(written) > len("ال") + 1


def written_alike(word: str) -> str:
    """Return a Hebrew or Arabic word with one form of each letter, and without the article."""
    text = re.sub("[\u0640\u05f3\u05f4]", "", word.translate(_ALEPH))
    return text[2:] if _has_article(text) else text


def one_apart(a: str, b: str) -> bool:
    """Return whether one letter is added, left out, replaced or exchanged with its neighbour."""
    short, long = sorted((a, b), key=len)
    if len(long) - len(short) > 1 or a == b:
        return False
    start = next(
        (i for i, pair in enumerate(zip(short, long, strict=False)) if len(set(pair)) > 1),
        len(short),
    )
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    if short[start + 1 :] == long[start + 1 :]:
        return True
    exchanged = short[start + 1 : start + 2] + short[start] + short[start + 2 :]
    return exchanged == long[start:]


#: What this module remembers of words.
CACHED: Final = (keys, family_keys, arabic_key, skeletons, abjad_forms)
