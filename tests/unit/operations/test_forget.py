"""Forgetting, with evidence pages, executions and messages in the way; see also tests/workflow."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from moto.stepfunctions.models import stepfunctions_backends
from typer.testing import CliRunner

from facematch.cli.exit_status import ExitStatus
from facematch.cli.main import app, status_of
from facematch.cli.options import Where
from facematch.errors import Actionable
from facematch.evidence import folders
from facematch.evidence.folders import MARKER, EvidenceFolders
from facematch.evidence.write import write_page
from facematch.files.photographs import FolderFile
from facematch.operations import forget
from facematch.stack.records import Records
from functions.matching.errors import Reason
from functions.matching.failures import FailureStatus
from functions.matching.identity import FROM_FILE, compiled_names_from
from functions.matching.keys import replay_name
from functions.matching.places import Place
from functions.matching.reports import delivery_failure_key, matches_key, report_key
from tests.unit.album import Album
from tests.unit.cloud import (
    ACCOUNT,
    IMAGES,
    OUTPUT,
    REGION,
    deployment_of,
    own_client,
    put_body,
    sqs_event,
)
from tests.unit.evidence.test_pictures import file_of, with_face
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud


class NoFaces:
    """A face collection that holds none."""

    def get_paginator(self, _operation: str) -> NoFaces:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Faces": []}]


class Machine:
    """A stack with a photograph of Ann, and pages about it on this machine."""

    def __init__(self, cloud: Cloud, room: Path) -> None:
        self.cloud, self.room = cloud, room
        self.ann = Album(cloud).add("Ann_1.jpg", file_of(with_face((400, 300), (40, 60, 80, 80))))
        self.deployment = deployment_of(cloud)
        self.deployment.outputs.update(
            CollectionId="collection",
            NamePattern=compiled_names_from(FROM_FILE).pattern,
            QueueUrl=cloud.sqs.create_queue(QueueName="intake")["QueueUrl"],
            DeadLetterQueueUrl=cloud.sqs.create_queue(QueueName="dead")["QueueUrl"],
            RemovalStateMachineArn=cloud.removal_state_machine_arn,
        )
        object.__setattr__(self.deployment, "make_client", self._client)
        self.pages = EvidenceFolders(room / "state")

    def page(self, name: str) -> Path:
        folder = self.room / name
        write_page(
            self.pages, self.deployment, folder, minimum=0, limit=1, decisions_command="import"
        )
        return folder

    def forget(self, *options: str) -> Result:
        return CliRunner().invoke(app, ["forget", "--name", "Ann", "--yes", *options])

    def start(self, image: UploadedImage, *, replay: int = 0) -> str:
        """Start an execution about the image, which runs until somebody ends it; its ARN."""
        started = self.cloud.stepfunctions.start_execution(
            stateMachineArn=self.cloud.state_machine_arn,
            name=replay_name(image.execution_name, replay),
            input=image.execution_input,
        )
        return str(started["executionArn"])

    def tell(self, image: UploadedImage) -> None:
        """Let a message about the image wait in the intake queue."""
        self.cloud.sqs.send_message(
            QueueUrl=self.deployment.outputs["QueueUrl"], MessageBody=put_body(image)
        )

    def naming_ann(self) -> list[str]:
        """Keys of the records in the output bucket that name her, in themselves or in their key."""
        listed = self.cloud.s3.list_objects_v2(Bucket=OUTPUT).get("Contents", [])
        bodies = {
            item["Key"]: self.cloud.s3.get_object(Bucket=OUTPUT, Key=item["Key"])["Body"].read()
            for item in listed
        }
        return [key for key, body in bodies.items() if b"Ann" in body or "Ann" in key]

    def photographs(self) -> list[Any]:
        listed = self.cloud.s3.list_object_versions(Bucket=IMAGES)
        return list(listed.get("Versions", []))

    def written_down(self) -> list[dict[str, Any]]:
        listed = self.cloud.s3.list_objects_v2(Bucket=OUTPUT, Prefix=Place.FORGOTTEN)
        return [
            json.loads(self.cloud.s3.get_object(Bucket=OUTPUT, Key=item["Key"])["Body"].read())
            for item in listed.get("Contents", [])
        ]

    def _client(self, service: str) -> Any:
        if service == "athena":
            return self.cloud.athena
        return NoFaces() if service == "rekognition" else own_client(service)


@pytest.fixture
def machine(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(cloud, tmp_path)
    monkeypatch.setattr(folders, "EvidenceFolders", lambda: made.pages)
    monkeypatch.setattr(Where, "deployment", lambda _: made.deployment)
    monkeypatch.setattr(forget, "QUEUE_PATIENCE_SECONDS", 0)
    with patch("facematch.evidence.write.render", json.dumps):
        yield made


class Meanwhile:
    """Instead of sleeping, what happens in the world: one thing each time, then nothing more."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self.happenings = list(happenings)

    def __call__(self, _seconds: float) -> None:
        assert self.happenings, "it waits for nothing that will happen"
        self.happenings.pop(0)()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    made = Meanwhile()
    instead_of_sleeping(monkeypatch, made)
    return made


