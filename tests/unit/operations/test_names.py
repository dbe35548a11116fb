"""How names were read: layouts of folders, and the names that only machines give."""

from __future__ import annotations

import pytest

from facematch.operations.names import Doubt, is_of_a_machine, names_read, words
from functions.matching.identity import compiled_names_from

FILE, FOLDER = (compiled_names_from(name) for name in ("file", "folder"))
PEOPLE = ["images/Ann_Lee_1.jpg", "images/Ann_Lee_2.jpg", "images/Bo_1.jpg"]
FOLDERS = ["images/Ann Lee/IMG_0009.jpg", "images/x/Bo/IMG_0009.jpg", "images/Bo/DSC00001.jpg"]


@pytest.mark.parametrize(
    ("keys", "pattern", "names", "doubts"),
    [
        (PEOPLE, FILE, 2, set()),
        (FOLDERS, FOLDER, 2, set()),
        (FOLDERS, FILE, 2, {Doubt.OF_A_MACHINE}),
        (["images/Ann/IMG_1.jpg"] * 3, FILE, 1, {Doubt.ONE_NAME, Doubt.OF_A_MACHINE}),
        ([f"images/{n}.jpg" for n in ("Ann", "Bo", "Cy")], FILE, 3, {Doubt.ALL_DIFFERENT}),
        (["images/Ann.jpg", "images/Bo.jpg"], FILE, 2, set()),  # too few to say
        (["images/Ann.jpg"], FILE, 1, set()),
        ([], FILE, 0, set()),
    ],
)
def test_a_layout_is_doubted_only_when_its_names_are_doubtful(
    keys: list[str], pattern: object, names: int, doubts: set[Doubt]
) -> None:
    found = names_read(keys, pattern)  # type: ignore[arg-type] # of the parameters
    assert (found.photographs, found.names, set(found.doubts)) == (len(keys), names, doubts)


@pytest.mark.parametrize(
    "name",
    [
        *("IMG", "IMG_0009", "IMG-20230101-WA0001", "DSC00123", "DSC_0001", "DSCN0001", "_DSC1234"),
        *("PXL_20230101", "MVIMG_20190101", "P1000123", "GOPR0001", "20230101", "2023-01-01 10.00"),
        *(
            "Screenshot_2023-01-01",
            "Screenshot 2023-01-01 at 10.00.00",
            "image001",
            "photo",
            "0009",
        ),
        *("WhatsApp Image 2023-01-01 at 10.00.00", "123e4567-e89b-12d3-a456-426614174000"),
        *("Ann Lee (1)", "Ann Lee - Copy", "Ann Lee copy", "Ann Lee - Copy (2)"),
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_names_of_cameras_and_programs_are_known(name: str) -> None:
    assert is_of_a_machine(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Ann_Lee",
            "Ann Lee",
            "Zoë",
            "Imogen",
            "Samuel",
            "Sam",
            "WP Smith",
            "Dscosta",
            "P. Diddy",
            "Photini",
            "Scannell",
        ),
        *("Pic Asso", "Frame Anna", "李雷", "Ann Lee 1984", "Deadbeef", "Copyleft", "Copperfield"),
    ],
)
def test_names_of_people_are_not_taken_for_them(name: str) -> None:
    assert not is_of_a_machine(name)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("images/Ann Lee/IMG_0009.jpg", "Ann Lee"),
        ("images/2023/Ann Lee/a.jpg", "Ann Lee"),
        ("Ann Lee/a.jpg", "Ann Lee"),  # as evaluate has it, without a prefix
        ("images/a.jpg", None),  # the prefix is nobody's name
        ("a.jpg", None),
    ],
)
def test_the_last_folder_below_the_prefix_is_the_name(key: str, name: str | None) -> None:
    found = names_read([key], FOLDER)
    assert [read for _, read in found.examples] == ([name] if name else [])
    assert found.unnamed == (name is None)


def test_the_remedy_is_told_only_where_there_is_a_doubt() -> None:
    assert words(names_read(PEOPLE, FILE), "Set it.") == [
        "Names: 2 names on 3 photographs.",
        "  images/Ann_Lee_1.jpg shows Ann_Lee",
        "  images/Bo_1.jpg shows Bo",
    ]
    *_, doubt, remedy = words(names_read(FOLDERS, FILE), "Set it.")
    assert doubt.endswith("gives to files (IMG, DSC00001).")
    assert remedy == "Set it."
