"""Executions of the state machine: starting them, and asking how they ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from functions.aws.clients import availability, error_code
from functions.matching.keys import next_attempt, replay_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

    from functions.matching.images import Subject, UploadedImage


#: Names that are tried for a version that is to be processed again. They become free after 90 days.
_MOST_REPLAYS: Final = 99


class ExecutionUnreadable(Exception):  # noqa: N818 - reads as what happened
    """An execution cannot be described: Step Functions has forgotten it, or denies it."""


class ReplayNamesUsedUp(Exception):  # noqa: N818 - reads as what happened
    """A version has been replayed so often that no name is left for one more."""


class Executions:
    """Executions of one state machine."""

    def __init__(self, stepfunctions: SFNClient) -> None:
        self._stepfunctions = stepfunctions

    def start(self, image: Subject, state_machine_arn: str, *, attempt: int = 0) -> bool:
        """Start the version's execution, or a replay of it with the same input.

        Parameters
        ----------
        attempt
            0 for the version's own name, N for ``-rN``.

        Returns
        -------
        bool
            False when it has one already: a duplicate event, which changes nothing.
        """
        try:
            with availability():
                self._stepfunctions.start_execution(
                    stateMachineArn=state_machine_arn,
                    name=replay_name(image.execution_name, attempt),
                    input=image.execution_input,
                )
        except self._stepfunctions.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def start_again(self, image: UploadedImage, state_machine_arn: str) -> bool:
        """Start the version's execution, under a replay's name where its own is taken.

        Returns
        -------
        bool
            True: a name was free.

        Raises
        ------
        ReplayNamesUsedUp
            The message then ends as a dead letter, where somebody sees it.
        """
        for attempt in range(_MOST_REPLAYS + 1):
            if self.start(image, state_machine_arn, attempt=attempt):
                return True
        raise ReplayNamesUsedUp(f"-r1 to -r{_MOST_REPLAYS} are taken")

    def describe(self, execution_arn: str) -> DescribeExecutionOutputTypeDef:
        """How the execution stands now, whatever an event says.

        Raises
        ------
        ExecutionUnreadable
            When it is unknown or denied.
        """
        with _without_names():
            return self._stepfunctions.describe_execution(executionArn=execution_arn)

    def has_next_attempt(self, execution_arn: str) -> bool:
        """Whether somebody has started the next attempt at the same object version.

        Raises
        ------
        ExecutionUnreadable
            When it may not be asked.
        """
        machine, _, name = execution_arn.rpartition(":")
        with _without_names():
            try:
                self._stepfunctions.describe_execution(
                    executionArn=f"{machine}:{next_attempt(name)}"
                )
            except self._stepfunctions.exceptions.ExecutionDoesNotExist:
                return False
        return True

    def last_step(self, execution_arn: str) -> str | None:
        """The state that the execution entered last; None when it entered none.

        Raises
        ------
        ExecutionUnreadable
            When it is unknown or denied.
        """
        with _without_names():
            pages = self._stepfunctions.get_paginator("get_execution_history").paginate(
                executionArn=execution_arn, reverseOrder=True, includeExecutionData=False
            )
            for page in pages:
                for event in page["events"]:
                    if "stateEnteredEventDetails" in event:
                        return event["stateEnteredEventDetails"]["name"]
        return None


@contextmanager
def _without_names() -> Iterator[None]:
    """Keep AWS's own words, which name the execution and so a person, out of the log."""
    try:
        with availability():
            yield
    except ClientError as error:
        raise ExecutionUnreadable(f"{error.operation_name}: {error_code(error)}") from None
