"""Synthesis: the same template both ways, without credentials, and clean by AWS's own rules."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

import app as cdk_app
from workflow.synthesis import cdk_index, synthesise, synthesised

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = "FaceMatching.template.json"
#: No Node.js, no Docker, no AWS command line to be found. The CDK has been unpacked, which is slow.
BARE = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(cdk_index().parents[3]),
}


def run_app(outdir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=cdk_app.PROJECT,
        env={**BARE, "CDK_OUTDIR": str(outdir), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def context() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((cdk_app.PROJECT / "cdk.json").read_text())["context"]
    return found


def findings(folder: Path, app: cdk.App) -> list[tuple[str, str]]:
    """Rule and construct of each finding of cdk-nag's AwsSolutions."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
    report = json.loads((folder / "validation-report.json").read_text())
    return [
        (violation["ruleName"], construct["constructPath"])
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made as by the command line, which passes the context of cdk.json on in a variable."""
    return synthesise(tmp_path_factory.mktemp("synth") / "assembly")


def test_the_app_by_itself_and_under_the_command_line_give_the_same_template(
    tmp_path: Path, assembly: Path
) -> None:
    """By itself it needs nothing of the user's environment."""
    assert "AWS_ACCESS_KEY_ID" not in BARE
    alone = run_app(tmp_path)

    assert alone.returncode == 0, alone.stderr
    assert alone.stderr == ""  # no banner about an old Node.js, no warning
    for name in (TEMPLATE, "FaceMatching.assets.json"):
        assert (tmp_path / name).read_text() == (assembly / name).read_text()


def test_the_index_that_jsii_makes_of_the_cdk_is_where_we_look_for_it() -> None:
    assert cdk_index().is_file()


def test_the_template_of_the_local_cloud_is_that_of_aws(assembly: Path) -> None:
    assert (synthesised() / TEMPLATE).read_text() == (assembly / TEMPLATE).read_text()


def test_a_setting_from_the_command_line_is_text_and_is_understood(tmp_path: Path) -> None:
    settings = {"max_faces": "3", "retain_data": "false", "stack_name": "Registry"}
    given = {**context(), **settings, "@aws-cdk/core:validateAgainstDefaultRules": False}
    done = run_app(tmp_path, CDK_CONTEXT_JSON=json.dumps(given))

    assert done.returncode == 0, done.stderr
    template = json.loads((tmp_path / "Registry.template.json").read_text())
    variables = [
        resource["Properties"]["Environment"]["Variables"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    assert "3" in {v.get("MAX_FACES") for v in variables}


@pytest.mark.parametrize(
    ("setting", "value"), [("notify_threshold", "0.99"), ("treshold", "99"), ("max_faces", "0")]
)
def test_an_impossible_setting_stops_synthesis_with_a_sentence(
    tmp_path: Path, setting: str, value: str
) -> None:
    done = run_app(tmp_path, CDK_CONTEXT_JSON=json.dumps({**context(), setting: value}))

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"Setting: {setting}") or f"'{setting}'" in done.stderr
    assert not list(tmp_path.glob("*.template.json"))


def test_the_asset_holds_the_functions_and_nothing_else(tmp_path: Path) -> None:
    cdk_app.app(outdir=str(tmp_path)).synth()

    (asset,) = [folder for folder in tmp_path.glob("asset.*") if folder.is_dir()]
    files = {path.relative_to(asset).as_posix() for path in asset.rglob("*") if path.is_file()}
    assert "functions/starter.py" in files
    assert "functions/matching/keys.py" in files
    assert {name for name in files if not name.startswith("functions/")} == set()
    tables = "functions/matching/names/data/"
    others = {name for name in files if not name.endswith(".py")}
    assert {name for name in others if not name.startswith(tables)} == set()
    assert f"{tables}nicknames.txt" in others


def test_cdk_nag_finds_nothing_that_is_not_explained(tmp_path: Path) -> None:
    assert findings(tmp_path, cdk_app.app(outdir=str(tmp_path))) == []


def test_cdk_nag_would_find_an_open_bucket(tmp_path: Path) -> None:
    app = cdk_app.app(outdir=str(tmp_path))
    stack = app.node.find_child("FaceMatching")
    s3.Bucket(stack, "Open")  # type: ignore[arg-type] # a stack is a construct

    assert ("AwsSolutions-S1", "FaceMatching/Open/Resource") in findings(tmp_path, app)
