"""What people decided about pairs of records: read from the output bucket, imported into it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Actionable, Unusable
from facematch.files.spreadsheets import unguarded
from facematch.stack.records import Records
from functions.matching.decisions import Decision
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from facematch.stack.deployment import Deployment


#: What the evidence page exports, in either form.
COLUMNS: Final = (
    *("name_a", "name_b", "decision", "note", "decided_by", "decided_at"),
    *("similarity", "face_ids"),
)
#: Columns that a page of an earlier version does not export.
NEW_COLUMNS: Final = ("record_a", "record_b", "versions", "keys")
#: A cell lists the ids of all faces of two names.
_CELL_LIMIT: Final = 16 * 2**20
_SHOWN_FAULTS: Final = 20
#: Another import may write the same decision between our look and our write.
_ATTEMPTS: Final = 5


class NotDecisions(Unusable):
    """The file cannot be imported; the text says why, and where in it."""


def read_decisions(deployment: Deployment) -> dict[tuple[str, str], Decision]:
    """Read the newest decision about each pair, by the two record keys in order.

    Raises
    ------
    Actionable
        When a record is not a decision.
    """
    records = Records(deployment)
    found: dict[tuple[str, str], Decision] = {}
    for record in records.read(list(records.keys(Place.DECISIONS))):
        try:
            decision = Decision.from_record(record)
        except ValueError as error:
            digest = record.get("records_digest") or record.get("names_digest", "?")
            raise Actionable(
                f"s3://{deployment.output_bucket}/decisions/{digest}.json is not a decision: "
                f"{error}. Import the decision again, or delete the object."
            ) from None
        there = found.setdefault(decision.records, decision)
        if there.decided_at < decision.decided_at:
            found[decision.records] = decision
    return found


def exported(deployment: Deployment) -> str:
    """Return every decision as JSON Lines, for a backup, or for another stack."""
    of_stack = {"stack": deployment.stack_name, "images_bucket": deployment.images_bucket}
    return "".join(
        json.dumps({**decision.to_document(), **of_stack}, ensure_ascii=False) + "\n"
        for _, decision in sorted(read_decisions(deployment).items())
    )


def decisions_in(
    file: Path, *, stack_name: str, images_bucket: str, now: datetime | None = None
) -> list[Decision]:
    """Read decisions that `exported` or the evidence page wrote; of a pair, only the newest.

    The page writes JSON or CSV, of one stack only. What `exported` wrote may be of another stack:
    there the same photographs are other versions, so their keys count alone.

    Parameters
    ----------
    images_bucket
        Of the stack that takes the decisions.
    now
        By this machine's clock, unless it is given.

    Raises
    ------
    NotDecisions
        When it is not such an export, is of another stack's page, or a decision in it is
        impossible: then none of them is taken.
    """
    text = _text(file)
    if not text.strip():
        raise NotDecisions(
            f"{file} is empty: it was exported where nobody had decided anything, or it was cut "
            "off. Nothing was imported. If there should be decisions in it, export them again."
        )
    if lines := _json_lines(text):
        rows = [
            line if line.get("images_bucket") == images_bucket else {**line, "versions": []}
            for line in lines
        ]
    elif text.lstrip().startswith("{"):
        rows = list(_rows_of_json(file, text, stack_name))
    else:
        rows = list(_rows_of_csv(file, text))
    now = now or datetime.now(UTC)
    newest: dict[tuple[str, str], Decision] = {}
    faults = []
    for number, row in enumerate(rows, start=1):
        try:
            decision = Decision.from_record(row, now=now)
        except ValueError as error:
            faults.append(f"decision {number}: {error}")
            continue
        there = newest.setdefault(decision.records, decision)
        if there.decided_at <= decision.decided_at:
            newest[decision.records] = decision
    if faults:
        more = len(faults) - _SHOWN_FAULTS
        listed = faults[:_SHOWN_FAULTS] + ([f"and {more} more"] if more > 0 else [])
        raise NotDecisions(
            f"{file}: {len(faults)} of {len(rows)} decisions are impossible, so none was imported. "
            "Fix them, or export them again:\n  " + "\n  ".join(listed)
        )
    return list(newest.values())


def import_decisions(
    deployment: Deployment, decisions: Iterable[Decision]
) -> Iterator[tuple[Decision, str]]:
    """Write decisions into the output bucket; a newer one that is there already stays.

    Yields
    ------
    tuple of Decision and str
        Each with what became of it: ``imported``, ``unchanged`` or ``older than what is there``.
    """
    records = Records(deployment)
    for decision in decisions:
        yield decision, _import(records, decision)


def _import(records: Records, decision: Decision) -> str:
    key, *former = decision.keys_in_bucket
    for _ in range(_ATTEMPTS):
        found = records.body(key)
        # Beside the new key a decision of an earlier version counts no more.
        before = found or next(filter(None, map(records.body, former)), None)
        there = _decision_or_none(before.content, now=datetime.now(UTC)) if before else None
        if there == decision:
            return "unchanged"
        if there and there.decided_at > decision.decided_at:
            return "older than what is there"
        line = decision.to_record(imported_at=datetime.now(UTC))
        if records.write(key, [line], replaces=found.etag if found else None):
            return "imported"
    raise Actionable(
        f"{records.uri(key)} is being changed by somebody else again and again. Repeat the import."
    )


def _decision_or_none(body: bytes, *, now: datetime) -> Decision | None:
    """What is there; None when it is broken, or of a time to come, and so to be replaced."""
    try:
        return Decision.from_record(json.loads(body), now=now)
    except (ValueError, AttributeError):
        return None


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotDecisions(
            f"{file} is not text in UTF-8. Import the file as the page exported it, or save it as "
            "CSV UTF-8."
        ) from None


def _json_lines(text: str) -> list[dict[str, Any]]:
    """Return the lines of an export by `exported`; none if the text is something else."""
    try:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return []
    ours = all(isinstance(line, dict) and "images_bucket" in line for line in lines)
    return lines if ours else []


def _rows_of_json(file: Path, text: str, stack_name: str) -> Iterator[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = {}
    rows, of_stack = document.get("decisions"), document.get("stack")
    if not isinstance(rows, list):
        raise NotDecisions(
            f"{file} is not an export of the evidence page: it has no 'decisions'. Import the file "
            "as the page exported it."
        )
    if of_stack != stack_name:
        raise NotDecisions(
            f"{file} was exported from the page of the stack {of_stack!r}, and this is "
            f"{stack_name!r}. Name the stack with --stack."
        )
    for row in rows:
        yield row if isinstance(row, dict) else {}


def _rows_of_csv(file: Path, text: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(_CELL_LIMIT)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = set(COLUMNS) - set(reader.fieldnames or [])
        if missing:
            raise NotDecisions(
                f"{file} is not an export of the evidence page: it has no column "
                f"{', '.join(sorted(missing))}. Import the file as the page exported it."
            )
        for row in reader:
            cells = {column: unguarded(row[column] or "") for column in COLUMNS}
            yield {
                **cells,
                **{column: unguarded(row[column]) for column in NEW_COLUMNS if row.get(column)},
                "similarity": _number(cells["similarity"]),
                "face_ids": cells["face_ids"].split(),
                "versions": (row.get("versions") or "").split(),
                "keys": _list(unguarded(row.get("keys") or "")),
            }
    except csv.Error as error:
        raise NotDecisions(
            f"{file} is not CSV from line {reader.line_num} on: {error}. Import the file as the "
            "page exported it."
        ) from None


def _list(cell: str) -> Any:  # noqa: ANN401 - checked with the decision
    try:
        return json.loads(cell or "[]")
    except ValueError:
        return None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
