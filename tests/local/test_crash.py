"""A local cloud that is killed in the middle of its work loses nothing that it had accepted."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from facematch.stack.deployment import on_this_machine
from facematch.stack.executions import Executions
from tests.local.conftest import with_own_ports
from tests.local.processes import eventually, facematch, needs_proc, process_of, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: 300 by hand: FACEMATCH_CRASH_IMAGES=300.
IMAGES = int(os.environ.get("FACEMATCH_CRASH_IMAGES", "60"))
pytestmark = needs_proc


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = with_own_ports(tmp_path / "home")
    assert facematch(folder, "local", "start").returncode == 0
    yield folder
    facematch(folder, "local", "stop", "--quiet")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Many small photographs of two people under many names."""
    folder = tmp_path / "people"
    folder.mkdir()
    sources = [fetch_photographs()[name] for name in ("obama.jpg", "biden.jpg")]
    for number in range(IMAGES):
        with Image.open(sources[number % 2]) as photograph:
            small = photograph.convert("RGB").resize((200, 250))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=60 + number % 30)
        (folder / f"Person_{number:03}.jpg").write_bytes(buffer.getvalue())
    return folder


def audited(home: Path, *arguments: str) -> dict[str, Any]:
    done = facematch(home, "audit", "--local", "--json", *arguments)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return {**document, "exit_code": done.returncode}


@pytest.mark.parametrize("part", ["facematch.local.emulator.process", "facematch.local.serve"])
def test_a_killed_process_loses_no_image(home: Path, people: Path, part: str) -> None:
    uploading = started(home, "upload", str(people), "--local")
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
    assert facematch(home, "local", "start").returncode == 0

    # What the upload could not do any more, it does when it is repeated.
    again = facematch(home, "upload", str(people), "--local")
    assert again.returncode == 0, again.stderr
    assert_that_all_have_a_report(home)


def test_a_killed_face_engine_is_started_again_and_no_image_is_lost(
    home: Path, people: Path
) -> None:
    uploading = started(home, "upload", str(people), "--local")
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
    home: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With messages that wait, executions to redrive, and a machine that names the queue."""
    monkeypatch.setenv("FACEMATCH_HOME", str(home))
    # So long that executions are under way when it stops.
    settling = ("--context", "settle_seconds=10")
    facematch(home, "local", "stop")
    assert facematch(home, "local", "start", *settling).returncode == 0
    before = json.loads(facematch(home, "local", "status", "--json").stdout)
    later = people.with_name("later")
    later.mkdir()
    for number in range(IMAGES // 3):
        (people / f"Person_{number:03}.jpg").rename(later / f"Person_{number:03}.jpg")
    assert facematch(home, "upload", str(people), "--local").returncode == 0
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
        done = facematch(home, "local", "start", *settling)
        assert done.returncode == 0, done.stderr
        after = json.loads(facematch(home, "local", "status", "--json").stdout)
        assert after["endpoint"] != before["endpoint"]
        assert after["rekognition"] != before["rekognition"]

        take_from_the_queue(enabled=True)
        assert eventually(lambda: is_quiet(home))
        # What ran when it stopped is resumed with the definition that it was started with.
        replayed = json.loads(facematch(home, "replay", "--all", "--local", "--json").stdout)
        assert replayed["results"]
        assert {(r["how"], r["succeeded"]) for r in replayed["results"]} == {("redrive", True)}
        assert audited(home)["exit_code"] == 0
        assert sum(standing(home)["finished"].values()) == IMAGES
        # The definition of the backfill's machine names the queue.
        again = facematch(home, "backfill", "--again", "--local")
        assert again.returncode == 0, again.stderr
        assert eventually(lambda: is_quiet(home))
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
    assert eventually(lambda: is_quiet(home))
    facematch(home, "replay", "--all", "--local")
    if audited(home)["exit_code"]:
        audited(home, "--fix")
        assert eventually(lambda: is_quiet(home))
        facematch(home, "replay", "--all", "--local")
    result = audited(home)
    assert result["exit_code"] == 0, result
    assert sum(standing(home)["finished"].values()) == IMAGES


def standing(home: Path) -> dict[str, Any]:
    """What `facematch status` tells."""
    told: dict[str, Any] = json.loads(facematch(home, "status", "--local", "--json").stdout)
    return told


def is_quiet(home: Path) -> bool:
    """Whether nothing waits and nothing runs any more."""
    document = standing(home)
    return not (document["waiting"] or document["in_flight"] or document["running"])


def test_what_a_stop_ended_is_a_failure_with_a_record(
    home: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEMATCH_HOME", str(home))
    facematch(home, "upload", str(people), "--local")
    assert eventually(lambda: "RUNNING" in statuses())

    facematch(home, "local", "stop")
    assert facematch(home, "local", "start").returncode == 0
    # All that was waiting is finished then, too.
    assert eventually(lambda: len(outcomes()) == IMAGES and "RUNNING" not in statuses())

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
