"""A local cloud that is killed in the middle of its work loses nothing that it had accepted.

Slow, since photographs go their whole way on clouds that start several times, and messages that
were in flight come again only after their visibility timeout.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import time
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from facematch.operations.status import stack_status
from facematch.stack.deployment import on_this_machine
from facematch.stack.executions import Executions
from tests.local.conftest import with_own_ports
from tests.local.processes import eventually, facematch, needs_proc, process_of, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: 300 by hand: FACEMATCH_CRASH_IMAGES=300.
IMAGES = int(os.environ.get("FACEMATCH_CRASH_IMAGES", "60"))
#: Where it does not matter how many are under way.
FEW = 18
#: So long that executions are under way when the local cloud stops.
SETTLING = ("--context", "settle_seconds=10")
pytestmark = needs_proc


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for a local cloud, which is also the one of `on_this_machine`."""
    folder = with_own_ports(tmp_path / "home")
    monkeypatch.setenv("FACEMATCH_HOME", str(folder))
    yield folder
    facematch(folder, "local", "stop", "--quiet")


def start(home: Path, *settings: str) -> None:
    done = facematch(home, "local", "start", *settings)
    assert done.returncode == 0, done.stderr


def people(folder: Path, images: int) -> Path:
    """Small photographs of two people under many names."""
    folder.mkdir()
    small = []
    for name in ("obama.jpg", "biden.jpg"):
        with Image.open(fetch_photographs()[name]) as photograph:
            small.append(photograph.convert("RGB").resize((200, 250)))
    for number in range(images):
        file = folder / f"Person_{number:03}.jpg"
        small[number % 2].save(file, quality=60 + number % 30)
    return folder


def audited(home: Path, *arguments: str) -> dict[str, Any]:
    done = facematch(home, "audit", "--local", "--json", *arguments)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return {**document, "exit_code": done.returncode}


@pytest.mark.parametrize("part", ["facematch.local.emulator.process", "facematch.local.serve"])
def test_a_killed_process_loses_no_image(home: Path, tmp_path: Path, part: str) -> None:
    folder = people(tmp_path / "people", IMAGES)
    start(home)
    uploading = started(home, "upload", str(folder), "--local")
    time.sleep(2)  # in the middle: some are finished, some run, some wait

    os.kill(process_of(home, part), signal.SIGKILL)
    uploading.communicate(timeout=60)
    assert eventually(lambda: not StateFolder(home).is_claimed())
    told = facematch(home, "local", "status")
    assert told.returncode == 1
    if part == "facematch.local.emulator.process":
        assert "The emulator ended by itself (killed by SIGKILL)" in told.stdout
        assert "facematch audit --local" in told.stdout
    else:  # nobody was left who could tell more
        assert "was killed" in told.stdout
    start(home)

    # What the upload could not do any more, it does when it is repeated.
    again = facematch(home, "upload", str(folder), "--local")
    assert again.returncode == 0, again.stderr
    assert_that_all_have_a_report(home)


def test_a_killed_face_engine_is_started_again_and_no_image_is_lost(
    home: Path, tmp_path: Path
) -> None:
    folder = people(tmp_path / "people", IMAGES)
    start(home)
    uploading = started(home, "upload", str(folder), "--local")
    time.sleep(2)
    engine = process_of(home, "facematch.local.rekognition.server")

    os.kill(engine, signal.SIGKILL)

    assert process_of(home, "facematch.local.rekognition.server") != engine
    said, errors = uploading.communicate(timeout=120)
    assert uploading.returncode == 0, said + errors
    told = facematch(home, "local", "status")
    assert told.returncode == 0
    assert "The face engine ended by itself (killed by SIGKILL)" in told.stdout
    assert_that_all_have_a_report(home)
    assert "The face engine ended by itself" in (home / "logs" / "local.log").read_text()