def instead_of_sleeping(monkeypatch: pytest.MonkeyPatch, call: Callable[[float], None]) -> None:
    """Let the command call this instead of sleeping; other threads of this process sleep."""
    clock = SimpleNamespace(sleep=call, monotonic=time.monotonic)
    monkeypatch.setattr(forget, "time", clock)


def test_a_folder_that_is_a_page_no_more_neither_stops_nor_counts(machine: Machine) -> None:
    page, gone = machine.page("page"), machine.page("gone")
    shutil.rmtree(gone)
    gone.mkdir()
    (gone / "thesis.txt").write_text("three years of work")

    result = machine.forget()

    assert result.exit_code == 0, result.output
    assert not machine.photographs()
    assert not page.exists()
    assert (gone / "thesis.txt").exists()
    (record,) = machine.written_down()
    assert record["deleted"]["dashboards"] == 1
    assert f"{gone} held an evidence page once" in result.output.replace("\n", "")
    assert machine.pages.listed() == []


def test_a_page_that_cannot_be_deleted_is_named_when_all_else_is_deleted(machine: Machine) -> None:
    stuck, page = machine.page("stuck"), machine.page("zpage")
    unlink = FolderFile.unlink

    def refuse(file: FolderFile) -> None:
        if file.folder == stuck:
            raise PermissionError(13, "Permission denied", str(file.path))
        unlink(file)

    with patch.object(FolderFile, "unlink", refuse):
        result = machine.forget("--json")

    assert isinstance(result.exception, Actionable)
    assert f"facematch evidence --delete --to {stuck}" in str(result.exception)
    assert not machine.photographs()
    assert not page.exists()
    assert (stuck / MARKER).exists()
    (record,) = machine.written_down()
    assert record["deleted"]["dashboards"] == 1
    assert json.loads(result.stdout)["dashboards"] == 1


@pytest.mark.parametrize("others", [{}, {"Cy_1.jpg": 98.0}, {"Cy_1.jpg": 99.5}], ids=str)
def test_a_notification_that_failed_is_owed_no_more_when_it_was_about_the_forgotten_alone(
    machine: Machine, others: dict[str, float]
) -> None:
    cloud, album = machine.cloud, Album(machine.cloud)
    bea = album.add("Bea_1.jpg", photograph(3))
    found = {album.add(key): similarity for key, similarity in others.items()}
    album.report(bea, {machine.ann: 99.5, **found})
    album.report(machine.ann, {bea: 99.5})
    for image, name in ((machine.ann, "Ann"), (bea, "Bea")):
        record = {"digest": image.digest, "key": image.key, "name": name}
        cloud.write(delivery_failure_key(image), record)

    result = machine.forget()

    assert result.exit_code == 0, result.output
    assert machine.naming_ann() == []
    assert cloud.delivery_failure(machine.ann) is None
    still_due = any(similarity >= 99 for similarity in others.values())
    assert bool(cloud.delivery_failure(bea)) is still_due
    report = cloud.report(bea)
    assert report
    assert report["above_threshold"] is still_due


