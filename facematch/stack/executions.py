"""Executions: which there are, how they ended and where; starting and redriving them."""

from __future__ import annotations

import itertools
import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from functions.matching.errors import ImageRejected
from functions.matching.images import UploadedImage
from functions.matching.keys import replay_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facematch.stack.deployment import Deployment

#: What Step Functions says of an execution that did not end well.
ENDED_BADLY: Final = ("FAILED", "TIMED_OUT", "ABORTED")
STATUSES: Final = ("RUNNING", "SUCCEEDED", *ENDED_BADLY)

#: Names that are asked for before a version counts as one without an execution.
LOOKED_AHEAD: Final = 3
#: Types of the events with which an execution ends badly.
_ENDS: Final = frozenset({"ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"})
#: In an answer of ListExecutions or GetExecutionHistory, at most (AWS Step Functions API
#: Reference).
_LISTED: Final = 1000
_NAME: Final = re.compile(
    r"(?P<version>.*-(?P<digest>[0-9a-f]{32})(?P<removal>-d)?)(?:-r(?P<attempt>\d+))?"
)


class Refused(Exception):  # noqa: N818 - reads as what happened
    """Step Functions did not start or redrive an execution; the text is its own reason."""


class NotRedrivable(Refused):
    """The execution runs, has succeeded, or is too old to be redriven."""


class NameTaken(Refused):
    """Another execution has, or had, that name."""


class Counts(NamedTuple):
    """How far a backfill has come: objects that were listed, that were sent, that were not."""

    listed: int
    succeeded: int
    failed: int


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

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status == "RUNNING"

    @property
    def ended_badly(self) -> bool:
        """Whether it ended without doing its work."""
        return self.status in ENDED_BADLY


@dataclass(frozen=True, kw_only=True, slots=True)
class Described(Execution):
    """An execution with its input, and how it ended.

    Attributes
    ----------
    not_redrivable
        Why Step Functions cannot redrive it; None when it can.
    """

    input: str
    error: str | None
    cause: str | None
    not_redrivable: str | None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Described:
        """Out of an answer of DescribeExecution."""
        why_not = answer.get("redriveStatusReason") or "Step Functions cannot redrive it"
        return cls(
            **asdict(Execution.listed(answer)),
            input=answer.get("input") or "",
            error=answer.get("error"),
            cause=answer.get("cause"),
            not_redrivable=None if answer.get("redriveStatus") == "REDRIVABLE" else why_not,
        )

    @property
    def was_rejected(self) -> bool:
        """Whether the image is at fault, so that neither way of replaying can help."""
        return self.error == ImageRejected.__name__

    @property
    def image(self) -> UploadedImage | None:
        """The image that it is about; None when its input names none."""
        try:
            return UploadedImage.from_payload(json.loads(self.input))
        except (TypeError, ValueError):
            return None


@dataclass(slots=True)
class Step:
    """One state that an execution entered.

    Attributes
    ----------
    seconds
        From entering to leaving it, without the time from a failure to its redrive; None when it
        was not left.
    errors
        Of the attempts that failed, in order.
    """

    name: str
    entered: datetime
    seconds: float | None = None
    errors: list[str] = field(default_factory=list)


