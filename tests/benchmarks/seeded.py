"""A stack's records, computed from numbers: as many as one likes, none of them kept in memory.

A block of eleven object keys has ten photographs and one deleted object. One of the ten photographs
has overwritten an earlier version. So of 1,000,000 photographs there are 1,300,000 versions and
delete markers. Four keys in a row carry one name.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from functions.matching.decisions import Decided, Decision
from functions.matching.failures import Failure, FailureStatus, Lacking, failure_record
from functions.matching.identity import compiled_names_from, identity_in
from functions.matching.images import UploadedImage, timestamp
from functions.matching.matches import pair_id
from functions.matching.places import Place
from functions.matching.register import Entry, Register, register_key
from functions.matching.reports import match_rows, record_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from functions.matching.identity import Identity

NAMES_FROM: Final = "folder"
DAYS: Final = 30
MATCHING: Final = "arn:aws:states:eu-central-1:111122223333:stateMachine:Matching"
_PATTERN: Final = compiled_names_from(NAMES_FROM)
_BLOCK: Final = 11
_DELETED: Final = 10
_OVERWRITTEN: Final = 3
_OF_ONE_NAME: Final = 4
_BOX: Final = {"left": 0.25, "top": 0.25, "width": 0.25, "height": 0.375}
#: Every n-th photograph has this fate, from which one on: n, and the first.
_FAILED: Final = (200, 7)
_NO_FACE: Final = (50, 9)
_LOST_ITS_FACE: Final = (10_000, 11)
_RUNS_AGAIN: Final = (100, 1)
#: Every n-th pair is decided, shows two people on one photograph, leaves names out, is a conflict
#: of one record, or has a notification that failed: n for each.
_DECIDED, _CROWDS, _LEFT_OUT, _CONFLICTS, _UNDELIVERED = 10, 10, 50, 25, 250


class Kind(Enum):
    """What became of a version."""

    MATCHED = auto()
    UNIQUE = auto()
    NO_FACE = auto()
    REJECTED = auto()
    FAILED = auto()
    DELETED = auto()

    @property
    def has_report(self) -> bool:
        """Whether the search was done."""
        return self in {Kind.MATCHED, Kind.UNIQUE, Kind.NO_FACE}


class Version(NamedTuple):
    """A version by its numbers: of its key, and whether another one has overwritten it."""

    slot: int
    older: bool = False

    @property
    def number(self) -> int:
        """One number for both."""
        return 2 * self.slot + self.older


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """What is in the stack.

    Attributes
    ----------
    photographs
        Keys with a current version.
    pairs
        Pairs of records: half as many as photographs with a match.
    last_day
        Of the uploads, which are spread over `DAYS` days.
    """

    photographs: int
    pairs: int
    last_day: date
    bucket: str = "the-images"

    @property
    def slots(self) -> int:
        """Keys, of deleted objects too."""
        return self.photographs // (_BLOCK - 1) * _BLOCK

    # -- versions ------------------------------------------------------------------------------

    def key(self, slot: int) -> str:
        """Return the key of that number; keys ascend with the numbers."""
        return f"images/Person_{slot // _OF_ONE_NAME:07}/{slot:08}.jpg"

    def slot_of(self, key: str) -> int:
        """Return the number of a key."""
        return int(key.rpartition("/")[2].partition(".")[0])

    def identity(self, slot: int) -> Identity:
        """Return the name that the key carries."""
        found = identity_in(self.key(slot), _PATTERN)
        assert found
        return found

    def versions_of(self, slot: int) -> list[Version]:
        """Return the versions of a key, the newest first."""
        older = [Version(slot, older=True)] if slot % _BLOCK == _OVERWRITTEN else []
        return [Version(slot), *older]

    def versions(self) -> Iterator[Version]:
        """Yield every version, in the order of a listing."""
        for slot in range(self.slots):
            yield from self.versions_of(slot)

    def is_deleted(self, slot: int) -> bool:
        """Tell whether a delete marker is the newest entry of the key."""
        return slot % _BLOCK == _DELETED

    def uploaded(self, version: Version) -> datetime:
        """Return when a version came; later keys came later."""
        first = datetime.combine(self.last_day, datetime.min.time(), UTC) - timedelta(days=DAYS - 1)
        seconds = version.slot * DAYS * 86_400 // self.slots
        return first + timedelta(seconds=seconds) - timedelta(hours=version.older)

    def image(self, version: Version) -> UploadedImage:
        """Return the version as S3 lists it."""
        text = f"{version.number:032x}"
        return UploadedImage(
            bucket=self.bucket,
            key=self.key(version.slot),
            version_id=text,
            etag=text,
            size=100_000 + version.number % 9973,
            last_modified=self.uploaded(version),
        )

    # -- what became of them -------------------------------------------------------------------

    def photograph(self, number: int) -> Version:
        """Return the current version of a photograph."""
        return Version(number // (_BLOCK - 1) * _BLOCK + number % (_BLOCK - 1))

    def _number(self, slot: int) -> int:
        return slot // _BLOCK * (_BLOCK - 1) + slot % _BLOCK

    @property
    def _stride(self) -> int:
        return self.photographs // (2 * self.pairs)

    def matched(self, number: int) -> Version:
        """Return a photograph with a match: 2k and 2k + 1 match each other."""
        return self.photograph(number * self._stride + 5)

    def _match_of(self, version: Version) -> int | None:
        place, rest = divmod(self._number(version.slot) - 5, self._stride)
        return place if rest == 0 and place < 2 * self.pairs and not version.older else None

    def _every(self, choice: tuple[int, int]) -> Iterator[Version]:
        return map(self.photograph, range(choice[1], self.photographs, choice[0]))

    def _is(self, choice: tuple[int, int], version: Version) -> bool:
        return not version.older and self._number(version.slot) % choice[0] == choice[1]

    def kind(self, version: Version) -> Kind:
        """Tell what became of a version."""
        if version.older:
            return Kind.UNIQUE
        if self.is_deleted(version.slot):
            return Kind.DELETED
        if self._match_of(version) is not None:
            return Kind.MATCHED
        if self._is(_FAILED, version):
            fifth = self._number(version.slot) // _FAILED[0] % 5 == 0
            return Kind.FAILED if fifth else Kind.REJECTED
        return Kind.NO_FACE if self._is(_NO_FACE, version) else Kind.UNIQUE

    def failures(self) -> Iterator[Version]:
        """Yield the versions with a failure record."""
        return (v for v in self._every(_FAILED) if not self.kind(v).has_report)

    def reported(self) -> Iterator[Version]:
        """Yield the versions with a report; those of deleted objects have left with them."""
        return (version for version in self.versions() if self.kind(version).has_report)

    def undelivered(self) -> Iterator[Version]:
        """Yield the versions with a match that nobody was notified of."""
        return (self.matched(2 * pair + 1) for pair in range(0, self.pairs, _UNDELIVERED))

    def running(self) -> Iterator[Version]:
        """Yield the versions that are searched again just now."""
        return self._every(_RUNS_AGAIN)

    def runs_again(self, version: Version) -> bool:
        """Tell whether it is one of them."""
        return self._is(_RUNS_AGAIN, version)

    def registered(self) -> Iterator[int]:
        """Yield the numbers of the keys with a register."""
        return (
            slot
            for slot in range(self.slots)
            if self.kind(Version(slot)) not in {Kind.REJECTED, Kind.FAILED}
            or slot % _BLOCK == _OVERWRITTEN
        )

    def face_id(self, version: Version) -> str:
        """Return the id of its face."""
        return f"{version.number:08x}-0000-4000-8000-{version.number:012x}"

    def version_of_face(self, face_id: str) -> Version:
        """Return the version that has the face."""
        number = int(face_id[:8], 16)
        return Version(number // 2, older=bool(number % 2))

    def with_a_face(self) -> Iterator[Version]:
        """Yield the versions whose face is in the collection; a few have lost it."""
        for slot in range(self.slots):
            version = Version(slot)
            has_one = self.kind(version) in {Kind.MATCHED, Kind.UNIQUE}
            if has_one and not self._is(_LOST_ITS_FACE, version):
                yield version

    # -- pairs ---------------------------------------------------------------------------------

    def similarity(self, pair: int) -> float:
        """Return how similar a pair is: every one above the usual threshold, the first the most."""
        return 99.99 - 0.98 * pair / self.pairs

    def is_decided(self, pair: int) -> bool:
        """Tell whether people have decided about a pair."""
        return pair % _DECIDED == 0

    def people(self, pair: int) -> int:
        """Return how many people the first photograph of a pair shows."""
        return 2 if pair % _CROWDS == 0 else 1

    def lacking(self) -> range:
        """Return the pairs whose first photograph leaves names out."""
        return range(0, self.pairs, _LEFT_OUT)

    def conflicts(self) -> Iterator[tuple[Version, Version]]:
        """Yield photographs that resemble no other one of their record, each with such a one."""
        for pair in range(0, self.pairs, _CONFLICTS):
            version = self.matched(2 * pair)
            for other in self.of_the_name(version.slot):
                if other != version and self.kind(other) in {Kind.MATCHED, Kind.UNIQUE}:
                    yield version, other
                    break

    def of_the_name(self, slot: int) -> list[Version]:
        """Return every version under the name of a key."""
        first = slot // _OF_ONE_NAME * _OF_ONE_NAME
        slots = range(first, min(first + _OF_ONE_NAME, self.slots))
        return [version for each in slots for version in self.versions_of(each)]

    def other_side(self, version: Version) -> Version | None:
        """Return the photograph that a version matches."""
        number = self._match_of(version)
        return None if number is None else self.matched(number ^ 1)

    # -- records -------------------------------------------------------------------------------

    def record_key(self, place: Place, version: Version) -> str:
        """Return the key of a record in the output bucket."""
        return record_key(place, self.uploaded(version).date().isoformat(), self.digest(version))

    def digest(self, version: Version) -> str:
        """Return the digest of a version."""
        return self.image(version).digest

    def register_key(self, slot: int) -> str:
        """Return the key of a register."""
        return register_key(self.bucket, self.key(slot))

    def decisions(self) -> range:
        """Return the pairs with a decision."""
        return range(0, self.pairs, _DECIDED)

    def decision(self, pair: int) -> dict[str, Any]:
        """Return a decision, as it was written."""
        a, b = self.matched(2 * pair), self.matched(2 * pair + 1)
        one, other = self.identity(a.slot), self.identity(b.slot)
        decision = Decision(
            record_a=one.record,
            record_b=other.record,
            name_a=one.name,
            name_b=other.name,
            decision=Decided.DIFFERENT_PEOPLE,
            note="seen",
            decided_by="somebody",
            decided_at=self.uploaded(b) + timedelta(hours=2),
            similarity=self.similarity(pair),
            versions=frozenset({self.digest(a), self.digest(b)}),
            keys=frozenset({self.key(a.slot), self.key(b.slot)}),
            face_ids=frozenset({self.face_id(a), self.face_id(b)}),
        )
        return decision.to_record(imported_at=decision.decided_at)

    def execution(self, version: Version) -> str:
        """Return the ARN of the execution of a version."""
        name = self.image(version).execution_name
        return f"{MATCHING.replace(':stateMachine:', ':execution:')}:{name}"

    def record(self, place: Place, version: Version) -> list[dict[str, Any]]:
        """Return the lines of a version's record; none where it has no such record."""
        kind = self.kind(version)
        if place == Place.REPORTS:
            return [self.report(version)] if kind.has_report else []
        if place == Place.MATCHES:
            return match_rows(self.report(version)) if kind is Kind.MATCHED else []
        if place == Place.FAILURES:
            return [self.failure(version)] if kind in {Kind.REJECTED, Kind.FAILED} else []
        if place == Place.DELIVERY_FAILURES:
            number = self._match_of(version)
            fails = number is not None and number % 2 == 1 and number // 2 % _UNDELIVERED == 0
            return [self.failure(version, Lacking.DELIVERY)] if fails else []
        return []

    def report(self, version: Version) -> dict[str, Any]:
        """Return a report, as schema version 3 has it."""
        image, identity, kind = self.image(version), self.identity(version.slot), self.kind(version)
        number = self._match_of(version)
        matches = []
        best = 0.0
        people = 1
        if number is not None:
            other = self.matched(number ^ 1)
            best = self.similarity(number // 2)
            people = self.people(number // 2) if number % 2 == 0 else 1
            whom = self.identity(other.slot)
            matches = [
                {
                    "pair_id": pair_id(self.face_id(version), self.face_id(other)),
                    "name": whom.name,
                    "record": whom.record,
                    "relation": "UNRELATED",
                    "key": self.key(other.slot),
                    "face_id": self.face_id(other),
                    "similarity": best,
                    "box": _BOX,
                    "prominent_faces": 1,
                }
            ]
        has_face = kind is not Kind.NO_FACE
        face = {
            "face_id": self.face_id(version),
            "box": _BOX,
            "confidence": 99.9,
            "sharpness": 80.0,
            "brightness": 80.0,
            "matches": matches,
        }
        bystander = {"box": {**_BOX, "left": 0.625}, "reasons": ["EXCEEDS_MAX_FACES"]}
        return {
            "schema_version": 3,
            **image.columns,
            "name": identity.name,
            "record": identity.record,
            "status": kind.name,
            "searched_at": timestamp(image.last_modified + timedelta(seconds=3)),
            "face_model_version": "7.0",
            "search_threshold": 80.0,
            "notify_threshold": 99.0,
            "faces_in_image": people * has_face,
            "faces": [face] if has_face else [],
            "face_ids": [self.face_id(version)] if has_face else [],
            "unindexed_faces": [bystander] if people > 1 else [],
            "subject": None,
            "prominent_faces": people * has_face,
            "best_similarity": best,
            "best_open_similarity": best,
            "notify_similarity": best,
            "silenced": [],
            "known": [],
            "reopened": [],
            "above_threshold": best >= 99.0,
            "other_name_matches": len(matches),
            "matches_left_out": 0,
            "names_left_out": 0,
            "more_names_possible": False,
            "best_left_out_similarity": 0.0,
            "same_name_matches": 0,
            "look_alikes_left_out": 0,
            "unattributed_matches": 0,
            "execution_arn": self.execution(version),
        }

    def failure(self, version: Version, lacking: Lacking = Lacking.OUTCOME) -> dict[str, Any]:
        """Return a failure record."""
        rejected = self.kind(version) is Kind.REJECTED
        failure = Failure(
            status=FailureStatus.REJECTED if rejected else FailureStatus.FAILED,
            step="IndexFaces" if lacking is Lacking.OUTCOME else "NotifyMatch",
            error="ImageRejected" if rejected else "Unavailable",
            cause="NOT_JPEG_OR_PNG" if rejected else "a service failed",
            execution_arn=self.execution(version),
            failed_at=self.uploaded(version) + timedelta(seconds=5),
        )
        return failure_record(self.image(version), failure, names_from=_PATTERN, lacking=lacking)

    def register(self, slot: int) -> Register:
        """Return the register of a key: who has left stands in it without faces."""
        entries = {}
        for version in self.versions_of(slot):
            kind = self.kind(version)
            stays = not version.older and kind in {Kind.MATCHED, Kind.UNIQUE}
            if kind not in {Kind.REJECTED, Kind.FAILED}:
                entries[self.digest(version)] = Entry(
                    day=self.uploaded(version).date().isoformat(),
                    face_ids=(self.face_id(version),) if stays else (),
                    prominent_faces=1,
                )
        return Register(entries)


class Digests:
    """Which version, or register, a digest names: a table on disk, made beforehand."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, check_same_thread=False)
        self._database.execute("PRAGMA cache_size = -256")

    @classmethod
    def write(cls, file: Path, seeded: Seeded) -> None:
        """Make the table."""
        rows = [(bytes.fromhex(seeded.digest(v)), v.number) for v in seeded.versions()]
        rows += [
            (bytes.fromhex(seeded.register_key(slot).rpartition("/")[2][:32]), -1 - slot)
            for slot in seeded.registered()
        ]
        rows.sort()
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE named (digest BLOB PRIMARY KEY, number) WITHOUT ROWID")
            database.executemany("INSERT INTO named VALUES (?, ?)", rows)

    def _number(self, digest: str) -> int | None:
        asked = (bytes.fromhex(digest),)
        found = self._database.execute("SELECT number FROM named WHERE digest = ?", asked)
        row = found.fetchone()
        return None if row is None else int(row[0])

    def version(self, digest: str) -> Version | None:
        """Return the version of the digest."""
        number = self._number(digest)
        if number is None or number < 0:
            return None
        return Version(number // 2, older=bool(number % 2))

    def register(self, digest: str) -> int | None:
        """Return the number of the key whose register has the digest."""
        number = self._number(digest)
        return None if number is None or number >= 0 else -1 - number
