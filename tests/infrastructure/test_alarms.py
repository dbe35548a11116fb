"""Alarms and the dashboard: they listen to what is really counted, and say what to do."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.functions.test_metrics import COUNTED
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infrastructure.conftest import Template

DAY = 24 * 3600
FUNCTIONS = ("starter", "index", "search", "report", "notify", "failure")
OURS = "FaceMatching"
#: Of AWS itself: what an alarm listens to, in whose words, on which of our resources.
OF_AWS = {
    "DeadLetters": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "IntakeDeadLetters"),
    "Undelivered": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "FailuresUndelivered"),
    "OldMessages": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "IntakeQueue"),
    "ExecutionsTimedOut": ("AWS/States", "ExecutionsTimedOut", "MatchingStateMachine"),
    "ExecutionsAborted": ("AWS/States", "ExecutionsAborted", "MatchingStateMachine"),
    "StarterErrors": ("AWS/Lambda", "Errors", "IntakeStarterFunction"),
    "NotificationsFailed": ("AWS/SNS", "NumberOfNotificationsFailed", "TopicsMatches"),
}
OF_FUNCTIONS = {
    "ExecutionsFailed": ("failure", "ExecutionsFailed"),
    "StartsFailed": ("starter", "StartsFailed"),
    "CollectionFilling": ("starter", "FacesInCollection"),
}
OF_SEVERAL = ("FunctionsThrottled", "IndexFacesThrottled", "SearchFacesThrottled")
ALL = (*OF_AWS, *OF_FUNCTIONS, *OF_SEVERAL)
#: What a person can do; each description has at least one of them.
INSTRUCTIONS = ("facematch ", "Look ", "Ask for ", "Mend ", "Lower ")


def alarm(template: Template, name: str, stack: str = "FaceMatching") -> dict[str, Any]:
    """The properties of the alarm, by the end of its name."""
    (found,) = [
        properties
        for resource in template.of_type("AWS::CloudWatch::Alarm").values()
        if (properties := resource["Properties"])["AlarmName"] == f"{stack}-{name}"
    ]
    return dict(found)


def metrics_of(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """Namespace, name and dimensions of what an alarm listens to."""
    return [
        metric["MetricStat"]["Metric"]
        for metric in properties.get("Metrics", [])
        if "MetricStat" in metric
    ] or [properties]


def dimensions(metric: dict[str, Any]) -> dict[str, Any]:
    return {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])}


def dashboard(template: Template) -> dict[str, Any]:
    body = template.properties("AWS::CloudWatch::Dashboard")["DashboardBody"]
    _, parts = body["Fn::Join"]
    quota = next(part for part in parts if "Fn::If" in part)
    text = "".join(
        part if isinstance(part, str) else "-1" if part is quota else template.text(_known(part))
        for part in parts
    )
    found: dict[str, Any] = json.loads(text)
    return found


def _known(part: dict[str, Any]) -> Any:
    return {"Ref": "AWS::Region"} if "Fn::Select" in part else part


def shown(template: Template) -> Iterator[list[Any]]:
    """Each metric of the dashboard: namespace, name, then dimensions."""
    for widget in dashboard(template)["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if not isinstance(metric[0], dict):
                yield metric


def test_there_is_an_alarm_for_everything_that_must_not_go_unseen(template: Template) -> None:
    names = {
        resource["Properties"]["AlarmName"]
        for resource in template.of_type("AWS::CloudWatch::Alarm").values()
    }

    assert names == {f"FaceMatching-{name}" for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_an_alarm_says_what_happened_and_what_to_do_and_goes_to_the_alarm_topic(
    template: Template, name: str
) -> None:
    properties = alarm(template, name)
    happened, _, rest = properties["AlarmDescription"].partition(". ")

    assert len(happened.split()) >= 3
    assert any(words in f"{happened}. {rest}" for words in INSTRUCTIONS)
    assert len(properties["AlarmDescription"]) <= 1024
    (action,) = properties["AlarmActions"]
    assert "TopicsAlarms" in action["Ref"]
    assert template.document["Outputs"]["AlarmTopicArn"]["Value"] == action
    assert properties["TreatMissingData"] == "notBreaching"
    assert properties["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize("name", OF_AWS)
def test_an_alarm_listens_to_one_of_our_resources(template: Template, name: str) -> None:
    namespace, metric_name, resource = OF_AWS[name]
    (metric,) = metrics_of(alarm(template, name))

    assert (metric["Namespace"], metric["MetricName"]) == (namespace, metric_name)
    assert resource in str(dimensions(metric))


@pytest.mark.parametrize("name", OF_FUNCTIONS)
def test_an_alarm_on_a_count_of_our_own_listens_to_what_the_function_counts(
    template: Template, name: str
) -> None:
    service, counted = OF_FUNCTIONS[name]
    (metric,) = metrics_of(alarm(template, name))
    variables = template.function(service)["Environment"]["Variables"]

    assert (service, counted) in COUNTED
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == metric["Namespace"] == OURS
    assert dimensions(metric) == {"service": variables["POWERTOOLS_SERVICE_NAME"]}
    assert metric["MetricName"] == counted


def test_two_stacks_of_an_account_count_apart(synthesise: Callable[..., Template]) -> None:
    other = synthesise(stack_name="Other")

    for name, (service, _) in OF_FUNCTIONS.items():
        (metric,) = metrics_of(alarm(other, name, "Other"))
        variables = other.function(service)["Environment"]["Variables"]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == metric["Namespace"] == "Other"


def test_a_rejected_image_wakes_nobody(template: Template) -> None:
    heard = {
        (metric["Namespace"], metric["MetricName"])
        for name in ALL
        for metric in metrics_of(alarm(template, name))
    }

    assert (OURS, "ImagesRejected") not in heard
    # The state machine's own count has the rejected images in it.
    assert ("AWS/States", "ExecutionsFailed") not in heard


def test_one_dead_letter_or_failure_is_enough(template: Template) -> None:
    for name in ("DeadLetters", "Undelivered", "ExecutionsFailed", "ExecutionsTimedOut"):
        properties = alarm(template, name)
        assert properties["Threshold"] == 0
        assert properties["EvaluationPeriods"] == 1


def test_a_message_is_told_of_at_half_of_its_life(template: Template) -> None:
    queue = template.properties("AWS::SQS::Queue", "IntakeQueue")

    assert alarm(template, "OldMessages")["Threshold"] == queue["MessageRetentionPeriod"] / 2
    assert alarm(template, "OldMessages")["Statistic"] == "Maximum"


def test_a_collection_that_fills_is_told_of_before_it_is_full(template: Template) -> None:
    properties = alarm(template, "CollectionFilling")

    assert properties["Threshold"] == 8_000_000
    assert (properties["Statistic"], properties["Period"]) == ("Maximum", 3600)
    # Once a day at most, however seldom photographs come: the size is counted when they do.
    assert (properties["DatapointsToAlarm"], properties["EvaluationPeriods"]) == (1, 24)
    page = re.search(r"docs/\S+\.md", properties["AlarmDescription"])
    assert page
    assert (PROJECT / page[0]).exists()


def test_throttling_of_every_function_is_heard(template: Template) -> None:
    metrics = metrics_of(alarm(template, "FunctionsThrottled"))

    assert {(m["Namespace"], m["MetricName"]) for m in metrics} == {("AWS/Lambda", "Throttles")}
    heard = {dimensions(metric)["FunctionName"]["Ref"] for metric in metrics}
    assert heard == set(template.of_type("AWS::Lambda::Function"))


@pytest.mark.parametrize("operation", ["IndexFaces", "SearchFaces"])
def test_throttling_of_rekognition_is_heard_as_a_share_of_the_calls(
    template: Template, operation: str
) -> None:
    properties = alarm(template, f"{operation}Throttled")
    metrics = metrics_of(properties)

    assert {m["Namespace"] for m in metrics} == {"AWS/Rekognition"}
    assert {m["MetricName"] for m in metrics} == {"ThrottledCount", "SuccessfulRequestCount"}
    assert all(dimensions(metric) == {"Operation": operation} for metric in metrics)
    assert 0 < properties["Threshold"] < 100


def test_cloudwatch_may_publish_to_the_alarm_topic(template: Template) -> None:
    policy = template.properties("AWS::SNS::TopicPolicy", "TopicsAlarms")
    (allowed,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == "sns:Publish"
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_one_failed_execution_is_one_mail(synthesise: Callable[..., Template]) -> None:
    template = synthesise(alarm_email="ann@example.org")

    subscription = template.properties("AWS::SNS::Subscription")
    assert "TopicsAlarms" in subscription["TopicArn"]["Ref"]


def test_the_dashboard_shows_what_the_functions_count(template: Template) -> None:
    ours = {(metric[3], metric[1]) for metric in shown(template) if metric[0] == OURS}

    assert {metric[2] for metric in shown(template) if metric[0] == OURS} == {"service"}
    assert ours <= COUNTED
    outcomes = {"OutcomeMatched", "OutcomeUnique", "OutcomeNoFace"}
    assert outcomes | {"ImagesRejected", "ExecutionsFailed"} <= {name for _, name in ours}
    assert {"ExecutionsStarted", "MatchesFound"} <= {name for _, name in ours}


def test_the_dashboard_shows_rate_queue_durations_and_failures(template: Template) -> None:
    found = {(metric[0], metric[1]) for metric in shown(template)}

    assert {
        ("AWS/Rekognition", "SuccessfulRequestCount"),
        ("AWS/Rekognition", "ThrottledCount"),
        ("AWS/SQS", "NumberOfMessagesSent"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("AWS/States", "ExecutionsTimedOut"),
        ("AWS/States", "ExecutionsAborted"),
        ("AWS/Lambda", "Errors"),
    } <= found
    durations = [m for m in shown(template) if m[:2] == ["AWS/Lambda", "Duration"]]
    assert {(m[3].split("Function")[0], m[-1]["stat"]) for m in durations} == {
        (f"<{prefix}{part}", statistic)
        for prefix, part in (
            *(("Intake", "Starter"), ("", "Index"), ("", "Search")),
            *(("", "Report"), ("", "Notify"), ("", "Failure"), ("", "Removal")),
        )
        for statistic in ("p50", "p95")
    }


def test_the_rate_and_the_faces_are_shown_against_their_quotas(template: Template) -> None:
    widget, faces = [
        widget
        for widget in dashboard(template)["widgets"]
        if widget["properties"].get("annotations", {}).get("horizontal")
    ]
    assert faces["properties"]["annotations"]["horizontal"][0]["value"] == 10_000_000
    (condition,) = template.document["Conditions"].values()

    assert widget["properties"]["annotations"]["horizontal"][0]["value"] == -1
    body = json.dumps(template.properties("AWS::CloudWatch::Dashboard"))
    (name,) = template.document["Conditions"]
    assert json.dumps({"Fn::If": [name, "50", "5"]}) in body
    regions = {choice["Fn::Equals"][1] for choice in condition["Fn::Or"]}
    assert regions == {"us-east-1", "us-west-2", "eu-west-1"}


def test_the_dashboard_shows_every_alarm(template: Template) -> None:
    (widget,) = [w for w in dashboard(template)["widgets"] if w["type"] == "alarm"]

    assert len(widget["properties"]["alarms"]) == len(ALL)
