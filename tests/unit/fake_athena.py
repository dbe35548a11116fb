"""An Athena client that behaves: it runs a query on DuckDB, over the records that are there."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import duckdb
from botocore.exceptions import ClientError

from facematch.local.emulator.athena import (
    TRINO_FUNCTIONS,
    athena_text,
    athena_type,
    duckdb_type,
    literal,
)
from functions.matching.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator


class FakeAthena:
    """The operations that `facematch.stack.athena` calls, on the tables of records.

    Attributes
    ----------
    asked
        The queries that ran, each with its parameters.
    denied
        Whether the caller lacks the right to run one.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._results: dict[str, list[Any]] = {}
        self._types: dict[str, list[str]] = {}
        self.asked: list[tuple[str, list[str]]] = []
        self.denied = False

    def start_query_execution(
        self,
        *,
        QueryString: str,  # noqa: N803 - as boto3 has it
        ExecutionParameters: list[str] | None = None,  # noqa: N803
        **_workgroup: Any,
    ) -> dict[str, str]:
        if self.denied:
            error: Any = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
            raise ClientError(error, "StartQueryExecution")
        parameters = ExecutionParameters or []
        query_id = uuid.uuid4().hex
        self.asked.append((QueryString, parameters))
        with duckdb.connect(":memory:") as connection:
            for function in TRINO_FUNCTIONS:
                connection.execute(f"CREATE MACRO {function}")
            for name in TABLES:
                if re.search(rf"FROM {name}\b", QueryString):
                    self._fill(connection, name)
            found = connection.execute(QueryString, [literal(text) for text in parameters])
            described = found.description or []
            rows: list[Any] = [[column[0] for column in described], *found.fetchall()]
        self._types[query_id] = [athena_type(str(column[1])) for column in described]
        self._results[query_id] = [
            {
                "Data": [
                    {} if value is None else {"VarCharValue": athena_text(value)} for value in row
                ]
            }
            for row in rows
        ]
        return {"QueryExecutionId": query_id}

    def get_query_execution(self, **_query: Any) -> dict[str, Any]:
        return {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}

    def get_paginator(self, _operation: str) -> FakeAthena:
        return self

    def paginate(self, *, QueryExecutionId: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        rows = self._results[QueryExecutionId]
        info = [
            {"Name": datum["VarCharValue"], "Type": kind}
            for datum, kind in zip(rows[0]["Data"], self._types[QueryExecutionId], strict=True)
        ]
        yield {"ResultSet": {"ResultSetMetadata": {"ColumnInfo": info}, "Rows": rows}}

    def _fill(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        columns = {**TABLES[name].readable, "dt": "string"}
        declared = ", ".join(f"{column} {duckdb_type(kind)}" for column, kind in columns.items())
        connection.execute(f"CREATE TABLE {name} ({declared})")
        prefix = f"{name}/dt=" if TABLES[name].by_day else f"{name}/"
        listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        for item in listed.get("Contents", []):
            body = self._s3.get_object(Bucket=self._bucket, Key=item["Key"])["Body"].read()
            day = item["Key"].split("/")[1].removeprefix("dt=")
            for line in body.splitlines():
                row = {**json.loads(line), "dt": day}
                places = ", ".join("?" for _ in columns)
                connection.execute(
                    f"INSERT INTO {name} VALUES ({places})",
                    [row.get(column) for column in columns],
                )
