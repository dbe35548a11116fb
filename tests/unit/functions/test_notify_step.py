"""The notify step: what reaches a subscriber."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from functions.matching.errors import Unavailable
from functions.matching.images import UploadedImage
from functions.matching.reports import delivery_failure_key
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud


@pytest.fixture
def event(cloud: Cloud) -> dict[str, Any]:
    """What the notify step is given for Ann, whose face is there as Bo's and, barely, as Cy's."""
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(5)))
    cloud.index(cloud.upload("images/Cy_1.jpg", photograph(20)))
    given = cloud.report_event(cloud.upload("images/Ann_1.jpg", photograph(0)))
    return {**given, "report": cloud.run("report", given)}


def subscribe(cloud: Cloud, name: str, filter_policy: dict[str, Any] | None = None) -> str:
    """A queue that gets the topic's messages; its URL."""
    url: str = cloud.sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    cloud.sns.subscribe(
        TopicArn=cloud.topic_arn,
        Protocol="sqs",
        Endpoint=attributes["Attributes"]["QueueArn"],
        Attributes={"FilterPolicy": json.dumps(filter_policy)} if filter_policy else {},
    )
    return url


def received(cloud: Cloud, url: str) -> list[dict[str, Any]]:
    messages = cloud.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_a_subscriber_gets_one_json_message_that_names_the_pair(
    cloud: Cloud, event: dict[str, Any]
) -> None:
    queue = subscribe(cloud, "all")
    answer = cloud.run("notify", event)
    (envelope,) = received(cloud, queue)
    assert envelope["MessageId"] == answer["message_id"]
    assert envelope["Subject"] == "99.61 %, unrelated names: Ann looks like Bo"
    message = json.loads(envelope["Message"])
    assert message["name"] == "Ann"
    assert message["other_names"] == ["Bo"]
    assert [pair["other_key"] for pair in message["pairs"]] == ["images/Bo_1.jpg"]
    image = UploadedImage.from_payload(message["image"])
    assert message["report"] == {
        "bucket": event["report"]["report_bucket"],
        "key": event["report"]["report_key"],
    }
    report = cloud.report(image)
    assert report
    assert message["pairs"][0]["pair_id"] == report["faces"][0]["matches"][0]["pair_id"]


def test_a_repeated_notification_carries_the_same_ids(cloud: Cloud, event: dict[str, Any]) -> None:
    queue = subscribe(cloud, "all")
    for _ in range(2):
        cloud.run("notify", event)
    first, second = (json.loads(envelope["Message"]) for envelope in received(cloud, queue))
    assert first == second


@pytest.mark.parametrize(
    ("policy", "passes"),
    [
        ({"event": ["match"]}, True),
        ({"name": ["Ann"]}, True),
        ({"name": ["Bo"]}, False),
        ({"other_names": ["Bo", "Zed"]}, True),
        ({"other_names": ["Cy"]}, False),
        ({"best_similarity": [{"numeric": [">=", 99.5]}]}, True),
        ({"best_similarity": [{"numeric": [">=", 99.9]}]}, False),
    ],
    ids=str,
)
def test_a_subscriber_can_filter_by_name_and_similarity(
    cloud: Cloud, event: dict[str, Any], policy: dict[str, Any], *, passes: bool
) -> None:
    queue = subscribe(cloud, "some", policy)
    cloud.run("notify", event)
    assert bool(received(cloud, queue)) is passes


def test_an_awkward_name_reaches_the_subscriber_as_it_is(cloud: Cloud) -> None:
    queue = subscribe(cloud, "all")
    cloud.index(cloud.upload('images/Zoë "Z" \u202e\n_1.jpg', photograph(0)))
    given = cloud.report_event(cloud.upload("images/Ann\u0001_1.jpg", photograph(0)))
    cloud.run("notify", {**given, "report": cloud.run("report", given)})
    (envelope,) = received(cloud, queue)
    assert json.loads(envelope["Message"])["other_names"] == ['Zoë "Z" \u202e\n']
    assert envelope["Subject"] == '100.00 %, unrelated names: Ann  looks like Zoë "Z"   '


@pytest.mark.parametrize(
    ("code", "status"), [("Throttled", 429), ("InternalError", 500), ("KMSThrottling", 500)]
)
def test_a_throttled_sns_is_unavailable(
    cloud: Cloud, event: dict[str, Any], code: str, status: int
) -> None:
    cloud.fail_next("Publish", code, status=status)
    with pytest.raises(Unavailable, match="Publish"):
        cloud.run("notify", event)
    assert cloud.run("notify", event)["message_id"]


@pytest.fixture
def failed_before(cloud: Cloud, event: dict[str, Any]) -> UploadedImage:
    """The image, whose notification failed before."""
    image = UploadedImage.from_payload(event["image"])
    cloud.write(delivery_failure_key(image), {"status": "FAILED"})
    return image


@pytest.mark.parametrize("redrives", [{"redrive_count": 1}, {}, {"redrive_count": None}])
def test_a_notification_that_succeeds_after_a_redrive_removes_the_record_of_its_failure(
    cloud: Cloud, event: dict[str, Any], failed_before: UploadedImage, redrives: dict[str, Any]
) -> None:
    """Also when the definition is older than the count, or the count is not known."""
    cloud.run("notify", {**event, **redrives})
    assert cloud.delivery_failure(failed_before) is None


def test_a_notification_that_fails_again_leaves_the_record(
    cloud: Cloud, event: dict[str, Any], failed_before: UploadedImage
) -> None:
    cloud.fail_next("Publish", "NotFound", status=404)
    with pytest.raises(ClientError):
        cloud.run("notify", {**event, "redrive_count": 1})
    assert cloud.delivery_failure(failed_before)


def test_the_first_attempt_makes_no_request_but_the_notification(
    cloud: Cloud, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    before = cloud.before_call

    def heard(model: Any, params: dict[str, Any], **rest: Any) -> Any:
        asked.append(model.name)
        return before(model, params, **rest)

    monkeypatch.setattr(cloud, "before_call", heard)
    cloud.run("notify", {**event, "redrive_count": 0})
    assert asked == ["Publish"]


def test_a_missing_topic_is_not_worth_a_retry(cloud: Cloud, event: dict[str, Any]) -> None:
    cloud.sns.delete_topic(TopicArn=cloud.topic_arn)
    with pytest.raises(ClientError, match="NotFound"):
        cloud.run("notify", event)
