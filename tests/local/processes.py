"""The command line on a local cloud, and what the operating system tells of its processes."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from facematch.local.emulator import process as emulator
from facematch.local.state_folder import StateFolder
from tests.local.conftest import KEYS_FILE
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PATIENCE_SECONDS = 60
PROC = Path("/proc")
needs_proc = pytest.mark.skipif(not PROC.is_dir(), reason="finds processes in /proc")
_LISTENING = "0A"


def facematch(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the local cloud in the folder."""
    return subprocess.run(
        [sys.executable, "-m", "facematch.cli.main", *arguments],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def started(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command on the local cloud in the folder, while it runs."""
    return subprocess.Popen(
        [sys.executable, "-m", "facematch.cli.main", *arguments],
        cwd=PROJECT,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def eventually(look: Callable[[], bool], *, every_seconds: float = 0.1) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if look():
            return True
        time.sleep(every_seconds)
    return False


def processes_of(home: Path) -> set[int]:
    """Ids of the processes that have the folder in their command line or environment."""
    wanted = str(home).encode()
    found = set()
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if wanted in text:
                    found.add(int(entry.name))
    return found


def process_of(home: Path, part: str) -> int:
    """Id of the process of the local cloud with `part` in its command line; it must be there.

    The folder is there, too: this process may hold the local clouds of other tests.
    """
    found: list[int] = []

    def look() -> bool:
        running = StateFolder(home).running()
        holder = running.pid if running else os.getpid()
        for process in {holder, *children_of(holder)}:
            with contextlib.suppress(OSError):
                command = (PROC / str(process) / "cmdline").read_bytes().decode()
                if part in command and str(home) in command:
                    found.append(process)
        return bool(found)

    assert eventually(look), f"no process with {part} runs"
    return found[0]


def children_of(parent: int) -> set[int]:
    """Ids of the processes that the process has started, without those that have ended."""
    found = set()
    for entry in PROC.iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, of, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(of) == parent and state != "Z":
                found.add(int(entry.name))
    return found


def addresses_of(processes: Iterable[int]) -> set[str]:
    """Where the processes listen, on any interface, as ``http://127.0.0.1:4566``."""
    sockets = {socket for process in processes for socket in _sockets_of(process)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == _LISTENING and f"socket:[{inode}]" in sockets:
                host, _, port = local.partition(":")
                words = bytes.fromhex(host)  # each of four bytes in the machine's order
                octets = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                found.add(f"http://{ipaddress.ip_address(octets)}:{int(port, 16)}")
    return found


def _sockets_of(process: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for entry in (PROC / str(process) / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(entry.readlink().name)
    return found


@contextlib.contextmanager
def emulating(state: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The emulator alone, on a state of its own: its process, and where it answers.

    Parameters
    ----------
    variables
        Of its environment, beside those of a local cloud.
    """
    (state / "tmp").mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "facematch.local.emulator.process"),
                *("--listener", str(listener.fileno()), "--keys", str(KEYS_FILE)),
                *("--events", str(state / "events.jsonl")),
            ],
            cwd=PROJECT,
            env={**emulator.environment(port=port, state=state), **variables},
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        assert process.stdin
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
        process.kill()
        process.wait()
