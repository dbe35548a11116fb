"""facematch query: one of the questions in SQL, asked of Athena."""

from __future__ import annotations

import csv
import io
import math
import sys
from typing import Annotated

import typer
from rich.table import Table

from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, table
from facematch.errors import Unusable
from facematch.files.spreadsheets import guarded
from facematch.operations.query import bound, found
from facematch.stack.athena import Result, Value, run
from functions.matching.notifications import printable
from workflow.queries import queries


@on_stack
def query(
    name: Annotated[
        str | None, typer.Argument(help="Of a query, or a file with SQL. None: list them.")
    ] = None,
    *,
    param: Annotated[
        list[str] | None, typer.Option("--param", help="name=value; may be repeated.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Ask the records a question in SQL, and print the answer.

    Parameters are bound, never pasted into the text.
    """
    if as_csv and as_json:
        raise Unusable("Choose one of --csv and --json.")
    if name is None:
        _show_queries(as_json=as_json)
        return
    asked = found(name)
    literals = bound(asked, param or [])
    deployment = where.deployment()
    with messages.status("asking Athena"):
        result = run(deployment, asked.sql, literals, of_a_person=asked.name not in queries())
    if as_json:
        print_json(
            [dict(zip(result.columns, map(_in_json, row), strict=True)) for row in result.rows]
        )
    elif as_csv:
        write_csv(result)
    else:
        output.print(_table(result))
        output.print("1 row." if len(result.rows) == 1 else f"{len(result.rows)} rows.")


def _in_json(value: Value) -> Value:
    """SQL's NaN and infinities have no word in JSON."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_csv(result: Result) -> None:
    """Write the result to standard output as RFC 4180 has it.

    People open it in a spreadsheet, and names come from outside: a text that a spreadsheet could
    take for a formula gets a ``'`` in front, and on a terminal nothing in it controls that. JSON
    has the exact text.

    Raises
    ------
    Unusable
        When the encoding of standard output lacks a character.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A screen may show a character by its number; in a file it would be another name.
        sys.stdout.reconfigure(errors="strict")
    writer = csv.writer(sys.stdout)
    as_read = printable if sys.stdout.isatty() else str
    try:
        for row in (tuple(result.columns), *result.rows):
            writer.writerow(
                guarded(as_read(value)) if isinstance(value, str) else value for value in row
            )
    except UnicodeEncodeError as error:
        raise Unusable(
            f"The output's encoding, {error.encoding}, lacks a character of the result, so the CSV "
            "is not whole. Set PYTHONIOENCODING=utf-8, then repeat the command."
        ) from None


def _table(result: Result) -> Table:
    rows = (map(_shown, row) for row in result.rows)
    return table(result.columns, rows, numbers=result.numeric)


def _shown(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):  # cut, never rounded up, as similarities are elsewhere
        return f"{math.floor(value * 10_000 + 1e-6) / 10_000:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _show_queries(*, as_json: bool) -> None:
    if as_json:
        listed = [
            {
                "name": known.name,
                "meaning": known.meaning,
                "parameters": [
                    {"name": p.name, "type": p.type, "default": p.default, "meaning": p.meaning}
                    for p in known.parameters
                ],
                "columns": [
                    {"name": c.name, "type": c.type, "meaning": c.meaning} for c in known.columns
                ],
            }
            for known in queries().values()
        ]
        print_json(listed, indent=2)
        return
    rows = []
    for known in queries().values():
        parameters = [p.name + (f"={p.default}" if p.default else "") for p in known.parameters]
        rows.append((known.name, known.meaning, " ".join(parameters)))
    output.print(table(("Query", "What it answers", "Parameters"), rows))
