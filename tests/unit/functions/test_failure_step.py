"""The failure function: one record for a version that failed, unless a report stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from functions.matching.errors import ImageRejected, Reason, Unavailable
from functions.matching.keys import replay_name
from functions.matching.reports import report_key
from tests.unit.cloud import OUTPUT, event_file
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

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


def only(record: dict[str, Any] | None) -> dict[str, Any]:
    """The record, which is there."""
    assert record
    return record


def ended(execution_arn: str, status: str = "FAILED") -> Any:
    """What EventBridge says of an execution."""
    event = event_file(f"states_{status.lower()}.json")
    event["detail"]["executionArn"] = execution_arn
    return event


def started(cloud: Cloud, image: UploadedImage, attempt: int) -> str:
    """Start the execution of an attempt."""
    answer = cloud.stepfunctions.start_execution(
        stateMachineArn=cloud.state_machine_arn,
        name=replay_name(image.execution_name, attempt),
        input=image.execution_input,
    )
    return str(answer["executionArn"])


# --- The Catch path ---


@pytest.mark.parametrize("reason", Reason)
def test_a_rejected_image_gets_its_record(
    cloud: Cloud, image: UploadedImage, reason: Reason
) -> None:
    event = caught(cloud, image, reason)
    answer = cloud.run("failure", event)
    record = only(cloud.failure(image))
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
    assert only(cloud.failure(image))["reason"] == "NOT_JPEG_OR_PNG"


def test_recording_twice_changes_nothing_but_the_time(cloud: Cloud, image: UploadedImage) -> None:
    event = caught(cloud, image, Reason.GONE)
    records = []
    for _ in range(2):
        cloud.run("failure", event)
        records.append({**only(cloud.failure(image)), "failed_at": None})
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
    record = only(cloud.failure(image))
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
    assert only(cloud.failure(image))["step"] is None


def test_the_record_says_how_the_execution_ended_and_not_what_the_event_says(
    cloud: Cloud, image: UploadedImage
) -> None:
    arn = cloud.start(image)
    cloud.passed_through("IndexFaces")
    cloud.end(arn, "ABORTED")
    cloud.run("failure", ended(arn, "FAILED"))
    assert only(cloud.failure(image))["status"] == "ABORTED"


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
    before = only(cloud.failure(image))
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


# --- Only the newest attempt tells ---


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_late_event_of_an_older_attempt_does_not_overwrite_what_a_newer_one_recorded(
    cloud: Cloud, image: UploadedImage, attempt: int
) -> None:
    """It failed, was started anew, and was rejected then: no redrive can help any more."""
    older, newer = (started(cloud, image, number) for number in (attempt, attempt + 1))
    cloud.passed_through("IndexFaces")
    cloud.end(older, "FAILED", "Unavailable")
    cloud.end(newer, "FAILED", "ImageRejected")
    rejected = {**caught(cloud, image, Reason.SUPERSEDED), "execution_arn": newer}
    cloud.run("failure", rejected)

    assert cloud.run("failure", ended(older)) == {"recorded": False}
    record = only(cloud.failure(image))
    assert (record["status"], record["execution_arn"]) == ("REJECTED", newer)


def test_a_newer_attempt_that_wrote_no_report_does_not_hide_a_delivery_that_failed(
    cloud: Cloud, image: UploadedImage, reported: str
) -> None:
    end_at(cloud, reported, "NotifyMatch")
    newer = started(cloud, image, 1)
    cloud.end(newer, "FAILED", "Unavailable")

    assert cloud.run("failure", ended(reported))["recorded"] is True
    assert cloud.delivery_failure(image)


# --- A report whose notification failed ---


@pytest.fixture
def reported(cloud: Cloud, image: UploadedImage) -> str:
    """The ARN of an execution that wrote the report of a match above the threshold."""
    arn = cloud.start(image)
    cloud.write(report_key(image), a_report(arn))
    return arn


def a_report(arn: str, *, above: bool = True, version: int = 2) -> dict[str, Any]:
    field = "above_threshold" if version > 1 else "notified"
    return {"schema_version": version, "status": "MATCHED", "execution_arn": arn, field: above}


def end_at(cloud: Cloud, arn: str, step: str, status: str = "FAILED") -> None:
    """Let the execution end badly after it has entered a step."""
    steps = ("IndexFaces", "Settle", "SearchFaces", "WriteReport", "AboveThreshold", "NotifyMatch")
    cloud.passed_through(*steps[: steps.index(step) + 1])
    error = "NotFoundException" if status == "FAILED" else None
    cloud.end(arn, status, error, error and "Topic does not exist")


@pytest.mark.parametrize("step", ["WriteReport", "AboveThreshold", "NotifyMatch"])
@pytest.mark.parametrize("status", STATUSES)
def test_an_execution_that_reported_and_notified_nobody_leaves_a_delivery_failure(
    cloud: Cloud, image: UploadedImage, reported: str, status: str, step: str
) -> None:
    end_at(cloud, reported, step, status)

    answer = cloud.run("failure", ended(reported, status))

    record = only(cloud.delivery_failure(image))
    assert (record["status"], record["step"]) == (status, step)
    assert record["reason"] == ("NotFoundException" if status == "FAILED" else status)
    assert record["replay"] == "REDRIVE"
    assert record["execution_arn"] == reported
    assert record["failed_at"] == "2026-11-22T11:16:11.250Z"
    assert "nobody was notified" in record["message"]
    assert answer["recorded"] is True
    assert cloud.failure(image) is None


def test_a_report_of_schema_version_1_owes_a_delivery_too(
    cloud: Cloud, image: UploadedImage, reported: str
) -> None:
    cloud.write(report_key(image), a_report(reported, version=1))
    end_at(cloud, reported, "NotifyMatch")

    cloud.run("failure", ended(reported))

    assert cloud.delivery_failure(image)


#: What becomes of the photograph or of its report, so that no notification is due.
NOTHING_DUE: dict[str, Callable[[Cloud, UploadedImage, str], object]] = {
    "below the threshold": lambda cloud, image, arn: cloud.write(
        report_key(image), a_report(arn, above=False)
    ),
    "reported by a later attempt": lambda cloud, image, arn: cloud.write(
        report_key(image), a_report(f"{arn}-r1")
    ),
    "deleted after its report": lambda cloud, image, _arn: cloud.s3.delete_object(
        Bucket=OUTPUT, Key=report_key(image)
    ),
}


@pytest.mark.parametrize("why", NOTHING_DUE)
def test_where_no_notification_is_due_none_is_recorded_as_failed(
    cloud: Cloud, image: UploadedImage, reported: str, why: str
) -> None:
    end_at(cloud, reported, "NotifyMatch")
    NOTHING_DUE[why](cloud, image, reported)

    assert cloud.run("failure", ended(reported)) == {"recorded": False}
    assert (cloud.failure(image), cloud.delivery_failure(image)) == (None, None)


#: What happens between the look at the execution and the record.
MEANWHILE: dict[str, Callable[[Cloud, UploadedImage, str], object]] = {
    "redriven": lambda cloud, _image, arn: cloud.end(arn, "RUNNING"),
    "redriven, and succeeded": lambda cloud, _image, arn: cloud.end(arn, "SUCCEEDED"),
    "reported by a later attempt": NOTHING_DUE["reported by a later attempt"],
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_a_delivery_failure_is_taken_back_when_another_attempt_goes_on_meanwhile(
    cloud: Cloud, image: UploadedImage, reported: str, what: str
) -> None:
    end_at(cloud, reported, "NotifyMatch")
    cloud.meanwhile("PutObject", lambda: MEANWHILE[what](cloud, image, reported))

    assert cloud.run("failure", ended(reported)) == {"recorded": False}
    assert cloud.delivery_failure(image) is None


def test_what_was_redriven_and_failed_again_meanwhile_is_recorded_as_it_failed_last(
    cloud: Cloud, image: UploadedImage, reported: str
) -> None:
    end_at(cloud, reported, "NotifyMatch")
    cloud.meanwhile("PutObject", lambda: cloud.end(reported, "ABORTED"))

    assert cloud.run("failure", ended(reported))["recorded"] is True
    assert only(cloud.delivery_failure(image))["status"] == "ABORTED"


def test_a_failure_becomes_one_of_the_delivery_when_the_execution_reported_meanwhile(
    cloud: Cloud, image: UploadedImage
) -> None:
    """It failed at SearchFaces, was redriven, and failed again when it notified."""
    arn = cloud.start(image)
    end_at(cloud, arn, "SearchFaces")

    def go_on() -> None:
        cloud.write(report_key(image), a_report(arn))
        end_at(cloud, arn, "NotifyMatch")

    cloud.meanwhile("PutObject", go_on)

    assert cloud.run("failure", ended(arn))["recorded"] is True
    assert cloud.failure(image) is None
    assert cloud.delivery_failure(image)


# --- What goes wrong here ---


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("GetObject", "SlowDown", 503),
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


def test_whether_a_report_stands_is_not_guessed_when_it_may_not_be_read(
    cloud: Cloud, image: UploadedImage, reported: str
) -> None:
    end_at(cloud, reported, "NotifyMatch")
    cloud.fail_next("GetObject", "AccessDenied", status=403)
    with pytest.raises(ClientError):
        cloud.run("failure", ended(reported))
    assert (cloud.failure(image), cloud.delivery_failure(image)) == (None, None)


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