def test_a_page_in_which_something_was_changed_is_named(machine: Machine) -> None:
    page, planted = machine.page("page"), machine.page("planted")
    (page / "index.html").write_text("Ann, and a note of mine")
    (planted / MARKER).write_text('{"stack": "FaceMatching"}')

    result = machine.forget()

    assert isinstance(result.exception, Actionable)
    said = str(result.exception)
    assert f"changed since: {page / 'index.html'}." in said
    assert f"{planted} holds a {MARKER} that was not written by this installation" in said
    assert [path.name for path in page.iterdir()] == ["index.html"]
    assert (planted / "index.html").exists()
    assert not machine.photographs()


def test_what_somebody_elses_execution_had_found_is_waited_for_and_taken_out(
    machine: Machine, meanwhile: Meanwhile
) -> None:
    album = Album(machine.cloud)
    bea = album.add("Bea_1.jpg", photograph(3))
    running = machine.start(bea)

    def write_and_end() -> None:  # it has searched before Ann was forgotten
        album.report(bea, {machine.ann: 99.5})
        machine.cloud.end(running, "SUCCEEDED")

    meanwhile.happenings = [write_and_end]

    result = machine.forget()

    assert result.exit_code == 0, result.output
    assert not meanwhile.happenings
    assert machine.cloud.report(bea)
    assert machine.naming_ann() == []


def test_an_execution_that_started_after_the_deletion_is_not_waited_for(
    machine: Machine, meanwhile: Meanwhile
) -> None:
    first, later = (Album(machine.cloud).add(f"Bea_{n}.jpg", photograph(n)) for n in (1, 2))
    running = machine.start(first)

    def another_starts() -> None:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        backend = stepfunctions_backends[ACCOUNT][REGION]
        backend.describe_execution(machine.start(later)).start_date = tomorrow
        machine.cloud.end(running, "SUCCEEDED")

    meanwhile.happenings = [another_starts]

    assert machine.forget().exit_code == 0
    assert not meanwhile.happenings


def test_a_replay_of_a_photograph_of_theirs_is_waited_for_before_others_are(
    machine: Machine, meanwhile: Meanwhile
) -> None:
    bea = Album(machine.cloud).add("Bea_1.jpg", photograph(3))
    machine.cloud.end(machine.start(machine.ann), "FAILED")
    replay = machine.start(machine.ann, replay=2)
    others: list[str] = []

    def end_the_replay() -> None:  # until then its face could be found
        others.append(machine.start(bea))
        machine.cloud.end(replay, "SUCCEEDED")

    meanwhile.happenings = [end_the_replay, lambda: machine.cloud.end(others[0], "SUCCEEDED")]

    result = machine.forget()

    assert result.exit_code == 0, result.output
    assert not meanwhile.happenings


def test_an_execution_that_does_not_end_is_named_and_nothing_is_said_to_be_done(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "_PATIENCE_SECONDS", -1)
    running = machine.start(Album(machine.cloud).add("Bea_1.jpg", photograph(3)))

    result = machine.forget()

    assert isinstance(result.exception, Actionable)
    assert f"The execution {running} still runs" in str(result.exception)
    assert machine.written_down() == []


