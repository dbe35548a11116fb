"""The place that a command works on is the one that was named, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from facematch.cli import forget
from facematch.cli.main import app
from facematch.errors import Unusable
from facematch.stack import deployment as deployments
from facematch.stack.deployment import DEFAULT_STACK_NAME, Deployment

if TYPE_CHECKING:
    from collections.abc import Callable


class Reached(Exception):  # noqa: N818 - not an error
    """The command got its deployment."""


@pytest.fixture(params=[DEFAULT_STACK_NAME, "Mine"])
def run(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., BaseException | None]:
    """Run the command that deletes, up to its deployment, beside a local cloud of that stack."""
    here = Deployment(stack_name=request.param, local=True, outputs={}, make_client=str)

    def reached(deployment: Deployment, *_: object) -> None:
        raise Reached(deployment.stack_name, deployment.local)

    monkeypatch.setattr(deployments, "on_this_machine", lambda: here)
    monkeypatch.setattr(
        deployments, "on_aws", lambda **o: replace(here, stack_name=o["stack_name"], local=False)
    )
    monkeypatch.setattr(forget, "Forgetting", reached)
    return lambda *words: (
        CliRunner().invoke(app, ["forget", "--name", "Ann", "--yes", *words]).exception
    )


def local_name(run: Callable[..., BaseException | None]) -> str:
    reached = run("--local")
    assert isinstance(reached, Reached)
    return str(reached.args[0])


def test_the_local_stack_may_be_named_or_not(run: Callable[..., BaseException | None]) -> None:
    name = local_name(run)
    for words in (["--local"], ["--local", "--stack", name]):
        reached = run(*words)
        assert isinstance(reached, Reached)
        assert reached.args == (name, True)


def test_another_stack_than_the_local_one_is_refused(
    run: Callable[..., BaseException | None],
) -> None:
    (other,) = {DEFAULT_STACK_NAME, "Mine"} - {local_name(run)}
    for words in (["--stack", other, "--local"], ["--local", "--stack", other]):
        refused = run(*words)
        assert isinstance(refused, Unusable)
        assert f"--stack names {other!r}" in str(refused)


@pytest.mark.parametrize("option", ["--profile", "--region"])
def test_a_place_on_aws_is_refused_for_the_local_cloud(
    run: Callable[..., BaseException | None], option: str
) -> None:
    refused = run("--local", option, "somewhere")
    assert isinstance(refused, Unusable)
    assert f"{option} somewhere" in str(refused)


def test_a_stack_on_aws_is_named_as_it_was(run: Callable[..., BaseException | None]) -> None:
    reached = run("--stack", "Elsewhere", "--profile", "p", "--region", "r")
    assert isinstance(reached, Reached)
    assert reached.args == ("Elsewhere", False)


@pytest.mark.parametrize("command", ["matches", "evidence"])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("0.99", "0.99 is a fraction; give 99"),
        ("-5", "'-5' is no similarity"),
        ("150", "'150' is no similarity"),
        ("99%", "99% has a percent sign; give 99"),
    ],
)
def test_a_lowest_similarity_is_a_percentage(command: str, given: str, says: str) -> None:
    refused = CliRunner().invoke(app, [command, "--min", given], env={"COLUMNS": "200"})

    assert refused.exit_code == 2
    assert says in refused.output
