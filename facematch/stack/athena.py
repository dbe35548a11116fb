"""Athena: runs a query of the records, and reads its result.

Through boto3 and not PyAthena: that makes its own client out of a session, so the guarded clients
of a deployment, and those of the local cloud, could not be handed to it; and it passes parameters
on as they are, so that the literals would be ours to write all the same.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from facematch.errors import Actionable, Unusable
from facematch.stack.errors import explained
from functions.aws.clients import error_code
from functions.matching.notifications import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from facematch.stack.deployment import Deployment


_FIRST_LOOK_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 1.0
_REMEDY: Final = "Fix the query or its parameters. If Athena was at fault, run the command again."
_RIGHTS: Final = (
    "Running queries needs rights on the workgroup, the Glue tables and the output bucket: see "
    "docs/queries.md."
)
#: In Athena's words, and in those of the local cloud's DuckDB.
_LACKS_A_COLUMN: Final = re.compile(
    r"COLUMN_NOT_FOUND|TABLE_NOT_FOUND"
    r"|Referenced column|Column \"\w+\" referenced|Table with name \w+ does not exist"
)
Value = str | float | bool | None
_FROM_TEXT: Final[dict[str, Callable[[str], Value]]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), int),
    **dict.fromkeys(("double", "float", "decimal"), float),
    "boolean": lambda text: text == "true",
}


class QueryFailed(Actionable):
    """Athena could not run the query; the text has its reason."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gave.

    Attributes
    ----------
    columns
        Athena's type by name, in order.
    rows
        Numbers and truth values as such; everything else as Athena writes it, dates and arrays too.
    """

    columns: dict[str, str]
    rows: list[tuple[Value, ...]]

    def by_column(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a dictionary."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    @property
    def numeric(self) -> set[str]:
        """Columns that hold numbers."""
        return {name for name, kind in self.columns.items() if _FROM_TEXT.get(kind) in {int, float}}


def run(
    deployment: Deployment, sql: str, literals: Sequence[str] = (), *, of_a_person: bool = False
) -> Result:
    """Run a query to its end.

    Parameters
    ----------
    literals
        One for each ``?``, as `operations.query.literal` writes them.
    of_a_person
        Whether a person wrote the query, so that a column that is missing is a mistake in it.

    Raises
    ------
    QueryFailed
        With Athena's reason.
    Unusable
        When the stack has no workgroup yet.
    """
    columns, rows = _run(deployment, sql, literals, of_a_person=of_a_person)
    return Result(columns, list(rows))


def streamed(
    deployment: Deployment, sql: str, literals: Sequence[str] = ()
) -> Iterator[tuple[Value, ...]]:
    """Run a query as `run` does, and yield its rows as they are read, 1,000 in a request."""
    yield from _run(deployment, sql, literals)[1]


def _run(
    deployment: Deployment, sql: str, literals: Sequence[str], *, of_a_person: bool = False
) -> tuple[dict[str, str], Iterator[tuple[Value, ...]]]:
    if "AnalyticsWorkgroup" not in deployment.outputs:
        raise Unusable(
            f"The stack {deployment.stack_name} was deployed before there were queries: deploy it "
            "again."
        )
    athena = deployment.make_client("athena")
    request: dict[str, Any] = {
        "QueryString": sql,
        "WorkGroup": deployment.analytics_workgroup,
        "QueryExecutionContext": {
            "Catalog": "AwsDataCatalog",
            "Database": deployment.analytics_database,
        },
    }
    if literals:
        request["ExecutionParameters"] = list(literals)
    try:
        query_id = athena.start_query_execution(**request)["QueryExecutionId"]
        _wait(athena, query_id, of_a_person=of_a_person)
        return _result(athena, query_id)
    except ClientError as error:
        hint = f" {_RIGHTS}" if "AccessDenied" in error_code(error) else ""
        raise QueryFailed(f"{explained(error)}{hint}") from None


def _wait(athena: Any, query_id: str, *, of_a_person: bool) -> None:  # noqa: ANN401 - a client
    pause = _FIRST_LOOK_SECONDS
    ended = False
    try:
        while True:
            execution = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            status = execution["Status"]
            ended = status["State"] in {"SUCCEEDED", "FAILED", "CANCELLED"}
            if ended:
                break
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_WAIT_SECONDS)
    finally:
        if not ended:  # interrupted: what it would still read costs money
            athena.stop_query_execution(QueryExecutionId=query_id)
    if status["State"] != "SUCCEEDED":
        reason = printable(status.get("StateChangeReason") or "no reason given")
        hint = _RIGHTS if "access denied" in reason.lower() else _REMEDY
        if _LACKS_A_COLUMN.search(reason) and not of_a_person:
            raise QueryFailed(
                "The tables of this stack lack a column or a table that the query needs, because "
                "an earlier version of this project deployed it. Deploy the stack again, then "
                "repeat the command. Records of earlier versions are read as they are."
            )
        raise QueryFailed(f"The query ended {status['State']}: {reason.rstrip('.')}. {hint}")


def _result(
    athena: Any,  # noqa: ANN401 - a client
    query_id: str,
) -> tuple[dict[str, str], Iterator[tuple[Value, ...]]]:
    paginator = athena.get_paginator("get_query_results")
    pages = iter(paginator.paginate(QueryExecutionId=query_id))
    first = next(pages)["ResultSet"]
    info = first["ResultSetMetadata"]["ColumnInfo"]
    columns = {column["Name"]: column["Type"] for column in info}
    if len(columns) < len(info):
        raise QueryFailed(
            "Two columns of the query have the same name: give each one of its own (AS)."
        )
    listed = chain(first["Rows"][1:], _further_rows(pages))  # the first is the header
    return columns, (_values(row, columns) for row in listed)


def _further_rows(pages: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for page in pages:
        yield from page["ResultSet"]["Rows"]


def _values(row: dict[str, Any], columns: dict[str, str]) -> tuple[Value, ...]:
    texts = [datum.get("VarCharValue") for datum in row["Data"]]
    return tuple(
        None if text is None else _FROM_TEXT.get(kind, str)(text)
        for text, kind in zip(texts, columns.values(), strict=True)
    )
