"""The stack from before on a local cloud of its own, and today's command line on it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import typer.testing

from facematch.cli.main import app, status_of
from facematch.errors import Actionable
from facematch.evidence import page
from facematch.evidence.folders import EvidenceFolders
from facematch.local.clients import local_client
from facematch.local.cloud import LocalCloud
from facematch.local.deploy import deploy
from facematch.local.state_folder import StateFolder
from facematch.operations.audit import Auditor
from facematch.stack.deployment import Deployment, on_this_machine
from facematch.stack.executions import Executions
from tests.before import kept, rights
from tests.workflow.conftest import WAIT_SCALE, eventually
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


#: For everything that there is to be searched again, on a machine that is busy otherwise.
PATIENCE_SECONDS = 180
#: The commands that have been run, as words.
RAN: set[str] = set()
#: The one that runs in this process, or none.
RUNNING: list[str] = []
_GROUPS = ("local", "decisions", "collection")


def note(arguments: tuple[str, ...]) -> str:
    """Remember which command was run."""
    name = " ".join(arguments[: 2 if arguments[0] in _GROUPS else 1])
    RAN.add(name)
    return name


@functools.cache
def recording_client(*place: Any, **options: Any) -> Any:
    """A client of the local cloud that notes which rights a command uses on AWS."""

    def hear(model: Any, params: dict[str, Any], **_: Any) -> None:
        if RUNNING:
            rights.note(RUNNING[-1], model, params)

    made = local_client(*place, **options)
    made.meta.events.register("provide-client-params", hear)
    return made


class Stack:
    """The local cloud with what was kept: first as it was deployed then, then brought up to date.

    Attributes
    ----------
    root
        The folder that is .facematch elsewhere.
    """

    def __init__(self, root: Path, home: StateFolder) -> None:
        self.root = root
        self.home = home
        self.cloud = LocalCloud(home, wait_scale=WAIT_SCALE)
        self._deploy: Callable[[], str] | None = None

    def start_without_deploying(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Start it with the resources, functions and definitions of then."""

        def later(*arguments: Any, **options: Any) -> str:
            self._deploy = functools.partial(deploy, *arguments, **options)
            return str(kept.document("cdk.json")["context"]["stack_name"])

        monkeypatch.setattr(f"{LocalCloud.__module__}.deploy", later)
        self.cloud.start()

    def update(self) -> None:
        """Deploy today's template, once."""
        if self._deploy:
            self._deploy()
            self._deploy = None

    @property
    def deployment(self) -> Deployment:
        """As the command line sees it."""
        return on_this_machine()

    def json(self, *arguments: str, expect: int = 0) -> Any:
        """The JSON document that a command prints about this stack."""
        return json.loads(run(*arguments, "--local", "--json", expect=expect).stdout)

    def settle(self) -> None:
        """Wait until no message waits and nothing runs, at two looks in a row."""
        running, auditor = Executions(self.deployment), Auditor(self.deployment)

        def look() -> bool | None:
            busy = auditor.queues().queued or any(running.listed(statuses=("RUNNING",)))
            return None if busy else True

        for _ in range(2):
            time.sleep(0.3)
            eventually(look, PATIENCE_SECONDS)


def run(*arguments: str, expect: int = 0, typed: str | None = None) -> typer.testing.Result:
    """Run a command, as a person would; FACEMATCH_HOME says on which local cloud."""
    RUNNING.append(note(arguments))
    try:
        result = typer.testing.CliRunner().invoke(app, arguments, input=typed)
    finally:
        RUNNING.pop()
    code = result.exit_code
    if isinstance(result.exception, Actionable):
        code = status_of(result.exception)
    if code != expect or not isinstance(result.exception, Actionable | SystemExit | None):
        raise AssertionError(f"{arguments}: {code}, {result.output}") from result.exception
    return result


def facematch(
    home: Path, *arguments: str, project: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own.

    Parameters
    ----------
    project
        The folder with the package, below which the command keeps what it writes.
    """
    note(arguments)
    return subprocess.run(
        [sys.executable, "-m", "facematch", *arguments],
        cwd=project,
        env={**os.environ, "FACEMATCH_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield monkeypatch


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[Stack]:
    """The stack as it was deployed; its list of evidence pages is its own."""
    root = tmp_path_factory.mktemp("before")
    made = Stack(root, StateFolder(kept.restore(root)))
    monkeypatch_module.setenv("FACEMATCH_HOME", str(made.home.folder))
    monkeypatch_module.setattr(EvidenceFolders.__init__, "__defaults__", (root,))
    # Clients, and the command line out of its signatures, are made once and not for each command.
    monkeypatch_module.setattr(f"{local_client.__module__}.local_client", recording_client)
    monkeypatch_module.setattr(
        typer.testing, "_get_command", functools.cache(typer.main.get_command)
    )
    # The charting library takes seconds, and nobody looks at these pages.
    monkeypatch_module.setattr(f"{page.render.__module__}.chart_library", lambda: "")
    try:
        made.start_without_deploying(monkeypatch_module)
        yield made
    finally:
        made.cloud.stop()
        facematch(made.home.folder, "local", "stop", "--quiet")


@pytest.fixture(scope="module", params=["as it was deployed", "after the update"])
def old(request: pytest.FixtureRequest, stack: Stack) -> Stack:
    """The stack with nothing but what was kept, before and after today's template is deployed."""
    if request.param == "after the update":
        stack.update()
    return stack


@pytest.fixture(scope="module")
def updated(stack: Stack) -> Stack:
    """The stack with today's template and functions."""
    stack.update()
    return stack
