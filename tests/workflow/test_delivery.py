"""A report of a match whose notification failed: seen everywhere, and repaired by a replay."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.cli.options import Where
from tests.workflow.conftest import eventually
from tests.workflow.test_way_of_an_image import invoke_failure, states_so_far

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow


@pytest.fixture
def run(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command on the deployed workflow."""
    monkeypatch.setattr(Where, "deployment", lambda _: workflow.deployment)
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


@contextmanager
def no_topic(workflow: Workflow) -> Iterator[None]:
    """The matches topic is not there."""
    sns, arn = workflow.cloud.client("sns"), workflow.deployment.outputs["MatchesTopicArn"]
    sns.delete_topic(TopicArn=arn)
    try:
        yield
    finally:
        assert sns.create_topic(Name=arn.rpartition(":")[2])["TopicArn"] == arn


def undelivered(workflow: Workflow, key: str = "Bea_Roe_0001.jpg") -> UploadedImage:
    """A photograph with a match of which nobody was notified, since there was no topic."""
    ann = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    assert workflow.finished(ann)["status"] == "SUCCEEDED"
    with no_topic(workflow):
        image = workflow.upload(key, workflow.photograph("obama2.jpg"))
        execution = workflow.finished(image)
        record = delivery_failure(workflow, image)
    assert execution["status"] == "FAILED"
    assert record["execution_arn"] == execution["executionArn"]
    return image


def delivery_failure(workflow: Workflow, image: UploadedImage) -> dict[str, Any]:
    """The record that the version's notification failed, once it is there."""
    return eventually(lambda: next(iter(workflow.records("delivery_failures", image)), None))


def test_every_command_tells_of_it_until_a_replay_has_repaired_it(
    workflow: Workflow, run: Callable[..., Result], tmp_path: Path
) -> None:
    ann = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    assert workflow.finished(ann)["status"] == "SUCCEEDED"
    (tmp_path / "Bea_Roe_0001.jpg").write_bytes(workflow.photograph("obama2.jpg"))
    with no_topic(workflow):
        uploaded = run("upload", str(tmp_path), "--wait")
    (image,) = [i for i in current(workflow) if i.key.endswith("Bea_Roe_0001.jpg")]
    failed = delivery_failure(workflow, image)
    reason = failed["reason"]

    assert workflow.report(image)["above_threshold"] is True
    assert (failed["status"], failed["step"], failed["replay"]) == (
        *("FAILED", "NotifyMatch", "REDRIVE"),
    )
    assert "restore the permission or the resource" in failed["remedy"]
    assert workflow.records("failures", image) == []
    assert uploaded.exit_code == 1
    assert f"nobody was notified ({reason}): {image.key}" in uploaded.stdout
    again = "facematch replay --all --local"
    assert again in uploaded.stdout.splitlines()[-1]
    assert run("upload", str(tmp_path), "--wait").exit_code == 1
    shown = run("failures").stdout
    assert "nobody was notified" in shown
    assert again in shown.splitlines()[-1]
    (group,) = [g for g in json.loads(run("failures", "--json").stdout) if g["lacks"] == "DELIVERY"]
    assert (group["reason"], group["count"], group["steps"]) == (reason, 1, "NotifyMatch")
    assert f"nobody notified: FAILED {reason}" in run("status").stdout
    status = json.loads(run("status", "--json").stdout)
    assert status["undelivered"] == {f"FAILED {reason}": 1}
    audited = run("audit")
    assert "1  have a report, but nobody was notified" in audited.stdout
    assert again in audited.stdout
    told = run("show", image.key).stdout
    assert "notification: failed" in told
    assert "nobody was notified" in told
    assert f"facematch replay {image.execution_name} --local" in told
    rows = json.loads(run("query", "failures", "--json").stdout)
    assert ("delivery", reason, 1) in {(r["lacks"], r["reason"], r["images"]) for r in rows}
    plan = json.loads(run("replay", "--all", "--dry-run", "--json").stdout)
    assert workflow.arn(image) in {replay["execution"] for replay in plan["replays"]}

    notifications = workflow.subscribed("MatchesTopicArn")
    replayed = run("replay", "--step", "NotifyMatch")

    assert replayed.exit_code == 0
    assert replayed.stdout.splitlines()[-1] == "1 of 1 succeeded."
    (message,) = eventually(lambda: notifications() or None)
    assert "Bea_Roe looks like Ann_Lee" in message["Subject"]
    assert workflow.records("delivery_failures", image) == []
    assert run("upload", str(tmp_path), "--wait").exit_code == 0
    assert "nobody was notified" not in run("failures").stdout
    assert json.loads(run("status", "--json").stdout)["undelivered"] == {}
    assert "nobody was notified" not in run("audit").stdout
    assert "notification: made" in run("show", image.key).stdout
    assert not json.loads(run("replay", "--step", "NotifyMatch", "--json").stdout)["replays"]


