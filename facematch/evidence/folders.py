"""The folders that evidence pages are written into: replaced, listed and deleted.

A page holds biometric data: only its owner can read it, each one that was written is on a list,
and nothing but the files that were written is ever replaced or deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Actionable, Unusable
from facematch.files.own_folders import Layout, OwnFolders, beside, in_words
from facematch.files.whole import write_whole
from facematch.text import command
from workflow.project import STATE_ROOT, private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facematch.stack.deployment import Deployment


INDEX: Final = "index.html"
MARKER: Final = "facematch-dashboard.json"
#: Keeps the faces out of a repository that the folder happens to lie in.
_IGNORE: Final = ".gitignore"
_PICTURES: Final = re.compile(r"[0-9a-f]{32}\.jpg")


class NotAPage(Unusable):
    """The folder is not, or not only, an evidence page; the text says what was found."""


_LAYOUT: Final = Layout(
    what="an evidence page",
    marker=MARKER,
    files=frozenset({INDEX, MARKER, f".{MARKER}.new", _IGNORE}),
    folders={"photographs": _PICTURES, "faces": _PICTURES},
    refuses_with=NotAPage,
)


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted.

    Attributes
    ----------
    pages
        The page, and what an interruption had left beside it.
    left
        What is still in these folders, because it was not written by this installation or has been
        changed since.
    """

    pages: list[Path]
    left: list[Path]

    def left_words(self) -> str:
        """Say what is left, why, and what to do."""
        return (
            f"Left, because it was not written by this installation or has been changed since: "
            f"{in_words(self.left)}. Look at it, and delete it yourself if nobody needs it."
        )


