"""Who is on which photograph: keys, and the files of same persons and of groups."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from facematch.evaluation.labels import (
    LabelError,
    Persons,
    labelled_photographs,
    read_groups,
    read_persons,
)
from facematch.evaluation.measure import Asked, measured
from facematch.files.photographs import LeftOut
from functions.matching.identity import FROM_FILE, compiled_names_from
from tests.unit.labelled import faces_with

PATTERN = compiled_names_from(FROM_FILE)


def test_photographs_below_the_folder_have_the_names_that_the_workflow_reads(
    tmp_path: Path,
) -> None:
    for key in (
        "b/Ann_Lee_0002.JPG",
        "a/Zoe\u0301_1.png",
        ".hidden/Bo_1.jpg",
        "notes.txt",
        "._x.jpg",
    ):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).touch()
    (tmp_path / "_1.jpg").touch()
    (tmp_path / os.fsdecode(b"bad\xff_1.jpg")).touch()
    (tmp_path / "folder.jpg").mkdir()

    found = labelled_photographs(tmp_path, re.compile(r"(?P<name>[^/_]+[^/]*?)_\d+"))

    assert [(p.key, p.name) for p in found.photographs] == [
        ("a/Zoe\u0301_1.png", "Zo\u00e9"),
        ("b/Ann_Lee_0002.JPG", "Ann_Lee"),
    ]
    assert found.unnamed == ("_1.jpg", r"bad\xff_1.jpg")


def test_a_link_is_on_no_photograph_and_told(tmp_path: Path) -> None:
    folder, other = tmp_path / "photographs", tmp_path / "Cy_1.jpg"
    folder.mkdir()
    other.write_bytes(b"Cy")
    (folder / "Ann_1.jpg").write_bytes(b"Ann")
    (folder / "Bo_1.jpg").symlink_to(other)

    found = labelled_photographs(folder, PATTERN)

    assert [photograph.key for photograph in found.photographs] == ["Ann_1.jpg"]
    assert found.left_out == {Path("Bo_1.jpg"): LeftOut.LINK}
    document = measured(
        found, faces_with([[0]]), Persons(), Asked(wanted=(), faces=()), conditions={}
    )
    assert document["people"]["left_out"] == [{"key": "Bo_1.jpg", "reason": "LINK"}]

    (folder / "Ann_1.jpg").unlink()
    with pytest.raises(LabelError, match=r"Left out: Bo_1\.jpg is a link.*Name another folder"):
        labelled_photographs(folder, PATTERN)


def test_photographs_of_one_record_have_one_label_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("Ann_Lee_1", "Ann Lee_2", "7~Ann Lee_1", "7~Anne Lee_2", "07~Ann Lee_1"):
        (tmp_path / f"{name}.jpg").write_bytes(b"photograph")
    pattern = compiled_names_from(
        r"(?:^|/)(?:(?P<id>[^~/]*)~)?(?P<name>[^~/]+?)(?:_\d+)?[.][^./]+\Z"
    )

    found = {p.key: p.name for p in labelled_photographs(tmp_path, pattern).photographs}

    assert found["Ann_Lee_1.jpg"] == found["Ann Lee_2.jpg"]
    assert found["7~Ann Lee_1.jpg"] == found["7~Anne Lee_2.jpg"] == "Ann Lee (id 7)"
    assert found["07~Ann Lee_1.jpg"] == "Ann Lee (id 07)"


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="holds no photograph"):
        labelled_photographs(tmp_path, PATTERN)


def test_names_of_one_person_are_connected_over_several_pairs(tmp_path: Path) -> None:
    file = tmp_path / "same.csv"
    file.write_text('name_a,name_b,note\nD,C,x\nB,A,\nC,B,"two, notes"\nX,X,\n', "utf-8")

    persons = read_persons(file)

    assert {persons.person(name) for name in "ABCD"} == {"A"}
    assert persons.person("Other") == "Other"
    assert persons.names == {"A", "B", "C", "D"}


def test_a_table_of_a_spreadsheet_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "same.csv"
    file.write_bytes("name_b,name_a\r\n Zoe\u0301 ,Z\r\n".encode("utf-8-sig"))
    assert read_persons(file).person("Zo\u00e9") == "Z"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Ann,Bea\n", "no column 'name_a'. Write name_a,name_b as its first line"),
        (b"", "no column 'name_a'"),
        (b"name_a,name_b\nAnn,Bea\nCy,\n", "line 3: 'name_b' is empty"),
        (b"name_a,name_b\nAnn\n", "line 2: 'name_b' is empty"),
        (b"\xff\xfe", "not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_mend(
    content: bytes, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "same.csv"
    file.write_bytes(content)
    with pytest.raises(LabelError, match=re.escape(said)):
        read_persons(file)


def test_a_person_is_in_one_group_under_whatever_name(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("name,group\nAnn,1\nBea,2\nCy,2\n")

    assert read_groups(file, Persons([("Bea", "Cy")])) == {"Ann": "1", "Bea": "2", "Cy": "2"}
    with pytest.raises(LabelError, match="'Ann' into two groups, '1' and '2'"):
        read_groups(file, Persons([("Ann", "Bea")]))
