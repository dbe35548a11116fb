"""From the faces of labelled photographs to the document that everything else shows."""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facematch.evaluation.labels import copies_among
from facematch.evaluation.rates import (
    CONFIDENCE,
    Rate,
    apart_at,
    false_match_rates,
    pairs_among,
    rates_by_person,
    telling,
    true_match_rates,
)
from facematch.evaluation.reference import Reference
from facematch.evaluation.scores import Cosines, Labels, Pairs, histograms, score_of, tally
from facematch.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from facematch.evaluation.faces import Faces
    from facematch.evaluation.labels import Copies, Labelled, Persons
    from facematch.evaluation.scores import HardPair, Tally

SCHEMA: Final = 1
#: Similarities, %, at which everything is counted. The lowest are there because they always have
#: errors, from which intervals take over how much pairs depend on each other.
THRESHOLDS: Final = (
    *(1.0, 10.0, 50.0, 80.0, 85.0, 90.0, 92.0, 94.0, 95.0, 96.0, 97.0, 98.0, 98.5, 99.0, 99.3),
    *(99.5, 99.7, 99.9, 99.95, 99.97, 99.99, 99.995, 99.999, 99.9999),
)
#: Those that the table shows.
SHOWN: Final = (80.0, 90.0, 95.0, 97.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 99.9999)
#: Those for which wrong pairs are foretold.
FORETOLD: Final = (99.0, 99.9, 99.99)
#: Cosines of a reference curve's points.
COSINES: Final = tuple(n / 100 for n in range(20, 101, 2))
#: People below which a group's rates are called uncertain.
SMALL_GROUP: Final = 30
_PEOPLE: Final = "people"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What to measure.

    Attributes
    ----------
    wanted
        False match rates for which the best threshold is looked for.
    faces
        Numbers of faces for which wrong pairs are foretold.
    groups
        The group by the name, or None.
    curve
        Measure the rates by cosine, too; of the local engine's faces only.
    """

    wanted: tuple[float, ...]
    faces: tuple[int, ...]
    groups: Mapping[str, str] | None = None
    curve: bool = False


def measured(
    labelled: Labelled,
    faces: Faces,
    persons: Persons,
    asked: Asked,
    *,
    conditions: dict[str, Any],
) -> dict[str, Any]:
    """The document. What names people stands below the key `people`, and nowhere else."""
    photographs = labelled.photographs
    names = sorted(labelled.names)
    number_of = {name: number for number, name in enumerate(names)}
    person_of = {name: persons.person(name) for name in names}
    person_numbers = {person: n for n, person in enumerate(sorted(set(person_of.values())))}
    people = {name: person_numbers[person_of[name]] for name in names}
    name_of = [photographs[face.photograph].name for face in faces.faces]
    labels = Labels(
        persons=np.array([people[name] for name in name_of], np.int64),
        names=np.array([number_of[name] for name in name_of], np.int64),
        photographs=np.array([face.photograph for face in faces.faces], np.int64),
    )
    copies = copies_among(photographs, persons)
    measuring = _Measuring(faces, labels, copies)
    enrolment = _Enrolment(labelled, faces, copies, people)
    scores = [measuring.score(threshold) for threshold in THRESHOLDS]
    counted = tally(measuring.pairs, scores)
    rows = _rows(counted)
    document = {
        "schema": SCHEMA,
        "conditions": {
            **conditions,
            "engine": faces.engine,
            "face_model_version": faces.face_model_version,
            "confidence": CONFIDENCE,
            "reference": "{0.data_set} ({0.caveat})".format(Reference.read()),
        },
        "photographs": {
            "found": len(photographs) + len(labelled.unnamed),
            "unnamed": len(labelled.unnamed),
            "enrolled": len(photographs) - len({*faces.refused, *copies.first}),
            "refused": dict(Counter(enrolment.refused.values()).most_common()),
            "failure_to_enrol": enrolment.failure().to_document(),
            "copies": len(copies.first),
            "shared": len(copies.shared),
        },
        "sample": {
            "faces": len(measuring.taking),
            "names": len(np.unique(labels.names[measuring.taking])),
            "people": len(counted.faces_of),
            "same_person_pairs": counted.same,
            "different_person_pairs": counted.different,
            "different_person_name_pairs": counted.different_names,
            "same_person_name_pairs": counted.one_person_names,
        },
        "thresholds": rows,
        "best_thresholds": measuring.best_thresholds(asked.wanted),
        "expected": _expected(rows, asked.faces, faces, measuring),
        "curve": measuring.curve() if asked.curve else None,
        "single_subject": _single_subject(measuring, faces),
        "groups": None,
        "warnings": [],
        _PEOPLE: {
            **_people(labelled, faces, counted),
            "copies": [
                {"key": photographs[number].key, "of": photographs[first].key}
                for number, first in sorted(copies.first.items())
            ],
            "shared": [[photographs[number].key for number in group] for group in copies.shared],
            "unknown_names": sorted(persons.names - labelled.names),
        },
    }
    if asked.groups is not None:
        by_person = {persons.person(name): group for name, group in asked.groups.items()}
        document["groups"], document["warnings"] = _groups(
            measuring,
            enrolment,
            name_of,
            {name: by_person[of] for name, of in person_of.items() if of in by_person},
        )
    return document


def published(document: Mapping[str, Any]) -> dict[str, Any]:
    """The figures and their conditions, without anybody's name."""
    return {key: value for key, value in document.items() if key != _PEOPLE}