class EvidenceFolders:
    """The folders of evidence pages on this machine.

    Parameters
    ----------
    root
        Where the list of them is kept.
    """

    def __init__(self, root: Path = STATE_ROOT) -> None:
        self._root = root
        self._own = OwnFolders(root, _LAYOUT)

    def default_folder(self, deployment: Deployment) -> Path:
        """Return where the page of a stack on AWS goes: each account and region has a folder."""
        region, account = deployment.state_machine_arn.split(":")[3:5]
        return self._default_folders(deployment.stack_name) / f"{region}-{account}"

    def in_default_folders(self, stack_name: str) -> list[Path]:
        """Folders of pages of all stacks of this name on AWS, as far as nobody named another."""
        folders = [Path(item["folder"]) for item in self.listed()]
        default = self._default_folders(stack_name).resolve()
        return [folder for folder in folders if folder.parent == default]

    def listed(self) -> list[dict[str, Any]]:
        """Every folder that may hold a page: `folder`, `stack`, `local` and `written_at`."""
        try:
            found: list[dict[str, Any]] = json.loads(self._list.read_text())
        except FileNotFoundError:
            return []
        return found

    def listed_of(self, stack_name: str, *, local: bool) -> list[Path]:
        """Folders with a page of this stack, or with what an interruption left beside it."""
        folders = self._folders_of(stack_name, local)
        return [folder for folder in folders if self._may_hold_page(folder)]

    def drop_stale(self, stack_name: str, *, local: bool) -> list[Path]:
        """Take folders of this stack's pages from the list that hold none any more: those.

        Raises
        ------
        Actionable
            When another command is writing a page: until it has, its folder may look so.
        """
        with self._claimed():
            stale = [
                folder
                for folder in self._folders_of(stack_name, local)
                if not self._may_hold_page(folder)
            ]
            self._unlist(*stale)
        return stale

    @contextlib.contextmanager
    def replacing(self, folder: Path, about: dict[str, Any]) -> Iterator[Path]:
        """A new folder for a page, which takes an older one's place when nothing has gone wrong.

        Parameters
        ----------
        folder
            As it resolves.
        about
            Of which stack the page is, and when it was written.

        Raises
        ------
        NotAPage
            When something else is in the folder.
        Actionable
            When it cannot be written, or another command is writing a page.
        """
        with self._claimed(), _sentences(folder), self._replacing(folder, about) as new:
            yield new

    def mark(self, new: Path, about: dict[str, Any]) -> None:
        """Write down what the new folder is; nobody else's files are in it."""
        self._own.mark(new, about)
        (new / _IGNORE).write_text("*\n")

    def delete(self, folder: Path) -> Deleted:
        """Delete the page in the folder, and what an interruption left beside it.

        What was not written by this installation stays, and the folder with it.

        Raises
        ------
        NotAPage
            When the folder is not a page that was written here, and none was left beside it.
        Actionable
            When it cannot be deleted, or another command is writing a page.
        """
        folder = folder.expanduser().resolve()
        with self._claimed(), _sentences(folder):
            self._adopt(folder)
            there = self._pages_at(folder)
            if folder.exists() and not there:
                raise NotAPage(
                    f"{folder} is not an evidence page: there is no {MARKER} in it. Nothing was "
                    "changed. Name another folder with --to."
                )
            left = [path for page in there for path in self._own.remove(page)]
            self._unlist(folder)
        return Deleted(there, left)

    @staticmethod
    def delete_command(folder: Path) -> str:
        """What deletes the page, for a shell."""
        return command("evidence", "--delete", "--to", str(folder))

    @contextlib.contextmanager
    def _replacing(self, folder: Path, about: dict[str, Any]) -> Iterator[Path]:
        """A new folder, which takes the other one's place when nothing has gone wrong."""
        self._adopt(folder)
        try:
            with self._own.replacing(folder, about) as new:
                # Before the first face is written: what an interruption leaves can be found then.
                others = [item for item in self.listed() if item["folder"] != str(folder)]
                item = {"folder": str(folder), **about, "registered": True}
                self._write_list([*others, item])
                yield new
        finally:
            if not self._pages_at(folder):
                self._unlist(folder)

    def _adopt(self, folder: Path) -> None:
        """Vouch for a page that was listed before there was a register of what is written."""
        before = [item for item in self.listed() if not item.get("registered")]
        if str(folder) in {item["folder"] for item in before}:
            for page in self._pages_at(folder):
                self._own.adopt(page)

    def _pages_at(self, folder: Path) -> list[Path]:
        """The page in the folder, and what an interruption left beside it, by the marker."""
        _require_name(folder)
        return [path for path in (folder, *beside(folder)) if self._own.marked(path)]

    def _may_hold_page(self, folder: Path) -> bool:
        try:
            return bool(self._pages_at(folder))
        except OSError:  # nobody may look
            return True

    @contextlib.contextmanager
    def _claimed(self) -> Iterator[None]:
        """Alone: two commands would remove each other's folders, and entries of the list."""
        private_folder(self._root)
        with (self._root / "dashboards.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Actionable(
                    "Another command is writing or deleting an evidence page. Repeat this one "
                    "when it has finished."
                ) from None
            yield

    def _default_folders(self, stack_name: str) -> Path:
        return self._root / "dashboards" / stack_name

    @property
    def _list(self) -> Path:
        return self._root / "dashboards.json"

    def _folders_of(self, stack_name: str, local: bool) -> list[Path]:  # noqa: FBT001 - private
        return [
            Path(item["folder"])
            for item in self.listed()
            if (item["stack"], item["local"]) == (stack_name, local)
        ]

    def _unlist(self, *folders: Path) -> None:
        gone = {str(folder) for folder in folders}
        self._write_list([item for item in self.listed() if item["folder"] not in gone])

    def _write_list(self, items: list[dict[str, Any]]) -> None:
        write_whole(self._list, json.dumps(items, indent=2))


def _require_name(folder: Path) -> None:
    """Raise `NotAPage` when nothing can be beside the folder."""
    if not folder.name:
        raise NotAPage(
            f"{folder} is the root of the file system, and no evidence page. Nothing was changed. "
            "Name another folder with --to."
        )


@contextlib.contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    """Say which folder could not be written, without a traceback."""
    try:
        yield
    except OSError as error:
        raise Actionable(
            f"{folder} cannot be written or deleted: {error.strerror or error} "
            f"({error.filename or folder}). Correct the rights, or free up space, or name another "
            "folder with --to."
        ) from None
