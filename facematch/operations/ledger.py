"""Which versions of images there are, and what is known of each."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from facematch.errors import Unusable
from functions.matching.images import UploadedImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from facematch.stack.deployment import Deployment
    from facematch.stack.objects import Entry


#: Rows that are taken to memory at once, and inserted at once.
CHUNK: Final = 1000


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

    def add_markers(self, markers: Iterable[Entry]) -> None:
        """Note delete markers.

        In a table of their own, since a key's versions may be on other pages than its marker.
        """
        self._database.executemany(
            "INSERT INTO marker VALUES (?, ?, ?)",
            (
                (marker.key, marker.is_newest, marker.last_modified.timestamp())
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
            {"last": last, "found": found, "known": known, "chunk": CHUNK},
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
