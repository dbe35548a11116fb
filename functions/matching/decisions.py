"""What people decided about pairs of records, and when new evidence opens a pair again.

A decision is a record of its own: reports stay as they were written.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from functions.matching.identity import Identity, id_in, record_of_name
from functions.matching.images import timestamp
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from functions.matching.faces import Match
    from functions.matching.images import UploadedImage

SCHEMA_VERSION: Final = 1
NOTE_LIMIT: Final = 2000
DECIDED_BY_LIMIT: Final = 100
#: So far may the clock be wrong where somebody decided; a decision that is dated later would stay
#: the newest, whatever is decided after it.
CLOCK_TOLERANCE: Final = timedelta(days=1)
#: A payload between states carries no more of them, since it may have 256 KiB in all; the report
#: names the rest.
REOPENED_LIMIT: Final = 5


#: Columns that say what the person saw.
SEEN: Final = ("versions", "keys", "face_ids")


class Shown(NamedTuple):
    """A photograph that is evidence.

    Attributes
    ----------
    version
        Digest of the object version; None if it is not known.
    face_id
        Of the face that looks like one of the other record.
    """

    key: str
    version: str | None
    face_id: str


class Decided(StrEnum):
    """What a person says of two records; UNDECIDED takes an earlier decision back."""

    SAME_PERSON = "SAME_PERSON"
    DIFFERENT_PEOPLE = "DIFFERENT_PEOPLE"
    UNSURE = "UNSURE"
    UNDECIDED = "UNDECIDED"


class Standing(StrEnum):
    """How a pair of records stands: as it was decided, or open again because of new evidence."""

    SAME_PERSON = "SAME_PERSON"
    DIFFERENT_PEOPLE = "DIFFERENT_PEOPLE"
    UNSURE = "UNSURE"
    UNDECIDED = "UNDECIDED"
    REOPENED = "REOPENED"


class NewEvidence(StrEnum):
    """Why a pair that was decided to be different people is open again."""

    HIGHER_SIMILARITY = "HIGHER_SIMILARITY"
    NEW_PHOTOGRAPH = "NEW_PHOTOGRAPH"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One person's decision about two records, and the evidence that it was made on.

    Attributes
    ----------
    record_a, record_b
        Their keys, in order, so that a pair has one decision.
    name_a, name_b
        Their names, as the person saw them.
    similarity
        The best that the person saw, %.
    versions
        Digests of the photographs, of both records, that the person saw as evidence. A face model
        of another version gives new ids to all faces, but the photographs stay the same.
    keys
        Of the same photographs. They count alone where no version is known, and in a decision that
        was made on another stack, which has no `versions`.
    face_ids
        Of the faces that the person saw: all that a decision of an earlier version knows.
    decided_at
        UTC.
    """

    record_a: str
    record_b: str
    name_a: str
    name_b: str
    decision: Decided
    note: str
    decided_by: str
    decided_at: datetime
    similarity: float
    versions: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    face_ids: frozenset[str] = frozenset()

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, now: datetime | None = None) -> Self:
        """Read a decision, checked: it comes from a file that people handle.

        Parameters
        ----------
        now
            When given, no decision may be dated later, by more than `CLOCK_TOLERANCE`.

        Raises
        ------
        ValueError
            Saying which field is missing or impossible; never naming a person.
        """
        (record_a, name_a), (record_b, name_b) = sorted(_side(record, side) for side in ("a", "b"))
        if record_a == record_b:
            raise ValueError("both sides are the same record: a decision is about two records")
        seen = {column: _texts(record, column) for column in SEEN}
        if not any(seen.values()):
            raise ValueError("versions, keys and face_ids are missing: which photographs were seen")
        return cls(
            record_a=record_a,
            record_b=record_b,
            name_a=name_a,
            name_b=name_b,
            decision=_decided(record),
            note=_text(record, "note", limit=NOTE_LIMIT, may_be_empty=True),
            decided_by=_text(record, "decided_by", limit=DECIDED_BY_LIMIT),
            decided_at=_moment(record, now),
            similarity=_percentage(record),
            **seen,
        )

    @property
    def records(self) -> tuple[str, str]:
        """The keys of the two records, in order."""
        return self.record_a, self.record_b

    @property
    def keys_in_bucket(self) -> tuple[str, ...]:
        """Where the decision may be in the output bucket, as `decision_keys` returns it."""
        return decision_keys(self.records, (self.name_a, self.name_b))

    @property
    def identities(self) -> tuple[Identity, Identity]:
        """Who the two records are."""
        return (
            Identity(self.name_a, id_in(self.record_a)),
            Identity(self.name_b, id_in(self.record_b)),
        )

    def to_document(self) -> dict[str, Any]:
        """The decision for programs."""
        return {
            **asdict(self),
            "decided_at": timestamp(self.decided_at),
            **{column: sorted(getattr(self, column)) for column in SEEN},
        }

    def to_record(self, *, imported_at: datetime) -> dict[str, Any]:
        """The decision, as it is written."""
        return {
            "schema_version": SCHEMA_VERSION,
            "records_digest": records_digest(*self.records),
            **self.to_document(),
            "imported_at": timestamp(imported_at),
        }

    def new_evidence(
        self, *, similarity: float, photographs: Iterable[Shown]
    ) -> tuple[NewEvidence, ...]:
        """What the evidence has that this decision was not made on.

        Parameters
        ----------
        similarity
            The best now, %.
        photographs
            Of both records, that the evidence is about.
        """
        found = []
        if _as_seen(similarity) > _as_seen(self.similarity):
            found.append(NewEvidence.HIGHER_SIMILARITY)
        if not all(map(self._was_seen, photographs)):
            found.append(NewEvidence.NEW_PHOTOGRAPH)
        return tuple(found)

    def _was_seen(self, photograph: Shown) -> bool:
        if self.versions and photograph.version is not None:
            return photograph.version in self.versions
        if self.keys:
            return photograph.key in self.keys
        return photograph.face_id in self.face_ids


