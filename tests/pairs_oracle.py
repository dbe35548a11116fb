"""Pairs of records worked out in Python, to compare the SQL of the query `pairs` with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from facematch.operations.matches import RecordPair
from functions.matching.decisions import Shown, standing
from functions.matching.images import timestamp
from functions.matching.names import relation
from functions.matching.reports import record_matched, record_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from functions.matching.decisions import Decision
    from functions.matching.images import UploadedImage


def expected_pairs(
    rows: Iterable[Mapping[str, Any]],
    current: Mapping[str, UploadedImage],
    decisions: Mapping[tuple[str, str], Decision],
) -> list[RecordPair]:
    """Return the pairs of match rows that are evidence, best first, each as it was decided.

    Parameters
    ----------
    current
        The newest version of each key in the rows.
    """
    of_records: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        of_records[_in_order(record_of(row), record_matched(row))].append(row)
    pairs = [
        _pair(records, found, current, decisions.get(records))
        for records, found in of_records.items()
    ]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.record_a, pair.record_b))


def _pair(
    records: tuple[str, str],
    rows: list[Mapping[str, Any]],
    current: Mapping[str, UploadedImage],
    decision: Decision | None,
) -> RecordPair:
    def sides(row: Mapping[str, Any], *columns: str) -> tuple[Any, ...]:
        one, other = (row[column] for column in columns)
        return (one, other) if record_of(row) == records[0] else (other, one)

    by_keys = {sides(row, "key", "matched_key"): row for row in rows}
    best = max(row["similarity"] for row in rows)
    keys = min(sides(row, "key", "matched_key") for row in rows if row["similarity"] == best)
    names = [sides(row, "name", "matched_name") for row in rows]
    same = [current[one].is_same_file_as(current[other]) for one, other in by_keys]
    pair = RecordPair(
        record_a=records[0],
        record_b=records[1],
        name_a=_spellings({one for one, _ in names}),
        name_b=_spellings({other for _, other in names}),
        similarity=best,
        image_pairs=len(by_keys),
        key_a=keys[0],
        key_b=keys[1],
        same_file=current[keys[0]].is_same_file_as(current[keys[1]]),
        same_files=sum(same),
        people_a=2,
        people_b=2,
        relation=relation(*names[0]),
    )
    if decision is None:
        return pair
    loud = [row for row in rows if row["similarity"] >= row["notify_threshold"]]
    photographs = [
        Shown(row[f"{side}key"], current[row[f"{side}key"]].digest, row[f"{side}face_id"])
        for row in loud
        for side in ("", "matched_")
    ]
    similarity = max((row["similarity"] for row in loud), default=0.0)
    stands, why = standing(decision, similarity=similarity, photographs=photographs)
    return replace(
        pair,
        standing=stands,
        why=why,
        decided_by=decision.decided_by,
        decided_at=timestamp(decision.decided_at),
        note=decision.note,
    )


def _spellings(names: set[str]) -> str:
    first, last = min(names), max(names)
    return first if first == last else f"{first} / {last}"


def _in_order(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)
