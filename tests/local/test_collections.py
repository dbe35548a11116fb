"""The store of the face collections: what it keeps, finds, pages through and survives."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facematch.local.rekognition.collections import (
    CollectionExistsError,
    CollectionFace,
    CollectionNotFoundError,
    CollectionStore,
    FaceNotFoundError,
    OtherModelError,
    PageTokenError,
    _cosine_at,
    _product,
    face_id,
    image_id,
)
from facematch.local.rekognition.faces import (
    EMBEDDING_SIZE,
    FACE_MODEL_VERSION,
    Box,
    Floats,
    similarity,
)
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "faces.db"


@pytest.fixture
def store(path: Path) -> Iterator[CollectionStore]:
    opened = CollectionStore(path)
    opened.create("people")
    yield opened
    opened.close()


def a_face(number: int) -> CollectionFace:
    name = str(uuid.UUID(int=number))
    return CollectionFace(name, name, f"image-{number}", Box(0.1, 0.2, 0.3, 0.4), 99.5)


def vector(seed: int) -> Floats:
    numbers = np.random.default_rng(seed).normal(size=EMBEDDING_SIZE).astype(np.float32)
    return numbers / np.linalg.norm(numbers)


def fill(store: CollectionStore, numbers: range) -> None:
    store.add("people", [a_face(n) for n in numbers], [vector(n) for n in numbers])


def count(store: CollectionStore) -> int:
    return store.describe("people")[0]


def all_faces(store: CollectionStore, between_pages: Callable[[], None], limit: int) -> list[str]:
    seen: list[str] = []
    token = None
    while True:
        page = store.list_faces("people", limit=limit, token=token)
        seen += [face.face_id for face in page.items]
        if page.next_token is None:
            return seen
        token = page.next_token
        between_pages()


def test_a_face_added_twice_is_one_face(store: CollectionStore) -> None:
    fill(store, range(3))
    fill(store, range(3))
    assert count(store) == 3
    assert len(all_faces(store, lambda: None, 2)) == 3
    assert len(store.search("people", a_face(0).face_id, limit=9, min_similarity=0)) == 2


def test_ids_are_the_same_for_the_same_image_and_differ_in_every_part() -> None:
    assert face_id("c", "x", "sha", 0) == face_id("c", "x", "sha", 0)
    assert image_id("c", "x", "sha") == image_id("c", "x", "sha")
    ids = {
        *(face_id("c", "x", "sha", 0), face_id("d", "x", "sha", 0), face_id("c", "y", "sha", 0)),
        *(face_id("c", "x", "other", 0), face_id("c", "x", "sha", 1), face_id("c", None, "sha", 0)),
        *(image_id("c", "x", "sha"), image_id("d", "x", "sha"), image_id("c", None, "sha")),
    }
    assert len(ids) == 9


@settings(max_examples=examples(25), deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "delete", "delete", "reopen"]), st.integers(0, 12)),
        min_size=1,
        max_size=20,
    )
)
def test_a_search_finds_what_comparing_with_every_face_would_find(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "faces.db"
    store = CollectionStore(path)
    store.create("people")
    fill(store, range(10))
    expected = {a_face(number).face_id: vector(number) for number in range(10)}
    for step, number in steps:
        name = a_face(number).face_id
        if step == "add":
            store.add("people", [a_face(number)], [vector(number)])
            expected[name] = vector(number)
        elif step == "delete":
            known = expected.pop(name, None) is not None
            assert store.delete_faces("people", [name]) == ([name] if known else [])
        else:
            store.close()
            store = CollectionStore(path)
    assert count(store) == len(expected)
    for name, own in expected.items():
        by_hand = sorted(
            (other for other in expected if other != name),
            key=lambda other: -float(expected[other] @ own),
        )
        found = store.search("people", name, limit=5, min_similarity=0)
        assert [match.face.face_id for match in found] == by_hand[:5]
        for match in found:
            cosine = float(expected[match.face.face_id] @ own)
            assert match.similarity == pytest.approx(similarity(cosine), abs=1e-3)
    store.close()


def test_a_search_keeps_to_the_lowest_similarity_and_the_limit(store: CollectionStore) -> None:
    base = vector(1)
    near = base + 0.6 * vector(2)
    far = base + 3 * vector(3)
    vectors = [base, near / np.linalg.norm(near), far / np.linalg.norm(far)]
    store.add("people", [a_face(n) for n in range(3)], vectors)
    searched = a_face(0).face_id
    (match,) = store.search("people", searched, limit=10, min_similarity=80)
    assert match.face == a_face(1)
    assert len(store.search("people", searched, limit=10, min_similarity=0)) == 2
    assert len(store.search("people", searched, limit=1, min_similarity=0)) == 1


def test_a_face_alone_has_no_matches(store: CollectionStore) -> None:
    fill(store, range(1))
    assert store.search("people", a_face(0).face_id, limit=80, min_similarity=0) == []


def test_pages_are_complete_and_without_repeats_while_faces_come_and_go(
    store: CollectionStore,
) -> None:
    fill(store, range(50))
    gone, new = iter(range(20)), iter(range(100, 200))

    def disturb() -> None:
        store.delete_faces("people", [a_face(next(gone)).face_id])
        fill(store, range((number := next(new)), number + 1))
        fill(store, range(30, 50))  # again: must not move to the end

    seen = all_faces(store, disturb, limit=7)
    assert len(seen) == len(set(seen))
    assert {a_face(number).face_id for number in range(20, 50)} <= set(seen)


def test_a_page_that_ends_with_the_last_face_has_no_next_one(store: CollectionStore) -> None:
    fill(store, range(6))
    first = store.list_faces("people", limit=3)
    second = store.list_faces("people", limit=3, token=first.next_token)
    assert [len(first.items), len(second.items)] == [3, 3]
    assert second.next_token is None


def test_only_the_faces_asked_for_are_listed(store: CollectionStore) -> None:
    fill(store, range(5))
    wanted = [a_face(number).face_id for number in (3, 1, 99)]
    page = store.list_faces("people", limit=10, face_ids=wanted)
    assert page.items == [a_face(1), a_face(3)]


def test_collections_are_listed_in_pages(store: CollectionStore) -> None:
    for number in range(5):
        store.create(f"more-{number}")
    first = store.list_collections(limit=4)
    second = store.list_collections(limit=4, token=first.next_token)
    assert first.items + second.items == ["people", *(f"more-{number}" for number in range(5))]
    assert second.next_token is None


@pytest.mark.parametrize(
    "token",
    ["", "5", "YWZ0ZXI6", "YWZ0ZXI6LTE=", "YWZ0ZXI6" + "OTk5" * 20, "ünïcode", "\0", "=", "%%%%"],
)
def test_a_token_from_elsewhere_is_refused(store: CollectionStore, token: str) -> None:
    with pytest.raises(PageTokenError):
        store.list_collections(limit=1, token=token)
    with pytest.raises(PageTokenError):
        store.list_faces("people", limit=1, token=token)


def test_everything_is_there_after_opening_again(store: CollectionStore, path: Path) -> None:
    fill(store, range(300))
    store.delete_faces("people", [a_face(7).face_id])
    store.create("empty")
    created = store.describe("people")[1]
    before = store.search("people", a_face(0).face_id, limit=20, min_similarity=0)
    store.close()

    again = CollectionStore(path)
    assert again.describe("people") == (299, created)
    assert again.describe("empty")[0] == 0
    assert again.count_faces() == 299
    found = again.search("people", a_face(0).face_id, limit=20, min_similarity=0)
    assert [match.face for match in found] == [match.face for match in before]
    again.close()


def test_a_deleted_collection_leaves_no_faces_for_its_successor(store: CollectionStore) -> None:
    fill(store, range(5))
    store.delete("people")
    with pytest.raises(CollectionNotFoundError):
        store.describe("people")
    store.create("people")
    assert count(store) == 0
    assert store.list_faces("people", limit=10).items == []


def test_faces_of_another_collection_are_not_found(store: CollectionStore) -> None:
    fill(store, range(3))
    store.create("others")
    store.add("others", [a_face(0), a_face(9)], [vector(0), vector(9)])
    (match,) = store.search("others", a_face(0).face_id, limit=9, min_similarity=0)
    assert match.face == a_face(9)


def test_what_is_not_there_is_told(store: CollectionStore) -> None:
    fill(store, range(1))
    with pytest.raises(CollectionExistsError):
        store.create("people")
    with pytest.raises(FaceNotFoundError):
        store.search("people", a_face(5).face_id, limit=1, min_similarity=0)
    for attempt in (
        lambda: store.delete("nobody"),
        lambda: store.add("nobody", [], []),
        lambda: store.list_faces("nobody", limit=1),
        lambda: store.delete_faces("nobody", []),
        lambda: store.search("nobody", "x", limit=1, min_similarity=0),
    ):
        with pytest.raises(CollectionNotFoundError):
            attempt()


def test_what_the_disk_refused_is_not_found_either(store: CollectionStore) -> None:
    fill(store, range(5))
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        fill(store, range(5, 500))
    assert count(store) == 5
    assert len(store.search("people", a_face(0).face_id, limit=900, min_similarity=0)) == 4
    store._database.execute("PRAGMA max_page_count = 100000")
    fill(store, range(5, 500))
    assert count(store) == 500


def test_a_second_process_is_refused(store: CollectionStore, path: Path) -> None:
    assert count(store) == 0
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        CollectionStore(path)


def test_many_threads_lose_nothing(store: CollectionStore) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 25):
            fill(store, range(number, number + 1))
            store.search("people", a_face(number).face_id, limit=3, min_similarity=0)
        store.delete_faces("people", [a_face(first).face_id])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(store) == 8 * 24
    assert len(set(all_faces(store, lambda: None, 10))) == 8 * 24


@pytest.mark.parametrize("faces", [0, 1, 29_999, 30_000, 30_001])
def test_a_large_collection_is_searched_to_its_last_face(faces: int) -> None:
    matrix = (
        (np.arange(faces * EMBEDDING_SIZE) % 7).astype(np.float32).reshape(faces, EMBEDDING_SIZE)
    )
    vector = np.arange(EMBEDDING_SIZE, dtype=np.float32) % 5

    product = _product(matrix, vector)

    assert np.array_equal(product, (matrix * vector).sum(axis=1))


@pytest.mark.parametrize("percent", [0.0, 1.0, 80.0, 99.0, 99.99])
def test_the_lowest_cosine_that_is_so_similar_is_the_lowest(percent: float) -> None:
    least = _cosine_at(percent)

    assert similarity(least) >= percent
    assert least < -1 or similarity(least - 1e-5) < percent


def test_faces_on_both_sides_of_the_threshold_are_told_apart(store: CollectionStore) -> None:
    at = _cosine_at(80)
    cosines = [1.0, at + 0.01, at + 1e-4, at - 1e-4, at - 0.01]
    across = np.zeros((len(cosines), EMBEDDING_SIZE), np.float32)
    across[:, 0] = cosines
    across[:, 1] = np.sqrt(1 - np.square(cosines))
    store.add("people", [a_face(n) for n in range(len(cosines))], list(across))

    found = store.search("people", a_face(0).face_id, limit=9, min_similarity=80)

    assert [match.face for match in found] == [a_face(1), a_face(2)]


# --- What is deleted ---------------------------------------------------------------------------


def named(number: int, length: int) -> CollectionFace:
    name = f"images-2F{number:06d}.".ljust(length, "x")
    return replace(a_face(number), external_image_id=name)


def traces(folder: Path, numbers: Iterable[int]) -> list[int]:
    """Those of whom a file still holds the name or a part of the face."""
    kept = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
    return [
        number
        for number in numbers
        if f"images-2F{number:06d}.".encode() in kept or vector(number).tobytes()[-64:] in kept
    ]


STEPS = st.one_of(
    st.tuples(
        st.just("add"), st.sampled_from([1, 1, 2, 40]), st.sampled_from([20, 20, 40, 120, 255])
    ),
    st.tuples(st.just("delete"), st.sampled_from([1, 1, 2, 30]), st.integers(0, 2**32)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
)

MOVING = [("add", 40, 40), ("add", 40, 120), ("add", 2, 255)]


@settings(max_examples=examples(40), deadline=None)
@given(steps=st.lists(STEPS, min_size=2, max_size=25))
# Rows that move between pages: what they leave behind there is not cleared when they are deleted.
@example([*MOVING, ("delete", 1, 50), ("delete", 30, 71)])
def test_nothing_stays_in_a_file_of_faces_that_are_deleted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "faces.db"
    store = CollectionStore(path)
    store.create("people")
    live: list[int] = []
    gone: list[int] = []
    for step, count, choice in steps:
        if step == "add":
            new = range(len(live) + len(gone), len(live) + len(gone) + count)
            store.add("people", [named(n, choice) for n in new], [vector(n) for n in new])
            live += new
        elif step == "delete":
            chosen = random.Random(choice).sample(live, min(len(live), count))
            store.delete_faces("people", [a_face(number).face_id for number in chosen])
            live = [number for number in live if number not in chosen]
            gone += chosen
            assert traces(path.parent, gone) == []
        else:
            store.close()
            store = CollectionStore(path)
    assert traces(path.parent, live) == live
    assert all_faces(store, lambda: None, 9) == [a_face(number).face_id for number in live]
    store.close()


def test_nothing_stays_in_a_file_of_a_collection_that_is_deleted(
    store: CollectionStore, path: Path
) -> None:
    store.create("others")
    store.add("people", [named(n, 40) for n in range(50)], [vector(n) for n in range(50)])
    store.add("others", [named(99, 40)], [vector(99)])

    store.delete("people")

    assert traces(path.parent, range(50)) == []
    assert traces(path.parent, [99]) == [99]
    assert store.describe("others")[0] == 1


def test_nothing_stays_of_deleted_faces_while_others_are_read(
    store: CollectionStore, path: Path
) -> None:
    numbers = range(100)
    store.add("people", [named(n, 40) for n in numbers], [vector(n) for n in numbers])
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            store.list_faces("people", limit=50)
            store.search("people", a_face(99).face_id, limit=50, min_similarity=0)
            store.describe("people")

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for number in range(0, 90, 10):
            gone = range(number, number + 10)
            store.delete_faces("people", [a_face(n).face_id for n in gone])
            assert traces(path.parent, range(number + 10)) == []
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert traces(path.parent, range(90, 100)) == list(range(90, 100))


def test_what_a_crash_left_of_deleted_faces_goes_at_the_next_start(
    store: CollectionStore, path: Path, tmp_path: Path
) -> None:
    numbers = range(100)
    store.add("people", [named(n, 40) for n in numbers], [vector(n) for n in numbers])
    with patch.object(CollectionStore, "_empty_log"):  # it had no time for that
        store.delete_faces("people", [a_face(n).face_id for n in range(50)])
    crashed = tmp_path / "crashed"
    shutil.copytree(path.parent, crashed)
    assert traces(crashed, range(50))

    again = CollectionStore(crashed / path.name)

    assert traces(crashed, range(50)) == []
    assert again.describe("people")[0] == 50
    again.close()


def test_what_an_earlier_version_left_of_deleted_faces_goes_at_the_next_start(
    store: CollectionStore, path: Path
) -> None:
    numbers = range(100)
    store.add("people", [named(n, 40) for n in numbers], [vector(n) for n in numbers])
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as earlier:
        earlier.execute("PRAGMA secure_delete = OFF")
        earlier.execute("PRAGMA user_version = 0")
        earlier.execute("DELETE FROM faces WHERE sequence <= 50")
        earlier.commit()
    assert traces(path.parent, range(50))

    again = CollectionStore(path)

    assert traces(path.parent, range(50)) == []
    assert again.describe("people")[0] == 50
    again.close()


def test_a_face_that_was_deleted_can_come_and_go_again(store: CollectionStore) -> None:
    for _ in range(3):
        fill(store, range(2))
        assert store.delete_faces("people", [a_face(0).face_id]) == [a_face(0).face_id]
        assert store.delete_faces("people", [a_face(0).face_id]) == []
    store.delete("people")
    store.create("people")
    fill(store, range(2))
    assert all_faces(store, lambda: None, 9) == [a_face(n).face_id for n in range(2)]


# --- The face model ---------------------------------------------------------------------------


def test_faces_of_another_model_are_never_compared(store: CollectionStore, path: Path) -> None:
    fill(store, range(1))
    store.close()

    with pytest.raises(OtherModelError, match=FACE_MODEL_VERSION):
        CollectionStore(path, face_model_version="another")

    again = CollectionStore(path)  # nothing was lost, and the file is not held open
    assert again.count_faces() == 1
    again.close()


def test_an_empty_file_takes_the_model_of_now(store: CollectionStore, path: Path) -> None:
    fill(store, range(1))
    store.delete_faces("people", [a_face(0).face_id])
    store.close()
    other = CollectionStore(path, face_model_version="another")
    fill(other, range(1))
    other.close()

    with pytest.raises(OtherModelError, match="another"):
        CollectionStore(path)


def test_a_file_that_names_no_model_is_of_the_first_and_is_told_so(path: Path) -> None:
    made = CollectionStore(path)
    made.create("people")
    fill(made, range(1))
    made._database.execute("DROP TABLE model")
    made.close()

    CollectionStore(path).close()

    with pytest.raises(OtherModelError, match=FACE_MODEL_VERSION):
        CollectionStore(path, face_model_version="another")
