"""Who matches whom: pairs of names, each once, whichever side reported it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from facematch.operations.decisions import read_decisions
from facematch.stack.deployment import PARALLEL
from facematch.stack.objects import Bucket
from facematch.stack.records import Records
from functions.matching.decisions import NewEvidence, Standing, standing
from functions.matching.images import timestamp
from functions.matching.names import Relation, relation
from functions.matching.places import Place
from functions.matching.reports import names_left_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from facematch.stack.deployment import Deployment
    from functions.matching.decisions import Decision
    from functions.matching.faces import NamesLeftOut
    from functions.matching.images import UploadedImage


#: How two names relate, in words; in the order in which a person should look at the pairs.
RELATIONS: Final = {
    Relation.UNRELATED: "unrelated",
    Relation.SAME_NAME: "the same",
    Relation.SHARED_PART: "alike in part",
    Relation.UNKNOWN: "not comparable",
    Relation.VARIANT: "one in two spellings",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NamePair:
    """Two names whose photographs show the same face.

    Attributes
    ----------
    similarity
        Of the best pair of photographs, %; `key_a` and `key_b` are theirs.
    image_pairs
        How many pairs of photographs support it.
    same_file
        Whether the two photographs of the best pair are the same file, byte for byte.
    same_files
        In how many of the pairs of photographs both are the same file.
    relation
        How the two names relate. It ranks pairs, and decides nothing.
    standing, why
        What people decided, and why it is open again if it is.
    decided_by, decided_at, note
        Of the decision, if there is one.
    """

    name_a: str
    name_b: str
    similarity: float
    image_pairs: int
    key_a: str
    key_b: str
    same_file: bool = False
    same_files: int = 0
    relation: Relation = Relation.UNKNOWN
    standing: Standing = Standing.UNDECIDED
    why: tuple[NewEvidence, ...] = ()
    decided_by: str | None = None
    decided_at: str | None = None
    note: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for a person's judgement."""
        return self.standing in {Standing.UNDECIDED, Standing.REOPENED}


@dataclass(frozen=True, slots=True)
class Matches:
    """What the match rows say.

    Attributes
    ----------
    pairs
        Best first.
    lacking
        Photographs, by key, whose reports leave names out, whatever the similarity: pairs of these
        may be missing.
    """

    pairs: list[NamePair]
    lacking: dict[str, NamesLeftOut]


def matches(deployment: Deployment, *, minimum: float) -> list[NamePair]:
    """Pairs of names with a similarity of at least `minimum` %, best first."""
    return read_matches(deployment, minimum=minimum).pairs


def read_matches(deployment: Deployment, *, minimum: float) -> Matches:
    """Read the match rows; pairs are those of at least `minimum` %.

    Only what is in the bucket now counts: a match row of a version that has been overwritten or
    deleted since is no evidence any more.
    """
    records = Records(deployment)
    present = Present.listed(deployment)
    lacking: dict[str, NamesLeftOut] = {}

    def strong_enough() -> Iterator[dict[str, Any]]:
        for row in records.read(list(records.keys(Place.MATCHES))):
            left_out = names_left_out(row)
            if left_out.any and is_newest(row, present.current):
                lacking[row["key"]] = left_out
            if row["similarity"] >= minimum:
                yield row

    pairs = paired(present.shown(strong_enough()), read_decisions(deployment))
    return Matches(pairs, lacking)


