"""The face collections of the local cloud: kept in SQLite, searched in memory.

Every change is committed to disk before it is answered, so a crash loses nothing that anybody
was told. The vectors of a collection stand in memory as the rows of one matrix; a search is one
product of that matrix with a vector, exact, and takes about a millisecond for 100,000 faces.
"""

import base64
import functools
import re
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from facematch.local.rekognition.faces import (
    EMBEDDING_SIZE,
    FACE_MODEL_VERSION,
    Box,
    Floats,
    similarity,
)

Item = TypeVar("Item")

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS collections (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id TEXT NOT NULL UNIQUE,
        created_at REAL NOT NULL
    );
    CREATE TABLE IF NOT EXISTS faces (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id TEXT NOT NULL,
        face_id TEXT NOT NULL,
        image_id TEXT NOT NULL,
        external_image_id TEXT,
        box_left REAL NOT NULL,
        box_top REAL NOT NULL,
        box_width REAL NOT NULL,
        box_height REAL NOT NULL,
        confidence REAL NOT NULL,
        embedding BLOB NOT NULL,
        UNIQUE (collection_id, face_id)
    );
    CREATE INDEX IF NOT EXISTS faces_in_order ON faces (collection_id, sequence);
    CREATE TABLE IF NOT EXISTS model (version TEXT NOT NULL);
"""
_FACE_COLUMNS = (
    "face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence"
)
_ADD_FACE = f"""
    INSERT INTO faces (collection_id, {_FACE_COLUMNS}, embedding)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (collection_id, face_id) DO UPDATE SET
        box_left = excluded.box_left, box_top = excluded.box_top,
        box_width = excluded.box_width, box_height = excluded.box_height,
        confidence = excluded.confidence, embedding = excluded.embedding
"""  # noqa: S608 - made of constants

# A deleted row is overwritten by as many bytes, and stays until the next start. If SQLite deleted
# it, other rows would move between pages. A copy that stays behind in the page that a row has left
# is cleared neither by `secure_delete` nor when that row is deleted. VACUUM would clear it, but
# takes two seconds for 100,000 faces.
_BLANK_FACES = """
    UPDATE faces SET
        collection_id = printf('%*s', length(collection_id), ''),
        face_id = printf('%0*d', length(face_id), sequence),
        image_id = printf('%*s', length(image_id), ''),
        external_image_id = printf('%*s', length(external_image_id), ''),
        embedding = zeroblob(length(embedding))
    WHERE collection_id = ?
"""
# The version of a file in which nothing was ever deleted in another way.
_BLANKS_FACES = 1

_NAMESPACE = uuid.UUID("3b1e9f6e-5f0b-5c55-9d0c-0f6d3a1f7b52")
_TOKEN = re.compile(r"after:(\d{1,18})")
# Faces: below that, a thread costs more than it saves.
_HALVED_FROM = 30_000
_threads = ThreadPoolExecutor(1, thread_name_prefix="search")
# A cosine: what products of float32 vectors differ by.
_ROUNDING = 1e-6


class CollectionNotFoundError(Exception):
    """There is no collection of that id."""


class CollectionExistsError(Exception):
    """There is a collection of that id already."""


class FaceNotFoundError(Exception):
    """The collection has no face of that id."""


class PageTokenError(Exception):
    """The token was not made by this store."""


class OtherModelError(Exception):
    """The faces in the file were made by another face model, which the exception names."""


@dataclass(frozen=True, slots=True)
class CollectionFace:
    """What a collection tells of a face. `confidence` is in percent."""

    face_id: str
    image_id: str
    external_image_id: str | None
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class Match:
    """A face that resembles the searched one, `similarity` in percent."""

    face: CollectionFace
    similarity: float


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items, and the token that asks for the next ones (None: there are no more)."""

    items: list[Item]
    next_token: str | None


def image_id(collection_id: str, external_image_id: str | None, image_sha256: str) -> str:
    """The id of an image in a collection: the same image gets the same id again.

    Rekognition keeps no second copy of a face when the image, the collection and the
    ExternalImageId are the same; another ExternalImageId makes it another image.
    """
    return str(uuid.uuid5(_NAMESPACE, _joined(collection_id, external_image_id, image_sha256)))


def face_id(
    collection_id: str, external_image_id: str | None, image_sha256: str, index: int
) -> str:
    """The id of a face: its image's identity and its place among the faces, largest first."""
    name = _joined(collection_id, external_image_id, image_sha256, str(index))
    return str(uuid.uuid5(_NAMESPACE, name))


def _joined(*parts: str | None) -> str:
    return "\n".join(part or "" for part in parts)  # no part can contain a newline


