"""The state machine, top to bottom in the order in which an image meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_xray as xray
from constructs import Construct

from functions.matching.errors import ImageRejected
from workflow.machine import logged_machine, machine_role
from workflow.step import catch_rejection, lambda_step

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

    from workflow.steps import Steps

#: The execution's input is the image, as the starter wrote it; later states carry it along.
_INPUT = "{% $states.input %}"
_IMAGE = "{% $states.input.image %}"
_EXECUTION = "{% $states.context.Execution.Id %}"
#: Absent from the context until the execution is redriven (AWS Step Functions Developer Guide,
#: Accessing execution data from the Context object).
_REDRIVE_COUNT = (
    "{% $exists($states.context.Execution.RedriveCount) ? "
    "$states.context.Execution.RedriveCount : 0 %}"
)
#: Seconds of all steps with their retries, which take a few minutes (docs/pace.md).
_LONGEST = 3600
#: Characters (AWS X-Ray API Reference, SamplingRule).
_RULE_NAME = 32
#: Before X-Ray's default rule, which is 10,000; after those that somebody made for the account.
_RULE_PRIORITY = 9000


class Matching(Construct):
    """Index the face, let the index settle, search, report, notify above the threshold.

    Parameters
    ----------
    settle_seconds
        Between index and search. Whichever of two concurrent images is indexed later sees the
        other, as long as a new face can be found sooner than that.
    traced_percent
        Of the executions; None for what the account's sampling rules say.
    key
        Of the state machine's log.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        steps: Steps,
        settle_seconds: int,
        traced_percent: float | None,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)

        index_faces = lambda_step(
            self,
            "IndexFaces",
            function=steps.index,
            comment="Add the image's faces to the collection",
            payload={"image": _INPUT},
            outputs={"image": _INPUT, "index": "{% $states.result.Payload %}"},
        )
        search_faces = lambda_step(
            self,
            "SearchFaces",
            function=steps.search,
            comment="Find the same faces under other names",
            payload={"image": _IMAGE, "index": "{% $states.input.index %}"},
            outputs=_with("search"),
        )
        write_report = lambda_step(
            self,
            "WriteReport",
            function=steps.report,
            comment="Write the report and judge it by the notify threshold",
            payload={
                "image": _IMAGE,
                "index": "{% $states.input.index %}",
                "search": "{% $states.input.search %}",
                "execution_arn": _EXECUTION,
                "redrive_count": _REDRIVE_COUNT,
            },
            outputs=_with("report"),
        )
        above_threshold = sfn.Choice.jsonata(
            self,
            "AboveThreshold",
            comment="Is anything that nobody has decided against worth a notification?",
        )
        notify_match = lambda_step(
            self,
            "NotifyMatch",
            function=steps.notify,
            comment="Tell people and programs of the match",
            payload={
                "image": _IMAGE,
                "search": "{% $states.input.search %}",
                "report": "{% $states.input.report %}",
                "execution_arn": _EXECUTION,
                "redrive_count": _REDRIVE_COUNT,
            },
            outputs=_with("notification"),
        )
        done = sfn.Succeed.jsonata(self, "Done", comment="Nobody has to be told")

        record_failure = lambda_step(
            self,
            "RecordFailure",
            function=steps.failure,
            comment="Write down why this image can never succeed, and what to do",
            payload={
                "image": _IMAGE,
                "step": "{% $states.input.step %}",
                "error": "{% $states.input.error %}",
                "execution_arn": _EXECUTION,
            },
            outputs={"failure": "{% $states.result.Payload %}"},
        )
        image_rejected = sfn.Fail.jsonata(
            self,
            "ImageRejected",
            comment="The image is at fault: a redrive would fail again",
            error=ImageRejected.__name__,
            cause="{% $states.input.failure.reason & ': ' & $states.input.failure.message %}",
        )
        record_failure.next(image_rejected)
        catch_rejection(index_faces, image=_INPUT, record=record_failure)
        for step in (search_faces, write_report, notify_match):
            catch_rejection(step, image=_IMAGE, record=record_failure)

        indexed: sfn.INextable = index_faces
        if settle_seconds:
            settle = sfn.Wait.jsonata(
                self,
                "Settle",
                comment="Until a face that was just indexed can be found",
                time=sfn.WaitTime.duration(cdk.Duration.seconds(settle_seconds)),
            )
            index_faces.next(settle)
            indexed = settle
        indexed.next(search_faces)
        search_faces.next(write_report).next(
            above_threshold.when(
                sfn.Condition.jsonata(
                    "{% $states.input.report.notify_similarity > 0 and "
                    "$states.input.report.notify_similarity >= "
                    "$states.input.report.notify_threshold %}"
                ),
                # It is the end itself: a state after it would be one more to pay for.
                notify_match,
            ).otherwise(done)
        )

        self.state_machine = logged_machine(
            self,
            name=name,
            comment="Is this face already here under another name?",
            start=index_faces,
            role=machine_role(
                self,
                [steps.index, steps.search, steps.report, steps.notify, steps.failure],
                description="Of the state machine",
            ),
            key=key,
            timeout=cdk.Duration.seconds(_LONGEST + settle_seconds),
        )
        if traced_percent is not None:
            self._trace(name, traced_percent / 100)

    def _trace(self, name: str, share: float) -> None:
        """Trace a share of the executions, in place of X-Ray's default: the first in each second.

        An image that comes alone is always the first. A rule finds a service by its name in the
        trace map (AWS X-Ray Developer Guide, Configuring sampling rules); a state machine's is its
        own.
        """
        xray.CfnSamplingRule(
            self,
            "Sampling",
            sampling_rule=xray.CfnSamplingRule.SamplingRuleProperty(
                rule_name=cdk.Names.unique_resource_name(self, max_length=_RULE_NAME),
                service_name=name,
                fixed_rate=share,
                reservoir_size=0,
                priority=_RULE_PRIORITY,
                service_type="*",
                resource_arn="*",
                host="*",
                http_method="*",
                url_path="*",
                version=1,
            ),
        )


def _with(name: str) -> str:
    """Everything so far, and the step's result under `name`."""
    return f"{{% $merge([$states.input, {{'{name}': $states.result.Payload}}]) %}}"
