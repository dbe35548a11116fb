"""A question to the records in SQL: one of the saved ones, or one in a file, and its parameters."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facematch.errors import Unusable
from facematch.text import command
from functions.matching.notifications import printable
from functions.matching.settings import similarity
from workflow.queries import SIMILARITY, Query, QueryError, queries, read_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow.queries import Parameter


#: Characters of an execution parameter (Athena API Reference, StartQueryExecution).
_PARAMETER_LIMIT: Final = 1024


def found(name: str) -> Query:
    """The query of that name, or in the file of that name.

    Raises
    ------
    Unusable
        When there is neither, or the file cannot be read.
    """
    known = queries()
    if name in known:
        return known[name]
    path = Path(name)
    if not path.is_file():
        raise Unusable(
            f"There is no query {printable(name)!r}, and no such file. Queries: "
            f"{', '.join(known)}. See what they answer with: {command('query')}"
        )
    try:
        return read_query(path)
    except (QueryError, OSError, UnicodeDecodeError) as error:
        raise Unusable(
            f"{printable(name)} cannot be read as a query: {str(error).rstrip('.')}. Mend it as "
            "docs/queries.md says."
        ) from None


def bound(asked: Query, given: Sequence[str]) -> list[str]:
    """The query's parameters as Athena takes them, in order.

    Parameters
    ----------
    given
        Each as ``name=value``.

    Raises
    ------
    Unusable
        When one is missing, unknown, given twice or impossible.
    """
    values: dict[str, str] = {}
    names = [parameter.name for parameter in asked.parameters]
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in names or name in values:
            known = ", ".join(names) or "none; a file declares its own, see docs/queries.md"
            raise Unusable(
                f"--param {printable(text)!r} is not one name=value of a parameter. Give each "
                f"once; parameters of {asked.name}: {known}."
            )
        values[name] = value
    return [_bound(asked, parameter, values) for parameter in asked.parameters]


def _bound(asked: Query, parameter: Parameter, values: dict[str, str]) -> str:
    value = values.get(parameter.name, parameter.default)
    if value is None:
        raise Unusable(
            f"{asked.name} needs --param {parameter.name}=...: {parameter.meaning} "
            f"({parameter.type})."
        )
    try:
        text = literal(parameter.type, value)
    except ValueError as error:
        is_similarity = parameter.type == SIMILARITY
        wrong = f": {error}" if is_similarity else f" is no {parameter.type}. Give one"
        raise Unusable(
            f"--param {parameter.name}={printable(value)}{wrong}: {parameter.meaning}."
        ) from None
    if len(text) > _PARAMETER_LIMIT:
        raise Unusable(
            f"--param {parameter.name} is too long. Shorten it: Athena takes {_PARAMETER_LIMIT:,} "
            "characters, quotes included."
        )
    return text


def literal(kind: str, value: str) -> str:
    """A value as an SQL literal, which is what Athena wants of an execution parameter.

    A text stands in single quotes, and each of its own is doubled (Amazon Athena User Guide, Use
    parameterized queries; Trino documentation, Language, Types).

    Raises
    ------
    ValueError
        When the value is none of the kind, which is one of `workflow.queries.PARAMETER_TYPES`.
    """
    if kind == "varchar":
        return "'" + value.replace("'", "''") + "'"
    if kind == "bigint":
        return str(int(value))
    if kind in {"double", SIMILARITY}:
        number = similarity(value) if kind == SIMILARITY else float(value)
        if not math.isfinite(number):
            raise ValueError(value)
        return f"{number:.17E}"  # with an exponent it is a double, without one a decimal
    if kind == "date":
        return f"DATE '{dt.date.fromisoformat(value).isoformat()}'"
    if value.lower() not in {"true", "false"}:
        raise ValueError(value)
    return value.lower()
