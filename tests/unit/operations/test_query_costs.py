"""docs/queries.md says how often each command reads all reports: a query pays for each time."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from workflow.project import PROJECT
from workflow.queries import command_queries, queries

DOCUMENT = (PROJECT / "docs" / "queries.md").read_text()
#: S3's list price of 1,000 GET requests in us-east-1, USD, as docs/scaling.md has it.
USD_PER_1000_GETS = 0.0004
#: The queries that each command runs.
RUN = {
    "failures": [queries()["failed_images"]],
    "matches": [queries()["pairs"], queries()["left_out"]],
    "matches --conflicts": [queries()["conflicts"]],
    "forget --dry-run": [command_queries()["mentions"]],
    "evidence": [
        *(command_queries()["page_matches"], command_queries()["page_outcomes"]),
        *(queries()["conflicts"], queries()["left_out"]),
    ],
}


def reads(sql: str, table: str) -> int:
    """Return how often a query reads a table, if each common table is worked out at every use."""

    def count(tree: Any, outer: dict[str, Any]) -> int:
        own = tree.args.get("with_") or tree.args.get("with")
        common = {**outer, **{cte.alias: cte.this for cte in (own.expressions if own else [])}}
        return sum(
            count(common[found.name], common) if found.name in common else found.name == table
            for found in tree.find_all(exp.Table)
            if not own or own not in _ancestors(found)
        )

    return count(sqlglot.parse_one(sql, dialect="athena"), {})


def _ancestors(node: Any) -> list[Any]:
    found: list[Any] = []
    while node.parent:
        node = node.parent
        found.append(node)
    return found


def test_a_common_table_is_counted_at_each_use() -> None:
    inner = "WITH a AS (SELECT * FROM reports), b AS (SELECT * FROM a, a AS c)"
    sql = f"{inner} SELECT * FROM b, reports"
    assert reads(sql, "reports") == 3
    assert reads(sql, "failures") == 0


@pytest.mark.parametrize("command", RUN)
def test_what_the_document_says_of_a_commands_cost_is_right(command: str) -> None:
    (row,) = re.findall(rf"^\| `{command}` \| (\d+ times .*) \|$", DOCUMENT, re.MULTILINE)
    told = [float(re.sub(r"[^\d.]", "", cell)) for cell in row.split(" | ")]

    times = sum(reads(query.sql, "reports") for query in RUN[command])

    gets = [times * images / 1000 for images in (10_000, 1_000_000)]
    assert told[0] == times
    assert told[1:] == pytest.approx([count * USD_PER_1000_GETS for count in gets], abs=0.005)
