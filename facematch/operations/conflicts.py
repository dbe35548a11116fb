"""One record, two faces: photographs that resemble no other one of their record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facematch.stack import athena
from functions.matching.decisions import Standing
from functions.matching.identity import Identity, id_in
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facematch.stack.deployment import Deployment


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """A photograph that resembles no other one of its record: a row of the query `conflicts`.

    Attributes
    ----------
    record, name
        Key of the record; its name, where a second spelling stands behind " / ".
    key
        The photograph.
    other_key
        The record's best other one, which stands for the rest.
    photographs
        How many the record has with an indexed face.
    uploaded_at
        When the photograph was; UTC, ISO 8601.
    report, other_report
        Keys of the reports of both photographs in the output bucket.
    standing, decided_by, decided_at
        What people decided about the photograph and the record.
    """

    record: str
    name: str
    key: str
    other_key: str
    photographs: int
    uploaded_at: str
    report: str
    other_report: str
    standing: Standing
    decided_by: str | None
    decided_at: str | None

    @property
    def identity(self) -> Identity:
        """Who the record is."""
        return Identity(self.name, id_in(self.record))

    @property
    def is_open(self) -> bool:
        """Whether it waits for a person's judgement."""
        return self.standing is Standing.UNDECIDED


def conflicts(deployment: Deployment) -> list[Conflict]:
    """Ask Athena for the conflicts.

    Raises
    ------
    QueryFailed, Unusable
        When Athena cannot be asked.
    """
    found = athena.run(deployment, queries()["conflicts"].sql)
    return [Conflict(**{**row, "standing": Standing(row["standing"])}) for row in found.by_column()]


def mirrored_once(found: Iterable[Conflict]) -> list[Conflict]:
    """Return the conflicts, that of a record of two photographs once.

    Each of the two resembles no other one, for the same reason. The row stays that people have
    decided about, or else the first.
    """
    kept: dict[frozenset[str], Conflict] = {}
    for conflict in found:
        both = (conflict.key, conflict.other_key)
        about = frozenset(both if conflict.photographs == len(both) else both[:1])
        if kept.setdefault(about, conflict).is_open and not conflict.is_open:
            kept[about] = conflict
    return list(kept.values())
