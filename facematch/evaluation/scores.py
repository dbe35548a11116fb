"""Every pair of faces, counted block by block: memory stays small, however many there are.

13,000 photographs make 87 million pairs. None of them is kept: for each threshold only counts are,
in total, by person and by pair of names, and the few hardest pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from facematch.local.rekognition.faces import Floats

Numbers: TypeAlias = NDArray[np.int64]
#: Rows of a product of matrices: with 13,000 faces, 7 MB.
_ROWS: Final = 128
_BINS: Final = 200_000
#: Pairs of names that are kept at each end.
_KEPT: Final = 100


class Comparison(Protocol):
    """How alike faces are: a score, and the similarity (%) that it stands for, which grows with it.

    Attributes
    ----------
    limits
        Between which all scores lie.
    """

    limits: tuple[float, float]

    def __len__(self) -> int:
        """How many faces there are."""

    def between(self, rows: Numbers, columns: Numbers) -> Floats:
        """The scores of these faces with those."""

    def similarity(self, score: float) -> float:
        """The similarity, %."""


class Cosines:
    """By the cosine of two vectors of length 1."""

    limits = (-1.01, 1.01)

    def __init__(self, vectors: Floats, similarity: Callable[[float], float]) -> None:
        self._vectors = vectors
        self._similarity = similarity

    def __len__(self) -> int:
        """How many faces there are."""
        return len(self._vectors)

    def between(self, rows: Numbers, columns: Numbers) -> Floats:
        """Their cosines."""
        cosines: Floats = self._vectors[rows] @ self._vectors[columns].T
        return cosines

    def similarity(self, score: float) -> float:
        """The similarity of two faces with this cosine."""
        return self._similarity(score)


class Similarities:
    """By similarities that a service gave, %; a pair that it did not return has 0."""

    limits = (0.0, 100.001)

    def __init__(self, matrix: Floats) -> None:
        self._matrix = matrix

    def __len__(self) -> int:
        """How many faces there are."""
        return len(self._matrix)

    def between(self, rows: Numbers, columns: Numbers) -> Floats:
        """Their similarities."""
        found: Floats = self._matrix[np.ix_(rows, columns)]
        return found

    def similarity(self, score: float) -> float:
        """It is the score."""
        return score


def score_of(
    similarity: float, scale: Callable[[float], float], limits: tuple[float, float]
) -> float:
    """The lowest score between the limits that has at least this similarity, or infinity."""
    low, high = limits
    if scale(high) < similarity:
        return math.inf
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if scale(middle) >= similarity else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Labels:
    """Of each face: the numbers of its person, its name and its photograph."""

    persons: Numbers
    names: Numbers
    photographs: Numbers

    def of(self, faces: Numbers) -> Labels:
        """Of some of the faces."""
        return Labels(self.persons[faces], self.names[faces], self.photographs[faces])


@dataclass(frozen=True, slots=True)
class HardPair:
    """The pair of faces that stands for a pair of names; numbers of the faces."""

    face_a: int
    face_b: int
    score: float


@dataclass(slots=True)
class Histograms:
    """How many pairs have which score; bin i begins at the score `edges[i]`."""

    edges: NDArray[np.floating[Any]]
    same: Numbers
    different: Numbers

    def score_at(self, false_match_rate: float) -> float:
        """The lowest score from which on no more different people are taken for one."""
        reached = self.different[::-1].cumsum()[::-1]
        allowed = np.flatnonzero(reached <= false_match_rate * self.different.sum())
        return float(self.edges[allowed[0]]) if len(allowed) else math.inf


@dataclass(slots=True)
class Tally:
    """Counts over all pairs, at each threshold.

    A *false match* is a pair of faces of different people at or above the threshold; a *miss* one
    of the same person below it. Two faces of one photograph are no pair. Arrays have a row or an
    entry for each threshold, in the order in which they were given.

    Attributes
    ----------
    faces_of
        How many faces each person has.
    same_of
        How many pairs of faces each person has.
    missed
        Misses by threshold and person.
    false_of
        False matches by threshold and person: each counts for both.
    false_squares, false_products
        Sums over the pairs of people: of the squared number of false matches; of that number
        times the number of pairs of faces.
    aliased
        Pairs of faces of one person under two names; `aliased_found` those at the threshold.
    wrong_names
        Pairs of names of different people with a false match.
    one_person_names
        Pairs of names of one person; `one_person_found` those with a match.
    hardest_different, hardest_same
        The most and the least similar pair of faces of a pair of names, hardest first.
    one_person_best
        The most similar pair of faces of each pair of names of one person, the least similar first.
    """

    thresholds: NDArray[np.float64]
    faces_of: Numbers
    same_of: Numbers
    missed: Numbers
    false_of: Numbers
    false: Numbers
    false_squares: NDArray[np.float64]
    false_products: NDArray[np.float64]
    aliased: int
    aliased_found: Numbers
    different_names: int
    wrong_names: Numbers
    one_person_names: int
    one_person_found: Numbers
    hardest_different: list[HardPair] = field(default_factory=list)
    hardest_same: list[HardPair] = field(default_factory=list)
    one_person_best: list[HardPair] = field(default_factory=list)

    @property
    def same(self) -> int:
        """Pairs of faces of the same person."""
        return int(self.same_of.sum())

    @property
    def different(self) -> int:
        """Pairs of faces of different people."""
        total = int(self.faces_of.sum())
        return (total**2 - int((self.faces_of**2).sum())) // 2


@dataclass(frozen=True, slots=True)
class _Block:
    """Some faces against those behind them, all in an order in which a person's are together.

    Attributes
    ----------
    rows, columns
        Places in the order.
    same, different
        Which of the pairs count, and as what; each pair of the sample in one block and once.
    """

    rows: Numbers
    columns: Numbers
    scores: Floats
    same: NDArray[np.bool_]
    different: NDArray[np.bool_]


class Pairs:
    """All pairs of the faces, in an order in which each person's, and each name's, are together.

    A block of `_ROWS` faces may cut a person in two; `persons_at_once` does not.
    """

    def __init__(
        self, comparison: Comparison, labels: Labels, faces: Numbers | None = None
    ) -> None:
        chosen = np.arange(len(comparison)) if faces is None else faces
        of = labels.of(chosen)
        order = np.lexsort((of.photographs, of.names, of.persons))
        self.faces = chosen[order]
        self._comparison = comparison
        # Numbered in that order, so that of two names the one of the earlier person is lower.
        self.persons = _numbered(of.persons[order])
        self.names = _numbered(of.names[order])
        self.photographs = of.photographs[order]
        self.faces_of = np.bincount(self.persons)
        #: Of each face: where the faces of its person end.
        self._ends = self.faces_of.cumsum()[self.persons]

    def persons_at_once(self) -> Iterator[Iterator[_Block]]:
        """Blocks, grouped such that each person's rows are in one group."""
        start = 0
        while start < len(self.faces):
            end = int(self._ends[min(start + _ROWS, len(self.faces)) - 1])
            yield self._blocks(start, end)
            start = end

    def _blocks(self, start: int, end: int) -> Iterator[_Block]:
        columns = np.arange(start, len(self.faces))
        for first in range(start, end, _ROWS):
            rows = np.arange(first, min(first + _ROWS, end))
            different = columns >= self._ends[rows][:, None]
            same = ~different & (columns > rows[:, None])
            same &= self.photographs[columns] != self.photographs[rows][:, None]
            scores = self._comparison.between(self.faces[rows], self.faces[columns])
            yield _Block(rows, columns, scores, same, different)


