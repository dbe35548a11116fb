"""What waits, runs, has finished and has failed in a stack."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from facematch.operations.query import literal
from facematch.stack import athena
from facematch.stack.errors import if_allowed
from facematch.stack.executions import Executions
from facematch.stack.faces import face_count
from facematch.stack.metrics import Counted, sums
from facematch.stack.queues import depth, oldest_message_seconds
from facematch.stack.records import Records
from facematch.stack.topics import unconfirmed_subscribers
from functions.matching.images import timestamp
from functions.matching.places import Place
from functions.matching.reports import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facematch.stack.deployment import Deployment

T = TypeVar("T")

_RATE: Final = timedelta(minutes=1)
#: On AWS: over so long, up to a minute ago, which CloudWatch knows by then.
_RATE_ON_AWS: Final = timedelta(minutes=5)
_CLOUDWATCH_BEHIND: Final = timedelta(minutes=1)
#: CloudWatch bills each question, and its figures are a minute's.
_ASK_AGAIN_AFTER: Final = timedelta(minutes=1)
_SAW_NO_FACE: Final = "no face seen"
#: Executions on AWS and failures that are counted, 1,000 in a request, and failures that are read.
_MOST_RUNNING: Final = 10_000
_MOST_FAILURES: Final = 5_000
_MOST_READ: Final = 10
_ANY_REASON: Final = "REJECTED or FAILED"
_OUTCOMES: Final = {
    outcome: Counted("report", f"Outcome{outcome.title().replace('_', '')}") for outcome in Outcome
}
_STARTS: Final = Counted("starter", "ExecutionsStarted")
#: A local cloud has no metrics. Here the records are asked, which costs nothing.
_RECORDED: Final = """
SELECT
    'reports' AS kind, status, count(*) AS images,
    CASE WHEN status = 'NO_FACE' THEN CAST(unindexed_faces AS varchar) END AS reason
FROM reports WHERE searched_at >= ? GROUP BY 1, 2, 4
UNION ALL
SELECT 'failures' AS kind, status, count(*) AS images, reason
FROM failures WHERE dt >= ? GROUP BY 1, 2, 4
"""
_REASON_IN_A_FACE: Final = re.compile(r"\b[A-Z][A-Z_]{2,}\b")


@dataclass(slots=True)
class StackStatus:
    """How a deployment stands.

    Attributes
    ----------
    oldest_seconds
        Age of the oldest message in the queue; None when nothing tells it.
    running
        Executions.
    counted_at
        When `finished` and `started_per_second` were asked of CloudWatch, which is a few minutes
        behind and counts an image again when it is searched again; None on a local cloud, where the
        records themselves are counted.
    finished
        Reports written since `since`, by their status.
    no_face
        The NO_FACE ones among them, by Rekognition's reasons for not indexing the faces it saw;
        None on AWS, where nothing counts them.
    failed
        Failure records of versions uploaded on that day or later, by status and reason.
    undelivered
        Records that nobody was notified of a match, likewise.
    at_least
        Which of `running`, `failed` and `undelivered` were counted to a limit only.
    faces
        In the collection; None if the caller may not ask.
    unconfirmed
        Addresses by topic that get nothing until they confirm; None if the caller may not ask.
    started_per_second
        Over the last minute, on AWS over five minutes.
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
    counted_at: datetime | None
    finished: dict[str, int]
    no_face: dict[str, int] | None
    failed: dict[str, int]
    undelivered: dict[str, int]
    at_least: tuple[str, ...]
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


