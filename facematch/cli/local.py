"""facematch local: start, stop and look at the local cloud."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from facematch.cli.evidence import delete_local_page
from facematch.cli.exit_status import ExitStatus, Interrupted
from facematch.cli.options import AsJson
from facematch.cli.status import local_troubles
from facematch.cli.terminal import fail, messages, output, print_json, table
from facematch.errors import Unusable
from facematch.local.kept_settings import KeptSettings
from facematch.local.state_folder import StateFolder
from facematch.stack import deployment as deployments
from facematch.text import command, local_command, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facematch.local.events import Event


local_app = typer.Typer(
    help="The local cloud: the whole workflow on this machine.", no_args_is_help=True
)
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing if there is nothing to do.")]
Context = Annotated[
    list[str] | None,
    typer.Option("--context", "-c", help="A setting, as name=value; may be repeated."),
]


@local_app.command("start")
def local_start(
    *,
    foreground: Annotated[bool, typer.Option(help="Stay here; Ctrl-C ends it.")] = False,
    context: Context = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Forget settings that -c gave earlier.")
    ] = False,
) -> None:
    """Start the local cloud; what it held before is there again, and so are its settings.

    A setting that -c gave stays until another start gives it again, or --defaults.
    """
    os.umask(0o077)  # whatever is written from now on holds photographs, faces or names
    home = StateFolder.default()
    lock = _claimed(home)
    if lock is None:
        if context or defaults:
            fail(
                f"A local cloud is running in {home.folder} already, with the settings that it "
                f"was started with. Stop it first: {local_command('stop')}\n"
                "Then repeat the command.",
                ExitStatus.UNUSABLE,
            )
        messages.print(f"A local cloud is running in {home.folder} already.")
        return
    given = next_settings(home, _pairs(context or []), defaults=defaults).given
    arguments = [sys.executable, "-m", "facematch.local.serve", "--home", str(home.folder)]
    arguments += ["--lock", str(lock.fileno())]
    arguments += [f"--context={name}={value}" for name, value in given.items()]
    if foreground:
        os.set_inheritable(lock.fileno(), True)  # noqa: FBT003 - the function's own interface
        os.execv(sys.executable, arguments)  # noqa: S606 - ourselves
    log = home.logs / "local.log"
    with log.open("wb") as written:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
    lock.close()  # the process has it now
    try:
        with messages.status("starting the local cloud"):
            while home.running() is None:
                if process.poll() is not None:
                    _did_not_start(home, process.returncode, log)
                time.sleep(0.1)
    except Interrupted:
        process.terminate()
        with messages.status("stopping the local cloud"):
            process.wait()
        raise
    _show_local()


def _pairs(context: list[str]) -> dict[str, str]:
    for pair in context:
        if "=" not in pair:
            raise Unusable(f"-c {pair} is no setting. Give it as -c name=value.")
    return dict(pair.split("=", 1) for pair in context)


def next_settings(
    home: StateFolder, given: Mapping[str, str], *, defaults: bool = False
) -> KeptSettings:
    """Return the settings of the next start, and say how they differ from the last one's.

    Raises
    ------
    Unusable, RefusedSettingError
        If a setting cannot be used.
    """
    kept = KeptSettings.of(home)
    settings = (KeptSettings({}, kept.recorded) if defaults else kept).with_given(given)
    changed = kept.changes_to(settings)
    for words in settings.words():
        messages.say(words)
    if changed:
        messages.print("Settings that have changed since the last start:")
    for change in changed:
        messages.say(f"  {change}")
    if any(change.is_protected for change in changed):
        again = command("backfill", "--again", "--local", local=True)
        messages.say(f"Photographs that are here keep their outcome until: {again}")
    return settings


def _claimed(home: StateFolder) -> IO[str] | None:
    """Claim the folder as soon as no other process starts or stops there; None when one runs."""
    from facematch.local.errors import LocalCloudError  # noqa: PLC0415

    waiting = False
    while home.running() is None:
        if not home.is_claimed():
            with contextlib.suppress(LocalCloudError):  # another command was faster
                return home.lock()
        if not waiting:
            waiting = True
            messages.print(
                f"Another command is starting or stopping the local cloud in {home.folder}: "
                "waiting for it."
            )
        time.sleep(0.1)
    return None


def _did_not_start(home: StateFolder, returncode: int, log: Path) -> None:
    if returncode in {0, -signal.SIGTERM}:
        fail(
            f"The local cloud in {home.folder} was stopped while it started. Start it again with: "
            + local_command("start"),
            ExitStatus.FAILED,
        )
    fail(
        f"The local cloud in {home.folder} did not start. Look at what it said ({log}):\n"
        f"{log.read_text().strip()}",
        ExitStatus.FAILED,
    )


@local_app.command("stop")
def local_stop(*, quiet: Quiet = False) -> None:
    """Stop the local cloud, also while it starts; it keeps everything for the next start."""
    home = StateFolder.default()
    if not home.is_claimed():
        if not quiet:
            messages.print(f"No local cloud is running in {home.folder}.")
        return
    before = set(home.events.since_start())
    asked: set[int] = set()
    with messages.status("stopping the local cloud"):
        deadline = time.monotonic() + 60
        while home.is_claimed():
            # None: it has just begun to start, or was killed, and what it had started still ends.
            holder = home.holder()
            if holder and holder not in asked:
                asked.add(holder)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(holder, signal.SIGTERM)
            if time.monotonic() > deadline:
                end = f", or end it with 'kill -KILL {holder}'" if holder else ""
                fail(
                    f"The local cloud in {home.folder} has not ended for a minute. Look at what "
                    f"it says in {home.logs}{end}.",
                    ExitStatus.FAILED,
                )
            time.sleep(0.1)
    if troubles := [e for e in home.events.since_start() if e.is_trouble and e not in before]:
        fail(
            f"The local cloud in {home.folder} has stopped, but not in order. "
            f"{' '.join(event.what for event in troubles)} See it again with: "
            + local_command("status"),
            ExitStatus.FAILED,
        )
    messages.say(f"Stopped. Everything is kept: {local_command('start')}")


@local_app.command("status")
def local_status(*, as_json: AsJson = False) -> None:
    """Say whether the local cloud runs, where it is found, and what happened to it.

    Exit code 1 when it does not run.
    """
    home = StateFolder.default()
    if home.running() is not None:
        _show_local(as_json=as_json)
        return
    events = home.events.since_start()
    if as_json:
        print_json({"running": False, "events": [asdict(event) for event in events]}, indent=2)
    elif home.is_claimed():
        output.print(f"The local cloud in {home.folder} is starting or stopping.")
    else:
        output.print(f"No local cloud is running in {home.folder}.")
        if events and not events[-1].is_end:
            output.print("It did not end by itself: it was killed, or the machine went down.")
    if not as_json:
        _show_events(events)
    raise typer.Exit(ExitStatus.FAILED)


def _show_events(events: list[Event]) -> None:
    for event in events:
        output.say(f"  {event.told}", "red" if event.is_trouble else "")


@local_app.command("env")
def local_env() -> None:
    """Print what a shell needs for the AWS CLI or an SDK: eval "$(facematch local env)"."""
    from facematch.local.exports import exports  # noqa: PLC0415

    for line in exports(*deployments.running_here(), os.environ):
        output.print(line, markup=False, highlight=False, soft_wrap=True)


@local_app.command("reset")
def local_reset(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete everything that the local cloud has kept: images, faces, reports, executions."""
    from facematch.local.cloud import reset  # noqa: PLC0415

    home = StateFolder.default()
    if not home.holds_local_cloud():
        messages.print(f"{home.folder} holds no local cloud: nothing was deleted.")
        return
    if home.running():
        fail(
            f"The local cloud in {home.folder} is running. Stop it first: {local_command('stop')}",
            ExitStatus.UNUSABLE,
        )
    if not yes:
        typer.confirm(
            shown(f"Delete everything that the local cloud has kept in {home.folder}?"), abort=True
        )
    delete_local_page(home)
    reset(home)
    messages.print(f"Everything that the local cloud had kept in {home.folder} is deleted.")