class Executions:
    """Asks Step Functions about the executions of one deployment: of uploads and of removals."""

    def __init__(self, deployment: Deployment) -> None:
        self._client = deployment.make_client("stepfunctions")
        self._deployment = deployment
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
        """Executions of these statuses, of uploads and then of removals, newest first.

        Of several statuses, but not all, one status comes after the other.

        Parameters
        ----------
        since
            Only those that were started later.
        removals
            Those of removals, too.
        """
        machines = (self._matching, self._removals) if removals else (self._matching,)
        # Without a filter an answer has all statuses, so that one request tells what five would.
        filters = [{"statusFilter": status} for status in statuses]
        for machine, only in itertools.product(machines, filters if statuses != STATUSES else [{}]):
            pages = self._client.get_paginator("list_executions").paginate(
                stateMachineArn=machine, PaginationConfig={"PageSize": _LISTED}, **only
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

    def described(self, arn: str) -> Described | None:
        """Look an execution up; None when Step Functions does not know it."""
        try:
            return Described.of(self._client.describe_execution(executionArn=arn))
        except self._client.exceptions.ExecutionDoesNotExist:
            return None

    def attempts(self, version_name: str) -> Iterator[Described]:
        """The execution of a version and its replays, in order.

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
        return (attempt.status for attempt in self.attempts(version_name))

    def steps(self, arn: str) -> list[Step]:
        """The states in the order in which they were entered, with times and failed attempts."""
        found: list[Step] = []
        ended: datetime | None = None
        waited = timedelta()
        for event in self._history(arn):
            if event["type"] in _ENDS:
                ended = event["timestamp"]
            elif event["type"] == "ExecutionRedriven" and ended:
                waited += event["timestamp"] - ended
            failed = event.get("taskFailedEventDetails") or event.get(
                "lambdaFunctionFailedEventDetails"
            )
            if entered := event.get("stateEnteredEventDetails"):
                found.append(Step(entered["name"], event["timestamp"]))
                waited = timedelta()
            elif "stateExitedEventDetails" in event and found:
                found[-1].seconds = (
                    event["timestamp"] - found[-1].entered - waited
                ).total_seconds()
            elif failed and found:
                found[-1].errors.append(failed.get("error", "?"))
        return found

    def _history(self, arn: str, *, newest_first: bool = False) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=arn,
            reverseOrder=newest_first,
            PaginationConfig={"PageSize": _LISTED},
        )
        for page in pages:
            yield from page["events"]

    def definition(self, state_machine_arn: str) -> str:
        """The definition that a state machine has now."""
        found = self._client.describe_state_machine(stateMachineArn=state_machine_arn)
        return str(found["definition"])

    def definition_of(self, arn: str) -> str | None:
        """The definition with which an execution was started; None when nobody knows it."""
        try:
            found = self._client.describe_state_machine_for_execution(executionArn=arn)
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        return str(found["definition"])

    def redrive(self, arn: str) -> None:
        """Let an execution go on at the step that failed.

        Raises
        ------
        NotRedrivable
            When Step Functions cannot redrive it.
        Refused
            When it refuses for another reason.
        """
        try:
            self._client.redrive_execution(executionArn=arn)
        except self._client.exceptions.ExecutionNotRedrivable as error:
            raise NotRedrivable(_reason(error)) from None
        except ClientError as error:
            raise Refused(_reason(error)) from None

    def start(self, name: str, text: str) -> str:
        """Start an execution of that name with that input; returns its ARN.

        Raises
        ------
        NameTaken
            When there is one of that name.
        Refused
            When Step Functions refuses for another reason.
        """
        try:
            started = self._client.start_execution(
                stateMachineArn=self.state_machine_of(name), name=name, input=text
            )
        except self._client.exceptions.ExecutionAlreadyExists as error:
            raise NameTaken(_reason(error)) from None
        except ClientError as error:
            raise Refused(_reason(error)) from None
        return str(started["executionArn"])

    def start_backfill(self, what: dict[str, Any]) -> str:
        """Start the state machine that sends what the bucket holds; returns the execution's ARN."""
        started = self._client.start_execution(
            stateMachineArn=self._deployment.backfill_state_machine_arn,
            name=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            input=json.dumps(what),
        )
        return str(started["executionArn"])

    def backfilled(self, arn: str) -> Counts:
        """How far the execution of a backfill has come."""
        runs = self._client.list_map_runs(executionArn=arn)["mapRuns"]
        if not runs:
            return Counts(0, 0, 0)
        found = self._client.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
        return Counts(found["total"], found["succeeded"], found["failed"])

    def last_step(self, arn: str) -> str | None:
        """The state that the execution entered last."""
        for event in self._history(arn, newest_first=True):
            if entered := event.get("stateEnteredEventDetails"):
                return str(entered["name"])
        return None


def _reason(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message") or error)
