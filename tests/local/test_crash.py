"""A local cloud that is killed in the middle of its work loses nothing that it had accepted."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from facematch.deployment import on_this_machine
from facematch.executions import Executions
from facematch.local.home import Home
from facematch.photographs import fetch_photographs
from facematch.toolkit import PROJECT
from tests.local.conftest import with_own_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: 300 by hand: FACEMATCH_CRASH_IMAGES=300.
IMAGES = int(os.environ.get("FACEMATCH_CRASH_IMAGES", "60"))
PATIENCE_SECONDS = 60
PROC = Path("/proc")
pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="finds processes in /proc")


def facematch(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facematch.cli", *arguments],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def eventually(look: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if look():
            return True
        time.sleep(0.1)
    return False


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


def process_of(home: Path, part: str) -> int:
    """Id of the process of the local cloud with `part` in its command line."""
    parent = Home(home).running()
    assert parent
    for entry in PROC.iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            is_child = int(status[1]) in {parent.pid, *children_of(parent.pid)}
            if is_child and part in (entry / "cmdline").read_bytes().decode():
                return int(entry.name)
    pytest.fail(f"no process with {part} runs")


def children_of(pid: int) -> set[int]:
    found = set()
    for entry in PROC.iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.add(int(entry.name))
    return found


def audited(home: Path, *arguments: str) -> dict[str, Any]:
    done = facematch(home, "audit", "--local", "--json", *arguments)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return {**document, "exit_code": done.returncode}


@pytest.mark.parametrize(
    "part", ["facematch.local.emulator", "facematch.local.rekognition", "facematch.local.serve"]
)
def test_a_killed_process_loses_no_image(home: Path, people: Path, part: str) -> None:
    uploading = subprocess.Popen(
        [sys.executable, "-m", "facematch.cli", "upload", str(people), "--local"],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2)  # in the middle: some are finished, some run, some wait
    running = Home(home).running()
    assert running
    pid = running.pid if part.endswith("serve") else process_of(home, part)

    os.kill(pid, signal.SIGKILL)
    uploading.wait(60)
    assert eventually(lambda: not Home(home).is_claimed())
    assert facematch(home, "local", "start").returncode == 0

    # What the upload could not do any more, it does when it is repeated.
    again = facematch(home, "upload", str(people), "--local")
    assert again.returncode == 0, again.stderr
    assert eventually(lambda: is_quiet(home))
    facematch(home, "replay", "--all", "--local")
    if audited(home)["exit_code"]:
        audited(home, "--fix")
        assert eventually(lambda: is_quiet(home))
        facematch(home, "replay", "--all", "--local")
    result = audited(home)

    assert result["exit_code"] == 0, result
    reports = facematch(home, "status", "--local", "--json")
    assert sum(json.loads(reports.stdout)["finished"].values()) == IMAGES


def is_quiet(home: Path) -> bool:
    """Whether nothing waits and nothing runs any more."""
    document = json.loads(facematch(home, "status", "--local", "--json").stdout)
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
