"""The local cloud as a person uses it: start, stop, kill, ports, and what it keeps."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from facematch.cli import main as cli
from facematch.evidence import folders
from facematch.evidence.folders import EvidenceFolders
from facematch.files.own_folders import OwnFolders
from facematch.local.cloud import LocalCloud, _empty, reset
from facematch.local.errors import LocalCloudError
from facematch.local.keys import AccessKeys
from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import Running, StateFolder
from tests.local.conftest import with_own_ports
from tests.local.processes import (
    PATIENCE_SECONDS,
    PROC,
    addresses_of,
    eventually,
    facematch,
    needs_proc,
    processes_of,
)
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    facematch(tmp_path, "local", "stop", "--quiet")


def sorted_lists(document: dict[str, Any]) -> dict[str, Any]:
    return {k: sorted(v) if isinstance(v, list) else v for k, v in document.items()}


def people(folder: Path) -> Path:
    folder.mkdir()
    photographs = fetch_photographs()
    for name, source in {"Ann_Lee_0001.jpg": "obama.jpg", "Bea_Roe_0001.jpg": "obama2.jpg"}.items():
        (folder / name).write_bytes(photographs[source].read_bytes())
    (folder / "Broken_0001.jpg").write_bytes(b"not a photograph")
    (folder / "notes.txt").write_text("left out")
    return folder


@needs_proc
def test_a_newcomers_session_from_start_to_stop(home: Path, tmp_path: Path) -> None:
    folder = people(tmp_path / "people")

    with_own_ports(home)
    started = facematch(home, "local", "start")
    assert started.returncode == 0, started.stderr
    assert "http://127.0.0.1:" in started.stdout

    uploaded = facematch(home, "upload", str(folder), "--local", "--wait", "--json")
    assert uploaded.returncode == 0, uploaded.stderr
    document = json.loads(uploaded.stdout)
    names = document.pop("names")
    assert (names["photographs"], names["names"]) == (3, 3)
    assert sorted_lists(document) == {
        "uploaded": 3,
        "unchanged": 0,
        "not_uploaded": 0,
        "left_out": [{"path": str(folder / "notes.txt"), "reason": "NO_PHOTOGRAPH"}],
        "reported": ["images/Ann_Lee_0001.jpg", "images/Bea_Roe_0001.jpg"],
        "undelivered": [],
        "superseded": [],
        "rejected": ["images/Broken_0001.jpg"],
        "failed": [],
        "reasons": {"images/Broken_0001.jpg": "NOT_JPEG_OR_PNG"},
    }
    assert f"Left out: {folder / 'notes.txt'} is not a photograph." in uploaded.stderr

    found = facematch(home, "matches", "--local", "--json")
    (pair,) = json.loads(found.stdout)
    assert set(pair) == {
        *(
            "record_a",
            "record_b",
            "name_a",
            "name_b",
            "similarity",
            "image_pairs",
            "key_a",
            "key_b",
        ),
        *(
            "people_a",
            "people_b",
            "relation",
            "same_file",
            "same_files",
            "standing",
            "why",
            "decided_by",
            "decided_at",
            "note",
        ),
    }
    assert (pair["name_a"], pair["name_b"], pair["image_pairs"]) == ("Ann_Lee", "Bea_Roe", 1)
    assert (pair["key_a"], pair["key_b"]) == ("images/Ann_Lee_0001.jpg", "images/Bea_Roe_0001.jpg")
    assert json.loads(facematch(home, "matches", "--local", "--json", "--min", "100").stdout) == []

    no_key_is_seen_from_outside(home)

    # Everything is kept over a stop, and uploading again starts nothing.
    stopped = facematch(home, "local", "stop")
    assert stopped.returncode == 0
    assert eventually(lambda: not processes_of(home))
    assert list((home / "state" / "tmp").iterdir()) == []
    StateFolder(home).keys.unlink()  # as in a state from before there were any
    assert facematch(home, "local", "start").returncode == 0
    again = facematch(home, "upload", str(folder), "--local", "--wait", "--json")
    assert json.loads(again.stdout)["uploaded"] == 0
    assert json.loads(again.stdout)["unchanged"] == 3
    assert json.loads(facematch(home, "matches", "--local", "--json").stdout) == [pair]
    status = json.loads(facematch(home, "local", "status", "--json").stdout)
    assert status["running"] is True
    no_page_in_a_browser_is_answered(status["endpoint"])
    no_page_in_a_browser_is_answered(status["rekognition"])
    an_sdk_works_with_the_exports_of_the_shell(home)
    assert addresses_of(processes_of(home)) == {status["endpoint"], status["rekognition"]}
    nothing_is_readable_by_others(home)
    assert facematch(home, "local", "reset", "--yes").returncode == 2
    see_what_an_operator_sees(home)


def nothing_is_readable_by_others(home: Path) -> None:
    """The folders keep everybody out, and each file by itself, too."""
    kept = [path for folder in ("state", "logs") for path in (home / folder).rglob("*")]
    kept += [home / name for name in ("state", "logs", "lock", "running.json", "events.jsonl")]
    kept.remove(home / "state" / "ports.json")  # the test's own
    assert [path for path in kept if mode(path) & 0o077] == []


def mode(path: Path) -> int:
    """Return the mode of a file; 0 if it got its name, as a snapshot does, since it was listed."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        if path.suffix != ".tmp":
            raise
        return 0


