"""What the evidence page shows: which matches, outcomes and decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from facematch.evidence.collect import Evidence, collect
from functions.matching.decisions import Decided, Decision, decision_key
from functions.matching.faces import Box, NamesLeftOut
from functions.matching.failures import FailureStatus
from functions.matching.identity import record_of_name, record_of_photograph
from functions.matching.images import timestamp
from functions.matching.reports import report_key
from tests.unit.album import Album, box_of, face_of, name_of
from tests.unit.cloud import OUTPUT, deployment_of

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment
    from tests.unit.cloud import Cloud


@pytest.fixture
def album(cloud: Cloud) -> Album:
    return Album(cloud)


@pytest.fixture
def deployment(cloud: Cloud) -> Deployment:
    return deployment_of(cloud)


def shown(evidence: Evidence) -> list[tuple[str, str, float]]:
    """The matches, by the keys of the photographs without the prefix."""

    def key(face: int) -> str:
        photograph = evidence.photographs[evidence.faces[face].photograph]
        return photograph.key.removeprefix("images/")

    return [(key(one), key(other), similarity) for one, other, similarity in evidence.matches]


def collected(
    deployment: Deployment, *, minimum: float = 0, limit: int = 100
) -> list[tuple[str, str, float]]:
    return shown(collect(deployment, minimum=minimum, limit=limit))


# --- Matches ---


def test_a_match_that_both_sides_report_comes_once_with_the_names_in_order(
    album: Album, deployment: Deployment
) -> None:
    bo, ann = album.add("Bo_1.jpg"), album.add("Ann_1.jpg")
    album.report(bo, {ann: 99.2})
    album.report(ann, {bo: 99.4})

    evidence = collect(deployment, minimum=0, limit=100)

    assert shown(evidence) == [("Ann_1.jpg", "Bo_1.jpg", 99.4)]
    assert [(p.key, p.name, p.version_id, p.uploaded) for p in evidence.photographs] == [
        (image.key, name_of(image), image.version_id, timestamp(image.last_modified))
        for image in (ann, bo)
    ]
    assert [(face.face_id, face.photograph) for face in evidence.faces] == [
        (face_of(ann), 0),
        (face_of(bo), 1),
    ]
    assert [face.box.left for face in evidence.faces] == pytest.approx(
        [box_of(ann).left, box_of(bo).left], abs=1e-5
    )
    assert evidence.left_out == 0


def test_a_photograph_in_several_matches_is_listed_once(
    album: Album, deployment: Deployment
) -> None:
    ann, bo, cy = (album.add(f"{name}_1.jpg") for name in ("Ann", "Bo", "Cy"))
    album.report(ann)
    album.report(cy, {ann: 97.0, bo: 99.0})
    album.report(bo, {ann: 98.0})

    evidence = collect(deployment, minimum=0, limit=100)

    assert shown(evidence) == [
        ("Bo_1.jpg", "Cy_1.jpg", 99.0),
        ("Ann_1.jpg", "Bo_1.jpg", 98.0),
        ("Ann_1.jpg", "Cy_1.jpg", 97.0),
    ]
    assert len(evidence.photographs) == len(evidence.faces) == 3


def test_what_an_older_version_matched_is_not_shown(album: Album, deployment: Deployment) -> None:
    bo, cy = album.add("Bo_1.jpg"), album.add("Cy_1.jpg")
    album.report(bo)
    album.report(cy)
    album.report(album.add("Ann_1.jpg", b"old"), {bo: 99.9}, ago=timedelta(minutes=1))
    album.report(album.add("Ann_1.jpg", b"new"), {cy: 99.5})

    assert collected(deployment) == [("Ann_1.jpg", "Cy_1.jpg", 99.5)]


def test_a_match_with_a_photograph_that_was_overwritten_since_is_not_shown(
    album: Album, deployment: Deployment
) -> None:
    ann, bo = album.add("Ann_1.jpg"), album.add("Bo_1.jpg")
    album.report(bo, ago=timedelta(minutes=1))
    album.report(ann, {bo: 99.9}, ago=timedelta(minutes=1))
    assert collected(deployment)

    album.report(album.add("Bo_1.jpg", b"somebody else"))
    assert collected(deployment) == []


def test_a_match_with_a_photograph_that_was_removed_is_not_shown(
    album: Album, deployment: Deployment
) -> None:
    ann, bo = album.add("Ann_1.jpg"), album.add("Bo_1.jpg")
    album.report(bo)
    album.report(ann, {bo: 99.9})
    assert collected(deployment)

    album.cloud.s3.delete_object(Bucket=OUTPUT, Key=report_key(bo))  # as its removal does
    assert collected(deployment) == []


def test_the_minimum_counts_from_itself_up(album: Album, deployment: Deployment) -> None:
    ann, bo, cy = (album.add(f"{name}_1.jpg") for name in ("Ann", "Bo", "Cy"))
    album.report(bo)
    album.report(cy)
    album.report(ann, {bo: 95.0, cy: 94.99})

    assert collected(deployment, minimum=95) == [("Ann_1.jpg", "Bo_1.jpg", 95.0)]


def test_beyond_the_limit_the_weakest_are_left_out_and_counted_once_each(
    album: Album, deployment: Deployment
) -> None:
    people = [album.add(f"{name}_1.jpg") for name in ("Ann", "Bo", "Cy", "Di")]
    for image in people:
        others = [other for other in people if other is not image]
        album.report(image, {o: 90.0 + people.index(image) + people.index(o) for o in others})

    evidence = collect(deployment, minimum=0, limit=2)

    assert [similarity for *_, similarity in evidence.matches] == [95.0, 94.0]
    assert evidence.left_out == 4
    assert len(evidence.photographs) == 3, "only photographs of matches that are shown"


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_the_best_of_each_pair_of_names_is_kept_then_the_best(
    album: Album, deployment: Deployment, limit: int
) -> None:
    similarities = {"Bo_1": 99.0, "Bo_2": 98.0, "Bo_3": 97.0, "Cy_1": 90.0, "Di_1": 96.0}
    ann = album.add("Ann_1.jpg")
    others = {album.add(f"{name}.jpg"): similarity for name, similarity in similarities.items()}
    album.report(ann, others)
    for other, similarity in others.items():
        album.report(other, {ann: similarity - 0.5})

    evidence = collect(deployment, minimum=0, limit=limit)

    order = [99.0, 96.0, 90.0, 98.0, 97.0]
    assert [similarity for *_, similarity in evidence.matches] == sorted(
        order[:limit], reverse=True
    )
    assert evidence.left_out == max(0, len(order) - limit)
    assert evidence.best_left_out == max(order[limit:], default=0.0)
    assert evidence.pairs_left_out == max(0, 3 - limit)


def test_many_photographs_of_one_pair_of_names_leave_out_no_other_pair(
    album: Album, deployment: Deployment
) -> None:
    ann, cy = album.add("Ann_1.jpg"), album.add("Cy_1.jpg")
    decoys = [album.add(f"Decoy_{number}.jpg") for number in range(8)]
    for other in (cy, *decoys):
        album.report(other)
    album.report(ann, {cy: 99.5, **dict.fromkeys(decoys, 99.9)})

    evidence = collect(deployment, minimum=0, limit=5)

    assert ("Ann_1.jpg", "Cy_1.jpg", 99.5) in shown(evidence)
    assert (evidence.left_out, evidence.best_left_out, evidence.pairs_left_out) == (4, 99.9, 0)


def test_photographs_whose_reports_leave_names_out_are_named(
    album: Album, deployment: Deployment
) -> None:
    ann, bo = album.add("Ann_1.jpg"), album.add("Bo_1.jpg")
    album.report(ann, {bo: 99.0}, names_left_out=3)
    album.report(bo, more_names_possible=True)
    album.report(album.add("Cy_1.jpg"), {ann: 99.0}, left_out=5)
    album.report(
        album.add("Di_1.jpg", b"older"), {ann: 99.0}, names_left_out=3, ago=timedelta(minutes=1)
    )
    album.report(album.add("Di_1.jpg", b"newer"), {ann: 99.0})
    album.report(
        album.add("Eli_1.jpg", b"older"), {ann: 99.0}, names_left_out=3, ago=timedelta(minutes=1)
    )
    album.report(album.add("Eli_1.jpg", b"newer"))

    evidence = collect(deployment, minimum=0, limit=100)

    assert evidence.lacking == {
        ann.key: NamesLeftOut(3, more_possible=False),
        bo.key: NamesLeftOut(0, more_possible=True),
    }


def test_a_photograph_of_several_people_has_the_faces_that_may_be_meant(
    album: Album, deployment: Deployment
) -> None:
    ann, bo = album.add("Ann_1.jpg"), album.add("Bo_1.jpg")
    beside, behind, small = (Box(0.6, 0.1, width, 0.3) for width in (0.35, 0.15, 0.14))
    album.report(ann, {bo: 99.0}, unindexed=(small, behind, beside))
    album.report(bo, unindexed=(small,))

    shown = collect(deployment, minimum=0, limit=100).photographs

    assert [photograph.key for photograph in shown] == [ann.key, bo.key]
    faces, none = (photograph.people for photograph in shown)
    assert [face.face_id for face in faces] == [None, face_of(ann), None]
    assert [face.box for face in (faces[0], faces[2])] == [beside, behind]
    assert none == ()


def test_only_the_newest_report_tells_how_many_people_a_photograph_shows(
    album: Album, deployment: Deployment
) -> None:
    bo = album.add("Bo_1.jpg")
    album.report(album.add("Ann_1.jpg", b"a group"), faces=3, ago=timedelta(minutes=1))
    ann = album.add("Ann_1.jpg", b"a portrait")
    album.report(ann, {bo: 99.0})
    album.report(bo, faces=2)

    shown = collect(deployment, minimum=0, limit=100).photographs

    assert [len(photograph.people) for photograph in shown] == [0, 2]


def test_after_a_change_of_names_from_each_name_stands_for_its_own_matches(
    album: Album, deployment: Deployment
) -> None:
    ann, bo = album.add("Ann_1.jpg"), album.add("Bo_1.jpg")
    album.report(bo)
    album.report(ann, {bo: 99.0}, name="Ann (old pattern)")
    cy = album.add("Cy_1.jpg")
    album.report(cy, {ann: 98.0})

    evidence = collect(deployment, minimum=0, limit=100)

    assert [(p.key, p.name) for p in evidence.photographs] == [
        (ann.key, "Ann (old pattern)"),
        (bo.key, "Bo"),
        (ann.key, "Ann"),
        (cy.key, "Cy"),
    ]
    for one, other, _ in evidence.matches:
        names = [
            evidence.photographs[evidence.faces[face].photograph].name for face in (one, other)
        ]
        assert names[0] < names[1]


# --- Conflicts ---


def standing_alone(evidence: Evidence) -> list[tuple[str, str, int]]:
    """The conflicts, by the keys of both photographs without the prefix."""

    def key(face: int) -> str:
        photograph = evidence.photographs[evidence.faces[face].photograph]
        return photograph.key.removeprefix("images/")

    return [(key(c.face), key(c.other_face), c.photographs) for c in evidence.conflicts]


def test_a_photograph_that_resembles_no_other_one_of_its_record_is_shown_beside_the_best(
    album: Album, deployment: Deployment
) -> None:
    ann, lonely, third = (album.add(f"Ann_{number}.jpg") for number in (1, 2, 3))
    bo = album.add("Bo_1.jpg")
    album.report(ann, {bo: 99.0}, similar={third: 95.0})
    album.report(third)
    album.report(lonely, faces=2)
    album.report(bo)

    evidence = collect(deployment, minimum=0, limit=100)

    assert standing_alone(evidence) == [("Ann_2.jpg", "Ann_1.jpg", 3)]
    assert shown(evidence) == [("Ann_1.jpg", "Bo_1.jpg", 99.0)]
    (conflict,) = evidence.conflicts
    assert evidence.faces[conflict.face].face_id == face_of(lonely)
    assert evidence.faces[conflict.face].box.left == pytest.approx(box_of(lonely).left, abs=1e-5)
    assert conflict.other_face == evidence.matches[0][0], "a face of a match has one number"
    assert [photograph.key for photograph in evidence.photographs] == [
        ann.key,
        bo.key,
        lonely.key,
    ]
    assert evidence.photographs_matched == 2
    assert evidence.conflicts_left_out == 0


def test_a_record_of_two_photographs_is_one_conflict_that_stands_as_it_was_decided(
    album: Album, deployment: Deployment
) -> None:
    for image in [album.add(f"Ann_{number}.jpg") for number in (1, 2)]:
        album.report(image)

    assert standing_alone(collect(deployment, minimum=0, limit=100)) == [
        ("Ann_1.jpg", "Ann_2.jpg", 2)
    ]

    decide_about(album, "Ann", "images/Ann_2.jpg")
    assert standing_alone(collect(deployment, minimum=0, limit=100)) == [
        ("Ann_2.jpg", "Ann_1.jpg", 2)
    ]


def test_beyond_the_limit_of_conflicts_those_to_decide_stay(
    album: Album, deployment: Deployment
) -> None:
    for name in ("Ann", "Bo", "Cy"):
        for number in (1, 2):
            album.report(album.add(f"{name}_{number}.jpg"))
    decide_about(album, "Ann", "images/Ann_1.jpg")

    evidence = collect(deployment, minimum=0, limit=2)

    assert [key for key, *_ in standing_alone(evidence)] == ["Bo_1.jpg", "Cy_1.jpg"]
    assert evidence.conflicts_left_out == 1


def decide_about(album: Album, name: str, key: str) -> None:
    """Write a decision about a photograph and its record."""
    decision = Decision(
        record_a=record_of_name(name),
        record_b=record_of_photograph(key),
        name_a=name,
        name_b=key,
        decision=Decided.DIFFERENT_PEOPLE,
        note="",
        decided_by="Pat",
        decided_at=datetime(2026, 1, 2, tzinfo=UTC),
        similarity=0,
        keys=frozenset({key}),
    )
    album.cloud.write(
        decision_key(*decision.records), decision.to_record(imported_at=datetime.now(UTC))
    )


# --- Outcomes ---


def test_outcomes_count_each_key_once_by_the_newest_version_that_has_one(
    album: Album, deployment: Deployment
) -> None:
    ann, bo = album.add("Ann_1.jpg"), album.add("Bo_1.jpg")
    album.report(ann, {bo: 99.0}, faces=3)
    album.report(bo)
    album.report(album.add("Empty_1.jpg"), faces=0)
    album.fail(album.add("Broken_1.jpg"), FailureStatus.REJECTED)
    album.fail(album.add("Slow_1.jpg"), FailureStatus.TIMED_OUT)
    album.fail(album.add("Stopped_1.jpg"), FailureStatus.ABORTED)
    album.fail(album.add("Throttled_1.jpg"), FailureStatus.FAILED, "Unavailable")
    album.fail(album.add("Throttled_2.jpg"), FailureStatus.FAILED, "Unavailable")
    album.fail(album.add("Mended_1.jpg", b"broken"), FailureStatus.REJECTED)
    album.report(album.add("Mended_1.jpg", b"mended"))
    good = album.add("Spoilt_1.jpg", b"good")  # S3 tells times of uploads to the second
    album.report(replace(good, last_modified=good.last_modified - timedelta(seconds=1)), faces=5)
    album.fail(album.add("Spoilt_1.jpg", b"spoilt"), FailureStatus.REJECTED)
    replayed = album.add("Replayed_1.jpg")
    album.report(replayed)
    album.fail(replayed, FailureStatus.FAILED, "Unavailable")
    album.add("Waiting_1.jpg")

    evidence = collect(deployment, minimum=0, limit=100)

    assert evidence.counts == {
        "images": 11,
        "faces": 3 + 1 + 0 + 1 + 1,
        "MATCHED": 1,
        "UNIQUE": 3,
        "NO_FACE": 1,
        "REJECTED": 2,
        "FAILED": 2,
        "TIMED_OUT": 1,
        "ABORTED": 1,
    }
    assert evidence.days == [
        {
            "day": ann.day,
            "MATCHED": 1,
            "UNIQUE": 3,
            "NO_FACE": 1,
            "REJECTED": 2,
            "FAILED": 4,
        }
    ]
    assert evidence.failures == [
        {"reason": "NOT_JPEG_OR_PNG", "status": "REJECTED", "images": 2},
        {"reason": "Unavailable", "status": "FAILED", "images": 2},
        {"reason": "ABORTED", "status": "ABORTED", "images": 1},
        {"reason": "TIMED_OUT", "status": "TIMED_OUT", "images": 1},
    ]


def test_outcomes_stand_under_the_day_of_the_upload_in_order(
    album: Album, deployment: Deployment
) -> None:
    image = album.add("Ann_1.jpg")
    album.report(image)
    report = album.cloud.report(image)
    assert report

    def written(key: str, moment: str, status: str) -> None:
        changes = {"key": key, "version_id": moment, "uploaded_at": moment, "status": status}
        album.cloud.write(f"reports/dt={moment[:10]}/{key}{moment}.json", {**report, **changes})

    written(image.key, "2099-03-01T10:00:00.000Z", "NO_FACE")
    written("b", "2026-03-02T00:00:00.000Z", "UNIQUE")
    written("a", "2026-03-01T23:59:59.999Z", "MATCHED")
    written("a", "2026-02-01T23:00:00.000Z", "UNIQUE")

    days = collect(deployment, minimum=0, limit=100).days

    assert [(day["day"], day["MATCHED"], day["UNIQUE"], day["NO_FACE"]) for day in days] == [
        ("2026-03-01", 1, 0, 0),
        ("2026-03-02", 0, 1, 0),
        ("2099-03-01", 0, 0, 1),
    ]


def test_an_empty_deployment_is_an_empty_page(cloud: Cloud, deployment: Deployment) -> None:
    evidence = collect(deployment, minimum=0, limit=100)

    assert (evidence.photographs, evidence.faces, evidence.matches) == ([], [], [])
    assert set(evidence.counts.values()) == {0}
    assert (evidence.days, evidence.failures, evidence.decisions) == ([], [], [])
    assert cloud.records("reports/") is None


# --- Decisions ---


def test_decisions_are_told_as_they_were_made_also_without_evidence_any_more(
    album: Album, deployment: Deployment
) -> None:
    """How they stand depends on the page's threshold: see tests/page."""
    ann, bo = album.add("Ann_1.jpg"), album.add("Bo_1.jpg")
    album.report(ann, {bo: 99.5})
    album.decide(("Ann", "Bo"), Decided.DIFFERENT_PEOPLE, 98.5, bo, ann)
    album.decide(("Ann", "Xaver"), Decided.UNSURE, 99.5, ann)

    found, gone = collect(deployment, minimum=0, limit=100).decisions

    assert (found["name_a"], found["name_b"]) == ("Ann", "Bo")
    assert (found["decision"], found["similarity"]) == (Decided.DIFFERENT_PEOPLE, 98.5)
    assert (found["note"], found["decided_by"]) == ("looked twice", "Pat")
    assert found["decided_at"] == "2026-01-02T00:00:00.000Z"
    assert found["face_ids"] == sorted([face_of(ann), face_of(bo)])
    assert (gone["name_b"], gone["decision"]) == ("Xaver", Decided.UNSURE)


def test_two_spellings_of_one_record_are_no_match_whatever_an_old_report_says(
    album: Album, deployment: Deployment
) -> None:
    one, other = album.add("Ann Lee_1.jpg"), album.add("Ann  Lee_1.jpg")
    album.report(one, {other: 99.9})

    assert collected(deployment) == []
