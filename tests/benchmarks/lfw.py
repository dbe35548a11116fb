"""The protocol of Labeled Faces in the Wild: ten folds of pairs, and the accuracy over them.

A *fold* has as many pairs of one person as of two, and no person is in two folds. For each fold the
threshold is chosen that does best on the nine others, and applied to it; the result is the mean of
the ten accuracies and its standard error.

Sources
-------
- G. B. Huang, M. Ramesh, T. Berg, E. Learned-Miller, "Labeled Faces in the Wild: A Database for
  Studying Face Recognition in Unconstrained Environments", University of Massachusetts, Amherst,
  Technical Report 07-49, 2007 (View 2), and its README.txt (the format of pairs.txt).
"""

from __future__ import annotations

import itertools
import math
import random
import re
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facematch.evaluation.labels import LabelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from facematch.evaluation.faces import Faces
    from facematch.evaluation.labels import Persons, Photograph

_FOLDS: Final = 10
_NUMBER: Final = re.compile(r"(\d+)\Z")
_WITHIN, _ACROSS = 3, 4
_BREAKS: Final = re.compile(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Pair:
    """Numbers of two photographs; whether they are of one person; the line in the file."""

    photograph_a: int
    photograph_b: int
    same: bool


@dataclass(frozen=True, slots=True)
class Protocol:
    """What came of it.

    Attributes
    ----------
    accuracies, thresholds
        Of each fold; thresholds are similarities, %.
    without_face
        Pairs with a photograph without a usable face: each counts as an error.
    """

    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]
    pairs: int
    without_face: int

    @property
    def accuracy(self) -> float:
        """Their mean."""
        return statistics.fmean(self.accuracies)

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return statistics.stdev(self.accuracies) / math.sqrt(len(self.accuracies))

    def to_document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "accuracy": round(self.accuracy, 6),
            "standard_error": round(self.standard_error, 6),
            "folds": [
                {"accuracy": round(accuracy, 6), "threshold": round(threshold, 4)}
                for accuracy, threshold in zip(self.accuracies, self.thresholds, strict=True)
            ],
            "pairs": self.pairs,
            "pairs_without_face": self.without_face,
        }


def numbered(photographs: Sequence[Photograph]) -> dict[str, dict[int, int]]:
    """The photographs' places in the sequence, by name and by number, as pairs.txt names them.

    The number is the one that the file's name ends in (``Ann_Lee_0003.jpg``: 3). Where that does
    not tell all photographs of a name apart, they are numbered from 1 in the order of their keys.
    """
    of_name: defaultdict[str, list[int]] = defaultdict(list)
    for place, photograph in enumerate(photographs):
        of_name[photograph.name].append(place)
    result = {}
    for name, places in of_name.items():
        found = [_NUMBER.search(PurePosixPath(photographs[place].key).stem) for place in places]
        numbers = {int(match[1]) for match in found if match}
        usual = len(numbers) == len(places) and all(found)
        result[name] = {
            int(match[1]) if usual and match else count: place
            for count, (place, match) in enumerate(zip(places, found, strict=True), start=1)
        }
    return result


