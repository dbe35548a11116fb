"""Starts and stops that meet, and parts that end by themselves: told, and never left to chance."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from facematch.local import cloud as clouds
from facematch.local.cloud import LocalCloud
from facematch.local.events import Events, Kind
from facematch.local.state_folder import StateFolder
from tests.local.processes import (
    PATIENCE_SECONDS,
    eventually,
    facematch,
    needs_proc,
    process_of,
    processes_of,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_proc


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    facematch(folder, "local", "stop", "--quiet")


@pytest.mark.parametrize("after_seconds", [0.5, 1.5, 4.0])
def test_a_stop_while_it_starts_cancels_the_start(home: Path, after_seconds: float) -> None:
    """Before the process that holds it can answer, and later."""
    starting = started(home, "local", "start")
    assert eventually(StateFolder(home).is_claimed)
    time.sleep(after_seconds)
    had_started = StateFolder(home).running() is not None

    stopped = facematch(home, "local", "stop")

    assert stopped.returncode == 0, stopped.stderr
    assert "Stopped" in stopped.stderr
    assert "No local cloud" not in stopped.stderr
    _, errors = starting.communicate(timeout=PATIENCE_SECONDS)
    # It may have become ready between the look and the stop.
    was_stopped = "was stopped while it started" in errors
    assert starting.returncode == (1 if was_stopped else 0), errors
    assert not (had_started and was_stopped)
    assert was_stopped or "ready: " in (home / "logs" / "local.log").read_text()
    assert "Traceback" not in errors
    assert eventually(lambda: not processes_of(home)), processes_of(home)
    assert StateFolder(home).running() is None
    assert not StateFolder(home).is_claimed()


def test_of_two_starts_at_once_one_starts_and_the_other_finds_it_running(home: Path) -> None:
    both = [started(home, "local", "start") for _ in range(2)]

    said = [process.communicate(timeout=2 * PATIENCE_SECONDS) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert sum("is running" in errors for _, errors in said) == 1
    log = (home / "logs" / "local.log").read_text()
    assert log.count("starting the emulator") == 1
    assert log.count("ready: ") == 1


def test_a_start_while_it_stops_waits_and_starts(home: Path) -> None:
    assert facematch(home, "local", "start").returncode == 0
    first = StateFolder(home).running()
    assert first
    os.kill(first.pid, signal.SIGTERM)
    assert eventually(lambda: StateFolder(home).running() is None)

    again = facematch(home, "local", "start")

    assert again.returncode == 0, again.stderr
    second = StateFolder(home).running()
    assert second
    assert second.pid != first.pid
    assert second.endpoint == first.endpoint  # the first still held its port: not moved


def test_a_start_after_a_kill_waits_for_what_the_killed_one_left(home: Path) -> None:
    assert facematch(home, "local", "start").returncode == 0
    first = StateFolder(home).running()
    assert first
    os.kill(process_of(home, "facematch.local.emulator.process"), signal.SIGSTOP)
    os.kill(first.pid, signal.SIGKILL)

    again = started(home, "local", "start")
    time.sleep(2)
    before = again.poll(), StateFolder(home).running()
    (left,) = [
        process
        for process in processes_of(home)
        if b"-m\0facematch.local.emulator.process" in _command(process)
    ]
    os.kill(left, signal.SIGCONT)
    _, errors = again.communicate(timeout=2 * PATIENCE_SECONDS)

    assert before == (None, None)
    assert again.returncode == 0, errors
    second = StateFolder(home).running()
    assert second
    assert second.endpoint == first.endpoint


def _command(process: int) -> bytes:
    from tests.local.processes import PROC  # noqa: PLC0415

    return (PROC / str(process) / "cmdline").read_bytes()


def test_a_face_engine_that_dies_again_and_again_ends_the_local_cloud_with_the_reason(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clouds, "_RESTART_WAITS", (0.0, 0.1))
    monkeypatch.setenv("FACEMATCH_HOME", str(home))
    with LocalCloud(StateFolder(home)) as cloud:
        engine = process_of(home, "facematch.local.rekognition.server")
        database = cloud.home.database
        os.kill(engine, signal.SIGSTOP)
        for file in database.parent.glob("faces.sqlite*"):
            file.unlink()
        database.mkdir()  # it cannot be opened again
        os.kill(engine, signal.SIGKILL)

        assert cloud.ended.wait(3 * PATIENCE_SECONDS)  # it is started again several times
        assert cloud.running
        # Nobody listens in its place: a client would wait for an answer.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(
                ("127.0.0.1", int(cloud.running.rekognition.rpartition(":")[2])), timeout=10
            )

    told = facematch(home, "local", "status", "--json")
    assert told.returncode == 1
    events = json.loads(told.stdout)["events"]
    assert [event["kind"] for event in events] == ["START", "NEWS", *["TROUBLE"] * 2, "FAILURE"]
    assert "killed by SIGKILL" in events[2]["what"]
    assert "ended by itself 3 times" in events[-1]["what"]
    assert "exit code 1" in events[-1]["what"]
    assert str(database) in events[-1]["what"]  # what its log ends with
    shown = facematch(home, "local", "status")
    assert "No local cloud is running" in shown.stdout
    assert "ended by itself 3 times" in shown.stdout


def test_what_is_deployed_is_on_the_disk_before_it_runs(home: Path) -> None:
    """Else a kill would leave the first photographs in a bucket that no stack knows any more."""
    with LocalCloud(StateFolder(home)) as cloud:
        kept = (home / "state" / "services" / "cloudformation.json").read_text()
        assert cloud.running
        resources = cloud.client("cloudformation").describe_stack_resources(
            StackName=cloud.running.stack_name
        )["StackResources"]

    buckets = [r["PhysicalResourceId"] for r in resources if r["ResourceType"] == "AWS::S3::Bucket"]
    assert len(buckets) == 2
    assert all(bucket in kept for bucket in buckets)
    assert '"StackStatus": "CREATE_COMPLETE"' in kept


def test_a_start_after_a_kill_before_the_first_snapshot_begins_anew(home: Path) -> None:
    with LocalCloud(StateFolder(home)):
        pass
    for file in (home / "state" / "services").glob("*.json"):
        file.unlink()

    with LocalCloud(StateFolder(home)) as cloud:
        assert cloud.client("stepfunctions").list_state_machines()["stateMachines"]


def test_events_are_kept_with_a_bound_and_read_from_the_last_start_on(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    for number in range(500):
        events.begin(f"start {number}")
        events.note(f"trouble {number}", Kind.TROUBLE)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"at": "2026-11')  # as a full disk leaves it

    assert [event.what for event in events.since_start()] == ["start 499", "trouble 499"]
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) < 250


def test_an_event_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    events = Events(tmp_path / "missing" / "events.jsonl")

    events.begin("start")
    events.note("news")

    assert events.since_start() == []
