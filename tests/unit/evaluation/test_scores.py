"""Counting all pairs block by block gives what counting them one by one gives."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from facematch.evaluation import scores
from facematch.evaluation.measure import THRESHOLDS
from facematch.evaluation.scores import Labels, Pairs, Similarities, histograms, score_of, tally
from facematch.local.rekognition.faces import similarity
from tests.unit.labelled import crowd

AT = [score_of(threshold, similarity, (-1.01, 1.01)) for threshold in (1, 50, 80, 99, 99.99)]


def one_by_one(comparison: scores.Comparison, labels: Labels) -> dict[str, Any]:
    """Every pair, as the definitions say."""
    everything = np.arange(len(comparison))
    matrix = comparison.between(everything, everything)
    faces_of = Counter(labels.persons.tolist())
    people = sorted(faces_of)
    result: dict[str, Any] = {
        name: []
        for name in ("false", "squares", "products", "aliased", "wrong_names", "found_names")
    }
    result["false_of"], result["missed"] = [], []
    same, different, aliased = [], [], []
    for a, b in combinations(everything.tolist(), 2):
        if labels.persons[a] != labels.persons[b]:
            different.append((a, b))
        elif labels.photographs[a] != labels.photographs[b]:
            same.append((a, b))
            if labels.names[a] != labels.names[b]:
                aliased.append((a, b))

    def names(pairs: list[tuple[int, int]]) -> set[frozenset[int]]:
        return {frozenset((int(labels.names[a]), int(labels.names[b]))) for a, b in pairs}

    for threshold in AT:
        false = [(a, b) for a, b in different if matrix[a, b] >= threshold]
        by_people = Counter(
            tuple(sorted((int(labels.persons[a]), int(labels.persons[b])))) for a, b in false
        )
        result["false"].append(len(false))
        result["squares"].append(sum(count**2 for count in by_people.values()))
        result["products"].append(
            sum(count * faces_of[a] * faces_of[b] for (a, b), count in by_people.items())
        )
        of = Counter(int(labels.persons[face]) for pair in false for face in pair)
        result["false_of"].append([of[person] for person in people])
        missed = Counter(int(labels.persons[a]) for a, b in same if matrix[a, b] < threshold)
        result["missed"].append([missed[person] for person in people])
        result["wrong_names"].append(len(names(false)))
        found = [(a, b) for a, b in aliased if matrix[a, b] >= threshold]
        result["aliased"].append(len(found))
        result["found_names"].append(len(names(found)))
    result["same"], result["different"] = len(same), len(different)
    result["all_aliased"] = len(aliased)
    result["different_names"], result["one_person_names"] = (
        len(names(different)),
        len(names(aliased)),
    )
    return result


@pytest.mark.parametrize("rows", [1, 7, 10_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_each_pair_is_counted_once_and_as_what_it_is(
    rows: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "_ROWS", rows)
    comparison, labels = crowd(people=30, seed=seed)
    expected = one_by_one(comparison, labels)
    assert expected["false"][0] > 10
    assert expected["aliased"][2] > 1

    counted = tally(Pairs(comparison, labels), AT)

    assert (counted.same, counted.different) == (expected["same"], expected["different"])
    assert counted.false.tolist() == expected["false"]
    assert counted.false_squares.tolist() == expected["squares"]
    assert counted.false_products.tolist() == expected["products"]
    assert counted.false_of.tolist() == expected["false_of"]
    assert counted.missed.tolist() == expected["missed"]
    assert counted.wrong_names.tolist() == expected["wrong_names"]
    assert counted.aliased == expected["all_aliased"]
    assert counted.aliased_found.tolist() == expected["aliased"]
    assert counted.one_person_found.tolist() == expected["found_names"]
    assert counted.different_names == expected["different_names"]
    assert counted.one_person_names == expected["one_person_names"]


def test_the_histogram_has_every_pair_and_the_threshold_for_a_rate_keeps_it() -> None:
    comparison, labels = crowd(people=60, seed=3)
    pairs = Pairs(comparison, labels)

    found = histograms(pairs, comparison.limits)

    counted = tally(pairs, AT)
    assert (found.same.sum(), found.different.sum()) == (counted.same, counted.different)
    for wanted in (0.1, 0.01, 0.001):
        score = found.score_at(wanted)
        just_below = score - 1e-3
        at, below = tally(pairs, [score]), tally(pairs, [just_below])
        assert at.false[0] <= wanted * counted.different < below.false[0] + 1


def test_the_hardest_pairs_are_the_best_of_each_pair_of_names_hardest_first() -> None:
    # Ann, Ann, Bea, Bea, Cy: Ann and Bea look alike twice, Bea and Cy a little.
    matrix = np.array(
        [
            [0, 70, 95, 90, 10],
            [70, 0, 20, 97, 10],
            [95, 20, 0, 99, 60],
            [90, 97, 99, 0, 30],
            [10, 10, 60, 30, 0],
        ],
        np.float32,
    )
    people = np.array([0, 0, 1, 1, 2])
    counted = tally(Pairs(Similarities(matrix), Labels(people, people, np.arange(5))), [50.0, 80.0])

    different = [(p.face_a, p.face_b, p.score) for p in counted.hardest_different]
    assert different == [(1, 3, 97), (2, 4, 60)]
    same = [(p.face_a, p.face_b, p.score) for p in counted.hardest_same]
    assert same == [(0, 1, 70), (2, 3, 99)]


def test_the_least_similar_pair_stands_for_a_person_and_the_most_for_one_with_two_names() -> None:
    # Ann three times, and once as Anna.
    matrix = np.array(
        [[0, 70, 95, 30], [70, 0, 60, 40], [95, 60, 0, 20], [30, 40, 20, 0]], np.float32
    )
    labels = Labels(np.zeros(4, np.int64), np.array([0, 0, 0, 1]), np.arange(4))
    counted = tally(Pairs(Similarities(matrix), labels), [80.0])

    same = [(p.face_a, p.face_b, p.score) for p in counted.hardest_same]
    assert same == [(2, 3, 20), (1, 2, 60)]
    two_names = [(p.face_a, p.face_b, p.score) for p in counted.one_person_best]
    assert two_names == [(1, 3, 40)]


def test_a_group_of_faces_is_counted_as_if_there_were_no_others() -> None:
    comparison, labels = crowd(people=40, seed=5)
    some = np.flatnonzero(labels.persons < 20)

    of_group = tally(Pairs(comparison, labels, some), AT)

    alone = tally(Pairs(scores.Cosines(comparison._vectors[some], similarity), labels.of(some)), AT)
    assert of_group.false.tolist() == alone.false.tolist()
    assert of_group.missed.tolist() == alone.missed.tolist()
    assert {f for p in of_group.hardest_different for f in (p.face_a, p.face_b)} <= set(some)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_score_of_a_similarity_is_the_lowest_that_has_it(threshold: float) -> None:
    score = score_of(threshold, similarity, (-1.01, 1.01))
    assert similarity(score) >= threshold > similarity(math.nextafter(score, -1))


def test_a_similarity_beyond_all_has_no_score() -> None:
    assert score_of(100, similarity, (-1.01, 1.01)) == math.inf
