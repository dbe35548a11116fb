"""The report step: what is written, what is removed, and by which threshold it is judged."""

from __future__ import annotations

from datetime import UTC, datetime
from time import time as time_of_day
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from functions.aws.parameters import CACHE_SECONDS
from functions.matching.decisions import Decided, Decision, decision_key, records_digest
from functions.matching.errors import Unavailable
from functions.matching.identity import record_of_name
from functions.matching.images import UploadedImage
from functions.matching.keys import version_digest
from functions.matching.reports import delivery_failure_key, failure_key
from tests.unit.cloud import COLLECTION, OUTPUT, THRESHOLD_PARAMETER
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud


@pytest.fixture
def image(cloud: Cloud) -> UploadedImage:
    """An image of Ann whose face is there as Bo's (99.6 %) and as Cy's (94 %)."""
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(5)))
    cloud.index(cloud.upload("images/Cy_1.jpg", photograph(20)))
    return cloud.upload("images/Ann_1.jpg", photograph(0))


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The clock of the parameter's cache, to be set forward, seconds."""
    forward = {"seconds": 0.0}
    clock = SimpleNamespace(time=lambda: time_of_day() + forward["seconds"])
    monkeypatch.setattr("functions.aws.parameters.time", clock)
    return forward


def run(cloud: Cloud, event: Any) -> tuple[Any, Any]:
    """Run the step: its verdict, and the report that it wrote."""
    verdict = cloud.run("report", event)
    (report,) = cloud.records(verdict["report_key"]) or []
    return verdict, report


def test_a_match_is_reported_with_its_evidence_and_a_row_each(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    _, report = run(cloud, event)
    rows = cloud.rows(image)
    assert (report["status"], report["name"], report["key"]) == ("MATCHED", "Ann", image.key)
    assert report["execution_arn"] == event["execution_arn"]
    assert [match["name"] for match in report["faces"][0]["matches"]] == ["Bo", "Cy"]
    assert [(row["name"], row["matched_name"]) for row in rows] == [("Ann", "Bo"), ("Ann", "Cy")]
    assert rows[0]["similarity"] == report["best_similarity"]


@pytest.mark.parametrize(
    ("threshold", "above"), [("99", True), ("99.61", True), ("99.9", False), ("100", False)]
)
def test_the_verdict_carries_the_numbers_that_the_choice_compares(
    cloud: Cloud, image: UploadedImage, threshold: str, *, above: bool
) -> None:
    cloud.set_threshold(threshold)
    verdict, report = run(cloud, cloud.report_event(image))
    prominent_faces = {
        match["key"]: 1
        for match in [{"key": image.key}, *report["faces"][0]["matches"]]
        if above and match.get("similarity", 100.0) >= float(threshold)
    }
    assert verdict == {
        "status": "MATCHED",
        "best_similarity": report["best_similarity"],
        "best_open_similarity": report["best_open_similarity"],
        "notify_similarity": report["best_open_similarity"],
        "silenced": [],
        "reopened": [],
        "same_files": [],
        "prominent_faces": prominent_faces,
        "notify_threshold": float(threshold),
        "above_threshold": above,
        "report_bucket": OUTPUT,
        "report_key": f"reports/dt={image.day}/{image.digest}.json",
    }
    assert (report["above_threshold"], report["notify_threshold"]) == (above, float(threshold))


@pytest.mark.parametrize(("photo", "status"), [((90,), "UNIQUE"), ((), "NO_FACE")])
def test_without_a_match_there_is_a_report_and_no_row(
    cloud: Cloud, photo: tuple[float, ...], status: str
) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(*photo))
    verdict, report = run(cloud, cloud.report_event(image))
    assert report["status"] == verdict["status"] == status
    assert verdict["best_similarity"] == 0
    assert verdict["above_threshold"] is False
    assert cloud.rows(image) == []


