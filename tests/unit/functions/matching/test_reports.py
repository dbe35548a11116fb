"""The report, its match rows and its outcome."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.identity import Identity
from functions.matching.matches import pair_id
from functions.matching.reports import (
    Outcome,
    Verdict,
    failure_key,
    is_above_threshold,
    is_cut,
    json_lines,
    match_rows,
    matches_key,
    passes,
    report,
    report_key,
    without_matches,
)
from tests.pile import as_version_1
from tests.unit.strategies import images, searches, similarities, texts

if TYPE_CHECKING:
    from functions.matching.faces import IndexedFaces, SearchResult
    from functions.matching.images import UploadedImage

#: Columns that a row shares with its report.
SHARED = (
    *("digest", "bucket", "key", "version_id", "name", "record"),
    *("uploaded_at", "searched_at"),
    *("search_threshold", "notify_threshold", "execution_arn", "schema_version"),
)


def written(
    image: UploadedImage, indexed: IndexedFaces, searched: SearchResult, threshold: float = 99.0
) -> dict[str, Any]:
    made = report(
        image,
        indexed,
        searched,
        own=Identity("Ann"),
        search_threshold=80.0,
        notify_threshold=threshold,
        execution_arn="arn",
    )
    (line,) = json_lines([made]).splitlines()
    read: dict[str, Any] = json.loads(line)
    return read


@given(image=images(), search=searches())
def test_every_match_of_a_report_has_its_row_and_no_other(
    image: UploadedImage, search: tuple[IndexedFaces, SearchResult]
) -> None:
    made = written(image, *search)
    rows = match_rows(made)
    assert made["other_name_matches"] == len(rows) == len(search[1].matches)
    assert max((row["similarity"] for row in rows), default=0) == made["best_similarity"]
    in_report = [
        (match["pair_id"], face["face_id"], match["face_id"], match["key"], match["name"])
        for face in made["faces"]
        for match in face["matches"]
    ]
    columns = ("pair_id", "face_id", "matched_face_id", "matched_key", "matched_name")
    assert [tuple(row[column] for column in columns) for row in rows] == in_report
    assert all(row[column] == made[column] for row in rows for column in SHARED)
    assert all(row["pair_id"] == pair_id(row["face_id"], row["matched_face_id"]) for row in rows)


@given(image=images(), search=searches())
def test_a_row_is_flat(image: UploadedImage, search: tuple[IndexedFaces, SearchResult]) -> None:
    for row in match_rows(written(image, *search)):
        assert not any(isinstance(value, list | dict) for value in row.values())


@given(image=images(), search=searches())
def test_the_outcome_is_what_the_faces_and_matches_say(
    image: UploadedImage, search: tuple[IndexedFaces, SearchResult]
) -> None:
    indexed, searched = search
    made = written(image, indexed, searched)
    expected = {(False, False): Outcome.NO_FACE, (True, False): Outcome.UNIQUE}
    found = bool(searched.matches or searched.names_left_out or searched.more_names_possible)
    assert made["status"] == expected.get((bool(indexed.faces), found), Outcome.MATCHED)
    assert made["faces_in_image"] == len(indexed.faces) + len(indexed.unindexed)
    assert made["matches_left_out"] == searched.left_out


@given(image=images(), search=searches(), threshold=similarities)
def test_a_report_notifies_exactly_from_the_threshold_up(
    image: UploadedImage, search: tuple[IndexedFaces, SearchResult], threshold: float
) -> None:
    made = written(image, *search, threshold)
    lacking = search[1].best_left_out_similarity
    assert made["above_threshold"] is any(
        similarity >= threshold
        for similarity in (lacking, *(match.similarity for match in search[1].matches))
    )
    assert is_above_threshold(made) is made["above_threshold"]
    assert made["notify_threshold"] == threshold


@pytest.mark.parametrize("above", [True, False])
def test_a_report_of_schema_version_1_says_it_under_another_name(*, above: bool) -> None:
    assert is_above_threshold({"schema_version": 1, "notified": above}) is above
    assert is_above_threshold({"schema_version": 2, "above_threshold": above}) is above


@pytest.mark.parametrize("version", [1, 2])
@given(image=images(), search=searches(), threshold=similarities, data=st.data())
def test_what_a_forgetting_leaves_is_above_the_threshold_by_what_is_left(
    version: int,
    image: UploadedImage,
    search: tuple[IndexedFaces, SearchResult],
    threshold: float,
    data: st.DataObject,
) -> None:
    made = written(image, *search, threshold)
    if version == 1:
        made = as_version_1(made)
    gone = data.draw(st.sets(st.sampled_from([m.record for m in search[1].matches] or [""])))

    left = without_matches(made, lambda _key, record: record in gone, forgotten_record=None)

    still = [m.similarity for m in search[1].matches if m.record not in gone]
    # Version 1 did not say how similar what it left out is: it may be all that made it notify.
    unknown = made["best_open_similarity"] if made["matches_left_out"] else 0.0
    still.append(made.get("best_left_out_similarity", unknown))
    assert is_above_threshold(left) is any(similarity >= threshold for similarity in still)
    assert left.keys() == made.keys()


@pytest.mark.parametrize("version", [1, 2])
@given(image=images(), search=searches())
def test_only_a_report_that_left_nothing_out_becomes_unique_by_a_forgetting(
    version: int, image: UploadedImage, search: tuple[IndexedFaces, SearchResult]
) -> None:
    made = written(image, *search)
    if version == 1:
        made = as_version_1(made)

    left = without_matches(made, lambda _key, _record: True, forgotten_record=None)

    cut = made["matches_left_out"] > 0 or made.get("more_names_possible", False)
    became_unique = left["status"] != made["status"]
    assert became_unique is (bool(search[1].matches) and not cut)
    assert is_cut(left) is is_cut(made) is cut


def test_a_forgotten_name_leaves_the_known_names_and_a_known_one_stays_quiet() -> None:
    faces = [
        {"matches": [{"key": f"{n}_1.jpg", "name": n, "similarity": 99.5} for n in ("Bo", "Cy")]}
    ]
    made = {
        **dict.fromkeys(("best_similarity", "best_open_similarity", "best_left_out_similarity"), 0),
        "matches_left_out": 0,
        "names_left_out": 0,
        "more_names_possible": False,
        "status": "MATCHED",
        "faces": faces,
        "notify_threshold": 99,
        "above_threshold": False,
        "silenced": [],
        "known": ["name:Bo", "name:Cy"],
        "reopened": [],
    }

    left = without_matches(
        made, lambda _key, record: record == "name:Bo", forgotten_record="name:Bo"
    )

    assert (left["known"], left["above_threshold"]) == (["name:Cy"], False)
    assert left["best_open_similarity"] == 0


@given(image=images(), search=searches(), above=st.booleans())
def test_a_report_that_never_saw_the_forgotten_is_left_as_it_is(
    image: UploadedImage, search: tuple[IndexedFaces, SearchResult], *, above: bool
) -> None:
    made = {**as_version_1(written(image, *search)), "notified": above}

    assert without_matches(made, lambda _key, _record: False, forgotten_record="name:Zed") == made


@pytest.mark.parametrize(
    ("best", "threshold", "notifies"),
    [(99.0, 99.0, True), (98.999, 99.0, False), (100.0, 100.0, True), (0.0, 0.0, False)],
)
def test_no_match_is_never_worth_a_notification(
    best: float, threshold: float, *, notifies: bool
) -> None:
    assert passes(best, threshold) is notifies


@given(image=images())
def test_records_of_a_version_lie_under_the_day_of_its_upload(image: UploadedImage) -> None:
    name = f"dt={image.last_modified:%Y-%m-%d}/{image.digest}.json"
    keys = [report_key(image), matches_key(image), failure_key(image)]
    assert keys == [f"reports/{name}", f"matches/{name}", f"failures/{name}"]


@given(records=st.lists(st.dictionaries(texts, texts | st.integers(), max_size=3), max_size=5))
def test_json_lines_has_one_object_in_a_line(records: list[dict[str, Any]]) -> None:
    lines = json_lines(records).split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == records


@given(
    verdict=st.builds(
        Verdict,
        status=st.sampled_from(Outcome),
        best_similarity=similarities,
        best_open_similarity=similarities,
        notify_similarity=similarities,
        notify_threshold=similarities,
        above_threshold=st.booleans(),
        report_bucket=texts,
        report_key=texts,
    )
)
def test_a_verdict_comes_back_from_its_payload(verdict: Verdict) -> None:
    payload = json.loads(json.dumps(verdict.to_payload()))
    assert Verdict.from_payload(payload) == verdict

    # What an execution carries that had written its report before the stack was updated.
    payload["notified"] = payload.pop("above_threshold")
    del payload["notify_similarity"]
    before = Verdict.from_payload(payload)
    assert before == replace(verdict, notify_similarity=verdict.best_open_similarity)
