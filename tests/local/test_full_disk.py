"""A disk that takes nothing more: what is answered is kept, what is not kept is said."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from facematch.local import free_space as room
from facematch.local.events import Events
from facematch.local.keys import AccessKey, AccessKeys
from facematch.local.rekognition.collections import CollectionFace, CollectionStore
from facematch.local.rekognition.faces import EMBEDDING_SIZE, Box
from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from tests.local.conftest import KEYS
from tests.local.processes import emulating, eventually, facematch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTE = 1_000_000
needs_prlimit = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="limits the files of another process (Linux)"
)


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, or the test is skipped."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0:
            try:
                yield folder
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    pytest.skip("only root may mount a small file system")


def fill(folder: Path, leaving: int = 0) -> Path:
    """Another program's file, which takes all of the disk but so much."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as filler:
        space = os.statvfs(folder)
        with contextlib.suppress(OSError):
            os.posix_fallocate(
                filler.fileno(), 0, max(1, space.f_bavail * space.f_frsize - leaving)
            )
        if not leaving:
            with contextlib.suppress(OSError):
                for _ in count():
                    filler.seek(0, os.SEEK_END)
                    filler.write(b"x" * 4096)
    return file


def s3_at(endpoint: str, key: AccessKey = KEYS.user) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def versioned(s3: Any) -> str:
    s3.create_bucket(Bucket="images")
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="images", VersioningConfiguration=enabled)
    return "images"


def contents(s3: Any, bucket: str) -> dict[tuple[str, str], bytes]:
    """Every version with its bytes."""
    listed = s3.list_object_versions(Bucket=bucket).get("Versions", [])
    return {
        (item["Key"], item["VersionId"]): s3.get_object(
            Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"]
        )["Body"].read()
        for item in listed
    }


def refused(s3: Any, key: str, body: bytes) -> Any:
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket="images", Key=key, Body=body)
    return raised.value.response


def test_on_a_full_disk_an_upload_is_refused_and_after_a_kill_every_answered_one_is_there(
    tmp_path: Path,
) -> None:
    with mounted(tmp_path / "disk", 40) as disk:
        with emulating(disk / "state") as (process, endpoint):
            s3 = s3_at(endpoint)
            versioned(s3)
            for number in range(5):
                s3.put_object(Bucket="images", Key=f"{number}.jpg", Body=b"old" * 9999)
            filler = fill(disk)
            before = contents(s3, "images")

            said = refused(s3, "0.jpg", b"new" * 99_999)

            assert said["ResponseMetadata"]["HTTPStatusCode"] == 500
            assert said["Error"]["Code"] == "InternalError"
            assert "No space left on device" in said["Error"]["Message"]
            assert contents(s3, "images") == before
            assert s3.get_object(Bucket="images", Key="0.jpg")["Body"].read() == b"old" * 9999
            # To remove a version needs no room, and makes some.
            (first,) = [v for key, v in before if key == "4.jpg"]
            s3.delete_object(Bucket="images", Key="4.jpg", VersionId=first)
            filler.unlink()
            s3.put_object(Bucket="images", Key="0.jpg", Body=b"new" * 99_999)
            acknowledged = contents(s3, "images")
            process.send_signal(signal.SIGKILL)
        with emulating(disk / "state") as (_, endpoint):
            s3 = s3_at(endpoint)

            assert len(acknowledged) == 5
            assert contents(s3, "images") == acknowledged


@needs_prlimit
def test_a_file_that_the_system_does_not_take_is_refused(tmp_path: Path) -> None:
    with emulating(tmp_path / "state") as (process, endpoint):
        s3 = s3_at(endpoint)
        versioned(s3)
        s3.put_object(Bucket="images", Key="1.jpg", Body=b"old")
        before = contents(s3, "images")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

        said = refused(s3, "1.jpg", b"x" * 300_000)

        assert "File too large" in said["Error"]["Message"]
        assert contents(s3, "images") == before
        s3.put_object(Bucket="images", Key="2.jpg", Body=b"x" * 30_000)
        acknowledged = contents(s3, "images")
        process.send_signal(signal.SIGKILL)
    with emulating(tmp_path / "state") as (_, endpoint):
        assert contents(s3_at(endpoint), "images") == acknowledged