@local_app.command("differences")
def local_differences(*, as_json: AsJson = False) -> None:
    """Show every difference between the local cloud and AWS."""
    from facematch.local.differences import DIFFERENCES  # noqa: PLC0415

    if as_json:
        columns = ("what", "on_aws", "here", "why")
        print_json([{c: getattr(d, c) for c in columns} for d in DIFFERENCES], indent=2)
        return
    rows = [(each.what, each.on_aws, each.here, each.why) for each in DIFFERENCES]
    output.print(table(("", "On AWS", "Here", "Why"), rows, show_lines=True))


def _show_local(*, as_json: bool = False) -> None:
    home = StateFolder.default()
    running = home.running()
    deployment = deployments.on_this_machine()
    if as_json:
        facts = {
            "running": True,
            "folder": str(home.folder),
            "outputs": deployment.outputs,
            "events": [asdict(event) for event in home.events.since_start()],
            "troubles": local_troubles(home.folder),
        }
        facts["settings"] = KeptSettings.of(home).given
        print_json({**facts, **(asdict(running) if running else {})}, indent=2)
        return
    output.print(
        f"The local cloud runs in {home.folder}\n"
        f"  endpoint                   {running.endpoint if running else ''}\n"
        f"  images bucket              {deployment.images_bucket}\n"
        f"  output bucket              {deployment.output_bucket}\n"
        f"  logs                       {home.logs}",
        soft_wrap=True,
    )
    for words in KeptSettings.of(home).words()[:1]:
        output.say(f"  {words}")
    for trouble in local_troubles(home.folder):
        output.say(f"  {trouble}", "red")
