"""A packed history reads as the list of events that it was, and comes back out of a snapshot."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.core import persistence
from ministack.core.responses import AccountRegionScopedDict

from facematch.local.emulator.histories import Histories, PackedHistory
from facematch.local.emulator.snapshots import Snapshots
from facematch.local.events import Events

ARN = "arn:aws:states:us-east-1:000000000000:execution:Matching:one"
EVENTS = [
    {"id": 1, "type": "ExecutionStarted", "details": {"input": '{"key": "images/Bjørn.jpg"}'}},
    {"id": 2, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "IndexFaces"}},
    {"id": 3, "type": "ExecutionFailed", "details": {"error": "Unavailable", "cause": None}},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=5), max_size=10))
def test_a_packed_history_reads_as_the_list_that_it_was(events: list[dict[str, Any]]) -> None:
    packed = PackedHistory.of(events)

    assert (len(packed), list(packed)) == (len(events), events)
    assert list(reversed(packed)) == events[::-1]
    assert packed[1:] == events[1:]
    assert [packed[index] for index in range(len(packed))] == events


def test_a_packed_history_takes_a_tenth_of_the_memory() -> None:
    image = {"key": "images/Ann_1.jpg", "etag": "0123456789abcdef", "size": 12_345}
    events = [
        {"id": number, "type": "TaskSucceeded", "taskSucceededEventDetails": {"output": str(image)}}
        for number in range(1, 21)
    ]

    assert len(PackedHistory.of(events)._packed) < len(json.dumps(events)) / 10


def test_a_copy_shares_nothing_that_changes() -> None:
    packed = PackedHistory.of(EVENTS[:2])
    copied = copy.deepcopy(packed)

    packed.append(EVENTS[2])

    assert (list(packed), list(copied)) == (EVENTS, EVENTS[:2])
    assert (len(packed), len(copied)) == (3, 2)


class StandInStepFunctions(SimpleNamespace):
    """The part of the module that we wrap; an execution ends as it is told to."""

    def __init__(self, status: str = "FAILED") -> None:
        super().__init__(restored=None)
        self.ends = status
        self._executions: dict[str, dict[str, Any]] = {
            ARN: {"status": "RUNNING", "events": list(EVENTS[:2])}
        }

    def _run_execution(self, arn: str) -> None:
        self._executions[arn]["events"].append(EVENTS[2])
        self._executions[arn]["status"] = self.ends

    def _restore_state(self, data: Any) -> None:
        self.restored = data


def installed(stepfunctions: StandInStepFunctions) -> SimpleNamespace:
    redrives = SimpleNamespace(resume=stepfunctions._run_execution)
    Histories(stepfunctions).install(redrives)
    return redrives


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "ABORTED"])
def test_a_history_is_packed_when_its_execution_ends(status: str) -> None:
    stepfunctions = StandInStepFunctions(status)
    installed(stepfunctions)

    stepfunctions._run_execution(ARN)

    events = stepfunctions._executions[ARN]["events"]
    assert isinstance(events, PackedHistory)
    assert list(events) == EVENTS


def test_a_history_is_packed_again_after_a_redrive() -> None:
    stepfunctions = StandInStepFunctions("SUCCEEDED")
    redrives = installed(stepfunctions)

    redrives.resume(ARN)

    assert isinstance(stepfunctions._executions[ARN]["events"], PackedHistory)


def test_what_still_runs_is_not_packed() -> None:
    """A redrive has replaced the execution that an aborted run's thread leaves."""
    stepfunctions = StandInStepFunctions("RUNNING")
    installed(stepfunctions)

    stepfunctions._run_execution(ARN)

    assert stepfunctions._executions[ARN]["events"] == EVENTS


def test_an_execution_that_is_gone_meanwhile_is_no_trouble() -> None:
    stepfunctions = StandInStepFunctions()
    redrives = SimpleNamespace(resume=stepfunctions._executions.pop)
    Histories(stepfunctions).install(redrives)

    redrives.resume(ARN)

    assert stepfunctions._executions == {}


def test_an_event_that_comes_while_the_history_is_packed_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """StopExecution says first that an execution is ABORTED, and adds the event then."""
    events = list(EVENTS[:2])
    execution = {"status": "ABORTED", "events": events}
    pack = PackedHistory.of

    def overtaken(of: list[dict[str, Any]]) -> PackedHistory:
        packed = pack(of)
        if len(of) < len(EVENTS):
            events.append(EVENTS[2])
        return packed

    monkeypatch.setattr(PackedHistory, "of", overtaken)
    Histories.pack(execution)

    assert list(execution["events"]) == EVENTS


def test_a_snapshot_keeps_packed_histories_and_the_emulator_reads_them(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "PERSIST_STATE", True)
    monkeypatch.setattr(persistence, "STATE_DIR", str(tmp_path))
    monkeypatch.setattr(persistence, "json", persistence.json)
    executions = AccountRegionScopedDict()
    executions["ended"] = {"status": "FAILED", "events": PackedHistory.of(EVENTS)}
    executions["running"] = {"status": "RUNNING", "events": EVENTS[:1]}
    Snapshots(SimpleNamespace(), persistence, Events(tmp_path / "events.jsonl"))
    stepfunctions = StandInStepFunctions()
    installed(stepfunctions)

    persistence.save_state("stepfunctions", {"executions": executions, "bytes": b"\xff"})
    read = persistence.load_state("stepfunctions")
    stepfunctions._restore_state(read)

    restored = stepfunctions.restored["executions"]
    assert isinstance(restored["ended"]["events"], PackedHistory)
    assert list(restored["ended"]["events"]) == EVENTS
    assert restored["running"]["events"] == EVENTS[:1]
    assert stepfunctions.restored["bytes"] == b"\xff"


@pytest.mark.parametrize("nothing", [None, {}, {"executions": {}}])
def test_a_first_start_restores_nothing(nothing: Any) -> None:
    stepfunctions = StandInStepFunctions()
    installed(stepfunctions)

    stepfunctions._restore_state(nothing)

    assert stepfunctions.restored == nothing


def test_the_emulator_still_writes_its_state_by_the_module_that_we_replace() -> None:
    assert persistence.json is json
