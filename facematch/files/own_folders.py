"""Folders that a command writes, replaces and deletes: evidence pages and evaluations.

Such a folder may lie anywhere, and anything may be put into it, a marker too. So what was written
stands in a register of this installation, outside the folder. Only that is ever deleted: a regular
file under the name and with the content that was written. No link is followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from facematch.files.photographs import FolderFile
from facematch.files.whole import write_whole

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from facematch.errors import Unusable

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """What a folder of one kind holds.

    Attributes
    ----------
    what
        The kind, for messages: "an evidence page".
    marker
        The file by whose content the register knows the folder.
    files
        All files in the folder itself, the marker included.
    folders
        The folders in it, each with a pattern of the names of its files.
    refuses_with
        The error that says that a folder is not, or not only, of this kind.
    """

    what: str
    marker: str
    files: frozenset[str]
    folders: Mapping[str, re.Pattern[str]]
    refuses_with: type[Unusable]

    def has(self, path: str) -> bool:
        """Whether a file of this path is ever written into such a folder."""
        folder, _, name = path.rpartition("/")
        return bool(self.folders[folder].fullmatch(name)) if folder else path in self.files


class OwnFolders:
    """The folders of one kind that this installation has written.

    Parameters
    ----------
    root
        Where the register is kept.
    """

    def __init__(self, root: Path, layout: Layout) -> None:
        self._register = root / "written"
        self._layout = layout

    def marked(self, folder: Path) -> bool:
        """Tell whether the folder has the marker, no matter who wrote it."""
        marker = folder / self._layout.marker
        return marker.is_file() and not marker.is_symlink()

    def adopt(self, folder: Path) -> None:
        """Enter a folder that was written before there was a register; what else is in it stays."""
        if self.marked(folder) and not self._entry(folder).exists():
            self._enter(self._entry(folder), {})

    @contextmanager
    def replacing(self, folder: Path, about: Mapping[str, Any]) -> Iterator[Path]:
        """Make a new folder, which takes the place of the older one when nothing has gone wrong.

        Parameters
        ----------
        about
            What the marker says.

        Raises
        ------
        Unusable
            The layout's error, when something there was not written here.
        """
        new, old = beside(folder)
        for path in (folder, new, old):
            self.insist(path)
        for leftover in (new, old):
            self.remove(leftover)
        folder.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir(mode=0o700)
        left: list[Path] = []
        try:
            self.mark(new, about)
            yield new
            self._enter(self._entry(new), self._digests(new))
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)
            if new.exists():
                self._delete(new, {})
            left = self.remove(old)
        if left:
            raise self._layout.refuses_with(
                f"{folder} is written. While it was, something was put into the older one that "
                f"stood there, and is kept: {in_words(left)}. Move it away."
            )

    def mark(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Write the marker of a folder in which nobody else writes, in place of an earlier one."""
        # With an id, so that no two folders have the same marker.
        marker = json.dumps({**about, "id": secrets.token_hex(16)}, indent=2)
        before = self._entry(folder)
        self._enter(self._entry_of(marker.encode()), {})
        file = folder / self._layout.marker
        write_whole(file, marker, temporary=file.with_name(f".{file.name}.new"))
        before.unlink(missing_ok=True)

    def insist(self, folder: Path) -> None:
        """Raise the layout's error unless the folder may be replaced.

        It may when it is not there, when it is empty, or when all in it was written here.
        """
        if not os.path.lexists(folder):
            return
        if not folder.is_dir():
            raise self._layout.refuses_with(
                f"{folder} is a file, not a folder. Name a folder with --to."
            )
        if not any(folder.iterdir()):
            return
        _, others = self._sorted_out(folder, self._written(folder))
        if others:
            raise self._layout.refuses_with(
                f"{folder} holds {others[0]!r}, which was not written there by this command or has "
                "been changed since. Nothing was changed. Move it away, or name another folder "
                "with --to."
            )

    def remove(self, folder: Path) -> list[Path]:
        """Delete what was written into the folder, and the folder when nothing else is in it.

        Returns
        -------
        list of Path
            What is left, because it was not written here or has been changed since.

        Raises
        ------
        Unusable
            The layout's error, when the folder was not written here. Nothing is deleted.
        """
        if not folder.is_dir() or folder.is_symlink():
            return []
        if not any(folder.iterdir()):
            folder.rmdir()
            return []
        return self._delete(folder, self._written(folder))

    def _delete(self, folder: Path, written: Mapping[str, str]) -> list[Path]:
        entry = self._entry(folder)
        ours, others = self._sorted_out(folder, written)
        # The marker goes last, so that what an interruption leaves can be deleted by repeating.
        for path in sorted(ours, key=lambda path: path == self._layout.marker):
            FolderFile(folder, path).unlink()
        for emptied in (*(folder / name for name in self._layout.folders), folder):
            if emptied.is_dir() and not emptied.is_symlink() and not any(emptied.iterdir()):
                emptied.rmdir()
        entry.unlink(missing_ok=True)
        return [folder / path for path in others]

    def _written(self, folder: Path) -> dict[str, str]:
        """Digests of what was written into the folder; none while it was not finished.

        Raises
        ------
        Unusable
            The layout's error, when it was not written here.
        """
        if not self.marked(folder):
            raise self._layout.refuses_with(
                f"{folder} is not {self._layout.what}: there is no {self._layout.marker} in it. "
                "Nothing was changed. Name another folder with --to."
            )
        try:
            found: dict[str, str] = json.loads(self._entry(folder).read_text())
        except FileNotFoundError:
            raise self._layout.refuses_with(
                f"{folder} holds a {self._layout.marker} that was not written by this "
                "installation, or has been changed since. Nothing was changed. Delete the folder "
                "yourself if nothing in it is needed, or name another with --to."
            ) from None
        return found

    def _sorted_out(self, folder: Path, written: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Paths below the folder: what was written here, and everything else."""
        ours: list[str] = []
        others: list[str] = []
        for path in _paths_below(folder, self._layout.folders):
            file = FolderFile(folder, path)
            right = (
                path in written and written[path] == _digest_of(file)
                if written
                else self._layout.has(path) and stat.S_ISREG(file.path.lstat().st_mode)
            )
            (ours if right else others).append(path)
        return ours, others

    def _digests(self, folder: Path) -> dict[str, str]:
        return {
            path: _digest_of(FolderFile(folder, path)) or ""
            for path in _paths_below(folder, self._layout.folders)
        }

    def _entry(self, folder: Path) -> Path:
        """Where the register has what was written into the folder."""
        marker = FolderFile(folder, self._layout.marker)
        return self._entry_of(marker.read() if self.marked(folder) else b"")

    def _entry_of(self, marker: bytes) -> Path:
        return self._register / f"{hashlib.sha256(marker).hexdigest()}.json"

    def _enter(self, entry: Path, written: Mapping[str, str]) -> None:
        self._register.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(entry, json.dumps(written))


def beside(folder: Path) -> tuple[Path, Path]:
    """Where a folder is built, and where the older one is put for the moment of the change."""
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")


def in_words(left: list[Path]) -> str:
    """Name what a deletion has left."""
    named = ", ".join(str(path) for path in left[:_NAMED])
    more = f" and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
    return f"{named}{more}"


def _paths_below(folder: Path, inner: Mapping[str, object]) -> list[str]:
    """What is in the folder, and in these folders in it unless they are links."""
    found = []
    for entry in folder.iterdir():
        if entry.name in inner and entry.is_dir() and not entry.is_symlink():
            found += [f"{entry.name}/{path.name}" for path in entry.iterdir()]
        else:
            found.append(entry.name)
    return sorted(found)


def _digest_of(file: FolderFile) -> str | None:
    """Digest of its content; None when it is no regular file that can be read."""
    try:
        with file.open() as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None
