"""The columns of every kind of record, in Athena's types: what is written is what is queried.

The tables in the Glue catalog are made from this module, and a test holds the records that are
written against it: a field cannot be added to one alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One kind of record.

    Attributes
    ----------
    name
        Of the table, and of the folder in the output bucket.
    columns
        Athena type by column, in the order in which they are written. Times are strings: UTC in
        ISO 8601 with milliseconds, which sort as text.
    by_day
        Whether its files lie under ``dt=<UTC date of the upload>/``.
    former_columns
        Columns that only records of an earlier schema version have.
    """

    name: str
    columns: dict[str, str]
    by_day: bool = True
    former_columns: dict[str, str] = field(default_factory=dict)

    @property
    def readable(self) -> dict[str, str]:
        """The columns that a query may name."""
        return {**self.columns, **self.former_columns}


_BOX: Final = "struct<left:double,top:double,width:double,height:double>"
_MATCH: Final = (
    "struct<pair_id:string,name:string,record:string,relation:string,key:string,face_id:string,"
    f"similarity:double,box:{_BOX},prominent_faces:int>"
)
_FACE: Final = (
    f"struct<face_id:string,box:{_BOX},confidence:double,brightness:double,sharpness:double,"
    f"matches:array<{_MATCH}>>"
)
_UNINDEXED_FACE: Final = f"struct<reasons:array<string>,box:{_BOX}>"

#: An object version.
_IMAGE: Final = {
    "digest": "string",
    "bucket": "string",
    "key": "string",
    "version_id": "string",
    "etag": "string",
    "size": "bigint",
    "uploaded_at": "string",
}


def _box(prefix: str) -> dict[str, str]:
    return {f"{prefix}_{side}": "double" for side in ("left", "top", "width", "height")}


REPORTS: Final = Table(
    name="reports",
    columns={
        "schema_version": "int",
        **_IMAGE,
        "name": "string",
        "record": "string",
        "status": "string",
        "searched_at": "string",
        "face_model_version": "string",
        "search_threshold": "double",
        "notify_threshold": "double",
        "faces_in_image": "int",
        "faces": f"array<{_FACE}>",
        "face_ids": "array<string>",
        "unindexed_faces": f"array<{_UNINDEXED_FACE}>",
        "subject": "string",
        "prominent_faces": "int",
        "best_similarity": "double",
        "best_open_similarity": "double",
        "notify_similarity": "double",
        "silenced": "array<string>",
        "known": "array<string>",
        "reopened": "array<string>",
        "above_threshold": "boolean",
        "other_name_matches": "int",
        "matches_left_out": "int",
        "names_left_out": "int",
        "more_names_possible": "boolean",
        "best_left_out_similarity": "double",
        "same_name_matches": "int",
        "look_alikes_left_out": "int",
        "unattributed_matches": "int",
        "execution_arn": "string",
    },
    former_columns={
        "notified": "boolean",
        "silenced_names": "array<string>",
        "reopened_names": "array<string>",
    },
)

#: Of a row beside a report: the image that was searched.
_SEARCHED: Final = {
    "schema_version": "int",
    **{name: _IMAGE[name] for name in ("digest", "bucket", "key", "version_id")},
    "name": "string",
    "record": "string",
    "uploaded_at": "string",
    "searched_at": "string",
    "search_threshold": "double",
}

MATCHES: Final = Table(
    name="matches",
    columns={
        **_SEARCHED,
        "notify_threshold": "double",
        "execution_arn": "string",
        "pair_id": "string",
        "similarity": "double",
        "face_id": "string",
        **_box("face"),
        "matched_name": "string",
        "matched_record": "string",
        "relation": "string",
        "matched_key": "string",
        "matched_face_id": "string",
        **_box("matched"),
        "prominent_faces": "int",
        "matched_prominent_faces": "int",
        "names_left_out": "int",
        "more_names_possible": "boolean",
    },
)

#: Photographs of one record that look alike. A photograph without a row may show somebody else.
LOOK_ALIKES: Final = Table(
    name="look_alikes",
    columns={
        **_SEARCHED,
        "execution_arn": "string",
        "other_key": "string",
        "similarity": "double",
    },
)

FAILURES: Final = Table(
    name="failures",
    columns={
        "schema_version": "int",
        **_IMAGE,
        "name": "string",
        "record": "string",
        "status": "string",
        "reason": "string",
        "step": "string",
        "error": "string",
        "cause": "string",
        "message": "string",
        "remedy": "string",
        "replay": "string",
        "execution_arn": "string",
        "failed_at": "string",
    },
)

#: A report stands beside it, and nobody was notified of its match.
DELIVERY_FAILURES: Final = Table(name="delivery_failures", columns=FAILURES.columns)

DECISIONS: Final = Table(
    name="decisions",
    columns={
        "schema_version": "int",
        "records_digest": "string",
        "record_a": "string",
        "record_b": "string",
        "name_a": "string",
        "name_b": "string",
        "decision": "string",
        "note": "string",
        "decided_by": "string",
        "decided_at": "string",
        "similarity": "double",
        "versions": "array<string>",
        "keys": "array<string>",
        "face_ids": "array<string>",
        "imported_at": "string",
    },
    by_day=False,
    former_columns={"names_digest": "string"},
)

TABLES: Final = {
    table.name: table
    for table in (REPORTS, MATCHES, LOOK_ALIKES, FAILURES, DELIVERY_FAILURES, DECISIONS)
}
