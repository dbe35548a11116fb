"""Forget a person or a photograph: find everything about them, delete what can be deleted.

First the photographs, so that nothing can bring the rest back: an execution that is on its way
takes back what it has written when its image is gone. Then the faces and the records. Then whatever
may still write of them has to end: messages that wait in the queue, and executions that run, other
people's too. At last everything is looked for again. Safe to interrupt and to repeat.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote_plus

from facematch.errors import Actionable, Unusable
from facematch.operations.query import literal
from facematch.stack import athena
from facematch.stack.executions import Executions
from facematch.stack.faces import listed_faces, remove_faces
from facematch.stack.objects import Bucket, Entry
from facematch.stack.queues import DeadLetter, DeadLetters, depth, send_again
from facematch.stack.records import Record, Records, image_recorded
from functions.matching.decisions import records_decided
from functions.matching.identity import (
    id_in,
    identity_in,
    record_of_id,
    record_of_name,
    record_of_photograph,
)
from functions.matching.images import timestamp
from functions.matching.places import MAY_NAME_ANYBODY, Place
from functions.matching.register import register_key
from functions.matching.reports import (
    is_above_threshold,
    is_cut,
    record_key,
    record_matched,
    record_of,
    without_matches,
)
from workflow.queries import command_queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from facematch.stack.deployment import Deployment
    from facematch.stack.executions import Execution
    from functions.matching.images import UploadedImage


_PATIENCE_SECONDS: Final = 900
#: A queue that holds no more than what this command has caused itself is empty sooner.
QUEUE_PATIENCE_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.5
_HISTORY_DAYS: Final = 90
#: Where records of photographs are, reports first: the delivery failures depend on those.
_WITH_PHOTOGRAPHS: Final = (
    *(Place.REPORTS, Place.MATCHES, Place.LOOK_ALIKES, Place.FAILURES, Place.DELIVERY_FAILURES),
)
#: What each kind of thing is called where people see it, in the order in which it is deleted.
KINDS: Final = {
    "versions": "object versions and delete markers",
    "faces": "faces in the collection",
    "records": "reports, match and look-alike rows, failure records",
    "mentions": "records of other people that mention them",
    "decisions": "decisions about them",
    "registers": "registers of their faces",
    "results": "results of queries and inventories, which may name anybody",
    "dead_letters": "dead letters",
    "dashboards": "evidence pages on this machine, which may show anybody",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who is to be forgotten: a record with all its photographs, or the photographs under one key.

    Attributes
    ----------
    record
        Record key; None when only an object's key is forgotten.
    key
        Of the object, whole.
    """

    record: str | None
    key: str | None = None

    @property
    def value(self) -> str:
        """The name, the record id or the key."""
        return self.key or "" if self.record is None else self.record.partition(":")[2]

    @property
    def kind(self) -> str:
        """What was given: "name", "id" or "key"."""
        if self.record is None:
            return "key"
        return "name" if id_in(self.record) is None else "id"

    @classmethod
    def named(cls, name: str) -> Person:
        """Return the record that has this name and no record id."""
        return cls(record_of_name(name))

    @classmethod
    def with_id(cls, record_id: str) -> Person:
        """Return the record with this record id, whatever its names."""
        return cls(record_of_id(record_id))

    def is_meant(self, key: str, record: str | None) -> bool:
        """Tell whether a photograph is theirs, by its key and the record that it shows."""
        return record == self.record if self.record is not None else key == self.key


@dataclass(slots=True)
class Found:
    """Everything about a person.

    Attributes
    ----------
    versions
        Delete markers, too.
    images
        Object versions that had executions, for the histories of those.
    records
        Keys in the output bucket of what is theirs alone.
    mentions
        By key what is about others too: what of it is left, as it is to be written.
    cut
        Photographs of others whose reports mention the person and list less than was found. They
        are searched again, since what was left out may take the person's place.
    unread_letters
        Dead letters in which no key can be found, and so nobody.
    """

    versions: list[Entry] = field(default_factory=list)
    images: list[UploadedImage] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    faces: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    mentions: dict[str, Record] = field(default_factory=dict)
    cut: list[UploadedImage] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    registers: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    unread_letters: int = 0
    dashboards: list[Path] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {kind: len(getattr(self, kind)) for kind in KINDS}

    def names(self) -> dict[str, list[str]]:
        """Return what identifies each thing, by kind: a key, a face id, a path."""
        return {
            "versions": [f"{entry.key} (version {entry.version_id})" for entry in self.versions],
            "dead_letters": [
                ", ".join(sorted(_keys_in(letter.body))) for letter in self.dead_letters
            ],
            "dashboards": [str(folder) for folder in self.dashboards],
            **{
                kind: list(getattr(self, kind))
                for kind in ("faces", "records", "mentions", "decisions", "registers", "results")
            },
        }

    def is_about_them(self) -> bool:
        """Whether anything is left that is certainly about them."""
        counts = self.counts()
        return any(counts[kind] for kind in KINDS if kind not in {"results", "dashboards"})


