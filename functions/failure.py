"""Failure function: one record for a version that lacks its outcome or its delivery.

Called by the state machine for an image that it rejected, and by EventBridge for an execution
that ended FAILED, TIMED_OUT or ABORTED.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.metrics import MetricUnit

from functions.aws.buckets import OutputBucket
from functions.aws.clients import client
from functions.aws.ended import ExecutionEnded
from functions.aws.environment import from_environment
from functions.aws.executions import Executions
from functions.matching.errors import ImageRejected
from functions.matching.failures import Failure, FailureStatus, Lacking, failure_record, lacking
from functions.matching.images import Subject, UploadedImage, subject_of
from functions.matching.settings import FailureSettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

#: A rejected image is nobody's failure: the alarm listens to ExecutionsFailed alone, and the other
#: two have alarms of their own.
_COUNTED_AS: Final = {
    FailureStatus.REJECTED: "ImagesRejected",
    FailureStatus.FAILED: "ExecutionsFailed",
    FailureStatus.TIMED_OUT: "ExecutionsTimedOut",
    FailureStatus.ABORTED: "ExecutionsAborted",
}

settings = from_environment(FailureSettings)
output = OutputBucket(client("s3"), settings.output_bucket)
executions = Executions(client("stepfunctions"))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Record a rejection that the state machine caught, or an execution that ended badly."""
    if "detail" in event:
        return record_ended(ExecutionEnded.from_event(event))
    return record_rejected(event)


def record_rejected(event: dict[str, Any]) -> dict[str, Any]:
    """Record what the Catch path caught; returns what the Fail state says."""
    image = UploadedImage.from_payload(event["image"])
    working_on(image)
    failure = Failure(
        status=FailureStatus.REJECTED,
        step=event["step"],
        error=event["error"]["Error"],
        cause=event["error"]["Cause"],
        execution_arn=event["execution_arn"],
        failed_at=datetime.now(UTC),
    )
    written = failure_record(image, failure, names_from=settings.names_from)
    return told(failure, written, stands=output.write_failure(image, written))


def record_ended(ended: ExecutionEnded) -> dict[str, Any]:
    """Record what an execution that ended badly left lacking, if that is still so.

    Events come late, and the execution may be redriven or replaced at any moment. So what was
    written is compared with how things stand afterwards, until both agree.
    """
    recorded: tuple[Subject, Failure, Lacking] | None = None
    written: dict[str, Any] = {}
    while (found := left_lacking(ended)) != recorded:
        if recorded:
            output.delete_failure(recorded[0], recorded[2])
        if found:
            image, failure, lacks = found
            written = failure_record(image, failure, names_from=settings.names_from, lacking=lacks)
            output.put_failure(image, written, lacks)
        recorded = found
    if recorded is None:
        return {"recorded": False}
    return told(recorded[1], written, stands=True)


def left_lacking(ended: ExecutionEnded) -> tuple[Subject, Failure, Lacking] | None:
    """Return what the execution leaves lacking now; None when it lacks nothing."""
    execution = executions.describe(ended.execution_arn)
    if execution["status"] not in FailureStatus.__members__:
        logger.info("no longer failed", status=execution["status"])
        return None
    if execution.get("error") == ImageRejected.__name__:
        logger.info("recorded by the state machine itself")
        return None
    image = subject_of(json.loads(execution["input"]))
    working_on(image)
    failure = Failure(
        status=FailureStatus(execution["status"]),
        step=executions.last_step(ended.execution_arn),
        error=execution.get("error"),
        cause=execution.get("cause"),
        execution_arn=ended.execution_arn,
        failed_at=ended.ended_at,
    )
    lacks = lacking(output.report(image), execution_arn=failure.execution_arn, step=failure.step)
    if lacks is None:
        logger.info("nothing is lacking", status=failure.status, step=failure.step)
        return None
    # Only the newest attempt tells of the outcome, by its report or by a record of its own.
    if lacks is Lacking.OUTCOME and executions.has_next_attempt(failure.execution_arn):
        logger.info("a newer attempt was started", status=failure.status, step=failure.step)
        return None
    return image, failure, lacks


def told(failure: Failure, written: dict[str, Any], *, stands: bool) -> dict[str, Any]:
    """Count and log a record, if it stands; returns the reason and the sentence for people."""
    if stands:
        metrics.add_metric(_COUNTED_AS[failure.status], MetricUnit.Count, 1)
    logger.info(
        "failure recorded" if stands else "a report stands",
        status=written["status"],
        reason=written["reason"],
        step=written["step"],
    )
    return {"recorded": stands, "reason": written["reason"], "message": written["message"]}
