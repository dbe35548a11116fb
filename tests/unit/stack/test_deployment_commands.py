"""Commands that one command tells people to run next."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from facematch.cli.main import _COMMANDS
from facematch.stack.deployment import Deployment
from facematch.text import command
from workflow.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = rf"\bfacematch ({'|'.join(_COMMANDS)})\b"


@pytest.mark.parametrize(
    ("stack", "local", "options", "command"),
    [
        ("FaceMatching", True, (), "facematch replay --all --local"),
        ("FaceMatching", False, (), "facematch replay --all"),
        (
            *("Faces", False, ("--profile", "my team", "--region", "eu-west-1")),
            "facematch replay --all --profile 'my team' --region eu-west-1 --stack Faces",
        ),
    ],
)
def test_a_command_names_the_deployment_that_it_is_about(
    monkeypatch: pytest.MonkeyPatch,
    *,
    stack: str,
    local: bool,
    options: tuple[str, ...],
    command: str,
) -> None:
    monkeypatch.delenv("FACEMATCH_HOME", raising=False)
    made = Deployment(stack_name=stack, local=local, outputs={}, make_client=str, options=options)
    assert made.command("replay", "--all") == command


@pytest.mark.parametrize(
    ("local", "command"),
    [
        (True, "FACEMATCH_HOME='/tmp/my cloud' facematch replay --all --local"),
        (False, "facematch replay --all"),
    ],
)
def test_a_command_about_a_local_cloud_keeps_its_home(
    monkeypatch: pytest.MonkeyPatch, *, local: bool, command: str
) -> None:
    monkeypatch.setenv("FACEMATCH_HOME", "/tmp/my cloud")
    made = Deployment(stack_name="FaceMatching", local=local, outputs={}, make_client=str)
    assert made.command("replay", "--all") == command


def test_a_command_names_the_program_as_the_shell_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "my bin" / "facematch"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    monkeypatch.setattr("sys.argv", [str(program), "upload"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command("status") == f"'{program}' status"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["my bin/facematch", "upload"])
    assert command("status") == f"'{program}' status"

    monkeypatch.setenv("PATH", str(program.parent))
    assert command("status") == "facematch status"

    monkeypatch.setattr("sys.argv", ["/project/facematch/__main__.py", "upload"])
    assert command("status") == shlex.join([sys.executable, "-m", "facematch", "status"])


#: Two texts that any program may read.
NOT_PASTED = {
    "facematch/local/loopback_guard.py",
    "facematch/local/differences.py",
}


def test_no_text_spells_a_command_out_itself() -> None:
    spelled = []
    for path in sorted((PROJECT / "facematch").rglob("*.py")):
        file = str(path.relative_to(PROJECT))
        tree = ast.parse(path.read_text())
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        spelled += [
            f"{file}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docs
            and re.search(COMMANDS, node.value)
            and file not in NOT_PASTED
        ]
    assert spelled == []