def test_a_message_that_waits_is_said_and_the_repeated_command_finishes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.tell(machine.ann)

    first = machine.forget("--json")

    assert isinstance(first.exception, Actionable)
    assert status_of(first.exception) == ExitStatus.FAILED
    assert "not finished: the queue holds messages (1)" in str(first.exception)
    assert json.loads(first.stdout)["queue_messages"] == 1
    assert not machine.photographs()

    again = machine.forget()  # there is nothing to be found just now, and still it is not the end
    assert "not finished: the queue holds messages (1)" in str(again.exception)
    assert "Nothing about them is left" not in again.output

    # What the starter and the state machine do with a message about a photograph that is gone.
    (message,) = machine.cloud.sqs.receive_message(
        QueueUrl=machine.deployment.outputs["QueueUrl"], VisibilityTimeout=60
    )["Messages"]
    assert "not finished: the queue holds messages (1)" in str(
        machine.forget().exception
    )  # in flight
    machine.cloud.run("starter", sqs_event(message["Body"]))
    machine.cloud.sqs.delete_message(
        QueueUrl=machine.deployment.outputs["QueueUrl"], ReceiptHandle=message["ReceiptHandle"]
    )
    (execution,) = machine.cloud.executions()

    def end_gone(_seconds: float) -> None:
        Album(machine.cloud).fail(machine.ann, FailureStatus.REJECTED, reason=Reason.GONE)
        machine.cloud.end(execution["executionArn"], "FAILED")

    instead_of_sleeping(monkeypatch, end_gone)
    last = machine.forget("--json")

    assert last.exit_code == 0, last.output
    told = json.loads(last.stdout)
    assert (told["records"], told["queue_messages"]) == (1, 0)
    assert machine.naming_ann() == []


def test_the_queue_is_waited_for_before_the_executions_that_come_out_of_it(
    machine: Machine, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "QUEUE_PATIENCE_SECONDS", 60)
    machine.tell(machine.ann)
    queue = machine.deployment.outputs["QueueUrl"]
    started: list[str] = []

    def start() -> None:
        started.append(machine.start(machine.ann))
        machine.cloud.sqs.purge_queue(QueueUrl=queue)

    def end_gone() -> None:
        Album(machine.cloud).fail(machine.ann, FailureStatus.REJECTED, reason=Reason.GONE)
        machine.cloud.end(started[0], "FAILED")

    meanwhile.happenings = [start, end_gone]

    result = machine.forget("--json")

    assert result.exit_code == 0, result.output
    assert not meanwhile.happenings
    assert machine.naming_ann() == []


def test_what_a_failed_execution_of_somebody_else_may_bring_back_is_said(machine: Machine) -> None:
    said = " ".join(machine.forget().output.split())

    assert "writes them into its report again when it is replayed" in said


# --- Reports that left something out ---