def histograms(pairs: Pairs, limits: tuple[float, float]) -> Histograms:
    """Count all pairs by their score, finely."""
    low, high = limits
    counts = np.zeros((2, _BINS), np.int64)
    for blocks in pairs.persons_at_once():
        for block in blocks:
            for kind, mask in enumerate((block.same, block.different)):
                bins = ((block.scores[mask] - low) * (_BINS / (high - low))).astype(np.int64)
                counts[kind] += np.bincount(bins, minlength=_BINS)
    edges = low + np.arange(_BINS) * ((high - low) / _BINS)
    return Histograms(edges, same=counts[0], different=counts[1])


def tally(pairs: Pairs, thresholds: Sequence[float]) -> Tally:
    """Count all pairs at each threshold.

    Parameters
    ----------
    thresholds
        Scores, the lowest first. Pairs of different people below that are not looked at.
    """
    counter = _Counter(pairs, np.array(thresholds, np.float64))
    for blocks in pairs.persons_at_once():
        counter.count(blocks)
    return counter.result()


@dataclass(slots=True)
class _Found:
    """Some pairs of faces: places in the order, and scores."""

    rows: Numbers
    columns: Numbers
    scores: Floats

    def only(self, which: Any) -> _Found:  # noqa: ANN401 - whatever numpy indexes with
        return _Found(self.rows[which], self.columns[which], self.scores[which])


