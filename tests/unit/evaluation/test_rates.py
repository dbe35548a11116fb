"""Rates and their intervals: as published, never of length zero, and true as often as they say."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from facematch.evaluation.rates import (
    Rate,
    apart_at,
    false_match_rates,
    pairs_among,
    rates_by_person,
    telling,
    true_match_rates,
    wilson,
)
from facematch.evaluation.scores import Labels, Pairs, Similarities, Tally, tally


@pytest.mark.parametrize(
    ("errors", "of", "low", "high"),
    # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
    # Medicine 17, 1998, table I, method 3 (Wilson's score method).
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_as_published(errors: int, of: int, low: float, high: float) -> None:
    assert wilson(errors / of, of) == pytest.approx((low, high), abs=5e-5)


def test_nothing_seen_tells_nothing() -> None:
    assert wilson(0, 0) == (0, 1)


def counted(matrix: np.ndarray, people: np.ndarray, thresholds: list[float]) -> Tally:
    faces = Labels(people, people, np.arange(len(people)))
    return tally(Pairs(Similarities(matrix.astype(np.float32)), faces), thresholds)


def random_faces(seed: int, *, people: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Similarities such that some people look like everybody: false matches come in heaps."""
    chance = np.random.default_rng(seed)
    persons = np.repeat(np.arange(people), each)
    likeness = chance.normal(0, 1, people)[persons]
    scores = 50 + 8 * (likeness[:, None] + likeness + chance.normal(0, 1, (len(persons),) * 2))
    scores = np.triu(scores, 1)
    scores += scores.T
    scores[persons[:, None] == persons] = 99
    return np.clip(scores, 0, 99), persons


def test_the_variance_is_the_one_of_the_paper() -> None:
    """Fogliato et al., the plug-in estimator: all products of residuals that share a person."""
    matrix, persons = random_faces(1, people=12, each=3)
    at = 65.0
    found = counted(matrix, persons, [at])
    rate = found.false[0] / found.different
    residual = {
        (a, b): sum(
            (matrix[i, j] >= at) - rate
            for i in np.flatnonzero(persons == a)
            for j in np.flatnonzero(persons == b)
        )
        for a, b in combinations(range(12), 2)
    }
    variance = (
        sum(
            one * other
            for pair, one in residual.items()
            for other_pair, other in residual.items()
            if set(pair) & set(other_pair)
        )
        / found.different**2
    )
    variance *= 66 / 65  # for the few pairs of people

    (interval,) = false_match_rates(found)

    assert 0 < found.false[0] < found.different / 4
    expected = wilson(rate, rate * (1 - rate) / variance)
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-9)
    # Independent pairs would be surer of it.
    assert interval.high > wilson(rate, found.different)[1]


def test_the_interval_holds_the_true_rate_as_often_as_it_says() -> None:
    """And the one that takes pairs for independent does not, by far."""
    at = 75.0
    many, _ = random_faces(10_000, people=1500, each=1)
    truth = (many[np.triu_indices(1500, 1)] >= at).mean()
    right = naive = 0
    for seed in range(150):
        (found,) = false_match_rates(counted(*random_faces(seed, people=100, each=1), [at]))
        right += found.low <= truth <= found.high
        low, high = wilson(found.value or 0, found.of)
        naive += low <= truth <= high

    assert right >= 0.88 * 150  # 95 % in the limit of many people
    assert naive < 0.7 * 150


def test_where_errors_are_few_the_interval_is_not_surer_than_its_dependence_allows() -> None:
    """One error alone looks independent, however much it would not be among many."""
    thresholds = [70.0, 75.0, 85.0, 90.0, 95.0]
    many, _ = random_faces(10_000, people=1500, each=1)
    truths = [(many[np.triu_indices(1500, 1)] >= at).mean() for at in thresholds]
    too_low, few = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for seed in range(150):
        found = false_match_rates(counted(*random_faces(seed, people=100, each=1), thresholds))
        too_low += [rate.high < truth for rate, truth in zip(found, truths, strict=True)]
        few += [rate.count < 10 for rate in found]

    assert few[-1] > 0.9 * 150  # the case is there
    assert (too_low <= 0.08 * 150).all(), too_low  # 2.5 % in the limit of many people


