"""Replaying what failed, with real failures: nothing is lost and nothing is done twice."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from facematch.errors import Unusable
from facematch.operations.failures import failure_groups
from facematch.operations.image_history import image_history
from facematch.operations.replay import How, Plan, Replayer, Result, Selection, moment
from facematch.operations.status import stack_status
from facematch.stack.queues import DeadLetters
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from facematch.operations.status import StackStatus
    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

ALWAYS = 10_000
EVERYTHING = Selection(everything=True)
PEOPLE = {
    "Ann_Lee_0001.jpg": "obama.jpg",
    "Ann_Lee_0002.jpg": "obama3.jpg",
    "Bea_Roe_0001.jpg": "obama2.jpg",
    "Cal_Poe_0001.jpg": "obama_partial_face.jpg",
    "Dan_Fox_0001.jpg": "biden.jpg",
}


@pytest.fixture(autouse=True)
def _only_what_this_test_leaves_behind(workflow: Workflow) -> None:
    """Executions stay in the emulator: what failed in a test before is none of this one's."""
    STALE.update(item.arn for item in replayer(workflow).plan(EVERYTHING).replays)


STALE: set[str] = set()


def replayer(workflow: Workflow) -> Replayer:
    return Replayer(workflow.deployment)


def fresh(plan: Plan) -> Plan:
    """The plan without what tests before this one have left."""
    plan.replays = [item for item in plan.replays if item.arn not in STALE]
    return plan


def replayed(workflow: Workflow, selection: Selection = EVERYTHING) -> list[Result]:
    plan = fresh(replayer(workflow).plan(selection))
    return replayer(workflow).run(plan, done=lambda _: None)


def fail(workflow: Workflow, key: str, operation: str = "SearchFaces") -> UploadedImage:
    workflow.rekognition.fail_next(ALWAYS, "AccessDeniedException", operation)
    image = workflow.upload(key, workflow.photograph("obama.jpg"))
    assert workflow.finished(image)["status"] == "FAILED"
    workflow.failure(image)
    workflow.rekognition.fail_next(0, "")
    return image


def test_a_failed_execution_is_redriven_and_has_one_outcome(workflow: Workflow) -> None:
    image = fail(workflow, "Ann_Lee_0001.jpg")

    (result,) = replayed(workflow)

    assert (result.replay.how, result.succeeded) == (How.REDRIVE, True)
    assert result.arn == workflow.arn(image)
    assert workflow.report(image)["status"] == "UNIQUE"
    assert workflow.records("failures", image) == []
    assert len(workflow.executions_of(image)) == 1


def test_nothing_is_replayed_twice(workflow: Workflow) -> None:
    fail(workflow, "Ann_Lee_0001.jpg")
    replayed(workflow)

    assert fresh(replayer(workflow).plan(EVERYTHING)).replays == []


def test_an_execution_of_another_definition_is_restarted_under_a_name_of_its_own(
    workflow: Workflow,
) -> None:
    image = fail(workflow, "Ann_Lee_0001.jpg")
    machine = workflow.deployment.state_machine_arn
    client = workflow.stepfunctions
    usual = client.describe_state_machine(stateMachineArn=machine)["definition"]
    changed = json.dumps(json.loads(usual) | {"Comment": "Another definition."})
    client.update_state_machine(stateMachineArn=machine, definition=changed)
    try:
        (result,) = replayed(workflow)
    finally:
        client.update_state_machine(stateMachineArn=machine, definition=usual)

    assert result.replay.how is How.RESTART
    assert "definition has changed" in result.replay.why
    assert (result.arn or "").endswith(f"{image.execution_name}-r1")
    assert workflow.report(image)["execution_arn"] == result.arn
    assert workflow.records("failures", image) == []


def test_a_rejected_image_is_replayed_only_when_told_to_and_is_rejected_again(
    workflow: Workflow,
) -> None:
    image = workflow.upload("Broken_0001.jpg", b"not a photograph")
    workflow.finished(image)
    workflow.failure(image)
    without = fresh(replayer(workflow).plan(EVERYTHING))

    name = Selection(names=(image.execution_name,), include_rejected=True)
    (result,) = replayed(workflow, name)

    assert without.replays == []
    assert any("rejected" in why for why in without.left_out)
    assert (result.replay.how, result.succeeded) == (How.RESTART, False)
    assert result.outcome == "FAILED (ImageRejected)"
    assert workflow.failure(image)["execution_arn"] == result.arn


