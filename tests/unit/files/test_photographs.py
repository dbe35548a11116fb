"""A folder from outside: no link in it leads out of it, and nothing in it is waited for."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from facematch.errors import about_file
from facematch.files.photographs import FolderFile, LeftOut, left_out_words, listed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = b"a private key"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "outside" / "deeper" / "id.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photographs"
    (path / "Bo").mkdir(parents=True)
    (path / "Ann_1.jpg").write_bytes(b"Ann")
    (path / "Bo" / "Bo_1.jpg").write_bytes(b"Bo")
    return path


def test_files_are_listed_in_order_and_what_is_hidden_is_not(folder: Path) -> None:
    for name in (".hidden.jpg", "Bo/._Bo_1.jpg", ".thumbnails/Ann_1.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / ".link.jpg").symlink_to(folder / "Ann_1.jpg")
    (folder / "Al").mkdir()

    found = listed(folder)

    assert [file.key for file in found.files] == ["Ann_1.jpg", "Bo/Bo_1.jpg"]
    assert [file.path for file in found.files] == [folder / "Ann_1.jpg", folder / "Bo" / "Bo_1.jpg"]
    assert [file.read() for file in found.files] == [b"Ann", b"Bo"]
    assert found.left_out == {}


def test_links_are_left_out_wherever_they_lead(folder: Path, secret: Path) -> None:
    links = {
        "to_a_file_outside.jpg": secret,
        "to_a_folder_outside": secret.parent.parent,
        "Bo/to_a_file_inside.jpg": folder / "Ann_1.jpg",
        "to_nothing.jpg": folder / "nothing.jpg",
        "to_itself.jpg": folder / "to_itself.jpg",
        "to_this_folder": folder,
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)

    found = listed(folder)

    assert [file.key for file in found.files] == ["Ann_1.jpg", "Bo/Bo_1.jpg"]
    assert found.left_out == {folder / name: LeftOut.LINK for name in links}
    (words,) = left_out_words(found.left_out)
    assert "each of 6 files" in words
    assert words.endswith("put a copy of the photograph in its place")


def test_a_link_that_a_person_names_is_followed(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    found = listed(link)
    assert [file.path for file in found.files] == [link / "Ann_1.jpg", link / "Bo" / "Bo_1.jpg"]
    assert [file.read() for file in found.files] == [b"Ann", b"Bo"]


def test_special_files_are_left_out(folder: Path) -> None:
    os.mkfifo(folder / "Pipe_1.jpg")
    found = listed(folder)
    assert len(found.files) == 2
    assert found.left_out == {folder / "Pipe_1.jpg": LeftOut.NO_FILE}


def test_a_folder_that_nobody_may_list_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def scandir_of_others(path: Path) -> Any:
        if path == folder / "Bo":  # root may list every folder
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir_of_others)

    found = listed(folder)

    assert [file.key for file in found.files] == ["Ann_1.jpg"]
    assert found.left_out == {folder / "Bo": LeftOut.NO_ACCESS}


def _link_instead_of_the_file(file: FolderFile, secret: Path) -> None:
    file.path.unlink()
    file.path.symlink_to(secret)


def _link_instead_of_its_folder(file: FolderFile, secret: Path) -> None:
    shutil.rmtree(file.path.parent)
    shutil.copy(secret, secret.parent / file.path.name)
    file.path.parent.symlink_to(secret.parent)


def _pipe_instead_of_the_file(file: FolderFile, _secret: Path) -> None:
    file.path.unlink()
    os.mkfifo(file.path)


def _folder_instead_of_the_file(file: FolderFile, _secret: Path) -> None:
    file.path.unlink()
    file.path.mkdir()


@pytest.mark.parametrize(
    "swap",
    [
        _link_instead_of_the_file,
        _link_instead_of_its_folder,
        _pipe_instead_of_the_file,
        _folder_instead_of_the_file,
    ],
)
def test_what_took_a_files_place_since_it_was_listed_is_not_read(
    folder: Path, secret: Path, swap: Callable[[FolderFile, Path], None]
) -> None:
    file = FolderFile(folder, "Bo/Bo_1.jpg")
    assert file.read() == b"Bo"
    swap(file, secret)
    refused: list[OSError] = []

    def read() -> None:
        try:
            pytest.fail(f"read {file.read()!r}")
        except OSError as error:
            refused.append(error)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(timeout=10)

    (error,) = refused  # and it was not waited for
    said = str(about_file(error))
    assert str(file.path) in said
    assert "is no regular file any more" in said


def test_no_descriptor_stays_open(folder: Path) -> None:
    descriptors = "/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"  # noqa: PTH110
    file = FolderFile(folder, "Bo/Bo_1.jpg")
    before = len(os.listdir(descriptors))  # noqa: PTH208
    file.read()
    with pytest.raises(OSError, match="no regular file"):
        FolderFile(folder, "Bo").read()
    with pytest.raises(FileNotFoundError):
        FolderFile(folder, "Bo/nothing.jpg").read()
    assert len(os.listdir(descriptors)) == before  # noqa: PTH208
