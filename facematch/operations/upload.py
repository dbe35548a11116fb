"""Uploads a folder of photographs, only what the bucket does not hold yet, and waits for it."""

from __future__ import annotations

import base64
import hashlib
import os
import time
import zlib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from facematch.errors import Actionable, Unusable, about_file
from facematch.files.photographs import (
    KEY_LIMIT_BYTES,
    FolderFile,
    LeftOut,
    content_type,
    left_out_words,
    listed,
)
from facematch.stack.deliveries import Deliveries
from facematch.stack.deployment import PARALLEL
from facematch.stack.executions import Executions
from facematch.stack.objects import Bucket
from facematch.stack.records import Records, digest_of, rest_after
from facematch.text import visible
from functions.matching.errors import Reason
from functions.matching.failures import FailureStatus
from functions.matching.keys import execution_name
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import BufferedReader
    from pathlib import Path

    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage


_BLOCK: Final = 1 << 20
#: Look an execution up by its name when nothing has happened for so long, seconds: the event
#: that makes a failure visible is delivered at best effort.
_QUIET_SECONDS: Final = 10
_LOOKUPS_AT_ONCE: Final = 50
#: Between two looks at the bucket, seconds: a quarter of what is left, within these.
_SHORTEST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 30.0


class NothingToUpload(Unusable):
    """The folder holds no photograph; the text says what was looked for."""


class NoRoom(Actionable):
    """The disk of the local cloud has no room for the photographs."""


@dataclass(frozen=True, slots=True)
class Version:
    """An object version in the images bucket.

    Attributes
    ----------
    days
        UTC dates under which its outcome may stand; two when it was uploaded at midnight.
    """

    key: str
    digest: str
    days: tuple[str, ...]


@dataclass(slots=True)
class Plan:
    """What there is to upload.

    Attributes
    ----------
    new
        Files by the key that they get.
    unchanged
        What the bucket holds already: same key, size and content.
    left_out
        Files that are not uploaded, and why.
    not_compared
        Of the new ones, those of which S3 did not say whether the bucket holds them already.
    """

    new: dict[str, FolderFile] = field(default_factory=dict)
    unchanged: list[Version] = field(default_factory=list)
    not_compared: list[FolderFile] = field(default_factory=list)
    left_out: dict[Path, LeftOut] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """Keys of all photographs of the folder."""
        return sorted([*self.new, *(version.key for version in self.unchanged)])


@dataclass(slots=True)
class Outcomes:
    """How the versions ended, by key.

    Attributes
    ----------
    superseded
        A newer version of the same photograph took their place before they were indexed: that one
        has an outcome of its own.
    undelivered
        Of the reported: those with a match of which nobody was notified.
    reasons
        Of those that were rejected, failed or undelivered, by key, as their failure records give
        them.
    """

    reported: list[str] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


