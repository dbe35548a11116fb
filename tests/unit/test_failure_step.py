"""The failure function: one record for a version that failed, unless a report stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from functions.matching.errors import ImageRejected, Reason, Unavailable
from functions.matching.reports import report_key

from .cloud import event_file
from .fake_rekognition import photograph

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage

    from .cloud import Cloud

STATUSES = ("FAILED", "TIMED_OUT", "ABORTED")


@pytest.fixture
def image(cloud: Cloud) -> UploadedImage:
    return cloud.upload("images/Ann_Lee_0001.jpg", photograph(0))


def caught(cloud: Cloud, image: UploadedImage, reason: Reason, detail: str = "") -> Any:
    """What the state machine's Catch hands on."""
    event = event_file("states_rejected.json")
    cause = json.loads(event["error"]["Cause"])
    cause["errorMessage"] = str(ImageRejected(reason, image.digest, detail))
    event["error"]["Cause"] = json.dumps(cause)
    return {**event, "image": image.to_payload(), "execution_arn": cloud.execution_arn(image)}


def ended(execution_arn: str, status: str = "FAILED") -> Any:
    """What EventBridge says of an execution."""
    event = event_file(f"states_{status.lower()}.json")
    event["detail"]["executionArn"] = execution_arn
    return event


# --- The Catch path ---


@pytest.mark.parametrize("reason", Reason)
def test_a_rejected_image_gets_its_record(
    cloud: Cloud, image: UploadedImage, reason: Reason
) -> None:
    event = caught(cloud, image, reason)
    answer = cloud.run("failure", event)
    record = cloud.failure(image)
    assert record
    assert (record["status"], record["reason"], record["replay"]) == ("REJECTED", reason, "NONE")
    assert (record["step"], record["error"]) == ("IndexFaces", "ImageRejected")
    assert record["cause"] == f"{reason} {image.digest}"
    assert record["execution_arn"] == event["execution_arn"]
    assert (record["digest"], record["key"]) == (image.digest, image.key)
    assert record["remedy"]
    assert answer == {"recorded": True, "reason": reason, "message": record["message"]}


def test_the_figures_reach_the_person(cloud: Cloud, image: UploadedImage) -> None:
    answer = cloud.run("failure", caught(cloud, image, Reason.TOO_LARGE, "16,000,000 bytes"))
    assert "16,000,000 bytes" in answer["message"]


def test_what_the_index_step_raises_is_what_is_recorded(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", b"GIF89a")
    with pytest.raises(ImageRejected) as raised:
        cloud.index(image)
    cloud.run("failure", caught(cloud, image, raised.value.reason, raised.value.detail))
    record = cloud.failure(image)
    assert record
    assert record["reason"] == "NOT_JPEG_OR_PNG"


def test_recording_twice_changes_nothing_but_the_time(cloud: Cloud, image: UploadedImage) -> None:
    event = caught(cloud, image, Reason.GONE)
    records = []
    for _ in range(2):
        cloud.run("failure", event)
        record = cloud.failure(image)
        assert record
        records.append({**record, "failed_at": None})
    assert records[0] == records[1]


# --- The EventBridge path ---


@pytest.mark.parametrize("status", STATUSES)
def test_an_execution_that_ended_badly_gets_its_record(
    cloud: Cloud, image: UploadedImage, status: str
) -> None:
    arn = cloud.start(image)
    cloud.passed_through("IndexFaces", "Settle", "SearchFaces")
    error = "Unavailable" if status == "FAILED" else None
    cloud.end(arn, status, error, error and "SearchFaces: ThrottlingException")
    answer = cloud.run("failure", ended(arn, status))
    record = cloud.failure(image)
    assert record
    assert (record["status"], record["step"]) == (status, "SearchFaces")
    assert record["reason"] == (error or status)
    assert record["replay"] == "REDRIVE"
    assert record["failed_at"] == "2026-11-22T11:16:11.250Z"
    assert record["execution_arn"] == arn
    assert record["remedy"]
    assert answer["recorded"] is True


def test_an_execution_that_ended_before_its_first_step_has_none(
    cloud: Cloud, image: UploadedImage
) -> None:
    arn = cloud.start(image)
    cloud.passed_through()
    cloud.end(arn, "ABORTED")
    cloud.run("failure", ended(arn, "ABORTED"))
    record = cloud.failure(image)
    assert record
    assert record["step"] is None


def test_the_record_says_how_the_execution_ended_and_not_what_the_event_says(
    cloud: Cloud, image: UploadedImage
) -> None:
    arn = cloud.start(image)
    cloud.passed_through("IndexFaces")
    cloud.end(arn, "ABORTED")
    cloud.run("failure", ended(arn, "FAILED"))
    record = cloud.failure(image)
    assert record
    assert record["status"] == "ABORTED"


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "PENDING_REDRIVE"])
def test_a_late_event_after_a_redrive_changes_nothing(
    cloud: Cloud, image: UploadedImage, status: str
) -> None:
    arn = cloud.start(image)
    cloud.end(arn, status)
    assert cloud.run("failure", ended(arn)) == {"recorded": False}
    assert cloud.failure(image) is None


