"""Keys, names and ids that somebody made up: read exactly, or refused as what they are."""

from __future__ import annotations

import contextlib
import unicodedata
from dataclasses import replace
from urllib.parse import quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.matching.errors import ImageRejected
from functions.matching.identity import FROM_FILE, compiled_names_from, name_in
from functions.matching.keys import decoded_key, external_image_id, key_of
from functions.matching.rejection import require_usable
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.strategies import NAMES_FROM, awkward, texts, usable_keys

#: Any text that JSON can spell, halves of surrogate pairs included.
spelled = st.text(st.characters())
#: What looks like URL encoding.
percents = st.text(st.sampled_from("%%%0123456789ABCDEFabcdef+/. zé"), max_size=30)
#: Letters that have more than one form, that look like others, that turn the line around.
letters = st.sampled_from(
    [
        *("a", "A", "é", "e\u0301", "Å", "A\u030a", "\u212b", "\u0430", "\ufb01", "fi", "\u200d"),
        *("\u202e", "\u0627", "\u05d0", "\U0001f600", "\u0301", " ", "\n", "'", "-"),
    ]
)
stems = st.lists(letters, min_size=1, max_size=8).map("".join)


@given(written=percents | texts)
def test_a_key_of_an_event_is_utf_8_or_refused(written: str) -> None:
    try:
        key = decoded_key(written)
    except UnicodeDecodeError:
        return
    assert decoded_key(quote_plus(key.encode(), safe="/")) == key


@pytest.mark.parametrize("written", ["%ED%A0%80", "%C0%AF", "%F8%88%80%80%80", "%80", "a%E2%82"])
def test_no_overlong_or_broken_utf_8_becomes_a_slash_or_a_letter(written: str) -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded_key(f"images/{written}")


def test_a_key_is_decoded_once() -> None:
    assert decoded_key("images/%252e%252e%252fAnn%252B.jpg") == "images/%2e%2e%2fAnn%2B.jpg"


@given(key=spelled | awkward)
def test_a_name_is_never_blank_and_never_reaches_beyond_its_folder(key: str) -> None:
    name = name_in(key, NAMES_FROM)
    if name is not None:
        assert name.strip()
        assert "/" not in name
        assert unicodedata.is_normalized("NFC", name)
        assert not name.startswith(".")


@given(one=stems, other=stems)
def test_two_stems_are_one_name_only_if_they_are_canonically_the_same(one: str, other: str) -> None:
    names = [name_in(f"images/{stem}_0001.jpg", NAMES_FROM) for stem in (one, other)]
    assume(all(names))
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (names[0] == names[1]) is same


@given(stem=stems, more=stems)
def test_the_beginning_of_a_name_is_another_name(stem: str, more: str) -> None:
    assume(unicodedata.normalize("NFC", stem + more) != unicodedata.normalize("NFC", stem))
    name = name_in(f"images/{stem}_1.jpg", NAMES_FROM)
    assert name is None or name != name_in(f"images/{stem}{more}_1.jpg", NAMES_FROM)


@given(key=usable_keys(), place=st.integers(0, 254), put=st.text("aAbzZ09:_.-=+/ é", max_size=2))
def test_a_damaged_id_is_another_key_or_refused(key: str, place: int, put: str) -> None:
    external_id = external_image_id(key)
    assert external_id
    damaged = external_id[:place] + put + external_id[place + 1 :]
    assume(damaged != external_id)
    try:
        read = key_of(damaged)
    except ValueError:
        return
    assert read != key
    assert external_image_id(read) == damaged


@given(foreign=spelled | st.text(":bABCDEF0189_-", max_size=300))
def test_an_id_from_elsewhere_is_told_apart(foreign: str) -> None:
    try:
        key = key_of(foreign)
    except ValueError:
        return
    assert external_image_id(key) == foreign


@pytest.mark.filterwarnings("ignore:Possible (nested|set)")  # of Python, about odd patterns
@given(pattern=spelled | st.text("(?P<name>)[]{}*+\\|^$.1", max_size=20))
def test_any_pattern_is_compiled_or_refused(pattern: str) -> None:
    with contextlib.suppress(ValueError):
        assert "name" in compiled_names_from(pattern).groupindex


def test_the_default_pattern_takes_no_longer_for_a_hostile_key() -> None:
    """A pattern that backtracks without end would still be at work when the suite is stopped."""
    pattern = compiled_names_from(FROM_FILE)
    for part in ("_1", "_", "1", ".", "/", "a/", "_1.", "..", "_0000000000", "._", "\n"):
        for end in ("", "/", ".", "_", "!"):
            name_in("images/" + (part * 1024)[:1016] + end, pattern)


@pytest.mark.parametrize("pattern", [FROM_FILE, "^images/(?P<name>[^/]+)/"])
def test_what_looks_like_a_folder_is_rejected_under_every_pattern(pattern: str) -> None:
    """Its removal, which tells no size, is taken for a folder marker's: no face may be there."""
    image = replace(IMAGE, key="images/Ann Lee/")
    with pytest.raises(ImageRejected, match="UNNAMED"):
        require_usable(image, compiled_names_from(pattern))
