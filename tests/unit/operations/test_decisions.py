"""Decisions about pairs of records: when a pair opens again, and what can be imported."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from facematch.errors import Actionable
from facematch.files.spreadsheets import guarded
from facematch.operations.decisions import (
    COLUMNS,
    NEW_COLUMNS,
    NotDecisions,
    decisions_in,
    import_decisions,
    read_decisions,
)
from facematch.operations.decisions import exported as every_decision
from facematch.stack.deployment import Deployment
from functions.matching.decisions import (
    DECIDED_BY_LIMIT,
    NOTE_LIMIT,
    SEEN,
    Decided,
    Decision,
    NewEvidence,
    Shown,
    Standing,
    decision_key,
    judgement,
    standing,
)
from tests.unit.cloud import IMAGES, OUTPUT, own_client
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.functions.matching.test_notifications import match
from tests.unit.strategies import awkward, texts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cloud import Cloud

DECIDED_AT = datetime(2026, 1, 20, 9, tzinfo=UTC)
DIFFERENT = Decision(
    record_a="name:Ann",
    record_b="name:Bo",
    name_a="Ann",
    name_b="Bo",
    decision=Decided.DIFFERENT_PEOPLE,
    note="brothers",
    decided_by="Rea Viewer",
    decided_at=DECIDED_AT,
    similarity=99.5,
    versions=frozenset({"a1", "b1"}),
    keys=frozenset({"Ann_1", "Bo_1"}),
)
NAMES = (texts | awkward).filter(lambda name: bool(name.strip()))


def exported(decision: Decision) -> dict[str, Any]:
    """The decision as the page exports it."""
    record = decision.to_record(imported_at=DECIDED_AT)
    return {column: record[column] for column in (*NEW_COLUMNS, *COLUMNS)}


def photographs(*versions: str) -> set[Shown]:
    """Photographs of these versions, which name their keys: `b2` is a version of Bo_1."""
    keys = {"a": "Ann_1", "b": "Bo_1", "c": "Cy_1"}
    return {Shown(keys[version[0]], version, f"face of {version}") for version in versions}


@given(one=NAMES, other=NAMES)
def test_a_pair_has_one_decision_whichever_name_comes_first(one: str, other: str) -> None:
    assert decision_key(one, other) == decision_key(other, one)
    third = one + other + "x"
    assert decision_key(one, other) != decision_key(one, third)


@given(
    decision=st.builds(
        Decision,
        name_a=NAMES,
        name_b=NAMES,
        decision=st.sampled_from(Decided),
        note=texts.map(lambda text: text[:NOTE_LIMIT]),
        decided_by=NAMES.map(lambda text: text[:DECIDED_BY_LIMIT]).filter(str.strip),
        decided_at=st.just(DECIDED_AT),
        similarity=st.floats(0, 100),
        record_a=NAMES.map("id:{}".format),
        record_b=NAMES.map("name:{}".format),
        versions=st.frozensets(st.uuids().map(str), max_size=5),
        keys=st.frozensets(NAMES, max_size=5),
        face_ids=st.frozensets(st.uuids().map(str), min_size=1, max_size=5),
    )
)
def test_a_decision_comes_back_from_its_record(decision: Decision) -> None:
    record = json.loads(json.dumps(decision.to_record(imported_at=DECIDED_AT)))
    assert Decision.from_record(record) == decision
    swapped = dict(record)
    for column in ("name", "record"):
        swapped[f"{column}_a"], swapped[f"{column}_b"] = (
            record[f"{column}_b"],
            record[f"{column}_a"],
        )
    assert Decision.from_record(swapped) == decision


# --- Standing ---


@pytest.mark.parametrize(
    ("similarity", "shown", "why"),
    [
        (99.5, {"a1", "b1"}, []),
        (99.1, {"a1", "b1"}, []),
        (99.5, {"a1"}, []),
        (99.504, {"a1", "b1"}, []),  # people see two places
        (99.51, {"a1", "b1"}, ["HIGHER_SIMILARITY"]),
        (99.1, {"a1", "b2"}, ["NEW_PHOTOGRAPH"]),
        (99.9, {"a2", "b1"}, ["HIGHER_SIMILARITY", "NEW_PHOTOGRAPH"]),
    ],
)
def test_different_people_are_open_again_on_stronger_evidence_only(
    similarity: float, shown: set[str], why: list[str]
) -> None:
    stands = standing(DIFFERENT, similarity=similarity, photographs=photographs(*shown))
    assert stands == (Standing.REOPENED if why else Standing.DIFFERENT_PEOPLE, tuple(why))


@pytest.mark.parametrize(
    ("seen", "shown", "is_new"),
    [
        # All faces have other ids after an update of the face model; the photographs are the same.
        ({"versions": {"a1", "b1"}}, Shown("Bo_1", "b1", "another face"), False),
        ({"versions": {"a1", "b1"}, "keys": {"Bo_1"}}, Shown("Bo_1", "b2", "b1"), True),
        # Without a version the key counts alone: nobody knows one, or the decision has none.
        ({"versions": {"a1", "b1"}, "keys": {"Bo_1"}}, Shown("Bo_1", None, "x"), False),
        ({"versions": {"a1", "b1"}, "keys": {"Bo_1"}}, Shown("Bo_2", None, "x"), True),
        ({"keys": {"Bo_1"}}, Shown("Bo_1", "b2", "x"), False),
        ({"keys": {"Bo_1"}}, Shown("Bo_2", "b2", "x"), True),
        # A decision of an earlier version knows faces only.
        ({"face_ids": {"f"}}, Shown("Bo_1", "b1", "f"), False),
        ({"face_ids": {"f"}}, Shown("Bo_1", "b1", "g"), True),
    ],
)
def test_what_a_person_saw_are_photographs(
    seen: dict[str, set[str]], shown: Shown, *, is_new: bool
) -> None:
    record = DIFFERENT.to_record(imported_at=DECIDED_AT)
    record |= {column: sorted(seen.get(column, ())) for column in SEEN}
    decision = Decision.from_record(record)
    _, why = standing(decision, similarity=99, photographs=[shown])
    assert why == ((NewEvidence.NEW_PHOTOGRAPH,) if is_new else ())


def test_the_same_person_is_known_and_does_not_open_again() -> None:
    decision = replace(DIFFERENT, decision=Decided.SAME_PERSON)
    assert standing(decision, similarity=100, photographs=photographs("b9")) == (
        Standing.SAME_PERSON,
        (),
    )
    judged = judgement([match("Bo", 99.9), match("Cy", 99.9)], {"name:Bo": decision}, own=IMAGE)
    assert (judged.known, judged.silenced, judged.reopened) == (("name:Bo",), (), ())


@pytest.mark.parametrize("decided", [Decided.UNSURE, Decided.UNDECIDED])
def test_what_silences_nothing_does_not_open_again(decided: Decided) -> None:
    decision = replace(DIFFERENT, decision=decided)
    assert standing(decision, similarity=100, photographs=photographs("b9")) == (
        Standing(decided),
        (),
    )
    judged = judgement([match("Bo", 99.9)], {"name:Bo": decision}, own=IMAGE)
    assert (judged.quiet, judged.reopened) == ((), ())


def test_each_pair_of_names_is_judged_by_its_own_decision_on_all_its_matches() -> None:
    seen = replace(DIFFERENT, versions=frozenset({IMAGE.digest, "b1"}))
    found = [
        match("Bo", 99.5, key="Bo_1"),
        match("Cy", 99.4, key="Cy_1"),
        match("Cy", 99.2, key="Cy_2"),
        match("Di", 99.9, key="Di_1"),
    ]
    versions = {"Bo_1": "b1", "Cy_1": "c1", "Cy_2": "c2", "Di_1": "d1"}
    judged = judgement(
        found,
        {
            "name:Bo": seen,
            "name:Cy": replace(seen, versions=frozenset({IMAGE.digest, "c1"})),
        },
        own=IMAGE,
        versions=versions,
    )
    assert judged.silenced == ("name:Bo",)
    (reopened,) = judged.reopened
    assert (reopened.name, reopened.why) == ("Cy", (NewEvidence.NEW_PHOTOGRAPH,))
    assert (reopened.decided_by, reopened.decided_at) == ("Rea Viewer", "2026-01-20T09:00:00.000Z")


# --- Import ---


@pytest.fixture
def deployment(cloud: Cloud) -> Deployment:  # noqa: ARG001 - its buckets
    return Deployment(
        stack_name="FaceMatching",
        local=False,
        outputs={"OutputBucket": OUTPUT, "ImagesBucket": IMAGES},
        make_client=own_client,
    )


def json_file(folder: Path, *decisions: dict[str, Any], stack: str = "FaceMatching") -> Path:
    file = folder / "decisions.json"
    file.write_text(json.dumps({"schema": 1, "stack": stack, "decisions": list(decisions)}))
    return file


def csv_file(folder: Path, *rows: dict[str, Any]) -> Path:
    """As a spreadsheet saves it: quotes doubled, lines ended by CR LF, a mark at the beginning."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, (*NEW_COLUMNS, *COLUMNS))
    writer.writeheader()
    for given_row in rows:
        lists = {column: " ".join(given_row[column]) for column in ("versions", "face_ids")}
        writer.writerow({**given_row, **lists, "keys": json.dumps(given_row["keys"])})
    file = folder / "decisions.csv"
    file.write_bytes(b"\xef\xbb\xbf" + text.getvalue().encode())
    return file


