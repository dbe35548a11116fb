"""Collects what the evidence page shows: matches, conflicts, outcomes and decisions."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from facematch.operations.conflicts import conflicts, mirrored_once
from facematch.operations.decisions import read_decisions
from facematch.operations.matches import photographs_lacking
from facematch.operations.query import literal
from facematch.stack import athena
from facematch.stack.records import Records, image_recorded
from functions.matching.faces import Box
from functions.matching.failures import FailureStatus
from functions.matching.images import UploadedImage, timestamp
from functions.matching.reports import Outcome, record_of, report_key
from workflow.queries import command_queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from facematch.operations.conflicts import Conflict
    from facematch.stack.deployment import Deployment
    from functions.matching.faces import NamesLeftOut

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

    @property
    def photographs_matched(self) -> int:
        """How many photographs have a match that is shown."""
        shown = (self.faces[face] for match in self.matches for face in match[:2])
        return len({face.photograph for face in shown})


class _Side(NamedTuple):
    """A face in a photograph, and the record that the photograph shows."""

    image: UploadedImage
    record: str
    name: str
    face_id: str
    box: Box


class _Match(NamedTuple):
    similarity: float
    one: _Side
    other: _Side


def collect(deployment: Deployment, *, minimum: float, limit: int) -> Evidence:
    """Ask Athena for what the page shows, and read the reports that it needs as a whole.

    Those are the reports of conflicts and of photographs that show several people.

    Parameters
    ----------
    minimum
        Lowest similarity of a match, %.
    limit
        The most matches that are kept: the best of each pair of records, then the best of the rest.
        The same number of conflicts is kept.

    Raises
    ------
    QueryFailed, Unusable
        When Athena cannot be asked.
    """
    bucket = deployment.images_bucket
    limits = [literal("double", str(minimum)), literal("bigint", str(limit))]
    with ThreadPoolExecutor() as pool:  # Athena works on all of them at once
        asked_matches = pool.submit(_asked, deployment, "page_matches", limits)
        asked_conflicts = pool.submit(conflicts, deployment)
        asked_outcomes = pool.submit(_asked, deployment, "page_outcomes")
        asked_lacking = pool.submit(photographs_lacking, deployment)
        decided = read_decisions(deployment)
    rows = asked_matches.result()
    alone = _Conflicts(asked_conflicts.result(), limit)
    crowds = {
        report_key(_image(bucket, row, side))
        for row in rows
        for side in ("a", "b")
        if (row[f"people_{side}"] or 0) > 1
    }
    reports = {
        report["key"]: report
        for report in Records(deployment).read(sorted(crowds.union(alone.report_keys)))
    }
    best = rows[0] if rows else {"matches": 0, "record_pairs": 0}
    evidence = Evidence(
        left_out=best["matches"] - len(rows),
        best_left_out=(rows[-1]["next_similarity"] if rows else None) or 0.0,
        pairs_left_out=max(0, best["record_pairs"] - limit),
        lacking=asked_lacking.result(),
        # How each stands depends on the threshold that the page shows: the page decides.
        decisions=[each.to_document() for _, each in sorted(decided.items())],
        conflicts_left_out=alone.left_out,
    )
    _index(evidence, (_match(bucket, row) for row in rows), alone, reports)
    _count(evidence, asked_outcomes.result())
    return evidence


def _asked(
    deployment: Deployment, query: str, literals: Iterable[str] = ()
) -> list[dict[str, Any]]:
    found = athena.run(deployment, command_queries()[query].sql, list(literals))
    return list(found.by_column())


def _image(bucket: str, row: Mapping[str, Any], side: str) -> UploadedImage:
    return UploadedImage(
        bucket=bucket,
        key=row[f"key_{side}"],
        version_id=row[f"version_id_{side}"],
        etag=row[f"etag_{side}"],
        size=row[f"size_{side}"],
        last_modified=datetime.fromisoformat(row[f"uploaded_{side}"]),
    )


class _Conflicts:
    """The conflicts that are shown: rows name the photographs, their reports have the faces."""

    def __init__(self, found: Iterable[Conflict], limit: int) -> None:
        once = sorted(mirrored_once(found), key=lambda each: not each.is_open)
        self._found = once[:limit]
        self.left_out = len(once) - len(self._found)
        self.report_keys = {key for each in self._found for key in (each.report, each.other_report)}

    def shown(self, reports: Mapping[str, dict[str, Any]]) -> Iterator[tuple[_Side, _Side, int]]:
        for each in self._found:
            report, other = reports.get(each.key), reports.get(each.other_key)
            if report and other:  # or one was deleted just now
                yield _largest_face(report), _largest_face(other), each.photographs


def _largest_face(report: dict[str, Any]) -> _Side:
    face = max(report["faces"], key=lambda face: face["box"]["width"])
    return _Side(
        image_recorded(report),
        record_of(report),
        report["name"],
        face["face_id"],
        _box(face["box"]),
    )


def _prominent(report: Mapping[str, Any]) -> tuple[Prominent, ...]:
    """Return the faces that the report counts as prominent: its widest ones."""
    faces = [*report["faces"], *report["unindexed_faces"]]
    faces.sort(key=lambda face: -face["box"]["width"])
    return tuple(
        Prominent(face.get("face_id"), _box(face["box"]))
        for face in faces[: report["prominent_faces"]]
    )


def _match(bucket: str, row: Mapping[str, Any]) -> _Match:
    one, other = (
        _Side(
            _image(bucket, row, side),
            row[f"record_{side}"],
            row[f"name_{side}"],
            row[f"face_{side}"],
            _rounded(*json.loads(row[f"box_{side}"])),
        )
        for side in ("a", "b")
    )
    return _Match(row["similarity"], one, other)


def _box(box: Mapping[str, float]) -> Box:
    return _rounded(box["left"], box["top"], box["width"], box["height"])


def _rounded(*sides: float) -> Box:
    return Box(*(round(side, _BOX_DIGITS) for side in sides))


def _index(
    evidence: Evidence,
    matches: Iterable[_Match],
    alone: _Conflicts,
    reports: Mapping[str, dict[str, Any]],
) -> None:
    """Give each photograph and each face a number, in the order in which they are needed."""
    # By the name too: after a change of names_from rows read another name from the same key.
    photographs: dict[tuple[str, str, str], int] = {}
    faces: dict[tuple[str, int], int] = {}

    def number(side: _Side) -> int:
        image = side.image
        photograph = photographs.setdefault((image.key, side.name, side.record), len(photographs))
        if photograph == len(evidence.photographs):
            report = reports.get(image.key, {})
            evidence.photographs.append(
                Photograph(
                    image.key,
                    side.name,
                    side.record,
                    image.version_id or "null",
                    image.digest,
                    timestamp(image.last_modified),
                    image.content_id,
                    _prominent(report) if (report.get("prominent_faces") or 0) > 1 else (),
                )
            )
        face = faces.setdefault((side.face_id, photograph), len(faces))
        if face == len(evidence.faces):
            evidence.faces.append(Face(side.face_id, photograph, side.box))
        return face

    for match in sorted(matches, key=lambda match: -match.similarity):
        evidence.matches.append((number(match.one), number(match.other), match.similarity))
    for one, other, of_record in alone.shown(reports):
        evidence.conflicts.append(StandsAlone(number(one), number(other), of_record))


def _count(evidence: Evidence, outcomes: Iterable[Mapping[str, Any]]) -> None:
    statuses, faces = Counter[str](), 0
    days: dict[str, Counter[str]] = {}
    failures = Counter[tuple[str, str]]()
    for row in outcomes:
        status, images = row["status"], row["images"]
        statuses[status] += images
        faces += row["faces"]
        failed = status in {FailureStatus.TIMED_OUT, FailureStatus.ABORTED}
        of_day = days.setdefault(row["day"], Counter())
        of_day[FailureStatus.FAILED if failed else status] += images
        if row["reason"] is not None:
            failures[row["reason"], status] += images
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
