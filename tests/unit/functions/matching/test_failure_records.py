"""Failure records: the reason, the sentence, the remedy and what a replay can do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.errors import ImageRejected, Reason, rejection_in
from functions.matching.failures import (
    AFTER_THE_REPORT,
    Failure,
    FailureStatus,
    Lacking,
    failure_record,
    lacking,
)
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.strategies import NAMES_FROM

FAILED = Failure(
    status=FailureStatus.FAILED,
    step="SearchFaces",
    error="KeyError",
    cause="'Face'",
    execution_arn="arn",
    failed_at=datetime(2026, 11, 22, 11, 16, 11, tzinfo=UTC),
)


def record(failure: Failure) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        json.dumps(failure_record(IMAGE, failure, names_from=NAMES_FROM))
    )
    return made


def rejected(reason: Reason, detail: str = "") -> Failure:
    """As the state machine catches it: Lambda reports the exception as JSON."""
    error = ImageRejected(reason, IMAGE.digest, detail)
    cause = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": ["..."]}
    return replace(
        FAILED,
        status=FailureStatus.REJECTED,
        step="IndexFaces",
        error=type(error).__name__,
        cause=json.dumps(cause),
    )


@pytest.mark.parametrize("reason", Reason)
def test_a_rejection_is_recorded_with_its_reason_and_a_remedy(reason: Reason) -> None:
    made = record(rejected(reason))
    assert made["status"] == "REJECTED"
    assert made["reason"] == reason
    assert made["replay"] == "NONE"
    assert made["message"].startswith(f"{IMAGE.uri} ")
    assert made["message"].endswith(".")
    assert made["remedy"]
    assert made["name"] == "Ann_Lee"


def test_every_reason_has_a_sentence_of_its_own() -> None:
    assert len({record(rejected(reason))["message"] for reason in Reason}) == len(Reason)


def test_the_figures_of_a_rejection_reach_its_sentence() -> None:
    made = record(rejected(Reason.TOO_LARGE, "99,000,000 bytes"))
    assert made["message"].endswith("too many pixels: 99,000,000 bytes.")


@given(reason=st.sampled_from(Reason), detail=st.text())
def test_reason_and_detail_come_back_from_an_error(reason: Reason, detail: str) -> None:
    error = ImageRejected(reason, IMAGE.digest, detail)
    assert rejection_in(str(error)) == (reason, detail)


@given(message=st.text())
def test_another_errors_text_is_no_rejection(message: str) -> None:
    known = message.partition(" ")[0] in Reason.__members__
    assert (rejection_in(message) is not None) is known


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("Unavailable", "lower starts_per_second"),
        ("Lambda.TooManyRequestsException", "lower starts_per_second"),
        ("AccessDeniedException", "restore the permission"),
        ("ResourceNotFoundException", "restore the permission"),
        ("InvalidS3ObjectException", "restore the permission"),
        ("ClientError", "restore the permission"),
        ("NotFoundException", "restore the permission"),
        ("AuthorizationErrorException", "restore the permission"),
        ("KMSDisabledException", "restore the permission"),
        ("Sandbox.Timedout", "what hangs"),
        ("CollectionFull", "20,000,000 at most"),
        ("Lambda.AWSLambdaException", "lower starts_per_second"),
        ("Lambda.ResourceNotFoundException", "Deploy the stack again"),
        ("Lambda.KMSDisabledException", "the function's key"),
        ("KeyError", "mend the function"),
        (None, "mend the function"),
    ],
)
def test_a_failed_step_can_be_redriven_and_says_what_to_do_first(
    error: str | None, remedy: str
) -> None:
    made = record(replace(FAILED, error=error))
    assert remedy in made["remedy"]
    assert made["replay"] == "REDRIVE"
    assert made["reason"] == (error or "FAILED")
    assert made["step"] == "SearchFaces"


def test_a_call_that_was_denied_is_not_taken_for_a_service_that_throttles() -> None:
    cause = (
        "User: arn:aws:sts::123456789012:assumed-role/StateMachine/x is not authorized to perform: "
        "lambda:InvokeFunction on resource: index because no identity-based policy allows the "
        "lambda:InvokeFunction action (Service: AWSLambda; Status Code: 403; Error Code: "
        "AccessDeniedException; Request ID: 1; Proxy: null)"
    )
    made = record(replace(FAILED, error="Lambda.AWSLambdaException", cause=cause))
    assert "restore lambda:InvokeFunction" in made["remedy"]
    assert "throttled" not in made["message"]
    assert made["replay"] == "REDRIVE"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(FailureStatus.TIMED_OUT, "took longer"), (FailureStatus.ABORTED, "Somebody stopped")],
)
def test_an_execution_that_ended_without_an_error_is_recorded_by_how_it_ended(
    status: FailureStatus, sentence: str
) -> None:
    made = record(replace(FAILED, status=status, error=None, cause=None, step=None))
    assert (made["status"], made["reason"], made["error"], made["cause"]) == (
        *(status, status),
        *(None, None),
    )
    assert sentence in made["message"]
    assert made["replay"] == "REDRIVE"


STATES = ("IndexFaces", "Settle", "SearchFaces", "WriteReport", *AFTER_THE_REPORT, "RemoveFaces")


@given(
    step=st.sampled_from(STATES) | st.none(),
    own=st.booleans(),
    above=st.booleans(),
    field=st.sampled_from(["above_threshold", "notified"]),
)
def test_a_report_lacks_its_delivery_only_when_its_own_execution_ended_badly(
    *, step: str | None, own: bool, above: bool, field: str
) -> None:
    report = {"execution_arn": "arn" if own else "arn-r1", field: above}

    expected = Lacking.DELIVERY if own and above else None
    assert lacking(report, execution_arn="arn", step=step) is expected


@given(step=st.sampled_from(STATES) | st.none())
def test_without_a_report_the_outcome_is_lacking_unless_it_was_written_and_has_left(
    step: str | None,
) -> None:
    expected = None if step in AFTER_THE_REPORT else Lacking.OUTCOME
    assert lacking(None, execution_arn="arn", step=step) is expected


def test_a_delivery_failure_says_that_the_report_stands_and_nobody_was_notified() -> None:
    failure = replace(FAILED, step="NotifyMatch", error="NotFoundException")
    made = failure_record(IMAGE, failure, names_from=NAMES_FROM, lacking=Lacking.DELIVERY)
    assert made["message"].startswith(f"{IMAGE.uri} ")
    assert "nobody was notified" in made["message"]
    assert "restore the permission or the resource, then redrive" in made["remedy"]


@given(cause=st.text() | st.just("x" * 32768) | st.just("[1, 2]") | st.just("{}"))
def test_any_cause_can_be_recorded(cause: str) -> None:
    made = record(replace(FAILED, cause=cause))
    assert cause.startswith(made["cause"])
    assert len(made["cause"]) <= 4000


@given(cause=st.text() | st.sampled_from(["[1, 2]", "{}", '{"errorMessage": 3}', "null"]))
def test_a_rejection_whose_cause_cannot_be_read_is_still_recorded(cause: str) -> None:
    made = record(replace(rejected(Reason.GONE), cause=cause))
    assert made["status"] == "REJECTED"
    assert made["reason"] in {*Reason, "ImageRejected"}
