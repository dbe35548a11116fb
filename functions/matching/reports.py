"""The report of an image, the rows beside it, and where they are kept.

Records are JSON Lines, one object in each file, under a partition of the day of the upload, named
after the version's digest: a replay writes over its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from functions.matching.decisions import Judgement, Reopened
from functions.matching.faces import NamesLeftOut
from functions.matching.identity import Identity, id_in, record_of_name
from functions.matching.matches import pair_id
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from functions.matching.faces import Face, IndexedFaces, Match, SearchResult
    from functions.matching.images import Subject, UploadedImage

#: Of reports and match rows. Version 1 called `above_threshold` `notified`, and counted no names
#: that were left out. Version 2 had names in place of record keys, no relation of two names, and
#: knew no confirmed pairs: they went on notifying. It kept no look-alikes of the same record.
SCHEMA_VERSION: Final = 3

#: Columns of a row beside the report that are the report's own.
_OF_THE_REPORT: Final = (
    *("schema_version", "digest", "bucket", "key", "version_id", "name", "record", "uploaded_at"),
    *("searched_at", "search_threshold"),
)

#: Lists of decided records in a report, and what they were called when they held names.
_RECORDS: Final = ("silenced", "known", "reopened")
_NAMES: Final = ("silenced_names", "reopened_names")


class Outcome(StrEnum):
    """What a report says of its image, as things were when it was searched."""

    MATCHED = "MATCHED"
    UNIQUE = "UNIQUE"
    NO_FACE = "NO_FACE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the state machine's Choice and the notification need of a report.

    Attributes
    ----------
    best_similarity, best_open_similarity, notify_similarity, notify_threshold
        %, always numbers: a JSONata Choice fails the execution on anything else. Open is what no
        decision silences. The Choice compares the last two.
    silenced
        Digests of the pairs of records that a decision silences; they name the decisions.
    reopened
        Pairs that are open again, the best `REOPENED_LIMIT`.
    same_files
        Keys of the photographs in the notification that are the same file as the image.
    prominent_faces
        How many faces may be the one that is meant, by key: the image's, and those of the other
        photographs in the notification. None where the photograph's register does not record it.
    report_key
        Of the report in the output bucket.
    """

    status: Outcome
    best_similarity: float
    best_open_similarity: float
    notify_similarity: float
    notify_threshold: float
    above_threshold: bool
    report_bucket: str
    report_key: str
    silenced: tuple[str, ...] = ()
    reopened: tuple[Reopened, ...] = ()
    same_files: tuple[str, ...] = ()
    prominent_faces: Mapping[str, int | None] = field(default_factory=dict)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote, also before the stack was updated."""
        known = {each.name: payload[each.name] for each in fields(cls) if each.name in payload}
        return cls(
            **{
                "notify_similarity": payload["best_open_similarity"],
                **known,
                "status": Outcome(payload["status"]),
                "above_threshold": is_above_threshold(payload),
                "silenced": tuple(payload["silenced"]),
                "reopened": tuple(Reopened.from_payload(pair) for pair in payload["reopened"]),
                "same_files": tuple(payload.get("same_files", ())),
            }
        )

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def report_key(image: Subject) -> str:
    """Of the version's report in the output bucket."""
    return record_key(Place.REPORTS, image.day, image.digest)


def matches_key(image: Subject) -> str:
    """Of the version's match rows in the output bucket."""
    return record_key(Place.MATCHES, image.day, image.digest)


def look_alikes_key(image: Subject) -> str:
    """Return the key of the version's look-alike rows in the output bucket."""
    return record_key(Place.LOOK_ALIKES, image.day, image.digest)


def failure_key(image: Subject) -> str:
    """Of the version's failure record in the output bucket."""
    return record_key(Place.FAILURES, image.day, image.digest)


def delivery_failure_key(image: Subject) -> str:
    """Return the key of the record that the version's notification failed."""
    return record_key(Place.DELIVERY_FAILURES, image.day, image.digest)


def outcome(indexed: IndexedFaces, searched: SearchResult) -> Outcome:
    """What the search said: NO_FACE when there was nothing to search for.

    An image is UNIQUE only when no face under another name was found and none may have been missed.
    """
    if not indexed.faces:
        return Outcome.NO_FACE
    return Outcome.MATCHED if searched.matches or searched.lacking.any else Outcome.UNIQUE


def passes(similarity: float, notify_threshold: float) -> bool:
    """Whether a similarity is worth a notification; no match (0) never is."""
    return similarity > 0 and similarity >= notify_threshold


