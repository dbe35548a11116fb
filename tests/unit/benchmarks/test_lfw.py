"""LFW's protocol: its file, and the accuracy over the folds."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from facematch.evaluation.labels import LabelError, Persons
from tests.benchmarks.lfw import Pair, numbered, read_pairs, run_protocol, write_pairs
from tests.unit.labelled import faces_with, labelled

if TYPE_CHECKING:
    from pathlib import Path

CROWD = labelled(
    *(f"P{person:02}/P{person:02}_{n:04}.jpg" for person in range(40) for n in (1, 2, 5)),
    *(f"Alone{person}_0001.jpg" for person in range(7)),
).photographs


def read(text: str, tmp_path: Path) -> list[list[Pair]]:
    file = tmp_path / "pairs.txt"
    file.write_text(text)
    return read_pairs(file, CROWD)


def test_a_file_in_the_format_of_lfw_is_read(tmp_path: Path) -> None:
    text = "2\t1\nP00\t1\t5\nP00\t2\tP01\t1\nP02\t2\t5\nP03\t1\tAlone4\t1\n"

    folds = read(text, tmp_path)

    keys = [
        [(CROWD[p.photograph_a].key, CROWD[p.photograph_b].key, p.same) for p in fold]
        for fold in folds
    ]
    assert keys == [
        [
            ("P00/P00_0001.jpg", "P00/P00_0005.jpg", True),
            ("P00/P00_0002.jpg", "P01/P01_0001.jpg", False),
        ],
        [
            ("P02/P02_0002.jpg", "P02/P02_0005.jpg", True),
            ("P03/P03_0001.jpg", "Alone4_0001.jpg", False),
        ],
    ]
    assert read(text.replace("\t", " ").replace("\n", "\r\n"), tmp_path) == folds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: the number of folds"),
        ("500\nP00 1 2\n", "line 1: the number of folds .* View 2"),
        ("ten 1\n", "line 1: .* 'ten 1'"),
        ("1 1\nP00 1 2\nP00 1 P01 1\n", "at least 2 folds"),
        ("2 1\nP00 1 2\nP00 1 P01 1\n", r"has 2 lines of pairs, .* 2 x 2 x 1 = 4\. Copy"),
        ("2 1\nP00 1 2\nP00 1 2\nP00 1 2\nP00 1 P01 1\n", "line 3: .* 'Name 1 Other_Name 2'"),
        ("2 1\nP00 one 2\nP00 1 P01 1\nP00 1 2\nP00 1 P01 1\n", "line 2: .* 'Name 1 2'"),
        ("2 1\nP00 1 2\nP00 1 P01 1\nP00 1 3\nP00 1 P01 1\n", "line 4: photograph 3 of 'P00'"),
        ("2 1\nP00 1 2\nP00 1 Nobody 1\nP00 1 2\nP00 1 P01 1\n", "line 3: .* 'Nobody'"),
    ],
)
def test_a_file_of_another_kind_says_which_line_is_wrong(
    text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(LabelError, match=said):
        read(text, tmp_path)


def test_a_file_that_is_written_can_be_read_and_is_the_same_for_the_same_seed(
    tmp_path: Path,
) -> None:
    persons = Persons([("P00", "P01"), ("P02", "Alone0")])

    text = write_pairs(CROWD, persons, seed=7)

    assert text == write_pairs(CROWD, persons, seed=7) != write_pairs(CROWD, persons, seed=8)
    folds = read(text, tmp_path)
    assert len(folds) == 10
    assert {sum(pair.same for pair in fold) for fold in folds} == {len(folds[0]) // 2}
    assert len(folds[0]) >= 12
    people_of = []
    for fold in folds:
        of = [
            tuple(persons.person(CROWD[place].name) for place in (p.photograph_a, p.photograph_b))
            for p in fold
        ]
        assert all((a == b) == pair.same for (a, b), pair in zip(of, fold, strict=True))
        assert len({(p.photograph_a, p.photograph_b) for p in fold}) == len(fold)
        people_of.append({person for pair in of for person in pair})
    assert all(not one & other for one, other in pairwise([set(), *people_of, set()]))
    assert sum(map(len, people_of)) == len(set.union(*people_of))


def test_photographs_without_numbers_of_their_own_are_counted() -> None:
    photographs = labelled("Ann/a_1.jpg").photographs
    ann = [
        type(photographs[0])(key, photographs[0].file, "Ann")
        for key in ("Ann/front.jpg", "Ann/x_7.jpg", "Bo/y_7.jpg")
    ]
    assert numbered(ann) == {"Ann": {1: 0, 2: 1, 3: 2}}
    assert numbered(ann[1:2]) == {"Ann": {7: 0}}


def test_too_few_photographs_and_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LabelError, match="too few for 10 folds"):
        write_pairs(CROWD[:9], Persons(), seed=1)
    with pytest.raises(LabelError, match=re.escape(r"The name 'A\tB' has a tab")):
        write_pairs(labelled("A\tB_1.jpg").photographs, Persons(), seed=1)


def test_the_threshold_of_a_fold_is_chosen_on_the_others() -> None:
    # Three folds with one pair of a person (a, b) and one of two (a, c) each. In the first, the
    # two people are more alike than the one; a threshold of its own would do no better.
    scores = [(60.0, 70.0), (80.0, 30.0), (90.0, 40.0)]
    matrix = [[0.0] * 9 for _ in range(9)]
    folds = []
    for number, (same, different) in enumerate(scores):
        a, b, c = 3 * number, 3 * number + 1, 3 * number + 2
        matrix[a][b] = matrix[b][a] = same
        matrix[a][c] = matrix[c][a] = different
        folds.append([Pair(a, b, same=True), Pair(a, c, same=False)])

    result = run_protocol(folds, faces_with(matrix))

    # First: 80 is the lowest of the thresholds that do best on the two others. It misses the pair
    # of one person and passes the one of two. The others: best on the first and their fellow.
    assert result.accuracies == (0.5, 1.0, 1.0)
    assert result.thresholds[0] == 80
    assert result.accuracy == pytest.approx(5 / 6)
    assert result.standard_error == pytest.approx(0.288675 / 3**0.5, abs=1e-5)


def test_a_photograph_without_a_face_makes_its_pairs_errors() -> None:
    matrix: list[list[float]] = [[0, 99, 1], [99, 0, 1], [1, 1, 0]]
    good = [Pair(0, 1, same=True), Pair(0, 2, same=False)]
    bad = [Pair(0, 3, same=True), Pair(3, 2, same=False)]

    result = run_protocol([good, bad], faces_with(matrix, refused={3: "NO_FACE"}))

    # Nothing to choose a threshold by for the first: all are taken for one person.
    assert result.accuracies == (0.5, 0.0)
    assert result.without_face == 2
