"""The questions that people ask of the records in SQL: one question a file, read from here.

A file runs unchanged on Athena (engine version 3) and on the local cloud's DuckDB. Its comment is
read, in this fixed form:

- The first paragraph says what the query answers. More paragraphs may follow it.
- ``-- parameter: <name> <type> [= <default>]   <meaning>``, one for each ``?``, in their order.
  Athena takes a ``?`` in a WHERE clause only (Amazon Athena User Guide, Use parameterized queries).
- ``-- column: <name> <type>   <meaning>``, one for each column of the result, in their order.
- ``-- uses: <name>, ...``: other queries, or the rules in ``parts/``, which then stand before the
  text as common tables of these names. So the rule for what counts as evidence exists once.

Types are Athena's: varchar, double, bigint, boolean, date. A parameter may also be a similarity: a
double that is checked as a percentage before Athena sees it. No comment within the text has a
``?``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

TYPES: Final = ("varchar", "double", "bigint", "boolean", "date")
#: A double that a person gives as a percentage; a fraction is refused.
SIMILARITY: Final = "similarity"
PARAMETER_TYPES: Final = (*TYPES, SIMILARITY)

_FOLDER: Final = Path(__file__).parent
_DECLARED: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*) (?P<type>[a-z]+)(?: = (?P<default>\S+))? {2,}(?P<meaning>\S.*)"
)
_DECLARATION: Final = re.compile(r"(parameter|column|uses): *(.*)")


class QueryError(ValueError):
    """A query's file cannot be read; the text says which file, and what is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a result, of one of `TYPES`."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """What one ``?`` stands for, of one of `PARAMETER_TYPES`; no default: it has to be given."""

    name: str
    type: str
    default: str | None
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """One question.

    Attributes
    ----------
    meaning
        What it answers: one line.
    parameters
        In the order of the ``?`` in `sql`.
    columns
        Of the result, in their order; none in a file that does not declare them.
    sql
        Complete, without a semicolon; tables stand without their database.
    """

    name: str
    meaning: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    sql: str


@cache
def queries() -> dict[str, Query]:
    """Every query of this folder, by name."""
    return {path.stem: read_query(path) for path in sorted(_FOLDER.glob("*.sql"))}


@cache
def command_queries() -> dict[str, Query]:
    """Return the queries that only the command line asks, by name: no saved queries, no views."""
    return {path.stem: read_query(path) for path in sorted(_FOLDER.glob("commands/*.sql"))}


def read_query(path: Path) -> Query:
    """Read a query from a file.

    Raises
    ------
    QueryError
        When a declaration is not in the form above, or what it uses is not there.
    OSError, UnicodeDecodeError
        When the file cannot be read.
    """
    source = _Source.read(path)
    return Query(
        name=path.stem,
        meaning=source.meaning,
        parameters=source.parameters,
        columns=source.columns,
        sql=_with_used(source),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, taken apart."""

    path: Path
    meaning: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    uses: tuple[str, ...]
    body: str

    @classmethod
    def read(cls, path: Path) -> _Source:
        lines = path.read_text(encoding="utf-8").strip().splitlines()
        count = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
        comment = [line.removeprefix("--").strip() for line in lines[:count]]
        paragraph: list[str] = []
        uses: list[str] = []
        parameters: list[Parameter] = []
        columns: list[Column] = []
        first = True
        for line in comment:
            declaration = _DECLARATION.fullmatch(line)
            first = first and bool(line) and not declaration
            if first:
                paragraph.append(line)
            elif declaration and declaration[1] == "uses":
                uses += [name.strip() for name in declaration[2].split(",")]
            elif declaration:
                found = _declared(
                    path,
                    declaration[2],
                    PARAMETER_TYPES if declaration[1] == "parameter" else TYPES,
                )
                name, kind, meaning = found["name"], found["type"], found["meaning"]
                if declaration[1] == "parameter":
                    default = found["default"]
                    parameters.append(
                        Parameter(name=name, type=kind, default=default, meaning=meaning)
                    )
                else:
                    columns.append(Column(name=name, type=kind, meaning=meaning))
        body = "\n".join(lines[count:]).strip().removesuffix(";").rstrip()
        if not body:
            raise QueryError(f"{path}: there is no SQL in it.")
        return cls(path, " ".join(paragraph), tuple(parameters), tuple(columns), tuple(uses), body)


def _declared(path: Path, text: str, types: tuple[str, ...]) -> re.Match[str]:
    found = _DECLARED.fullmatch(text)
    if found is None or found["type"] not in types:
        raise QueryError(
            f"{path}: {text!r} is not understood. A declaration is a name, a type (one of "
            f"{', '.join(types)}), for a parameter perhaps ' = ' and a default, then at least two "
            "blanks and the meaning."
        )
    return found


def _with_used(source: _Source) -> str:
    """The body with everything that it uses as common tables before it, what is used first."""
    tables: dict[str, str] = {}

    def add(name: str, user: Path, above: tuple[str, ...]) -> None:
        if name in above:
            raise QueryError(f"{user}: it uses {name!r}, which uses itself.")
        used = _used(name, user)
        if used.parameters:
            raise QueryError(f"{user}: {name!r} has parameters, so it cannot be used by another.")
        for inner in used.uses:
            add(inner, used.path, (*above, name))
        tables.setdefault(name, used.body)

    for name in source.uses:
        add(name, source.path, ())
    if not tables:
        return source.body
    common = ",\n".join(f"{name} AS (\n{body}\n)" for name, body in tables.items())
    own = re.match(r"WITH\s+", source.body, re.IGNORECASE)
    if own:
        return f"WITH {common},\n{source.body[own.end() :]}"
    return f"WITH {common}\n{source.body}"


def _used(name: str, user: Path) -> _Source:
    for path in (_FOLDER / f"{name}.sql", _FOLDER / "parts" / f"{name}.sql"):
        if re.fullmatch(r"[a-z_]+", name) and path.is_file():
            return _Source.read(path)
    raise QueryError(f"{user}: it uses {name!r}, which is neither a query nor a part of one.")