def no_page_in_a_browser_is_answered(endpoint: str) -> None:
    """Neither one from elsewhere nor one under a name that points here."""
    for method in ("GET", "OPTIONS", "POST"):
        for header in ({"Origin": "https://example.org"}, {"Host": "example.org"}):
            asked = urllib.request.Request(f"{endpoint}/", method=method, headers=header)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked, timeout=10)
            assert refused.value.code == 403
            assert "not pages in a browser" in refused.value.read().decode()
            names = [name.lower() for name in refused.value.headers]
            assert not [name for name in names if name.startswith("access-control-")]


#: What a person's own program asks, with nothing but the environment to find the services.
ASKING = """
import boto3, json
s3, rekognition = boto3.client("s3"), boto3.client("rekognition")
buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
(images,) = [name for name in buckets if "images" in name]
found = s3.list_objects_v2(Bucket=images)["Contents"]
collections = rekognition.list_collections()["CollectionIds"]
assert rekognition.meta.endpoint_url == s3.meta.endpoint_url
print(json.dumps([len(found), collections, boto3.client("sts").meta.region_name]))
"""


def an_sdk_works_with_the_exports_of_the_shell(home: Path) -> None:
    """In a shell that leads elsewhere: to a profile, a session, other endpoints and a proxy."""
    config = home / "config"
    config.write_text("[default]\nignore_configured_endpoint_urls = true\n")
    nowhere = "http://127.0.0.1:1"
    python = sys.executable
    done = subprocess.run(
        [
            "sh",
            "-euc",
            f'eval "$({python} -m facematch.cli.main local env)"; {python} -c "$ASKING"',
        ],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "FACEMATCH_HOME": str(home),
            "ASKING": ASKING,
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PROFILE": "production",
            "AWS_SESSION_TOKEN": "of-production",
            "AWS_ENDPOINT_URL_S3": nowhere,
            "AWS_ENDPOINT_URL_REKOGNITION": nowhere,  # as exports of an earlier version had it
            "AWS_DEFAULT_REGION": "eu-west-1",
            "http_proxy": nowhere,
            "no_proxy": "example.org",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [3, ["FaceMatching-local"], "us-east-1"]


def no_key_is_seen_from_outside(home: Path) -> None:
    """In no command line, no log, and no message; and no function can read the user's."""
    file = StateFolder(home).keys
    keys = AccessKeys.read(file)
    secrets = [keys.user.id, keys.user.secret, keys.functions.id, keys.functions.secret]
    assert file.stat().st_mode & 0o777 == 0o600
    workers = 0
    for process in processes_of(home):
        command, environment = (PROC / str(process) / name for name in ("cmdline", "environ"))
        assert not [s for s in secrets if s in command.read_text(errors="replace")]
        if (PROC / str(process) / "comm").read_text().strip() in {"IntakeStarter", "Index"}:
            workers += 1
            variables = environment.read_text(errors="replace")
            assert not [s for s in (keys.user.id, keys.user.secret) if s in variables]
    assert workers
    logs = [path.read_text(errors="replace") for path in (home / "logs").iterdir()]
    assert logs
    assert not [secret for secret in secrets for log in logs if secret in log]
    status = facematch(home, "local", "status", "--json").stdout
    assert not [secret for secret in secrets if secret in status]


def see_what_an_operator_sees(home: Path) -> None:
    """Each of the operator's commands on two matched photographs and a broken one."""
    status = json.loads(facematch(home, "status", "--local", "--json").stdout)
    assert status["finished"] == {"MATCHED": 1, "UNIQUE": 1} or status["finished"] == {"MATCHED": 2}
    assert status["failed"] == {"REJECTED NOT_JPEG_OR_PNG": 1}
    assert (status["waiting"], status["running"], status["dead_letters"]) == (0, 0, 0)

    listed = facematch(home, "executions", "--local", "--json", "--status", "failed")
    (failed,) = json.loads(listed.stdout)
    assert failed["name"].startswith("Broken_0001-")
    assert len(json.loads(facematch(home, "executions", "--local", "--json").stdout)) == 3

    told = json.loads(facematch(home, "show", "Broken_0001.jpg", "--local", "--json").stdout)
    assert told["failure"]["remedy"]
    assert [step["name"] for step in told["steps"]][-1] == "ImageRejected"
    assert "Ann_Lee" in facematch(home, "show", "Bea_Roe_0001.jpg", "--local").stdout

    (group,) = json.loads(facematch(home, "failures", "--local", "--json").stdout)
    assert (group["reason"], group["count"]) == ("NOT_JPEG_OR_PNG", 1)

    nothing = facematch(home, "replay", "--all", "--local")
    assert nothing.returncode == 0
    assert "nothing to replay" in nothing.stdout
    assert facematch(home, "replay", "--local").returncode == 2
    assert facematch(home, "replay", "--dead-letters", "--local").returncode == 0
    assert facematch(home, "audit", "--local").returncode == 0
    preview = facematch(home, "backfill", "--dry-run", "--local")
    assert preview.returncode == 0, preview.stderr


@needs_proc
def test_killing_the_local_cloud_ends_every_process_of_it(home: Path, tmp_path: Path) -> None:
    facematch(home, "local", "start")
    facematch(home, "upload", str(people(tmp_path / "people")), "--local", "--wait")
    running = StateFolder(home).running()
    assert running
    # Itself, the emulator, the endpoint, its two face workers, and functions.
    assert len(processes_of(home)) >= 6

    os.kill(running.pid, signal.SIGKILL)

    assert eventually(lambda: not processes_of(home)), processes_of(home)
    assert StateFolder(home).running() is None


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_local_cloud_in_the_foreground_ends_cleanly_with_its_terminal(
    home: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "facematch.cli.main", "local", "start", "--foreground"],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert eventually(lambda: StateFolder(home).running() is not None)

    os.killpg(process.pid, number)  # as Ctrl-C does: every process of the terminal

    assert process.wait(PATIENCE_SECONDS) == 0
    assert eventually(lambda: not processes_of(home)), processes_of(home)


def test_two_local_clouds_cannot_share_a_folder(tmp_path: Path) -> None:
    home = StateFolder(tmp_path)
    with home.lock(), pytest.raises(LocalCloudError, match="running"):
        LocalCloud(home).start()
    with home.lock(), pytest.raises(LocalCloudError, match="running"):
        reset(home)


@needs_proc
def test_a_part_that_cannot_start_is_named_with_its_log_and_nothing_is_left_running(
    tmp_path: Path,
) -> None:
    home = StateFolder(tmp_path)
    home.database.mkdir(parents=True)  # where the endpoint wants to keep its faces

    with pytest.raises(LocalCloudError, match="rekognition") as raised:
        LocalCloud(home).start()

    assert str(home.logs / "rekognition.log") in str(raised.value)
    assert eventually(lambda: not processes_of(tmp_path))
    assert home.running() is None


@pytest.mark.parametrize(
    "arguments",
    [("matches", "--local"), ("upload", "tests", "--local"), ("local", "status"), ("local", "env")],
)
def test_without_a_local_cloud_a_command_says_how_to_start_one(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = facematch(tmp_path, *arguments)

    assert done.returncode in {1, 2}
    assert "No local cloud is running" in done.stdout + done.stderr
    assert arguments != ("local", "env") or not done.stdout  # which a shell would evaluate
    assert "Traceback" not in done.stderr


def test_without_a_stack_a_command_says_where_it_looked(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "FACEMATCH_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "facematch.cli.main", "matches", "--region", "eu-west-1"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "'FaceMatching'" in done.stderr
    assert "--local" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_difference_is_shown(tmp_path: Path) -> None:
    from facematch.local.differences import DIFFERENCES  # noqa: PLC0415

    shown = facematch(tmp_path, "local", "differences", "--json")

    listed: list[dict[str, Any]] = json.loads(shown.stdout)
    assert [entry["what"] for entry in listed] == [d.what for d in DIFFERENCES]


def kept(payload: object) -> str:
    return json.dumps({"__ministack_format__": 2, "payload": payload})


@needs_proc
@pytest.mark.parametrize(
    ("service", "text"),
    [
        ("s3", '{"__ministack_format__": 2, "payl'),
        ("stepfunctions", ""),
        ("stepfunctions", kept({"executions": 5})),
        ("stepfunctions", kept([])),
    ],
)
def test_a_damaged_state_is_said_and_left_as_it_is(
    tmp_path: Path, service: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start without it would lose all executions, and write that down."""
    monkeypatch.setattr("facematch.local.cloud.synthesised", lambda _settings: tmp_path)
    home = StateFolder(tmp_path)
    file = home.state / "services" / f"{service}.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)

    with pytest.raises(LocalCloudError, match=r"damaged.*facematch local reset") as raised:
        LocalCloud(home).start()

    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert file.read_text() == text
    assert eventually(lambda: not processes_of(tmp_path))


def test_settings_for_a_local_cloud_that_runs_already_are_not_ignored(tmp_path: Path) -> None:
    home = StateFolder(tmp_path)
    with home.lock(), home.hold():
        home.is_running(Running(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2", "Stack"))
        without = facematch(tmp_path, "local", "start")
        with_settings = facematch(tmp_path, "local", "start", "-c", "notify_threshold=50")

    assert without.returncode == 0
    assert "running" in without.stderr
    assert with_settings.returncode == 2
    assert "facematch local stop" in with_settings.stderr


@needs_proc
def test_a_start_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "facematch.cli.main", "local", "start"],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # Itself, the one that holds the others, the emulator.
    assert eventually(lambda: len(processes_of(home)) >= 3)

    os.killpg(process.pid, signal.SIGINT)

    assert process.wait(PATIENCE_SECONDS) == 130
    assert eventually(lambda: not processes_of(home)), processes_of(home)
    assert StateFolder(home).running() is None
    assert process.stderr
    assert "Traceback" not in process.stderr.read() + (home / "logs" / "local.log").read_text()


def test_a_reset_deletes_nothing_of_others_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.log").write_text("mine")

    done = facematch(tmp_path, "local", "reset", "--yes")

    assert done.returncode == 0
    assert "no local cloud" in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine.log"]


def test_a_reset_deletes_what_was_kept_and_leaves_the_rest(tmp_path: Path) -> None:
    for listener in StateFolder(tmp_path).listeners():
        listener.close()
    mine = {tmp_path / name for name in ("notes.txt", "logs/notes.txt", "dashboard/index.html")}
    for path in (*mine, tmp_path / "logs" / "emulator.log"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")

    done = facematch(tmp_path, "local", "reset", "--yes")

    assert done.returncode == 0, done.stderr
    assert "is deleted" in done.stderr
    assert not (tmp_path / "state").exists()
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left - {tmp_path / "lock"} == mine
    assert f"{tmp_path / 'dashboard'} is not an evidence page" in done.stderr


def test_a_reset_deletes_the_evidence_page_that_was_written_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnFolders(tmp_path / "root", folders._LAYOUT)
    page = tmp_path / "home" / "dashboard"
    with own.replacing(page, {}) as new:
        (new / "index.html").write_text("Ann")
    for listener in StateFolder(tmp_path / "home").listeners():
        listener.close()
    monkeypatch.setenv("FACEMATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        folders, "EvidenceFolders", functools.partial(EvidenceFolders, tmp_path / "root")
    )

    done = CliRunner().invoke(cli.app, ["local", "reset", "--yes"])

    assert done.exit_code == 0, done.output
    assert not page.exists()


def test_a_reset_that_cannot_delete_everything_does_not_say_that_it_did(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for listener in StateFolder(tmp_path / "other").listeners():
        listener.close()
    (tmp_path / "other" / "state").rename(elsewhere)
    home = tmp_path / "home"
    home.mkdir()
    (home / "state").symlink_to(elsewhere)

    done = facematch(home, "local", "reset", "--yes")

    assert done.returncode == 1
    assert "is deleted" not in done.stderr
    assert (elsewhere / "ports.json").exists()


def test_nothing_is_emptied_through_a_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("three years of work")
    folder = tmp_path / "tmp"
    folder.symlink_to(mine.parent)

    _empty(folder)

    assert mine.exists()
    assert not folder.is_symlink()


@pytest.mark.parametrize("place", ["file", "file/below"])
@pytest.mark.parametrize("command", ["start", "reset", "status"])
def test_a_home_that_is_a_file_is_said(tmp_path: Path, command: str, place: str) -> None:
    (tmp_path / "file").write_text("mine")

    done = facematch(tmp_path / place, "local", command)

    assert done.returncode == 2
    assert f"{tmp_path / 'file'} is a file" in done.stderr
    assert "Traceback" not in done.stderr
