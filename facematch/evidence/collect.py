"""Collects what the evidence page shows: matches, conflicts, outcomes and decisions."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from facematch.errors import Actionable
from facematch.operations.conflicts import conflicts, mirrored_once
from facematch.operations.decisions import read_decisions
from facematch.operations.matches import Present, is_newest
from facematch.stack.records import Records
from functions.matching.faces import Box, NamesLeftOut
from functions.matching.failures import FailureStatus
from functions.matching.images import timestamp
from functions.matching.matches import each_first
from functions.matching.places import Place
from functions.matching.reports import (
    Outcome,
    match_rows,
    names_left_out,
    record_matched,
    record_of,
)
from functions.matching.subjects import MainSubject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from facematch.operations.conflicts import Conflict
    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage

#: Records that are read in one go; all that were listed would wait in memory otherwise.
_BATCH: Final = 256
#: Of a ratio: a photograph has no more pixels than that can tell apart.
_BOX_DIGITS: Final = 5


class Prominent(NamedTuple):
    """A face of similar size as the one that is meant; without an id it was not indexed."""

    face_id: str | None
    box: Box


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph that the page shows.

    Attributes
    ----------
    version_id, version
        The newest, which the matches are about: its id, "null" in a bucket without versioning; and
        its digest.
    uploaded
        UTC, ISO 8601.
    content
        Photographs with the same id are the same file; None when S3 does not tell contents apart.
    people
        The faces that may be the one that is meant, if there are several.
    """

    key: str
    name: str
    record: str
    version_id: str
    version: str
    uploaded: str
    content: str | None
    people: tuple[Prominent, ...] = ()


@dataclass(frozen=True, slots=True)
class Face:
    """A face in the photograph of that index."""

    face_id: str
    photograph: int
    box: Box


@dataclass(frozen=True, slots=True)
class StandsAlone:
    """A photograph that resembles no other one of its record.

    Attributes
    ----------
    face, other_face
        Indexes into `faces`: of this photograph, and of the record's best other one.
    photographs
        How many the record has with an indexed face.
    """

    face: int
    other_face: int
    photographs: int


@dataclass(slots=True)
class Evidence:
    """What the page shows, without the pictures.

    Attributes
    ----------
    matches
        Each pair of faces once, best first: indexes into `faces`, the face of the first record in
        order first, and their similarity, %.
    left_out, best_left_out
        How many more matches there are beyond the limit, and the best similarity of one, %. The
        best match of each pair of records comes first, so that many photographs of one pair leave
        out no other.
    pairs_left_out
        How many pairs of records there are of which no match is shown.
    lacking
        Photographs whose reports leave names out, by key: pairs of these may be missing.
    counts
        Distinct keys, by the outcome of the newest version that has one; and faces indexed.
    days
        The same by the day of the upload (UTC); FAILED includes what timed out or was aborted.
    failures
        The same by reason, the most frequent first.
    decisions
        What people have decided, on records without a match, too.
    conflicts
        Photographs that resemble no other one of their record, those to decide first.
    conflicts_left_out
        How many more there are beyond the limit.
    conflicts_unread
        Why nobody could tell the conflicts; empty when they were read.
    """

    photographs: list[Photograph] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    matches: list[tuple[int, int, float]] = field(default_factory=list)
    left_out: int = 0
    best_left_out: float = 0.0
    pairs_left_out: int = 0
    lacking: dict[str, NamesLeftOut] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    days: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[StandsAlone] = field(default_factory=list)
    conflicts_left_out: int = 0
    conflicts_unread: str = ""

    @property
    def photographs_matched(self) -> int:
        """How many photographs have a match that is shown."""
        shown = (self.faces[face] for match in self.matches for face in match[:2])
        return len({face.photograph for face in shown})


class _Side(NamedTuple):
    record: str
    name: str
    key: str
    face_id: str
    box: Box


class _Match(NamedTuple):
    similarity: float
    pair_id: str
    one: _Side
    other: _Side

    @property
    def records(self) -> tuple[str, str]:
        return self.one.record, self.other.record


class _Ending(NamedTuple):
    """How a version ended; the largest of a key's is its newest, and a report wins."""

    uploaded_at: str
    is_current: bool
    is_report: bool
    status: str
    reason: str
    faces: int
    lacking: NamesLeftOut


