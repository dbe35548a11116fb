"""Audit: does every object version have an outcome? And sending what was lost once more.

Object versions, records and executions are compared in a temporary SQLite database, which spills
to disk: ten million keys need no ten million entries in memory.
"""

from __future__ import annotations

import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count, islice
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeVar

import typer
from botocore.exceptions import ClientError

from facematch.deliveries import DELIVERY_FAILURES, Deliveries
from facematch.deployment import DEFAULT_STACK_NAME, PARALLEL
from facematch.errors import Actionable, Unusable
from facematch.options import AsJson, Local, Profile, Region, Stack, chosen
from facematch.records import Records, digest_of, image_listed
from facematch.story import oldest_message_seconds
from facematch.terminal import json_text, messages, output, progress, safe
from facematch.versions import is_current
from functions.events import ObjectCreated, Road, created_message
from functions.matching.failures import FailureStatus
from functions.matching.images import UploadedImage, timestamp
from functions.matching.keys import is_folder_marker, replay_name
from functions.matching.reports import delivery_failure_key, failure_key, report_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from facematch.deployment import Deployment

T = TypeVar("T")

FAILED: Final = 1

#: S3 tells the queue within a minute, mostly (Amazon S3 User Guide, Event Notifications), and the
#: queue's attributes are that much behind. The emulator does both at once.
_S3_TELLS_WITHIN: Final = timedelta(minutes=2)
_S3_TELLS_WITHIN_LOCALLY: Final = timedelta(seconds=2)
#: The newest figure of CloudWatch may be so old.
_CLOUDWATCH_BEHIND: Final = timedelta(minutes=10)
#: DescribeExecution refills at 10 a second in the smaller regions (Step Functions quotas).
_LOOKUPS_PER_SECOND: Final = 10
_LOOKUPS_AT_ONCE: Final = 100
#: Rows that are taken to memory at once, and inserted at once.
_CHUNK: Final = 1000
_SQS_BATCH: Final = 10
_REPLAYED_NAME: Final = re.compile(r"-([0-9a-f]{32})(?:-r\d+)?$")


class Found(StrEnum):
    """What became of an object version.

    The first six are outcomes, or the way there. UNDELIVERED: it has a report, and nobody was
    notified of its match, since the execution ended badly. DELETED: it is behind a delete marker or
    a newer version, and its records have left with it, so nothing is owed to it. REPLAY: an
    execution ended and its record is not there, so its name is taken and the queue cannot help.
    MISSING: nothing knows of it.
    """

    REPORTED = "reported"
    UNDELIVERED = "undelivered"
    REJECTED = "rejected"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"
    DELETED = "deleted"
    REPLAY = "replay"
    MISSING = "missing"


_MEANING: Final = {
    Found.REPORTED: "have a report",
    Found.UNDELIVERED: "have a report, but nobody was notified of the match: facematch replay",
    Found.REJECTED: "rejected: the image is at fault, and its failure record says why",
    Found.FAILED: "failed, timed out or aborted, with a failure record: facematch replay",
    Found.RUNNING: "have an execution that runs",
    Found.WAITING: "wait in the queue, or may",
    Found.DELETED: "were deleted or overwritten, and have no records any more",
    Found.REPLAY: "have an execution that ended without a record: facematch replay, or, where it "
    "succeeded, facematch collection check --fix",
    Found.MISSING: "have neither record nor execution: facematch audit --fix",
}


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


