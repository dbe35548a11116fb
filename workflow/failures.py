"""Failures: executions that ended badly, recorded and told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from functions.matching.errors import ImageRejected
from workflow.acknowledge import acknowledge
from workflow.encryption import queue_encryption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_stepfunctions as sfn

    from workflow.function import Function


class Failures(Construct):
    """Hands executions that ended badly to the failure function and to the failures topic.

    The filter leaves out `ImageRejected`, which the state machine records itself: a corrupt
    upload is an outcome, not an incident. TIMED_OUT and ABORTED carry no error of ours.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        state_machines: Sequence[sfn.StateMachine],
        failure: Function,
        topic: sns.Topic,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.undelivered = sqs.Queue(
            self,
            "Undelivered",
            encryption=queue_encryption(key),
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        acknowledge(
            self.undelivered,
            rule="AwsSolutions-SQS3",
            reason="It is the dead-letter queue of the rule and of the failure function.",
        )
        rule = events.Rule(
            self,
            "ExecutionEndedBadly",
            description="Executions that failed without being rejected, timed out or were aborted",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [machine.state_machine_arn for machine in state_machines],
                    "$or": [
                        {
                            "status": ["FAILED"],
                            "error": [{"anything-but": [ImageRejected.__name__]}],
                        },
                        {"status": ["TIMED_OUT", "ABORTED"]},
                    ],
                },
            ),
        )
        rule.add_target(
            targets.LambdaFunction(failure.function, dead_letter_queue=self.undelivered)
        )
        # EventBridge has delivered as soon as Lambda has taken the event: what the function then
        # fails to record, after Lambda's own two retries, is kept here too.
        undelivered = self.undelivered.queue_arn
        failure.allow("sqs:SendMessage", on=[undelivered])
        lambda_.CfnEventInvokeConfig(
            self,
            "Unrecorded",
            function_name=failure.function.function_name,
            qualifier="$LATEST",
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=undelivered)
            ),
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Events",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                # No condition: "You can't use Condition blocks in Amazon SNS topic policies for
                # EventBridge" (Amazon EventBridge User Guide, Resource-based policies).
            )
        )
        field = events.EventField.from_path
        rule.add_target(
            targets.SnsTopic(
                # By its ARN: of a topic that it can change, the CDK would let EventBridge use the
                # key without any condition.
                sns.Topic.from_topic_arn(self, "Topic", topic.topic_arn),
                dead_letter_queue=self.undelivered,
                message=events.RuleTargetInput.from_multiline_text(
                    f"The execution {field('$.detail.name')} ended {field('$.detail.status')}.\n"
                    f"Error: {field('$.detail.error')}\n"
                    f"Execution: {field('$.detail.executionArn')}\n"
                    "Its failure record, under failures/ in the output bucket or, when the report "
                    "stands but nobody was notified, under delivery_failures/, says what to do."
                ),
            )
        )
