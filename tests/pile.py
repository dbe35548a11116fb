"""Records of photographs, made by the workflow's own writer: for whatever reads them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions.matching.decisions import Decided, Decision, decision_key
from functions.matching.errors import ImageRejected, Reason
from functions.matching.faces import (
    Box,
    Face,
    IndexedFaces,
    Match,
    SearchResult,
    SimilarPhotograph,
    UnindexedFace,
)
from functions.matching.failures import Failure, FailureStatus, Lacking, failure_record
from functions.matching.identity import FROM_FILE, Identity, compiled_names_from, name_in
from functions.matching.images import UploadedImage, timestamp
from functions.matching.names import relation
from functions.matching.reports import (
    Outcome,
    delivery_failure_key,
    failure_key,
    json_lines,
    look_alike_rows,
    look_alikes_key,
    match_rows,
    matches_key,
    passes,
    report,
    report_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MORNING = datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)
NAMES_FROM = compiled_names_from(FROM_FILE)
BOX = Box(0.25, 0.125, 0.5, 0.5)


@dataclass(frozen=True)
class Photograph:
    """One version of an object with one face; `minute` is that of its upload.

    Without an `etag` it gets one that no other version has.
    """

    key: str
    minute: float = 0
    version: str = "v1"
    etag: str | None = None
    size: int = 1024

    @property
    def name(self) -> str | None:
        return name_in(self.key, NAMES_FROM)

    @property
    def face_id(self) -> str:
        return f"face of {self.version} of {self.key}"

    @property
    def image(self) -> UploadedImage:
        return UploadedImage(
            bucket="photographs",
            key=self.key,
            version_id=self.version,
            etag=self.etag or hashlib.sha256(self.face_id.encode()).hexdigest()[:32],
            size=self.size,
            last_modified=at(self.minute),
        )


_DIGEST = "5d41402abc4b2a76b9719d911017c592"
#: ETags and sizes of two photographs, and whether these show that they are the same file.
CONTENTS = (
    ((_DIGEST, 1024), (_DIGEST, 1024), True),
    ((_DIGEST, 1024), (_DIGEST, 1025), False),
    ((_DIGEST, 1024), (_DIGEST[::-1], 1024), False),
    # Of several parts, and what a backfill writes when an inventory has no ETag.
    ((f"{_DIGEST}-2", 1024), (f"{_DIGEST}-2", 1024), False),
    ((_DIGEST, 1024), (f"{_DIGEST}-1", 1024), False),
    (("unknown", 1024), ("unknown", 1024), False),
)


#: Fields of a report that version 1 did not have under any name.
NEW_IN_VERSION_2 = (
    *("notify_similarity", "names_left_out", "more_names_possible", "best_left_out_similarity"),
)
NEW_IN_VERSION_3 = (
    *("record", "relation", "known", "silenced", "reopened", "look_alikes_left_out"),
)


@dataclass
class Pile:
    """The output bucket's records, as bodies by key."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def reported(
        self,
        photograph: Photograph,
        *found: tuple[Photograph, float],
        searched: float | None = None,
        faces: int = 1,
        notify_threshold: float = 99.0,
        left_out: int = 0,
        names_left_out: int = 0,
        more_names_possible: bool = False,
        best_left_out: float = 0.0,
        similar: Mapping[Photograph, float] | None = None,
        look_alikes_left_out: int = 0,
        people: int | None = 2,
    ) -> None:
        """Write the report of a photograph, searched a minute later, and the rows beside it.

        `similar` are photographs of the same record that it resembles. `people` is the number of
        prominent faces; None: the report is of a time when they were not counted.
        """
        minute = photograph.minute + 1 if searched is None else searched
        image = photograph.image
        seen = [
            Face(face_id=photograph.face_id, box=BOX, confidence=99.5, brightness=70, sharpness=80)
        ]
        matches = [
            Match(
                searched_face_id=photograph.face_id,
                face_id=other.face_id,
                key=other.key,
                name=other.name or "",
                relation=relation(photograph.name or "", other.name or ""),
                similarity=similarity,
                box=BOX,
            )
            for other, similarity in found
        ]
        searched_for = SearchResult(
            matches=tuple(sorted(matches, key=lambda match: -match.similarity)),
            left_out=left_out or names_left_out,
            names_left_out=names_left_out,
            more_names_possible=more_names_possible,
            best_left_out_similarity=best_left_out,
            same_name=len(similar or {}) + look_alikes_left_out,
            look_alikes=tuple(
                SimilarPhotograph(key=other.key, similarity=similarity)
                for other, similarity in (similar or {}).items()
            ),
            look_alikes_left_out=look_alikes_left_out,
            unattributed=0,
            searched_at=timestamp(at(minute)),
        )
        made = report(
            image,
            IndexedFaces(
                faces=tuple(seen[:faces]),
                unindexed=(UnindexedFace(("LOW_SHARPNESS",), BOX),),
                face_model_version="7.0",
            ),
            searched_for,
            own=Identity(photograph.name or ""),
            search_threshold=80.0,
            notify_threshold=notify_threshold,
            execution_arn=f"arn:aws:states:::execution:{image.execution_name}",
            prominent_faces={other.key: 1 for other, _ in found},
        )
        made["prominent_faces"] = people
        self.objects[report_key(image)] = json_lines([made])
        beside = {
            matches_key(image): match_rows(made),
            look_alikes_key(image): look_alike_rows(made, searched_for),
        }
        for key, rows in beside.items():
            self.objects.pop(key, None)
            if rows:
                self.objects[key] = json_lines(rows)

    def failed(
        self, photograph: Photograph, status: FailureStatus, error: Reason | str | None = None
    ) -> None:
        """Write the failure record of a photograph, two minutes after its upload."""
        image = photograph.image
        cause = None
        if isinstance(error, Reason):
            cause, error = str(ImageRejected(error, image.digest)), "ImageRejected"
        failure = Failure(
            status=status,
            step="IndexFaces",
            error=error,
            cause=cause,
            execution_arn=f"arn:aws:states:::execution:{image.execution_name}",
            failed_at=at(photograph.minute + 2),
        )
        record = failure_record(image, failure, names_from=NAMES_FROM)
        self.objects[failure_key(image)] = json_lines([record])

    def undelivered(self, photograph: Photograph, error: str | None = "NotFoundException") -> None:
        """Write that nobody was notified of a photograph's match; without an error: stopped."""
        image = photograph.image
        failure = Failure(
            status=FailureStatus.FAILED if error else FailureStatus.ABORTED,
            step="NotifyMatch",
            error=error,
            cause=error and "Topic does not exist",
            execution_arn=f"arn:aws:states:::execution:{image.execution_name}",
            failed_at=at(photograph.minute + 2),
        )
        record = failure_record(image, failure, names_from=NAMES_FROM, lacking=Lacking.DELIVERY)
        self.objects[delivery_failure_key(image)] = json_lines([record])

    def decided(
        self,
        name: str,
        other: str,
        decision: Decided,
        *,
        similarity: float,
        on: Iterable[Photograph],
    ) -> None:
        """Write a person's decision, made on the faces of these photographs."""
        made = Decision.from_record(
            {
                "name_a": name,
                "name_b": other,
                "decision": decision,
                "note": "",
                "decided_by": "Rita",
                "decided_at": "2026-11-22T12:00:00.000Z",
                "similarity": similarity,
                "face_ids": [photograph.face_id for photograph in on],
                "versions": [photograph.image.digest for photograph in on],
                "keys": [photograph.key for photograph in on],
            }
        )
        record = made.to_record(imported_at=at(600))
        self.objects[decision_key(*made.records)] = json_lines([record])


def as_version_1(made: dict[str, Any]) -> dict[str, Any]:
    """The report as schema version 1 wrote it."""
    renamed = {("notified" if k == "above_threshold" else k): v for k, v in made.items()}
    former = {k: v for k, v in renamed.items() if k not in (*NEW_IN_VERSION_2, *NEW_IN_VERSION_3)}
    former["faces"] = [
        {
            **face,
            "matches": [
                {k: v for k, v in match.items() if k not in NEW_IN_VERSION_3}
                for match in face["matches"]
            ],
        }
        for face in made["faces"]
    ]
    for column in ("silenced", "reopened"):
        former[f"{column}_names"] = [one.removeprefix("name:") for one in made[column]]
    # What it left out decided nothing.
    unique = made["status"] == Outcome.MATCHED and not made["other_name_matches"]
    return former | {
        "schema_version": 1,
        "status": Outcome.UNIQUE if unique else made["status"],
        "notified": passes(made["best_open_similarity"], made["notify_threshold"]),
    }


def at(minute: float) -> datetime:
    """A moment of the pile's day, in minutes after its morning."""
    return MORNING + timedelta(minutes=minute)
