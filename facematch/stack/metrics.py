"""CloudWatch: sums of what the functions count."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from facematch.stack.deployment import Deployment

#: Seconds of a point, by the age of the first one. CloudWatch keeps points of a minute for 15 days
#: and of an hour for 455 (Amazon CloudWatch User Guide, Metrics concepts), and all that are asked
#: for here fit into one answer of 100,800 (Amazon CloudWatch API Reference, GetMetricData).
_PERIODS: Final = ((timedelta(days=1), 60), (timedelta(days=15), 300))
_LONGEST_PERIOD: Final = 3600


class Counted(NamedTuple):
    """A metric of a function, under the stack's name as its namespace.

    Attributes
    ----------
    function
        Its module's name.
    """

    function: str
    name: str


def sums(
    deployment: Deployment, metrics: Collection[Counted], *, since: datetime, until: datetime
) -> dict[Counted, int]:
    """Return the sum of each metric over a time; what happened lately is not in it yet."""
    age = until - since
    period = next((seconds for most, seconds in _PERIODS if age <= most), _LONGEST_PERIOD)
    by_id = {f"m{number}": metric for number, metric in enumerate(metrics)}
    queries = [
        {
            "Id": of,
            "MetricStat": {
                "Metric": {
                    "Namespace": deployment.stack_name,
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": "service", "Value": metric.function}],
                },
                "Period": period,
                "Stat": "Sum",
            },
        }
        for of, metric in by_id.items()
    ]
    pages = (
        deployment.make_client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=since, EndTime=until)
    )
    found = dict.fromkeys(metrics, 0.0)
    results: list[dict[str, Any]] = [each for page in pages for each in page["MetricDataResults"]]
    for result in results:
        found[by_id[result["Id"]]] += sum(result["Values"])
    return {metric: round(total) for metric, total in found.items()}