class Present:
    """What the bucket and the collection hold now, by which a match row is evidence or is not.

    Attributes
    ----------
    current
        The newest version of each key.
    """

    def __init__(self, deployment: Deployment, current: dict[str, UploadedImage]) -> None:
        self._records = Records(deployment)
        self.current = current
        self._faces: dict[str, frozenset[str] | None] = {}

    @classmethod
    def listed(cls, deployment: Deployment) -> Self:
        """By a listing of all images."""
        images = Bucket.images(deployment).current(deployment.image_prefix)
        return cls(deployment, {image.key: image for image in images})

    def shown(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows that are about two photographs which are there now, with `same_file` in each.

        A row knows the face that it found, and the key, but not the version. An older version's
        face is found until the newer one is indexed, and the newer one that was found may have been
        deleted since. Whose face it was says the key's register: one request for each key.
        """
        found = [row for row in rows if is_evidence(row, self.current)]
        unknown = {row["matched_key"] for row in found} - self._faces.keys()
        with ThreadPoolExecutor(PARALLEL) as pool:
            self._faces.update(zip(unknown, pool.map(self._read, unknown), strict=True))
        for row in found:
            faces = self.faces(row["matched_key"])
            if faces is None or row["matched_face_id"] in faces:
                own, other = self.current[row["key"]], self.current[row["matched_key"]]
                yield {**row, "same_file": own.is_same_file_as(other)}

    def faces(self, key: str) -> frozenset[str] | None:
        """Return the faces of the key's current version; None when its register has no version."""
        if key not in self._faces:
            self._faces[key] = self._read(key)
        return self._faces[key]

    def _read(self, key: str) -> frozenset[str] | None:
        image = self.current[key]
        entries = self._records.register(image).entries
        if not entries:
            return None
        entry = entries.get(image.digest)
        return frozenset(entry.face_ids if entry and not entry.leaving else ())


def is_evidence(row: dict[str, Any], current: Mapping[str, UploadedImage]) -> bool:
    """Whether the row's own version is the newest, and the other's not newer than the search.

    What was uploaded there after the search is another photograph, whose own report says what it
    matches.
    """
    other = current.get(row["matched_key"])
    return bool(
        is_newest(row, current)
        and other
        and other.last_modified <= datetime.fromisoformat(row["searched_at"])
    )


def is_newest(record: dict[str, Any], current: Mapping[str, UploadedImage]) -> bool:
    """Whether a record is about the newest version of its key."""
    own = current.get(record["key"])
    return bool(own and own.version_id == record["version_id"])


def paired(
    rows: Iterable[dict[str, Any]], decisions: Mapping[tuple[str, str], Decision] | None = None
) -> list[NamePair]:
    """Match rows from both sides as pairs of names, best first, each as it was decided."""
    decided = decisions or {}
    face_ids: dict[tuple[str, str], set[str]] = {}
    best: dict[tuple[str, str], dict[str, Any]] = {}
    image_pairs: dict[tuple[str, str], dict[tuple[str, str], bool]] = {}
    for row in rows:
        names = _sorted_pair(row["name"], row["matched_name"])
        face_ids.setdefault(names, set()).update((row["face_id"], row["matched_face_id"]))
        keys = _sorted_pair(row["key"], row["matched_key"])
        image_pairs.setdefault(names, {})[keys] = row["same_file"]
        if names not in best or row["similarity"] > best[names]["similarity"]:
            best[names] = row
    pairs = []
    for names, row in best.items():
        swapped = names[0] != row["name"]
        keys = (row["matched_key"], row["key"]) if swapped else (row["key"], row["matched_key"])
        pair = NamePair(
            name_a=names[0],
            name_b=names[1],
            similarity=row["similarity"],
            image_pairs=len(image_pairs[names]),
            key_a=keys[0],
            key_b=keys[1],
            relation=relation(*names),
            same_file=row["same_file"],
            same_files=sum(image_pairs[names].values()),
        )
        pairs.append(_as_decided(pair, decided.get(names), face_ids[names]))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.name_a, pair.name_b))


def _as_decided(pair: NamePair, decision: Decision | None, face_ids: set[str]) -> NamePair:
    if decision is None:
        return pair
    stands, why = standing(decision, similarity=pair.similarity, face_ids=face_ids)
    return replace(
        pair,
        standing=stands,
        why=why,
        decided_by=decision.decided_by,
        decided_at=timestamp(decision.decided_at),
        note=decision.note,
    )


def _sorted_pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)


#: What to do about a report that leaves names out; the command follows.
SEARCH_AGAIN: Final = (
    "Deploy with a larger max_matches or search_threshold, or remove copies of one photograph. "
    "Then search again:"
)