@needs_prlimit
def test_a_state_that_cannot_be_written_is_told_of_until_it_can(tmp_path: Path) -> None:
    state = tmp_path / "state"
    events = Events(state / "events.jsonl")

    def told() -> list[str]:
        return [event.what for event in events.since_start()]

    with emulating(state) as (process, endpoint):
        s3 = s3_at(endpoint)
        versioned(s3)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1_100, resource.RLIM_INFINITY))
        s3.list_buckets()
        assert eventually(lambda: len(told()) == 1)
        assert "cannot be written to the disk (File too large)" in told()[0]
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert eventually(lambda: len(told()) == 2)
        assert "written to the disk again" in told()[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1_100, resource.RLIM_INFINITY))

    assert "The last state of the services could not be written" in told()[-1]
    assert "facematch audit --local" in told()[-1]


def test_a_bucket_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    """MiniStack would go on without what comes after it."""
    state = tmp_path / "state"
    with emulating(state) as (_, endpoint):
        versioned(s3_at(endpoint))
    bucket = state / "s3" / "000000000000" / "images"
    (bucket / "broken").symlink_to(bucket / "missing")

    with emulating(state) as (process, _):
        assert process.wait(60) == 3


def test_faces_that_the_disk_does_not_take_are_an_error_and_not_in_memory(tmp_path: Path) -> None:
    store = CollectionStore(tmp_path / "faces.sqlite")
    store.create("people")
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages + 4}")

    def add_until_full() -> None:
        for number in count():
            face = CollectionFace(str(number), "image", "key", Box(0.1, 0.1, 0.2, 0.2), 99.0)
            store.add("people", [face], [np.ones(EMBEDDING_SIZE, np.float32)])

    with pytest.raises(sqlite3.OperationalError, match="full"):
        add_until_full()

    kept = store.count_faces()
    assert kept > 0
    assert len(store.list_faces("people", limit=1000).items) == kept
    store.close()

    again = CollectionStore(tmp_path / "faces.sqlite")
    assert again.count_faces() == kept


def test_a_local_cloud_on_a_disk_that_gets_full_stops_uploads_in_time_and_says_so(
    tmp_path: Path,
) -> None:
    people = tmp_path / "people"
    people.mkdir()
    photographs = fetch_photographs()
    for name, source in {"Ann_Lee_0001.jpg": "obama.jpg", "Bea_Roe_0001.jpg": "obama2.jpg"}.items():
        (people / name).write_bytes(photographs[source].read_bytes())
    with mounted(tmp_path / "disk", 300) as disk:
        home = disk / "home"
        try:
            assert facematch(home, "local", "start").returncode == 0
            filler = fill(disk, leaving=room.RESERVE - MEGABYTE)

            done = facematch(home, "upload", str(people), "--local", "--wait")

            assert done.returncode == 1
            assert "The disk of" in done.stderr
            assert "Nothing was uploaded" in done.stderr
            assert "Traceback" not in done.stderr
            for command in (["local", "status"], ["status", "--local"]):
                assert "takes no photographs below 200 MB" in facematch(home, *command).stdout
                (trouble,) = json.loads(facematch(home, *command, "--json").stdout)["troubles"]
                assert "Free up space" in trouble
            # So it is for every other client.
            told = json.loads(facematch(home, "local", "status", "--json").stdout)
            with pytest.raises(ClientError, match="takes no photographs"):
                s3_at(told["endpoint"], AccessKeys.read(StateFolder(home).keys).user).put_object(
                    Bucket=told["outputs"]["ImagesBucket"], Key="images/Cy_1.jpg", Body=b"x"
                )
            filler.unlink()
            again = facematch(home, "upload", str(people), "--local", "--wait", "--json")
            assert again.returncode == 0, again.stderr
            assert len(json.loads(again.stdout)["reported"]) == 2
            assert facematch(home, "audit", "--local").returncode == 0
        finally:
            facematch(home, "local", "stop", "--quiet")


def test_a_stop_that_cannot_write_the_state_says_so(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 300) as disk:
        home = disk / "home"
        try:
            assert facematch(home, "local", "start").returncode == 0
            filler = fill(disk)

            done = facematch(home, "local", "stop")

            told = done.stderr
            filler.unlink()
            assert done.returncode == 1, told
            assert "No space left on device" in told
            assert facematch(home, "local", "start").returncode == 0
        finally:
            facematch(home, "local", "stop", "--quiet")


@pytest.mark.parametrize("command", [["local", "start"], ["local", "status"]])
def test_a_disk_without_any_room_is_a_sentence(tmp_path: Path, command: list[str]) -> None:
    with mounted(tmp_path / "disk", 1) as disk:
        fill(disk)

        done = facematch(disk / "home", *command)

        assert done.returncode == 1
        assert "Traceback" not in done.stdout + done.stderr
