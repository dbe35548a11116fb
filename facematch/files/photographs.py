"""A folder of photographs that a person names, listed and read without leaving it.

A folder may come from outside: a link in it would lead to any file that its reader may read.
The first bytes of a file decide what it is. Names and MIME tables differ between machines.

Sources
-------
- ITU-T T.81 (JPEG), B.1.1; PNG Specification (Third Edition), 5.2; ISO/IEC 14496-12 and 23008-12
  (the box ``ftyp`` of HEIF and its brands); RFC 9649 (WebP); GIF89a; TIFF 6.0; JPEG XL.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from facematch.errors import Unusable
from facematch.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader


KEY_LIMIT_BYTES: Final = 1024
#: How the system says that a link, or something else, stands where a file or folder was.
_NO_FILE_ANY_MORE: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR})


def _other_kind(name: str) -> str:
    return f"is a {name} picture, and Rekognition takes JPEG and PNG: convert it"


class LeftOut(StrEnum):
    """Why a file or a folder is left out."""

    LINK = "is a link, which may lead out of the folder: put a copy of the photograph in its place"
    LINKED_FOLDER = (
        "is a link to a folder, which may lead out of the folder: name that folder in a command of "
        "its own, or put a copy in its place"
    )
    DANGLING_LINK = "is a link that leads nowhere: put the photograph in its place"
    NO_FILE = "is not a regular file"
    NO_ACCESS = "is a folder that cannot be listed: give yourself the right to read it"
    UNREADABLE = "is a file that cannot be read: give yourself the right to read it"
    NO_PHOTOGRAPH = "is not a photograph"
    HEIC = _other_kind("HEIC")
    AVIF = _other_kind("AVIF")
    WEBP = _other_kind("WebP")
    GIF = _other_kind("GIF")
    TIFF = _other_kind("TIFF or raw")
    BMP = _other_kind("BMP")
    JPEG_2000 = _other_kind("JPEG 2000")
    JPEG_XL = _other_kind("JPEG XL")
    NO_KEY = "has a path that is not UTF-8, as a key must be: rename it"
    LONG_KEY = f"has a path that is longer than a key may be, {KEY_LIMIT_BYTES:,} bytes: shorten it"


#: The type of content, by the first bytes, of what Rekognition takes.
_TYPES: Final = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_UNKNOWN_TYPE: Final = "application/octet-stream"
#: A file that is called so is taken for a photograph whatever it holds, unless that is a picture of
#: another kind: a broken photograph is rejected visibly, and is not left out.
_NAMED_SO: Final = frozenset({".jpg", ".jpeg", ".jfif", ".png"})
_OTHER_KINDS: Final = (
    (re.compile(rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL), LeftOut.HEIC),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), LeftOut.AVIF),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), LeftOut.WEBP),
    (re.compile(rb"GIF8[79]a"), LeftOut.GIF),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), LeftOut.TIFF),
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), LeftOut.BMP),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), LeftOut.JPEG_2000),
    (re.compile(rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a"), LeftOut.JPEG_XL),
)
_HEAD: Final = 16


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A regular file below a folder.

    Attributes
    ----------
    folder
        As the person named it. It may be a link itself.
    key
        The path below it.
    """

    folder: Path
    key: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / self.key

    def open(self) -> BufferedReader:
        """Open it for reading; the caller closes it.

        Between listing and opening, a link or a pipe may have taken the place of the file or of a
        folder on the way to it. So each part of the path is opened without following a link, and
        nothing waits for the other end of a pipe.

        Raises
        ------
        OSError
            When it is no regular file any more, or cannot be read.
        """
        with self._parent() as (parent, name):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise self._explained(OSError(errno.EISDIR, ""))
        return os.fdopen(file, "rb")

    def read(self) -> bytes:
        """Return its content.

        Raises
        ------
        OSError
            When it is no regular file any more, or cannot be read.
        """
        with self.open() as opened:
            return opened.read()

    def unlink(self) -> None:
        """Delete it, or the link that has taken its place; never what a link leads to.

        Raises
        ------
        OSError
            When it cannot be deleted.
        """
        with self._parent() as (parent, name):
            os.unlink(name, dir_fd=parent)

    @contextmanager
    def _parent(self) -> Iterator[tuple[int, str]]:
        """Open the folder that holds it, without following a link; and its name there."""
        *folders, name = PurePosixPath(self.key).parts
        at = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in folders:
                above = at
                at = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                os.close(above)
            yield at, name
        except OSError as error:
            raise self._explained(error) from None
        finally:
            os.close(at)

    def _explained(self, error: OSError) -> OSError:
        said = error.strerror
        if error.errno in _NO_FILE_ANY_MORE:
            said = "is no regular file any more"
        return OSError(error.errno, said, str(self.path))


