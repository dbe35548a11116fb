"""A folder of photographs that a person names, listed and read without leaving it.

A folder may come from outside: a link in it would lead to any file that its reader may read.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from facematch.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader


KEY_LIMIT_BYTES: Final = 1024
#: How the system says that a link, or something else, stands where a file or folder was.
_NO_FILE_ANY_MORE: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR})


class LeftOut(StrEnum):
    """Why a file of the folder is left out."""

    LINK = "is a link, which may lead out of the folder: put a copy of the photograph in its place"
    NO_FILE = "is not a regular file"
    NO_ACCESS = "is a folder that cannot be listed: give yourself the right to read it"
    NO_PHOTOGRAPH = "is not a photograph"
    NO_KEY = "has a path that is not UTF-8, as a key must be: rename it"
    LONG_KEY = f"has a path that is longer than a key may be, {KEY_LIMIT_BYTES:,} bytes: shorten it"


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
    """The files of a folder in the order of their paths, and what is left out."""

    files: list[FolderFile] = field(default_factory=list)
    left_out: dict[Path, LeftOut] = field(default_factory=dict)


def listed(folder: Path) -> Listed:
    """List the regular files below the folder that are not hidden; no link in it is followed."""
    found = Listed()
    pending = [folder]
    while pending:
        parent = pending.pop()
        try:
            with os.scandir(parent) as entries:
                visible_entries = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError:
            found.left_out[parent] = LeftOut.NO_ACCESS
            continue
        for entry in visible_entries:
            path = parent / entry.name
            if entry.is_symlink():
                found.left_out[path] = LeftOut.LINK
            elif entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif entry.is_file(follow_symlinks=False):
                found.files.append(FolderFile(folder, path.relative_to(folder).as_posix()))
            else:
                found.left_out[path] = LeftOut.NO_FILE
    found.files.sort(key=lambda file: PurePosixPath(file.key).parts)
    return found


def left_out_words(left_out: Mapping[Path, LeftOut]) -> list[str]:
    """Return a sentence for each reason: how many files, and the first of them."""
    said = []
    for reason in LeftOut:
        if found := sorted(path for path, why in left_out.items() if why is reason):
            first = visible(str(found[0]))
            which = first if len(found) == 1 else f"each of {len(found):,} files, as {first},"
            said.append(f"{which} {reason}")
    return said