class _Counter:
    def __init__(self, pairs: Pairs, thresholds: NDArray[np.float64]) -> None:
        self._pairs, self._thresholds = pairs, thresholds
        people, count = len(pairs.faces_of), len(thresholds)
        self._names = int(pairs.names.max(initial=-1)) + 1
        #: Pairs of one person by person and by the number of thresholds that they reach.
        self._same = np.zeros((people, count + 1), np.int64)
        self._aliased = np.zeros(count + 1, np.int64)
        self._one_person = np.zeros(count + 1, np.int64)
        self._false_of = np.zeros((count, people), np.int64)
        self._false = np.zeros(count, np.int64)
        self._squares, self._products = np.zeros(count), np.zeros(count)
        self._wrong_names = np.zeros(count, np.int64)
        self._hardest: list[list[HardPair]] = [[], [], []]

    def count(self, blocks: Iterator[_Block]) -> None:
        """Count the rows of some people, all of each."""
        same, different = [], []
        for block in blocks:
            same.append(_picked(block, block.same))
            different.append(
                _picked(block, block.different & (block.scores >= self._thresholds[0]))
            )
        self._count_same(_joined(same))
        self._count_different(_joined(different))

    def _count_same(self, found: _Found) -> None:
        reached = np.searchsorted(self._thresholds, found.scores, side="right")
        np.add.at(self._same, (self._pairs.persons[found.rows], reached), 1)
        of_names = self._by_names(found, best=False)
        self._keep(1, of_names, hardest=of_names.scores)
        aliased = self._pairs.names[found.rows] != self._pairs.names[found.columns]
        self._aliased += np.bincount(reached[aliased], minlength=len(self._aliased))
        best = self._by_names(found.only(aliased), best=True)
        reached = np.searchsorted(self._thresholds, best.scores, side="right")
        self._one_person += np.bincount(reached, minlength=len(self._one_person))
        self._keep(2, best, hardest=best.scores)

    def _count_different(self, found: _Found) -> None:
        of_names = self._by_names(found, best=True)
        self._keep(0, of_names, hardest=-of_names.scores)
        people = self._pairs.faces_of
        for number, threshold in enumerate(self._thresholds):
            found = found.only(found.scores >= threshold)
            of_names = of_names.only(of_names.scores >= threshold)
            one, other = self._pairs.persons[found.rows], self._pairs.persons[found.columns]
            pairs, counts = np.unique(one * len(people) + other, return_counts=True)
            products = people[pairs // len(people)] * people[pairs % len(people)]
            self._false[number] += len(one)
            self._squares[number] += float((counts.astype(float) ** 2).sum())
            self._products[number] += float((counts.astype(float) * products).sum())
            for side in (one, other):
                self._false_of[number] += np.bincount(side, minlength=len(people))
            self._wrong_names[number] += len(of_names.scores)

    def _by_names(self, found: _Found, *, best: bool) -> _Found:
        """One pair of faces for each pair of names: the most similar one, or the least."""
        names = self._pairs.names[found.rows] * self._names + self._pairs.names[found.columns]
        order = np.lexsort((-found.scores if best else found.scores, names))
        _, first = np.unique(names[order], return_index=True)
        return found.only(order[first])

    def _keep(self, kind: int, found: _Found, *, hardest: Floats) -> None:
        found = found.only(np.argsort(hardest, kind="stable")[:_KEPT])
        faces = self._pairs.faces
        kept = self._hardest[kind] + [
            HardPair(int(faces[row]), int(faces[column]), float(score))
            for row, column, score in zip(found.rows, found.columns, found.scores, strict=True)
        ]
        sign = -1 if kind == 0 else 1
        self._hardest[kind] = sorted(kept, key=lambda pair: sign * pair.score)[:_KEPT]

    def result(self) -> Tally:
        _, first = np.unique(self._pairs.names, return_index=True)
        names_of = np.bincount(self._pairs.persons[first])
        names, one_person = int(names_of.sum()), int((names_of * (names_of - 1)).sum()) // 2
        below = self._same.cumsum(axis=1)[:, :-1].T
        return Tally(
            thresholds=self._thresholds,
            faces_of=self._pairs.faces_of,
            same_of=self._same.sum(axis=1),
            missed=below,
            false_of=self._false_of,
            false=self._false,
            false_squares=self._squares,
            false_products=self._products,
            aliased=int(self._aliased.sum()),
            aliased_found=_from_above(self._aliased),
            different_names=names * (names - 1) // 2 - one_person,
            wrong_names=self._wrong_names,
            one_person_names=one_person,
            one_person_found=_from_above(self._one_person),
            hardest_different=self._hardest[0],
            hardest_same=self._hardest[1],
            one_person_best=self._hardest[2],
        )


def _numbered(sorted_values: Numbers) -> Numbers:
    """0, 1, 2 … for each change of a value."""
    return np.concatenate([[0], np.cumsum(np.diff(sorted_values) != 0)])[: len(sorted_values)]


def _picked(block: _Block, mask: NDArray[np.bool_]) -> _Found:
    rows, columns = np.nonzero(mask)
    return _Found(block.rows[rows], block.columns[columns], block.scores[rows, columns])


def _joined(found: list[_Found]) -> _Found:
    return _Found(
        np.concatenate([part.rows for part in found]),
        np.concatenate([part.columns for part in found]),
        np.concatenate([part.scores for part in found]),
    )


def _from_above(reached: Numbers) -> Numbers:
    """How many reach each threshold, from how many reach exactly so many thresholds."""
    return reached[::-1].cumsum()[::-1][1:]