def sent_again(machine: Machine) -> list[dict[str, Any]]:
    """The messages in the intake queue, which then wait there again."""
    received = machine.cloud.sqs.receive_message(
        QueueUrl=machine.deployment.outputs["QueueUrl"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
    )
    return [json.loads(message["Body"]) for message in received.get("Messages", [])]


@pytest.mark.parametrize("more_names_possible", [False, True])
def test_a_report_that_left_matches_out_is_never_unique_and_is_searched_again(
    machine: Machine, more_names_possible: bool
) -> None:
    album = Album(machine.cloud)
    bea, cy = album.add("Bea_1.jpg"), album.add("Cy_1.jpg")
    left_out = 0 if more_names_possible else 5
    album.report(
        bea, {machine.ann: 99.5}, left_out=left_out, more_names_possible=more_names_possible
    )
    album.report(cy, {machine.ann: 99.5})

    result = machine.forget("--json")

    assert "not finished: the queue holds messages (1)" in str(result.exception)
    assert json.loads(result.stdout)["searched_again"] == 1
    cut, complete = machine.cloud.report(bea), machine.cloud.report(cy)
    assert cut
    assert complete
    assert (cut["status"], cut["other_name_matches"], cut["best_similarity"]) == ("MATCHED", 0, 0)
    assert complete["status"] == "UNIQUE"
    assert machine.naming_ann() == []
    (message,) = sent_again(machine)
    assert message["facematch"] == {"backfill": True, "again": True}
    machine.cloud.end(machine.start(bea), "SUCCEEDED")  # the upload's own execution
    machine.cloud.run("starter", sqs_event(json.dumps(message)))
    again = f"{bea.execution_name}-r1"
    assert again in {execution["name"] for execution in machine.cloud.executions()}


def test_look_alike_rows_of_the_forgotten_go_and_so_do_those_that_mention_a_forgotten_key(
    machine: Machine,
) -> None:
    album = Album(machine.cloud)
    again, bea, other = (album.add(f"{name}.jpg") for name in ("Ann_2", "Bea_1", "Bea_2"))
    third = album.add("Bea_3.jpg")
    album.report(machine.ann, similar={again: 99})
    album.report(again, similar={machine.ann: 99})
    album.report(bea, similar={other: 98, third: 97})
    album.report(other, similar={bea: 98})

    machine.forget()
    CliRunner().invoke(app, ["forget", "--key", bea.key, "--yes"])

    assert machine.naming_ann() == []
    assert [machine.cloud.look_alikes(image) for image in (bea, other, third)] == [[], [], []]


def test_a_forgotten_photograph_leaves_the_look_alike_rows_about_others(machine: Machine) -> None:
    album = Album(machine.cloud)
    bea, other, third = (album.add(f"Bea_{n}.jpg") for n in (1, 2, 3))
    album.report(third, similar={bea: 98, other: 97})

    CliRunner().invoke(app, ["forget", "--key", bea.key, "--yes"])

    assert [row["other_key"] for row in machine.cloud.look_alikes(third)] == [other.key]


def test_a_report_of_a_version_that_was_overwritten_stays_and_is_not_searched_again(
    machine: Machine,
) -> None:
    album = Album(machine.cloud)
    older = album.add("Bea_1.jpg", b"older")
    album.report(older, {machine.ann: 99.5}, left_out=5)
    album.add("Bea_1.jpg", b"newer")

    result = machine.forget()

    assert result.exit_code == 0, result.output
    assert sent_again(machine) == []
    report = machine.cloud.report(older)
    assert report
    assert report["status"] == "MATCHED"


def test_an_interrupted_command_searches_again_when_it_is_repeated(machine: Machine) -> None:
    album = Album(machine.cloud)
    bea = album.add("Bea_1.jpg")
    album.report(bea, {machine.ann: 99.5}, left_out=5)
    found = forgetting(machine).find()

    sqs = own_client("sqs")
    with (
        patch.object(sqs, "send_message", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        forgetting(machine).delete(found)
    machine.forget()

    assert len(sent_again(machine)) == 1


@pytest.mark.parametrize("after", range(3))
def test_a_command_that_was_interrupted_between_two_records_finishes_when_it_is_repeated(
    machine: Machine, after: int
) -> None:
    album = Album(machine.cloud)
    bea, cy = album.add("Bea_1.jpg"), album.add("Cy_1.jpg")
    album.report(bea, {machine.ann: 99.5, cy: 97.0})
    album.report(cy, {machine.ann: 99.5})
    found = forgetting(machine).find()
    assert len(found.mentions) == 4
    rewrite, left = Records.rewrite, iter(range(after))

    def interrupted(records: Records, record: Any) -> bool:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return rewrite(records, record)

    with (
        patch.object(Records, "rewrite", interrupted),
        pytest.raises(KeyboardInterrupt),
    ):
        forgetting(machine).delete(found)
    machine.forget()

    assert machine.naming_ann() == []
    assert [match["name"] for match in machine.cloud.report(bea)["faces"][0]["matches"]] == ["Cy"]  # type: ignore[index]


def test_records_of_an_earlier_version_that_mention_the_person_are_found(machine: Machine) -> None:
    """They have no record keys, and their names may be written in a way of their own."""
    album = Album(machine.cloud)
    bea = album.add("Bea_1.jpg")
    album.report(bea, {machine.ann: 99.5})
    for key in (report_key(bea), matches_key(bea)):
        (record,) = machine.cloud.records(key) or []
        machine.cloud.write(key, without_records(record))

    machine.forget()

    assert machine.naming_ann() == []


@pytest.mark.parametrize("column", ["silenced", "known", "reopened"])
def test_a_report_that_only_lists_the_person_as_decided_about_is_found(
    machine: Machine, column: str
) -> None:
    album = Album(machine.cloud)
    bea = album.add("Bea_1.jpg")
    album.report(bea)
    (report,) = machine.cloud.records(report_key(bea)) or []
    machine.cloud.write(report_key(bea), {**report, column: ["name:Ann", "name:Cy"]})

    machine.forget()

    assert machine.naming_ann() == []
    (left,) = machine.cloud.records(report_key(bea)) or []
    assert left[column] == ["name:Cy"]


def without_records(value: Any) -> Any:
    """Take record keys out, at every depth."""
    if isinstance(value, list):
        return [without_records(item) for item in value]
    if isinstance(value, dict):
        left = {k: v for k, v in value.items() if k not in {"record", "matched_record"}}
        return {key: without_records(item) for key, item in left.items()}
    return value


def test_athena_is_told_no_name(machine: Machine) -> None:
    """It keeps the text of a query and its parameters for 45 days."""
    machine.forget()

    assert machine.cloud.athena.asked
    assert all("Ann" not in f"{query} {given}" for query, given in machine.cloud.athena.asked)


def test_what_was_searched_again_meanwhile_is_not_overwritten(machine: Machine) -> None:
    album = Album(machine.cloud)
    bea, cy = album.add("Bea_1.jpg"), album.add("Cy_1.jpg")
    album.report(bea, {machine.ann: 99.5, cy: 97.0}, left_out=5)
    found = forgetting(machine).find()
    album.report(bea, {cy: 98.0})

    forgetting(machine).delete(found)

    report = machine.cloud.report(bea)
    assert report
    assert report["best_similarity"] == 98.0
    assert [row["similarity"] for row in machine.cloud.rows(bea)] == [98.0]


def test_a_dry_run_says_how_many_would_be_searched_again(machine: Machine) -> None:
    bea = Album(machine.cloud).add("Bea_1.jpg")
    Album(machine.cloud).report(bea, {machine.ann: 99.5}, left_out=5)

    told = json.loads(machine.forget("--dry-run", "--json").stdout)

    assert (told["searched_again"], sent_again(machine)) == (1, [])


def test_a_dry_run_lists_what_would_be_deleted_and_deletes_nothing(machine: Machine) -> None:
    bea = Album(machine.cloud).add("Bea_1.jpg")
    Album(machine.cloud).report(bea, {machine.ann: 99.5})
    (report,) = (key for key in machine.naming_ann() if key.startswith(Place.REPORTS))

    told = machine.forget("--dry-run").output
    listed = json.loads(machine.forget("--dry-run", "--json").stdout)["listed"]

    assert "What would be deleted" in told
    assert f"  {machine.ann.key} (version {machine.ann.version_id})" in told
    assert f"  {report}" in told
    assert report in listed["mentions"]
    assert machine.photographs()


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--json"], ["--dry-run", "--json"]])
def test_a_name_that_is_nowhere_is_an_error_that_says_so(
    machine: Machine, options: list[str]
) -> None:
    result = CliRunner().invoke(app, ["forget", "--name", "Anne", "--yes", *options])

    assert isinstance(result.exception, Actionable)
    assert status_of(result.exception) == ExitStatus.FAILED
    assert "has the name 'Anne', so nothing was deleted" in str(result.exception)
    assert len(machine.photographs()) == 1
    assert machine.written_down() == []


def test_a_key_that_is_nowhere_is_an_error_that_says_so(machine: Machine) -> None:
    result = CliRunner().invoke(app, ["forget", "--key", "Ann_1.jpg", "--yes"])

    assert isinstance(result.exception, Actionable)
    assert "has the key 'Ann_1.jpg', so nothing was deleted" in str(result.exception)
    assert "whole, with its prefix" in str(result.exception)
    assert len(machine.photographs()) == 1


def forgetting(machine: Machine) -> forget.Forgetting:
    return forget.Forgetting(machine.deployment, forget.Person.named("Ann"), machine.pages)


@pytest.mark.parametrize("place", [Place.QUERY_RESULTS, Place.INVENTORIES])
def test_what_may_name_anybody_goes_with_any_person(machine: Machine, place: Place) -> None:
    key = f"{place}2026/result.csv"
    machine.cloud.s3.put_object(Bucket=OUTPUT, Key=key, Body=b"name\nAnn\n")

    result = machine.forget()

    assert result.exit_code == 0, result.output
    listed = machine.cloud.s3.list_objects_v2(Bucket=OUTPUT, Prefix=place)
    assert listed["KeyCount"] == 0


@pytest.mark.parametrize("place", [Place.FORGOTTEN, Place.BACKFILL_RESULTS])
def test_what_names_nobody_stays(machine: Machine, place: Place) -> None:
    key = f"{place}2026-11-01.json"
    machine.cloud.s3.put_object(Bucket=OUTPUT, Key=key, Body=b"{}\n")

    assert machine.forget().exit_code == 0

    listed = machine.cloud.s3.list_objects_v2(Bucket=OUTPUT, Prefix=key)
    assert listed["KeyCount"] == 1


def test_ids_with_the_persons_name_are_named_and_left(machine: Machine) -> None:
    machine.deployment.outputs["NamePattern"] = r"/(?:(?P<id>[0-9]+)-)?(?P<name>[^/]+?)_\d+[.]jpg"
    for key in ("7-Ann_1.jpg", "8-Ann_1.jpg", "9-Bo_1.jpg"):
        Album(machine.cloud).add(key)
    command = forget.Forgetting(machine.deployment, forget.Person.named("Ann"), machine.pages)

    found = command.find()

    assert command.namesakes == {"7", "8"}
    assert [entry.key for entry in found.versions] == [machine.ann.key]
    by_id = forget.Forgetting(machine.deployment, forget.Person.with_id("7"), machine.pages).find()
    assert [entry.key for entry in by_id.versions] == ["images/7-Ann_1.jpg"]


def test_a_forgotten_photograph_leaves_the_decisions_that_saw_it(machine: Machine) -> None:
    album = Album(machine.cloud)
    bo, cy = album.add("Bo_1.jpg"), album.add("Cy_1.jpg")
    seen = {"versions": [machine.ann.digest, bo.digest], "keys": [machine.ann.key, bo.key]}
    told = {"name_a": "Ann", "name_b": "Bo", "face_ids": []}
    about_bo = {"name_a": "Bo", "name_b": "Cy", "face_ids": [], "versions": [cy.digest]}
    alone = {"record_a": "name:Ann", "record_b": f"photograph:{machine.ann.key}"}
    machine.cloud.write("decisions/1.json", {**told, **seen})
    machine.cloud.write("decisions/2.json", {**about_bo, "keys": [cy.key]})
    machine.cloud.write("decisions/3.json", {**told, **alone, "versions": ["v"], "keys": [cy.key]})
    person = forget.Person(None, machine.ann.key)

    found = forget.Forgetting(machine.deployment, person, machine.pages).find()

    assert found.decisions == ["decisions/3.json"]
    (left,) = found.mentions["decisions/1.json"].lines
    assert (left["versions"], left["keys"]) == ([bo.digest], [bo.key])
    assert "decisions/2.json" not in found.mentions
