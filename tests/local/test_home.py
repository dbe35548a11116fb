"""A local cloud's folder: closed to other users, held by one, on ports that can be moved."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facematch.evidence.folders import EvidenceFolders
from facematch.local import ports
from facematch.local.errors import LocalCloudError
from facematch.local.state_folder import Running, StateFolder
from tests.examples import examples


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def closed(listeners: tuple[socket.socket, socket.socket]) -> tuple[int, int]:
    """The ports, which are free afterwards."""
    first, second = (listener.getsockname()[1] for listener in listeners)
    for listener in listeners:
        listener.close()
    return first, second


def taken(port: int) -> socket.socket:
    """Another program on the port."""
    return socket.create_server(("127.0.0.1", port))


@pytest.fixture
def home(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "home")


# --- Closed to others -------------------------------------------------------------------------


def test_a_new_folder_is_readable_by_its_owner_only(home: StateFolder) -> None:
    with home.lock():
        assert [mode(path) for path in (home.folder, home.state, home.logs)] == [0o700] * 3


def test_a_folder_of_before_is_closed(home: StateFolder) -> None:
    for folder in (home.folder, home.state, home.logs):
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    for file in ("lock", "running.json"):
        (home.folder / file).touch()

    with home.lock():
        assert [mode(path) for path in (home.folder, home.state, home.logs)] == [0o700] * 3


def test_a_folder_with_something_else_in_it_keeps_its_mode_and_what_is_ours_is_closed(
    home: StateFolder,
) -> None:
    home.folder.mkdir()
    home.folder.chmod(0o755)
    (home.folder / "notes.txt").write_text("mine")

    with home.lock() as lock:
        assert mode(home.folder) == 0o755
        assert [mode(home.state), mode(home.logs), mode(Path(lock.name))] == [0o700, 0o700, 0o600]


def test_the_projects_folder_is_closed_with_everything_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / ".facematch"
    (root / "evaluation").mkdir(parents=True)
    root.chmod(0o755)
    monkeypatch.setattr("facematch.local.state_folder.STATE_ROOT", root)

    with StateFolder(root / "local").lock():
        assert mode(root) == 0o700


def test_looking_for_evidence_pages_closes_the_folder_of_their_list(tmp_path: Path) -> None:
    root = tmp_path / ".facematch"
    root.mkdir()
    root.chmod(0o755)

    EvidenceFolders(root).drop_stale("FaceMatching", local=True)

    assert mode(root) == 0o700


@pytest.mark.skipif(os.geteuid() == 0, reason="root may change the mode of everybody's folders")
def test_a_folder_of_another_user_is_refused() -> None:
    with pytest.raises(LocalCloudError, match="FACEMATCH_HOME"):
        StateFolder(Path("/")).lock()


def test_a_lock_that_is_a_link_is_not_followed(home: StateFolder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("theirs")
    home.folder.mkdir()
    (home.folder / "lock").symlink_to(other)

    with pytest.raises(OSError, match="symbolic link"):
        home.lock()

    assert other.read_text() == "theirs"


# --- Held by one ------------------------------------------------------------------------------


def test_who_only_looks_keeps_nobody_from_claiming(home: StateFolder) -> None:
    home.lock().close()
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            home.is_claimed()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            home.lock().close()
    finally:
        looking.set()
        for thread in threads:
            thread.join()


def test_looking_makes_no_folder(home: StateFolder) -> None:
    assert not home.is_claimed()
    assert home.running() is None
    assert not home.folder.exists()


def test_the_folder_is_held_until_the_last_one_that_inherited_it_ends(home: StateFolder) -> None:
    with home.lock() as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()]
        )
    assert home.is_claimed()

    child.communicate(b"\n")

    assert not home.is_claimed()


def test_the_holder_is_told_while_it_lives_and_never_after(home: StateFolder) -> None:
    """By then its id may be another process's, which a stop would end."""
    wait = (
        "import sys; from pathlib import Path; "
        "from facematch.local.state_folder import StateFolder; "
        "file = StateFolder(Path(sys.argv[1])).hold(); print('held', flush=True); input()"
    )
    with home.lock():
        child = subprocess.Popen(
            [sys.executable, "-c", wait, str(home.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert home.holder() is None or home.holder() == child.pid
        assert child.stdout
        child.stdout.readline()
        assert home.holder() == child.pid
        child.kill()
        child.communicate()

        assert (home.folder / "holder").read_text() == str(child.pid)
        assert home.holder() is None
        with home.hold():
            assert home.holder() == os.getpid()
        assert home.holder() is None


def test_a_local_cloud_whose_holder_was_killed_does_not_run(home: StateFolder) -> None:
    with home.lock():
        with home.hold():
            home.is_running(Running(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2", "S"))
            assert home.running()

        assert home.running() is None  # though what it had started claims the folder


# --- Ports ------------------------------------------------------------------------------------


def test_a_busy_port_is_passed_over(home: StateFolder) -> None:
    with taken(closed(home.listeners())[0]) as other:
        (home.state / "ports.json").unlink()

        found = closed(home.listeners())

    assert other is not None
    assert len({*found, 0}) == 3


def test_the_ports_stay(home: StateFolder) -> None:
    assert closed(home.listeners()) == closed(home.listeners())


def test_two_that_choose_at_once_choose_different_ports(tmp_path: Path) -> None:
    homes = [StateFolder(tmp_path / str(number)) for number in range(8)]
    found: list[tuple[socket.socket, socket.socket]] = []
    threads = [
        threading.Thread(target=lambda home=home: found.append(home.listeners())) for home in homes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    chosen = [port for listeners in found for port in closed(listeners)]

    assert len(set(chosen)) == 16


@pytest.mark.parametrize(
    "text",
    ["[]", "{x", "", "[4566]", "[1, 2, 3]", '["a", "b"]', "[1, 70000]", "7", "null", "\xff"],
)
def test_ports_that_cannot_be_read_are_a_damaged_state(home: StateFolder, text: str) -> None:
    closed(home.listeners())
    (home.state / "ports.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(LocalCloudError, match=r"(?s)ports\.json.*facematch local reset"):
        home.listeners()


KEPT = """{"data": {"0\\u0000us-east-1\\u0000'http://127.0.0.1:%d/0/Intake'": {"url":
    "http://127.0.0.1:%d/0/Intake"}, "env": {"AWS_ENDPOINT_URL": "http://127.0.0.1:%d",
    "AWS_ENDPOINT_URL_REKOGNITION": "http://127.0.0.1:%d", "OTHER": "http://127.0.0.1:1%d",
    "definition": "{\\"QueueUrl\\":\\"http://127.0.0.1:%d/0/Intake\\"}"}}}"""


def kept(first: int, second: int, other: int) -> str:
    return KEPT % (first, first, first, second, other, first)


@pytest.fixture
def state(home: StateFolder) -> tuple[StateFolder, int, int, Path]:
    """A local cloud's, its ports, and one of its services' files that names them."""
    first, second = closed(home.listeners())
    file = home.state / "services" / "sqs.json"
    file.parent.mkdir()
    file.write_text(kept(first, second, first))
    return home, first, second, file


@pytest.mark.parametrize("which", [0, 1])
def test_a_port_that_another_program_took_is_moved_and_the_state_names_the_new_one(
    state: tuple[StateFolder, int, int, Path], which: int
) -> None:
    home, *before, file = state
    with taken(before[which]):
        now = closed(home.listeners())

    assert now[which] not in before
    assert now[1 - which] == before[1 - which]
    assert file.read_text() == kept(*now, before[0])
    assert closed(home.listeners()) == now


def test_both_ports_are_moved(state: tuple[StateFolder, int, int, Path]) -> None:
    home, first, second, file = state
    with taken(first), taken(second):
        now = closed(home.listeners())

    assert not set(now) & {first, second}
    assert file.read_text() == kept(*now, first)


@settings(max_examples=examples(60), deadline=None)
@given(steps=st.integers(0, 12), both=st.booleans(), again=st.booleans())
def test_a_move_that_is_killed_at_any_moment_is_finished_by_the_next_start(
    tmp_path_factory: pytest.TempPathFactory, *, steps: int, both: bool, again: bool
) -> None:
    home = StateFolder(tmp_path_factory.mktemp("move"))
    first, second = closed(home.listeners())
    files = [home.state / "services" / f"{name}.json" for name in ("lambda", "s3", "sqs")]
    files[0].parent.mkdir()
    for file in files:
        file.write_text(kept(first, second, first))
    with taken(first):
        left = steps

        class Killed(BaseException):
            pass

        replace = Path.replace

        def replace_or_die(path: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return replace(path, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", replace_or_die)
            with contextlib.suppress(Killed):
                closed(home.listeners())
    named = json.loads((home.state / "ports.json").read_text())
    with taken(second) if both else taken(0), taken(named[0]) if again else taken(0):
        now = closed(home.listeners())

    assert len(json.loads((home.state / "ports.json").read_text())) == 2
    assert {file.read_text() for file in files} == {kept(*now, first)}


def test_no_free_port_is_said(home: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_listening", lambda _port: None)

    with pytest.raises(LocalCloudError, match="is free"):
        home.listeners()
