"""Who matches whom: pairs of records, each once, whichever side reported it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from facematch.operations.decisions import read_decisions
from facematch.stack.deployment import PARALLEL
from facematch.stack.objects import Bucket
from facematch.stack.records import Records
from functions.matching.decisions import NewEvidence, Shown, Standing, standing
from functions.matching.identity import Identity, id_in
from functions.matching.images import timestamp
from functions.matching.names import relation
from functions.matching.places import Place
from functions.matching.relations import Relation
from functions.matching.reports import names_left_out, record_matched, record_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from facematch.stack.deployment import Deployment
    from functions.matching.decisions import Decision
    from functions.matching.faces import NamesLeftOut
    from functions.matching.images import UploadedImage


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordPair:
    """Two records whose photographs show the same face.

    Attributes
    ----------
    record_a, record_b
        Their keys, in order.
    name_a, name_b
        Their names, as the photographs carry them; a second spelling stands behind " / ".
    similarity
        Of the best pair of photographs, %; `key_a` and `key_b` are theirs.
    image_pairs
        How many pairs of photographs support it.
    same_file
        Whether the two photographs of the best pair are the same file, byte for byte.
    same_files
        In how many of the pairs of photographs both are the same file.
    relation
        How the two names of the best pair relate. It ranks pairs, and decides nothing.
    standing, why
        What people decided, and why it is open again if it is.
    decided_by, decided_at, note
        Of the decision, if there is one.
    """

    record_a: str
    record_b: str
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
    def identity_a(self) -> Identity:
        """Who the first record is."""
        return Identity(self.name_a, id_in(self.record_a))

    @property
    def identity_b(self) -> Identity:
        """Who the second record is."""
        return Identity(self.name_b, id_in(self.record_b))

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

    pairs: list[RecordPair]
    lacking: dict[str, NamesLeftOut]


def matches(deployment: Deployment, *, minimum: float) -> list[RecordPair]:
    """Pairs of records with a similarity of at least `minimum` %, best first."""
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
        """Yield the rows about two photographs that are there now.

        Each gets two columns more: `same_file`, and `versions`, the digests of both photographs.

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
                yield {
                    **row,
                    "same_file": own.is_same_file_as(other),
                    "versions": (own.digest, other.digest),
                }

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
) -> list[RecordPair]:
    """Match rows from both sides as pairs of records, best first, each as it was decided."""
    decided = decisions or {}
    seen: dict[tuple[str, str], _Seen] = {}
    for row in rows:
        one, other = record_of(row), record_matched(row)
        if one != other:  # a row of an earlier version may be about two spellings of one record
            seen.setdefault(_sorted_pair(one, other), _Seen()).add(row, swapped=one > other)
    pairs = [
        _as_decided(of_pair.pair(*records), decided.get(records), of_pair.photographs)
        for records, of_pair in seen.items()
    ]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.record_a, pair.record_b))


class _Seen:
    """What the match rows say of one pair of records."""

    def __init__(self) -> None:
        self.photographs: set[Shown] = set()
        self._best: tuple[float, str, str, dict[str, Any]] | None = None
        self._same_file: dict[tuple[str, str], bool] = {}
        self._names: tuple[set[str], set[str]] = set(), set()

    def add(self, row: dict[str, Any], *, swapped: bool) -> None:
        keys, names = (row["key"], row["matched_key"]), (row["name"], row["matched_name"])
        if swapped:
            keys, names = keys[::-1], names[::-1]
        own, other = row["versions"]
        self.photographs.add(Shown(row["key"], own, row["face_id"]))
        self.photographs.add(Shown(row["matched_key"], other, row["matched_face_id"]))
        self._same_file[_sorted_pair(*keys)] = row["same_file"]
        for written, name in zip(self._names, names, strict=True):
            written.add(name)
        if self._best is None or row["similarity"] > self._best[0]:
            self._best = (row["similarity"], *keys, row)

    def pair(self, record_a: str, record_b: str) -> RecordPair:
        assert self._best is not None  # noqa: S101 - there is a row for each pair
        similarity, key_a, key_b, row = self._best
        return RecordPair(
            record_a=record_a,
            record_b=record_b,
            name_a=spellings(self._names[0]),
            name_b=spellings(self._names[1]),
            similarity=similarity,
            image_pairs=len(self._same_file),
            key_a=key_a,
            key_b=key_b,
            relation=relation(row["name"], row["matched_name"]),
            same_file=row["same_file"],
            same_files=sum(self._same_file.values()),
        )


def spellings(names: Collection[str]) -> str:
    """Return the names of one record as people see them: the first in order, and the last one."""
    first, last = min(names), max(names)
    return first if first == last else f"{first} / {last}"


def _as_decided(pair: RecordPair, decision: Decision | None, photographs: set[Shown]) -> RecordPair:
    if decision is None:
        return pair
    stands, why = standing(decision, similarity=pair.similarity, photographs=photographs)
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
