"""What the evidence page is made of, written by the code that the workflow runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions.matching.decisions import Decided, Decision, decision_key
from functions.matching.errors import Reason
from functions.matching.faces import (
    Box,
    Face,
    IndexedFaces,
    Match,
    SearchResult,
    SimilarPhotograph,
    UnindexedFace,
)
from functions.matching.failures import Failure, FailureStatus, failure_record
from functions.matching.identity import (
    FROM_FILE,
    Identity,
    compiled_names_from,
    name_in,
    record_of_name,
)
from functions.matching.images import timestamp
from functions.matching.reports import (
    failure_key,
    look_alike_rows,
    look_alikes_key,
    match_rows,
    matches_key,
    report,
    report_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

NAMES_FROM = compiled_names_from(FROM_FILE)


class Album:
    """Photographs with one face each, and what the workflow would write of them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def add(self, key: str, content: bytes = b"a photograph") -> UploadedImage:
        return self.cloud.upload(f"images/{key}", content)

    def report(
        self,
        image: UploadedImage,
        matches: Mapping[UploadedImage, float] | None = None,
        *,
        faces: int = 1,
        ago: timedelta = timedelta(0),
        name: str | None = None,
        left_out: int = 0,
        names_left_out: int = 0,
        more_names_possible: bool = False,
        similar: Mapping[UploadedImage, float] | None = None,
        unindexed: Sequence[Box] = (),
    ) -> None:
        """Write the image's report and the rows beside it, by the code that the workflow runs."""
        searched = SearchResult(
            matches=tuple(
                Match(
                    searched_face_id=face_of(image),
                    face_id=face_of(other),
                    key=other.key,
                    name=name_of(other),
                    similarity=similarity,
                    box=box_of(other),
                )
                for other, similarity in (matches or {}).items()
            ),
            left_out=left_out,
            names_left_out=names_left_out,
            more_names_possible=more_names_possible,
            same_name=len(similar or {}),
            look_alikes=tuple(
                SimilarPhotograph(key=other.key, similarity=similarity)
                for other, similarity in (similar or {}).items()
            ),
            unattributed=0,
            searched_at=timestamp(datetime.now(UTC) - ago),
        )
        written = report(
            image,
            IndexedFaces(
                faces=tuple(
                    Face(
                        face_id=face_of(image) if n == 0 else f"{face_of(image)}-{n}",
                        box=box_of(image),
                        confidence=99,
                        brightness=50,
                        sharpness=50,
                    )
                    for n in range(faces)
                ),
                unindexed=tuple(UnindexedFace(("EXCEEDS_MAX_FACES",), box) for box in unindexed),
                face_model_version="7.0",
            ),
            searched,
            own=Identity(name or name_of(image)),
            search_threshold=80,
            notify_threshold=99,
            execution_arn="arn",
        )
        self.cloud.write(report_key(image), written)
        if rows := match_rows(written):
            self.cloud.write(matches_key(image), *rows)
        if rows := look_alike_rows(written, searched):
            self.cloud.write(look_alikes_key(image), *rows)

    def match(
        self, image: UploadedImage, matches: Mapping[UploadedImage, float], **more: Any
    ) -> None:
        """Report the other images first, those that have no report, and then the image."""
        for other in matches:
            if self.cloud.report(other) is None:
                self.report(other)
        self.report(image, matches, **more)

    def fail(
        self,
        image: UploadedImage,
        status: FailureStatus,
        error: str | None = None,
        *,
        reason: Reason = Reason.NOT_JPEG_OR_PNG,
        execution_arn: str = "arn",
    ) -> None:
        rejected = status is FailureStatus.REJECTED
        failure = Failure(
            status=status,
            step="IndexFaces",
            error=error,
            cause=json.dumps({"errorMessage": reason}) if rejected else None,
            execution_arn=execution_arn,
            failed_at=datetime.now(UTC),
        )
        self.cloud.write(failure_key(image), failure_record(image, failure, names_from=NAMES_FROM))

    def decide(
        self, names: tuple[str, str], decided: Decided, similarity: float, *seen: UploadedImage
    ) -> None:
        decision = Decision(
            record_a=record_of_name(names[0]),
            record_b=record_of_name(names[1]),
            name_a=names[0],
            name_b=names[1],
            decision=decided,
            note="looked twice",
            decided_by="Pat",
            decided_at=datetime(2026, 1, 2, tzinfo=UTC),
            similarity=similarity,
            face_ids=frozenset(face_of(image) for image in seen),
        )
        self.cloud.write(
            decision_key(*decision.records), decision.to_record(imported_at=datetime.now(UTC))
        )


def name_of(image: UploadedImage) -> str:
    name = name_in(image.key, NAMES_FROM)
    assert name
    return name


def face_of(image: UploadedImage) -> str:
    return f"face-{image.digest}"


def box_of(image: UploadedImage) -> Box:
    """Another one for each photograph."""
    return Box(int(image.digest[:4], 16) / 2**17, 0.2, 0.3, 0.4)