def collect(deployment: Deployment, *, minimum: float, limit: int) -> Evidence:
    """Read the records once, as a stream, and keep what the page needs.

    Parameters
    ----------
    minimum
        Lowest similarity of a match, %.
    limit
        The most matches that are kept: the best of each pair of records, then the best of the rest.
        Of conflicts as many are kept.
    """
    present = Present.listed(deployment)
    current = present.current
    records = Records(deployment)
    best = _Best(limit)
    alone = _Conflicts(deployment, current, limit)
    endings: dict[str, _Ending] = {}
    people: dict[str, tuple[Prominent, ...]] = {}
    for batch in _batches(records, Place.REPORTS):
        rows: list[dict[str, Any]] = []
        for record in batch:
            _keep_newest(endings, record, current)
            alone.add(record)
            several = record.get("subject") == MainSubject.LARGEST_OF_SEVERAL
            if several and is_newest(record, current):
                people[record["key"]] = _prominent(record)
            # The rows in `matches/` say the same: half as many files are read without them.
            rows += (row for row in match_rows(record) if row["similarity"] >= minimum)
        for row in present.shown(rows):
            best.add(row)
    for batch in _batches(records, Place.FAILURES):
        for record in batch:
            _keep_newest(endings, record, current)
    matches = best.matches()
    evidence = Evidence(
        left_out=best.left_out,
        best_left_out=best.best_left_out,
        pairs_left_out=best.pairs_left_out,
        lacking={
            key: ending.lacking
            for key, ending in sorted(endings.items())
            if ending.is_current and ending.lacking.any
        },
        # How each stands depends on the threshold that the page shows: the page decides.
        decisions=[each.to_document() for _, each in sorted(read_decisions(deployment).items())],
        conflicts_left_out=alone.left_out,
        conflicts_unread=alone.unread,
    )
    _index(evidence, matches, alone, current, people)
    _count(evidence, endings.values())
    return evidence


def _batches(records: Records, place: Place) -> Iterator[Iterator[dict[str, Any]]]:
    keys = records.keys(place)
    while batch := list(islice(keys, _BATCH)):
        yield records.read(batch)


