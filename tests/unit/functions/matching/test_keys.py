"""Names, ExternalImageIds, digests and execution names."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from functions.matching.identity import compiled_names_from, name_in
from functions.matching.keys import (
    decoded_key,
    execution_name,
    external_image_id,
    key_of,
    next_attempt,
    replay_name,
    version_digest,
)
from tests.unit.strategies import NAMES_FROM, awkward, s3_keys, texts, usable_keys

ALLOWED_ID = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")
ALLOWED_NAME = re.compile(r"[0-9A-Za-z_-]{1,80}")
DIGEST = "0123456789abcdef" * 2


# --- ExternalImageId ---


@given(key=s3_keys())
@example(key="images/Ann_Lee_0001.jpg")
@example(key=":b")
@example(key="::/:2F")
def test_every_key_comes_back_from_its_external_image_id(key: str) -> None:
    external_id = external_image_id(key)
    assume(external_id is not None)
    assert external_id
    assert ALLOWED_ID.fullmatch(external_id)
    assert key_of(external_id) == key


@given(key=usable_keys(), other=usable_keys())
def test_two_keys_never_share_an_external_image_id(key: str, other: str) -> None:
    assume(key != other)
    assert external_image_id(key) != external_image_id(other)


@given(key=s3_keys().filter(lambda key: len(key.encode()) < 190))
def test_every_key_below_190_bytes_fits(key: str) -> None:
    assert external_image_id(key) is not None


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("a" * 255, True),
        ("a" * 256, False),
        ("\n" * 189, True),
        ("\n" * 190, False),
        ("images/" + "é" * 91, True),
        ("images/" + "é" * 92, False),
        ("", False),
    ],
)
def test_only_a_key_that_is_too_long_has_no_external_image_id(key: str, *, fits: bool) -> None:
    assert (external_image_id(key) is not None) is fits


def test_a_plain_key_stays_readable() -> None:
    assert external_image_id("images/Ann_Lee-2.jpg") == "images::Ann_Lee-2.jpg"


@pytest.mark.parametrize(
    "foreign",
    [
        *("a b", "a:2f", "a:2F", "a:", "a:4", ":41", ":FF", "é", ""),
        *(":b", ":b*", ":bYQ==", ":bYR", ":b_w"),
    ],
)
def test_an_id_that_somebody_else_wrote_is_told_apart(foreign: str) -> None:
    with pytest.raises(ValueError, match="not written by this project"):
        key_of(foreign)


@given(foreign=st.text("ab:2F_-.", max_size=12) | st.text(max_size=12))
def test_an_id_is_read_only_if_it_is_the_one_that_its_key_gets(foreign: str) -> None:
    try:
        key = key_of(foreign)
    except ValueError:
        return
    assert external_image_id(key) == foreign


# --- Keys in events ---


@given(key=texts | awkward)
def test_a_key_in_an_event_is_decoded(key: str) -> None:
    assert decoded_key(quote_plus(key, safe="/")) == key


@pytest.mark.parametrize(
    ("written", "key"),
    [("a+b", "a b"), ("a%2Bb", "a+b"), ("100%25", "100%"), ("Zo%C3%AB", "Zoë"), ("Zoë", "Zoë")],
)
def test_plus_percent_and_unicode_are_decoded(written: str, key: str) -> None:
    assert decoded_key(written) == key


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded_key("images/%FF.jpg")


# --- Names ---


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("images/Ann_Lee_0001.jpg", "Ann_Lee"),
        ("images/a/b/c/Ann_Lee_0001.jpg", "Ann_Lee"),
        ("Ann_Lee_0001.jpg", "Ann_Lee"),
        ("images/Ann_Lee", "Ann_Lee"),
        ("images/Ann_Lee.jpg", "Ann_Lee"),
        ("images/Ann.Lee_2.jpeg", "Ann.Lee"),
        ("images/Ann_7/Bo.jpg", "Bo"),
        ("images/Ann_1_2.jpg", "Ann_1"),
        ("images/Ann Lee_1.jpg", "Ann Lee"),
        ("images/Ann\nLee_1.jpg", "Ann\nLee"),
        ("images/line\nbreak/Ann_1.jpg", "Ann"),
        ("images/Ann.jpg\n", "Ann"),
        ("images/王_1.jpg", "王"),
        ("images/.jpg", None),
        ("images/.hidden_1.jpg", None),
        ("images/Ann/.jpg", None),
        ("images/ .jpg", None),
        ("images/", None),
        ("", None),
    ],
)
def test_the_default_pattern_reads_the_name(key: str, name: str | None) -> None:
    assert name_in(key, NAMES_FROM) == name


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (r"^images/(?P<name>[^/]+)/", "Ann Lee"),
        (r"^pictures/(?P<name>[^/]+)/", None),
        (r"^images/(?P<name>x)?", None),
    ],
)
def test_another_pattern_reads_the_name_elsewhere(pattern: str, name: str | None) -> None:
    assert name_in("images/Ann Lee/holiday.jpg", compiled_names_from(pattern)) == name


@given(key=s3_keys())
def test_both_ways_of_writing_an_accent_are_one_name(key: str) -> None:
    composed = name_in(unicodedata.normalize("NFC", key), NAMES_FROM)
    decomposed = name_in(unicodedata.normalize("NFD", key), NAMES_FROM)
    assert composed == decomposed


@given(stem=st.text("abÅé_.-", min_size=1, max_size=20), digits=st.integers(0, 99999))
def test_photographs_of_one_person_carry_one_name(stem: str, digits: int) -> None:
    assume(not stem.startswith(".") and stem.strip("_"))
    name = name_in(f"images/{stem}_{digits}.jpg", NAMES_FROM)
    assert name == unicodedata.normalize("NFC", stem)
    assert name_in(f"images/somewhere/else/{stem}_1.png", NAMES_FROM) == name


@given(one=st.text("abc ", min_size=1, max_size=8), other=st.text("abc ", min_size=1, max_size=8))
def test_names_are_the_same_only_if_they_are_exactly_the_same(one: str, other: str) -> None:
    assume(one.strip())
    assume(other.strip())
    names = [name_in(f"images/{stem}_1.jpg", NAMES_FROM) for stem in (one, other)]
    assert (names[0] == names[1]) is (one == other)


@pytest.mark.parametrize(
    "pattern", ["(", "(?P<name>", "no group", "(?P<Name>x)", "(?P<name>a{99999999999})"]
)
def test_a_pattern_that_cannot_find_a_name_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"regular expression|group named"):
        compiled_names_from(pattern)


# --- Digests and execution names ---


@given(
    fields=st.tuples(awkward, awkward, awkward),
    others=st.tuples(awkward, awkward, awkward),
)
def test_different_versions_have_different_digests(
    fields: tuple[str, str, str], others: tuple[str, str, str]
) -> None:
    assume(fields != others)
    assert version_digest(*fields) != version_digest(*others)


@given(text=st.text('ab",[\\', min_size=3, max_size=8), cuts=st.data())
def test_a_digest_knows_where_one_field_ends(text: str, cuts: st.DataObject) -> None:
    def cut() -> tuple[str, str, str]:
        first, second = sorted(cuts.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        return text[:first], text[first:second], text[second:]

    one, other = cut(), cut()
    assert (version_digest(*one) == version_digest(*other)) is (one == other)


@given(key=s3_keys())
@example(key="images/" + "x" * 200)
@example(key="images/王.jpg")
@example(key="/")
def test_an_execution_name_is_allowed_and_leaves_room_for_a_replay(key: str) -> None:
    name = execution_name(key, DIGEST)
    assert ALLOWED_NAME.fullmatch(f"{name}-r9999")
    assert name.endswith(f"-{DIGEST}")
    assert name == execution_name(key, DIGEST)


def test_an_execution_name_can_be_read() -> None:
    assert execution_name("images/Zoë Ann_0001.jpg", DIGEST) == f"Zoe-Ann_0001-{DIGEST}"


@given(key=s3_keys(), attempt=st.integers(0, 9998))
def test_the_next_attempt_is_the_one_that_a_replay_starts(key: str, attempt: int) -> None:
    name = execution_name(key, "0123456789abcdef" * 2)
    assert next_attempt(replay_name(name, attempt)) == replay_name(name, attempt + 1)
