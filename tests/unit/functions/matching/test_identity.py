"""Records: the same one or another, by the names and ids that keys carry."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.matching.identity import (
    FROM_FILE,
    FROM_FOLDER,
    Identity,
    compiled_names_from,
    id_in,
    identity_in,
    record_of_id,
    record_of_name,
)
from functions.matching.names import relation
from functions.matching.relations import Relation
from tests.unit.strategies import awkward, texts

WITH_IDS = compiled_names_from(r"(?:^|/)(?:(?P<id>[^~/]*)~)?(?P<name>[^~/]+?)(?:_\d+)?[.][^./]+\Z")


def record(key: str) -> str | None:
    found = identity_in(key, WITH_IDS)
    return found.record if found else None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("007~Ann Lee_1.jpg", "007~Anne Lee_1.jpg"),  # whatever the names are
        ("007~Ann Lee_1.jpg", "archive/007~Ann Lee_2.jpg"),
        (" 007~Ann_1.jpg", "007\u200b~Ann_1.jpg"),  # what nobody sees
        ("Ann_Lee_1.jpg", "Ann Lee_2.jpg"),
        ("Ann\u00a0Lee_1.jpg", "Ann  Lee _2.jpg"),
        ("A\u200bnn_1.jpg", "Ann_1.jpg"),
        (unicodedata.normalize("NFD", "Zoë_1.jpg"), unicodedata.normalize("NFC", "Zoë_1.jpg")),
        ("~Ann_1.jpg", "Ann_1.jpg"),  # an empty id is none
        ("\u200b~Ann_1.jpg", "Ann_1.jpg"),
    ],
)
def test_the_same_record(one: str, other: str) -> None:
    assert record(one) == record(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("007~Ann_1.jpg", "07~Ann_1.jpg"),
        ("A_7~Ann_1.jpg", "A 7~Ann_1.jpg"),
        ("a7~Ann_1.jpg", "A7~Ann_1.jpg"),
        ("007~Ann_1.jpg", "Ann_1.jpg"),
        ("Ann_1.jpg", "ann_1.jpg"),
        ("Ann_1.jpg", "Annabel_1.jpg"),
        ("Zoë_1.jpg", "Zoe_1.jpg"),
        ("id:7_1.jpg", "7~id_1.jpg"),  # a name that looks like a record key is still a name
    ],
)
def test_another_record(one: str, other: str) -> None:
    assert record(one) != record(other)


@pytest.mark.parametrize("name", ["", " ", "_", "__ _", "\u200b", "\u3164", "\ufe0f", "\u00a0\t"])
def test_a_name_that_nobody_sees_is_none(name: str) -> None:
    pattern = compiled_names_from(r"/(?P<name>[^/]*)[.]jpg\Z")
    assert identity_in(f"images/{name}.jpg", pattern) is None


@given(name=texts | awkward, record_id=st.none() | texts | awkward)
def test_names_and_ids_never_make_the_same_record(name: str, record_id: str | None) -> None:
    made = Identity(name, record_id)
    assert made.record.startswith("name:" if record_id is None else "id:")
    assert (id_in(made.record) is None) is (record_id is None)
    assert record_of_name(name) != record_of_id(name)


@given(name=texts | awkward)
def test_a_record_key_says_the_same_once_more(name: str) -> None:
    for of, prefix in ((record_of_name, "name:"), (record_of_id, "id:")):
        assert of(of(name).removeprefix(prefix)) == of(name)


@given(name=texts)
def test_names_of_one_record_relate_as_the_same_name(name: str) -> None:
    assume(record_of_name(name) != "name:")
    other = f" {name.replace(' ', '_')}\u200b"
    assert record_of_name(name) == record_of_name(other)
    assert relation(name, other) is Relation.SAME_NAME


@pytest.mark.parametrize(
    ("prefix", "key", "name"),
    [
        ("photos/", "photos/x.jpg", None),
        ("photos/", "photos/Ann Lee/x.jpg", "Ann Lee"),
        ("photos/", "photos/images/x.jpg", "images"),
        ("", "x.jpg", None),
        ("", "images/x.jpg", "images"),
        ("a.b/", "a.b/x.jpg", None),
        ("a.b/", "a.b/Ann/Bo/x.jpg", "Bo"),
    ],
)
def test_the_prefix_is_nobodys_folder(prefix: str, key: str, name: str | None) -> None:
    pattern = compiled_names_from(FROM_FOLDER, image_prefix=prefix)
    found = identity_in(key, pattern)
    assert (found.name if found else None) == name


def test_the_usual_rule_knows_no_id() -> None:
    found = identity_in("images/007_Ann_Lee_0001.jpg", compiled_names_from(FROM_FILE))
    assert found == Identity("007_Ann_Lee")
    assert str(Identity("Ann", "007")) == "Ann (id 007)"