def is_above_threshold(report: Mapping[str, Any]) -> bool:
    """Whether a report, of any schema version, is worth a notification."""
    return bool(report[_above_threshold_in(report)])


def best_open_similarity(searched: SearchResult, judged: Judgement) -> float:
    """Of the best match that no decision silences, %; 0 when there is none."""
    return max(
        (m.similarity for m in searched.matches if m.record not in judged.quiet),
        default=0.0,
    )


def report(
    image: UploadedImage,
    indexed: IndexedFaces,
    searched: SearchResult,
    *,
    own: Identity,
    search_threshold: float,
    notify_threshold: float,
    execution_arn: str,
    judged: Judgement = Judgement(),  # noqa: B008 - frozen
    prominent_faces: Mapping[str, int | None] = MappingProxyType({}),
) -> dict[str, Any]:
    """The report, as it is written: the image, each of its faces and the evidence for it.

    Parameters
    ----------
    own
        Who the image shows.
    judged
        What people had decided before about those of the matches that reach `notify_threshold`.
    prominent_faces
        Counts of prominent faces of the other photographs, by key, as far as they are known.
    """
    best_open = best_open_similarity(searched, judged)
    # Nobody has decided about a record that was left out: it counts as much as an open one.
    best = max(best_open, searched.best_left_out_similarity)
    return {
        "schema_version": SCHEMA_VERSION,
        **image.columns,
        "name": own.name,
        "record": own.record,
        "status": outcome(indexed, searched),
        "searched_at": searched.searched_at,
        "face_model_version": indexed.face_model_version,
        "search_threshold": search_threshold,
        "notify_threshold": notify_threshold,
        "faces_in_image": len(indexed.faces) + len(indexed.unindexed),
        "faces": [
            _face_with_matches(face, searched.matches, prominent_faces) for face in indexed.faces
        ],
        "face_ids": [face.face_id for face in indexed.faces],
        "unindexed_faces": indexed.to_payload()["unindexed"],
        "subject": indexed.subject,
        "prominent_faces": indexed.prominent_faces,
        "best_similarity": searched.best_similarity,
        "best_open_similarity": best_open,
        "notify_similarity": best,
        "silenced": list(judged.silenced),
        "known": list(judged.known),
        "reopened": [pair.record for pair in judged.reopened],
        "above_threshold": passes(best, notify_threshold),
        "other_name_matches": len(searched.matches),
        "matches_left_out": searched.left_out,
        "names_left_out": searched.names_left_out,
        "more_names_possible": searched.more_names_possible,
        "best_left_out_similarity": searched.best_left_out_similarity,
        "same_name_matches": searched.same_name,
        "look_alikes_left_out": searched.look_alikes_left_out,
        "unattributed_matches": searched.unattributed,
        "execution_arn": execution_arn,
    }


def is_cut(report: Mapping[str, Any]) -> bool:
    """Whether the search found, or may have found, more than the report lists."""
    return report["matches_left_out"] > 0 or names_left_out(report).any


def names_left_out(record: Mapping[str, Any]) -> NamesLeftOut:
    """What a report, or a match row, says of the names that the report does not list.

    A report of schema version 1 kept the best faces, whatever their names, and counted no names.
    """
    return NamesLeftOut(
        record.get("names_left_out", 0),
        record.get("more_names_possible", record.get("matches_left_out", 0) > 0),
    )


def without_matches(
    report: dict[str, Any], forgotten: Callable[[str, str], bool], *, forgotten_record: str | None
) -> dict[str, Any]:
    """The report as if it had never seen some images: what a person's forgetting leaves of it.

    A report that left something out stays MATCHED when it loses its last match: what was left out
    may be another record. Only another search can say that the image is UNIQUE.

    Parameters
    ----------
    forgotten
        Whether a match is one of them, given its key and its record key.
    forgotten_record
        Key of the record that leaves the lists of records too; None when only images are forgotten.
    """
    faces = [
        {
            **face,
            "matches": [m for m in face["matches"] if not forgotten(m["key"], record_of(m))],
        }
        for face in report["faces"]
    ]
    matches = [match for face in faces for match in face["matches"]]
    lists: dict[str, Any] = {
        column: [one for one in report[column] if record_listed(column, one) != forgotten_record]
        for column in (*_RECORDS, *_NAMES)
        if column in report
    }
    left = {"faces": faces, **lists}
    if left.items() <= report.items():
        return report
    quiet = {
        record_listed(column, one)
        for column in ("silenced", "known", "silenced_names")
        for one in lists.get(column, [])
    }
    still_open = (m["similarity"] for m in matches if record_of(m) not in quiet)
    lost_all = report["status"] == Outcome.MATCHED and not matches and not is_cut(report)
    best_open = max(still_open, default=0.0)
    # A report of version 1 does not say how similar what it left out is.
    unknown = report["best_open_similarity"] if is_cut(report) else 0.0
    best = max(best_open, report.get("best_left_out_similarity", unknown))
    compared = {"notify_similarity": best} if "notify_similarity" in report else {}
    return {
        **report,
        **left,
        "status": Outcome.UNIQUE if lost_all else report["status"],
        "best_similarity": max((match["similarity"] for match in matches), default=0.0),
        "best_open_similarity": best_open,
        **compared,
        _above_threshold_in(report): passes(best, report["notify_threshold"]),
        "other_name_matches": len(matches),
    }