class Uploader:
    """Uploads into one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._bucket = Bucket.images(deployment)

    def plan(self, folder: Path) -> Plan:
        """Compare the folder with the bucket.

        A key is the image prefix and the file's path below the folder, or the name of a file that
        was named itself. Hidden files are left out without a word; links are left out with one.

        Raises
        ------
        NothingToUpload
            When there is no photograph in it.
        Unusable
            When it cannot be listed.
        """
        images = self._bucket.current(self._deployment.image_prefix)
        existing = {image.key: image for image in images}
        found = listed(folder)
        plan = Plan(left_out=found.left_out)
        for file in found.files:
            key = self._deployment.image_prefix + file.key
            if why := _unfit(key):
                plan.left_out[file.path] = why
            elif key in existing and (same := self._is_same(file, existing[key])):
                image = existing[key]
                plan.unchanged.append(Version(key, image.digest, (image.day,)))
            else:
                plan.new[key] = file
                if key in existing and same is None:
                    plan.not_compared.append(file)
        if not plan.new and not plan.unchanged:
            raise _nothing_in(folder, plan.left_out)
        return plan

    def upload(
        self, files: Mapping[str, FolderFile], *, done: Callable[[int], None]
    ) -> tuple[list[Version], dict[str, str]]:
        """Upload the files in parallel; stopping in the middle leaves whole objects only.

        Parameters
        ----------
        done
            Told the size of each file that has been uploaded or has failed, in bytes.

        Returns
        -------
        tuple
            The versions, and the errors by key. Once the disk of a local cloud has no room left,
            that is the error of all others.

        Raises
        ------
        NoRoom
            When the disk of a local cloud has no room for all of them. Nothing was uploaded.
        """
        full = self._shortage(*(file.path for file in files.values()))
        if full:
            raise NoRoom(f"{full}. Nothing was uploaded. Free up space, then repeat the command.")
        versions: list[Version] = []
        errors: dict[str, str] = {}
        with ThreadPoolExecutor(PARALLEL) as pool:
            pending: dict[Future[Version], tuple[str, FolderFile]] = {}
            try:
                for key, file in files.items():
                    full = full or self._shortage(file.path)
                    if full:
                        errors[key] = f"{full}. Free up space, then repeat the command."
                        continue
                    pending[pool.submit(self._upload, key, file)] = (key, file)
                    if len(pending) >= 2 * PARALLEL:
                        self._collect(pending, versions, errors, done)
                while pending:
                    self._collect(pending, versions, errors, done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return versions, errors

    def _shortage(self, *paths: Path) -> str | None:
        """Tell that the disk of the local cloud has no room for the files."""
        sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
        return self._deployment.shortage(sizes)

    def _collect(
        self,
        pending: dict[Future[Version], tuple[str, FolderFile]],
        versions: list[Version],
        errors: dict[str, str],
        done: Callable[[int], None],
    ) -> None:
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            key, file = pending.pop(future)
            try:
                versions.append(future.result())
            except Actionable as error:
                errors[key] = str(error)
            except OSError as error:
                errors[key] = str(about_file(error))
            done(file.path.stat().st_size if file.path.exists() else 0)

    def _is_same(self, file: FolderFile, image: UploadedImage) -> bool | None:
        """Whether size and content agree; None when S3 denies to say it.

        A file that cannot be read is not the same: its upload then says why.

        The eTag of an object of one part is its MD5, unless it is encrypted under a key of KMS
        (Amazon S3 API Reference, Object). Then what counts is the checksum that the SDK sent along,
        at the price of a request. What was uploaded with another checksum is uploaded again.
        """
        try:
            with file.open() as opened:
                if os.fstat(opened.fileno()).st_size != image.size:
                    return False
                if image.etag == _md5(opened):
                    return True
                checksum = self._bucket.checksum(image)
                if checksum is None:
                    return None
                return checksum.is_under_a_key and checksum.crc32 == _crc32(opened)
        except OSError:
            return False

    def _upload(self, key: str, file: FolderFile) -> Version:
        with file.open() as body:
            image = self._bucket.put(key, body, content_type=content_type(body))
        around = (image.last_modified + timedelta(minutes=each) for each in (-1, 1))
        days = sorted({each.astimezone(UTC).date().isoformat() for each in around})
        return Version(key, image.digest, tuple(days))


def require_photographs(folder: Path) -> None:
    """Raise `NothingToUpload` if the folder holds no photograph; no deployment is asked."""
    found = listed(folder)
    if not found.files:
        raise _nothing_in(folder, found.left_out)


def _nothing_in(folder: Path, left_out: Mapping[Path, LeftOut]) -> NothingToUpload:
    why_not = "".join(f"; {words}" for words in left_out_words(left_out))
    return NothingToUpload(
        f"There is no photograph (JPEG, PNG) to upload in or below {visible(str(folder))}"
        f"{why_not}. Name another folder."
    )


def not_uploaded_words(errors: Mapping[str, str]) -> list[str]:
    """Tell what was not uploaded: for each reason how many files, and the first of them."""
    by_reason: dict[str, list[str]] = {}
    for key, why in errors.items():
        by_reason.setdefault(why, []).append(key)
    return [
        f"{keys[0]} was not uploaded: {why}"
        if len(keys) == 1
        else f"{len(keys):,} files were not uploaded, as {keys[0]}: {why}"
        for why, keys in by_reason.items()
    ]


def wait_for_outcomes(
    deployment: Deployment,
    versions: list[Version],
    *,
    finished: Callable[[int], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Outcomes:
    """Wait until every version has a report or a failure record and no execution runs.

    Parameters
    ----------
    finished
        Told how many versions have finished so far.
    """
    waiting = _Waiting(deployment, versions)
    began, before = time.monotonic(), len(versions)
    while True:
        started = time.monotonic()
        waiting.look()
        pending = len(waiting.pending)
        finished(len(versions) - pending)
        if not pending and not waiting.running():
            return waiting.outcomes()
        now = time.monotonic()
        # Listing costs requests: the more there is to list, the more rarely; and towards the end,
        # at the speed so far, more often.
        left = pending * (now - began) / (before - pending) if pending < before else 0.0
        sleep(max(_SHORTEST_WAIT, min(_LONGEST_WAIT, left / 4), rest_after(now - started)))


class _Waiting:
    def __init__(self, deployment: Deployment, versions: list[Version]) -> None:
        self._records = Records(deployment)
        self._deliveries = Deliveries(deployment)
        self._executions = Executions(deployment)
        self._versions = versions
        self.pending = {version.digest: version for version in versions}
        self._names = {execution_name(v.key, v.digest) for v in versions}
        self._outcomes = Outcomes()
        self._failed: dict[str, Version] = {}
        #: Keys of the reports by the version's digest.
        self._reports: dict[str, str] = {}
        self._quiet_since = time.monotonic()

    def look(self) -> None:
        """Take out of `pending` what has an outcome."""
        before = len(self.pending)
        for day in sorted({day for v in self.pending.values() for day in v.days}):
            for key in self._records.keys(Place.REPORTS, day):
                if version := self.pending.pop(digest_of(key), None):
                    self._outcomes.reported.append(version.key)
                    self._reports[version.digest] = key
            for key in self._records.keys(Place.FAILURES, day):
                if version := self.pending.pop(digest_of(key), None):
                    self._failed[key] = version
        now = time.monotonic()
        if len(self.pending) < before:
            self._quiet_since = now
        elif now - self._quiet_since > _QUIET_SECONDS:
            self._quiet_since = now
            self._look_up_executions()

    def running(self) -> bool:
        """Whether one of the versions' executions still runs."""
        running = self._executions.listed(statuses=("RUNNING",), removals=False)
        return any(execution.name in self._names for execution in running)

    def outcomes(self) -> Outcomes:
        """The outcomes, once nothing is pending."""
        read = {record["key"]: record for record in self._records.read(self._failed)}
        for version in self._failed.values():
            record = read.get(version.key)
            if record is None:  # a report has replaced it meanwhile
                self._outcomes.reported.append(version.key)
            elif record["reason"] == Reason.SUPERSEDED:
                self._outcomes.superseded.append(version.key)
            else:
                rejected = record["status"] == FailureStatus.REJECTED
                ended = self._outcomes.rejected if rejected else self._outcomes.failed
                ended.append(version.key)
                self._outcomes.reasons[version.key] = record["reason"]
        for key, reason in self._undelivered():
            self._outcomes.undelivered.append(key)
            self._outcomes.reasons[key] = reason
        return self._outcomes

    def _undelivered(self) -> Iterator[tuple[str, str]]:
        """Keys of the versions of whose match nobody was notified, and why.

        The record that tells of it may be on its way, since the execution has only just ended.
        """
        if not self._reports:
            return
        days = sorted({day for version in self._versions for day in version.days})
        listed = (key for day in days for key in self._records.keys(Place.DELIVERY_FAILURES, day))
        keys = {digest_of(key): key for key in listed}
        told = keys.keys() & self._reports.keys()
        for record in self._records.read(keys[digest] for digest in sorted(told)):
            yield record["key"], record["reason"]
        first_day = datetime.fromisoformat(days[0]).replace(tzinfo=UTC)
        doubtful = self._reports.keys() & self._deliveries.doubtful(since=first_day)
        for report in self._records.read(self._reports[each] for each in sorted(doubtful - told)):
            if reason := self._deliveries.failure(report):
                yield report["key"], reason

    def _look_up_executions(self) -> None:
        """Find executions that ended badly although no event of it has arrived."""
        for version in list(self.pending.values())[:_LOOKUPS_AT_ONCE]:
            name = execution_name(version.key, version.digest)
            found = self._executions.described(self._executions.arn(name))
            if found and found.ended_badly:
                del self.pending[version.digest]
                self._outcomes.failed.append(version.key)
                self._outcomes.reasons[version.key] = found.status


def _unfit(key: str) -> LeftOut | None:
    """Tell why a file cannot be uploaded under the key."""
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        return LeftOut.NO_KEY
    return LeftOut.LONG_KEY if length > KEY_LIMIT_BYTES else None


def _md5(file: BufferedReader) -> str:
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _crc32(file: BufferedReader) -> str:
    """As S3 writes it: big-endian, in Base64."""
    found = 0
    file.seek(0)
    while block := file.read(_BLOCK):
        found = zlib.crc32(block, found)
    return base64.b64encode(found.to_bytes(4, "big")).decode()
