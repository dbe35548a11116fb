"""A query is followed to its end; what goes wrong is told with what to do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from facematch.errors import Unusable
from facematch.stack.athena import QueryFailed, run
from facematch.stack.deployment import Deployment


class StandInAthena:
    """One query, in the states that are given, one after the other; then it can be stopped."""

    def __init__(self, *states: str | BaseException, reason: str = "") -> None:
        self.states = list(states)
        self.state = "QUEUED"
        self.reason = reason

    def start_query_execution(self, **_request: Any) -> dict[str, str]:
        return {"QueryExecutionId": "q"}

    def get_query_execution(self, **_request: Any) -> dict[str, Any]:
        following = self.states.pop(0)
        if isinstance(following, BaseException):
            raise following
        self.state = following
        status = {"State": self.state, "StateChangeReason": self.reason}
        return {"QueryExecution": {"Status": status}}

    def stop_query_execution(self, **_request: Any) -> None:
        self.state = "CANCELLED"


def deployment(athena: StandInAthena, **outputs: str) -> Deployment:
    found = {"AnalyticsWorkgroup": "FaceMatching", "AnalyticsDatabase": "facematching", **outputs}
    return Deployment(
        stack_name="FaceMatching", local=False, outputs=found, make_client=lambda _service: athena
    )


class CtrlC(BaseException):
    """As the command line raises it."""


def test_a_query_that_is_interrupted_reads_no_further() -> None:
    athena = StandInAthena("RUNNING", CtrlC())

    with pytest.raises(CtrlC):
        run(deployment(athena), "SELECT 1")

    assert athena.state == "CANCELLED"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_query_that_ends_badly_says_why_without_terminal_controls(state: str) -> None:
    athena = StandInAthena("RUNNING", state, reason="Bytes scanned limit was exceeded \x1b[2J")

    with pytest.raises(QueryFailed, match=f"{state}: Bytes scanned limit was") as raised:
        run(deployment(athena), "SELECT 1")

    assert "\x1b" not in str(raised.value)
    assert athena.state == state


def test_a_right_that_is_missing_is_named() -> None:
    error = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized: glue:GetTable"}}
    athena = StandInAthena(ClientError(error, "GetQueryExecution"))  # type: ignore[arg-type] # a TypedDict

    with pytest.raises(QueryFailed, match=r"glue:GetTable.*docs/queries\.md"):
        run(deployment(athena), "SELECT 1")


def test_a_stack_without_a_workgroup_has_to_be_deployed_again() -> None:
    old = Deployment(stack_name="Old", local=False, outputs={}, make_client=lambda _service: None)

    with pytest.raises(Unusable, match="deploy it again"):
        run(old, "SELECT 1")


LACKS = "COLUMN_NOT_FOUND: line 67:9: Column 'relation' cannot be resolved"


def test_tables_of_an_earlier_version_are_told_apart_from_a_mistake_in_a_persons_query() -> None:
    with pytest.raises(QueryFailed, match="Deploy the stack again"):
        run(deployment(StandInAthena("RUNNING", "FAILED", reason=LACKS)), "SELECT relation")

    with pytest.raises(QueryFailed, match="'relation' cannot be resolved"):
        run(
            deployment(StandInAthena("RUNNING", "FAILED", reason=LACKS)),
            "SELECT relation",
            of_a_person=True,
        )
