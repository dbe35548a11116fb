"""What EventBridge says of an execution that ended, read into the domain's words.

A module of its own, so that the failure function does not load what reads the events of S3.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionEnded:
    """Step Functions Execution Status Change, as EventBridge delivers it."""

    execution_arn: str
    ended_at: datetime

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read the event; what else it says may be out of date, and is asked for."""
        detail = event["detail"]
        stopped = detail.get("stopDate")
        return cls(
            execution_arn=detail["executionArn"],
            ended_at=datetime.fromtimestamp(stopped / 1000, UTC) if stopped else datetime.now(UTC),
        )
