"""Who matches whom: pairs of names, each once, whichever side reported it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from facematch.records import Records
from facematch.upload import current_versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facematch.deployment import Deployment


@dataclass(frozen=True, kw_only=True, slots=True)
class NamePair:
    """Two names whose photographs show the same face.

    Attributes
    ----------
    similarity
        Of the best pair of photographs, %; `key_a` and `key_b` are theirs.
    image_pairs
        How many pairs of photographs support it.
    """

    name_a: str
    name_b: str
    similarity: float
    image_pairs: int
    key_a: str
    key_b: str


def matches(deployment: Deployment, *, minimum: float) -> list[NamePair]:
    """Pairs of names with a similarity of at least `minimum` %, best first.

    Only what is in the bucket now counts: a match row of a version that has been overwritten or
    deleted since is no evidence any more.
    """
    records = Records(deployment)
    rows = records.read(list(records.keys("matches")))
    current = {
        item["Key"]: item
        for item in current_versions(
            deployment.make_client("s3"), deployment.images_bucket, deployment.image_prefix
        )
    }
    return paired(row for row in rows if row["similarity"] >= minimum and is_evidence(row, current))


def is_evidence(row: dict[str, Any], current: dict[str, dict[str, Any]]) -> bool:
    """Whether the row is about two versions that are in the bucket now.

    A row knows the other image's key but not its version: what was uploaded there after the
    search is another photograph, whose own report says what it matches.
    """
    own, other = current.get(row["key"]), current.get(row["matched_key"])
    return bool(
        own
        and other
        and own["VersionId"] == (row["version_id"] or "null")
        and other["LastModified"] <= datetime.fromisoformat(row["searched_at"])
    )


def paired(rows: Iterable[dict[str, Any]]) -> list[NamePair]:
    """Match rows from both sides as pairs of names, best first."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    image_pairs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for row in rows:
        names = _sorted_pair(row["name"], row["matched_name"])
        image_pairs.setdefault(names, set()).add(_sorted_pair(row["key"], row["matched_key"]))
        if names not in best or row["similarity"] > best[names]["similarity"]:
            best[names] = row
    pairs = []
    for names, row in best.items():
        swapped = names[0] != row["name"]
        keys = (row["matched_key"], row["key"]) if swapped else (row["key"], row["matched_key"])
        pairs.append(
            NamePair(
                name_a=names[0],
                name_b=names[1],
                similarity=row["similarity"],
                image_pairs=len(image_pairs[names]),
                key_a=keys[0],
                key_b=keys[1],
            )
        )
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.name_a, pair.name_b))


def _sorted_pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)