def test_ports_that_another_program_took_are_moved_and_nothing_is_lost(
    home: Path, tmp_path: Path
) -> None:
    """With messages that wait, executions to redrive, and a machine that names the queue."""
    folder = people(tmp_path / "people", FEW)
    start(home, *SETTLING)
    before = json.loads(facematch(home, "local", "status", "--json").stdout)
    later = tmp_path / "later"
    later.mkdir()
    for number in range(FEW // 3):
        (folder / f"Person_{number:03}.jpg").rename(later / f"Person_{number:03}.jpg")
    assert facematch(home, "upload", str(folder), "--local").returncode == 0
    take_from_the_queue(enabled=False)
    assert facematch(home, "upload", str(later), "--local").returncode == 0
    facematch(home, "local", "stop")
    state = home / "state" / "services"
    assert (state / "sqs.json").read_text().count("ObjectCreated") >= len(list(later.iterdir()))
    taken = [
        socket.create_server(("127.0.0.1", int(before[part].rpartition(":")[2])))
        for part in ("endpoint", "rekognition")
    ]

    try:
        start(home, *SETTLING)
        after = json.loads(facematch(home, "local", "status", "--json").stdout)
        assert after["endpoint"] != before["endpoint"]
        assert after["rekognition"] != before["rekognition"]

        take_from_the_queue(enabled=True)
        assert becomes_quiet()
        # What ran when it stopped is resumed with the definition that it was started with.
        replayed = json.loads(facematch(home, "replay", "--all", "--local", "--json").stdout)
        assert replayed["results"]
        assert {(r["how"], r["succeeded"]) for r in replayed["results"]} == {("redrive", True)}
        assert audited(home)["exit_code"] == 0
        assert finished(home) == FEW
        # The definition of the backfill's machine names the queue.
        again = facematch(home, "backfill", "--again", "--local")
        assert again.returncode == 0, again.stderr
        assert becomes_quiet()
        (later / "Extra_0001.jpg").write_bytes((later / "Person_000.jpg").read_bytes())
        more = facematch(home, "upload", str(later), "--local", "--wait", "--json")
        assert more.returncode == 0, more.stderr
        assert json.loads(more.stdout)["uploaded"] == 1
        facematch(home, "local", "stop")
        kept = b"".join(file.read_bytes() for file in state.glob("*.json"))
        assert before["endpoint"].encode() not in kept
        assert before["rekognition"].encode() not in kept
    finally:
        for listener in taken:
            listener.close()


def take_from_the_queue(*, enabled: bool) -> None:
    """Let the starter take messages, or leave them in the queue."""
    functions = on_this_machine().make_client("lambda")
    for source in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=source["UUID"], Enabled=enabled)


def assert_that_all_have_a_report(home: Path) -> None:
    assert becomes_quiet()
    facematch(home, "replay", "--all", "--local")
    if audited(home)["exit_code"]:
        audited(home, "--fix")
        assert becomes_quiet()
        facematch(home, "replay", "--all", "--local")
    result = audited(home)
    assert result["exit_code"] == 0, result
    assert finished(home) == IMAGES


def finished(home: Path) -> int:
    """The number of versions that `facematch status` tells as finished."""
    told = json.loads(facematch(home, "status", "--local", "--json").stdout)
    return sum(told["finished"].values())


def becomes_quiet() -> bool:
    """Whether nothing waits and nothing runs any more, in time.

    Asked in this process: a command for each look would take as much CPU as the work it waits for.
    """
    deployment = on_this_machine()
    deployment = dataclasses.replace(deployment, make_client=cache(deployment.make_client))

    def is_quiet() -> bool:
        status = stack_status(deployment, since=datetime.now(UTC))
        return not (status.waiting or status.in_flight or status.running)

    return eventually(is_quiet, every_seconds=0.5)  # each look lists every execution


def test_what_a_stop_ended_is_a_failure_with_a_record(home: Path, tmp_path: Path) -> None:
    start(home, *SETTLING)
    facematch(home, "upload", str(people(tmp_path / "people", FEW)), "--local")
    assert eventually(lambda: "RUNNING" in statuses())

    facematch(home, "local", "stop")
    start(home, *SETTLING)
    # All that was waiting is finished then, too.
    assert eventually(lambda: len(outcomes()) == FEW and "RUNNING" not in statuses())

    failed = statuses().count("FAILED")
    assert failed > 0
    # One group of those that have no report, and perhaps one of those that were about to notify.
    groups = json.loads(facematch(home, "failures", "--local", "--json").stdout)
    assert {group["reason"] for group in groups} == {"States.ServiceRestart"}
    assert sum(group["count"] for group in groups) == failed
    assert all(group["remedy"].startswith("Redrive") for group in groups)  # no function is at fault


def statuses() -> list[str]:
    """The executions' statuses."""
    return [execution.status for execution in Executions(on_this_machine()).listed()]


def outcomes() -> dict[str, object]:
    """When each report and failure record was written, by its key."""
    deployment = on_this_machine()
    return {
        found["Key"]: found["LastModified"]
        for kind in ("reports/", "failures/")
        for found in deployment.make_client("s3")
        .list_objects_v2(Bucket=deployment.output_bucket, Prefix=kind)
        .get("Contents", [])
    }