def test_a_report_removes_the_failure_record_of_its_version_only(
    cloud: Cloud, image: UploadedImage
) -> None:
    other = cloud.upload("images/Dee_1.jpg", photograph(180))
    for failed in (image, other):
        cloud.write(failure_key(failed), {"status": "FAILED"})
    cloud.run("report", cloud.report_event(image))
    assert cloud.failure(image) is None
    assert cloud.failure(other) == {"status": "FAILED"}


def test_a_new_attempt_removes_the_record_of_a_notification_that_failed(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    cloud.write(delivery_failure_key(image), {"status": "FAILED"})
    cloud.run("report", {**event, "execution_arn": f"{event['execution_arn']}-r1"})
    assert cloud.delivery_failure(image) is None


def test_a_replay_writes_the_same_objects_again(cloud: Cloud, image: UploadedImage) -> None:
    event = cloud.report_event(image)

    def objects() -> dict[str, Any]:
        listed = cloud.s3.list_objects_v2(Bucket=OUTPUT)["Contents"]
        return {i["Key"]: i["ETag"] for i in listed if not i["Key"].startswith("indexed/")}

    cloud.run("report", event)
    before = objects()
    cloud.run("report", event)
    assert objects() == before
    assert len(before) == 2


def test_a_replay_that_finds_no_match_any_more_removes_the_rows(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    cloud.run("report", event)
    nothing = {**event["search"], "matches": [], "best_similarity": 0}
    _, report = run(cloud, {**event, "search": nothing})
    assert report["status"] == "UNIQUE"
    assert cloud.rows(image) == []


def test_each_photograph_of_the_same_record_that_resembles_the_image_has_a_row(
    cloud: Cloud, image: UploadedImage
) -> None:
    for key, angle in (
        ("images/Ann_2.jpg", 3),
        ("images/a/Ann_3.jpg", 10),
        ("images/Ann_4.jpg", 80),
    ):
        cloud.index(cloud.upload(key, photograph(angle)))
    _, report = run(cloud, cloud.report_event(image))
    rows = cloud.look_alikes(image)
    assert [row["other_key"] for row in rows] == ["images/Ann_2.jpg", "images/a/Ann_3.jpg"]
    assert rows[0]["similarity"] > rows[1]["similarity"]
    assert all(value == report[column] for column, value in list(rows[0].items())[:-2])
    assert (report["same_name_matches"], report["look_alikes_left_out"]) == (2, 0)
    assert "images/Ann_2.jpg" not in str(report)


def test_a_replay_that_finds_no_look_alike_any_more_removes_the_rows(
    cloud: Cloud, image: UploadedImage
) -> None:
    cloud.index(cloud.upload("images/Ann_2.jpg", photograph(3)))
    event = cloud.report_event(image)
    cloud.run("report", event)
    assert cloud.look_alikes(image)
    cloud.run("report", {**event, "search": {**event["search"], "look_alikes": []}})
    assert cloud.look_alikes(image) == []


def test_a_search_that_was_under_way_when_the_stack_was_updated_is_reported(
    cloud: Cloud, image: UploadedImage
) -> None:
    cloud.index(cloud.upload("images/Ann_2.jpg", photograph(3)))
    event = cloud.report_event(image)
    for field in ("look_alikes", "look_alikes_left_out"):
        del event["search"][field]
    _, report = run(cloud, event)
    assert (cloud.look_alikes(image), report["look_alikes_left_out"]) == ([], 1)


def test_rows_are_there_before_the_report_and_the_failure_goes_last(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    cloud.write(failure_key(image), {"status": "FAILED"})
    cloud.meanwhile("PutObject", lambda: None)
    cloud.fail_next("PutObject", "503", status=503)
    with pytest.raises(Unavailable):
        cloud.run("report", event)
    assert cloud.rows(image)
    assert cloud.report(image) is None
    assert cloud.failure(image)


def test_a_throttled_s3_is_unavailable_and_the_retry_completes_the_report(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    cloud.fail_next("PutObject", "SlowDown", status=503)
    with pytest.raises(Unavailable):
        cloud.run("report", event)
    cloud.run("report", event)
    assert cloud.report(image)
    assert len(cloud.rows(image)) == 2


@pytest.mark.parametrize("value", ["0.99", "abc", "101", "79.9", "nan", "99,5", "-1", "inf"])
def test_an_impossible_threshold_is_unavailable_until_it_is_set_right(
    cloud: Cloud, image: UploadedImage, value: str
) -> None:
    cloud.set_threshold(value)
    event = cloud.report_event(image)
    with pytest.raises(Unavailable) as raised:
        cloud.run("report", event)
    assert value in str(raised.value)
    assert THRESHOLD_PARAMETER in str(raised.value)
    assert cloud.report(image) is None
    cloud.set_threshold("99.5")
    assert cloud.run("report", event)["notify_threshold"] == 99.5


def test_a_missing_threshold_is_unavailable_until_it_is_there(
    cloud: Cloud, image: UploadedImage
) -> None:
    cloud.ssm.delete_parameter(Name=THRESHOLD_PARAMETER)
    event = cloud.report_event(image)
    with pytest.raises(Unavailable, match=THRESHOLD_PARAMETER):
        cloud.run("report", event)
    cloud.set_threshold("99.5")
    assert cloud.run("report", event)["notify_threshold"] == 99.5


def test_a_throttled_parameter_store_is_unavailable(cloud: Cloud, image: UploadedImage) -> None:
    event = cloud.report_event(image)
    cloud.fail_next("GetParameter", "ThrottlingException")
    with pytest.raises(Unavailable):
        cloud.run("report", event)


def test_a_changed_threshold_is_noticed_after_the_cache_time_and_not_asked_for_before(
    cloud: Cloud, image: UploadedImage, time: dict[str, float]
) -> None:
    event = cloud.report_event(image)
    assert cloud.run("report", event)["notify_threshold"] == 99
    cloud.set_threshold("95")
    time["seconds"] = CACHE_SECONDS - 5
    assert cloud.run("report", event)["notify_threshold"] == 99
    time["seconds"] = CACHE_SECONDS + 5
    assert cloud.run("report", event)["notify_threshold"] == 95


def test_a_threshold_that_becomes_impossible_is_noticed_too(
    cloud: Cloud, image: UploadedImage, time: dict[str, float]
) -> None:
    event = cloud.report_event(image)
    cloud.run("report", event)
    cloud.set_threshold("0.99")
    time["seconds"] = CACHE_SECONDS + 5
    with pytest.raises(Unavailable):
        cloud.run("report", event)


# --- What people decided ---


def faces_of(match: Any) -> tuple[str, str]:
    return match["face_id"], match["searched_face_id"]


def decide(
    cloud: Cloud, name: str, other: str, decided: Decided, similarity: float, *face_ids: str
) -> None:
    decision = Decision(
        record_a=record_of_name(min(name, other)),
        record_b=record_of_name(max(name, other)),
        name_a=min(name, other),
        name_b=max(name, other),
        decision=decided,
        note="",
        decided_by="Rea Viewer",
        decided_at=datetime(2026, 11, 20, tzinfo=UTC),
        similarity=similarity,
        face_ids=frozenset(face_ids),
    )
    cloud.write(decision_key(*decision.records), decision.to_record(imported_at=datetime.now(UTC)))


def test_a_pair_decided_against_notifies_nobody_and_stays_in_the_report(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    best = event["search"]["matches"][0]
    decide(cloud, "Bo", "Ann", Decided.DIFFERENT_PEOPLE, best["similarity"], *faces_of(best))

    verdict, report = run(cloud, event)
    assert (report["status"], report["best_similarity"]) == ("MATCHED", best["similarity"])
    assert (report["above_threshold"], report["silenced"]) == (False, ["name:Bo"])
    assert verdict["above_threshold"] is False
    # Cy is left: below the threshold.
    assert 80 < verdict["best_open_similarity"] < verdict["notify_threshold"]
    assert [r["matched_name"] for r in cloud.rows(image)] == ["Bo", "Cy"]


def test_another_pair_above_the_threshold_still_notifies(
    cloud: Cloud, image: UploadedImage
) -> None:
    cloud.set_threshold("90")
    event = cloud.report_event(image)
    best, second = event["search"]["matches"]
    decide(cloud, "Ann", "Bo", Decided.DIFFERENT_PEOPLE, 100, *faces_of(best))

    verdict = cloud.run("report", event)
    assert verdict["above_threshold"] is True
    assert verdict["best_open_similarity"] == second["similarity"]
    assert verdict["silenced"] == [records_digest("name:Ann", "name:Bo")]


@pytest.mark.parametrize(
    ("similarity", "face_ids", "why"),
    [(99.0, 2, "HIGHER_SIMILARITY"), (100.0, 1, "NEW_PHOTOGRAPH")],
)
def test_stronger_evidence_opens_a_pair_again(
    cloud: Cloud, image: UploadedImage, similarity: float, face_ids: int, why: str
) -> None:
    event = cloud.report_event(image)
    best = event["search"]["matches"][0]
    seen = faces_of(best)[:face_ids]
    decide(cloud, "Ann", "Bo", Decided.DIFFERENT_PEOPLE, similarity, *seen)

    verdict, report = run(cloud, event)
    assert (report["above_threshold"], report["reopened"]) == (True, ["name:Bo"])
    (reopened,) = verdict["reopened"]
    assert (reopened["name"], reopened["why"]) == ("Bo", [why])
    assert verdict["best_open_similarity"] == best["similarity"]


@pytest.mark.parametrize("seen", [True, False])
def test_a_pair_confirmed_as_the_same_person_is_known_whatever_the_evidence(
    cloud: Cloud, image: UploadedImage, *, seen: bool
) -> None:
    event = cloud.report_event(image)
    best = event["search"]["matches"][0]
    faces = faces_of(best) if seen else ("another",)
    decide(cloud, "Ann", "Bo", Decided.SAME_PERSON, 100 if seen else 81, *faces)

    verdict, report = run(cloud, event)
    assert (report["status"], report["best_similarity"]) == ("MATCHED", best["similarity"])
    assert (report["above_threshold"], verdict["above_threshold"]) == (False, False)
    assert (report["known"], report["silenced"]) == (["name:Bo"], [])
    assert verdict["notify_similarity"] < verdict["notify_threshold"]
    assert verdict["silenced"] == [records_digest("name:Ann", "name:Bo")]


@pytest.mark.parametrize("decided", [Decided.UNSURE, Decided.UNDECIDED])
def test_any_other_decision_silences_nothing(
    cloud: Cloud, image: UploadedImage, decided: Decided
) -> None:
    event = cloud.report_event(image)
    best = event["search"]["matches"][0]
    decide(cloud, "Ann", "Bo", decided, 100, *faces_of(best))
    assert cloud.run("report", event)["above_threshold"] is True


def test_a_broken_decision_stops_the_step_and_names_nobody(
    cloud: Cloud, image: UploadedImage
) -> None:
    cloud.write(
        decision_key("name:Ann", "name:Bo"), {"name_a": "Ann", "name_b": "Bo", "decision": "?"}
    )
    event = cloud.report_event(image)
    with pytest.raises(ValueError, match="redrive") as raised:
        cloud.run("report", event)
    assert records_digest("name:Ann", "name:Bo") in str(raised.value)
    assert "Ann" not in str(raised.value)
    assert cloud.report(image) is None
    decide(cloud, "Ann", "Bo", Decided.UNSURE, 100, "a")
    assert cloud.run("report", event)["above_threshold"] is True


def test_decisions_that_cannot_be_read_now_are_unavailable(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    cloud.fail_next("GetObject", "SlowDown", status=503, times=2)
    with pytest.raises(Unavailable):
        cloud.run("report", event)


def test_a_name_that_was_left_out_notifies_though_every_listed_one_was_decided_against(
    cloud: Cloud,
) -> None:
    cloud.handler("search", MAX_MATCHES="2")
    for angle in (1, 2, 3):
        cloud.index(cloud.upload(f"images/P{angle}_1.jpg", photograph(angle)))
    event = cloud.report_event(cloud.upload("images/Ann_1.jpg", photograph(0)))
    for listed in event["search"]["matches"]:
        decide(cloud, "Ann", listed["name"], Decided.DIFFERENT_PEOPLE, 100, *faces_of(listed))

    verdict, report = run(cloud, event)
    assert report["silenced"] == ["name:P1", "name:P2"]
    assert report["best_open_similarity"] == verdict["best_open_similarity"] == 0
    assert (report["names_left_out"], report["more_names_possible"]) == (1, False)
    assert report["best_left_out_similarity"] == pytest.approx(99.86, abs=0.01)
    assert verdict["notify_similarity"] == report["best_left_out_similarity"]
    assert report["above_threshold"] is verdict["above_threshold"] is True
    image = UploadedImage.from_payload(event["image"])
    assert [row["names_left_out"] for row in cloud.rows(image)] == [1, 1]


def test_a_name_that_was_left_out_below_the_threshold_notifies_nobody_and_is_said(
    cloud: Cloud,
) -> None:
    cloud.handler("search", MAX_MATCHES="1")
    for angle in (15, 20):
        cloud.index(cloud.upload(f"images/P{angle}_1.jpg", photograph(angle)))
    verdict, report = run(
        cloud, cloud.report_event(cloud.upload("images/Ann_1.jpg", photograph(0)))
    )
    assert (report["status"], report["names_left_out"]) == ("MATCHED", 1)
    assert report["best_left_out_similarity"] == pytest.approx(93.97, abs=0.01)
    assert report["above_threshold"] is verdict["above_threshold"] is False


def test_an_image_whose_search_may_lack_faces_is_never_unique_and_notifies(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", photograph(0))
    indexed = cloud.index(image)
    cloud.rekognition.copy_faces(COLLECTION, "images::Ann_2.jpg", angle=3, count=4096)
    event = {
        "image": image.to_payload(),
        "index": indexed,
        "search": cloud.search(image, indexed),
        "execution_arn": cloud.execution_arn(image),
    }
    verdict, report = run(cloud, event)
    assert (report["status"], report["other_name_matches"]) == ("MATCHED", 0)
    assert (report["names_left_out"], report["more_names_possible"]) == (0, True)
    assert verdict["best_open_similarity"] == 0
    assert verdict["notify_similarity"] == pytest.approx(99.86, abs=0.01)
    assert verdict["above_threshold"] is True


def test_a_decision_about_a_match_that_notifies_nobody_silences_nothing(
    cloud: Cloud, image: UploadedImage
) -> None:
    event = cloud.report_event(image)
    second = event["search"]["matches"][1]
    assert second["name"] == "Cy"
    decide(cloud, "Ann", "Cy", Decided.DIFFERENT_PEOPLE, second["similarity"], *faces_of(second))
    verdict, report = run(cloud, event)
    assert (report["silenced"], verdict["silenced"]) == ([], [])
    assert verdict["above_threshold"] is True


# --- The same file under two names ---


def same_files(cloud: Cloud, content: bytes) -> Any:
    """What the verdict on a photograph of Ann says, where Bo's and Cy's are the same file."""
    for name, copy in (("Bo", photograph(0)), ("Cy", photograph(0)), ("Dee", photograph(1))):
        cloud.index(cloud.upload(f"images/{name}_1.jpg", copy))
    image = cloud.upload("images/Ann_1.jpg", content)
    return cloud.run("report", cloud.report_event(image))["same_files"]


def test_photographs_of_the_same_bytes_are_the_same_file(cloud: Cloud) -> None:
    assert same_files(cloud, photograph(0)) == ["images/Bo_1.jpg", "images/Cy_1.jpg"]


def test_another_photograph_of_the_same_face_is_not(cloud: Cloud) -> None:
    assert same_files(cloud, photograph(0, blurred=1)) == []


def heads(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, image: UploadedImage) -> int:
    """How often the report step asks S3 about an object, beside once about its own."""
    event = cloud.report_event(image)
    cloud.run("report", event)  # its client is made
    asked: list[str] = []
    answer = cloud.before_call

    def heard(model: Any, params: dict[str, Any], **rest: Any) -> Any:
        asked.append(model.name)
        return answer(model, params, **rest)

    monkeypatch.setattr(cloud, "before_call", heard)
    cloud.run("report", event)
    return asked.count("HeadObject") - 1


def test_s3_is_asked_about_what_may_be_a_copy_and_notifies_only(
    cloud: Cloud, image: UploadedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heads(cloud, monkeypatch, image) == 0  # Bo, at 99.6 %, and Cy, below the threshold
    copy = cloud.upload("images/Eve_1.jpg", photograph(5))
    assert heads(cloud, monkeypatch, copy) == 1  # Bo


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("change", ["deleted", "overwritten", "denied"])
def test_what_s3_does_not_tell_is_not_claimed(cloud: Cloud, change: str) -> None:
    copy = cloud.upload("images/Eve_1.jpg", photograph(5))
    event = cloud.report_event(copy)
    if change == "deleted":
        cloud.s3.delete_object(Bucket=copy.bucket, Key="images/Bo_1.jpg")
    elif change == "overwritten":
        cloud.upload("images/Bo_1.jpg", photograph(6))
    else:
        cloud.meanwhile("HeadObject", lambda: None)  # about the image itself
        cloud.fail_next("HeadObject", "403", status=403)

    assert cloud.run("report", event)["same_files"] == []


@pytest.mark.usefixtures("image")
def test_a_throttled_s3_is_asked_again(cloud: Cloud) -> None:
    event = cloud.report_event(cloud.upload("images/Eve_1.jpg", photograph(5)))
    cloud.meanwhile("HeadObject", lambda: None)
    cloud.fail_next("HeadObject", "503", status=503)
    with pytest.raises(Unavailable):
        cloud.run("report", event)
    assert cloud.run("report", event)["same_files"] == ["images/Bo_1.jpg"]


@pytest.mark.parametrize("seen", [True, False])
def test_another_version_under_the_key_that_was_seen_opens_a_pair_again(
    cloud: Cloud, image: UploadedImage, *, seen: bool
) -> None:
    event = cloud.report_event(image)
    best = event["search"]["matches"][0]
    head = cloud.s3.head_object(Bucket=image.bucket, Key=best["key"])
    version = head.get("VersionId") or f"etag:{head['ETag'].strip(chr(34))}"
    digest = version_digest(image.bucket, best["key"], version)
    now = datetime.now(UTC)
    decision = Decision(
        record_a="name:Ann",
        record_b="name:Bo",
        name_a="Ann",
        name_b="Bo",
        decision=Decided.DIFFERENT_PEOPLE,
        note="",
        decided_by="Rea Viewer",
        decided_at=datetime(2026, 11, 20, tzinfo=UTC),
        similarity=100,
        versions=frozenset({image.digest, digest if seen else "an older version"}),
        keys=frozenset({image.key, best["key"]}),
    )
    cloud.write(decision_key(*decision.records), decision.to_record(imported_at=now))

    verdict, report = run(cloud, event)
    assert report["silenced"] == (["name:Bo"] if seen else [])
    assert [pair["why"] for pair in verdict["reopened"]] == ([] if seen else [["NEW_PHOTOGRAPH"]])