class _Best:
    """The matches of a stream that are shown; in it most come twice, once from each side.

    What is dropped on the way would not be shown in the end either: whatever comes, no fewer pairs
    of names and no weaker matches stand before it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: set[str] = set()
        self._records: set[tuple[str, str]] = set()
        self._kept: dict[str, _Match] = {}
        self.best_left_out = 0.0

    @property
    def left_out(self) -> int:
        return max(0, len(self._seen) - self._limit)

    @property
    def pairs_left_out(self) -> int:
        return max(0, len(self._records) - self._limit)

    def add(self, row: dict[str, Any]) -> None:
        pair, one, other = row["pair_id"], record_of(row), record_matched(row)
        if one == other:  # a row of an earlier version may be about two spellings of one record
            return
        self._seen.add(pair)
        self._records.add((one, other) if one <= other else (other, one))
        if pair not in self._kept or row["similarity"] > self._kept[pair].similarity:
            self._kept[pair] = _match(row)
        if len(self._kept) > 2 * self._limit:
            self._drop()

    def matches(self) -> list[_Match]:
        self._drop()
        return sorted(self._kept.values(), key=_best_first)

    def _drop(self) -> None:
        ordered = each_first(
            sorted(self._kept.values(), key=_best_first), of=lambda match: match.records
        )
        dropped = [match.similarity for match in ordered[self._limit :]]
        self.best_left_out = max([self.best_left_out, *dropped])
        self._kept = {match.pair_id: match for match in ordered[: self._limit]}


class _Conflicts:
    """The conflicts that are shown: Athena names the photographs, their reports have the faces."""

    def __init__(
        self, deployment: Deployment, current: Mapping[str, UploadedImage], limit: int
    ) -> None:
        self._current = current
        self.unread = ""
        found: list[Conflict] = []
        try:
            found = mirrored_once(conflicts(deployment))
        except Actionable as error:  # the page is worth writing without them
            self.unread = str(error)
        found.sort(key=lambda each: not each.is_open)
        self._found = found[:limit]
        self.left_out = len(found) - len(self._found)
        self._sides: dict[str, _Side | None] = dict.fromkeys(
            key for each in self._found for key in (each.key, each.other_key)
        )

    def add(self, record: dict[str, Any]) -> None:
        if record["key"] in self._sides and record["faces"] and is_newest(record, self._current):
            self._sides[record["key"]] = _largest_face(record)

    def shown(self) -> Iterator[tuple[_Side, _Side, int]]:
        for each in self._found:
            alone, other = self._sides[each.key], self._sides[each.other_key]
            if alone and other:
                yield alone, other, each.photographs


def _largest_face(report: dict[str, Any]) -> _Side:
    face = max(report["faces"], key=lambda face: face["box"]["width"])
    box = _box(face["box"], "")
    return _Side(record_of(report), report["name"], report["key"], face["face_id"], box)


def _prominent(report: dict[str, Any]) -> tuple[Prominent, ...]:
    """Return the faces that the report counts as prominent: its widest ones."""
    faces = [*report["faces"], *report["unindexed_faces"]]
    faces.sort(key=lambda face: -face["box"]["width"])
    return tuple(
        Prominent(face.get("face_id"), _box(face["box"], ""))
        for face in faces[: report["prominent_faces"]]
    )


def _match(row: dict[str, Any]) -> _Match:
    one, other = sorted(
        (
            _Side(record_of(row), row["name"], row["key"], row["face_id"], _box(row, "face_")),
            _Side(
                record_matched(row),
                row["matched_name"],
                row["matched_key"],
                row["matched_face_id"],
                _box(row, "matched_"),
            ),
        ),
        key=lambda side: side.record,
    )
    return _Match(row["similarity"], row["pair_id"], one, other)


def _box(row: dict[str, Any], prefix: str) -> Box:
    sides = ("left", "top", "width", "height")
    return Box(*(round(row[f"{prefix}{side}"], _BOX_DIGITS) for side in sides))


def _best_first(match: _Match) -> tuple[float, str, str, str]:
    return -match.similarity, match.one.key, match.other.key, match.pair_id


def _keep_newest(
    endings: dict[str, _Ending],
    record: dict[str, Any],
    current: Mapping[str, UploadedImage],
) -> None:
    key = record["key"]
    ending = _Ending(
        uploaded_at=record["uploaded_at"],
        is_current=is_newest(record, current),
        is_report="faces" in record,
        status=sys.intern(record["status"]),
        reason=sys.intern(record.get("reason", "")),
        faces=len(record.get("faces", ())),
        lacking=names_left_out(record),
    )
    endings[key] = max(ending, endings.get(key, ending))


def _index(
    evidence: Evidence,
    matches: Iterable[_Match],
    alone: _Conflicts,
    current: Mapping[str, UploadedImage],
    people: Mapping[str, tuple[Prominent, ...]],
) -> None:
    """Give each photograph and each face a number, in the order in which they are needed."""
    # By the name too: after a change of names_from rows read another name from the same key.
    photographs: dict[tuple[str, str, str], int] = {}
    faces: dict[tuple[str, int], int] = {}

    def number(side: _Side) -> int:
        photograph = photographs.setdefault((side.key, side.name, side.record), len(photographs))
        if photograph == len(evidence.photographs):
            now = current[side.key]
            uploaded = timestamp(now.last_modified)
            version_id = now.version_id or "null"
            evidence.photographs.append(
                Photograph(
                    side.key,
                    side.name,
                    side.record,
                    version_id,
                    now.digest,
                    uploaded,
                    now.content_id,
                    people.get(side.key, ()),
                )
            )
        face = faces.setdefault((side.face_id, photograph), len(faces))
        if face == len(evidence.faces):
            evidence.faces.append(Face(side.face_id, photograph, side.box))
        return face

    for match in matches:
        evidence.matches.append((number(match.one), number(match.other), match.similarity))
    for one, other, of_record in alone.shown():
        evidence.conflicts.append(StandsAlone(number(one), number(other), of_record))


def _count(evidence: Evidence, endings: Iterable[_Ending]) -> None:
    statuses, faces = Counter[str](), 0
    days: dict[str, Counter[str]] = {}
    failures = Counter[tuple[str, str]]()
    for ending in endings:
        statuses[ending.status] += 1
        faces += ending.faces
        failed = ending.status in {FailureStatus.TIMED_OUT, FailureStatus.ABORTED}
        of_day = days.setdefault(ending.uploaded_at[:10], Counter())
        of_day[FailureStatus.FAILED if failed else ending.status] += 1
        if not ending.is_report:
            failures[ending.reason, ending.status] += 1
    evidence.counts = {
        "images": statuses.total(),
        "faces": faces,
        **{status: statuses[status] for status in (*Outcome, *FailureStatus)},
    }
    shown = (*Outcome, FailureStatus.REJECTED, FailureStatus.FAILED)
    evidence.days = [
        {"day": day, **{status: days[day][status] for status in shown}} for day in sorted(days)
    ]
    evidence.failures = [
        {"reason": reason, "status": status, "images": images}
        for (reason, status), images in sorted(
            failures.items(), key=lambda found: (-found[1], *found[0])
        )
    ]