def imported(deployment: Deployment, file: Path) -> list[str]:
    decisions = decisions_in(file, stack_name="FaceMatching", images_bucket=IMAGES)
    return [what for _, what in import_decisions(deployment, decisions)]


def test_what_was_exported_is_imported_and_read_back(
    deployment: Deployment, cloud: Cloud, tmp_path: Path
) -> None:
    assert imported(deployment, json_file(tmp_path, exported(DIFFERENT))) == ["imported"]
    assert read_decisions(deployment) == {DIFFERENT.records: DIFFERENT}
    (record,) = cloud.records(decision_key("name:Bo", "name:Ann")) or []
    assert record["records_digest"] in decision_key("name:Ann", "name:Bo")


@pytest.mark.parametrize(
    "awkward_text",
    [
        *('=HYPERLINK("http://x","y")', "'=1+1", "' quoted", "-1", 'a "b", c\r\nd', "\u202eback"),
        *("@x", "Ann;=1+1", 'Bo\t"=1"', "\t\t-1", ";'=1"),
    ],
)
def test_csv_gives_back_what_a_spreadsheet_must_not_run(
    deployment: Deployment, tmp_path: Path, awkward_text: str
) -> None:
    decision = replace(DIFFERENT, name_b=f"{awkward_text}", note=awkward_text)
    if decision.name_a > decision.name_b:
        decision = replace(decision, name_a=decision.name_b, name_b=decision.name_a)
    cells = {
        column: guarded(text) if isinstance(text, str) else text
        for column, text in exported(decision).items()
        if text != ""
    }
    imported(deployment, csv_file(tmp_path, cells))
    assert list(read_decisions(deployment).values()) == [decision]


