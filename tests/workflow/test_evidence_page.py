"""The evidence page of what the workflow really found."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.evidence import folders
from facematch.local.rekognition.faces import FaceEngine
from functions.matching.matches import pair_id
from tests.page.chromium import chromium
from tests.page.conftest import choose, decide, exported

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workflow.conftest import Workflow


@pytest.fixture
def run(workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command on this workflow's cloud; its list of pages is the test's own."""
    monkeypatch.setenv("FACEMATCH_HOME", str(workflow.cloud.home.folder))
    mine = functools.partial(folders.EvidenceFolders, tmp_path / "state")
    monkeypatch.setattr(folders, "EvidenceFolders", mine)
    return lambda *arguments: CliRunner().invoke(app, ["evidence", "--local", *arguments])


def data(index: Path) -> dict[str, Any]:
    text = re.search(
        r'<script type="application/json"[^>]*>(.*?)</script>', index.read_text(), re.DOTALL
    )
    assert text
    found: dict[str, Any] = json.loads(text[1])
    return found


def test_the_page_shows_the_faces_that_the_workflow_matched(
    workflow: Workflow, faceless: bytes, run: Any, tmp_path: Path
) -> None:
    bea = workflow.upload("Bea_Roe_0001.jpg", workflow.photograph("obama2.jpg"))
    workflow.finished(bea)
    ann = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    empty = workflow.upload("Empty_0001.png", faceless)
    broken = workflow.upload("Broken_0001.jpg", b"not a photograph")
    for image in (ann, empty, broken):
        workflow.finished(image)
    workflow.failure(broken)
    folder = tmp_path / "page"

    result = run("--to", str(folder))

    assert result.exit_code == 0, result.output
    assert f"file://{folder}/index.html" in result.stdout
    shown = data(folder / "index.html")
    assert [(p["key"], p["name"]) for p in shown["photographs"]] == [
        (ann.key, "Ann_Lee"),
        (bea.key, "Bea_Roe"),
    ]
    (row,) = workflow.records("matches", ann)
    assert shown["matches"] == [[0, 1, row["similarity"]]]
    assert pair_id(shown["faces"][0]["id"], shown["faces"][1]["id"]) == row["pair_id"]
    assert shown["local"]
    assert shown["threshold"] == 99
    engine = FaceEngine()
    for face in shown["faces"]:
        (found,) = engine.detect_and_embed((folder / face["file"]).read_bytes()).faces
        assert found.box.left + found.box.width / 2 == pytest.approx(0.5, abs=0.1)
        assert found.box.top + found.box.height / 2 == pytest.approx(0.5, abs=0.1)
        assert found.box.height == pytest.approx(1 / 1.6, abs=0.15)

    assert run("--delete", "--to", str(folder)).exit_code == 0
    assert not folder.exists()


def test_a_conflict_that_is_decided_on_the_page_is_no_open_conflict_any_more(
    workflow: Workflow, run: Any, tmp_path: Path
) -> None:
    """From the page in a browser, through `decisions import`, to the query and the next page."""
    for number, photograph in enumerate(("obama.jpg", "biden.jpg", "obama2.jpg"), 1):
        image = workflow.upload(f"Gus_Day_{number}.jpg", workflow.photograph(photograph))
        assert workflow.finished(image)["status"] == "SUCCEEDED"
    folder, file = tmp_path / "page", tmp_path / "decisions.json"
    assert run("--to", str(folder)).exit_code == 0
    (conflict,) = data(folder / "index.html")["conflicts"]
    assert conflict["photograph"] == "photograph:images/Gus_Day_2.jpg"

    with chromium() as browser:
        page = browser.new_page()
        page.goto((folder / "index.html").as_uri())
        choose(page, "conflicts")
        decide(page, "d")
        file.write_text(exported(page, "Export JSON"))

    def facematch(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--local"])
        assert done.exit_code == 0, done.output
        return done.stdout

    def standings() -> list[str]:
        rows = json.loads(facematch("matches", "--conflicts", "--json"))
        return [row["standing"] for row in rows if row["record"] == "name:Gus Day"]

    assert standings() == ["UNDECIDED"]
    assert "1 imported" in facematch("decisions", "import", str(file))
    assert standings() == ["DIFFERENT_PEOPLE"]
    waiting, _, decided = facematch("matches", "--conflicts").partition(" decided")
    assert "Gus_Day" not in waiting
    assert "Gus_Day" in decided

    assert run("--to", str(folder)).exit_code == 0
    shown = data(folder / "index.html")
    assert shown["conflicts"] == [conflict]
    (decision,) = (d for d in shown["decisions"] if d["record_b"] == conflict["photograph"])
    assert (decision["record_a"], decision["decision"]) == ("name:Gus Day", "DIFFERENT_PEOPLE")


def test_by_default_the_page_lies_in_the_local_cloud_s_own_folder(
    workflow: Workflow, run: Any
) -> None:
    folder = workflow.cloud.home.folder / "dashboard"

    printed = run().stdout.split()

    (link,) = [word for word in printed if word.startswith("file://")]
    assert urlsplit(link).path == f"{folder}/index.html"
    assert (folder / "index.html").is_file()
    assert data(folder / "index.html")["decisions_command"].endswith("--local")
    assert run("--delete").exit_code == 0
    assert not folder.exists()


def test_a_folder_of_something_else_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")

    result = run("--to", str(tmp_path))

    assert isinstance(result.exception, folders.NotAPage)
    assert (tmp_path / "thesis.txt").exists()
