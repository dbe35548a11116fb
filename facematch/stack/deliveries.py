"""Deliveries: matches of which nobody was notified, because an execution ended badly.

A failure record tells of it, but it follows from an event, and EventBridge delivers events at best
effort. So what has just ended, and what must be certain, is asked of Step Functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facematch.stack.executions import ENDED_BADLY, Executions
from functions.matching.reports import is_above_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from facematch.stack.deployment import Deployment


class Deliveries:
    """Asks Step Functions about the deliveries of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._executions = Executions(deployment)

    def doubtful(self, *, since: datetime | None = None) -> Iterator[str]:
        """Digests of the versions of which an execution, started after `since`, ended badly."""
        for execution in self._executions.listed(statuses=ENDED_BADLY, since=since, removals=False):
            if execution.digest:
                yield execution.digest

    def failure(self, report: dict[str, Any]) -> str | None:
        """Why nobody was notified of a report's match; None when none is due, or nothing failed."""
        if not is_above_threshold(report):
            return None
        execution = self._executions.described(report["execution_arn"])
        if execution is None or not execution.ended_badly:
            return None
        return execution.error or execution.status