def test_a_threshold_that_is_added_changes_no_interval_at_the_others() -> None:
    faces = random_faces(2, people=60, each=1)
    usual = [60.0, 65.0, 98.0]
    added = [60.0, 65.0, 70.0, 98.0]
    at, more = counted(*faces, usual), counted(*faces, added)
    assert more.false[2] >= 30

    for rates in (true_match_rates, false_match_rates):
        found = rates(more, [threshold in usual for threshold in added])
        assert [found[0], found[1], found[3]] == rates(at)
    assert false_match_rates(more)[3] != false_match_rates(at)[2]


def test_no_error_is_no_certainty_and_depends_on_what_was_seen_at_other_thresholds() -> None:
    matrix, persons = random_faces(2, people=40, each=2)
    some, none = false_match_rates(counted(matrix, persons, [65.0, 98.0]))
    assert some.count > 0
    assert none.count == 0
    assert none.low == 0
    # As dependent as where there are errors: fewer observations than pairs.
    assert none.high > 1.5 * wilson(0, none.of)[1]

    one, few, many = rates_by_person(
        np.array([[1, *[0] * 9], [3, 3, *[0] * 8], [30, 30, *[0] * 8]]), np.full(10, 45)
    )
    # Six errors are believed no more than sixty are, and one, which looks independent, neither.
    assert one.observations == pytest.approx(many.observations)
    assert few.observations <= many.observations < 450

    (alone,) = false_match_rates(counted(matrix, persons, [98.0]))
    # Nothing is known of how pairs depend: only disjoint pairs of people count.
    assert alone.high == pytest.approx(wilson(0, 20)[1])


def test_misses_of_one_person_count_as_one_observation_when_they_go_together() -> None:
    # Ten people with 45 pairs each; of one of them all are missed.
    of = np.full(10, 45)
    errors = np.zeros((1, 10), np.int64)
    errors[0, 0] = 45

    (rate,) = rates_by_person(errors, of)

    # As 1 of 10, however many pairs: the variance of residuals by person, with n - 1.
    expected = wilson(0.1, 0.1 * 0.9 / ((0.9**2 + 9 * 0.1**2) / 100 * 10 / 9))
    assert (rate.low, rate.high) == pytest.approx(expected)
    assert rate.high > 0.4


def test_one_person_alone_shows_nothing() -> None:
    (rate,) = rates_by_person(np.array([[5]]), np.array([10]))
    assert (rate.low, rate.high) == (0, 1)


def test_without_pairs_there_is_no_rate() -> None:
    found = counted(np.zeros((1, 1)), np.zeros(1, np.int64), [50.0])
    (true,), (false,) = true_match_rates(found), false_match_rates(found)
    assert true.value is None
    assert false.value is None


def test_a_true_match_rate_is_what_was_not_missed() -> None:
    matrix = np.array([[0, 90, 40], [90, 0, 95], [40, 95, 0]])
    (rate,) = true_match_rates(counted(matrix, np.zeros(3, np.int64), [80.0]))
    assert (rate.count, rate.of) == (2, 3)
    assert rate.low <= 2 / 3 <= rate.high


def test_intervals_that_do_not_overlap_are_apart() -> None:
    low, high = Rate(1, 100, 0.01, 0.05, 100), Rate(9, 100, 0.06, 0.15, 100)
    assert low.apart(high)
    assert high.apart(low)
    assert not low.apart(Rate(4, 100, 0.05, 0.1, 100))
    assert apart_at([80, 90], [low, low], [high, low]) == [80]


@pytest.mark.parametrize(
    ("wanted", "pairs", "worth", "enough", "words"),
    [
        (1e-4, 1_000_000, 1_000_000, True, ""),
        (1e-4, 1_000_000, 100_000, True, "rough: about 100 .* worth 10 independent"),
        (1e-5, 1_000_000, 100_000, False, "too small a sample: 1,000,000 .* below 3.0e-05"),
        (1e-5, 10, 0, False, "too small a sample: 10 .* below 1$"),
        (1e-5, 0, 0, False, "no pairs"),
    ],
)
def test_a_sample_that_is_too_small_for_a_rate_is_said_to_be(
    wanted: float, pairs: int, worth: float, enough: bool, words: str
) -> None:
    told = telling(wanted, Rate(0, pairs, 0, 1, worth))
    assert told.enough is enough
    assert re.match(words, told.words)
    assert bool(words) == bool(told.words)


def test_the_number_of_pairs() -> None:
    assert [pairs_among(n) for n in (1, 2, 3, 1000)] == [0, 1, 3, 499_500]