def test_a_decision_about_a_photograph_and_its_record_is_written_under_its_own_key(
    deployment: Deployment, cloud: Cloud, tmp_path: Path
) -> None:
    decision = replace(DIFFERENT, record_b="photograph:images/Ann_2.jpg", name_b="images/Ann_2.jpg")
    imported(deployment, json_file(tmp_path, exported(decision)))
    assert cloud.records(decision_key("name:Ann", "photograph:images/Ann_2.jpg"))
    assert read_decisions(deployment) == {decision.records: decision}


def test_importing_again_changes_nothing(
    deployment: Deployment, cloud: Cloud, tmp_path: Path
) -> None:
    file = json_file(tmp_path, exported(DIFFERENT))
    imported(deployment, file)
    before = cloud.records(decision_key("name:Ann", "name:Bo"))
    assert imported(deployment, file) == ["unchanged"]
    assert cloud.records(decision_key("name:Ann", "name:Bo")) == before


@pytest.mark.parametrize(
    ("images_bucket", "versions"), [(IMAGES, {"a1", "b1"}), ("another-stack-images", set())]
)
def test_an_export_of_all_restores_them_here_and_on_another_stack(
    deployment: Deployment, tmp_path: Path, images_bucket: str, versions: set[str]
) -> None:
    imported(deployment, json_file(tmp_path, exported(DIFFERENT)))
    file = tmp_path / "all.jsonl"
    file.write_text(every_decision(deployment))
    key = decision_key(*DIFFERENT.records)
    own_client("s3").delete_object(Bucket=OUTPUT, Key=key)
    assert read_decisions(deployment) == {}

    restored = decisions_in(file, stack_name="Other", images_bucket=images_bucket)

    assert [what for _, what in import_decisions(deployment, restored)] == ["imported"]
    # There the same photographs have other versions, so that their keys count alone.
    expected = replace(DIFFERENT, versions=frozenset(versions))
    assert read_decisions(deployment) == {DIFFERENT.records: expected}


