"""A pair that people decided about, on its way through the workflow again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from facematch.operations.decisions import decisions_in, import_decisions
from facematch.operations.matches import matches
from functions.matching.decisions import Decided
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow


def decide(workflow: Workflow, row: dict[str, Any], decided: Decided, folder: Path) -> None:
    """Import a decision on what the row shows, as the evidence page exports it."""
    decision = {
        "name_a": row["name"],
        "name_b": row["matched_name"],
        "decision": decided,
        "note": "",
        "decided_by": "Rea Viewer",
        "decided_at": "2026-01-20T09:00:00.000Z",
        "similarity": row["similarity"],
        "face_ids": [row["face_id"], row["matched_face_id"]],
    }
    stack = workflow.deployment.stack_name
    file = folder / "decisions.json"
    file.write_text(json.dumps({"stack": stack, "decisions": [decision]}))
    found = decisions_in(file, stack_name=stack, images_bucket=workflow.deployment.images_bucket)
    assert [what for _, what in import_decisions(workflow.deployment, found)] == ["imported"]


def again(workflow: Workflow, image: UploadedImage) -> list[str]:
    """The states that a new execution for the same version goes through."""
    arn = workflow.stepfunctions.start_execution(
        stateMachineArn=workflow.deployment.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )["executionArn"]
    assert workflow.ended(arn)["status"] == "SUCCEEDED"
    return workflow.states(arn)


def test_a_pair_decided_against_is_silent_until_a_new_photograph_and_for_good_when_confirmed(
    workflow: Workflow, tmp_path: Path
) -> None:
    notifications = workflow.subscribed("MatchesTopicArn")
    workflow.finished(workflow.upload("Dan_Fox_0001.jpg", workflow.photograph("obama.jpg")))
    second = workflow.upload("Eve_Gray_0001.jpg", workflow.photograph("obama2.jpg"))
    workflow.finished(second)
    eventually(lambda: notifications() or None)
    (row,) = workflow.records("matches", second)
    decide(workflow, row, Decided.DIFFERENT_PEOPLE, tmp_path)
    (pair,) = matches(workflow.deployment, minimum=80)
    assert (pair.standing, pair.is_open) == ("DIFFERENT_PEOPLE", False)

    assert "NotifyMatch" not in again(workflow, second)

    report = workflow.report(second)
    assert (report["status"], report["above_threshold"]) == ("MATCHED", False)
    assert report["silenced"] == ["name:Dan Fox"]
    assert len(notifications()) == 1

    third = workflow.upload("Eve_Gray_0002.jpg", workflow.photograph("obama3.jpg"))
    workflow.finished(third)

    eventually(lambda: notifications() if len(notifications()) > 1 else None)
    message = notifications()[1]
    (reopened,) = json.loads(message["Message"])["reopened"]
    assert (reopened["other_name"], reopened["decided_by"]) == ("Dan_Fox", "Rea Viewer")
    assert "NEW_PHOTOGRAPH" in reopened["why"]
    assert workflow.report(third)["reopened"] == ["name:Dan Fox"]
    (pair,) = matches(workflow.deployment, minimum=80)
    assert (pair.standing, pair.is_open) == ("REOPENED", True)

    # The person saw the first two photographs, and the third is new evidence.
    decide(workflow, row, Decided.SAME_PERSON, tmp_path)
    assert "NotifyMatch" not in again(workflow, third)
    report = workflow.report(third)
    assert (report["known"], report["silenced"]) == (["name:Dan Fox"], [])
    assert (report["status"], report["above_threshold"]) == ("MATCHED", False)
    assert len(notifications()) == 2
