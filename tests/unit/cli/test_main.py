"""The commands: each found by its name, its former name and its module."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from facematch.cli.main import FORMER, app


@pytest.mark.parametrize(("former", "name"), FORMER.items())
def test_a_former_name_works_and_the_help_does_not_show_it(former: str, name: str) -> None:
    old, new = (CliRunner().invoke(app, [each, "--help"]) for each in (former, name))

    assert old.exit_code == 0
    assert old.stdout.replace(f" {former} ", f" {name} ").split() == new.stdout.split()
    assert f" {former} " not in CliRunner().invoke(app, ["--help"]).stdout


def test_a_misspelt_name_is_answered_with_the_right_one() -> None:
    result = CliRunner().invoke(app, ["uplod"])

    assert result.exit_code == 2
    assert "Did you mean 'upload'?" in result.stderr


def test_every_command_has_a_line_in_the_help() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout

    for name in get_command(app).commands:  # type: ignore[attr-defined] # a group
        assert f" {name} " in shown, name


def test_a_command_imports_no_other() -> None:
    program = (
        "import sys\n"
        "from facematch.cli.main import app\n"
        "app(['failures', '--help'], standalone_mode=False)\n"
        "print(*(each for each in sys.modules if each.startswith('facematch.cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    imported = set(done.stdout.splitlines()[-1].split())
    assert "facematch.cli.failures" in imported
    assert not {"facematch.cli.evaluate", "facematch.cli.demo", "facematch.cli.local"} & imported