class DeletedPage(Protocol):
    """What became of an evidence page."""

    @property
    def pages(self) -> list[Path]:
        """The page, and what an interruption had left beside it."""

    @property
    def left(self) -> list[Path]:
        """What could not be deleted."""

    def left_words(self) -> str:
        """Say what is left, why, and what to do."""


class EvidencePages(Protocol):
    """The evidence pages on this machine, which may show anybody."""

    def listed_of(self, stack_name: str, *, local: bool) -> list[Path]:
        """Folders of the stack's pages."""

    def delete(self, folder: Path) -> DeletedPage:
        """Delete the page in the folder; raises `Unusable` where there is none of ours."""

    def drop_stale(self, stack_name: str, *, local: bool) -> list[Path]:
        """Take folders off the list that hold no page any more; which."""

    def delete_command(self, folder: Path) -> str:
        """What deletes the page, for a shell."""


class Forgetting:
    """Finds and deletes, in one deployment.

    Attributes
    ----------
    pages_left
        Evidence pages of which something could not be deleted, each with the reason and what to do.
    pages_gone
        Folders where a page was written and none is any more.
    namesakes
        Ids of records that have the person's name, and are not meant, since each may be another
        person.
    searched_again
        Digests of other people's photographs that were sent through the queue again.
    """

    def __init__(self, deployment: Deployment, person: Person, pages: EvidencePages) -> None:
        self._deployment = deployment
        self._person = person
        self._images = Bucket.images(deployment)
        self._dead_letters = DeadLetters(deployment)
        self._records = Records(deployment)
        self._executions = Executions(deployment)
        self._pages = pages
        self.pages_left: dict[Path, str] = {}
        self.pages_gone: set[Path] = set()
        self.namesakes: set[str] = set()
        self.searched_again: set[str] = set()

    def find(self) -> Found:
        """Everything that there is now."""
        found = Found()
        self._find_versions(found)
        for face_id, key in self._faces():
            if self._person.is_meant(key, self._record(key)):
                found.faces.append(face_id)
                found.keys.add(key)
        self._find_records(found)
        self._find_decisions(found)
        bucket = self._deployment.images_bucket
        found.registers = [
            key
            for key in (register_key(bucket, key) for key in sorted(found.keys))
            if self._records.exists(key)
        ]
        for place in MAY_NAME_ANYBODY:
            found.results += self._records.keys(place)
        self._find_dead_letters(found)
        found.dashboards = self._pages.listed_of(
            self._deployment.stack_name, local=self._deployment.local
        )
        return found

    def delete(self, found: Found) -> Counter[str]:
        """Delete what was found; how many of each kind.

        Raises
        ------
        Actionable
            When something on AWS cannot be deleted; repeating goes on. A page that cannot be
            stops nothing: it is in `pages_left`.
        """
        deleted: Counter[str] = Counter()
        self._images.delete_versions(found.versions)
        deleted["versions"] = len(found.versions)
        deleted["faces"] = remove_faces(self._deployment, found.faces)
        deleted["mentions"] = self._take_mentions_out(found)
        for kind in ("records", "decisions", "registers", "results"):
            keys = getattr(found, kind)
            self._records.delete(keys)
            deleted[kind] = len(keys)
        self._dead_letters.delete(found.dead_letters)
        deleted["dead_letters"] = len(found.dead_letters)
        deleted["dashboards"] = self._delete_pages(found.dashboards)
        return deleted

    def _take_mentions_out(self, found: Found) -> int:
        """Write what is left of other people's records, and search again for cut reports.

        Match rows come last, after the reports. While a row mentions the person, the query finds
        the report beside it when an interrupted command is repeated.
        """
        for image in found.cut:
            if self._images.is_current(image):
                send_again(self._deployment, image)
                self.searched_again.add(image.digest)
        changed = 0
        for key in sorted(found.mentions, key=lambda key: key.startswith(Place.MATCHES)):
            record = found.mentions[key]
            if record.lines:
                # What an execution has written meanwhile is left alone, and looked at again.
                changed += self._records.rewrite(record)
            else:
                self._records.delete([key])
                changed += 1
        return changed

    def queued(self) -> int:
        """How many messages are in the intake queue, those in flight included: about, says SQS."""
        return depth(self._deployment, self._deployment.queue_url).total

    def wait_for_queue(self, deadline: float) -> None:
        """Wait until no message is left, or until then by `time.monotonic`."""
        while self.queued() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def wait_until_quiet(self, images: Iterable[UploadedImage]) -> None:
        """Wait for every execution that may write of them: about these versions, then all.

        An execution about another person that has searched before the faces were deleted writes
        down what it has found; one that is started later finds nothing, and is not waited for.
        Those about these versions end first: until it notices, one may index a face again, and
        others may find that.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        names = {image.execution_name for image in images}
        self._wait_for(
            # By their names too, since a listing may lag behind.
            {self._executions.arn(name) for name in names}
            | {e.arn for e in self._running() if e.version_name in names},
            deadline,
        )
        running = list(self._running())
        # Whoever's clock is behind: nothing that runs now is left out.
        newest = max([datetime.now(UTC), *(execution.started for execution in running)])
        ended: set[str] = set()
        while left := {e.arn for e in running if e.started <= newest} - ended:
            self._wait_for(left, deadline)
            ended |= left
            running = list(self._running())  # the listing before may have lacked some

    def _running(self) -> Iterator[Execution]:
        return self._executions.listed(statuses=("RUNNING",))

    def _wait_for(self, arns: Iterable[str], deadline: float) -> None:
        for arn in arns:
            while (described := self._executions.described(arn)) and described.is_running:
                if time.monotonic() > deadline:
                    raise Actionable(
                        f"The execution {arn} still runs. Stop it, or repeat the command when it "
                        "has ended: until then it may write about them."
                    )
                time.sleep(_POLL_SECONDS)

    def histories(self, images: Iterable[UploadedImage]) -> tuple[int, datetime | None]:
        """How many executions Step Functions keeps about them, and until when at most."""
        ends = []
        for image in images:
            described = self._executions.described(self._executions.arn(image.execution_name))
            if described:
                ends.append(described.stopped or datetime.now(UTC))
        return len(ends), max(ends) + timedelta(days=_HISTORY_DAYS) if ends else None

    def write_audit_line(self, deleted: Counter[str]) -> str:
        """Write down that somebody was forgotten, when and by whom, and not who; its key."""
        moment = datetime.now(UTC)
        record = {
            "schema_version": 1,
            "forgotten_at": timestamp(moment),
            "by": self._deployment.caller(),
            "what": self._person.kind,
            "deleted": dict(deleted),
        }
        key = f"{Place.FORGOTTEN}{moment:%Y-%m-%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.json"
        self._records.write(key, [record], replaces=None)
        return key

    def _find_versions(self, found: Found) -> None:
        for entry in self._images.listed(self._person.key or self._deployment.image_prefix):
            shown = identity_in(entry.key, self._deployment.names_from)
            if shown and shown.id and record_of_name(shown.name) == self._person.record:
                self.namesakes.add(shown.id)
            if self._person.is_meant(entry.key, shown.record if shown else None):
                found.keys.add(entry.key)
                found.versions.append(entry)
                if entry.image:
                    found.images.append(entry.image)

    def _faces(self) -> Iterator[tuple[str, str]]:
        """Id and key of every face that this project has put into the collection."""
        for face in listed_faces(self._deployment):
            if face.key is not None:
                yield face.face_id, face.key

    def _find_records(self, found: Found) -> None:
        about = self._record_keys()
        mentioning = {key.removeprefix(Place.REPORTS) for key in about[Place.REPORTS]}
        # The notification of somebody else's report may have failed, and be owed no more.
        about[Place.DELIVERY_FAILURES] |= {f"{Place.DELIVERY_FAILURES}{key}" for key in mentioning}
        for place, keys in about.items():
            for record in self._records.read_each(sorted(keys)):
                lines = record.lines
                if not lines:  # deleted meanwhile, or a delivery that has not failed
                    continue
                if any(self._person.is_meant(line["key"], record_of(line)) for line in lines):
                    found.records.append(record.key)
                    found.keys.update(line["key"] for line in lines)
                elif place in {Place.REPORTS, Place.MATCHES, Place.LOOK_ALIKES}:
                    left = [self._without(place, line) for line in lines]
                    changed = [line for line in left if line is not None]
                    if changed != lines:
                        found.mentions[record.key] = record._replace(lines=changed)
                        if place == Place.REPORTS:
                            found.cut += [image_recorded(line) for line in lines if is_cut(line)]
                elif place == Place.DELIVERY_FAILURES:
                    report = found.mentions.get(record.key.replace(place, Place.REPORTS, 1))
                    if report and not any(map(is_above_threshold, report.lines)):
                        found.mentions[record.key] = record._replace(lines=[])

    def _record_keys(self) -> dict[Place, set[str]]:
        """Return the keys of all records that may be about them or mention them, by their place."""
        digests = [
            hashlib.sha256((text or "").encode()).hexdigest().upper()
            for text in (self._person.record, self._person.key)
        ]
        rows = athena.run(
            self._deployment,
            command_queries()["mentions"].sql,
            [literal("varchar", digest) for digest in digests],
        )
        keys: dict[Place, set[str]] = {place: set() for place in _WITH_PHOTOGRAPHS}
        for place, day, digest in rows.rows:
            kind = Place(f"{place}/")
            keys[kind].add(record_key(kind, str(day), str(digest)))
        return keys

    def _without(self, place: Place, line: dict[str, Any]) -> dict[str, Any] | None:
        """What of somebody else's record is left; None: nothing."""
        if place == Place.MATCHES:
            meant = self._person.is_meant(line["matched_key"], record_matched(line))
            return None if meant else line
        if place == Place.LOOK_ALIKES:  # of the same record: only a key can be meant alone
            return None if self._person.is_meant(line["other_key"], record_of(line)) else line
        return without_matches(line, self._person.is_meant, forgotten_record=self._person.record)

    def _find_decisions(self, found: Found) -> None:
        gone: dict[str, set[str]] = {
            "face_ids": set(found.faces),
            "keys": {self._person.key or ""},
            "versions": self._digests(found),
        }
        for record in self._records.read_each(list(self._records.keys(Place.DECISIONS))):
            for line in record.lines:
                about = self._person.record or record_of_photograph(self._person.key or "")
                if about in records_decided(line):
                    found.decisions.append(record.key)
                elif self._person.record is None:
                    seen = {column: line[column] for column in gone if column in line}
                    left = {c: [one for one in seen[c] if one not in gone[c]] for c in seen}
                    if left == seen:
                        continue
                    if any(left.values()):
                        kept = [{**line, **left}]
                        found.mentions[record.key] = record._replace(lines=kept)
                    else:
                        found.decisions.append(record.key)

    def _digests(self, found: Found) -> set[str]:
        """Return the digests of all versions, also of those that are deleted already."""
        registers = (
            self._records.register_of(self._deployment.images_bucket, key) for key in found.keys
        )
        return {image.digest for image in found.images}.union(
            *(register.entries for register in registers)
        )

    def _find_dead_letters(self, found: Found) -> None:
        """Find the dead letters about them.

        Only a key that can be read out of a letter decides: part of a name in its text may be
        somebody else's.
        """
        others = []
        for letter in self._dead_letters.each():
            keys = list(_keys_in(letter.body))
            found.unread_letters += not keys
            if any(self._person.is_meant(key, self._record(key)) for key in keys):
                found.dead_letters.append(letter)
            else:
                others.append(letter)
        self._dead_letters.give_back(others)

    def _delete_pages(self, folders: Iterable[Path]) -> int:
        """Delete evidence pages; how many. Whatever is wrong with one, all else must go on."""
        deleted = 0
        for folder in folders:
            try:
                gone = self._pages.delete(folder)
                deleted += bool(gone.pages)
                self.pages_left.pop(folder, None)
                if gone.left:
                    self.pages_left[folder] = gone.left_words()
            except Unusable as error:
                self.pages_left[folder] = str(error)
            except Actionable as error:
                self.pages_left[folder] = f"{error} Then: {self._pages.delete_command(folder)}"
        with contextlib.suppress(Actionable):  # a page is being written: the next one drops them
            self.pages_gone.update(
                self._pages.drop_stale(self._deployment.stack_name, local=self._deployment.local)
            )
        return deleted

    def _record(self, key: str) -> str | None:
        shown = identity_in(key, self._deployment.names_from)
        return shown.record if shown else None


def _keys_in(body: str) -> Iterator[str]:
    """Every object key in a message, however deep, in both of the forms that S3 writes."""
    try:
        waiting = [json.loads(body)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            key = value.get("key")
            if isinstance(key, str):
                yield from {key, unquote_plus(key)}
