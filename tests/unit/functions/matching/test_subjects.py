"""Which face of a photograph is meant, by the widths of its faces."""

from __future__ import annotations

import pytest

from functions.matching.register import Register
from functions.matching.subjects import MainSubject, main_subject, people_shown, prominent_faces


@pytest.mark.parametrize(
    ("indexed", "others", "expected"),
    [
        ([], [], 0),
        ([0.3], [], 1),
        ([0.4], [0.2], 2),
        ([0.4], [0.1999999], 1),
        ([200.0], [100.0, 99.0, 150.0], 3),
        ([0.4, 0.3, 0.1], [], 2),
        ([], [0.4, 0.2, 0.1], 2),
    ],
)
def test_a_face_may_be_meant_if_it_is_at_least_half_as_wide_as_the_largest(
    indexed: list[float], others: list[float], expected: int
) -> None:
    assert prominent_faces(indexed, others) == expected


def test_a_bystander_in_the_place_of_a_blurred_larger_face_is_not_alone() -> None:
    assert prominent_faces([0.1], [0.5]) == 2


@pytest.mark.parametrize(
    ("prominent", "subject"),
    [(0, None), (1, MainSubject.SINGLE), (2, MainSubject.LARGEST_OF_SEVERAL)],
)
def test_the_subject_is_sure_if_one_face_may_be_meant(
    prominent: int, subject: MainSubject | None
) -> None:
    assert main_subject(prominent) is subject


def test_people_are_told_how_many_are_shown() -> None:
    assert people_shown(2) == "this photograph shows 2 people"


def test_a_register_of_an_earlier_version_knows_no_subject_and_keeps_its_faces() -> None:
    record = {
        "schema_version": 1,
        "faces_left_at": 0.0,
        "versions": {"d": {"day": "2026-11-28", "face_ids": ["f"], "leaving": False}},
    }

    register = Register.from_record(record)

    assert register.entries["d"].subject is None
    assert register.entries["d"].face_ids == ("f",)
    assert Register.from_record(register.to_record()) == register