def current(workflow: Workflow) -> list[UploadedImage]:
    """The newest version of each photograph."""
    versions = workflow.s3.list_object_versions(Bucket=workflow.deployment.images_bucket)
    return [workflow.image(v["Key"], v["VersionId"]) for v in versions["Versions"] if v["IsLatest"]]


def test_a_late_event_of_an_older_attempt_changes_nothing_after_a_restart_that_succeeded(
    workflow: Workflow,
) -> None:
    image = undelivered(workflow)
    failed = workflow.finished(image)
    again = workflow.stepfunctions.start_execution(
        stateMachineArn=workflow.deployment.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )

    assert workflow.ended(again["executionArn"])["status"] == "SUCCEEDED"
    assert workflow.records("delivery_failures", image) == []
    assert invoke_failure(workflow, failed) == {"recorded": False}

    assert workflow.records("delivery_failures", image) == []
    assert workflow.records("failures", image) == []
    assert workflow.report(image)["execution_arn"] == again["executionArn"]


def test_a_late_event_changes_nothing_after_a_redrive_that_succeeded(workflow: Workflow) -> None:
    image = undelivered(workflow)
    failed = workflow.finished(image)
    workflow.stepfunctions.redrive_execution(executionArn=workflow.arn(image))
    assert workflow.finished(image)["status"] == "SUCCEEDED"

    assert invoke_failure(workflow, failed) == {"recorded": False}
    assert workflow.records("delivery_failures", image) == []


def test_an_execution_that_somebody_stops_after_its_report_is_recorded_and_goes_on(
    workflow: Workflow,
) -> None:
    notifications = workflow.subscribed("MatchesTopicArn")
    running = workflow.cloud.running
    assert running
    ann = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(ann)
    workflow.configure("Notify", AWS_ENDPOINT_URL_SNS="http://127.0.0.1:9")
    try:
        image = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("obama2.jpg"))
        arn = workflow.arn(image)
        eventually(lambda: "NotifyMatch" in states_so_far(workflow, arn) or None)
        workflow.stepfunctions.stop_execution(executionArn=arn)
        record = delivery_failure(workflow, image)
    finally:
        workflow.configure("Notify", AWS_ENDPOINT_URL_SNS=running.endpoint)

    assert (record["status"], record["step"]) == ("ABORTED", "NotifyMatch")
    workflow.stepfunctions.redrive_execution(executionArn=arn)
    assert workflow.finished(image)["status"] == "SUCCEEDED"
    assert workflow.records("delivery_failures", image) == []
    assert len(eventually(lambda: notifications() or None)) == 1


def test_a_new_attempt_that_notified_nobody_is_replayed_though_an_older_one_had_succeeded(
    workflow: Workflow, run: Callable[..., Result]
) -> None:
    ann = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    assert workflow.finished(ann)["status"] == "SUCCEEDED"
    bea = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("obama2.jpg"))
    assert workflow.finished(bea)["status"] == "SUCCEEDED"
    with no_topic(workflow):
        again = workflow.stepfunctions.start_execution(
            stateMachineArn=workflow.deployment.state_machine_arn,
            name=f"{bea.execution_name}-r1",
            input=bea.execution_input,
        )["executionArn"]
        assert workflow.ended(again)["status"] == "FAILED"
        assert delivery_failure(workflow, bea)["execution_arn"] == again

    assert run("replay", "--step", "NotifyMatch").stdout.splitlines()[-1] == "1 of 1 succeeded."
    assert workflow.records("delivery_failures", bea) == []


def test_a_photograph_that_is_deleted_takes_the_record_with_it(workflow: Workflow) -> None:
    image = undelivered(workflow)

    workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)

    eventually(lambda: None if workflow.records("reports", image) else True)
    eventually(lambda: None if workflow.records("delivery_failures", image) else True)
    assert invoke_failure(workflow, workflow.finished(image)) == {"recorded": False}
    assert workflow.records("failures", image) == []
