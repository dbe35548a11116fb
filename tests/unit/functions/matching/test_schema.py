"""Writer and tables agree: every field has its column, in order, and values of its type."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from functions.matching.decisions import Decided, Judgement, NewEvidence, Reopened
from functions.matching.errors import Reason
from functions.matching.failures import FailureStatus
from functions.matching.reports import report
from functions.matching.schema import TABLES
from tests.pile import Photograph, Pile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions.matching.faces import IndexedFaces, SearchResult
    from functions.matching.images import UploadedImage

ANN = Photograph("images/Ann_1.jpg")
BOB = Photograph("images/Bob_1.jpg", minute=5)

PYTHON_TYPES = {"string": str, "int": int, "bigint": int, "double": float, "boolean": bool}


def written(*, judged: bool, monkeypatch: pytest.MonkeyPatch) -> Pile:
    """One record of each kind at least, with every list filled."""
    if judged:
        reopened = Reopened(
            name="Bob",
            why=(NewEvidence.NEW_PHOTOGRAPH,),
            decided_by="Rita",
            decided_at="2026-11-22T12:00:00.000Z",
            similarity=98.0,
        )
        silenced = Judgement(silenced=("name:Cid",), known=("name:Dan",), reopened=(reopened,))

        def judged_report(
            image: UploadedImage, indexed: IndexedFaces, searched: SearchResult, **facts: Any
        ) -> dict[str, Any]:
            return report(image, indexed, searched, **facts, judged=silenced)

        monkeypatch.setattr("tests.pile.report", judged_report)
    pile = Pile()
    pile.reported(ANN, (BOB, 99.5), similar={Photograph("images/Ann_2.jpg"): 99.0})
    pile.reported(BOB, faces=0)
    pile.failed(Photograph("images/Cid_1.jpg"), FailureStatus.REJECTED, Reason.GONE)
    pile.failed(Photograph("images/_.jpg", version="v2"), FailureStatus.ABORTED)
    pile.undelivered(ANN)
    pile.decided("Ann", "Bob", Decided.UNSURE, similarity=99.5, on=[ANN, BOB])
    return pile


def records(pile: Pile, table: str) -> Iterator[dict[str, Any]]:
    for key, body in pile.objects.items():
        if key.startswith(f"{table}/"):
            for line in body.splitlines():
                yield json.loads(line)


def fits(value: Any, kind: str) -> bool:
    """Whether a JSON value is one of the Athena type, with every field of a struct and no other."""
    if value is None:
        return True
    outer, _, inner = kind.partition("<")
    if outer == "array":
        return isinstance(value, list) and all(fits(item, inner[:-1]) for item in value)
    if outer == "struct":
        fields = dict(struct_fields(inner[:-1]))
        return (
            isinstance(value, dict)
            and list(value) == list(fields)
            and all(fits(value[name], fields[name]) for name in fields)
        )
    if outer == "double" and isinstance(value, int) and not isinstance(value, bool):
        return True  # JSON has one kind of number
    return type(value) is PYTHON_TYPES[outer]


def struct_fields(text: str) -> Iterator[tuple[str, str]]:
    depth, start = 0, 0
    for position, character in enumerate([*text, ","]):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            name, _, kind = text[start:position].partition(":")
            yield name, kind
            start = position + 1


@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_record_has_exactly_the_columns_of_its_table_in_order_and_of_its_types(
    table: Any, judged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(records(written(judged=judged, monkeypatch=monkeypatch), table.name))

    assert found
    for record in found:
        assert list(record) == list(table.columns)
        for name, kind in table.columns.items():
            assert fits(record[name], kind), (name, kind, record[name])


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_has_a_value_in_some_record(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its type would be agreed upon by nothing but nulls."""
    found = list(records(written(judged=True, monkeypatch=monkeypatch), table.name))

    assert {name for name in table.columns if all(r[name] in (None, []) for r in found)} == set()


def test_records_lie_where_their_tables_look_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in written(judged=False, monkeypatch=monkeypatch).objects:
        kind, *day, name = key.split("/")
        assert TABLES[kind].by_day == bool(day)
        assert name.endswith(".json")
        for folder in day:
            date.fromisoformat(folder.removeprefix("dt="))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, "double", True),
        (True, "double", False),
        (1.5, "int", False),
        ("1", "bigint", False),
        ([{"a": 1, "b": ["x"]}], "array<struct<a:int,b:array<string>>>", True),
        ([{"b": ["x"], "a": 1}], "array<struct<a:int,b:array<string>>>", False),
        ([{"a": 1, "b": ["x"], "c": 1}], "array<struct<a:int,b:array<string>>>", False),
        ({"left": 0.5}, "struct<left:double>", True),
        ([None, "x"], "array<string>", True),
        ([1], "array<string>", False),
    ],
)
def test_a_value_is_held_against_its_type(value: Any, kind: str, expected: bool) -> None:
    assert fits(value, kind) is expected
