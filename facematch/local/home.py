"""Where a local cloud keeps its state, and at which ports it is found."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from facematch.errors import Actionable, Unusable
from facematch.toolkit import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE_ROOT: Final = PROJECT / ".facematch"
#: MiniStack's own default, and one beside it.
DEFAULT_PORTS: Final = (4566, 4567)
_PORTS: Final = range(1, 65536)


class LocalCloudError(Actionable):
    """The local cloud cannot do what was asked; the text says why and what to do."""


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
class Home:
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

    def holds_local_cloud(self) -> bool:
        """Whether a local cloud has kept something here; other people's files do not count."""
        kept = ("ports.json", "services", "s3", self.database.name)
        return any((self.state / name).exists() for name in kept)

    def running(self) -> Running | None:
        """The local cloud that runs here, if one does."""
        if not self.is_claimed():
            return None
        try:
            return Running(**json.loads(self._running_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None  # claimed, but still starting, or already stopping

    def is_claimed(self) -> bool:
        """Whether a process holds the folder: it starts, runs or stops."""
        lock = self._try_lock()
        if lock:
            lock.close()
        return lock is None

    def lock(self) -> IO[str]:
        """Claim the folder for this process, until the file is closed or the process ends.

        Raises
        ------
        LocalCloudError
            When another local cloud has it.
        """
        lock = self._try_lock()
        if lock is None:
            raise LocalCloudError(
                f"A local cloud is running in {self.folder} already. Use it with --local, or end "
                "it with: facematch local stop"
            )
        return lock

    def _try_lock(self) -> IO[str] | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / "lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file

    def is_running(self, running: Running) -> None:
        """Say that it runs, once everything answers."""
        temporary = self._running_file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(running), indent=2))
        temporary.replace(self._running_file)

    def has_stopped(self) -> None:
        """Say that it no longer runs."""
        self._running_file.unlink(missing_ok=True)

    def ports(self) -> tuple[int, int]:
        """The ports of the emulator and of the Rekognition endpoint.

        Chosen once, free ones where the usual ones are busy; then they stay, because the state
        of the services (the queue's URL, the functions' environment) names them.

        Raises
        ------
        LocalCloudError
            When another program has taken one of them since, or nobody knows them any more.
        """
        file = self.state / "ports.json"
        if file.exists():
            first, second = _two_ports(file)
            for port in (first, second):
                if not _free(port):
                    raise LocalCloudError(
                        f"Port {port} of 127.0.0.1, which the state in {self.folder} names, is "
                        "in use by another program. Stop that program, or begin anew on other "
                        "ports with: facematch local reset"
                    )
            return first, second
        first = _free_port_from(DEFAULT_PORTS[0])
        second = _free_port_from(max(DEFAULT_PORTS[1], first + 1))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([first, second]))
        return first, second

    @contextmanager
    def choosing_ports(self) -> Iterator[tuple[int, int]]:
        """`ports`, for as long as it takes to bind them: no other local cloud chooses meanwhile.

        Two that start at once would choose the same, and one would take the other's services for
        its own.
        """
        with (Path(tempfile.gettempdir()) / f"facematch-ports-{os.getuid()}.lock").open(
            "w"
        ) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.ports()

    @property
    def _running_file(self) -> Path:
        return self.folder / "running.json"


def _two_ports(file: Path) -> tuple[int, int]:
    try:
        first, second = json.loads(file.read_text())
        if first in _PORTS and second in _PORTS:
            return first, second
    except (ValueError, TypeError):
        pass
    # Not chosen anew: the rest of the state still names the old ones.
    raise LocalCloudError(
        f"The state in {file.parent} is damaged: {file} does not name two ports. Put back a copy "
        "of it, if there is one; otherwise delete everything and begin anew with: "
        "facematch local reset"
    )


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port_from(first: int) -> int:
    for port in range(first, min(first + 200, 65536)):
        if _free(port):
            return port
    raise LocalCloudError(
        f"No port from {first} to {first + 199} of 127.0.0.1 is free: stop a program that uses one."
    )
