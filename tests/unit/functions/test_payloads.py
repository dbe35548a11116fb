"""No payload between states comes near the limit of Step Functions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from functions.matching.decisions import (
    DECIDED_BY_LIMIT,
    REOPENED_LIMIT,
    NewEvidence,
    Reopened,
    records_digest,
)
from functions.matching.faces import Box, Face, FoundFace, IndexedFaces, LookAlikes, UnindexedFace
from functions.matching.identity import Identity
from functions.matching.images import UploadedImage
from functions.matching.keys import external_image_id
from functions.matching.matches import evidence_among
from functions.matching.notifications import PAIRS_LIMIT, notification
from functions.matching.reports import Outcome, Verdict, report_key
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.strategies import NAMES_FROM

LIMIT = 200 * 1024
#: Look-alikes of each face; a few more than are kept.
FOUND = 104
REASONS = (
    *("EXCEEDS_MAX_FACES", "EXTREME_POSE", "LOW_BRIGHTNESS", "LOW_SHARPNESS"),
    *("LOW_CONFIDENCE", "SMALL_BOUNDING_BOX", "LOW_FACE_QUALITY"),
)
BOX = Box(0.12345678901234567, 0.23456789012345678, 0.34567890123456784, 0.45678901234567896)


def longest_key(character: str, prefix: str = "images/") -> str:
    """The key of this character that takes the most room in JSON, of those that can be used."""
    usable = (prefix + character * n for n in range(1, 256))
    return max(usable, key=lambda key: len(json.dumps(key)) if external_image_id(key) else 0)


def worst_case(character: str, indexed_faces: int) -> dict[str, Any]:
    """All that states carry along, for an image with 100 faces that match as many as there are."""
    image = UploadedImage(
        bucket="b" * 63,
        key=longest_key(character),
        version_id="v" * 1024,
        etag=IMAGE.etag + "-10000",
        size=15 * 2**20,
        last_modified=IMAGE.last_modified,
    )
    ids = [f"{n:08}-0000-4000-8000-{n:012}" for n in range(100)]
    indexed = IndexedFaces(
        faces=tuple(
            Face(
                face_id=face_id,
                box=BOX,
                confidence=99.98765563964844,
                brightness=81.30812072753906,
                sharpness=95.51618957519531,
            )
            for face_id in ids[:indexed_faces]
        ),
        unindexed=tuple(UnindexedFace(REASONS, BOX) for _ in ids[indexed_faces:]),
        face_model_version="7.0",
    )
    other = longest_key(character, prefix="images/o")
    found = tuple(
        FoundFace(
            face_id=f"ffffffff-0000-4000-8000-{n:012}",
            external_image_id=external_image_id(other),
            similarity=99.98765563964844,
            box=BOX,
        )
        for n in range(FOUND)
    )
    # Of the image's own record, under keys as long as an image's can be.
    of_own_record = tuple(
        replace(face, external_image_id=external_image_id(f"{n:03}{image.key[3:]}"))
        for n, face in enumerate(found)
    )
    searched = evidence_among(
        dict.fromkeys(ids[:indexed_faces], LookAlikes(faces=found + of_own_record)),
        own_key=image.key,
        names_from=NAMES_FROM,
        max_matches=100,
        searched_at="2026-11-22T11:15:09.000Z",
    )
    assert len(searched.matches) + searched.left_out == FOUND * indexed_faces
    assert searched.look_alikes_left_out > 0 or character == "\x01"  # which is no name
    reopened = Reopened(
        name=other,
        why=tuple(NewEvidence),
        decided_by=character * DECIDED_BY_LIMIT,
        decided_at="2026-11-22T11:15:09.000Z",
        similarity=99.98765563964844,
    )
    verdict = Verdict(
        status=Outcome.MATCHED,
        best_similarity=searched.best_similarity,
        best_open_similarity=searched.best_similarity,
        notify_similarity=searched.best_similarity,
        notify_threshold=99.0,
        above_threshold=True,
        report_bucket="b" * 63,
        report_key=report_key(image),
        # As if each match were under a name of its own, and each of the names decided about.
        silenced=tuple(
            records_digest("name:Ann", f"name:{n}") for n in range(len(searched.matches))
        ),
        reopened=(reopened,) * REOPENED_LIMIT,
        same_files=(other,) * PAIRS_LIMIT,
    )
    arn = f"arn:aws:states:eu-central-1:123456789012:execution:{'s' * 80}:{image.execution_name}"
    assert notification(image, Identity("Ann"), searched, verdict, execution_arn=arn).document
    return {
        "image": image.to_payload(),
        "index": indexed.to_payload(),
        "search": searched.to_payload(),
        "report": verdict.to_payload(),
        "notification": {"message_id": ids[0]},
        "execution_arn": arn,
    }


@pytest.mark.parametrize("indexed_faces", [100, 1])
@pytest.mark.parametrize("character", ["a", "\x01", "é", "\U0001d160"])
def test_the_largest_state_stays_below_200_kib(character: str, indexed_faces: int) -> None:
    state = worst_case(character, indexed_faces)
    assert len(json.dumps(state).encode()) < LIMIT, {
        k: len(json.dumps(v)) for k, v in state.items()
    }