def read_pairs(path: Path, photographs: Sequence[Photograph]) -> list[list[Pair]]:
    """The folds of a file in the format of LFW's pairs.txt (View 2).

    Raises
    ------
    LabelError
        Naming the line, when the file is of another format or a photograph is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().split("\n")
    except UnicodeDecodeError:
        raise LabelError(
            f"{path} is not text in UTF-8. Name a file like LFW's pairs.txt."
        ) from None
    header = lines[0].split()
    if len(header) != 2 or not all(word.isascii() and word.isdigit() for word in header):
        raise LabelError(
            f"{path}, line 1: the number of folds and of pairs in half a fold are needed, as "
            f"'10 300', and it is {lines[0][:40]!r}. Name a file like pairs.txt of LFW's View 2 "
            "(pairsDevTrain.txt and pairsDevTest.txt have no folds), or write one with "
            "--write-pairs."
        )
    folds, half = map(int, header)
    if folds < 2 or half < 1:
        raise LabelError(
            f"{path}, line 1: {folds} folds of 2 x {half} pairs. Write at least 2 folds of 2 x 1."
        )
    if len(lines) - 1 != folds * 2 * half:
        raise LabelError(
            f"{path} has {len(lines) - 1:,} lines of pairs, and its first line promises "
            f"{folds} x 2 x {half} = {folds * 2 * half:,}. Copy the whole file again."
        )
    places = numbered(photographs)
    pairs = [
        _read(line, place, same=(place - 2) % (2 * half) < half, path=path, places=places)
        for place, line in enumerate(lines[1:], start=2)
    ]
    return [pairs[start : start + 2 * half] for start in range(0, len(pairs), 2 * half)]


def _read(
    line: str, place: int, *, same: bool, path: Path, places: dict[str, dict[int, int]]
) -> Pair:
    words = line.strip("\r").split("\t") if "\t" in line else line.split()
    expected = _WITHIN if same else _ACROSS
    numbers = words[1:3] if same else words[1::2]
    if len(words) != expected or not all(n.isascii() and n.isdigit() for n in numbers):
        form = "'Name 1 2'" if same else "'Name 1 Other_Name 2'"
        raise LabelError(
            f"{path}, line {place}: {line[:60]!r} is not of the form {form}, which stands in the "
            f"{'first' if same else 'second'} half of a fold. Copy the whole file again."
        )
    names = (words[0], words[0] if same else words[2])
    found = []
    for name, number in zip(names, numbers, strict=True):
        photograph = places.get(name, {}).get(int(number))
        if photograph is None:
            raise LabelError(
                f"{path}, line {place}: photograph {number} of {name!r} is not in the folder. Name "
                "the folder that the file was made for, or write one for this with --write-pairs."
            )
        found.append(photograph)
    return Pair(found[0], found[1], same)


def write_pairs(
    photographs: Sequence[Photograph], persons: Persons, *, seed: int, folds: int = _FOLDS
) -> str:
    """A file in the format of LFW's pairs.txt, as large as the photographs allow.

    People are dealt to the folds at random, those with several photographs evenly; then each fold
    gets as many pairs as the poorest has. The same seed and photographs give the same file.

    Raises
    ------
    LabelError
        When there are too few photographs, or a name that a line cannot hold.
    """
    chance = random.Random(seed)
    numbers = numbered(photographs)
    for name in sorted(numbers):
        if _BREAKS.search(name):
            raise LabelError(
                f"The name {name!r} has a tab or a line break, which pairs.txt cannot hold. Rename "
                "its photographs, or choose another --names-from."
            )
    people: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(numbers):
        people[persons.person(name)].append(name)
    shuffled = sorted(people)
    chance.shuffle(shuffled)
    shuffled.sort(key=lambda person: max(len(numbers[name]) for name in people[person]) < 2)
    dealt = [shuffled[fold::folds] for fold in range(folds)]
    same: list[list[str]] = []
    different: list[list[str]] = []
    for members in dealt:
        same.append(
            [
                f"{name}\t{a}\t{b}"
                for person in members
                for name in people[person]
                for a, b in itertools.combinations(sorted(numbers[name]), 2)
            ]
        )
        # One pair of photographs for each pair of people: no two of them dominate a fold.
        different.append([])
        for one, other in itertools.combinations(members, 2):
            name_a, name_b = chance.choice(people[one]), chance.choice(people[other])
            a, b = (chance.choice(sorted(numbers[name])) for name in (name_a, name_b))
            different[-1].append(f"{name_a}\t{a}\t{name_b}\t{b}")
    half = min(len(fold) for fold in same + different)
    if not half:
        raise LabelError(
            f"{len(people):,} people with {len(photographs):,} photographs are too few for "
            f"{folds} folds: each needs two photographs of one name, and a second person. Name a "
            "folder with more."
        )
    lines = [f"{folds}\t{half}"]
    for fold in range(folds):
        lines += chance.sample(same[fold], half) + chance.sample(different[fold], half)
    return "\n".join(lines) + "\n"


def run_protocol(folds: Sequence[Sequence[Pair]], faces: Faces) -> Protocol:
    """Choose a threshold on all folds but one, judge that one, and so on.

    Several thresholds may do equally well: the middle one of them is taken. A pair with a
    photograph without a usable face cannot be judged right: it is an error.
    """
    face_of: dict[int, int] = {}
    for number, face in enumerate(faces.faces):
        face_of.setdefault(face.photograph, number)
    scores = [_scores(fold, face_of, faces) for fold in folds]
    same = [np.array([pair.same for pair in fold]) for fold in folds]
    accuracies, thresholds = [], []
    for held_out in range(len(folds)):
        others = [fold for fold in range(len(folds)) if fold != held_out]
        threshold = _best_threshold(
            np.concatenate([scores[fold] for fold in others]),
            np.concatenate([same[fold] for fold in others]),
        )
        accuracies.append(float(_right(scores[held_out], same[held_out], threshold).mean()))
        thresholds.append(faces.comparison.similarity(threshold))
    return Protocol(
        accuracies=tuple(accuracies),
        thresholds=tuple(thresholds),
        pairs=sum(len(fold) for fold in folds),
        without_face=int(sum(np.isnan(fold).sum() for fold in scores)),
    )


def _scores(fold: Sequence[Pair], face_of: dict[int, int], faces: Faces) -> NDArray[np.float64]:
    found = np.full(len(fold), np.nan)
    for place, pair in enumerate(fold):
        one, other = face_of.get(pair.photograph_a), face_of.get(pair.photograph_b)
        if one is not None and other is not None:
            found[place] = faces.comparison.between(np.array([one]), np.array([other]))[0, 0]
    return found


def _right(
    scores: NDArray[np.float64], same: NDArray[np.bool_], threshold: float
) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = ((scores >= threshold) == same) & ~np.isnan(scores)
    return right


def _best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    usable = ~np.isnan(scores)
    order = np.argsort(scores[usable], kind="stable")
    scores, same = scores[usable][order], same[usable][order]
    if not len(scores):
        return 0.0
    # With the threshold at score i, what is below is judged different, the rest the same.
    below = np.concatenate([[0], np.cumsum(~same)])[:-1]
    right = below + np.cumsum(same[::-1])[::-1]
    first = np.concatenate([[True], np.diff(scores) > 0])  # of equal scores only the first counts
    best = np.flatnonzero(first & (right == right[first].max()))
    return float(scores[best[(len(best) - 1) // 2]])