def test_a_newer_decision_stays_whatever_comes_later(
    deployment: Deployment, tmp_path: Path
) -> None:
    newer = replace(
        DIFFERENT, decision=Decided.SAME_PERSON, decided_at=DECIDED_AT + timedelta(seconds=1)
    )
    assert imported(deployment, json_file(tmp_path, exported(newer), exported(DIFFERENT))) == [
        "imported"
    ]
    old = json_file(tmp_path, exported(DIFFERENT))
    assert imported(deployment, old) == ["older than what is there"]
    assert read_decisions(deployment) == {newer.records: newer}


def test_a_decision_that_another_import_writes_meanwhile_is_not_lost(
    deployment: Deployment, cloud: Cloud, tmp_path: Path
) -> None:
    newer = replace(DIFFERENT, note="mine", decided_at=DECIDED_AT + timedelta(hours=1))
    s3 = own_client("s3")

    class Racing:
        """Lets another import write between our look and our write."""

        exceptions = s3.exceptions

        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **request: Any) -> Any:
            if cloud.records(request["Key"]) is None:
                cloud.write(request["Key"], newer.to_record(imported_at=DECIDED_AT))
            return s3.put_object(**request)

    racing = replace(deployment, make_client=lambda _: Racing())
    file = json_file(tmp_path, exported(DIFFERENT))
    assert imported(racing, file) == ["older than what is there"]
    assert read_decisions(deployment) == {newer.records: newer}


def test_a_decision_that_is_forgotten_between_look_and_write_does_not_stop_an_import(
    deployment: Deployment, tmp_path: Path
) -> None:
    older = replace(DIFFERENT, note="before", decided_at=DECIDED_AT - timedelta(hours=1))
    imported(deployment, json_file(tmp_path, exported(older)))
    s3 = own_client("s3")

    class Forgetful:
        """S3, while somebody deletes the decision: a conditional write then answers NoSuchKey."""

        exceptions = s3.exceptions

        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **request: Any) -> Any:
            if "IfMatch" in request:
                s3.delete_object(Bucket=request["Bucket"], Key=request["Key"])
                response: Any = {"Error": {"Code": "NoSuchKey"}}
                raise ClientError(response, "PutObject")
            return s3.put_object(**request)

    forgetful = replace(deployment, make_client=lambda _: Forgetful())
    file = json_file(tmp_path, exported(DIFFERENT))
    assert imported(forgetful, file) == ["imported"]
    assert read_decisions(deployment) == {DIFFERENT.records: DIFFERENT}


