"""Room on the disk of a local cloud: asked before an upload, and while it goes on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from facematch.local.free_space import BESIDE_A_PHOTOGRAPH, RESERVE, shortage
from facematch.operations.upload import NoRoom, Uploader, not_uploaded_words
from tests.unit.cloud import IMAGES, deployment_of, own_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cloud import Cloud

PHOTOGRAPHS = 60
SIZE = 1_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    people = tmp_path / "people"
    people.mkdir()
    for number in range(PHOTOGRAPHS):
        (people / f"Ann_Lee_{number:04}.jpg").write_bytes(bytes([number]) * SIZE)
    return people


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Set how many bytes are free."""

    def free(bytes_now: Callable[[], int]) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=bytes_now()))

    return free


def in_bucket(cloud: Cloud) -> int:
    return len(cloud.s3.list_objects_v2(Bucket=IMAGES).get("Contents", []))


def uploaded(cloud: Cloud, folder: Path, kept_in: Path | None) -> tuple[list[Any], dict[str, str]]:
    uploader = Uploader(replace(deployment_of(cloud, make_client=own_client), kept_in=kept_in))
    return uploader.upload(uploader.plan(folder).new, done=lambda _: None)


def test_nothing_is_uploaded_when_not_all_of_it_has_room(
    cloud: Cloud, folder: Path, tmp_path: Path, disk: Callable[[Callable[[], int]], None]
) -> None:
    needed = PHOTOGRAPHS * (SIZE + BESIDE_A_PHOTOGRAPH)
    disk(lambda: RESERVE + needed - 1)

    with pytest.raises(NoRoom, match=r"Nothing was uploaded\. Free up space"):
        uploaded(cloud, folder, tmp_path)

    assert in_bucket(cloud) == 0
    disk(lambda: RESERVE + needed)
    assert uploaded(cloud, folder, tmp_path)[1] == {}
    assert in_bucket(cloud) == PHOTOGRAPHS


def test_an_upload_stops_when_the_disk_gets_full_meanwhile(
    cloud: Cloud, folder: Path, tmp_path: Path, disk: Callable[[Callable[[], int]], None]
) -> None:
    looks = iter(range(10**6))
    disk(lambda: 10**12 if next(looks) < 10 else RESERVE)  # another program takes the rest

    versions, errors = uploaded(cloud, folder, tmp_path)

    assert len(versions) == in_bucket(cloud) == 9
    assert len(errors) == PHOTOGRAPHS - 9
    (words,) = not_uploaded_words(errors)
    assert words.startswith("51 files were not uploaded, as images/Ann_Lee_0009.jpg: The disk of")
    assert words.endswith("Free up space, then repeat the command.")
    disk(lambda: 10**12)
    assert len(uploaded(cloud, folder, tmp_path)[0]) == 51


def test_the_disk_of_this_machine_says_nothing_about_aws(
    cloud: Cloud, folder: Path, disk: Callable[[Callable[[], int]], None]
) -> None:
    disk(lambda: 0)

    assert len(uploaded(cloud, folder, None)[0]) == PHOTOGRAPHS


def test_each_reason_is_told_once() -> None:
    assert not_uploaded_words({"a": "full", "b": "gone", "c": "full"}) == [
        "2 files were not uploaded, as a: full",
        "b was not uploaded: gone",
    ]


def test_a_shortage_names_the_disk_what_is_left_and_what_is_missing(
    tmp_path: Path, disk: Callable[[Callable[[], int]], None]
) -> None:
    disk(lambda: 250_000_000)
    assert shortage(tmp_path) is None
    said = shortage(tmp_path, 70_000_000) or ""
    assert str(tmp_path) in said
    assert "has 250 MB free and 70.0 MB more are needed" in said
    assert "below 200 MB" in said