def test_two_replays_at_once_replay_each_execution_once(workflow: Workflow) -> None:
    images = [fail(workflow, f"Ann_Lee_000{number}.jpg") for number in range(3)]
    plans = [fresh(replayer(workflow).plan(EVERYTHING)) for _ in range(2)]
    results: list[Result] = []

    def run(plan: Plan) -> None:
        results.extend(replayer(workflow).run(plan, done=lambda _: None))

    threads = [threading.Thread(target=run, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 6
    assert all(result.succeeded for result in results)
    for image in images:
        assert len(workflow.executions_of(image)) == 1
        assert workflow.finished(image)["redriveCount"] == 1


def test_a_wrong_deployment_is_mended_and_the_execution_goes_on_at_the_step_that_failed(
    workflow: Workflow,
) -> None:
    usual = workflow.cloud.client("lambda").get_function_configuration(
        FunctionName=workflow.function("Search")
    )["Environment"]["Variables"]["MAX_MATCHES"]
    workflow.configure("Search", MAX_MATCHES="a hundred")
    try:
        image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
        failed = workflow.finished(image)
    finally:
        workflow.configure("Search", MAX_MATCHES=usual)

    (result,) = replayed(workflow)

    assert failed["status"] == "FAILED"
    assert result.succeeded
    assert workflow.states(failed["executionArn"]).count("IndexFaces") == 1


def test_executions_that_failed_while_an_endpoint_was_down_are_redriven_once_it_is_back(
    workflow: Workflow,
) -> None:
    workflow.configure("Search", AWS_ENDPOINT_URL_REKOGNITION="http://127.0.0.1:9")
    try:
        images = [
            workflow.upload(key, workflow.photograph("obama.jpg"))
            for key in ("Ann_Lee_0001.jpg", "Bea_Roe_0001.jpg")
        ]
        failed = [workflow.finished(image) for image in images]
    finally:
        workflow.configure("Search", AWS_ENDPOINT_URL_REKOGNITION=workflow.rekognition.url)

    results = replayed(workflow, Selection(error="Unavailable"))

    assert [execution["error"] for execution in failed] == ["Unavailable", "Unavailable"]
    assert [result.replay.how for result in results] == [How.REDRIVE, How.REDRIVE]
    assert all(result.succeeded for result in results)
    assert {workflow.report(image)["status"] for image in images} == {"MATCHED"}


def test_an_execution_that_is_forgotten_is_replayed_from_its_failure_record(
    workflow: Workflow,
) -> None:
    image = fail(workflow, "Ann_Lee_0001.jpg")
    record = workflow.failure(image)
    forgotten = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("biden.jpg"))
    workflow.finished(forgotten)
    # As after 90 days: a record whose execution Step Functions does not know.
    key = f"failures/dt={image.day}/{'0' * 32}.json"
    never = {
        **record,
        "digest": "0" * 32,
        "version_id": forgotten.version_id,
        "etag": "another",
        "execution_arn": f"{workflow.arn(image)}-long-ago",
    }
    workflow.s3.put_object(
        Bucket=workflow.deployment.output_bucket, Key=key, Body=json.dumps(never).encode()
    )
    try:
        plan = fresh(replayer(workflow).plan(EVERYTHING))
    finally:
        workflow.s3.delete_object(Bucket=workflow.deployment.output_bucket, Key=key)

    from_record = [item for item in plan.replays if "failure record" in item.why]
    assert [item.how for item in from_record] == [How.RESTART]
    assert json.loads(from_record[0].input)["versionId"] == forgotten.version_id


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(error="AccessDeniedException"), 2),
        (Selection(error="Unavailable"), 0),
        (Selection(step="SearchFaces"), 1),
        (Selection(step="IndexFaces", error="AccessDeniedException"), 1),
        (Selection(since=datetime.now(UTC) + timedelta(days=1)), 0),
    ],
)
def test_what_is_chosen_is_what_is_replayed(
    workflow: Workflow, selection: Selection, found: int
) -> None:
    fail(workflow, "Ann_Lee_0001.jpg", "SearchFaces")
    fail(workflow, "Bea_Roe_0001.jpg", "IndexFaces")

    assert len(fresh(replayer(workflow).plan(selection)).replays) == found


def test_an_unknown_execution_is_named(workflow: Workflow) -> None:
    with pytest.raises(Unusable, match="Nobody-1"):
        replayer(workflow).plan(Selection(names=("Nobody-1",)))


def outcomes(workflow: Workflow, images: list[UploadedImage]) -> dict[str, Any]:
    """What must not depend on faults or on the order of things."""
    reports = [workflow.report(image) for image in images]
    pairs = {
        (*sorted((row["key"], row["matched_key"])), round(row["similarity"], 6))
        for image in images
        for row in workflow.records("matches", image)
    }
    return {
        "keys": sorted(report["key"] for report in reports),
        "faces": sorted(face["face_id"] for report in reports for face in report["faces"]),
        "pairs": pairs,
        "failures": [image.key for image in images if workflow.records("failures", image)],
    }


