"""Who matches whom: pairs of records, each once, whichever side reported it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from facematch.stack import athena
from facematch.stack.deployment import PARALLEL
from facematch.stack.objects import Bucket
from facematch.stack.records import Records
from functions.matching.decisions import NewEvidence, Standing
from functions.matching.faces import NamesLeftOut
from functions.matching.identity import Identity, id_in
from functions.matching.relations import Relation, known
from functions.matching.subjects import MainSubject, subject_of_pair
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordPair:
    """Two records whose photographs show the same face: a row of the query `pairs`.

    Attributes
    ----------
    record_a, record_b
        Their keys, in order.
    name_a, name_b
        Their names, as the photographs carry them; a second spelling follows " / ".
    similarity
        Similarity of the best pair of photographs, `key_a` and `key_b`, in %.
    image_pairs
        Number of pairs of photographs that support it.
    same_file
        Whether the two photographs of the best pair are the same file, byte for byte.
    same_files
        Number of pairs of photographs in which both are the same file.
    people_a, people_b
        People that the photographs of the best pair show; None if nobody counted them.
    relation
        How the two names relate. It ranks pairs, and decides nothing.
    standing, why
        What people decided, and why it is open again if it is.
    decided_by, decided_at, note
        Who decided, when (UTC, ISO 8601), and what they wrote; None without a decision.
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
    people_a: int | None = None
    people_b: int | None = None
    relation: Relation = Relation.UNKNOWN
    standing: Standing = Standing.UNDECIDED
    why: tuple[NewEvidence, ...] = ()
    decided_by: str | None = None
    decided_at: str | None = None
    note: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the query `pairs`."""
        fields = {name: row[name] for name in cls.__slots__}
        return cls(
            **{
                **fields,
                "relation": known(row["relation"]),
                "standing": Standing(row["standing"]),
                "why": tuple(NewEvidence(why) for why in (row["why"] or "").split()),
            }
        )

    @property
    def identity_a(self) -> Identity:
        """Who the first record is."""
        return Identity(self.name_a, id_in(self.record_a))

    @property
    def identity_b(self) -> Identity:
        """Who the second record is."""
        return Identity(self.name_b, id_in(self.record_b))

    @property
    def shows_several(self) -> bool:
        """Whether a photograph of the best pair shows several people."""
        subject = subject_of_pair(self.people_a, self.people_b)
        return subject is MainSubject.LARGEST_OF_SEVERAL

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
    """Return the pairs of records with a similarity of at least `minimum` %, best first.

    Raises
    ------
    QueryFailed, Unusable
        When Athena cannot be asked.
    """
    rows = athena.run(deployment, queries()["pairs"].sql).by_column()
    return [pair for pair in map(RecordPair.from_row, rows) if pair.similarity >= minimum]


def read_matches(deployment: Deployment, *, minimum: float) -> Matches:
    """Return the pairs as `matches` does, and the photographs of which pairs may be missing."""
    with ThreadPoolExecutor(1) as pool:
        lacking = pool.submit(photographs_lacking, deployment)
        pairs = matches(deployment, minimum=minimum)
    return Matches(pairs, lacking.result())


def photographs_lacking(deployment: Deployment) -> dict[str, NamesLeftOut]:
    """Return the photographs, by key, whose reports leave names out."""
    rows = athena.run(deployment, queries()["left_out"].sql).by_column()
    return {
        row["key"]: NamesLeftOut(row["names_left_out"], more_possible=row["more_names_possible"])
        for row in rows
    }


#: What to do about a report that leaves names out; the command follows.
SEARCH_AGAIN: Final = (
    "Deploy with a larger max_matches or search_threshold, or remove copies of one photograph. "
    "Then search again:"
)


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


def spellings(names: Collection[str]) -> str:
    """Return the names of one record as people see them: the first in order, and the last one."""
    first, last = min(names), max(names)
    return first if first == last else f"{first} / {last}"
