"""What the functions count: the alarms and the dashboard listen to these names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from functions.matching.errors import Reason
from functions.matching.reports import report_key
from tests.unit.cloud import put_body, sqs_event
from tests.unit.fake_rekognition import photograph
from tests.unit.functions.test_failure_step import a_report, caught, end_at, ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

#: Service, which is the function's module, and metric. tests/infrastructure/test_alarms.py asks
#: for nothing else.
COUNTED = {
    ("starter", "ExecutionsStarted"),
    ("starter", "DuplicateEvents"),
    ("starter", "StartsFailed"),
    ("starter", "MessagesNotUnderstood"),
    ("starter", "FacesInCollection"),
    ("index", "FacesIndexed"),
    ("search", "MatchesFound"),
    ("report", "OutcomeMatched"),
    ("report", "OutcomeUnique"),
    ("report", "OutcomeNoFace"),
    ("notify", "Notifications"),
    ("failure", "ImagesRejected"),
    ("failure", "ExecutionsFailed"),
    ("failure", "ExecutionsTimedOut"),
    ("failure", "ExecutionsAborted"),
}


@pytest.fixture
def counted(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> Callable[..., set[Any]]:
    """Invoke a function; service and name of each metric that CloudWatch would then have."""

    def counted(module: str, event: Any) -> set[Any]:
        cloud._handlers.clear()  # each worker of Lambda runs one function, under its own name
        cloud.handler(module, POWERTOOLS_SERVICE_NAME=module)
        capsys.readouterr()
        cloud.run(module, event)
        found = set()
        for line in capsys.readouterr().out.splitlines():
            document = json.loads(line)
            for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
                assert directive["Namespace"] == "FaceMatching"
                assert directive["Dimensions"] == [["service"]]
                names = [metric["Name"] for metric in directive["Metrics"]]
                found |= {(document["service"], name) for name in names if document[name] != [0.0]}
        return found

    return counted


def photo(cloud: Cloud, name: str, person: int = 0) -> UploadedImage:
    return cloud.upload(f"images/{name}_1.jpg", photograph(person))


def test_the_starter_counts_starts_duplicates_and_what_came_to_nothing(
    cloud: Cloud, counted: Callable[..., set[Any]]
) -> None:
    event = sqs_event(put_body(photo(cloud, "Ann")))
    assert counted("starter", event) == {("starter", "ExecutionsStarted")}
    cloud.fail_next("StartExecution", "ExecutionAlreadyExists")
    assert counted("starter", event) == {("starter", "DuplicateEvents")}
    cloud.fail_next("StartExecution", "AccessDeniedException")
    assert counted("starter", event) == {("starter", "StartsFailed")}
    assert counted("starter", sqs_event("?")) == {("starter", "MessagesNotUnderstood")}


def test_the_first_starter_of_an_hour_counts_the_faces_of_the_collection(
    cloud: Cloud, counted: Callable[..., set[Any]]
) -> None:
    cloud.index(photo(cloud, "Bea"))
    event = sqs_event(put_body(photo(cloud, "Ann")))
    assert counted("starter", event) == {
        ("starter", "ExecutionsStarted"),
        ("starter", "FacesInCollection"),
    }


def test_each_step_of_a_match_counts_its_own(
    cloud: Cloud, counted: Callable[..., set[Any]]
) -> None:
    first, second = photo(cloud, "Ann"), photo(cloud, "Bea")
    assert counted("index", {"image": first.to_payload()}) == {("index", "FacesIndexed")}
    event = cloud.report_event(second)
    assert counted("search", event) == {("search", "MatchesFound")}
    assert counted("report", event) == {("report", "OutcomeMatched")}
    event["report"] = cloud.run("report", event)
    assert counted("notify", event) == {("notify", "Notifications")}


def test_an_image_without_a_match_or_a_face_counts_as_that(
    cloud: Cloud, counted: Callable[..., set[Any]]
) -> None:
    alone = cloud.report_event(photo(cloud, "Ann"))
    assert counted("report", alone) == {("report", "OutcomeUnique")}
    alone["index"]["faces"], alone["search"]["matches"] = [], []
    assert counted("report", alone) == {("report", "OutcomeNoFace")}


def test_a_rejected_image_is_not_counted_among_the_failures_that_wake_people(
    cloud: Cloud, counted: Callable[..., set[Any]]
) -> None:
    event = caught(cloud, photo(cloud, "Ann"), Reason.GONE)
    assert counted("failure", event) == {("failure", "ImagesRejected")}


@pytest.mark.parametrize(
    ("status", "metric"),
    [
        ("FAILED", "ExecutionsFailed"),
        ("TIMED_OUT", "ExecutionsTimedOut"),
        ("ABORTED", "ExecutionsAborted"),
    ],
)
def test_an_execution_that_ended_badly_is_counted_by_how(
    cloud: Cloud, counted: Callable[..., set[Any]], status: str, metric: str
) -> None:
    arn = cloud.start(photo(cloud, "Ann"))
    cloud.end(arn, status, "Unavailable" if status == "FAILED" else None)
    assert counted("failure", ended(arn, status)) == {("failure", metric)}
    assert ("failure", metric) in COUNTED


def test_an_execution_that_reported_and_then_notified_nobody_wakes_people(
    cloud: Cloud, counted: Callable[..., set[Any]]
) -> None:
    image = photo(cloud, "Ann")
    arn = cloud.start(image)
    cloud.write(report_key(image), a_report(arn))
    end_at(cloud, arn, "NotifyMatch")
    assert counted("failure", ended(arn)) == {("failure", "ExecutionsFailed")}


def test_an_execution_that_ended_because_its_image_was_rejected_is_not_counted_again(
    cloud: Cloud, counted: Callable[..., set[Any]]
) -> None:
    arn = cloud.start(photo(cloud, "Ann"))
    cloud.end(arn, "FAILED", "ImageRejected")
    assert counted("failure", ended(arn)) == set()