@pytest.fixture
def clean_run(workflow: Workflow) -> dict[str, Any]:
    images = [workflow.upload(key, workflow.photograph(p)) for key, p in PEOPLE.items()]
    for image in images:
        workflow.finished(image)
    return outcomes(workflow, images)


def test_a_run_with_faults_and_a_replay_ends_as_one_without_faults(
    workflow: Workflow, clean_run: dict[str, Any]
) -> None:
    collection = workflow.deployment.outputs["CollectionId"]
    rekognition = workflow.cloud.client("rekognition")
    faces = [face["FaceId"] for face in rekognition.list_faces(CollectionId=collection)["Faces"]]
    rekognition.delete_faces(CollectionId=collection, FaceIds=faces)

    workflow.rekognition.fail_next(3, "AccessDeniedException")
    images = [workflow.upload(key, workflow.photograph(p)) for key, p in PEOPLE.items()]
    ends = [workflow.finished(image)["status"] for image in images]
    workflow.rekognition.fail_next(0, "")
    results = replayed(workflow)

    assert ends.count("FAILED") == len(results) == 3
    assert all(result.succeeded for result in results)
    found = outcomes(workflow, images)
    assert found["failures"] == []
    assert found == clean_run


def test_dead_letters_are_shown_and_moved_back(workflow: Workflow) -> None:
    sqs = workflow.cloud.client("sqs")
    dead = workflow.deployment.outputs["DeadLetterQueueUrl"]
    sqs.purge_queue(QueueUrl=dead)
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)
    sqs.send_message(QueueUrl=dead, MessageBody=json.dumps({"Event": "s3:TestEvent"}))
    letters = DeadLetters(workflow.deployment)

    (shown,) = letters.shown()
    moved = eventually(lambda: letters.move_back() or None)

    assert json.loads(shown.body) == {"Event": "s3:TestEvent"}
    assert moved == 1
    assert letters.count() == 0


def test_an_image_history_has_the_steps_with_their_retries_and_the_matches_from_both_sides(
    workflow: Workflow,
) -> None:
    first = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(first)
    workflow.rekognition.fail_next(3, "ThrottlingException", "SearchFaces")
    second = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("obama2.jpg"))
    workflow.finished(second)

    told = image_history(workflow.deployment, second.execution_name)
    from_the_other_side = image_history(workflow.deployment, "Ann_Lee_0001.jpg")

    by_name = {step.name: step for step in told.steps}
    assert "Unavailable" in by_name["SearchFaces"].errors
    assert by_name["IndexFaces"].errors == []
    assert all(step.seconds is not None for step in told.steps)
    assert told.report
    assert told.report["faces"][0]["matches"][0]["key"] == first.key
    assert from_the_other_side.image
    assert from_the_other_side.image.digest == first.digest
    assert [row["key"] for row in from_the_other_side.seen_by_others] == [second.key]


def test_failures_are_grouped_by_reason_with_what_to_do(workflow: Workflow) -> None:
    broken = workflow.upload("Broken_0001.jpg", b"not a photograph")
    told_what_to_do = workflow.failure(broken)["remedy"]

    groups = {group.reason: group for group in failure_groups(workflow.deployment)}

    assert groups["NOT_JPEG_OR_PNG"].count >= 1
    assert groups["NOT_JPEG_OR_PNG"].remedy == told_what_to_do
    assert groups["NOT_JPEG_OR_PNG"].replay == "NONE"


def standing_at_rest(workflow: Workflow) -> StackStatus | None:
    """At two looks in a row: the images of the test before may still be on their way out."""
    for last in (False, True):
        found = stack_status(workflow.deployment, since=datetime.now(UTC) - timedelta(minutes=30))
        if found.waiting + found.in_flight + found.running:
            break
        if last:
            return found
        time.sleep(0.3)
    return None


def test_the_standing_counts_what_waits_and_what_has_finished(workflow: Workflow) -> None:
    before = eventually(lambda: standing_at_rest(workflow))
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)

    after = stack_status(workflow.deployment, since=datetime.now(UTC) - timedelta(minutes=30))

    assert after.finished["UNIQUE"] == before.finished.get("UNIQUE", 0) + 1
    assert after.started_per_second > 0
    assert after.running == 0


@pytest.mark.parametrize(
    ("text", "hours"), [("2h", 2), ("1d", 24), ("30m", 0.5), ("2026-01-01T00:00", 12)]
)
def test_a_time_is_understood_in_both_ways(text: str, hours: float) -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert moment(text, now=now) == now - timedelta(hours=hours)


def test_what_is_no_time_is_refused_with_examples() -> None:
    with pytest.raises(Unusable, match="30m, 2h, 7d"):
        moment("yesterday", now=datetime.now(UTC))
