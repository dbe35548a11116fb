"""The state machine's graph: order, retries, what is caught and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.decisions import Judgement
from functions.matching.failures import AFTER_THE_REPORT
from functions.matching.identity import Identity
from functions.matching.reports import is_above_threshold, json_lines, report
from tests.unit.strategies import images, searches, similarities

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infrastructure.conftest import Template

STEPS = ("IndexFaces", "SearchFaces", "WriteReport", "NotifyMatch")
#: Of the Lambda service around an invocation, and ours for a service that throttled or failed.
WORTH_A_RETRY = {
    "Unavailable",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
}


def test_an_image_meets_the_steps_in_order(template: Template) -> None:
    states = template.definition()["States"]
    order = [template.definition()["StartAt"]]
    while "Next" in states[order[-1]]:
        order.append(states[order[-1]]["Next"])

    assert order == ["IndexFaces", "Settle", "SearchFaces", "WriteReport", "AboveThreshold"]
    choice = states["AboveThreshold"]
    assert [branch["Next"] for branch in choice["Choices"]] == ["NotifyMatch"]
    assert choice["Default"] == "Done"
    assert states["NotifyMatch"]["End"] is True


def test_each_step_calls_a_function_of_its_own(template: Template) -> None:
    tasks = {n: s for n, s in template.definition()["States"].items() if s["Type"] == "Task"}

    called = [task["Arguments"]["FunctionName"] for task in tasks.values()]
    assert set(tasks) == {*STEPS, "RecordFailure"}
    assert len(set(called)) == len(called)


@pytest.mark.parametrize(
    ("execution", "told"), [({"Id": "arn"}, 0), ({"RedriveCount": 0}, 0), ({"RedriveCount": 2}, 2)]
)
@pytest.mark.parametrize("step", ["WriteReport", "NotifyMatch"])
def test_a_step_that_removes_records_is_told_how_often_the_execution_was_redriven(
    template: Template, step: str, execution: dict[str, Any], told: int
) -> None:
    payload = template.definition()["States"][step]["Arguments"]["Payload"]

    assert evaluated(payload["redrive_count"], context={"Execution": execution}) == told


def test_the_failure_function_knows_the_states_that_come_after_the_report(
    template: Template,
) -> None:
    states = template.definition()["States"]
    after, found = {states["WriteReport"]["Next"]}, set[str]()
    while after - found:
        state = (after - found).pop()
        found.add(state)
        choices = states[state].get("Choices", [])
        after |= {c["Next"] for c in choices} | {
            states[state][way] for way in ("Next", "Default") if way in states[state]
        }

    assert found == AFTER_THE_REPORT


@pytest.fixture(scope="session")
def choice(template: Template) -> str:
    """The condition by which the state machine notifies or not."""
    (branch,) = template.definition()["States"]["AboveThreshold"]["Choices"]
    return str(branch["Condition"])


@st.composite
def reports(draw: st.DrawFn) -> dict[str, Any]:
    """Reports judged by any threshold, often by the best similarity itself, with decisions."""
    indexed, searched = draw(searches())
    best = searched.matches[0].similarity if searched.matches else 0.0
    silenced = draw(st.sets(st.sampled_from([m.record for m in searched.matches] or [""])))
    return report(
        draw(images()),
        indexed,
        searched,
        own=Identity("Ann"),
        search_threshold=80.0,
        notify_threshold=draw(st.sampled_from([0.0, best]) | similarities),
        execution_arn="arn",
        judged=Judgement(silenced=tuple(silenced)),
    )


@given(made=reports())
def test_the_choice_notifies_exactly_for_a_report_that_is_above_the_threshold(
    choice: str, made: dict[str, Any]
) -> None:
    carried = json.loads(json_lines([made]))

    assert evaluated(choice, input={"report": carried}) is is_above_threshold(made)


def evaluated(expression: str, **states: Any) -> Any:
    """The value of a JSONata expression of the definition, given what `$states` holds."""
    text = expression.removeprefix("{%").removesuffix("%}")
    return jsonata.Jsonata(text).evaluate(None, {"states": states})


def test_every_task_retries_what_may_pass_with_backoff_and_jitter(template: Template) -> None:
    for name, state in template.definition()["States"].items():
        if state["Type"] != "Task":
            continue
        (retry,) = state["Retry"]
        assert set(retry["ErrorEquals"]) == WORTH_A_RETRY, name
        assert retry["JitterStrategy"] == "FULL"
        assert retry["BackoffRate"] > 1
        assert retry["MaxDelaySeconds"] <= 60
        assert retry["MaxAttempts"] >= 3


def test_every_step_catches_the_rejection_of_an_image_and_nothing_else(template: Template) -> None:
    states = template.definition()["States"]

    for name in STEPS:
        (catch,) = states[name]["Catch"]
        assert catch["ErrorEquals"] == ["ImageRejected"]
        assert catch["Next"] == "RecordFailure"
        assert catch["Output"]["step"] == name
    assert "Catch" not in states["RecordFailure"]


def test_only_a_rejected_image_ends_in_a_fail_state_where_a_redrive_cannot_help(
    template: Template,
) -> None:
    states = template.definition()["States"]
    fails = {name: state for name, state in states.items() if state["Type"] == "Fail"}

    assert list(fails) == ["ImageRejected"]
    assert fails["ImageRejected"]["Error"] == "ImageRejected"
    leading = [name for name, state in states.items() if state.get("Next") == "ImageRejected"]
    assert leading == ["RecordFailure"]


@pytest.mark.parametrize("seconds", [1, 30])
def test_the_index_settles_for_as_long_as_is_set(
    synthesise: Callable[..., Template], seconds: int
) -> None:
    states = synthesise(settle_seconds=seconds).definition()["States"]

    assert states["Settle"]["Seconds"] == seconds


def test_without_a_time_to_settle_there_is_no_such_state_to_pay_for(
    synthesise: Callable[..., Template],
) -> None:
    states = synthesise(settle_seconds=0).definition()["States"]

    assert "Settle" not in states
    assert states["IndexFaces"]["Next"] == "SearchFaces"


@pytest.mark.parametrize("seconds", [0, 1, 3600])
def test_the_time_to_settle_leaves_an_hour_for_the_steps(
    synthesise: Callable[..., Template], seconds: int
) -> None:
    assert synthesise(settle_seconds=seconds).definition()["TimeoutSeconds"] == 3600 + seconds


def test_only_errors_are_logged_without_their_data_and_executions_are_traced(
    template: Template,
) -> None:
    machine = template.properties("AWS::StepFunctions::StateMachine", "Matching")

    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert machine["LoggingConfiguration"]["Level"] == "ERROR"
    assert machine["TracingConfiguration"]["Enabled"] is True
    assert template.definition()["QueryLanguage"] == "JSONata"
    assert machine.get("StateMachineType", "STANDARD") == "STANDARD"


@pytest.mark.parametrize(("percent", "share"), [(5, 0.05), ("0.5", 0.005), (100, 1), (0, 0)])
def test_the_share_that_is_traced_is_a_rule_for_this_state_machine_only(
    synthesise: Callable[..., Template], percent: object, share: float
) -> None:
    template = synthesise(traced_percent=percent, stack_name="A" * 50)
    (rule,) = template.of_type("AWS::XRay::SamplingRule").values()
    found = rule["Properties"]["SamplingRule"]

    # A reservoir would trace each image that comes alone.
    assert (found["FixedRate"], found["ReservoirSize"]) == (share, 0)
    machine = template.properties("AWS::StepFunctions::StateMachine", "Matching")
    assert found["ServiceName"] == machine["StateMachineName"]
    assert 1 <= len(found["RuleName"]) <= 32
    assert found["Priority"] < 10_000


def test_the_accounts_own_rules_may_say_what_is_traced(
    synthesise: Callable[..., Template],
) -> None:
    template = synthesise(traced_percent="")

    assert not template.of_type("AWS::XRay::SamplingRule")
    machine = template.properties("AWS::StepFunctions::StateMachine", "Matching")
    assert machine["TracingConfiguration"]["Enabled"] is True


def test_two_stacks_of_an_account_have_two_rules(synthesise: Callable[..., Template]) -> None:
    names = set()
    for last in "AB":
        template = synthesise(stack_name="A" * 49 + last)
        (rule,) = template.of_type("AWS::XRay::SamplingRule").values()
        names.add(rule["Properties"]["SamplingRule"]["RuleName"])

    assert len(names) == 2
