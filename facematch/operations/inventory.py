"""Faces, images and outcomes, compared in a temporary SQLite database that spills to disk."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple, Self

from facematch.stack.records import digest_of
from functions.matching.register import register_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from functions.matching.images import UploadedImage

#: Faces of an outcome that are not known. No list of face ids looks so.
_NOT_KNOWN = "?"


class Outcome(NamedTuple):
    """How a version ended.

    Attributes
    ----------
    faces
        Their ids; None when they are not known.
    """

    digest: str
    is_report: bool
    faces: Collection[str] | None


class Inventory:
    """What the collection and the buckets hold, in a database that nobody else sees.

    With an empty name SQLite makes a file of its own, and deletes it (SQLite, Temporary databases).
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA cache_size = -16384;  -- KiB
            CREATE TABLE outcome (digest BLOB PRIMARY KEY, faces TEXT) WITHOUT ROWID;
            CREATE TABLE register (digest BLOB PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE face (key TEXT, face_id TEXT, PRIMARY KEY (key, face_id)) WITHOUT ROWID;
            CREATE TABLE image (
                key TEXT PRIMARY KEY, digest BLOB, register BLOB
            ) WITHOUT ROWID;
            """
        )

    def __enter__(self) -> Self:
        """Open already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Delete it."""
        self._database.close()

    def add_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Note how versions ended; a report wins over a rejection."""
        for outcome in outcomes:
            faces = _NOT_KNOWN if outcome.faces is None else " ".join(sorted(outcome.faces))
            self._database.execute(
                "INSERT OR REPLACE INTO outcome VALUES (?, ?)"
                if outcome.is_report
                else "INSERT OR IGNORE INTO outcome VALUES (?, ?)",
                (bytes.fromhex(outcome.digest), faces),
            )

    def add_registers(self, digests: Iterable[str]) -> None:
        """Note which registers there are, by the digests that name them."""
        self._database.executemany(
            "INSERT INTO register VALUES (?)", ((bytes.fromhex(each),) for each in digests)
        )

    def add_faces(self, faces: Iterable[tuple[str, str]]) -> None:
        """Note faces of the collection: the id of each, and the key of its image."""
        self._database.executemany("INSERT OR IGNORE INTO face (face_id, key) VALUES (?, ?)", faces)

    def add_images(self, images: Iterable[UploadedImage]) -> None:
        """Note current versions."""
        self._database.executemany(
            "INSERT OR REPLACE INTO image VALUES (?, ?, ?)",
            (
                (image.key, bytes.fromhex(image.digest), _register_of(image.bucket, image.key))
                for image in images
            ),
        )

    def doubtful(self) -> Iterator[tuple[str, bool]]:
        """Yield the keys to look at one by one, and whether each may have a register.

        In order is a current version whose outcome names the faces that the collection holds of its
        key, and nothing else. Where there are faces, there is a register, by which they can leave.
        A version without an outcome waits, unless its key has faces or a register.
        """
        self._database.executescript(
            """
            CREATE TABLE held AS
                SELECT key, group_concat(face_id, ' ') AS faces
                FROM (SELECT key, face_id FROM face ORDER BY key, face_id) GROUP BY key;
            CREATE UNIQUE INDEX held_by_key ON held (key);
            """
        )
        yield from (
            (key, bool(has_register))
            for key, has_register in self._database.execute(
                """
                SELECT image.key, register.digest IS NOT NULL
                FROM image
                LEFT JOIN held ON held.key = image.key
                LEFT JOIN outcome ON outcome.digest = image.digest
                LEFT JOIN register ON register.digest = image.register
                WHERE CASE
                    WHEN outcome.digest IS NULL
                        THEN held.key IS NOT NULL OR register.digest IS NOT NULL
                    WHEN held.key IS NOT NULL AND register.digest IS NULL THEN 1
                    ELSE coalesce(held.faces, '') <> outcome.faces
                END
                """
            )
        )
        orphans = self._database.execute(
            "SELECT key FROM held WHERE NOT EXISTS (SELECT 1 FROM image WHERE image.key = held.key)"
        )
        yield from ((key, True) for (key,) in orphans)


def _register_of(bucket: str, key: str) -> bytes:
    return bytes.fromhex(digest_of(register_key(bucket, key)))
