"""Audit: does every object version have an outcome? And sending what was lost once more.

Object versions, records and executions are compared in a temporary SQLite database, which spills
to disk: ten million keys need no ten million entries in memory.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Actionable
from facematch.operations.ledger import CHUNK, Found, Ledger, image_prefix
from facematch.stack.batches import batches
from facematch.stack.deliveries import Deliveries
from facematch.stack.deployment import PARALLEL
from facematch.stack.executions import LOOKED_AHEAD, Executions
from facematch.stack.objects import Bucket
from facematch.stack.queues import depth, oldest_message_seconds, send_lost
from facematch.stack.records import Records, digest_of
from functions.matching.failures import FailureStatus
from functions.matching.keys import is_folder_marker
from functions.matching.places import Place
from functions.matching.reports import delivery_failure_key, failure_key, report_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage


#: S3 tells the queue within a minute, mostly (Amazon S3 User Guide, Event Notifications), and the
#: queue's attributes are that much behind. The emulator does both at once.
_S3_TELLS_WITHIN: Final = timedelta(minutes=2)
_S3_TELLS_WITHIN_LOCALLY: Final = timedelta(seconds=2)
#: The newest figure of CloudWatch may be so old.
_CLOUDWATCH_BEHIND: Final = timedelta(minutes=10)
#: DescribeExecution refills at 10 a second in the smaller regions (Step Functions quotas).
_LOOKUPS_PER_SECOND: Final = 10
_LOOKUPS_AT_ONCE: Final = 100


class QueueHoldsMessages(Actionable):
    """What is missing may wait in the queue; sending it again is left to a later moment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Queues:
    """How full the queues are.

    Attributes
    ----------
    queued
        Messages in the intake queue, those in flight included.
    waiting_since
        A version that was uploaded later, and that has neither record nor execution, may wait.
    why
        How that is known, as a sentence.
    """

    queued: int
    dead_letters: int
    waiting_since: datetime
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What was found; the keys are still in the ledger."""

    prefix: str
    counts: dict[Found, int]
    queues: Queues
    ledger: Ledger

    @property
    def versions(self) -> int:
        """How many object versions there are."""
        return sum(self.counts.values())

    @property
    def lacking(self) -> int:
        """How many have no outcome, and are not on the way to one."""
        return self.counts[Found.MISSING] + self.counts[Found.REPLAY]

    def listed(self, found: Found) -> Iterator[UploadedImage]:
        """The versions of which this was found, in the order of the listing."""
        return (image for _, image in self.ledger.versions(found))


class Auditor:
    """Audits one deployment.

    Parameters
    ----------
    prefix
        Of the keys.
    s3_tells_within
        A version that is younger may be on its way from S3 to the queue.
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        prefix: str | None = None,
        s3_tells_within: timedelta | None = None,
    ) -> None:
        self._deployment = deployment
        self._prefix = image_prefix(deployment, prefix)
        self._images = Bucket.images(deployment)
        self._executions = Executions(deployment)
        self._records = Records(deployment)
        self._deliveries = Deliveries(deployment)
        usual = _S3_TELLS_WITHIN_LOCALLY if deployment.local else _S3_TELLS_WITHIN
        self._s3_tells_within = usual if s3_tells_within is None else s3_tells_within

    def run(self, ledger: Ledger, *, listed: Callable[[str, int], None]) -> Audit:
        """Compare.

        In this order, so that what happens meanwhile is not taken for missing: versions first;
        failures before reports, since a report removes its failure; the queue before executions,
        since a message is deleted after its execution has started; and last the executions that
        ended badly, whose reports are there by then.

        Parameters
        ----------
        listed
            Told what is being listed, and how many more of it there are.
        """
        for entries in batches(self._images.listed(self._prefix), CHUNK):
            images = [entry.image for entry in entries if entry.image]
            versions = [image for image in images if not is_folder_marker(image.key, image.size)]
            ledger.add_versions(versions)
            ledger.add_markers(entry for entry in entries if not entry.image)
            listed("object versions", len(versions))
        running = self._executions.listed(statuses=("RUNNING",), removals=False)
        digests = (execution.digest for execution in running)
        ledger.add_known(filter(None, digests), Found.RUNNING)
        for place, found in (
            (Place.FAILURES, Found.FAILED),
            (Place.DELIVERY_FAILURES, Found.UNDELIVERED),
            (Place.REPORTS, Found.REPORTED),
        ):
            for keys in batches(self._records.keys(place), CHUNK):
                ledger.add_known(map(digest_of, keys), found)
                listed("records", len(keys))
        ledger.join(Found.REPORTED, Found.RUNNING, Found.FAILED)
        for chunk in batches(ledger.versions(Found.REPORTED, Found.UNDELIVERED), CHUNK):
            ledger.set_found((Found.UNDELIVERED, number) for number, _ in chunk)
        self._read_failures(ledger)
        ledger.set_deleted()
        queues = self.queues()
        ledger.set_waiting(queues.waiting_since)
        self._look_up(ledger.versions(None), self._found, ledger, listed)
        ledger.add_known(self._deliveries.doubtful(), Found.REPLAY)
        doubtful = ledger.versions(Found.REPORTED, Found.REPLAY)
        self._look_up(doubtful, self._delivered, ledger, listed)
        return Audit(prefix=self._prefix, counts=ledger.counts(), queues=queues, ledger=ledger)

    def send(self, images: Iterable[UploadedImage], *, sent: Callable[[int], None]) -> list[str]:
        """Send versions through the intake queue again.

        Marked as a backfill's, so that one that has got a report meanwhile is skipped.

        Returns
        -------
        list of str
            What was not sent: a line for each.
        """
        errors = []
        for image, why in send_lost(self._deployment, images):
            if why is None:
                sent(1)
            else:
                errors.append(f"{image.key}: {why}")
        return errors

    def _read_failures(self, ledger: Ledger) -> None:
        """Tell the rejected from the failed; a record that is gone by now proves nothing."""
        for chunk in batches(ledger.versions(Found.FAILED), CHUNK):
            read = self._records.read(failure_key(image) for _, image in chunk)
            found = {record["digest"]: _recorded(record) for record in read}
            ledger.set_found((found.get(image.digest), number) for number, image in chunk)

    def queues(self) -> Queues:
        """How full the queues are, and since when a version may wait in them."""
        intake = depth(self._deployment, self._deployment.queue_url)
        dead = depth(self._deployment, self._deployment.dead_letter_queue_url)
        queued, now = intake.total, datetime.now(UTC)
        waits, why = self._s3_tells_within, "the queue is empty, but S3 may not have told it yet"
        if queued:
            age = oldest_message_seconds(self._deployment)
            if age is None:
                waits = intake.kept
                why = "the age of the oldest message is not known, so it may be any in the queue"
            else:
                waits = max(waits, timedelta(seconds=age) + _CLOUDWATCH_BEHIND)
                why = "the oldest message in the queue may be that old"
        return Queues(queued=queued, dead_letters=dead.total, waiting_since=now - waits, why=why)

    def _look_up(
        self,
        versions: Iterator[tuple[int, UploadedImage]],
        look: Callable[[UploadedImage], Found],
        ledger: Ledger,
        listed: Callable[[str, int], None],
    ) -> None:
        """Look for the executions of versions, no faster than Step Functions answers."""
        calls = LOOKED_AHEAD * _LOOKUPS_AT_ONCE
        seconds = 0.0 if self._deployment.local else calls / _LOOKUPS_PER_SECOND
        with ThreadPoolExecutor(PARALLEL) as pool:
            for chunk in batches(versions, _LOOKUPS_AT_ONCE):
                started = time.monotonic()
                numbers, images = zip(*chunk, strict=True)
                ledger.set_found(zip(pool.map(look, images), numbers, strict=True))
                listed("executions looked up", len(chunk))
                if len(chunk) == _LOOKUPS_AT_ONCE:
                    time.sleep(max(0.0, started + seconds - time.monotonic()))

    def _found(self, image: UploadedImage) -> Found:
        """What became of a version that had no record when records were listed."""
        statuses = list(self._executions.statuses(image.execution_name))
        if "RUNNING" in statuses:
            return Found.RUNNING
        if self._records.exists(report_key(image)):
            return Found.REPORTED
        for record in self._records.read([failure_key(image)]):
            return _recorded(record)
        if "SUCCEEDED" in statuses and not self._images.is_current(image):
            return Found.DELETED
        return Found.REPLAY if statuses else Found.MISSING

    def _delivered(self, image: UploadedImage) -> Found:
        """What became of the notification of a version that has a report, and a failed attempt."""
        for report in self._records.read([report_key(image)]):
            if self._deliveries.failure(report):
                told = self._records.exists(delivery_failure_key(image))
                return Found.UNDELIVERED if told else Found.REPLAY
        return Found.REPORTED


def _recorded(record: dict[str, Any]) -> Found:
    """What a failure record says."""
    return Found.REJECTED if record["status"] == FailureStatus.REJECTED else Found.FAILED
