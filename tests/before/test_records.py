"""Each kind of record from before, read by today's code: nothing is lost and nothing misread."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from facematch.local.differences import COLLECTION_ID
from facematch.local.rekognition.collections import CollectionStore
from facematch.stack.records import image_recorded
from functions.matching.decisions import Decided, Decision
from functions.matching.faces import IndexedFaces, SearchResult
from functions.matching.failures import FailureStatus, Replay
from functions.matching.images import Subject, UploadedImage, subject_of
from functions.matching.keys import external_image_id, key_of
from functions.matching.matches import pair_id
from functions.matching.register import Register, register_key
from functions.matching.reports import (
    Outcome,
    Verdict,
    failure_key,
    match_rows,
    matches_key,
    report_key,
)
from tests.before import kept
from workflow.changes import recorded
from workflow.settings import SettingError, Settings
from workflow.synthesis import synthesised_template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OVERWRITTEN = "images/Ottilie Über_0001.jpg"
#: What CloudFormation makes anew, and empty, when one of these properties changes.
IDENTITY = {
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::Rekognition::Collection": ("CollectionId",),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SSM::Parameter": ("Name",),
    "AWS::KMS::Key": (),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", "StateMachineType"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
}


def image_of(record: dict[str, Any]) -> Subject:
    """The object version, or the removal, of which a record tells."""
    removed = "-removal:" in record["execution_arn"]
    return subject_of({**image_recorded(record).to_payload(), "removed": removed})


@pytest.fixture(scope="module")
def executions() -> list[dict[str, Any]]:
    """What Step Functions knew, on the emulator."""
    return list(kept.service_state("stepfunctions")["executions"]["data"].values())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CollectionStore]:
    file = tmp_path / "faces.sqlite"
    file.write_bytes(kept.in_archive("local/state/faces.sqlite"))
    opened = CollectionStore(file)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        *(("reports", 21), ("matches", 17), ("failures", 13)),
        *(("decisions", 6), ("indexed", 26), ("forgotten", 1)),
    ],
)
def test_records_of_every_kind_are_kept(kind: str, count: int) -> None:
    assert len(list(kept.records(kind))) == count


@pytest.mark.parametrize(
    ("kind", "key_of_record"), [("reports", report_key), ("failures", failure_key)]
)
def test_a_record_lies_where_it_is_looked_for_today(kind: str, key_of_record: Any) -> None:
    for key, record in kept.records(kind):
        image = image_of(record)

        assert (key_of_record(image), image.digest) == (key, record["digest"])
        execution = record["execution_arn"].rpartition(":")[2]
        assert execution in {image.execution_name, f"{image.execution_name}-r1"}


def test_a_report_gives_the_match_rows_that_were_written_beside_it() -> None:
    written: dict[str, list[dict[str, Any]]] = {}
    for key, row in kept.records("matches"):
        written.setdefault(key, []).append(row)
    made = {matches_key(image_of(r)): match_rows(r) for _, r in kept.records("reports")}

    assert {key for key, rows in made.items() if rows} == written.keys()
    for key, rows in written.items():
        for row, again in zip(rows, made[key], strict=True):
            assert {column: again[column] for column in row} == row


def test_a_report_has_an_outcome_and_pairs_under_the_ids_that_subscribers_know() -> None:
    for _, report in kept.records("reports"):
        assert Outcome(report["status"])
        for face in report["faces"]:
            for match in face["matches"]:
                assert pair_id(match["face_id"], face["face_id"]) == match["pair_id"]


def test_a_failure_record_says_how_it_ended_and_whether_a_replay_helps() -> None:
    ways = set()
    for _, record in kept.records("failures"):
        ways.add(FailureStatus(record["status"]))
        rejected = record["status"] == FailureStatus.REJECTED
        assert (Replay(record["replay"]) is Replay.NONE) == rejected
    assert ways == set(FailureStatus)


def test_a_decision_is_read_and_written_again_as_it_was() -> None:
    found = set()
    for key, record in kept.records("decisions"):
        decision = Decision.from_record(record)

        assert key in decision.keys_in_bucket
        imported_at = datetime.fromisoformat(record["imported_at"])
        again = decision.to_record(imported_at=imported_at)
        assert {field: again.get(field) for field in record if field != "names_digest"} == {
            field: value for field, value in record.items() if field != "names_digest"
        }
        found.add(decision.decision)
    assert found == set(Decided)


def test_a_register_names_the_faces_that_the_versions_of_its_key_were_given() -> None:
    registers = {key: Register.from_record(record) for key, record in kept.records("indexed")}

    leaving = set()
    for _, report in kept.records("reports"):
        image = image_of(report)
        entry = registers[register_key(image.bucket, image.key)].entries[image.digest]
        left = image.key == OVERWRITTEN and report["status"] == Outcome.UNIQUE
        reported = [] if left else [face["face_id"] for face in report["faces"]]
        assert (entry.day, list(entry.face_ids)) == (image.day, reported)
        leaving |= {image.key} if entry.leaving else set()
    assert leaving == {"images/Rita Removed_0001.jpg"}  # whose removal failed


def test_the_collection_holds_the_faces_of_then_under_their_keys(store: CollectionStore) -> None:
    faces = store.list_faces(COLLECTION_ID, limit=100).items
    by_key = {}
    for face in faces:
        if face.external_image_id and not face.external_image_id.startswith("employee:"):
            key = key_of(face.external_image_id)
            assert external_image_id(key) == face.external_image_id
            by_key[key] = face.face_id

    assert (len(faces), len(by_key)) == (21, 20)
    searched = by_key["images/Zoë Ångström_0001.jpg"]
    found = store.search(COLLECTION_ID, searched, limit=100, min_similarity=80)
    names = ("Zoë Ångström_0002", *(f"Archiv 1/Aloysius_Mbeki_000{n}" for n in (1, 2)))
    expected = {f"images/{name}.jpg" for name in (*names, "Archiv 1/Jürgen & Söhne_0007")}
    assert {key_of(match.face.external_image_id or "") for match in found} == expected


def test_an_execution_s_input_is_the_one_that_a_replay_would_give(
    executions: list[dict[str, Any]],
) -> None:
    matching = [e for e in executions if "FaceMatching-backfill" not in e["stateMachineArn"]]

    assert len(matching) == 44
    for execution in matching:
        image = subject_of(json.loads(execution["input"]))
        assert image.execution_input == execution["input"]
        assert execution["name"] in {image.execution_name, f"{image.execution_name}-r1"}


def test_what_the_steps_of_then_handed_on_is_understood_by_those_of_today(
    executions: list[dict[str, Any]],
) -> None:
    """A redrive resumes at the step that failed, with what the steps before it had returned."""
    outputs = [json.loads(e["output"]) for e in executions if e["output"]]
    handed_on = [output for output in outputs if "search" in output]

    assert len(handed_on) == 25
    for output in handed_on:
        image = UploadedImage.from_payload(output["image"])
        verdict = Verdict.from_payload(output["report"]).to_payload()
        notified = output["report"].pop("notified")
        assert verdict.get("above_threshold", verdict.get("notified")) == notified
        for understood, told in (
            (image.to_payload(), output["image"]),
            (IndexedFaces.from_payload(output["index"]).to_payload(), output["index"]),
            (SearchResult.from_payload(output["search"]).to_payload(), output["search"]),
            (verdict, output["report"]),
        ):
            again = json.loads(json.dumps(understood))
            assert left_of(told, again) == told


def left_of(told: Any, again: Any) -> Any:
    """Return what `again` says where `told` says something, in lists and objects too."""
    if isinstance(told, dict):
        return {field: left_of(value, again[field]) for field, value in told.items()}
    if isinstance(told, list):
        return [left_of(*both) for both in zip(told, again, strict=True)]
    return again


def test_the_settings_of_then_are_settings_of_today() -> None:
    context = kept.document("cdk.json")["context"]
    ours = {name: value for name, value in context.items() if name.isidentifier()}
    with pytest.raises(SettingError, match="'name_pattern' is now called 'names_from'"):
        Settings.from_context(ours)
    ours["names_from"] = ours.pop("name_pattern")

    settings = Settings.from_context(ours)

    assert {name: getattr(settings, name) for name in ours} == ours
    assert recorded(settings)["names_from"] == "file"


def test_an_update_replaces_nothing_that_holds_data() -> None:
    deployed, today = kept.template(), synthesised_template([])

    kinds = set()
    for logical_id, resource in deployed["Resources"].items():
        if resource["Type"] in IDENTITY:
            now = today["Resources"].get(logical_id, {"Type": "none", "Properties": {}})
            assert identity(now) == identity(resource), logical_id
            kinds.add(resource["Type"])
    assert kinds == IDENTITY.keys()


def identity(resource: dict[str, Any]) -> dict[str, Any]:
    """What makes a resource another one, and what keeps it when the stack goes."""
    properties = resource["Properties"]
    return {
        "Type": resource["Type"],
        **{name: properties.get(name) for name in IDENTITY.get(resource["Type"], ())},
        **{name: resource.get(name) for name in ("DeletionPolicy", "UpdateReplacePolicy")},
    }


def test_an_update_keeps_every_output_that_programs_read() -> None:
    assert kept.template()["Outputs"].keys() <= synthesised_template([])["Outputs"].keys()
