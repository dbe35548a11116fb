"""The statements of docs/scaling.md that compact the records: what they say, and what they do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import sqlglot
from sqlglot import exp

from functions.matching.schema import MATCHES
from tests.pile import Photograph, Pile
from workflow.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

DOCUMENT = (PROJECT / "docs" / "scaling.md").read_text()
STATEMENTS = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
CREATE, INSERT, DELETE, VACUUM = STATEMENTS
COLUMNS = [*MATCHES.columns, "dt"]


def parsed(sql: str) -> exp.Expr:
    (statement,) = sqlglot.parse(sql, dialect="athena", error_level=sqlglot.ErrorLevel.RAISE)
    assert statement
    return statement


@pytest.mark.parametrize("sql", [CREATE, INSERT], ids=["CREATE", "INSERT"])
def test_every_column_of_the_table_is_compacted_and_the_day_last(sql: str) -> None:
    select = parsed(sql).find(exp.Select)

    assert select
    # Athena wants the columns of a partition last, and an INSERT goes by their order.
    assert select.named_selects == COLUMNS
    assert [table.name for table in select.find_all(exp.Table)] == [MATCHES.name]


def test_the_second_begins_on_the_day_after_the_first_and_neither_has_too_many_partitions() -> None:
    from datetime import date  # noqa: PLC0415

    first, second = (
        [date.fromisoformat(day) for day in re.findall(r"'(\d{4}-\d\d-\d\d)'", sql)]
        for sql in (CREATE, INSERT)
    )
    assert (second[0] - first[1]).days == 1
    for begin, end in (first, second):
        assert (end - begin).days + 1 <= 100


@pytest.fixture
def engine(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB over the match rows that the workflow's own writer made, on three days."""
    import duckdb  # noqa: PLC0415 - of the local cloud

    pile = Pile()
    ann, bea, cyd = (Photograph(f"images/{n}_1.jpg") for n in ("Ann_Lee", "Bea_Roe", "Cyd_Moe"))
    for days_ago in (240, 239, 126):
        minute = -days_ago * 24 * 60
        for this, other in ((ann, bea), (bea, cyd), (cyd, ann)):
            pile.reported(Photograph(this.key, minute, f"v{days_ago}"), (other, 99.5))
    for key, body in pile.objects.items():
        file = tmp_path / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    connection = duckdb.connect()
    types = {"string": "VARCHAR", "double": "DOUBLE", "int": "INTEGER", "boolean": "BOOLEAN"}
    columns = {name: types[kind] for name, kind in MATCHES.columns.items()}
    connection.execute(
        f"CREATE VIEW matches AS SELECT * FROM read_json('{tmp_path}/matches/*/*.json', "
        f"columns={columns}, hive_types={{'dt': 'VARCHAR'}})"
    )
    return connection


def test_they_compact_each_row_once_and_forgetting_takes_a_person_out(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    def rows(of: str) -> list[tuple[object, ...]]:
        return engine.execute(f"SELECT {', '.join(COLUMNS)} FROM {of} ORDER BY ALL").fetchall()

    create = parsed(CREATE)
    create.set("properties", None)  # where and how Iceberg keeps it
    for statement in (create, parsed(INSERT)):
        engine.execute(statement.sql("duckdb"))
    assert len(rows("matches")) == 9
    assert rows("matches_compact") == rows("matches")

    engine.execute(parsed(DELETE).sql("duckdb"))
    left = rows("matches_compact")
    assert len(left) == 3
    assert not any("Ann_Lee" in str(value) for row in left for value in row)
    assert VACUUM == "VACUUM matches_compact;\n"
