"""What `facematch status` and `facematch upload` say of how long the queue takes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.cli.options import Where
from facematch.cli.status import _looks
from facematch.cli.terminal import duration
from facematch.operations.status import stack_status
from facematch.stack.metrics import Counted, sums
from facematch.stack.records import Records
from functions.matching.failures import FailureStatus
from tests.unit.album import Album
from tests.unit.cloud import COLLECTION, deployment_of, own_client
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from facematch.operations.status import StackStatus
    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud


class Topics:
    """SNS, which lists two subscriptions a page, and an address as AWS does until it confirms."""

    def __init__(self, **addresses: list[tuple[str, str]]) -> None:
        self._addresses = addresses

    def get_paginator(self, operation: str) -> Self:
        assert operation == "list_subscriptions_by_topic"
        return self

    def paginate(self, TopicArn: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - as boto3 has it
        listed = self._addresses.get(TopicArn, [])
        for start in range(0, len(listed) or 1, 2):
            page = listed[start : start + 2]
            yield {"Subscriptions": [{"Endpoint": e, "SubscriptionArn": arn} for e, arn in page]}


class Denied:
    """Denies whatever it is asked, in the words of the service."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __getattr__(self, _operation: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "Operation")

        return refuse


def deployed(cloud: Cloud, starts_per_second: str, **others: Any) -> Deployment:
    """A stack with five messages in its queue; on the local cloud, since moto has no CloudWatch."""
    clients = {"rekognition": cloud.rekognition, "sns": Topics(), **others}
    queue = cloud.sqs.create_queue(QueueName="intake")["QueueUrl"]
    for _ in range(5):
        cloud.sqs.send_message(QueueUrl=queue, MessageBody="{}")
    made = deployment_of(
        cloud,
        make_client=lambda service: clients.get(service) or own_client(service),
        QueueUrl=queue,
        DeadLetterQueueUrl=cloud.sqs.create_queue(QueueName="dead")["QueueUrl"],
        RemovalStateMachineArn=cloud.removal_state_machine_arn,
        StartsPerSecond=starts_per_second,
        CollectionId=COLLECTION,
        **{f"{name}TopicArn": name for name in ("Matches", "Failures", "Alarm")},
    )
    return dataclasses.replace(made, local=True)


def run(deployment: Deployment, *words: str) -> str:
    return _ran(deployment, *words).stdout


def run_all(deployment: Deployment, *words: str) -> str:
    """What is printed, and what is said apart from it."""
    return _ran(deployment, *words).output


