"""Where a local cloud keeps its state, who holds it, and at which ports it is found."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from facematch.errors import Unusable
from facematch.files.whole import write_whole
from facematch.local import ports
from facematch.local.errors import LocalCloudError
from facematch.local.events import Events
from facematch.text import local_command
from workflow.project import STATE_ROOT, private_folder

if TYPE_CHECKING:
    import socket

#: Everything that a local cloud puts into its folder. A folder that holds something else too is
#: somebody's: it keeps its mode, and what is ours is closed by itself.
_OURS: Final = frozenset(
    {
        *("state", "logs", "lock", "holder", "holder.new", "running.json", "running.new"),
        *("events.jsonl", "events.new"),
        *("dashboard", "photographs"),  # of the demo
    }
)
#: A process that only looks whether the folder is claimed holds the lock for a moment.
_LOCK_TRIES: Final = 10
_LOCK_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Running:
    """A local cloud that runs: what it takes to find it, and to stop it.

    Attributes
    ----------
    pid
        Of the process that holds the others.
    endpoint, rekognition
        URLs on 127.0.0.1.
    """

    pid: int
    endpoint: str
    rekognition: str
    stack_name: str


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A local cloud's folder.

    Everything lies below it: the objects of the buckets, the faces, the state of the services,
    the logs.
    """

    folder: Path

    @classmethod
    def default(cls) -> Self:
        """The folder that FACEMATCH_HOME names, or ``.facematch/local`` in the project.

        Raises
        ------
        Unusable
            When it names a file, or something below one.
        """
        named = os.environ.get("FACEMATCH_HOME")
        folder = Path(named).resolve() if named else STATE_ROOT / "local"
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            raise Unusable(
                f"FACEMATCH_HOME={named}: {there} is a file, and a local cloud needs a folder. "
                "Name one, which need not exist yet."
            )
        return cls(folder)

    @property
    def state(self) -> Path:
        """What a reset deletes."""
        return self.folder / "state"

    @property
    def logs(self) -> Path:
        """What the processes print."""
        return self.folder / "logs"

    @property
    def database(self) -> Path:
        """Faces and collections."""
        return self.state / "faces.sqlite"

    @property
    def keys(self) -> Path:
        """The access keys that the local cloud admits; a reset makes new ones."""
        return self.state / "keys.json"

    @property
    def settings(self) -> Path:
        """The settings of the last start (`facematch.local.kept_settings`)."""
        return self.state / "settings.json"

    @property
    def events(self) -> Events:
        """What happened to it."""
        return Events(self.folder / "events.jsonl")

    def holds_local_cloud(self) -> bool:
        """Whether a local cloud has kept something here; other people's files do not count."""
        kept = (ports.FILE, "services", "s3", self.database.name)
        return any((self.state / name).exists() for name in kept)

    def running(self) -> Running | None:
        """The local cloud that runs here, if one does."""
        if not self.is_claimed():
            return None
        try:
            found = Running(**json.loads(self._running_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None  # claimed, but still starting, or already stopping
        # What a killed one had started claims the folder, too, until it ends.
        return found if self.holder() == found.pid else None

    def is_claimed(self) -> bool:
        """Whether a process holds the folder: it starts, runs or stops."""
        if not self._lock_file.exists():
            return False
        lock = self._try_lock()
        if lock:
            lock.close()
        return lock is None

    def holder(self) -> int | None:
        """Id of the process to end, to end what claims the folder; None unless one has told.

        Never that of a process which has ended: by now it may be another one's.
        """
        with contextlib.suppress(OSError), self._holder_file.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:  # it is open in the process that wrote it, and in no other
                return int(file.read())
        return None

    def hold(self) -> IO[str]:
        """Tell that this process holds the folder, until the file is closed or the process ends.

        The folder is claimed already.
        """
        temporary = self._holder_file.with_suffix(".new")
        file = temporary.open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str(os.getpid()))
        file.flush()
        temporary.replace(self._holder_file)  # never without its writer's id
        return file

    def lock(self) -> IO[str]:
        """Claim the folder for this process, until the file is closed or the process ends.

        A process that inherits the file claims the folder, too.

        Raises
        ------
        LocalCloudError
            When another local cloud has it, or when others could read what would be kept in it.
        """
        self._close_to_others()
        for _ in range(_LOCK_TRIES):
            if lock := self._try_lock():
                return lock
            time.sleep(_LOCK_PAUSE_SECONDS)
        raise LocalCloudError(
            f"A local cloud is running in {self.folder} already. Use it with --local, or end "
            f"it with: {local_command('stop')}"
        )

    def _close_to_others(self) -> None:
        """Make the folders, readable by this user only."""
        try:
            if self.folder.is_relative_to(STATE_ROOT):
                private_folder(STATE_ROOT)
            if not self.folder.exists() or self._is_ours():
                private_folder(self.folder)
            private_folder(self.state)
            private_folder(self.logs)
        except OSError as error:
            raise LocalCloudError(
                f"{error.filename}: {error.strerror}. A local cloud keeps photographs and faces in "
                f"{self.folder}, which must be a folder of yours that nobody else can read. Name "
                "another one with FACEMATCH_HOME."
            ) from None

    def _is_ours(self) -> bool:
        return all(path.name in _OURS for path in self.folder.iterdir())

    def _try_lock(self) -> IO[str] | None:
        file = open(self._lock_file, "r+", opener=_created_and_not_followed)  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file

    def is_running(self, running: Running) -> None:
        """Say that it runs, once everything answers."""
        write_whole(self._running_file, json.dumps(asdict(running), indent=2))

    def has_stopped(self) -> None:
        """Say that it no longer runs."""
        self._running_file.unlink(missing_ok=True)

    def listeners(self) -> tuple[socket.socket, socket.socket]:
        """Listen for the emulator and for the Rekognition endpoint, as `ports.listeners` does.

        Raises
        ------
        LocalCloudError
            When the state does not tell its ports any more, or none is free.
        """
        return ports.listeners(self.state)

    @property
    def _running_file(self) -> Path:
        return self.folder / "running.json"

    @property
    def _holder_file(self) -> Path:
        return self.folder / "holder"

    @property
    def _lock_file(self) -> Path:
        return self.folder / "lock"


def _created_and_not_followed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
