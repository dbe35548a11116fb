"""Executions as the operator sees them: which there are, how they ended, where."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.matching.errors import ImageRejected
from functions.matching.keys import replay_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from facematch.stack.deployment import Deployment

#: What Step Functions says of an execution that did not end well.
ENDED_BADLY: Final = ("FAILED", "TIMED_OUT", "ABORTED")
STATUSES: Final = ("RUNNING", "SUCCEEDED", *ENDED_BADLY)

#: Names that are asked for before a version counts as one without an execution.
LOOKED_AHEAD: Final = 3
#: In an answer of ListExecutions, at most (AWS Step Functions API Reference).
_LISTED: Final = 1000
_NAME: Final = re.compile(
    r"(?P<version>.*-(?P<digest>[0-9a-f]{32})(?P<removal>-d)?)(?:-r(?P<attempt>\d+))?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """One execution.

    Attributes
    ----------
    version_name
        The name without a replay's suffix: the same for every attempt at one object version.
    digest
        Of the object version; None for an execution that the starter did not start.
    attempt
        0 for the first, N for the one named ``-rN``.
    of_removal
        Whether it takes out what left the bucket, rather than taking in what came.
    """

    arn: str
    name: str
    status: str
    started: datetime
    stopped: datetime | None
    version_name: str
    digest: str | None
    attempt: int
    of_removal: bool = False
    redrives: int = 0

    @classmethod
    def listed(cls, item: dict[str, Any]) -> Execution:
        """Out of an item of ListExecutions."""
        found = _NAME.fullmatch(item["name"])
        return cls(
            arn=item["executionArn"],
            name=item["name"],
            status=item["status"],
            started=item["startDate"],
            stopped=item.get("stopDate"),
            version_name=found["version"] if found else item["name"],
            digest=found["digest"] if found else None,
            attempt=int(found["attempt"] or 0) if found else 0,
            of_removal=bool(found and found["removal"]),
            redrives=item.get("redriveCount", 0),
        )


class Executions:
    """Asks Step Functions about the executions of one deployment: of uploads and of removals."""

    def __init__(self, deployment: Deployment) -> None:
        self.client = deployment.make_client("stepfunctions")
        self._matching = deployment.state_machine_arn
        self._removals = deployment.removal_state_machine_arn

    def arn(self, name: str) -> str:
        """Of the execution of that name; an ARN is returned as it is."""
        if name.startswith("arn:"):
            return name
        return f"{self.state_machine_of(name).replace(':stateMachine:', ':execution:')}:{name}"

    def state_machine_of(self, name: str) -> str:
        """ARN of the state machine to which an execution of that name, or ARN, belongs."""
        found = _NAME.fullmatch(name.rpartition(":")[2])
        return self._removals if found and found["removal"] else self._matching

    def listed(
        self,
        *,
        statuses: tuple[str, ...] = STATUSES,
        since: datetime | None = None,
        removals: bool = True,
    ) -> Iterator[Execution]:
        """Executions of these statuses, of uploads and then of removals, newest first within each.

        Parameters
        ----------
        since
            Only those that were started later.
        removals
            Those of removals, too.
        """
        machines = (self._matching, self._removals) if removals else (self._matching,)
        for machine, status in itertools.product(machines, statuses):
            pages = self.client.get_paginator("list_executions").paginate(
                stateMachineArn=machine,
                statusFilter=status,
                PaginationConfig={"PageSize": _LISTED},
            )
            for page in pages:
                for item in page["executions"]:
                    execution = Execution.listed(item)
                    if since and execution.started < since:
                        break
                    yield execution
                else:
                    continue
                break

    def described(self, arn: str) -> dict[str, Any] | None:
        """What DescribeExecution says; None when Step Functions does not know the execution."""
        try:
            found: dict[str, Any] = self.client.describe_execution(executionArn=arn)
        except self.client.exceptions.ExecutionDoesNotExist:
            return None
        return found

    def attempts(self, version_name: str) -> Iterator[dict[str, Any]]:
        """What DescribeExecution says of the execution of a version and of its replays, in order.

        Step Functions forgets an execution 90 days after it ended, and the first attempt ended
        first: what follows those that are forgotten is looked for `LOOKED_AHEAD` names on.
        """
        unknown = 0
        for attempt in itertools.count():
            found = self.described(self.arn(replay_name(version_name, attempt)))
            if found:
                yield found
                unknown = LOOKED_AHEAD  # the attempts that are left have names in a row
            elif (unknown := unknown + 1) >= LOOKED_AHEAD:
                return

    def statuses(self, version_name: str) -> Iterator[str]:
        """How each of the attempts stands."""
        return (attempt["status"] for attempt in self.attempts(version_name))

    def history(self, arn: str, *, newest_first: bool = False) -> Iterator[dict[str, Any]]:
        """The events of the execution."""
        pages = self.client.get_paginator("get_execution_history").paginate(
            executionArn=arn, reverseOrder=newest_first
        )
        for page in pages:
            yield from page["events"]

    def last_step(self, arn: str) -> str | None:
        """The state that the execution entered last."""
        for event in self.history(arn, newest_first=True):
            if entered := event.get("stateEnteredEventDetails"):
                return str(entered["name"])
        return None


def was_rejected(described: dict[str, Any]) -> bool:
    """Whether the image is at fault, so that neither way of replaying can help."""
    return bool(described.get("error") == ImageRejected.__name__)


def input_of(described: dict[str, Any]) -> dict[str, Any]:
    """The execution's input; empty when it is not a JSON object."""
    try:
        value = json.loads(described.get("input") or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