def _ran(deployment: Deployment, *words: str) -> Result:
    with patch.object(Where, "deployment", lambda _: deployment):
        result = CliRunner().invoke(app, [*words, "--local"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_the_queue_takes_as_long_as_its_pace_says(cloud: Cloud) -> None:
    deployment = deployed(cloud, "0.02")

    assert "empty in 4.2 min, at 0.02 a second" in run(deployment, "status")
    assert json.loads(run(deployment, "status", "--json"))["queue_seconds"] == 250


def test_without_a_pace_the_last_minute_tells_and_if_it_does_not_nothing_is_said(
    cloud: Cloud,
) -> None:
    deployment = deployed(cloud, "auto")
    before = json.loads(run(deployment, "status", "--json"))
    for number in range(3):
        cloud.start(cloud.upload(f"images/Ann_{number}.jpg", photograph(number)))

    after = json.loads(run(deployment, "status", "--json"))

    assert before["queue_seconds"] is None
    assert after["pace"] == pytest.approx(3 / 60)
    assert after["queue_seconds"] == pytest.approx(100)
    assert "empty in 1" in run(deployment, "status")


def test_an_upload_says_when_all_are_started(cloud: Cloud, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"Ann_{number}.jpg").write_bytes(photograph(number))

    said = run(deployed(cloud, "0.02"), "upload", str(tmp_path))

    assert "3 uploaded, 0 unchanged; at 0.02 a second, all are started within 2.5 min." in said


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.1, "1 s"), (119, "119 s"), (120, "2 min"), (9000, "2.5 h"), (15 * 86_400, "15 days")],
)
def test_a_duration_is_in_the_unit_that_a_person_would_use(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def reported(cloud: Cloud, key: str, content: bytes) -> UploadedImage:
    image = cloud.upload(key, content)
    cloud.run("report", cloud.report_event(image))
    return image


def test_images_without_a_searched_face_are_counted_by_reason(cloud: Cloud) -> None:
    deployment = deployed(cloud, "1")
    for number in range(2):
        reported(cloud, f"images/Blurred_{number}.jpg", photograph(blurred=1))
    reported(cloud, "images/Landscape_1.jpg", photograph())

    document = json.loads(run(deployment, "status", "--json"))

    assert document["finished"] == {"NO_FACE": 3}
    assert document["no_face"] == {"LOW_SHARPNESS": 2, "no face seen": 1}
    text = run(deployment, "status")
    assert "LOW_SHARPNESS" in text
    assert "no face seen" in text


def test_a_status_of_nothing_says_if_no_photograph_was_uploaded(cloud: Cloud) -> None:
    deployment = deployed(cloud, "1")
    assert run_all(deployment, "status").count("holds no photograph") == 0  # messages wait

    cloud.sqs.purge_queue(QueueUrl=deployment.queue_url)
    assert run_all(deployment, "status").count("holds no photograph") == 1

    reported(cloud, "images/Landscape_1.jpg", photograph())
    assert run_all(deployment, "status").count("holds no photograph") == 0


def test_an_address_that_has_not_confirmed_is_named_with_what_it_misses(cloud: Cloud) -> None:
    arn = "arn:aws:sns:eu-central-1:123456789012:Matches:1"
    topics = Topics(
        Matches=[("a@b.de", arn), ("b@b.de", arn), ("c@b.de", "PendingConfirmation")],
        Failures=[("d@b.de", arn)],
        Alarm=[("c@b.de", "PendingConfirmation")],
    )
    deployment = deployed(cloud, "1", sns=topics)

    document = json.loads(run(deployment, "status", "--json"))

    assert document["unconfirmed"] == {"matches": ["c@b.de"], "alarms": ["c@b.de"]}
    text = run(deployment, "status")
    assert "c@b.de gets no matches: open the link in AWS's mail" in text
    assert "c@b.de gets no alarms" in text
    assert "a@b.de" not in text
    assert "Not confirmed" not in run(deployed(cloud, "1"), "status")


def test_faces_are_counted_against_the_quota(cloud: Cloud) -> None:
    for number in range(3):
        cloud.index(cloud.upload(f"images/Ann_{number}.jpg", photograph(number)))
    deployment = deployed(cloud, "1")

    document = json.loads(run(deployment, "status", "--json"))

    assert (document["faces"], document["faces_by_default"]) == (3, 10_000_000)
    assert "3 of 10,000,000, or of the account's higher quota" in run(deployment, "status")


def test_a_missing_right_hides_one_answer_and_no_other(cloud: Cloud) -> None:
    rights = {"rekognition": Denied("AccessDeniedException"), "sns": Denied("AuthorizationError")}
    deployment = deployed(cloud, "1", **rights)

    document = json.loads(run(deployment, "status", "--json"))

    assert (document["faces"], document["unconfirmed"], document["waiting"]) == (None, None, 5)
    assert run(deployment, "status").count("not known: rights missing") == 2
    with pytest.raises(ClientError, match="Throttling"):
        stack_status(deployed(cloud, "1", sns=Denied("Throttling")), since=datetime.now(UTC))


def test_outcomes_are_counted_without_reading_records_one_by_one(cloud: Cloud) -> None:
    image = reported(cloud, "images/Ann_1.jpg", photograph(0))
    reported(cloud, "images/Landscape_1.jpg", photograph())
    album = Album(cloud)
    album.fail(album.add("Bo_1.jpg"), FailureStatus.FAILED)
    deployment = deployed(cloud, "1")

    with patch.object(Records, "body", side_effect=AssertionError("one record was read")):
        found = stack_status(deployment, since=image.last_modified)
        later = stack_status(deployment, since=datetime.now(UTC) + timedelta(days=1))

    assert found.finished == {"UNIQUE": 1, "NO_FACE": 1}
    assert sum(found.failed.values()) == 1
    assert found.at_least == ()
    assert (later.finished, later.failed) == ({}, {})


class CloudWatch:
    """CloudWatch, which knows what the functions counted, and when."""

    def __init__(self) -> None:
        self._points: list[tuple[datetime, str, str, str, float]] = []
        self.asked = 0

    def count(self, function: str, name: str, value: float, *, ago: timedelta) -> None:
        self._points.append((datetime.now(UTC) - ago, "FaceMatching", function, name, value))

    def get_metric_statistics(self, **_asked: Any) -> dict[str, Any]:
        return {"Datapoints": [{"Timestamp": datetime.now(UTC), "Maximum": 90.0}]}

    def get_paginator(self, operation: str) -> Self:
        assert operation == "get_metric_data"
        return self

    def paginate(
        self,
        *,
        MetricDataQueries: list[dict[str, Any]],  # noqa: N803 - as boto3 has it
        StartTime: datetime,  # noqa: N803
        EndTime: datetime,  # noqa: N803
    ) -> Iterator[dict[str, Any]]:
        """Two answers, as to a question about many points."""
        self.asked += 1
        found = {
            query["Id"]: self._values(query, StartTime, EndTime) for query in MetricDataQueries
        }
        for part in (slice(None, 1), slice(1, None)):
            yield {
                "MetricDataResults": [
                    {"Id": of, "Values": values[part]} for of, values in found.items()
                ]
            }

    def _values(self, query: dict[str, Any], start: datetime, end: datetime) -> list[float]:
        asked = query["MetricStat"]["Metric"]
        (service,) = asked["Dimensions"]
        wanted = (asked["Namespace"], service["Value"], asked["MetricName"])
        return [
            value for at, *of, value in self._points if tuple(of) == wanted and start <= at < end
        ]


class Requests:
    """Counts what is asked of clients."""

    def __init__(self, make_client: Any) -> None:
        self._make = make_client
        self.asked: list[str] = []

    def client(self, service: str) -> Any:
        client, asked = self._make(service), self.asked

        class Counted:
            def __getattr__(self, name: str) -> Any:
                asked.append(f"{service} {name}")
                return getattr(client, name)

        return Counted()


def on_aws(cloud: Cloud, metrics: CloudWatch) -> tuple[Deployment, Requests]:
    made = deployed(cloud, "1", cloudwatch=metrics)
    requests = Requests(made.make_client)
    return dataclasses.replace(made, local=False, make_client=requests.client), requests


def test_on_aws_outcomes_are_what_the_functions_counted(cloud: Cloud) -> None:
    metrics = CloudWatch()
    metrics.count("report", "OutcomeMatched", 3, ago=timedelta(hours=2))
    metrics.count("report", "OutcomeMatched", 4, ago=timedelta(hours=1))
    metrics.count("report", "OutcomeNoFace", 1, ago=timedelta(hours=1))
    metrics.count("report", "OutcomeUnique", 9, ago=timedelta(days=3))
    metrics.count("starter", "ExecutionsStarted", 60, ago=timedelta(minutes=4))
    metrics.count("starter", "ExecutionsStarted", 99, ago=timedelta(minutes=30))
    deployment, requests = on_aws(cloud, metrics)

    document = json.loads(run(deployment, "status", "--json"))

    assert document["finished"] == {"MATCHED": 7, "NO_FACE": 1}
    assert document["no_face"] is None
    assert document["started_per_second"] == pytest.approx(60 / 300)
    assert document["counted_at"]
    assert not [asked for asked in requests.asked if "athena" in asked or "get_object" in asked]
    assert "as CloudWatch counts them, a few minutes behind" in run(deployment, "status")
    assert "CloudWatch" not in run(deployed(cloud, "1"), "status")


def test_on_aws_few_failures_are_read_and_many_are_counted_to_a_limit(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = Album(cloud)
    for number in range(3):
        album.fail(album.add(f"Bo_{number}.jpg"), FailureStatus.FAILED)
    deployment, requests = on_aws(cloud, CloudWatch())
    few = json.loads(run(deployment, "status", "--json"))
    reads = requests.asked.count("s3 get_object")
    monkeypatch.setattr("facematch.operations.status._MOST_READ", 2)
    many = json.loads(run(deployment, "status", "--json"))
    monkeypatch.setattr("facematch.operations.status._MOST_FAILURES", 3)
    too_many = json.loads(run(deployment, "status", "--json"))

    assert list(few["failed"].values()) == [3]
    assert next(iter(few["failed"])).startswith("FAILED ")
    assert few["at_least"] == []
    assert many["failed"] == {"REJECTED or FAILED": 3}
    assert many["at_least"] == []
    assert too_many["at_least"] == ["failed"]
    assert requests.asked.count("s3 get_object") == reads
    assert "3 or more" in run(deployment, "status")
    assert "what to do" in run(deployment, "status")


def test_on_aws_a_watch_asks_cloudwatch_once_a_minute(cloud: Cloud) -> None:
    metrics = CloudWatch()
    metrics.count("report", "OutcomeMatched", 3, ago=timedelta(minutes=2))
    deployment, _ = on_aws(cloud, metrics)
    since = datetime.now(UTC) - timedelta(days=1)

    first = stack_status(deployment, since=since)
    metrics.count("report", "OutcomeMatched", 1, ago=timedelta(minutes=1))
    asked = metrics.asked
    again = stack_status(deployment, since=since, before=first)
    assert metrics.asked == asked
    assert again.finished == {"MATCHED": 3}
    old = dataclasses.replace(first, counted_at=datetime.now(UTC) - timedelta(minutes=2))
    later = stack_status(deployment, since=since, before=old)

    assert later.finished == {"MATCHED": 4}


@pytest.mark.parametrize(("days", "period"), [(0.5, 60), (7, 300), (60, 3600)])
def test_points_of_cloudwatch_are_as_coarse_as_they_are_old(
    cloud: Cloud, days: float, period: int
) -> None:
    periods: list[int] = []

    class Heard(CloudWatch):
        def _values(self, query: dict[str, Any], *moments: datetime) -> list[float]:
            periods.append(query["MetricStat"]["Period"])
            return super()._values(query, *moments)

    now = datetime.now(UTC)
    deployment, _ = on_aws(cloud, Heard())
    sums(deployment, [Counted("report", "A")], since=now - timedelta(days=days), until=now)

    assert periods == [period]


def test_a_watch_that_no_terminal_shows_prints_a_line_now_and_then(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = deployed(cloud, "auto")
    looks = [1, 2, 3]

    def look(*given: Any, **options: Any) -> StackStatus:
        looks.pop()  # IndexError ends the watch
        return stack_status(*given, **options)

    with (
        patch.object(Where, "deployment", lambda _: deployment),
        patch("facematch.cli.status.TELL_SECONDS", 0.01),
        patch("facematch.cli.status.stack_status", look),
        pytest.raises(IndexError),
    ):
        app(["status", "--watch", "--local"], standalone_mode=False)

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("5 waiting, 0 running, 0 finished, 0 failed, 0 dead letters\n") == 3


@pytest.mark.parametrize(
    ("look_seconds", "rest"), [(0.1, 2), (0.25, 2), (1, 8), (30, 240), (100, 300)]
)
def test_a_watch_looks_more_rarely_when_there_is_much_to_list(
    look_seconds: float, rest: float
) -> None:
    clock = Clock()

    def look(_before: object) -> Any:
        clock.now += look_seconds

    with patch("facematch.cli.status.time", clock):
        looks = _looks(look, 2)
        for _ in range(3):
            next(looks)

    assert clock.slept == pytest.approx([rest, rest])


class Clock:
    """A clock that a sleep moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