def conditions(*, data_set: str, command: str, **more: object) -> dict[str, Any]:
    """Under which something is measured: when, on what, by which command."""
    return {
        "data_set": data_set,
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **more,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


class _Measuring:
    def __init__(self, faces: Faces, labels: Labels, copies: Copies) -> None:
        self.comparison, self.labels = faces.comparison, labels
        #: Faces of photographs that are no copies: the same photograph twice is no evidence.
        self.taking = np.array(
            [n for n, face in enumerate(faces.faces) if face.photograph not in copies.first],
            np.int64,
        )
        self.pairs = Pairs(faces.comparison, labels, self.taking)

    def score(self, similarity: float) -> float:
        return score_of(similarity, self.comparison.similarity, self.comparison.limits)

    def best_thresholds(self, wanted: Sequence[float]) -> list[dict[str, Any]]:
        """The lowest threshold at which the sample has no higher rate than wanted."""
        counted = histograms(self.pairs, self.comparison.limits)
        found = {
            rate: _rounded_up(self.comparison.similarity(counted.score_at(rate))) for rate in wanted
        }
        thresholds = sorted({*THRESHOLDS, *found.values()})
        at = tally(self.pairs, [self.score(threshold) for threshold in thresholds])
        usual = [threshold in THRESHOLDS for threshold in thresholds]
        true, false = true_match_rates(at, usual), false_match_rates(at, usual)
        rows = []
        for rate, threshold in found.items():
            number = thresholds.index(threshold)
            told = telling(rate, false[number])
            rows.append(
                {
                    "wanted": rate,
                    "threshold": threshold,
                    "false_match_rate": false[number].to_document(),
                    "true_match_rate": true[number].to_document(),
                    "enough": told.enough,
                    "remark": told.words,
                }
            )
        return rows

    def curve(self) -> list[dict[str, Any]]:
        """Return the rates at each of `COSINES`."""
        counted = tally(self.pairs, COSINES)
        return [
            {
                "cosine": cosine,
                "false_match_rate": false.to_document(),
                "true_match_rate": true.to_document(),
            }
            for cosine, false, true in zip(
                COSINES, false_match_rates(counted), true_match_rates(counted), strict=True
            )
        ]


def _rounded_up(similarity: float) -> float:
    return math.ceil(similarity * 10_000) / 10_000


def _rows(counted: Tally) -> list[dict[str, Any]]:
    true, false = true_match_rates(counted), false_match_rates(counted)
    named = counted.different + counted.aliased
    rows = []
    for number, threshold in enumerate(THRESHOLDS):
        as_named = int(counted.false[number] + counted.aliased_found[number])
        rows.append(
            {
                "threshold": threshold,
                "true_match_rate": true[number].to_document(),
                "false_match_rate": false[number].to_document(),
                "false_as_named": {
                    "count": as_named,
                    "of": named,
                    "rate": as_named / named if named else None,
                },
                "wrong_name_pairs": int(counted.wrong_names[number]),
                "missed_name_pairs": counted.one_person_names
                - int(counted.one_person_found[number]),
            }
        )
    return rows


def _single_subject(measuring: _Measuring, faces: Faces) -> dict[str, Any] | None:
    """Return the rates without the photographs that show several people; None without any."""
    certain = [n for n in measuring.taking if faces.faces[n].photograph not in faces.several]
    if len(certain) == len(measuring.taking):
        return None
    counted = tally(
        Pairs(measuring.comparison, measuring.labels, np.array(certain, np.int64)),
        [measuring.score(threshold) for threshold in THRESHOLDS],
    )
    true, false = true_match_rates(counted), false_match_rates(counted)
    return {
        "photographs_of_several": len(faces.several),
        "faces": len(certain),
        "same_person_pairs": counted.same,
        "different_person_pairs": counted.different,
        "thresholds": [
            {**row, "wrong_name_pairs": int(wrong)}
            for row, wrong in zip(_by_threshold(true, false), counted.wrong_names, strict=True)
        ],
    }


def _by_threshold(true: Sequence[Rate], false: Sequence[Rate]) -> list[dict[str, Any]]:
    """Return the rates at each of `THRESHOLDS`, as a document has them."""
    return [
        {
            "threshold": threshold,
            "true_match_rate": true[number].to_document(),
            "false_match_rate": false[number].to_document(),
        }
        for number, threshold in enumerate(THRESHOLDS)
    ]


class _Enrolment:
    """Photographs that have a usable face, and those that have none; without copies."""

    def __init__(
        self, labelled: Labelled, faces: Faces, copies: Copies, people: Mapping[str, int]
    ) -> None:
        self.refused = {n: why for n, why in faces.refused.items() if n not in copies.first}
        self._people = people
        self._names = {
            number: photograph.name
            for number, photograph in enumerate(labelled.photographs)
            if number not in copies.first
        }

    def failure(self, among: Collection[str] | None = None) -> Rate:
        """The share of the photographs without a usable face, of all names or of these."""
        of = np.zeros(len(self._people), np.int64)
        refused = np.zeros((1, len(self._people)), np.int64)
        for number, name in self._names.items():
            if among is None or name in among:
                of[self._people[name]] += 1
                refused[0, self._people[name]] += number in self.refused
        return rates_by_person(refused, of)[0]


def _expected(
    rows: Sequence[Mapping[str, Any]], faces: Sequence[int], found: Faces, measuring: _Measuring
) -> list[dict[str, Any]]:
    """How many wrong pairs of names so many faces make, if each has a name of its own."""
    reference = Reference.read()
    # The endpoint of the local cloud says the same model, but gives no cosines.
    comparable = (
        isinstance(found.comparison, Cosines)
        and found.face_model_version == reference.face_model_version
    )
    by_threshold = {row["threshold"]: row["false_match_rate"] for row in rows}
    expected = []
    for count in faces:
        pairs = pairs_among(count)
        for threshold in FORETOLD:
            rate = by_threshold[threshold]
            entry = {
                "faces": count,
                "threshold": threshold,
                "pairs": pairs,
                "measured": pairs * rate["rate"] if rate["count"] else None,
                "low": pairs * rate["low"],
                "high": pairs * rate["high"],
                "reference": None,
            }
            if comparable:
                known, bound = reference.rate(measuring.score(threshold))
                entry["reference"] = {"wrong": pairs * known, "at_most": bound}
            expected.append(entry)
    return expected


def _groups(
    measuring: _Measuring,
    enrolment: _Enrolment,
    name_of: Sequence[str],
    group_of: Mapping[str, str],
) -> tuple[dict[str, Any], list[str]]:
    taking = np.zeros(len(name_of), np.bool_)
    taking[measuring.taking] = True
    failures: dict[str, Rate] = {}
    scores = [measuring.score(threshold) for threshold in THRESHOLDS]
    rates: dict[str, tuple[list[Rate], list[Rate]]] = {}
    entries, warnings = [], []
    for group in sorted(set(group_of.values())):
        chosen = taking & np.array([group_of.get(name) == group for name in name_of], np.bool_)
        members = {name for name, found in group_of.items() if found == group}
        failures[group] = enrolment.failure(members)
        pairs = Pairs(measuring.comparison, measuring.labels, np.flatnonzero(chosen))
        counted = tally(pairs, scores)
        rates[group] = true, false = true_match_rates(counted), false_match_rates(counted)
        people, several = len(counted.faces_of), int((counted.same_of > 0).sum())
        if people < SMALL_GROUP:
            warnings.append(
                f"Group {group!r} has {people} people with a usable face, fewer than "
                f"{SMALL_GROUP}: its rates say little."
            )
        elif several < SMALL_GROUP:
            warnings.append(
                f"Group {group!r} has {several} people with several photographs, fewer than "
                f"{SMALL_GROUP}: its true match rate says little."
            )
        entries.append(
            {
                "group": group,
                "faces": int(chosen.sum()),
                "people": people,
                "people_with_several": several,
                "failure_to_enrol": failures[group].to_document(),
                "same_person_pairs": counted.same,
                "different_person_pairs": counted.different,
                "thresholds": _by_threshold(true, false),
            }
        )
    for one, other in combinations(rates, 2):
        if failures[one].apart(failures[other]):
            warnings.append(
                f"The shares of photographs without a usable face of the groups {one!r} and "
                f"{other!r} differ: their intervals do not overlap. Who is not found is in no rate."
            )
        for kind, words in enumerate(("true", "false")):
            at = [
                threshold
                for threshold in apart_at(THRESHOLDS, rates[one][kind], rates[other][kind])
                if threshold in SHOWN
            ]
            if at:
                warnings.append(
                    f"The {words} match rates of the groups {one!r} and {other!r} differ at "
                    f"{', '.join(f'{t:g}' for t in at)} %: their intervals do not overlap, and one "
                    "threshold does not treat them alike."
                )
    left_out = sum(name_of[face] not in group_of for face in measuring.taking)
    return {"groups": entries, "faces_without_group": left_out}, warnings


def _people(labelled: Labelled, faces: Faces, counted: Tally) -> dict[str, Any]:
    def told(pair: HardPair) -> dict[str, Any]:
        one, other = (
            labelled.photographs[faces.faces[face].photograph]
            for face in (pair.face_a, pair.face_b)
        )
        return {
            "similarity": faces.comparison.similarity(pair.score),
            "name_a": one.name,
            "name_b": other.name,
            "key_a": one.key,
            "key_b": other.key,
            "faces": [pair.face_a, pair.face_b],
        }

    return {
        "most_similar_different": [told(pair) for pair in counted.hardest_different],
        "least_similar_same": [told(pair) for pair in counted.hardest_same],
        "one_person_two_names": [told(pair) for pair in counted.one_person_best],
        "refused": [
            {"key": labelled.photographs[number].key, "reason": reason}
            for number, reason in sorted(faces.refused.items())
        ],
        "unnamed": list(labelled.unnamed),
        "left_out": [
            {"key": visible(path.as_posix()), "reason": why.name}
            for path, why in sorted(labelled.left_out.items())
        ],
    }