@dataclass(slots=True)
class Listed:
    """The photographs of a folder in the order of their paths, and what is left out."""

    files: list[FolderFile] = field(default_factory=list)
    left_out: dict[Path, LeftOut] = field(default_factory=dict)


def listed(folder: Path) -> Listed:
    """List the photographs below a folder, or the one that is named itself.

    Hidden files are none. No link in the folder is followed.

    Raises
    ------
    Unusable
        When the folder itself cannot be listed.
    """
    found = Listed()
    if folder.is_file():
        _sort(found, FolderFile(folder.parent, folder.name))
        return found
    pending = [folder]
    while pending:
        parent = pending.pop()
        try:
            with os.scandir(parent) as entries:
                visible_entries = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            if parent == folder:
                raise Unusable(
                    f"{visible(str(folder))} cannot be listed ({error.strerror or error}). Give "
                    "yourself the right to read it, or name another folder."
                ) from None
            found.left_out[parent] = LeftOut.NO_ACCESS
            continue
        for entry in visible_entries:
            path = parent / entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            else:
                _sort(found, FolderFile(folder, path.relative_to(folder).as_posix()))
    found.files.sort(key=lambda file: PurePosixPath(file.key).parts)
    return found


def content_type(opened: BufferedReader) -> str:
    """Return the type of a file's content, which its first bytes tell, and rewind the file."""
    opened.seek(0)
    head = opened.read(_HEAD)
    opened.seek(0)
    return _type(head)


def left_out_words(left_out: Mapping[Path, LeftOut]) -> list[str]:
    """Return a sentence for each reason: how many files, and the first of them."""
    said = []
    for reason in LeftOut:
        if found := sorted(path for path, why in left_out.items() if why is reason):
            first = visible(str(found[0]))
            which = first if len(found) == 1 else f"each of {len(found):,} files, as {first},"
            said.append(f"{which} {reason}")
    return said


def _sort(found: Listed, file: FolderFile) -> None:
    """Put a file among the photographs, or what it is among what is left out."""
    if why := _why_not(file):
        found.left_out[file.path] = why
    else:
        found.files.append(file)


def _why_not(file: FolderFile) -> LeftOut | None:
    path = file.path
    if path.is_symlink():
        if path.is_dir():
            return LeftOut.LINKED_FOLDER
        return LeftOut.LINK if path.exists() else LeftOut.DANGLING_LINK
    is_named_so = path.suffix.lower() in _NAMED_SO
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return LeftOut.NO_FILE
        with file.open() as opened:
            head = opened.read(_HEAD)
    except OSError:  # a photograph that cannot be read is an error where it is read
        return None if is_named_so else LeftOut.UNREADABLE
    if _type(head) != _UNKNOWN_TYPE:
        return None
    other = next((kind for pattern, kind in _OTHER_KINDS if pattern.match(head)), None)
    return other or (None if is_named_so else LeftOut.NO_PHOTOGRAPH)


def _type(head: bytes) -> str:
    return next((kind for start, kind in _TYPES.items() if head.startswith(start)), _UNKNOWN_TYPE)
