"""Failure function: one record for a version that failed, unless a report stands.

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
from functions.aws.executions import Executions
from functions.ended import ExecutionEnded
from functions.matching.errors import ImageRejected
from functions.matching.failures import Failure, FailureStatus, failure_record
from functions.matching.images import UploadedImage, image_or_removal
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

settings = FailureSettings.from_environment()
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
    failure = Failure(
        status=FailureStatus.REJECTED,
        step=event["step"],
        error=event["error"]["Error"],
        cause=event["error"]["Cause"],
        execution_arn=event["execution_arn"],
        failed_at=datetime.now(UTC),
    )
    return record(image, failure)


def record_ended(ended: ExecutionEnded) -> dict[str, Any]:
    """Record an execution that ended badly, if that is still so: events come late."""
    execution = executions.describe(ended.execution_arn)
    if execution["status"] not in FailureStatus.__members__:
        logger.info("no longer failed", status=execution["status"])
        return {"recorded": False}
    if execution.get("error") == ImageRejected.__name__:
        logger.info("recorded by the state machine itself")
        return {"recorded": False}
    image = image_or_removal(json.loads(execution["input"]))
    failure = Failure(
        status=FailureStatus(execution["status"]),
        step=executions.last_step(ended.execution_arn),
        error=execution.get("error"),
        cause=execution.get("cause"),
        execution_arn=ended.execution_arn,
        failed_at=ended.ended_at,
    )
    return record(image, failure)


def record(image: UploadedImage, failure: Failure) -> dict[str, Any]:
    """Write the record; returns the reason and the sentence for people."""
    working_on(image)
    written = failure_record(image, failure, name_pattern=settings.name_pattern)
    stands = output.write_failure(image, written)
    if stands:
        metrics.add_metric(_COUNTED_AS[failure.status], MetricUnit.Count, 1)
    logger.info(
        "failure recorded" if stands else "a report stands",
        status=written["status"],
        reason=written["reason"],
        step=written["step"],
    )
    return {"recorded": stands, "reason": written["reason"], "message": written["message"]}
