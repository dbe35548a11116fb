"""A folder from outside: no link in it leads out of it, and nothing in it is waited for."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from facematch.errors import Unusable, about_file
from facematch.files.photographs import (
    FolderFile,
    LeftOut,
    content_type,
    left_out_words,
    listed,
)

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
    assert {path.relative_to(folder).as_posix(): why for path, why in found.left_out.items()} == {
        "to_a_file_outside.jpg": LeftOut.LINK,
        "to_a_folder_outside": LeftOut.LINKED_FOLDER,
        "Bo/to_a_file_inside.jpg": LeftOut.LINK,
        "to_nothing.jpg": LeftOut.DANGLING_LINK,
        "to_itself.jpg": LeftOut.DANGLING_LINK,
        "to_this_folder": LeftOut.LINKED_FOLDER,
    }
    words, *_ = left_out_words(found.left_out)
    assert "each of 2 files" in words
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


def test_a_folder_that_cannot_be_listed_itself_is_not_an_empty_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(_path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(Unusable, match=r"cannot be listed \(Permission denied\)\. Give yourself"):
        listed(folder)


JPEG, PNG = b"\xff\xd8\xff\xe0\0\x10JFIF", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@pytest.mark.parametrize("name", ["Ann", "Ann.JPG_large", "Ann.jpg~", "Ann.jfif", "Ann.heic"])
@pytest.mark.parametrize(("content", "kind"), [(JPEG, "image/jpeg"), (PNG, "image/png")])
def test_the_first_bytes_decide_what_a_photograph_is_and_of_which_type(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)

    (file,) = listed(tmp_path).files

    with file.open() as opened:
        assert content_type(opened) == kind
        assert opened.read() == content


@pytest.mark.parametrize("name", ["Ann.heic", "Ann.jpg", "Ann"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", LeftOut.HEIC),
        (b"\0\0\0\x1cftypmif1\0\0\0\0", LeftOut.HEIC),
        (b"\0\0\0\x1cftypavif\0\0\0\0", LeftOut.AVIF),
        (b"RIFF\x24\0\0\0WEBPVP8 ", LeftOut.WEBP),
        (b"GIF89a\x01\0\x01\0", LeftOut.GIF),
        (b"II*\0\x08\0\0\0", LeftOut.TIFF),
        (b"MM\0*\0\0\0\x08", LeftOut.TIFF),
        (b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0", LeftOut.BMP),
        (b"\0\0\0\x0cjP  \r\n\x87\n", LeftOut.JPEG_2000),
        (b"\xff\x0a\xfa\x1f", LeftOut.JPEG_XL),
    ],
)
def test_a_picture_of_another_kind_is_left_out_whatever_it_is_called(
    tmp_path: Path, name: str, content: bytes, why: LeftOut
) -> None:
    (tmp_path / name).write_bytes(content)

    found = listed(tmp_path)

    assert (found.files, found.left_out) == ([], {tmp_path / name: why})
    (words,) = left_out_words(found.left_out)
    assert words.endswith("picture, and Rekognition takes JPEG and PNG: convert it")


@pytest.mark.parametrize("content", [b"", b"\xff", b"not a picture"])
def test_a_broken_file_that_is_named_like_a_photograph_stays_one(
    tmp_path: Path, content: bytes
) -> None:
    for name in ("Ann.JPG", "Bo.jpeg", "Cy.png", "notes.txt", "film.mp4", "BMW"):
        (tmp_path / name).write_bytes(content)

    found = listed(tmp_path)

    assert [file.key for file in found.files] == ["Ann.JPG", "Bo.jpeg", "Cy.png"]
    assert set(found.left_out.values()) == {LeftOut.NO_PHOTOGRAPH}
    with found.files[0].open() as opened:
        assert content_type(opened) == "application/octet-stream"


def test_what_cannot_be_read_is_told_unless_it_is_named_like_a_photograph(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "Cy").write_bytes(JPEG)

    def refused(_file: FolderFile) -> Any:  # root may read every file
        raise PermissionError

    monkeypatch.setattr(FolderFile, "open", refused)

    found = listed(folder)

    assert len(found.files) == 2  # reading them says why it cannot be done
    assert found.left_out == {folder / "Cy": LeftOut.UNREADABLE}


def test_a_photograph_may_be_named_itself(folder: Path) -> None:
    (file,) = listed(folder / "Ann_1.jpg").files
    assert (file.key, file.read()) == ("Ann_1.jpg", b"Ann")


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
