"""The command `facematch evidence`: where it writes, what it says, what it deletes."""

from __future__ import annotations

import functools
import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from facematch.cli import main
from facematch.cli.exit_status import ExitStatus
from facematch.cli.main import app
from facematch.cli.options import Where
from facematch.errors import Unusable
from facematch.evidence import folders
from tests.unit.album import Album
from tests.unit.cloud import deployment_of
from tests.unit.evidence.test_pictures import file_of, with_face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from facematch.stack.deployment import Deployment
    from tests.unit.cloud import Cloud

PHOTOGRAPH = file_of(with_face((400, 300), (40, 60, 80, 80)))


@pytest.fixture
def deployment(cloud: Cloud) -> Deployment:
    """Ann and Bo look alike, and so does Cy, whose photograph is broken."""
    album = Album(cloud)
    ann, bo = album.add("Ann_1.jpg", PHOTOGRAPH), album.add("Bo_1.jpg", PHOTOGRAPH)
    album.match(ann, {bo: 99.5, album.add("Cy_1.jpg", b"broken"): 98.0})
    return deployment_of(cloud)


@pytest.fixture
def run(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Run the command on the deployment; pages and their list are the test's own."""
    monkeypatch.setattr(
        folders, "EvidenceFolders", functools.partial(folders.EvidenceFolders, tmp_path)
    )
    with (
        patch("facematch.evidence.write.render", json.dumps),
        patch.object(
            Where,
            "deployment",
            lambda where: replace(
                deployment,
                stack_name=where.stack,
                options=tuple(
                    word
                    for option, value in (("profile", where.profile), ("region", where.region))
                    if value
                    for word in (f"--{option}", value)
                ),
            ),
        ),
    ):
        yield lambda *arguments: CliRunner().invoke(app, ["evidence", *arguments])


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / folders.INDEX).read_text())
    return found


def test_it_says_what_was_written_what_is_missing_and_where(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    result = run("--to", str(tmp_path / "page"))

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "2 matches between 3 photographs.",
        "1 photographs are shown without a picture: broken, or neither JPEG nor PNG.",
        (tmp_path / "page" / "index.html").as_uri(),
    ]


def test_it_counts_conflicts_apart_from_matches_and_writes_nothing_without_athena(
    run: Callable[..., Any], cloud: Cloud, tmp_path: Path
) -> None:
    album = Album(cloud)
    for key in ("Di_1.jpg", "Di_2.jpg", "Eli_1.jpg", "Eli_2.jpg"):
        album.report(album.add(key, PHOTOGRAPH))

    said = run("--to", str(tmp_path / "page")).stdout
    limited = run("--to", str(tmp_path / "limited"), "--limit", "1").stdout
    cloud.athena.denied = True
    denied = run("--to", str(tmp_path / "denied"))

    assert "2 matches between 3 photographs." in said
    conflicts = "Conflicts, photographs that resemble no other one of their record:"
    assert f"{conflicts} 2." in said
    assert f"{conflicts} 1; 1 more are left out (--limit)." in limited
    assert denied.exit_code != 0
    assert "docs/queries.md" in str(denied.exception)
    assert not (tmp_path / "denied").exists()


def test_the_limit_and_the_minimum_are_obeyed(run: Callable[..., Any], tmp_path: Path) -> None:
    limited = run("--to", str(tmp_path / "limited"), "--limit", "1")
    run("--to", str(tmp_path / "strong"), "--min", "99")

    assert "1 more matches are left out (--limit)" in limited.stdout
    assert document(tmp_path / "limited")["left_out"] == 1
    assert document(tmp_path / "strong")["left_out"] == 0
    for page in ("limited", "strong"):
        assert [similarity for *_, similarity in document(tmp_path / page)["matches"]] == [99.5]


def test_without_a_folder_it_writes_and_deletes_those_of_the_stack_s_name(
    run: Callable[..., Any], deployment: Deployment, tmp_path: Path
) -> None:
    for region in ("eu-west-1", "us-east-1"):
        arn = f"arn:aws:states:{region}:111122223333:stateMachine:FaceMatching"
        deployment.outputs["StateMachineArn"] = arn
        assert run().exit_code == 0
    folders = tmp_path / "dashboards" / "FaceMatching"
    assert {path.name for path in folders.iterdir()} == {
        "eu-west-1-111122223333",
        "us-east-1-111122223333",
    }
    assert run("--to", str(tmp_path / "elsewhere")).exit_code == 0

    with patch.object(Where, "deployment", None):  # deleting needs no credentials
        assert run("--delete", "--stack", "Another").exit_code == 0
        assert len(list(folders.iterdir())) == 2
        assert run("--delete").exit_code == 0

    assert list(folders.iterdir()) == []
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "options", [[], ["--profile", "my team", "--region", "eu", "--stack", "X"]]
)
def test_the_page_names_the_command_that_reads_its_decisions(
    run: Callable[..., Any], tmp_path: Path, options: list[str]
) -> None:
    assert run("--to", str(tmp_path / "page"), *options).exit_code == 0

    command = shlex.split(document(tmp_path / "page")["decisions_command"])
    assert command == ["facematch", "decisions", "import", "FILE", *options]


@pytest.mark.parametrize("options", [["--stack", "Another"], ["--region", "eu-west-1"]])
def test_a_local_page_is_not_deleted_when_another_place_is_named(
    run: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    monkeypatch.setenv("FACEMATCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "dashboard"
    assert run("--to", str(folder)).exit_code == 0

    assert isinstance(run("--delete", "--local", *options).exception, Unusable)
    assert (folder / folders.INDEX).exists()
    assert run("--delete", "--local", "--stack", "FaceMatching").exit_code == 0
    assert not folder.exists()


def test_the_command_on_the_page_deletes_it(run: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "a page"
    run("--to", str(folder))

    result = run(*shlex.split(document(folder)["delete_command"])[2:])

    assert result.exit_code == 0
    assert not folder.exists()


def test_what_is_left_is_named_and_the_command_fails(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    run("--to", str(folder))
    (folder / "notes.txt").write_text("mine")

    result = run("--delete", "--to", str(folder))

    assert result.exit_code == 1
    assert f"Deleted: {folder}" in result.output
    assert "Left, because it was not written by this installation" in result.output
    assert str(folder / "notes.txt") in result.output.replace("\n", "")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_package_that_is_missing_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'vl_convert'", name="vl_convert")

    monkeypatch.setattr(main, "app", missing)

    with pytest.raises(SystemExit) as ended:
        main.main()

    assert ended.value.code == ExitStatus.UNUSABLE
    assert "'vl_convert', which is not installed" in capsys.readouterr().err