class Ledger:
    """Object versions and what is known of them, in a database that nobody else sees.

    With an empty name SQLite makes a file of its own, and deletes it (SQLite, Temporary databases).
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._database = sqlite3.connect("")
        self._database.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA cache_size = -16384;  -- KiB
            CREATE TABLE version (
                id INTEGER PRIMARY KEY, digest BLOB, key TEXT, version_id TEXT, etag TEXT,
                size INTEGER, modified REAL, found TEXT
            );
            CREATE TABLE known (digest BLOB, found TEXT);
            CREATE TABLE marker (key TEXT, newest INTEGER, modified REAL);
            """
        )

    def __enter__(self) -> Self:
        """Open already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Delete it."""
        self._database.close()

    def add_versions(self, images: Iterable[UploadedImage]) -> None:
        """Note object versions."""
        self._database.executemany(
            "INSERT INTO version (digest, key, version_id, etag, size, modified)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    bytes.fromhex(image.digest),
                    image.key,
                    image.version_id,
                    image.etag,
                    image.size,
                    image.last_modified.timestamp(),
                )
                for image in images
            ),
        )

    def add_markers(self, markers: Iterable[dict[str, Any]]) -> None:
        """Note delete markers, as ListObjectVersions describes them.

        In a table of their own, since a key's versions may be on other pages than its marker.
        """
        self._database.executemany(
            "INSERT INTO marker VALUES (?, ?, ?)",
            (
                (marker["Key"], marker["IsLatest"], marker["LastModified"].timestamp())
                for marker in markers
            ),
        )

    def add_known(self, digests: Iterable[str], found: Found) -> None:
        """Note versions of which something is known, whether they are in the bucket or not."""
        self._database.executemany(
            "INSERT INTO known VALUES (?, ?)",
            ((bytes.fromhex(digest), found) for digest in digests),
        )

    def join(self, *order: Found) -> None:
        """Give each version what is known of it, the first of `order` that there is."""
        # Only now: sorting once is faster than keeping an index in order at each insert.
        self._database.execute("CREATE INDEX by_digest ON known (digest, found)")
        for found in order:
            self._database.execute(
                "UPDATE version SET found = :found WHERE found IS NULL AND EXISTS ("
                "SELECT 1 FROM known WHERE digest = version.digest AND known.found = :found)",
                {"found": found},
            )

    def set_deleted(self) -> None:
        """Versions of which nothing is known and that were deleted since count as deleted.

        Every version behind a marker that is the key's newest entry. Behind an older one, only
        those that are older than it: S3 dates both by the second, and a version of that same
        second may have come after it.
        """
        self._database.execute("CREATE INDEX by_key ON marker (key, newest, modified)")
        self._database.execute(
            "UPDATE version SET found = ? WHERE found IS NULL AND EXISTS ("
            "SELECT 1 FROM marker WHERE marker.key = version.key"
            " AND (marker.newest OR marker.modified > version.modified))",
            (Found.DELETED,),
        )

    def set_waiting(self, since: datetime) -> None:
        """Versions of which nothing is known and that were uploaded later count as waiting."""
        self._database.execute(
            "UPDATE version SET found = ? WHERE found IS NULL AND modified >= ?",
            (Found.WAITING, since.timestamp()),
        )

    def set_found(self, found: Iterable[tuple[Found | None, int]]) -> None:
        """Correct what is known of single versions, each named by its number."""
        self._database.executemany("UPDATE version SET found = ? WHERE id = ?", found)

    def counts(self) -> dict[Found, int]:
        """How many versions there are of each kind."""
        rows = self._database.execute("SELECT found, count(*) FROM version GROUP BY found")
        counted = dict(rows.fetchall())
        return {found: counted.get(found, 0) for found in Found}

    def total(self) -> int:
        """How many versions there are."""
        return int(self._database.execute("SELECT count(*) FROM version").fetchone()[0])

    def versions(
        self, found: Found | None, known: Found | None = None
    ) -> Iterator[tuple[int, UploadedImage]]:
        """The versions of one kind, numbered; None: those of which nothing is known yet.

        Parameters
        ----------
        known
            Only those of which this is known, too.
        """
        last = 0
        while rows := self._database.execute(
            "SELECT id, key, version_id, etag, size, modified FROM version"
            " WHERE id > :last AND found IS :found AND (:known IS NULL OR EXISTS ("
            "SELECT 1 FROM known WHERE digest = version.digest AND known.found = :known))"
            " ORDER BY id LIMIT :chunk",
            {"last": last, "found": found, "known": known, "chunk": _CHUNK},
        ).fetchall():
            last = rows[-1][0]
            for number, key, version_id, etag, size, modified in rows:
                yield (
                    number,
                    UploadedImage(
                        bucket=self._bucket,
                        key=key,
                        version_id=version_id,
                        etag=etag,
                        size=size,
                        last_modified=datetime.fromtimestamp(modified, UTC),
                    ),
                )


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
        self._s3 = deployment.make_client("s3")
        self._sqs = deployment.make_client("sqs")
        self._stepfunctions = deployment.make_client("stepfunctions")
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
        for images, markers in self._versions():
            ledger.add_versions(images)
            ledger.add_markers(markers)
            listed("object versions", len(images))
        ledger.add_known(self._running(), Found.RUNNING)
        for kind, found in (
            ("failures", Found.FAILED),
            (DELIVERY_FAILURES, Found.UNDELIVERED),
            ("reports", Found.REPORTED),
        ):
            for keys in _chunks(self._records.keys(kind), _CHUNK):
                ledger.add_known(map(digest_of, keys), found)
                listed("records", len(keys))
        ledger.join(Found.REPORTED, Found.RUNNING, Found.FAILED)
        for chunk in _chunks(ledger.versions(Found.REPORTED, Found.UNDELIVERED), _CHUNK):
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
        errors: list[str] = []
        for batch in _chunks(images, _SQS_BATCH):
            entries = [
                {
                    "Id": str(number),
                    "MessageBody": created_message(ObjectCreated.of(image, road=Road.BACKFILL)),
                }
                for number, image in enumerate(batch)
            ]
            answer = self._sqs.send_message_batch(
                QueueUrl=self._deployment.outputs["QueueUrl"], Entries=entries
            )
            for failed in answer.get("Failed", []):
                why = failed.get("Message") or failed["Code"]
                errors.append(f"{batch[int(failed['Id'])].key}: {why}")
            sent(len(batch) - len(answer.get("Failed", [])))
        return errors

    def _versions(self) -> Iterator[tuple[list[UploadedImage], list[dict[str, Any]]]]:
        """Pages of object versions, and of delete markers."""
        bucket = self._deployment.images_bucket
        pages = self._s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=self._prefix
        )
        for page in pages:
            images = [
                image_listed(bucket, item)
                for item in page.get("Versions", [])
                if not is_folder_marker(item["Key"], item["Size"])
            ]
            yield images, page.get("DeleteMarkers", [])

    def _running(self) -> Iterator[str]:
        """Digests of the versions whose executions run."""
        pages = self._stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=self._deployment.state_machine_arn, statusFilter="RUNNING"
        )
        for page in pages:
            for item in page["executions"]:
                if found := _REPLAYED_NAME.search(item["name"]):
                    yield found[1]

    def _read_failures(self, ledger: Ledger) -> None:
        """Tell the rejected from the failed; a record that is gone by now proves nothing."""
        for chunk in _chunks(ledger.versions(Found.FAILED), _CHUNK):
            read = self._records.read(failure_key(image) for _, image in chunk)
            found = {record["digest"]: _recorded(record) for record in read}
            ledger.set_found((found.get(image.digest), number) for number, image in chunk)

    def queues(self) -> Queues:
        """How full the queues are, and since when a version may wait in them."""
        outputs = self._deployment.outputs
        attributes = self._attributes(outputs["QueueUrl"])
        dead = self._attributes(outputs["DeadLetterQueueUrl"])
        queued, now = _messages(attributes), datetime.now(UTC)
        waits, why = self._s3_tells_within, "the queue is empty, but S3 may not have told it yet"
        if queued:
            age = oldest_message_seconds(self._deployment)
            if age is None:
                waits = timedelta(seconds=int(attributes["MessageRetentionPeriod"]))
                why = "the age of the oldest message is not known, so it may be any in the queue"
            else:
                waits = max(waits, timedelta(seconds=age) + _CLOUDWATCH_BEHIND)
                why = "the oldest message in the queue may be that old"
        return Queues(
            queued=queued, dead_letters=_messages(dead), waiting_since=now - waits, why=why
        )

    def _attributes(self, queue_url: str) -> dict[str, str]:
        answer = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])
        attributes: dict[str, str] = answer["Attributes"]
        return attributes

    def _look_up(
        self,
        versions: Iterator[tuple[int, UploadedImage]],
        look: Callable[[UploadedImage], Found],
        ledger: Ledger,
        listed: Callable[[str, int], None],
    ) -> None:
        """Look for the executions of versions, no faster than Step Functions answers."""
        seconds = 0.0 if self._deployment.local else _LOOKUPS_AT_ONCE / _LOOKUPS_PER_SECOND
        with ThreadPoolExecutor(PARALLEL) as pool:
            for chunk in _chunks(versions, _LOOKUPS_AT_ONCE):
                started = time.monotonic()
                numbers, images = zip(*chunk, strict=True)
                ledger.set_found(zip(pool.map(look, images), numbers, strict=True))
                listed("executions looked up", len(chunk))
                if len(chunk) == _LOOKUPS_AT_ONCE:
                    time.sleep(max(0.0, started + seconds - time.monotonic()))

    def _found(self, image: UploadedImage) -> Found:
        """What became of a version that had no record when records were listed."""
        statuses = list(self._execution_statuses(image))
        if "RUNNING" in statuses:
            return Found.RUNNING
        if self._exists(report_key(image)):
            return Found.REPORTED
        for record in self._records.read([failure_key(image)]):
            return _recorded(record)
        if "SUCCEEDED" in statuses and not is_current(self._s3, image):
            return Found.DELETED
        return Found.REPLAY if statuses else Found.MISSING

    def _delivered(self, image: UploadedImage) -> Found:
        """What became of the notification of a version that has a report, and a failed attempt."""
        for report in self._records.read([report_key(image)]):
            if self._deliveries.failure(report):
                told = self._exists(delivery_failure_key(image))
                return Found.UNDELIVERED if told else Found.REPLAY
        return Found.REPORTED

    def _execution_statuses(self, image: UploadedImage) -> Iterator[str]:
        """Of the version's execution and of its replays, `-r1` and on."""
        executions = self._deployment.state_machine_arn.replace(":stateMachine:", ":execution:")
        name = image.execution_name
        for each in (replay_name(name, attempt) for attempt in count()):
            try:
                yield self._stepfunctions.describe_execution(executionArn=f"{executions}:{each}")[
                    "status"
                ]
            except self._stepfunctions.exceptions.ExecutionDoesNotExist:
                return

    def _exists(self, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=self._deployment.output_bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                return False
            raise
        return True


def image_prefix(deployment: Deployment, prefix: str | None) -> str:
    """The prefix of keys to go through; by default the deployment's image prefix.

    Raises
    ------
    Unusable
        When keys below it do not start the workflow.
    """
    if prefix is None:
        return deployment.image_prefix
    if not prefix.startswith(deployment.image_prefix):
        raise Unusable(
            f"Only keys below {deployment.image_prefix!r} start the workflow, and {prefix!r} is "
            f"not. Give the whole prefix, as in --prefix {deployment.image_prefix}{prefix}"
        )
    return prefix


def audit(
    *,
    prefix: Annotated[
        str | None, typer.Option(help="Only keys that begin so; with the image prefix.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Send what is missing through the queue again.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Do so although the queue holds messages.")
    ] = False,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Compare the images bucket with the outcomes, and name every version without one.

    Exit code 1 when one is missing, and --fix, if given, could not send it again.
    """
    if force and not fix:
        raise Unusable("--force says how to --fix. Add --fix, or leave --force out.")
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)
    with Ledger(deployment.images_bucket) as ledger:
        if not audited(deployment, ledger, prefix=prefix, fix=fix, force=force, as_json=as_json):
            raise typer.Exit(FAILED)


def audited(
    deployment: Deployment,
    ledger: Ledger,
    *,
    prefix: str | None = None,
    fix: bool = False,
    force: bool = False,
    as_json: bool = False,
    s3_tells_within: timedelta | None = None,
) -> bool:
    """Audit, show it, fix what can be fixed; whether nothing is left to do.

    Raises
    ------
    QueueHoldsMessages
        When there is something to fix, and that may wait in the queue.
    """
    auditor = Auditor(deployment, prefix=prefix, s3_tells_within=s3_tells_within)
    with progress() as bars:
        tasks: dict[str, Any] = {}

        def listed(what: str, more: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.advance(tasks[what], more)

        result = auditor.run(ledger, listed=listed)
    missing = result.counts[Found.MISSING]
    if not as_json:
        _show(result)
        if result.counts[Found.UNDELIVERED]:
            why, again = deployment.command("failures"), deployment.command("replay", "--all")
            output.print(f"Why nobody was notified: {why}", soft_wrap=True)
            output.print(f"Once the cause is fixed: {again}", soft_wrap=True)
    errors: list[str] = []
    fixing = fix and missing > 0
    if fixing:
        if result.queues.queued and not force:
            raise QueueHoldsMessages(
                f"The queue holds {result.queues.queued} messages, and what is missing may be on "
                "its way. Nothing was sent. Repeat the command when the queue is empty, or add "
                "--force: a version that has an execution or a report then starts nothing."
            )
        with progress() as bars:
            task = bars.add_task("messages sent", total=missing)
            errors = auditor.send(
                result.listed(Found.MISSING), sent=lambda more: bars.advance(task, more)
            )
    sent = missing - len(errors) if fixing else 0
    if as_json:
        _print_json(result, sent=sent)
    for error in errors:
        messages.print(safe(f"not sent: {error}", style="red"))
    if fixing and not as_json:
        output.print(f"{sent} were sent through the queue again. Audit once more when it is empty.")
    return result.lacking == sent


def _show(result: Audit) -> None:
    output.print(
        safe(f"{result.versions:,} object versions below {result.prefix or 'the whole bucket'}")
    )
    for found, number in result.counts.items():
        if number or found in {Found.REPORTED, Found.MISSING}:
            meaning = _MEANING[found] if number else _MEANING[found].partition(": ")[0]
            output.print(f"  {number:>10,}  {meaning}")
    queues = result.queues
    if result.counts[Found.WAITING]:
        since = timestamp(queues.waiting_since)
        output.print(
            f"Those that were uploaded after {since} and have neither record nor execution count "
            f"as waiting: {queues.why}.",
            soft_wrap=True,
        )
    if queues.dead_letters:
        output.print(
            f"Dead letters: {queues.dead_letters}. Their versions, if they name any, count as "
            "missing: facematch replay --dead-letters",
            soft_wrap=True,
        )
    for found in (Found.MISSING, Found.REPLAY):
        for image in result.listed(found):
            line = f"{found}: {image.key} (version {image.version_id or image.etag})"
            output.print(safe(line), soft_wrap=True)


def _print_json(result: Audit, *, sent: int) -> None:
    """Print one document, without having all its keys in memory."""
    head = {
        "prefix": result.prefix,
        "versions": result.versions,
        **{str(found): number for found, number in result.counts.items()},
        "queued": result.queues.queued,
        "waiting_since": timestamp(result.queues.waiting_since),
        "dead_letters": result.queues.dead_letters,
        "sent": sent,
    }
    print(json_text(head)[:-1])
    for found in (Found.MISSING, Found.REPLAY):
        print(f', "{found}_versions": [')
        separator = ""
        for image in result.listed(found):
            print(separator, json_text({"key": image.key, "version_id": image.version_id}))
            separator = ","
        print("]")
    print("}")


def _messages(attributes: dict[str, str]) -> int:
    names = ("", "NotVisible", "Delayed")
    return sum(int(attributes.get(f"ApproximateNumberOfMessages{name}", 0)) for name in names)


def _recorded(record: dict[str, Any]) -> Found:
    """What a failure record says."""
    return Found.REJECTED if record["status"] == FailureStatus.REJECTED else Found.FAILED


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`, the last of which may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