def test_a_rejection_that_the_state_machine_recorded_stays_as_it_is(
    cloud: Cloud, image: UploadedImage
) -> None:
    """EventBridge's rule leaves rejections out; one that comes all the same is no failure."""
    arn = cloud.start(image)
    event = caught(cloud, image, Reason.NOT_JPEG_OR_PNG)
    cloud.run("failure", event)
    before = cloud.failure(image)
    assert before
    cloud.passed_through("IndexFaces", "RecordFailure", "ImageRejected")
    cloud.end(arn, "FAILED", ImageRejected.__name__, before["message"])

    assert cloud.run("failure", ended(arn)) == {"recorded": False}

    assert cloud.failure(image) == before


# --- A report wins ---


@pytest.mark.parametrize("status", STATUSES)
def test_a_report_wins_over_a_failed_execution(
    cloud: Cloud, image: UploadedImage, status: str
) -> None:
    arn = cloud.start(image)
    cloud.passed_through("NotifyMatch")
    cloud.end(arn, status)
    cloud.write(report_key(image), {"status": "MATCHED"})
    assert cloud.run("failure", ended(arn, status))["recorded"] is False
    assert cloud.failure(image) is None


def test_a_report_wins_over_a_rejection(cloud: Cloud, image: UploadedImage) -> None:
    cloud.write(report_key(image), {"status": "MATCHED"})
    answer = cloud.run("failure", caught(cloud, image, Reason.SUPERSEDED))
    assert answer["recorded"] is False
    assert cloud.failure(image) is None


def test_a_record_is_taken_back_when_a_report_appears_meanwhile(
    cloud: Cloud, image: UploadedImage
) -> None:
    cloud.meanwhile("PutObject", lambda: cloud.write(report_key(image), {"status": "UNIQUE"}))
    answer = cloud.run("failure", caught(cloud, image, Reason.GONE))
    assert answer["recorded"] is False
    assert cloud.report(image) == {"status": "UNIQUE"}
    assert cloud.failure(image) is None


def test_the_report_of_another_version_does_not_win(cloud: Cloud, image: UploadedImage) -> None:
    newer = cloud.upload(image.key, photograph(90))
    cloud.write(report_key(newer), {"status": "MATCHED"})
    cloud.run("failure", caught(cloud, image, Reason.SUPERSEDED))
    assert cloud.failure(image)
    assert cloud.failure(newer) is None


# --- What goes wrong here ---


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("HeadObject", "503", 503),
        ("PutObject", "SlowDown", 503),
        ("DescribeExecution", "ThrottlingException", 400),
    ],
)
def test_a_service_that_fails_is_unavailable_and_the_retry_records(
    cloud: Cloud, image: UploadedImage, operation: str, code: str, status: int
) -> None:
    arn = cloud.start(image)
    cloud.passed_through("IndexFaces")
    cloud.end(arn, "FAILED", "KeyError", "'Face'")
    cloud.fail_next(operation, code, status=status)
    with pytest.raises(Unavailable):
        cloud.run("failure", ended(arn))
    assert cloud.run("failure", ended(arn))["recorded"] is True


def test_whether_a_report_stands_is_not_guessed_when_it_may_not_be_asked(
    cloud: Cloud, image: UploadedImage
) -> None:
    cloud.fail_next("HeadObject", "403", status=403)
    with pytest.raises(ClientError):
        cloud.run("failure", caught(cloud, image, Reason.GONE))
    assert cloud.failure(image) is None


def test_an_execution_that_somebody_started_by_hand_leaves_no_record(cloud: Cloud) -> None:
    arn = cloud.stepfunctions.start_execution(
        stateMachineArn=cloud.state_machine_arn, name="by-hand", input='{"hello": "world"}'
    )["executionArn"]
    cloud.end(arn, "FAILED", "States.Runtime")
    with pytest.raises(ValueError, match="as the starter writes them"):
        cloud.run("failure", ended(arn))
