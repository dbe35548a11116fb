"""No text becomes a formula in a spreadsheet, and each comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facematch.files.spreadsheets import guarded, unguarded

#: What a cell that a spreadsheet runs begins with, and what it skips in front of that.
RUN = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n", "\0")
#: Of these, hostile texts are made.
parts = st.sampled_from([*RUN, "'", ";", ",", '"', " ", "1", "A", "\v"])
texts = st.lists(parts, max_size=12).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"])
)


@pytest.mark.parametrize("start", [*RUN, "'"])
def test_each_start_is_guarded_in_front_and_behind_what_may_split_the_file(start: str) -> None:
    assert guarded(f"{start}1+1") == f"'{start}1+1"
    for split in ";\t\r\n":
        assert f"{split}'{start}" in guarded(f"Ann{split}{start}1+1")
        assert f"{split}'\"{start}" in guarded(f'Ann{split}"{start}1+1"')


@pytest.mark.parametrize("text", ["Ann", "Ann; Bea", "a-b", "O'Neil", "1+1", "a, b", "", '"Al"'])
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@given(texts)
def test_every_text_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text


@given(texts, texts)
def test_however_the_file_is_split_no_piece_of_it_is_a_formula(one: str, other: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(["Name", guarded(one), guarded(other), 99.5])

    assert next(csv.reader(io.StringIO(written.getvalue(), newline=""))) == [
        *("Name", guarded(one), guarded(other), "99.5")
    ]
    for splitting in ",;\t":
        for row in csv.reader(io.StringIO(written.getvalue(), newline=""), delimiter=splitting):
            assert not [cell for cell in row if cell.startswith(RUN)]