@dataclass(frozen=True, kw_only=True, slots=True)
class Reopened:
    """A pair that was decided to be different people, and is open again.

    Attributes
    ----------
    name, record
        Of the other record.
    why
        What is new.
    decided_by, decided_at, similarity
        Of the decision.
    """

    name: str
    why: tuple[NewEvidence, ...]
    decided_by: str
    decided_at: str
    similarity: float
    record: str = ""

    def __post_init__(self) -> None:
        """Before there were record keys, a payload had none."""
        if not self.record:
            object.__setattr__(self, "record", record_of_name(self.name))

    @property
    def identity(self) -> Identity:
        """Who the other record is."""
        return Identity(self.name, id_in(self.record))

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**payload, "why": tuple(NewEvidence(why) for why in payload["why"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the decisions say of one image's matches.

    Attributes
    ----------
    silenced
        Keys of other records that are decided to be different people, on all present evidence.
    known
        Keys of other records that are confirmed to be the same person. No evidence changes that.
    reopened
        Other records that were silenced before there was stronger evidence.
    """

    silenced: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    reopened: tuple[Reopened, ...] = ()

    @property
    def quiet(self) -> tuple[str, ...]:
        """Keys of other records that notify nobody, for either reason."""
        return self.silenced + self.known


def decision_keys(records: tuple[str, str], names: tuple[str, str]) -> tuple[str, ...]:
    """Return where the pair's decision may be in the output bucket; the first one that is there.

    A new decision is written under the first key. Before there were record keys, a decision was
    named after the two names, as they were written.
    """
    keys = [decision_key(*records)]
    if set(records) == set(map(record_of_name, names)):
        keys.append(f"{Place.DECISIONS}{_digest(*names)}.json")
    return tuple(keys)


def decision_key(record: str, other_record: str) -> str:
    """Return where the decision is written, whichever record comes first."""
    return f"{Place.DECISIONS}{records_digest(record, other_record)}.json"


def records_digest(record: str, other_record: str) -> str:
    """Digest of two record keys, the same in either order: 32 hexadecimal characters."""
    return _digest(record, other_record)


def standing(
    decision: Decision | None, *, similarity: float, photographs: Iterable[Shown]
) -> tuple[Standing, tuple[NewEvidence, ...]]:
    """How a pair of records stands, given all the evidence about it, and why it is open again.

    Only DIFFERENT_PEOPLE opens again. SAME_PERSON is known, and new evidence only supports it; the
    other decisions silence nothing.
    """
    if decision is None:
        return Standing.UNDECIDED, ()
    if decision.decision is Decided.DIFFERENT_PEOPLE:
        found = decision.new_evidence(similarity=similarity, photographs=photographs)
        if found:
            return Standing.REOPENED, found
    return Standing(decision.decision), ()


def judgement(
    matches: Iterable[Match],
    decisions: Mapping[str, Decision],
    *,
    own: UploadedImage,
    versions: Mapping[str, str] = MappingProxyType({}),
) -> Judgement:
    """Which of an image's matches notify nobody, and which pairs are open again.

    Parameters
    ----------
    matches
        Of the image, those that would notify.
    decisions
        About the image's record and another one, by the other's key.
    own
        The image.
    versions
        Digests of the other photographs, by their keys, as far as they are known.
    """
    by_record: dict[str, list[Match]] = {}
    for match in matches:
        by_record.setdefault(match.record, []).append(match)
    silenced, known, reopened = [], [], []
    for record, evidence in by_record.items():
        decision = decisions.get(record)
        stands, why = standing(
            decision,
            similarity=max(match.similarity for match in evidence),
            photographs=[
                photograph
                for match in evidence
                for photograph in (
                    Shown(own.key, own.digest, match.searched_face_id),
                    Shown(match.key, versions.get(match.key), match.face_id),
                )
            ],
        )
        if stands is Standing.DIFFERENT_PEOPLE:
            silenced.append(record)
        elif stands is Standing.SAME_PERSON:
            known.append(record)
        elif stands is Standing.REOPENED and decision is not None:
            reopened.append(
                Reopened(
                    name=evidence[0].name,
                    record=record,
                    why=why,
                    decided_by=decision.decided_by,
                    decided_at=timestamp(decision.decided_at),
                    similarity=decision.similarity,
                )
            )
    return Judgement(silenced=tuple(silenced), known=tuple(known), reopened=tuple(reopened))


def _digest(one: str, other: str) -> str:
    text = json.dumps(sorted((one, other)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def records_decided(line: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of the two records that a decision, as it is written, is about."""
    return frozenset(
        line.get(f"record_{side}") or record_of_name(line[f"name_{side}"]) for side in ("a", "b")
    )


def _side(record: Mapping[str, Any], side: str) -> tuple[str, str]:
    """Return the record key and the name of one side; an old decision has a name only."""
    name = _text(record, f"name_{side}")
    # A page of an earlier version knows names only.
    has_record = bool(record.get(f"record_{side}"))
    return (_text(record, f"record_{side}") if has_record else record_of_name(name)), name


def _as_seen(similarity: float) -> int:
    """Hundredths of a per cent, cut: what people see, so that no rounding error is new evidence."""
    return math.floor(similarity * 100 + 1e-9)


def _text(
    record: Mapping[str, Any], field: str, *, limit: int = 1024, may_be_empty: bool = False
) -> str:
    value = record.get(field, "" if may_be_empty else None)
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        raise ValueError(f"{field} is missing")
    if len(value) > limit:
        raise ValueError(f"{field} has {len(value):,} characters, and may have {limit:,}")
    if not _is_text(value):
        raise ValueError(f"{field} holds half of a character (a surrogate)")
    return value


def _is_text(value: str) -> bool:
    """Whether it can be written: JSON can spell halves of characters, UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _decided(record: Mapping[str, Any]) -> Decided:
    value = record.get("decision")
    if value not in list(Decided):
        raise ValueError(f"decision is {value!r}, and is one of {', '.join(Decided)}")
    return Decided(value)


def _moment(record: Mapping[str, Any], now: datetime | None) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(record, "decided_at"))
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("decided_at is not a time in ISO 8601 with its offset from UTC")
    if now is not None and moment - now > CLOCK_TOLERANCE:
        raise ValueError(
            f"decided_at is {timestamp(moment)}, and now it is {timestamp(now)}: the clock of the "
            "machine where it was decided was wrong, or the clock of this one is"
        )
    return moment


def _percentage(record: Mapping[str, Any]) -> float:
    value = record.get("similarity")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:  # noqa: PLR2004 - per cent
        raise ValueError("similarity is not a number from 0 to 100")
    return float(value)


def _texts(record: Mapping[str, Any], field: str) -> frozenset[str]:
    value = record.get(field, [])
    if not isinstance(value, list) or not all(isinstance(i, str) and i for i in value):
        raise ValueError(f"{field} is not a list of texts")
    if not all(map(_is_text, value)):
        raise ValueError(f"{field} holds half of a character (a surrogate)")
    return frozenset(value)
