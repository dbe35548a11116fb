"""Who matches whom: pairs of records, each once, whichever side reported it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from facematch.stack import athena
from functions.matching.decisions import NewEvidence, Standing
from functions.matching.faces import NamesLeftOut
from functions.matching.identity import Identity, id_in
from functions.matching.relations import Relation, known
from functions.matching.subjects import MainSubject, subject_of_pair
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from facematch.stack.deployment import Deployment


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


def spellings(names: Collection[str]) -> str:
    """Return the names of one record as people see them: the first in order, and the last one."""
    first, last = min(names), max(names)
    return first if first == last else f"{first} / {last}"
