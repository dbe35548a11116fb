"""Dashboard: what an operator looks at, from the uploads on the left to the failures below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from functions.matching.settings import FACES_BY_DEFAULT, OTHER_REGIONS_QUOTA, REKOGNITION_QUOTA
from workflow.alarms import OPERATIONS, rekognition
from workflow.region import by_region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_stepfunctions as sfn

    from workflow.alarms import Alarms
    from workflow.failures import Failures
    from workflow.function import Function
    from workflow.intake import Intake

_PERIOD: Final = cdk.Duration.minutes(5)
_MINUTE: Final = cdk.Duration.minutes(1)
_HOUR: Final = cdk.Duration.hours(1)
_WIDTH: Final = 8


class OperatorsDashboard(Construct):
    """One CloudWatch dashboard, named after the stack.

    Images in, outcomes, matches; the rate against the quota, the queue, the time of each step;
    failures, and the state of all alarms. Only counts: no name of a person stands in a metric.

    Parameters
    ----------
    functions
        All of them, by the module that they run.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        intake: Intake,
        state_machine: sfn.StateMachine,
        failures: Failures,
        functions: dict[str, Function],
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        starter, failure = functions["starter"], functions["failure"]
        report, search, notify = functions["report"], functions["search"], functions["notify"]
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=stack.stack_name,
            default_interval=cdk.Duration.hours(12),
        )
        self.dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(
                title="Alarms", alarms=list(alarms.all), width=3 * _WIDTH, height=3
            )
        )
        self.dashboard.add_widgets(
            _graph(
                "Images in",
                [
                    intake.queue.metric_number_of_messages_sent(
                        period=_PERIOD, label="Messages from S3"
                    ),
                    starter.counted("ExecutionsStarted", _PERIOD),
                    starter.counted("DuplicateEvents", _PERIOD),
                ],
            ),
            _graph(
                "Outcomes",
                [
                    *(
                        report.counted(f"Outcome{outcome}", _PERIOD)
                        for outcome in ("Matched", "Unique", "NoFace")
                    ),
                    failure.counted("ImagesRejected", _PERIOD),
                    failure.counted("ExecutionsFailed", _PERIOD),
                ],
            ),
            _graph(
                "Matches found, and told of",
                [
                    search.counted("MatchesFound", _PERIOD),
                    notify.counted("Notifications", _PERIOD),
                ],
            ),
        )
        self.dashboard.add_widgets(
            _graph(
                "Calls of Rekognition per second, against the region's default quota",
                [_per_second(operation) for operation in OPERATIONS],
                annotations=[
                    cloudwatch.HorizontalAnnotation(
                        value=self._quota(), label="Quota", color=cloudwatch.Color.RED
                    )
                ],
            ),
            _graph(
                "Queue",
                [
                    intake.queue.metric_approximate_number_of_messages_visible(
                        period=_PERIOD, label="Waiting"
                    ),
                    intake.queue.metric_approximate_number_of_messages_not_visible(
                        period=_PERIOD, label="With a starter"
                    ),
                ],
                right=[
                    intake.queue.metric_approximate_age_of_oldest_message(
                        period=_PERIOD, statistic=cloudwatch.Stats.MAXIMUM, label="Oldest, seconds"
                    )
                ],
            ),
            _graph(
                "Duration of a step, median (left) and 95th percentile (right), ms",
                _durations(functions, "p50"),
                right=_durations(functions, "p95"),
            ),
        )
        self.dashboard.add_widgets(
            _graph(
                "Executions that did not succeed",
                [
                    failure.counted("ExecutionsFailed", _PERIOD),
                    state_machine.metric_timed_out(period=_PERIOD, label="Timed out"),
                    state_machine.metric_aborted(period=_PERIOD, label="Aborted"),
                ],
            ),
            _graph(
                "Messages put aside",
                [
                    intake.dead_letters.metric_approximate_number_of_messages_visible(
                        period=_PERIOD, statistic=cloudwatch.Stats.MAXIMUM, label="Dead letters"
                    ),
                    failures.undelivered.metric_approximate_number_of_messages_visible(
                        period=_PERIOD, statistic=cloudwatch.Stats.MAXIMUM, label="Undelivered"
                    ),
                    starter.counted("StartsFailed", _PERIOD),
                ],
            ),
            _graph(
                "Errors of the functions (left) and throttled calls of Rekognition (right)",
                [
                    function.function.metric_errors(period=_PERIOD, label=name)
                    for name, function in functions.items()
                ],
                right=[rekognition("ThrottledCount", name, _PERIOD) for name in OPERATIONS],
            ),
        )
        self.dashboard.add_widgets(
            _graph(
                "Faces in the collection, against the default quota",
                [starter.counted("FacesInCollection", _HOUR, statistic=cloudwatch.Stats.MAXIMUM)],
                annotations=[
                    cloudwatch.HorizontalAnnotation(
                        value=FACES_BY_DEFAULT, label="Default quota", color=cloudwatch.Color.RED
                    )
                ],
            ),
        )

    def _quota(self) -> float:
        """The region's default quota, calls per second: known when the stack is deployed."""
        quotas = max(REKOGNITION_QUOTA.values()), OTHER_REGIONS_QUOTA
        fast, elsewhere = (f"{quota:g}" for quota in quotas)
        return by_region(self, fast=fast, elsewhere=elsewhere)


def _graph(
    title: str,
    left: Sequence[cloudwatch.IMetric],
    *,
    right: Sequence[cloudwatch.IMetric] = (),
    annotations: Sequence[cloudwatch.HorizontalAnnotation] = (),
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=list(left),
        right=list(right),
        left_annotations=list(annotations),
        left_y_axis=cloudwatch.YAxisProps(min=0),
        width=_WIDTH,
    )


def _per_second(operation: str) -> cloudwatch.MathExpression:
    counted = f"succeeded_{operation}"
    return cloudwatch.MathExpression(
        expression=f"{counted} / PERIOD({counted})",
        label=operation,
        period=_MINUTE,
        using_metrics={counted: rekognition("SuccessfulRequestCount", operation, _MINUTE)},
    )


def _durations(functions: dict[str, Function], statistic: str) -> list[cloudwatch.Metric]:
    return [
        function.function.metric_duration(
            period=_PERIOD, statistic=statistic, label=f"{name} {statistic}"
        )
        for name, function in functions.items()
    ]
