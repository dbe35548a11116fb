"""The demo works on the local cloud: it deletes nothing there, and its next commands find it.

Slow: a local cloud starts four times, as a newcomer makes it.
"""

from __future__ import annotations

import json
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from facematch.cli import demonstration
from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from tests.local.conftest import with_own_ports
from tests.local.processes import facematch

if TYPE_CHECKING:
    from pathlib import Path

ANN = {"Ann_Lee_0001.jpg": "obama.jpg", "Bea_Orr_0001.jpg": "obama2.jpg"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_own_ports(tmp_path_factory.mktemp("demo") / "home")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("photographs")
    photographs = fetch_photographs()
    for name, source in ANN.items():
        shutil.copyfile(photographs[source], made / name)
    return made


def test_what_a_person_has_added_is_there_after_the_next_demo(
    home: Path, folder: Path, tmp_path: Path
) -> None:
    first = facematch(home, "demo", "--photos", str(folder))
    assert first.returncode == 0, first.stderr
    assert "2 photographs" in first.stdout
    assert StateFolder(home).running() is None
    lines = [line.strip() for line in first.stdout.splitlines()]
    (start,) = [line for line in lines if line.endswith("facematch local start")]
    (shown,) = [line for line in lines if "facematch show" in line]

    # The commands that it prints find what it left.
    assert shlex.split(start)[0] == f"FACEMATCH_HOME={home}"
    assert facematch(home, *shlex.split(start)[2:]).returncode == 0
    shown_now = facematch(home, *shlex.split(shown)[2:])
    assert "MATCHED" in shown_now.stdout

    (tmp_path / "Cy_Poe_0001.jpg").write_bytes(fetch_photographs()["biden.jpg"].read_bytes())
    added = facematch(home, "upload", str(tmp_path), "--wait", "--local")
    assert added.returncode == 0, added.stderr

    again = facematch(home, "demo", "--photos", str(folder))  # while it runs
    assert again.returncode == 0, again.stderr
    assert "2 photographs are there already, unchanged." in again.stderr
    assert "Cy_Poe" not in again.stdout.partition("Pairs of records")[0]
    assert StateFolder(home).running() is not None
    assert finished(home) == 3
    assert facematch(home, "local", "stop").returncode == 0


def test_names_that_would_be_read_by_another_rule_are_not_mixed(home: Path, folder: Path) -> None:
    by_folder = ("demo", "--photos", str(folder), "--names", "folder")
    stopped = facematch(home, *by_folder)
    assert stopped.returncode == 2
    assert "Nothing was changed" in stopped.stderr
    assert "local reset --yes" in stopped.stderr
    assert StateFolder(home).holds_local_cloud()


def test_the_demos_own_photographs_are_written_again_beside_what_lies_there(tmp_path: Path) -> None:
    """The same bytes, so that a second demo uploads nothing."""
    demonstration.lay_out(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "mine.jpg").write_text("three years of work")

    demonstration.lay_out(tmp_path)

    mine = (tmp_path / "mine.jpg").read_text()
    (tmp_path / "mine.jpg").unlink()
    assert mine == "three years of work"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert len(first) == 9


def test_an_empty_folder_is_told_of_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()

    done = facematch(tmp_path / "home", "demo", "--photos", str(folder))

    assert done.returncode == 2
    assert f"no photograph (JPEG, PNG) to upload in or below {folder}" in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_settings_of_a_start_hold_for_the_next_and_what_is_empty_says_so(
    home: Path,
) -> None:
    assert facematch(home, "local", "reset", "--yes").returncode == 0
    with_own_ports(home)
    first = facematch(home, "local", "start", "-c", "max_faces=3", "-c", "names_from=folder")
    assert first.returncode == 0, first.stderr
    for words in (["matches"], ["show", "Ann.jpg"], ["evidence"]):
        said = facematch(home, *words, "--local").stderr
        assert f"The local cloud in {home} holds no photograph below images/ yet" in said
        assert "facematch upload FOLDER --wait --local" in said
    assert facematch(home, "local", "stop").returncode == 0

    second = facematch(home, "local", "start", "-c", "max_faces=5")
    assert second.returncode == 0, second.stderr
    assert "max_faces: 3 -> 5" in second.stderr
    assert settings(home) == {"max_faces": "5", "names_from": "folder"}
    assert facematch(home, "local", "stop").returncode == 0


def finished(home: Path) -> int:
    found = json.loads(facematch(home, "status", "--json", "--local").stdout)
    return sum(found["finished"].values())


def settings(home: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(facematch(home, "local", "status", "--json").stdout)[
        "settings"
    ]
    return found