def test_of_two_decisions_of_one_moment_the_one_that_is_imported_last_counts(
    deployment: Deployment, tmp_path: Path
) -> None:
    imported(deployment, json_file(tmp_path, exported(DIFFERENT)))
    same = replace(DIFFERENT, decision=Decided.SAME_PERSON)
    assert imported(deployment, json_file(tmp_path, exported(same))) == ["imported"]
    assert read_decisions(deployment) == {same.records: same}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"decision": "GUILTY"}, "decision is 'GUILTY'"),
        ({"decided_by": " "}, "decided_by is missing"),
        ({"decided_at": "yesterday"}, "decided_at is not a time"),
        ({"decided_at": "2026-01-20T09:00:00"}, "decided_at is not a time"),
        (
            {"decided_at": "2099-01-01T00:00:00Z"},
            "decided_at is 2099-01-01T00:00:00.000Z, and now it is 20",
        ),
        ({"similarity": "99"}, "similarity is not a number"),
        ({"similarity": float("nan")}, "similarity is not a number"),
        ({"similarity": True}, "similarity is not a number"),
        ({"versions": [], "keys": []}, "versions, keys and face_ids are missing"),
        ({"keys": "a1"}, "keys is not a list"),
        ({"face_ids": "a1"}, "face_ids is not a list"),
        ({"record_b": "name:Ann"}, "both sides are the same record"),
        ({"name_a": None}, "name_a is missing"),
        ({"note": "x" * (NOTE_LIMIT + 1)}, "note has 2,001 characters"),
        ({"note": 1}, "note is missing"),
        ({"name_a": "\ud800x"}, "name_a holds half of a character"),
        ({"note": "\udfff"}, "note holds half of a character"),
        ({"face_ids": ["a1", "\udc80"]}, "face_ids holds half of a character"),
    ],
)
def test_one_impossible_decision_and_none_is_imported(
    deployment: Deployment, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    other = {**exported(DIFFERENT), "name_b": "Cy"}
    file = json_file(tmp_path, other, {**exported(DIFFERENT), **change})
    with pytest.raises(NotDecisions) as raised:
        imported(deployment, file)
    assert f"decision 2: {complaint}" in str(raised.value)
    assert read_decisions(deployment) == {}


def test_a_clock_may_be_a_day_fast_and_not_more(tmp_path: Path) -> None:
    now = DECIDED_AT - timedelta(days=1)
    late = replace(DIFFERENT, name_b="Cy", decided_at=DECIDED_AT + timedelta(seconds=1))

    taken = decisions_in(
        json_file(tmp_path, exported(DIFFERENT)),
        stack_name="FaceMatching",
        images_bucket=IMAGES,
        now=now,
    )
    assert taken == [DIFFERENT]
    with pytest.raises(NotDecisions, match=r"decision 2: .*the clock of the machine where"):
        decisions_in(
            json_file(tmp_path, exported(DIFFERENT), exported(late)),
            stack_name="FaceMatching",
            images_bucket=IMAGES,
            now=now,
        )


def test_a_decision_of_a_time_to_come_that_is_there_already_is_replaced(
    deployment: Deployment, cloud: Cloud, tmp_path: Path
) -> None:
    ahead = replace(DIFFERENT, decided_at=datetime.now(UTC) + timedelta(days=400))
    cloud.write(decision_key(*ahead.records), ahead.to_record(imported_at=DECIDED_AT))
    assert imported(deployment, json_file(tmp_path, exported(DIFFERENT))) == ["imported"]
    assert read_decisions(deployment) == {DIFFERENT.records: DIFFERENT}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "no 'decisions'"),
        (b'{"decisions": 1}', "no 'decisions'"),
        (b'{"a":' * 100_000, "no 'decisions'"),
        (b"", "is empty"),
        (b"name_a,name_b\nAnn,Bo\n", "no column decided_at, decided_by"),
        (",".join(COLUMNS).encode() + b'\n"Ann', "not CSV"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b'{"stack": "FaceMatching", "decisions": ["Ann"]}', "decision 1: name_a is missing"),
        (b'{"stack": "Another", "decisions": []}', "the stack 'Another'"),
    ],
)
def test_a_file_that_is_no_export_says_so(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(NotDecisions, match=complaint):
        decisions_in(file, stack_name="FaceMatching", images_bucket=IMAGES)


def test_a_broken_record_is_named_and_an_import_replaces_it(
    deployment: Deployment, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.write(decision_key("name:Ann", "name:Bo"), {"records_digest": "d", "decision": "GUILTY"})
    with pytest.raises(Actionable, match=r"decisions/d\.json is not a decision"):
        read_decisions(deployment)
    assert imported(deployment, json_file(tmp_path, exported(DIFFERENT))) == ["imported"]
    assert read_decisions(deployment) == {DIFFERENT.records: DIFFERENT}


def test_a_decision_of_before_that_is_newer_stays_and_counts(
    deployment: Deployment, cloud: Cloud, tmp_path: Path
) -> None:
    newer = replace(DIFFERENT, note="newer", decided_at=DECIDED_AT + timedelta(hours=1))
    before = {
        name: value
        for name, value in newer.to_record(imported_at=DECIDED_AT).items()
        if name not in {"record_a", "record_b", "records_digest", "versions", "keys"}
    }
    _, key = DIFFERENT.keys_in_bucket
    cloud.write(key, {**before, "face_ids": ["a1", "b1"]})

    file = json_file(tmp_path, exported(DIFFERENT))
    assert imported(deployment, file) == ["older than what is there"]
    assert [each.note for each in read_decisions(deployment).values()] == ["newer"]
