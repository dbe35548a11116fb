"""Names as they are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.names import Relation, normalised, relation


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Ann_Lee", "Ann Lee"),
        (" Ann \t Lee\n", "Ann Lee"),
        ("Ann\u00a0\u3000Lee", "Ann Lee"),
        ("Zoe\u0301 Lee", "Zo\u00e9 Lee"),
        ("\u202eAnn\u200b Le\u200de\ufeff", "Ann Lee"),
        ("Ann\ufe0f Lee\U000e0101", "Ann Lee"),
    ],
)
def test_names_that_look_the_same_are_one_name(a: str, b: str) -> None:
    assert relation(a, b) is Relation.SAME_NAME


def test_a_normalised_name_keeps_its_case() -> None:
    assert normalised("  ann__LEE\u200b ") == "ann LEE"


@given(st.text(max_size=60))
def test_a_normalised_name_stays_as_it_is(name: str) -> None:
    assert normalised(normalised(name)) == normalised(name)
