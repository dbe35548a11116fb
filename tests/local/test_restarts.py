"""What a start finds running has failed: told with history and event, once, and late enough."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import eventbridge, stepfunctions

from facematch.local.emulator.restarts import Restarts

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:Matching"


def execution(name: str, status: str) -> dict[str, Any]:
    return {
        "executionArn": f"{MACHINE.replace(':stateMachine:', ':execution:')}:{name}",
        "stateMachineArn": MACHINE,
        "name": name,
        "status": status,
        "startDate": "2026-11-22T10:00:00.000Z",
        "stopDate": None,
        "input": "{}",
        "output": None,
        "events": [{"id": 1, "type": "ExecutionStarted"}],
    }


class Emulator:
    """MiniStack's own Step Functions, started with what a snapshot holds."""

    def __init__(self, *kept: dict[str, Any]) -> None:
        stepfunctions._executions.clear()
        scoped = AccountRegionScopedDict()
        for each in kept:
            scoped[each["executionArn"]] = copy.deepcopy(each)
        self.restarts = Restarts(stepfunctions)
        restore = stepfunctions._restore_state
        self.restarts.install()
        stepfunctions._restore_state({"executions": scoped})
        stepfunctions._restore_state = restore

    def executions(self) -> list[dict[str, Any]]:
        kept: dict[str, Any] = stepfunctions.get_state()["executions"]
        return list(kept.values())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Name and error of each execution of which EventBridge gets an event."""
    events: list[tuple[str, str]] = []

    def put(request: dict[str, Any], *, allow_aws_source: bool) -> None:
        assert allow_aws_source
        details = [json.loads(entry["Detail"]) for entry in request["Entries"]]
        events.extend((detail["name"], detail["error"]) for detail in details)

    monkeypatch.setattr(eventbridge, "_put_events", put)
    monkeypatch.setattr(stepfunctions, "_executions", AccountRegionScopedDict())
    return events


def test_what_ran_is_told_when_the_functions_can_run_and_not_before(
    told: list[tuple[str, str]],
) -> None:
    emulator = Emulator(execution("ran", "RUNNING"), execution("failed", "FAILED"))
    before = list(told)

    emulator.restarts.tell()

    assert before == []
    assert told == [("ran", "States.ServiceRestart")]
    ran = emulator.executions()[0]
    assert ran["status"] == "FAILED"
    assert [event["type"] for event in ran["events"]] == ["ExecutionStarted", "ExecutionFailed"]


def test_the_next_start_tells_only_of_what_it_ended_itself(told: list[tuple[str, str]]) -> None:
    first = Emulator(execution("first", "RUNNING"))
    first.restarts.tell()
    second = Emulator(*first.executions(), execution("second", "RUNNING"))

    second.restarts.tell()

    assert [name for name, _ in told] == ["first", "second"]


def test_what_was_not_told_before_a_crash_is_told_at_the_next_start(
    told: list[tuple[str, str]],
) -> None:
    killed = Emulator(execution("ran", "RUNNING"))

    Emulator(*killed.executions()).restarts.tell()

    assert [name for name, _ in told] == ["ran"]


def test_a_first_start_has_nothing_to_tell(told: list[tuple[str, str]]) -> None:
    Emulator().restarts.tell()

    assert told == []
