"""One Lambda step of the state machine, with its retry policy and its Catch path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from functions.matching.errors import ImageRejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from workflow.function import Function

#: What may succeed when it is tried again. A Python exception's class name is the name of the
#: error (AWS Step Functions Developer Guide, Error names; Handle transient Lambda errors).
TRANSIENT_ERRORS: Final = (
    Unavailable.__name__,
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
)


def lambda_step(
    scope: Construct,
    name: str,
    *,
    function: Function,
    comment: str,
    payload: Mapping[str, Any],
    outputs: Any,  # noqa: ANN401 - a JSONata template is any JSON
) -> tasks.LambdaInvoke:
    """Call a function as the state `name`, retrying what may pass.

    Parameters
    ----------
    payload, outputs
        JSONata templates.
    """
    step = tasks.LambdaInvoke.jsonata(
        scope,
        name,
        lambda_function=function.function,
        comment=comment,
        payload=sfn.TaskInput.from_object(dict(payload)),
        outputs=outputs,
        retry_on_service_exceptions=False,
    )
    step.add_retry(
        errors=list(TRANSIENT_ERRORS),
        interval=cdk.Duration.seconds(2),
        backoff_rate=2,
        max_attempts=6,
        max_delay=cdk.Duration.seconds(60),
        jitter_strategy=sfn.JitterType.FULL,
    )
    return step


def catch_rejection(step: tasks.LambdaInvoke, *, image: str, record: sfn.IChainable) -> None:
    """Send an image that the step rejects to the failure function.

    Nothing else is caught: whatever else goes wrong leaves the execution FAILED at this step,
    where Redrive resumes it.

    Parameters
    ----------
    image
        JSONata for the image in the step's input.
    """
    step.add_catch(
        record,
        errors=[ImageRejected.__name__],
        outputs={"image": image, "step": step.state_id, "error": "{% $states.errorOutput %}"},
    )