class CollectionStore:
    """Face collections in one SQLite file, open in one process. All methods are thread-safe.

    Parameters
    ----------
    path
        The database file; it and its folders are made when they are missing.
    findable_after
        Seconds after which a search finds a face that was added; on AWS nobody knows them.
    clock
        Seconds; must never go backwards.
    face_model_version
        Of the vectors that are added and searched with. As with Rekognition's collections, vectors
        of two models never meet: they would be compared, and mean nothing.

    Raises
    ------
    OtherModelError
        At the start, when the file has faces of another model.
    sqlite3.Error
        At the start when the file is no database or another process has it open; later when
        the disk fails. What was not committed is not in memory either.
    """

    def __init__(
        self,
        path: Path,
        *,
        findable_after: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        face_model_version: str = FACE_MODEL_VERSION,
    ) -> None:
        self._findable_after = findable_after
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=1)
        # Two processes would not see each other's faces in memory: the second one is refused.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")  # survives a power cut, too
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.execute("PRAGMA temp_store = MEMORY")  # no copy in another folder
        self._database.executescript(_SCHEMA)
        self._sweep()
        self._require_model(face_model_version)
        self._galleries: dict[str, _Gallery] = {}
        self._load()

    def _require_model(self, version: str) -> None:
        # A file that names none was made while there was only one.
        (known,) = self._database.execute("SELECT version FROM model").fetchone() or (version,)
        if known != version and self._database.execute("SELECT 1 FROM faces LIMIT 1").fetchone():
            self._database.close()
            raise OtherModelError(known)
        with self._database:
            self._database.execute("DELETE FROM model")
            self._database.execute("INSERT INTO model VALUES (?)", (version,))

    def _sweep(self) -> None:
        """Write the file anew if it may hold anything of faces that are gone, blanks included."""
        with self._database:
            # The blanks: a space comes before every character of a collection's id.
            blanks = self._database.execute(
                "DELETE FROM faces WHERE collection_id <= printf('%255s', '')"
            ).rowcount
        (layout,) = self._database.execute("PRAGMA user_version").fetchone()
        if blanks or layout < _BLANKS_FACES:
            self._database.execute("VACUUM")
            self._database.execute(f"PRAGMA user_version = {_BLANKS_FACES}")
        self._empty_log()

    def _empty_log(self) -> None:
        """Move every change into the file, and cut off the log, which has older pages too."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _load(self) -> None:
        counted = self._database.execute(
            "SELECT c.collection_id, count(f.sequence) FROM collections c "
            "LEFT JOIN faces f USING (collection_id) GROUP BY c.collection_id"
        )
        self._galleries = {collection_id: _Gallery(count) for collection_id, count in counted}
        vectors = self._database.execute("SELECT collection_id, face_id, embedding FROM faces")
        for collection_id, stored_id, embedding in vectors:
            self._galleries[collection_id].put(stored_id, np.frombuffer(embedding, np.float32))

    def close(self) -> None:
        """Release the file. The store cannot be used any more."""
        with self._lock:
            self._database.close()

    def create(self, collection_id: str) -> None:
        """Make an empty collection.

        Raises
        ------
        CollectionExistsError
        """
        with self._lock:
            if collection_id in self._galleries:
                raise CollectionExistsError(collection_id)
            with self._database:  # commits
                self._database.execute(
                    "INSERT INTO collections (collection_id, created_at) VALUES (?, ?)",
                    (collection_id, time.time()),
                )
            self._galleries[collection_id] = _Gallery(0)

    def describe(self, collection_id: str) -> tuple[int, float]:
        """The number of faces, and when the collection was made (seconds since 1970).

        Raises
        ------
        CollectionNotFoundError
        """
        with self._lock:
            gallery = self._gallery(collection_id)
            row = self._database.execute(
                "SELECT created_at FROM collections WHERE collection_id = ?", (collection_id,)
            ).fetchone()
            return len(gallery.face_ids), float(row[0])

    def list_collections(self, *, limit: int, token: str | None = None) -> Page[str]:
        """The ids of the collections, oldest first.

        Raises
        ------
        PageTokenError
        """
        with self._lock:
            rows = self._database.execute(
                "SELECT sequence, collection_id FROM collections WHERE sequence > ? "
                "ORDER BY sequence LIMIT ?",
                (_position(token), limit + 1),
            ).fetchall()
        return _page([(sequence, collection_id) for sequence, collection_id in rows], limit)

    def delete(self, collection_id: str) -> None:
        """Remove a collection and all its faces.

        Raises
        ------
        CollectionNotFoundError
        """
        with self._lock:
            self._gallery(collection_id)
            with self._database:
                self._database.execute(_BLANK_FACES, (collection_id,))
                self._database.execute(
                    "DELETE FROM collections WHERE collection_id = ?", (collection_id,)
                )
            del self._galleries[collection_id]
            self._empty_log()

    def add(
        self, collection_id: str, faces: Sequence[CollectionFace], embeddings: Sequence[Floats]
    ) -> None:
        """Add faces with their unit vectors, all or none.

        A face whose id is known stays the one face it was, in its place in the list.

        Raises
        ------
        CollectionNotFoundError
        """
        rows = [
            (
                collection_id,
                face.face_id,
                face.image_id,
                face.external_image_id,
                *astuple(face.box),
                face.confidence,
                embedding.astype(np.float32).tobytes(),
            )
            for face, embedding in zip(faces, embeddings, strict=True)
        ]
        with self._lock:
            gallery = self._gallery(collection_id)
            with self._database:
                self._database.executemany(_ADD_FACE, rows)
            for face, embedding in zip(faces, embeddings, strict=True):
                if self._findable_after and face.face_id not in gallery.rows:
                    gallery.hidden_until[face.face_id] = self._clock() + self._findable_after
                gallery.put(face.face_id, embedding)

    def list_faces(
        self,
        collection_id: str,
        *,
        limit: int,
        token: str | None = None,
        face_ids: Iterable[str] | None = None,
    ) -> Page[CollectionFace]:
        """The faces in the order in which they came, or those of `face_ids` only.

        The pages together hold every face that is there from the first page to the last, once,
        whatever is added or deleted in between.

        Raises
        ------
        CollectionNotFoundError, PageTokenError
        """
        wanted = None if face_ids is None else sorted(set(face_ids))
        chosen = "" if wanted is None else f"AND face_id IN ({_placeholders(wanted)})"
        with self._lock:
            self._gallery(collection_id)
            rows = self._database.execute(
                f"SELECT sequence, {_FACE_COLUMNS} FROM faces "  # noqa: S608 - constants and "?"
                f"WHERE collection_id = ? AND sequence > ? {chosen} ORDER BY sequence LIMIT ?",
                (collection_id, _position(token), *(wanted or ()), limit + 1),
            ).fetchall()
        return _page([(row[0], _face(row[1:])) for row in rows], limit)

    def delete_faces(self, collection_id: str, face_ids: Sequence[str]) -> list[str]:
        """Remove faces; the ids of those that were there are returned.

        Raises
        ------
        CollectionNotFoundError
        """
        with self._lock:
            gallery = self._gallery(collection_id)
            found = [known for known in dict.fromkeys(face_ids) if known in gallery.rows]
            with self._database:
                self._database.executemany(
                    f"{_BLANK_FACES} AND face_id = ?", [(collection_id, known) for known in found]
                )
            for known in found:
                gallery.drop(known)
            self._empty_log()
        return found

    def search(
        self, collection_id: str, searched_id: str, *, limit: int, min_similarity: float
    ) -> list[Match]:
        """The faces most like one face of the collection, best first, without that face.

        Raises
        ------
        CollectionNotFoundError, FaceNotFoundError
        """
        with self._lock:
            gallery = self._gallery(collection_id)
            if searched_id not in gallery.rows:
                raise FaceNotFoundError(searched_id)
            vector = gallery.vector(searched_id)
            return self._nearest(
                collection_id, vector, limit=limit, min_similarity=min_similarity, but=searched_id
            )

    def search_vector(
        self, collection_id: str, vector: Floats, *, limit: int, min_similarity: float
    ) -> list[Match]:
        """The faces most like one that is in no collection, best first.

        Raises
        ------
        CollectionNotFoundError
        """
        with self._lock:
            return self._nearest(collection_id, vector, limit=limit, min_similarity=min_similarity)

    def _nearest(
        self,
        collection_id: str,
        vector: Floats,
        *,
        limit: int,
        min_similarity: float,
        but: str | None = None,
    ) -> list[Match]:
        gallery = self._gallery(collection_id)
        gallery.show(self._clock())
        near = gallery.nearest(vector, limit, at_least=_cosine_at(min_similarity), but=but)
        found = {
            near_id: percent
            for near_id, cosine in near
            if (percent := similarity(cosine)) >= min_similarity
        }
        rows = self._database.execute(
            f"SELECT {_FACE_COLUMNS} FROM faces "  # noqa: S608 - constants and "?"
            f"WHERE collection_id = ? AND face_id IN ({_placeholders(found)})",
            (collection_id, *found),
        ).fetchall()
        faces = {face.face_id: face for face in map(_face, rows)}
        return [Match(faces[near_id], percent) for near_id, percent in found.items()]

    def count_faces(self) -> int:
        """The faces of all collections together."""
        with self._lock:
            return sum(len(gallery.face_ids) for gallery in self._galleries.values())

    def _gallery(self, collection_id: str) -> "_Gallery":
        try:
            return self._galleries[collection_id]
        except KeyError:
            raise CollectionNotFoundError(collection_id) from None


class _Gallery:
    """The vectors of one collection: row i of the matrix belongs to face_ids[i]."""

    def __init__(self, expected: int) -> None:
        self._matrix = np.empty((max(256, expected), EMBEDDING_SIZE), np.float32)
        self.face_ids: list[str] = []
        self.rows: dict[str, int] = {}
        self.hidden_until: dict[str, float] = {}

    def put(self, new_id: str, embedding: Floats) -> None:
        row = self.rows.get(new_id)
        if row is None:
            row = len(self.face_ids)
            if row == len(self._matrix):
                self._matrix = np.concatenate([self._matrix, np.empty_like(self._matrix)])
            self.face_ids.append(new_id)
            self.rows[new_id] = row
        self._matrix[row] = embedding

    def drop(self, old_id: str) -> None:
        """The last row moves into the gap."""
        row = self.rows.pop(old_id)
        self.hidden_until.pop(old_id, None)
        last_id = self.face_ids.pop()
        if last_id != old_id:
            self._matrix[row] = self._matrix[len(self.face_ids)]
            self.face_ids[row] = last_id
            self.rows[last_id] = row

    def show(self, now: float) -> None:
        """Let those be found that have been hidden long enough."""
        self.hidden_until = {old: at for old, at in self.hidden_until.items() if at > now}

    def vector(self, face_id: str) -> Floats:
        """The vector of a face."""
        vector: Floats = self._matrix[self.rows[face_id]]
        return vector

    def nearest(
        self, vector: Floats, limit: int, *, at_least: float, but: str | None = None
    ) -> list[tuple[str, float]]:
        """Ids and cosines of the `limit` faces with the largest cosines, best first.

        Parameters
        ----------
        at_least
            A cosine; some faces slightly below it are found, too. Few faces of a large collection
            are above it, and only those are sorted.
        but
            Id of a face that is not to be found.
        """
        cosines = _product(self._matrix[: len(self.face_ids)], vector)
        left_out = [*self.hidden_until, *([but] if but else [])]
        cosines[[self.rows[each] for each in left_out]] = -np.inf
        near = np.flatnonzero(cosines >= np.float32(at_least - _ROUNDING))
        if len(near) > limit:
            near = near[np.argpartition(-cosines[near], limit - 1)[:limit]]
        near = near[np.argsort(-cosines[near], kind="stable")]
        return [(self.face_ids[i], float(cosines[i])) for i in near]


def _product(matrix: Floats, vector: Floats) -> Floats:
    """Matrix times vector; that of a large collection in two halves at the same time.

    The library's own threads are switched off (`emulator.process.environment`): while the
    face workers keep all cores busy, they would wait for each other and compute nothing.
    """
    if len(matrix) < _HALVED_FROM:
        return matrix @ vector
    half = len(matrix) // 2
    result = np.empty(len(matrix), np.float32)
    other = _threads.submit(np.matmul, matrix[half:], vector, result[half:])
    np.matmul(matrix[:half], vector, result[:half])
    other.result()
    return result


@functools.lru_cache
def _cosine_at(percent: float) -> float:
    """The lowest cosine that is so similar: `similarity` grows with it, whatever its curve."""
    low, high = -1.0 - _ROUNDING, 1.0 + _ROUNDING
    while high - low > _ROUNDING / 10:
        middle = (low + high) / 2
        low, high = (low, middle) if similarity(middle) >= percent else (middle, high)
    return high


def _face(row: Sequence[Any]) -> CollectionFace:
    return CollectionFace(row[0], row[1], row[2], Box(*row[3:7]), row[7])


def _placeholders(values: Iterable[object]) -> str:
    return ",".join("?" for _ in values)


def _page(rows: Sequence[tuple[int, Item]], limit: int) -> Page[Item]:
    """Cut rows of (position, item), of which one more than `limit` was asked for, to a page."""
    more = len(rows) > limit
    items = [item for _, item in rows[:limit]]
    return Page(items, _token(rows[limit - 1][0]) if more else None)


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode()


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii")
    except ValueError:
        text = ""
    found = _TOKEN.fullmatch(text)
    if not found:
        raise PageTokenError(token)
    return int(found[1])
