"""Pinyin and Wade-Giles."""

from __future__ import annotations

import pytest

from functions.matching.names.chinese import is_syllable, wade_giles


@pytest.mark.parametrize(
    ("pinyin", "expected"),
    [
        *(("zhang", "chang"), ("xiaoping", "hsiaoping"), ("zhiqiang", "chihchiang")),
        *(("zedong", "tsetung"), ("guo", "kuo"), ("smith", ""), ("zhang" * 10, "")),
    ],
)
def test_a_word_of_pinyin_in_wade_giles(pinyin: str, expected: str) -> None:
    assert wade_giles(pinyin) == expected


def test_one_syllable_is_not_two() -> None:
    assert is_syllable("zhuang")
    assert not is_syllable("zhuangli")
