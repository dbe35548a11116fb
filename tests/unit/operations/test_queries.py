"""The query files: what they declare, what both engines understand, and how values are bound."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from typer.testing import CliRunner

from facematch.cli import query as query_command
from facematch.cli.main import app
from facematch.cli.options import Where
from facematch.cli.query import _shown, write_csv
from facematch.errors import Unusable
from facematch.files.spreadsheets import unguarded
from facematch.local.emulator import athena as local_athena
from facematch.operations import query as command
from facematch.stack.athena import Result
from functions.matching.schema import TABLES
from workflow.project import PROJECT
from workflow.queries import (
    Parameter,
    Query,
    QueryError,
    command_queries,
    queries,
    read_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Functions of Trino (its documentation, Functions and operators) that DuckDB has under the same
#: name and with the same meaning. Before one is added, look it up in both.
IN_BOTH_ENGINES = {
    *("sha256", "to_hex", "to_utf8"),  # as the local cloud defines them: TRINO_FUNCTIONS
    *("array_agg", "array_distinct", "cast", "coalesce", "contains", "count", "flatten", "floor"),
    *("cardinality", "length", "max", "max_by", "min", "nullif", "replace", "row_number", "sum"),
    *("trim", "unnest"),
}
#: What may stand before a bracket and is no function.
KEYWORDS = {"and", "as", "case", "filter", "from", "in", "or", "over", "select", "t", "when"}

SAVED = pytest.mark.parametrize("asked", queries().values(), ids=lambda asked: asked.name)
ALL = pytest.mark.parametrize(
    "asked", [*queries().values(), *command_queries().values()], ids=lambda asked: asked.name
)


def parsed(sql: str) -> exp.Query:
    (statement,) = sqlglot.parse(sql, dialect="athena", error_level=sqlglot.ErrorLevel.RAISE)
    assert isinstance(statement, exp.Query)
    return statement


def complaints(sql: str) -> Iterator[str]:
    """What one of the engines would not understand."""
    tokens = sqlglot.tokenize(sql, dialect="trino")
    for token, following in pairwise(tokens):
        word = token.text.lower()
        if following.token_type.name == "L_PAREN" and word.isidentifier():
            yield from {word} - IN_BOTH_ENGINES - KEYWORDS
    yield from (t.text for t in tokens if t.token_type.name in {"DCOLON", "ARROW"})
    try:
        tree = parsed(sql)
    except sqlglot.errors.ParseError as error:
        yield str(error)
        return
    yield from ("RECURSIVE" for node in tree.find_all(exp.With) if node.args.get("recursive"))
    yield from ("GROUP BY ALL" for node in tree.find_all(exp.Group) if node.args.get("all"))
    yield from ("* EXCEPT" for node in tree.find_all(exp.Star) if any(node.args.values()))
    schema: dict[str, object] = {
        table.name: {**table.readable, **({"dt": "string"} if table.by_day else {})}
        for table in TABLES.values()
    }
    try:
        qualify(tree, schema=schema, dialect="athena", quote_identifiers=False)
    except sqlglot.errors.OptimizeError as error:
        yield str(error)


@ALL
def test_athena_and_duckdb_both_understand_a_query(asked: Query) -> None:
    assert list(complaints(asked.sql)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT list_contains(silenced, 'Ann') AS x FROM reports",
        "SELECT list_value(1) AS x",
        "SELECT approx_percentile(similarity, 0.5) AS x FROM matches",
        "SELECT dt::date AS x FROM reports",
        "SELECT name, count(*) AS x FROM reports GROUP BY ALL",
        "SELECT * EXCLUDE (name) FROM reports",
        "SELECT name FROM reports QUALIFY row_number() OVER (ORDER BY name) = 1",
        "SELECT nme AS x FROM reports",
        "SELECT name FROM reports, matches",
        "SELECT dt FROM decisions",
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a) SELECT n FROM a",
    ],
)
def test_what_one_engine_lacks_is_noticed(sql: str) -> None:
    assert list(complaints(sql))


@ALL
def test_a_query_gives_the_columns_that_it_declares(asked: Query) -> None:
    assert asked.columns
    assert parsed(asked.sql).named_selects == [column.name for column in asked.columns]


@ALL
def test_a_query_has_one_place_for_each_parameter_where_athena_takes_it(asked: Query) -> None:
    places = list(parsed(asked.sql).find_all(exp.Placeholder))

    assert len(places) == len(asked.parameters) == asked.sql.count("?")
    assert all(place.find_ancestor(exp.Where) for place in places)


@ALL
def test_a_query_says_what_it_answers_and_can_stand_inside_another(asked: Query) -> None:
    assert "?" in asked.meaning
    assert ";" not in asked.sql
    assert len(asked.sql) < 262_144  # of StartQueryExecution and of a named query


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.sql"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_with_its_parameters_and_columns(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "-- How many\n-- are there?\n--\n-- A note.\n"
        "-- parameter: minimum double = 80   lowest similarity, %\n"
        "-- parameter: name varchar   of the person\n"
        "-- column: images bigint   how many\n"
        "SELECT count(*) AS images -- inside\nFROM reports;\n",
    )

    found = read_query(file)

    assert found.name == "mine"
    assert found.meaning == "How many are there?"
    assert [(p.name, p.type, p.default) for p in found.parameters] == [
        ("minimum", "double", "80"),
        ("name", "varchar", None),
    ]
    assert [(c.name, c.type, c.meaning) for c in found.columns] == [
        ("images", "bigint", "how many")
    ]
    assert found.sql == "SELECT count(*) AS images -- inside\nFROM reports"


def test_a_file_may_be_nothing_but_sql(tmp_path: Path) -> None:
    assert read_query(written(tmp_path, "SELECT 1 AS one")) == Query(
        name="mine", meaning="", parameters=(), columns=(), sql="SELECT 1 AS one"
    )


@pytest.mark.parametrize("body", ["SELECT * FROM best", "SELECT name_a FROM pairs"])
def test_what_a_file_uses_stands_before_it_each_thing_once(tmp_path: Path, body: str) -> None:
    own = "WITH best AS (SELECT name_a FROM evidence)\n" if "best" in body else ""
    found = read_query(written(tmp_path, f"-- uses: evidence, pairs\n{own}{body}"))

    names = [table.alias for table in parsed(found.sql).ctes]
    assert names == [
        "outcomes",
        "newest",
        "match_rows",
        "evidence",
        "decided",
        "judged",
        "pairs",
        *(["best"] if own else []),
    ]
    assert list(complaints(found.sql)) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-- only a comment", "no SQL"),
        ("-- parameter: x text   unknown type\nSELECT 1", "is not understood"),
        ("-- parameter: x\nSELECT 1", "is not understood"),
        ("-- column: X bigint   upper case\nSELECT 1", "is not understood"),
        ("-- uses: nothing\nSELECT 1", "neither a query"),
        ("-- uses: ../parts/newest\nSELECT 1", "neither a query"),
        ("-- uses: groups\nSELECT 1", "has parameters"),
    ],
)
def test_a_file_that_cannot_be_understood_says_why(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        read_query(written(tmp_path, text))


DOCUMENT = (PROJECT / "docs" / "queries.md").read_text(encoding="utf-8")
#: Queries stand in two tables: this one, and the measured one at the end.
MEANINGS = DOCUMENT.partition("| query | what it answers |")[2].partition("\n\n")[0]


@SAVED
def test_the_document_lists_a_query_with_its_parameters(asked: Query) -> None:
    (row,) = [line for line in MEANINGS.splitlines() if line.startswith(f"| `{asked.name}` |")]

    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert re.findall(r"`(\w+)`(?: = (\S+))?", cells[2]) == [
        (parameter.name, parameter.default or "") for parameter in asked.parameters
    ]


def test_the_documents_example_is_a_query(tmp_path: Path) -> None:
    (example,) = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)

    found = read_query(written(tmp_path, example))

    assert [parameter.name for parameter in found.parameters] == ["minimum", "since"]
    assert list(complaints(found.sql)) == []


VALUES = {
    "varchar": st.text(),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "date": st.dates(),
}


@given(st.sampled_from(list(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_a_bound_value_comes_back_from_its_literal(given_value: tuple[str, Any]) -> None:
    kind, value = given_value
    text = command.literal(kind, str(value))

    found = local_athena.literal(text)

    assert found == value
    assert type(found) is type(value)


@given(st.text().filter(lambda text: "\0" not in text))
def test_a_texts_literal_is_one_token_of_trino_with_the_same_text(text: str) -> None:
    (token,) = sqlglot.tokenize(command.literal("varchar", text), dialect="trino")

    assert token.token_type.name == "STRING"
    assert token.text == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Ann",
            "'Ann",
            "Ann'",
            "'a''",
            "'a' OR 'b'",
            "'a'; SELECT 'b'",
            '"Ann"',
            "",
            "1+1",
            "1 2",
        ),
        *("nan", "inf", "DATE 'tomorrow'", "now()", "(SELECT 1)", "0x10", "1_000"),
    ],
)
def test_what_is_no_literal_is_none_here_either(text: str) -> None:
    with pytest.raises(ValueError, match=r"literal|isoformat"):
        local_athena.literal(text)


def query_of(*parameters: tuple[str, str, str | None]) -> Query:
    made = (Parameter(name=n, type=t, default=d, meaning="what") for n, t, d in parameters)
    return Query(name="mine", meaning="", parameters=tuple(made), columns=(), sql="SELECT 1")


def test_parameters_are_bound_in_the_order_of_their_declaration_with_defaults() -> None:
    asked = query_of(("minimum", "double", "99"), ("name", "varchar", None), ("day", "date", None))

    found = command.bound(asked, ["day=2026-11-22", "name=a=b 'c'"])

    assert found == ["9.90000000000000000E+01", "'a=b ''c'''", "DATE '2026-11-22'"]


@pytest.mark.parametrize(
    ("given_parameters", "says"),
    [
        ([], "needs --param name"),
        (["name=x", "other=y"], "'other=y' is not one name=value"),
        (["name"], "'name' is not one name=value"),
        (["name=x", "name=y"], "'name=y' is not one name=value"),
        (["name=x", "minimum=high"], "minimum=high is no double"),
        (["name=x", "minimum=nan"], "minimum=nan is no double"),
        (["name=x", "minimum=1e999"], "minimum=1e999 is no double"),
        (["name=x", "threshold=0.99"], "threshold=0.99: 0.99 is a fraction; give 99: what"),
        (["name=x", "threshold=-5"], "threshold=-5: '-5' is no similarity"),
        (["name=x", "threshold=99%"], "threshold=99%: 99% has a percent sign; give 99"),
        (["name=" + "x" * 1023], "too long"),
        (["name=" + "'" * 512], "too long"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_with_a_sentence(
    given_parameters: list[str], says: str
) -> None:
    with pytest.raises(Unusable, match=says):
        command.bound(
            query_of(
                ("minimum", "double", "99"),
                ("name", "varchar", None),
                ("threshold", "similarity", "99"),
            ),
            given_parameters,
        )


@pytest.mark.parametrize(
    ("kind", "value"),
    [("bigint", "1.5"), ("boolean", "yes"), ("date", "22.11.2026"), ("date", "")],
)
def test_a_value_of_another_type_is_no_literal(kind: str, value: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each type words it in its own way
        command.literal(kind, value)


def test_an_unknown_query_is_answered_with_those_there_are() -> None:
    with pytest.raises(Unusable, match=r"no query 'pears'.*daily, failed_images, failures"):
        command.found("pears")


def test_a_file_that_is_no_query_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.sql").write_bytes(b"\xff\xd8\xff")

    with pytest.raises(Unusable, match="cannot be read"):
        command.found(str(tmp_path / "photo.sql"))


texts_of_cells = st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != "\0"))


@given(st.lists(st.tuples(texts_of_cells, st.none() | st.floats(allow_nan=False)), min_size=1))
def test_csv_comes_back_and_no_cell_is_a_formula(rows: list[tuple[str, float | None]]) -> None:
    written_to = io.StringIO(newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", written_to)
        write_csv(Result({"name": "varchar", "number": "double"}, list(rows)))

    header, *found = csv.reader(io.StringIO(written_to.getvalue(), newline=""))
    assert header == ["name", "number"]
    for (text, number), (cell, figure) in zip(rows, found, strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert unguarded(cell) == text
        assert figure == ("" if number is None else str(number))


def test_csv_on_a_terminal_has_no_control_character_and_in_a_file_every_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "Ann\x1b]0;\x07\x9b31m\u202e;\t=1+1\r\n\x7f"
    found = Result({name: "varchar", "number": "double"}, [(name, -1.5)])
    for terminal in (True, False):
        written = io.StringIO(newline="")
        monkeypatch.setattr(written, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr("sys.stdout", written)
        write_csv(found)
        rows = list(csv.reader(io.StringIO(written.getvalue(), newline="")))
        assert [len(row) for row in rows] == [2, 2]
        assert rows[1][1] == "-1.5"
        for row in rows:
            assert row[0] == rows[0][0]
            assert (unguarded(row[0]) == name) is not terminal
        lines = written.getvalue().split("\r\n")
        assert all(line.isprintable() for line in lines) is terminal


def test_csv_that_cannot_hold_a_name_is_refused_not_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr("sys.stdout", ascii_only)
    with pytest.raises(Unusable, match="PYTHONIOENCODING=utf-8"):
        write_csv(Result({"name": "varchar"}, [("Zo\u00eb",)]))


def test_what_is_no_number_is_null_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Result({"number": "double"}, [(math.nan,), (math.inf,), (1.5,)])
    monkeypatch.setattr(Where, "deployment", lambda _: None)
    monkeypatch.setattr(query_command, "run", lambda *_, **__: found)
    shown = CliRunner().invoke(app, ["query", "pairs", "--json"]).stdout
    assert json.loads(shown) == [{"number": None}, {"number": None}, {"number": 1.5}]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (99.98999786376953, "99.9899"),
        (100.0, "100"),
        (0.0, "0"),
        (1 / 3, "0.3333"),
        (99.99999, "99.9999"),
        (1234567.125, "1234567.125"),
        (None, ""),
        (True, "yes"),
        (7, "7"),
    ],
)
def test_a_number_is_cut_in_the_table_never_rounded_up(value: Any, shown: str) -> None:
    assert _shown(value) == shown


def test_a_date_is_a_literal_of_its_own() -> None:
    assert local_athena.literal("date '2026-11-22'") == date(2026, 11, 22)
    assert math.isclose(float(str(local_athena.literal("9.9E1"))), 99)
