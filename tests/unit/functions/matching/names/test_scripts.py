"""Words of other scripts in Latin letters."""

from __future__ import annotations

import pytest

from functions.matching.names.scripts import in_latin, script_of, without_marks


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        *(("a", "LATIN"), ("ł", "LATIN"), ("щ", "CYRILLIC"), ("ω", "GREEK"), ("ش", "ARABIC")),
        *(("ש", "HEBREW"), ("王", "HAN"), ("々", "HAN"), ("ツ", "KANA"), ("は", "KANA")),
        *(("김", "HANGUL"), ("क", "INDIC"), ("দ", "INDIC"), ("ก", "THAI"), ("ლ", "GEORGIAN")),
        *(("\u3099", "KANA"), ("ሰ", "OTHER"), ("😀", "OTHER"), ("\ud800", "OTHER")),
    ],
)
def test_a_letter_has_a_script(letter: str, script: str) -> None:
    assert script_of(letter) == script


@pytest.mark.parametrize(
    ("word", "latin"),
    [
        *(("Щукин", "shchukin"), ("Сергій", "serhii"), ("Ντίνος", "dinos"), ("Κούρης", "kuris")),
        *(("최", "choe"), ("권", "gwon"), ("의", "ui"), ("빛나", "bitna"), ("성", "seong")),
        *(
            ("キョウコ", "kyouko"),
            ("ティナ", "tina"),
            ("バラク", "baraku"),
            ("さっちゃん", "satyan"),
        ),
        *(("राजेश", "raajesh"), ("ऋषि", "rishi"), ("अमल", "amal"), ("ใจดี", "jaidi")),
        *(("მიხეილ", "mikheil"), ("王", ""), ("ሰላም", ""), ("محمد", "")),
    ],
)
def test_a_word_in_latin_letters(word: str, latin: str) -> None:
    script = script_of(word[0])
    plain = word if script in ("HANGUL", "KANA", "INDIC", "THAI") else without_marks(word)
    assert in_latin(plain, script) == latin
