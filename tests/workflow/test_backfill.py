"""The backfill's state machine, executed on what is in the bucket already."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest

from facematch.cli.backfill import backfilled, previewed
from facematch.cli.exit_status import ExitStatus
from facematch.cli.main import status_of
from facematch.errors import Unusable
from facematch.operations.backfill import BackfillFailed, NothingListed
from functions.matching.reports import report_key
from tests.workflow.conftest import eventually
from tests.workflow.test_audit import lose_messages, messages_in, starter_paused

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

AWKWARD = ["Zoë & Ann+1 100%_1.png", "%41_2.png", "a b/c+d_3.png", "王_4.png", "x=y;z_5.png"]


def left_behind(workflow: Workflow, keys: list[str], body: bytes) -> list[UploadedImage]:
    """Objects of which nobody has told the workflow."""
    with starter_paused(workflow):
        images = [workflow.upload(key, body) for key in keys]
        lose_messages(workflow)
    return images


def settled(workflow: Workflow) -> None:
    """Wait until the queue is empty."""
    eventually(lambda: True if messages_in(workflow, "QueueUrl") == 0 else None)


def delivered_inventory(
    workflow: Workflow, columns: list[str], rows: list[list[str]], **manifest: Any
) -> str:
    """An inventory as S3 delivers it; URL of its manifest."""
    bucket = workflow.deployment.output_bucket
    folder = f"inventory/{workflow.deployment.images_bucket}/all/{time.monotonic_ns()}"
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    workflow.s3.put_object(
        Bucket=bucket, Key=f"{folder}/data.csv.gz", Body=gzip.compress(text.getvalue().encode())
    )
    document = {
        "sourceBucket": workflow.deployment.images_bucket,
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "version": "2016-11-30",
        "fileFormat": "CSV",
        "fileSchema": ", ".join(columns),
        "files": [{"key": f"{folder}/data.csv.gz"}],
        **manifest,
    }
    key = f"{folder}/manifest.json"
    workflow.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(document).encode())
    return f"s3://{bucket}/{key}"


def test_every_object_that_was_there_before_gets_an_outcome_whatever_its_key(
    workflow: Workflow, faceless: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    images = left_behind(workflow, AWKWARD, faceless)
    workflow.s3.put_object(Bucket=workflow.deployment.images_bucket, Key="images/folder/")

    run = backfilled(workflow.deployment)

    assert (run.status, run.listed, run.gone_through) == ("SUCCEEDED", 6, 6)
    assert "6 objects were sent" in capsys.readouterr().out
    for image in images:
        assert workflow.finished(image)["status"] == "SUCCEEDED"
        assert workflow.report(image)["version_id"] == image.version_id


def test_a_backfill_and_an_upload_of_one_version_are_the_same_execution(
    workflow: Workflow, faceless: bytes
) -> None:
    image = workflow.upload("Ann_0001.png", faceless)
    workflow.finished(image)
    before = workflow.report(image)

    backfilled(workflow.deployment)
    settled(workflow)

    assert len(workflow.executions_of(image)) == 1
    assert workflow.report(image) == before


def test_what_has_a_report_is_skipped_even_when_its_name_is_free_again(
    workflow: Workflow, faceless: bytes
) -> None:
    reported, other = left_behind(workflow, ["Ann_0001.png", "Bea_0001.png"], faceless)
    # As after 90 days: there is a report, and Step Functions has forgotten the execution.
    workflow.s3.put_object(
        Bucket=workflow.deployment.output_bucket, Key=report_key(reported), Body=b"{}"
    )

    backfilled(workflow.deployment)
    workflow.finished(other)
    settled(workflow)

    assert workflow.executions_of(reported) == []

    backfilled(workflow.deployment, again=True)

    assert workflow.finished(reported)["status"] == "SUCCEEDED"
    assert workflow.report(reported)["status"] == "NO_FACE"


def test_again_processes_it_under_a_replays_name(workflow: Workflow, faceless: bytes) -> None:
    image = workflow.upload("Ann_0001.png", faceless)
    workflow.finished(image)

    backfilled(workflow.deployment, again=True)
    first = workflow.ended(f"{workflow.arn(image)}-r1")
    backfilled(workflow.deployment, again=True)
    second = workflow.ended(f"{workflow.arn(image)}-r2")

    assert (first["status"], second["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert first["input"] == second["input"] == image.execution_input
    assert workflow.report(image)["execution_arn"] == second["executionArn"]


def test_only_keys_below_the_prefix_are_sent(workflow: Workflow, faceless: bytes) -> None:
    wanted, other = left_behind(workflow, ["a/Ann_0001.png", "b/Bea_0001.png"], faceless)

    run = backfilled(workflow.deployment, prefix="images/a/")
    workflow.finished(wanted)
    settled(workflow)

    assert run.listed == 1
    assert workflow.executions_of(other) == []


def test_a_prefix_that_lists_nothing_says_so(workflow: Workflow) -> None:
    with pytest.raises(NothingListed, match="images/nobody/ lists no object") as raised:
        backfilled(workflow.deployment, prefix="images/nobody/")
    assert status_of(raised.value) == ExitStatus.FAILED
    with pytest.raises(NothingListed):
        previewed(workflow.deployment, prefix="images/nobody/")


def test_a_prefix_outside_of_the_images_is_refused(workflow: Workflow) -> None:
    with pytest.raises(Unusable, match="images/"):
        backfilled(workflow.deployment, prefix="elsewhere/")


def test_a_dry_run_counts_and_sends_nothing(
    workflow: Workflow, faceless: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow.finished(workflow.upload("Ann_0001.png", faceless))
    (waiting,) = left_behind(workflow, ["Bea_0001.png"], faceless)

    found = previewed(workflow.deployment)

    assert (found.objects, found.reported) == (2, 1)
    assert "2 objects below images/, of which 1 have a report" in capsys.readouterr().out
    assert workflow.executions_of(waiting) == []


def test_an_inventory_names_the_versions(workflow: Workflow, faceless: bytes) -> None:
    older, newer = left_behind(workflow, ["Zoë & Ann+1_1.png"] * 2, faceless)
    bucket = older.bucket
    columns = ["Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size"]
    rows = [
        [bucket, quote_plus(older.key, safe="/"), str(newer.version_id), "true", "false", "592"],
        [bucket, quote_plus(older.key, safe="/"), str(older.version_id), "false", "false", "592"],
        [bucket, "images/gone_1.png", "someversion", "true", "true", ""],
        [bucket, "images/folder/", "", "true", "false", "0"],
        [bucket, "elsewhere/Ann_1.png", "", "true", "false", "5"],
    ]

    run = backfilled(workflow.deployment, inventory=delivered_inventory(workflow, columns, rows))

    assert (run.status, run.listed) == ("SUCCEEDED", 5)
    assert workflow.finished(newer)["status"] == "SUCCEEDED"
    assert workflow.finished(older)["error"] == "ImageRejected"
    assert workflow.failure(older)["reason"] == "SUPERSEDED"
    settled(workflow)
    assert not [e for e in all_executions(workflow) if "gone" in e or "folder" in e]


def test_an_inventory_of_keys_alone_is_enough(workflow: Workflow, faceless: bytes) -> None:
    (image,) = left_behind(workflow, ["Ann Lee_1.png"], faceless)
    rows = [[image.bucket, quote_plus(image.key, safe="/")]]

    backfilled(
        workflow.deployment, inventory=delivered_inventory(workflow, ["Bucket", "Key"], rows)
    )

    assert workflow.finished(image)["status"] == "SUCCEEDED"


def test_an_inventory_of_something_else_is_refused_before_anything_starts(
    workflow: Workflow,
) -> None:
    output = workflow.deployment.output_bucket
    wrong = {
        "s3://elsewhere/inventory/manifest.json": f"below s3://{output}/inventory/",
        f"s3://{output}/inventory/none/manifest.json": "cannot be read",
        delivered_inventory(workflow, ["Key"], [], fileFormat="ORC"): "in ORC",
        delivered_inventory(workflow, ["Key"], [], sourceBucket="other"): "of other",
    }
    for url, why in wrong.items():
        with pytest.raises(Unusable, match=why):
            backfilled(workflow.deployment, inventory=url)
    with pytest.raises(Unusable, match="Either"):
        backfilled(workflow.deployment, prefix="images/", inventory="s3://x/manifest.json")


def test_a_message_that_cannot_be_sent_fails_the_backfill_and_says_what_to_do(
    workflow: Workflow, faceless: bytes
) -> None:
    left_behind(workflow, ["Ann_1.png"], faceless)
    machine = workflow.deployment.outputs["BackfillStateMachineArn"]
    definition = workflow.stepfunctions.describe_state_machine(stateMachineArn=machine)[
        "definition"
    ]
    queue = workflow.deployment.outputs["QueueUrl"]
    broken = definition.replace(queue, f"{queue}-that-is-gone")
    assert broken != definition
    workflow.stepfunctions.update_state_machine(stateMachineArn=machine, definition=broken)
    try:
        with pytest.raises(BackfillFailed, match=r"FAILED after 0 of 1.*redrive"):
            backfilled(workflow.deployment)
    finally:
        workflow.stepfunctions.update_state_machine(stateMachineArn=machine, definition=definition)


def all_executions(workflow: Workflow) -> list[str]:
    pages = workflow.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=workflow.deployment.state_machine_arn
    )
    return [execution["name"] for page in pages for execution in page["executions"]]
