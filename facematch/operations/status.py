"""What waits, runs, has finished and has failed in a stack, and failures by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from facematch.stack.errors import if_allowed
from facematch.stack.executions import Executions
from facematch.stack.faces import face_count
from facematch.stack.queues import depth, oldest_message_seconds
from facematch.stack.records import Records
from facematch.stack.topics import unconfirmed_subscribers
from functions.matching.places import Place
from functions.matching.reports import Outcome

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment


_RATE_SECONDS: Final = 60
_SAW_NO_FACE: Final = "no face seen"


@dataclass(slots=True)
class StackStatus:
    """How a deployment stands.

    Attributes
    ----------
    oldest_seconds
        Age of the oldest message in the queue; None when nothing tells it.
    finished
        Versions uploaded since `since`, by the status of their report.
    no_face
        The NO_FACE ones among them, by Rekognition's reasons for not indexing the faces it saw.
    failed
        Failure records of versions uploaded since, by status and reason.
    undelivered
        Of the finished ones, those of whose match nobody was notified, likewise.
    faces
        In the collection; None if the caller may not ask.
    unconfirmed
        Addresses by topic that get nothing until they confirm; None if the caller may not ask.
    started_per_second
        Over the last minute.
    pace
        Executions in a second, at which the queue empties: as it is set, or on a local cloud
        without a pace as it was over the last minute; None when nothing tells it.
    """

    since: datetime
    waiting: int
    in_flight: int
    oldest_seconds: float | None
    dead_letters: int
    running: int
    finished: dict[str, int]
    no_face: dict[str, int]
    failed: dict[str, int]
    undelivered: dict[str, int]
    faces: int | None
    unconfirmed: dict[str, list[str]] | None
    started_per_second: float
    pace: float | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits or runs, and nothing has ended since."""
        return not (self.waiting + self.in_flight + self.running or self.finished or self.failed)

    @property
    def queue_seconds(self) -> float | None:
        """How long the queue takes at that pace; None when nothing tells it."""
        messages = self.waiting + self.in_flight
        if not messages:
            return 0.0
        return messages / self.pace if self.pace else None


class Said(NamedTuple):
    """What a record says for a status."""

    status: str
    reason: str

    @classmethod
    def of(cls, record: dict[str, Any]) -> Said:
        """Read a report or a failure record."""
        if "reason" in record:
            return cls(record["status"], record["reason"])
        reasons = {reason for face in record["unindexed_faces"] for reason in face["reasons"]}
        return cls(record["status"], ", ".join(sorted(reasons)) or _SAW_NO_FACE)


#: What records say, by their keys, each with the eTag under which it was read.
ReadBefore = dict[str, tuple[str, list[Said]]]


def stack_status(
    deployment: Deployment, *, since: datetime, read_before: ReadBefore | None = None
) -> StackStatus:
    """Ask the queues, Step Functions, the output bucket, the collection and the topics.

    Parameters
    ----------
    read_before
        Records of earlier calls, which are read again only if they were rewritten since; those
        that this call reads are added.
    """
    known: ReadBefore = {} if read_before is None else read_before
    now = datetime.now(UTC)
    executions = Executions(deployment)
    records = Records(deployment)
    running = sum(1 for _ in executions.listed(statuses=("RUNNING",)))
    lately = sum(1 for _ in executions.listed(since=now - timedelta(seconds=_RATE_SECONDS)))
    days = [
        (since.astimezone(UTC) + timedelta(days=n)).date().isoformat()
        for n in range((now.date() - since.astimezone(UTC).date()).days + 1)
    ]

    def read(place: Place) -> list[Said]:
        etags = {key: etag for day in days for key, etag in records.listed(place, day)}
        unread = [key for key, etag in etags.items() if known.get(key, ("",))[0] != etag]
        for record in records.read_each(unread):
            known[record.key] = etags[record.key], [Said.of(line) for line in record.lines]
        return [said for key in etags for said in known[key][1]]

    def reasons(place: Place) -> dict[str, int]:
        return dict(Counter(" ".join(said) for said in read(place)))

    reports = read(Place.REPORTS)
    intake = depth(deployment, deployment.queue_url)
    return StackStatus(
        since=since,
        waiting=intake.waiting + intake.delayed,
        in_flight=intake.in_flight,
        oldest_seconds=oldest_message_seconds(deployment) if intake.total else 0.0,
        dead_letters=depth(deployment, deployment.dead_letter_queue_url).total,
        running=running,
        finished=dict(Counter(said.status for said in reports)),
        no_face=dict(Counter(said.reason for said in reports if said.status == Outcome.NO_FACE)),
        failed=reasons(Place.FAILURES),
        undelivered=reasons(Place.DELIVERY_FAILURES),
        faces=if_allowed(lambda: face_count(deployment)),
        unconfirmed=if_allowed(lambda: unconfirmed_subscribers(deployment)),
        started_per_second=lately / _RATE_SECONDS,
        pace=deployment.pace or lately / _RATE_SECONDS or None,
    )
