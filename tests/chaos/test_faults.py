"""The fault plan: what it refuses, that it repeats itself, and what it does to a call."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from facematch.local.faults import (
    Called,
    Fault,
    FaultPlan,
    FaultyCalls,
    Injector,
    PlanError,
    What,
    image_of,
)
from facematch.local.rekognition.collections import CollectionFace, CollectionStore
from facematch.local.rekognition.faces import EMBEDDING_SIZE, Box
from tests.chaos.__main__ import PLANS
from workflow.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = [f"images/Person_{number}.jpg" for number in range(400)]


def injector(tmp_path: Path, *faults: Fault, seed: int = 1) -> Injector:
    plan = FaultPlan(name="test", about="", seed=seed, faults=faults)
    return Injector(plan, tmp_path / "faults.jsonl")


@pytest.mark.parametrize("path", sorted(PLANS.rglob("*.toml")), ids=lambda path: path.stem)
def test_every_plan_can_be_read_and_stands_in_the_document(path: Path) -> None:
    plan = FaultPlan.read(path)

    assert plan.about
    assert plan.name in (PROJECT / "docs" / "chaos.md").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        'about = "x"',
        "about = 'x'\nseed = 1\nunknown = 2",
        "about = 'x'\nseed = 1\n[[fault]]\nat = 's3.PutObject'",
        "about = 'x'\nseed = 1\n[[fault]]\nat = 's3.PutObject'\nwhat = 'explode'",
        "about = 'x'\nseed = 1\n[[fault]]\nat = 'lambda.Index'\nwhat = 'throttle'",
        "about = 'x'\nseed = 1\n[[fault]]\nat = 'rekognition.IndexFaces'\nwhat = 'kill-after'",
        "about = 'x'\nseed = 1\n[[fault]]\nat = 's3'\nwhat = 'error'",
        "about = 'x'\nseed = 1\n[[fault]]\nat = 's3.PutObject'\nwhat = 'error'\nshare = 1.5",
        "about = 'x'\nseed = 1\n[messages]\ntwice = true",
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_by_its_file(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)

    with pytest.raises(PlanError, match=r"broken\.toml"):
        FaultPlan.read(path)


def test_the_same_images_are_hit_in_every_run_in_any_order(tmp_path: Path) -> None:
    fault = Fault(at="s3.PutObject", what=What.ERROR, share=0.3)

    def hit(images: list[str], seed: int) -> set[str]:
        one = injector(tmp_path, fault, seed=seed)
        return {image for image in images if one.hit("s3.PutObject", image)}

    assert hit(IMAGES, 1) == hit(IMAGES[::-1], 1)
    assert hit(IMAGES, 1) != hit(IMAGES, 2)
    assert len(hit(IMAGES, 1)) == pytest.approx(0.3 * len(IMAGES), rel=0.25)


def test_an_image_is_hit_so_many_times_and_then_no_more(tmp_path: Path) -> None:
    one = injector(tmp_path, Fault(at="sns.Publish", what=What.LOSE, calls=3))

    hits = [one.hit("sns.Publish", IMAGES[0]) for _ in range(5)]

    assert hits == [What.LOSE] * 3 + [None] * 2
    assert one.hit("s3.PutObject", IMAGES[0]) is None


def test_of_two_faults_at_one_call_the_second_waits_for_the_next(tmp_path: Path) -> None:
    faults = [Fault(at="sns.Publish", what=what) for what in (What.LOSE, What.DROP)]
    one = injector(tmp_path, *faults)

    assert [one.hit("sns.Publish", IMAGES[0]) for _ in range(3)] == [What.LOSE, What.DROP, None]


def test_an_outage_hits_everything_until_it_is_over(tmp_path: Path) -> None:
    now = 100.0
    fault = Fault(at="rekognition.IndexFaces", what=What.ERROR, seconds=5)
    plan = FaultPlan(name="test", about="", seed=1, faults=(fault,))
    one = Injector(plan, tmp_path / "faults.jsonl", clock=lambda: now)

    during = [one.hit(fault.at, image) for image in IMAGES[:3] * 2]
    now = 105.1

    assert during == [What.ERROR] * 6
    assert one.hit(fault.at, IMAGES[0]) is None


def test_what_was_made_is_written_down_without_a_name(tmp_path: Path) -> None:
    one = injector(tmp_path, Fault(at="sns.Publish", what=What.DROP))
    one.hit("sns.Publish", "images/Ann_Lee_0001.jpg")

    (line,) = (tmp_path / "faults.jsonl").read_text().splitlines()

    assert json.loads(line)["what"] == "drop"
    assert "Ann" not in line


class Service:
    """An ASGI application that counts what it carried out."""

    def __init__(self) -> None:
        self.carried_out: list[bytes] = []

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        self.carried_out.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.mark.parametrize(
    ("what", "carried_out", "answered", "killed"),
    [
        (What.THROTTLE, False, (503, True), False),
        (What.ERROR, False, (500, True), False),
        (What.HANG, False, (200, False), False),
        (What.DROP, False, (200, False), False),
        (What.LOSE, True, (200, False), False),
        (What.KILL_BEFORE, False, (200, False), True),
        (What.KILL_AFTER, True, (200, False), True),
        (None, True, (200, True), False),
    ],
)
def test_a_call_is_carried_out_and_answered_as_planned(
    tmp_path: Path,
    what: What | None,
    carried_out: bool,
    answered: tuple[int, bool],
    killed: bool,
) -> None:
    service = Service()
    kills: list[int] = []
    sent: list[dict[str, Any]] = []
    received = [
        {"type": "http.request", "body": b"pay", "more_body": True},
        {"type": "http.request", "body": b"load"},
        {"type": "http.disconnect"},
    ]
    called = Called("s3.PutObject", IMAGES[0], lambda: kills.append(len(service.carried_out)))
    faults = [Fault(at="s3.PutObject", what=what)] if what else []
    app = FaultyCalls(service, injector(tmp_path, *faults), lambda *_: called)

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "PUT", "headers": []}, receive, send))

    assert service.carried_out == ([b"payload"] if carried_out else [])
    status, whole = answered
    assert sent[0]["status"] == status
    assert any(message["type"] == "http.response.body" for message in sent) is whole
    assert kills == ([int(carried_out)] if killed else [])


@pytest.mark.parametrize(
    ("event", "key"),
    [
        ({"image": {"key": "images/a.jpg"}, "index": {}}, "images/a.jpg"),
        ({"detail": {"input": '{"key": "images/a.jpg"}'}}, "images/a.jpg"),
        (
            {
                "Records": [
                    {"body": json.dumps({"Records": [{"s3": {"object": {"key": "images/a.jpg"}}}]})}
                ]
            },
            "images/a.jpg",
        ),
        ({"Records": [{"body": "broken"}]}, ""),
        ("a text", ""),
    ],
)
def test_an_invocation_is_known_by_its_image(event: Any, key: str) -> None:
    assert image_of(event) == key


def test_a_face_is_found_only_some_time_after_it_was_added(tmp_path: Path) -> None:
    now = 0.0
    store = CollectionStore(tmp_path / "faces.sqlite", findable_after=2.0, clock=lambda: now)
    store.create("people")
    vector = np.zeros(EMBEDDING_SIZE, np.float32)
    vector[0] = 1

    def add(name: str) -> None:
        face = CollectionFace(name, name, name, Box(0, 0, 1, 1), 99.0)
        store.add("people", [face], [vector])

    def found(name: str) -> list[str]:
        matches = store.search("people", name, limit=10, min_similarity=80)
        return sorted(match.face.face_id for match in matches)

    add("ann")
    now = 1.0
    add("bea")
    at_once = found("bea"), found("ann")
    now = 2.0
    add("ann")  # once more: it stays the face that it was
    ann_is_found = found("bea"), found("ann")
    now = 3.0
    all_are_found = found("bea"), found("ann")
    store.close()

    assert at_once == ([], [])
    assert ann_is_found == (["ann"], [])
    assert all_are_found == (["ann"], ["bea"])
