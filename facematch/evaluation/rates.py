"""Error rates with confidence intervals that respect that pairs share people.

A sample of 150 people has 50,000 pairs, but it is not 50,000 independent observations: a person
who looks like one other person may look like several. Intervals that forget it are too short.

Sources
-------
- R. Fogliato, P. Patil, P. Perona, "Confidence Intervals for Error Rates in 1:1 Matching Tasks:
  Critical Statistical Analysis and Recommendations", International Journal of Computer Vision,
  2024 (arXiv:2306.01198): Wilson's interval, with the number of observations replaced by the
  effective one that the variance between people implies. What they recommend, and what is here.
- ISO/IEC 19795-1, "Biometric performance testing and reporting", and G. R. Doddington et al., "The
  NIST speaker recognition evaluation", Speech Communication 31, 2000: the rules of 3 and of 30.

Where there is no error, or are few, no variance between people can be estimated: one error alone
looks independent. The authors' code then takes every pair for independent. Here the dependence is
at least that of the nearest threshold with enough errors; without one, only as many observations
are counted as certainly are independent. Both make the interval longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from facematch.evaluation.scores import Numbers, Tally

#: Of the intervals.
CONFIDENCE: Final = 0.95
_Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
#: With no error in n independent trials, a rate below 3/n is shown (95 %).
RULE_OF_3: Final = 3
#: With 30 errors the true rate is within 30 % of the measured one (90 %). From so many on, the
#: variance between people is believed.
RULE_OF_30: Final = 30


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many, and the interval for the rate behind it.

    Attributes
    ----------
    observations
        How many independent ones they are worth: what the interval is made of.
    """

    count: int
    of: int
    low: float
    high: float
    observations: float

    @property
    def value(self) -> float | None:
        """The measured rate; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def complement(self) -> Rate:
        """The rate of the others."""
        return Rate(self.of - self.count, self.of, 1 - self.high, 1 - self.low, self.observations)

    def apart(self, other: Rate) -> bool:
        """Whether the intervals do not overlap."""
        return self.high < other.low or other.high < self.low

    def to_document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "rate": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "count": self.count,
            "of": self.of,
        }


#: What nothing tells.
NOTHING: Final = Rate(0, 0, 0.0, 1.0, 0.0)


def wilson(rate: float, observations: float) -> tuple[float, float]:
    """Wilson's interval for a rate seen in so many independent observations.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal
    of the American Statistical Association 22, 1927.
    """
    if observations <= 0:
        return 0.0, 1.0
    weight = _Z**2 / observations
    middle = (rate + weight / 2) / (1 + weight)
    half = math.sqrt((rate * (1 - rate) + weight / 4) * weight) / (1 + weight)
    return (
        max(0.0, middle - half) if rate > 0 else 0.0,
        min(1.0, middle + half) if rate < 1 else 1.0,
    )


def true_match_rates(tally: Tally, usual: Sequence[bool] | None = None) -> list[Rate]:
    """The share of the pairs of one person that are found, at each threshold.

    Parameters
    ----------
    usual
        Of each threshold, whether its variance between people may stand for that of others; so
        that thresholds which are added change nothing at the rest. By default all.
    """
    return [rate.complement for rate in rates_by_person(tally.missed, tally.same_of, usual)]


def rates_by_person(
    errors: Numbers, of: Numbers, usual: Sequence[bool] | None = None
) -> list[Rate]:
    """Rates of events that each belong to one person, at each threshold.

    Parameters
    ----------
    errors
        By threshold and person.
    of
        How many there could be, by person.
    usual
        See `true_match_rates`.
    """
    total, people = int(of.sum()), int((of > 0).sum())
    counts = errors.sum(axis=1)
    if not total:
        return [NOTHING for _ in counts]
    residuals = errors - (counts / total)[:, None] * of
    variances = _of_few((residuals**2).sum(axis=1) / total**2, people)
    return _with_intervals(counts, total, variances, independent=people, usual=usual)


def false_match_rates(tally: Tally, usual: Sequence[bool] | None = None) -> list[Rate]:
    """The share of the pairs of different people that are taken for one, at each threshold.

    Parameters
    ----------
    usual
        See `true_match_rates`.
    """
    people = tally.faces_of.astype(np.float64)
    faces, total, count = people.sum(), tally.different, len(people)
    if not total:
        return [NOTHING for _ in tally.false]
    rates = tally.false / total
    # Of the residuals e = errors - rate * pairs of each pair of people: the sum of squares, and
    # the sum of all products of two that share a person.
    all_squares = ((people**2).sum() ** 2 - (people**4).sum()) / 2
    squares = tally.false_squares - 2 * rates * tally.false_products + rates**2 * all_squares
    of_person = tally.false_of - rates[:, None] * (people * (faces - people))
    shared = np.maximum((of_person**2).sum(axis=1) - 2 * squares, 0)
    variances = _of_few((squares + shared) / total**2, count * (count - 1) // 2)
    return _with_intervals(tally.false, total, variances, independent=count // 2, usual=usual)


def _of_few(variances: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """Made up for residuals being measured from their own mean; one group has no variance."""
    return variances * groups / (groups - 1) if groups > 1 else np.full_like(variances, math.inf)


def _with_intervals(
    counts: Numbers,
    total: int,
    variances: NDArray[np.float64],
    *,
    independent: int,
    usual: Sequence[bool] | None,
) -> list[Rate]:
    """Parameters: see `Rate`; `independent` observations there are for certain."""
    # By how much the variance is larger than that of independent observations; never smaller.
    larger = [
        max(1.0, float(variances[number]) * total / _binomial(count, total))
        if 0 < count < total
        else 1.0
        for number, count in enumerate(counts.tolist())
    ]
    believed = [
        number
        for number, count in enumerate(counts)
        if RULE_OF_30 <= count <= total - RULE_OF_30 and (usual is None or usual[number])
    ]
    rates = []
    for number, count in enumerate(counts.tolist()):
        nearest = min(believed, key=lambda other: abs(other - number), default=None)
        if nearest is None:
            worth = min(float(independent), total / larger[number])
        else:
            worth = total / max(larger[number], larger[nearest])
        rates.append(Rate(count, total, *wilson(count / total, worth), worth))
    return rates


def _binomial(count: int, total: int) -> float:
    return count / total * (1 - count / total)


@dataclass(frozen=True, slots=True)
class Telling:
    """Whether a sample can tell whether a false match rate is reached; `words` for people."""

    enough: bool
    words: str


def telling(wanted: float, found: Rate) -> Telling:
    """Whether a sample of pairs of different people suffices for a wanted false match rate.

    Both rules are about independent trials, so by what the pairs are worth.
    """
    if not found.of:
        return Telling(enough=False, words="no pairs of different people")
    expected = wanted * found.observations
    if expected < RULE_OF_3:
        least = f"{RULE_OF_3 / found.observations:.1e}" if found.observations else "1"
        return Telling(
            enough=False,
            words=f"too small a sample: {found.of:,} pairs of different people, worth "
            f"{found.observations:,.0f} independent ones, cannot show a rate below {least}",
        )
    if expected < RULE_OF_30:
        return Telling(
            enough=True,
            words=f"rough: about {wanted * found.of:.0f} false matches decide, worth "
            f"{expected:.0f} independent ones; {RULE_OF_30} are needed to be within 30 %",
        )
    return Telling(enough=True, words="")


def pairs_among(faces: int) -> int:
    """How many pairs so many faces make."""
    return faces * (faces - 1) // 2


def apart_at(thresholds: Sequence[float], one: list[Rate], other: list[Rate]) -> list[float]:
    """The thresholds at which the intervals do not overlap."""
    return [t for t, a, b in zip(thresholds, one, other, strict=True) if a.apart(b)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