def stack_status(
    deployment: Deployment, *, since: datetime, before: StackStatus | None = None
) -> StackStatus:
    """Ask the queues, Step Functions, the collection and the topics, and count outcomes.

    No query runs on AWS, and the number of requests does not grow with what there is.

    Parameters
    ----------
    before
        The status of a moment ago, whose figures of CloudWatch are used again.
    """
    now = datetime.now(UTC)
    executions, records = Executions(deployment), Records(deployment)
    at_least = []

    def to_a_limit(name: str, found: Iterable[T], most: int) -> list[T]:
        listed = list(islice(found, most))
        if len(listed) == most:
            at_least.append(name)
        return listed

    def failures(name: str, place: Place) -> dict[str, int]:
        keys = to_a_limit(name, records.since(place, _day(since)), _MOST_FAILURES)
        if len(keys) > _MOST_READ:
            return {_ANY_REASON: len(keys)}
        return dict(Counter(f"{r['status']} {r['reason']}" for r in records.read(keys)))

    running = executions.listed(statuses=("RUNNING",))
    if deployment.local:
        running_now = sum(1 for _ in running)
        recorded = _recorded(deployment, since)
        failed = recorded.failed
        lately = sum(1 for _ in executions.listed(since=now - _RATE))
        counted = Counts(None, recorded.finished, lately / _RATE.total_seconds())
    else:
        running_now = len(to_a_limit("running", running, _MOST_RUNNING))
        recorded = None
        failed = failures("failed", Place.FAILURES)
        counted = _counted(deployment, since, now, before)
    intake = depth(deployment, deployment.queue_url)
    return StackStatus(
        since=since,
        waiting=intake.waiting + intake.delayed,
        in_flight=intake.in_flight,
        oldest_seconds=oldest_message_seconds(deployment) if intake.total else 0.0,
        dead_letters=depth(deployment, deployment.dead_letter_queue_url).total,
        running=running_now,
        counted_at=counted.at,
        finished=counted.finished,
        no_face=recorded.no_face if recorded else None,
        failed=failed,
        undelivered=failures("undelivered", Place.DELIVERY_FAILURES),
        at_least=tuple(at_least),
        faces=if_allowed(lambda: face_count(deployment)),
        unconfirmed=if_allowed(lambda: unconfirmed_subscribers(deployment)),
        started_per_second=counted.started_per_second,
        pace=deployment.pace or counted.started_per_second or None,
    )


class Counts(NamedTuple):
    """What `StackStatus` has of these."""

    at: datetime | None
    finished: dict[str, int]
    started_per_second: float


def _counted(
    deployment: Deployment, since: datetime, now: datetime, before: StackStatus | None
) -> Counts:
    """Ask CloudWatch, unless that was done within the last minute."""
    if before and before.counted_at and now - before.counted_at < _ASK_AGAIN_AFTER:
        return Counts(before.counted_at, before.finished, before.started_per_second)
    until = now - _CLOUDWATCH_BEHIND
    starts = sums(deployment, [_STARTS], since=until - _RATE_ON_AWS, until=until)[_STARTS]
    outcomes = sums(deployment, _OUTCOMES.values(), since=since, until=now)
    finished = {str(each): outcomes[metric] for each, metric in _OUTCOMES.items()}
    return Counts(
        now,
        {status: count for status, count in finished.items() if count},
        starts / _RATE_ON_AWS.total_seconds(),
    )


class Recorded(NamedTuple):
    """What `StackStatus` has of these."""

    finished: dict[str, int]
    no_face: dict[str, int]
    failed: dict[str, int]


def _recorded(deployment: Deployment, since: datetime) -> Recorded:
    """Count the records of a local cloud."""
    values = (timestamp(since), _day(since))
    found = athena.run(deployment, _RECORDED, [literal("varchar", value) for value in values])
    finished, no_face, failed = Counter[str](), Counter[str](), Counter[str]()
    for kind, status, images, reason in found.rows:
        count = int(images or 0)
        if kind == Place.FAILURES.kind:
            failed[f"{status} {reason}"] += count
            continue
        finished[str(status)] += count
        if status == Outcome.NO_FACE:
            reasons = sorted(set(_REASON_IN_A_FACE.findall(str(reason))))
            no_face[", ".join(reasons) or _SAW_NO_FACE] += count
    return Recorded(dict(finished), dict(no_face), dict(failed))


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
