"""Failures by reason: images without an outcome, and matches that nobody was notified of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from facematch.stack import athena
from functions.matching.failures import Lacking
from workflow.queries import queries

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures with one reason and one remedy, of the newest version of each key.

    Attributes
    ----------
    keys
        Keys of the objects, in order.
    lacks
        The outcome, or the delivery: a report stands, and nobody was notified of its match.
    """

    lacks: Lacking
    reason: str
    count: int
    replay: str
    remedy: str
    keys: tuple[str, ...]
    steps: str


def failure_groups(deployment: Deployment) -> list[FailureGroup]:
    """Return failures by reason, the most frequent first.

    Raises
    ------
    QueryFailed, Unusable
        When Athena cannot be asked.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in athena.run(deployment, queries()["failed_images"].sql).by_column():
        groups.setdefault((row["lacks"], row["reason"], row["remedy"]), []).append(row)
    return sorted(
        (
            FailureGroup(
                lacks=Lacking(lacks.upper()),
                reason=reason,
                count=len(members),
                replay=members[0]["replay"],
                remedy=remedy,
                keys=tuple(sorted(member["key"] for member in members)),
                steps=", ".join(sorted({member["step"] for member in members if member["step"]})),
            )
            for (lacks, reason, remedy), members in groups.items()
        ),
        key=lambda group: (-group.count, group.lacks, group.reason, group.remedy),
    )