def record_of(line: Mapping[str, Any]) -> str:
    """Return the key of the record that a report, a match or a failure is about.

    Before schema version 3 there was only a name.
    """
    return str(line.get("record") or record_of_name(line["name"] or ""))


def identity_of(line: Mapping[str, Any]) -> Identity | None:
    """Return who a report, a match or a failure is about; None if the key carries no name."""
    return Identity(line["name"], id_in(record_of(line))) if line["name"] else None


def record_matched(row: Mapping[str, Any]) -> str:
    """Return the key of the other record in a match row of any schema version."""
    return str(row.get("matched_record") or record_of_name(row["matched_name"]))


def record_listed(column: str, value: str) -> str:
    """Return the record key out of a report's list of decided records, or of names before it."""
    return value if column in _RECORDS else record_of_name(value)


def match_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One flat row for each match of a report, so that no query has to unnest.

    The names of the columns are those of the report; what belongs to the other image starts with
    ``matched_``.
    """
    shared = {
        column: report.get(column)
        for column in (*_OF_THE_REPORT, "notify_threshold", "execution_arn")
    }
    lacking = names_left_out(report)
    return [
        {
            **shared,
            "pair_id": match["pair_id"],
            "similarity": match["similarity"],
            "face_id": face["face_id"],
            **_box_columns("face_", face["box"]),
            "matched_name": match["name"],
            "matched_record": match.get("record"),
            "relation": match.get("relation"),
            "matched_key": match["key"],
            "matched_face_id": match["face_id"],
            **_box_columns("matched_", match["box"]),
            "prominent_faces": report.get("prominent_faces"),
            "matched_prominent_faces": match.get("prominent_faces"),
            "names_left_out": lacking.counted,
            "more_names_possible": lacking.more_possible,
        }
        for face in report["faces"]
        for match in face["matches"]
    ]


def look_alike_rows(report: Mapping[str, Any], searched: SearchResult) -> list[dict[str, Any]]:
    """Return one flat row for each photograph of the same record that resembles the image.

    They stand in no report: a report tells of other records.
    """
    shared = {column: report[column] for column in (*_OF_THE_REPORT, "execution_arn")}
    return [
        {**shared, "other_key": each.key, "similarity": each.similarity}
        for each in searched.look_alikes
    ]


def json_lines(records: list[dict[str, Any]]) -> bytes:
    """The records as JSON Lines (jsonlines.org), which Athena's JSON SerDe reads."""
    return "".join(
        json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records
    ).encode()


def record_key(place: Place, day: str, digest: str) -> str:
    """Return the key of a version's record: a report, rows beside it, or a failure of a kind."""
    return f"{place}dt={day}/{digest}.json"


def _above_threshold_in(report: Mapping[str, Any]) -> str:
    """Name of the field, which the schema version decides."""
    return "above_threshold" if "above_threshold" in report else "notified"


def _face_with_matches(
    face: Face, matches: tuple[Match, ...], prominent_faces: Mapping[str, int | None]
) -> dict[str, Any]:
    return {
        **face.to_payload(),
        "matches": [
            {
                "pair_id": pair_id(face.face_id, match.face_id),
                "name": match.name,
                "record": match.record,
                "relation": match.relation,
                "key": match.key,
                "face_id": match.face_id,
                "similarity": match.similarity,
                "box": asdict(match.box),
                "prominent_faces": prominent_faces.get(match.key),
            }
            for match in matches
            if match.searched_face_id == face.face_id
        ],
    }


def _box_columns(prefix: str, box: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}{side}": box[side] for side in ("left", "top", "width", "height")}
