"""Alarms: what must not go unseen, each with what happened and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from functions.matching.settings import FACES_AT_MOST, FACES_BY_DEFAULT, NEARLY_FULL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_sns as sns
    from aws_cdk import aws_stepfunctions as sfn

    from workflow.failures import Failures
    from workflow.function import Function
    from workflow.intake import Intake

_FIVE_MINUTES: Final = cdk.Duration.minutes(5)
#: The starter counts faces once an hour, while photographs come. The alarm holds for a day after
#: each count, so that a night without photographs does not make it ring anew in the morning.
_HOUR: Final = cdk.Duration.hours(1)
_HOURS_OF_A_DAY: Final = 24
#: The operations that each image needs.
OPERATIONS: Final = ("IndexFaces", "SearchFaces")
#: Of the calls, %, over a quarter of an hour. Retries absorb what the tap lets through, which is
#: a tenth in the worst case; from 40 % on executions fail (docs/pace.md).
_TOO_MANY_THROTTLED: Final = 30


class Alarms(Construct):
    """CloudWatch alarms, all to one topic.

    An image that was rejected raises none: it is an outcome. What retries absorb raises none
    either; what fails in the end does, through the executions.

    There are 13, over 21 metrics. CloudWatch bills by metric and month (0.10 USD in us-east-1, the
    first ten free, as far as we know: see its price list), so they cost about a dollar a month.

    Parameters
    ----------
    topic
        Under a key that admits CloudWatch.
    functions
        All of them, for throttling.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.Topic,
        intake: Intake,
        state_machine: sfn.StateMachine,
        failures: Failures,
        failure: Function,
        functions: Sequence[Function],
        matches: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._action = actions.SnsAction(topic)
        self.all: list[cloudwatch.Alarm] = []

        self._alarm(
            "DeadLetters",
            intake.dead_letters.metric_approximate_number_of_messages_visible(
                period=_FIVE_MINUTES, statistic=cloudwatch.Stats.MAXIMUM
            ),
            "Messages about uploads are in the dead-letter queue: five times they could not be "
            "understood, or no execution could be started. Look at them: facematch replay "
            "--dead-letters. Mend the cause and move them back; they are kept for 14 days.",
        )
        self._alarm(
            "Undelivered",
            failures.undelivered.metric_approximate_number_of_messages_visible(
                period=_FIVE_MINUTES, statistic=cloudwatch.Stats.MAXIMUM
            ),
            "Failed executions could not be recorded or told of; the events are in the queue "
            "'Undelivered'. Look into the log of the failure function, mend the cause, then replay "
            "the executions that the events name: facematch replay.",
        )
        self._alarm(
            "OldMessages",
            intake.queue.metric_approximate_age_of_oldest_message(
                period=_FIVE_MINUTES, statistic=cloudwatch.Stats.MAXIMUM
            ),
            "An upload has waited in the queue for half of the time after which its message is "
            "lost. If executions start, ask for a larger Rekognition quota, set starts_per_second "
            "and deploy; if none start, look into the log of the starter. Afterwards: facematch "
            "audit.",
            threshold=intake.retention.to_seconds() / 2,
        )
        self._alarm(
            "ExecutionsFailed",
            failure.counted("ExecutionsFailed", _FIVE_MINUTES),
            "Executions failed though their images are not at fault: photographs have no report, "
            "or nobody was notified of a match. See facematch failures for the reason and what to "
            "do. Fix the cause, then: facematch replay --all.",
        )
        self._alarm(
            "ExecutionsTimedOut",
            state_machine.metric_timed_out(period=_FIVE_MINUTES),
            "Executions ran for an hour and were timed out, so a service or a function hung. See "
            "facematch failures for the step, then: facematch replay.",
        )
        self._alarm(
            "ExecutionsAborted",
            state_machine.metric_aborted(period=_FIVE_MINUTES),
            "Somebody stopped executions. If that was not meant to be for good: facematch replay.",
        )
        starter = intake.starter
        self._alarm(
            "StarterErrors",
            starter.function.metric_errors(period=_FIVE_MINUTES),
            "The starter crashed or ran out of time. Its messages come again, and become dead "
            "letters after five times. Look into its log; roll back the last deployment if that "
            "broke it.",
            periods=(2, 3),
        )
        self._alarm(
            "StartsFailed",
            starter.counted("StartsFailed", _FIVE_MINUTES),
            "Uploads found no execution, again and again: S3, DynamoDB or Step Functions failed or "
            "denied. Look into the log of the starter for the error. The messages come again, and "
            "become dead letters after five times.",
            periods=(2, 3),
        )
        self._alarm(
            "FunctionsThrottled",
            cloudwatch.MathExpression(
                expression="SUM(METRICS())",
                label="Throttled invocations",
                period=_FIVE_MINUTES,
                using_metrics={
                    f"throttles_{function.module}": function.function.metric_throttles(
                        period=_FIVE_MINUTES
                    )
                    for function in functions
                },
            ),
            "Lambda throttled functions for a quarter of an hour: the account's concurrency is "
            "used up, by other functions or because it is small, as in a new account. Ask for a "
            "larger one (Service Quotas, Lambda, Concurrent executions), or lower "
            "starts_per_second. Steps retry; replay what failed: facematch replay.",
            periods=(3, 3),
        )
        for operation in OPERATIONS:
            self._alarm(
                f"{operation}Throttled",
                cloudwatch.MathExpression(
                    expression="100 * FILL(throttled, 0) / (FILL(throttled, 0) + succeeded)",
                    label=f"{operation} throttled, %",
                    period=_FIVE_MINUTES,
                    using_metrics={
                        "throttled": rekognition("ThrottledCount", operation, _FIVE_MINUTES),
                        "succeeded": rekognition(
                            "SuccessfulRequestCount", operation, _FIVE_MINUTES
                        ),
                    },
                ),
                f"Rekognition throttles so many calls of {operation} that retries will not absorb "
                "them: something else in the account uses the same quota, or starts_per_second is "
                "above it. Lower starts_per_second and deploy, or ask for a larger quota; replay "
                "what failed: facematch replay.",
                threshold=_TOO_MANY_THROTTLED,
                periods=(3, 3),
            )
        self._alarm(
            "NotificationsFailed",
            matches.metric_number_of_notifications_failed(period=_FIVE_MINUTES),
            "SNS could not deliver a match to a subscriber. Look at the subscriptions of the "
            "matches topic (an endpoint that is gone, a queue that denies) and mend or delete "
            "them. Nothing is lost: facematch matches shows every match.",
        )
        self._alarm(
            "CollectionFilling",
            starter.counted("FacesInCollection", _HOUR, statistic=cloudwatch.Stats.MAXIMUM),
            f"The face collection holds more than {NEARLY_FULL:.0%} of the {FACES_BY_DEFAULT:,} "
            "faces that it holds by default. When it is full, no photograph can be indexed. Ask "
            f"for a larger quota now ({FACES_AT_MOST:,} at most: Service Quotas, Amazon "
            "Rekognition), or delete photographs that nobody needs. facematch status shows how "
            "many faces there are. All choices and their prices: docs/collection.md.",
            threshold=NEARLY_FULL * FACES_BY_DEFAULT,
            periods=(1, _HOURS_OF_A_DAY),
        )
        self._admit_cloudwatch(topic)

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        description: str,
        *,
        threshold: float = 0,
        periods: tuple[int, int] = (1, 1),
    ) -> None:
        """An alarm when the metric is above the threshold in so many of so many periods."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{cdk.Stack.of(self).stack_name}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            datapoints_to_alarm=periods[0],
            evaluation_periods=periods[1],
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(self._action)
        self.all.append(alarm)

    def _admit_cloudwatch(self, topic: sns.Topic) -> None:
        """Let these alarms publish: a topic with a policy of its own has lost the default one."""
        stack = cdk.Stack.of(self)
        # By their names, and not by a reference: the local cloud leaves alarms out.
        alarms = [
            stack.format_arn(
                service="cloudwatch",
                resource="alarm",
                resource_name=f"{stack.stack_name}-{alarm.node.id}",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for alarm in self.all
        ]
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnEquals": {"aws:SourceArn": alarms},
                },
            )
        )


def rekognition(name: str, operation: str, period: cdk.Duration) -> cloudwatch.Metric:
    """What Rekognition counts of an operation, over the whole account.

    (Amazon Rekognition Developer Guide, CloudWatch metrics for Rekognition.)
    """
    return cloudwatch.Metric(
        namespace="AWS/Rekognition",
        metric_name=name,
        dimensions_map={"Operation": operation},
        statistic=cloudwatch.Stats.SUM,
        period=period,
        label=f"{operation} {name}",
    )
