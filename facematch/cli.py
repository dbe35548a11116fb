"""The command line: facematch.

Exit codes: 0 done; 1 something failed, and the text says what; 2 wrong usage, or nothing to work
on (no such stack, no local cloud, no photographs); 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Table

from facematch import deployment as deployments
from facematch import operate
from facematch.audit import audit
from facematch.backfill import backfill
from facematch.collection import collection_app
from facematch.costs.command import cost
from facematch.decisions import decisions_app
from facematch.deployment import DEFAULT_STACK_NAME
from facematch.destroy import destroy
from facematch.errors import Actionable, Unusable, about_file, explained
from facematch.evaluation.calibrate import calibrate
from facematch.evaluation.command import evaluate
from facematch.evidence.command import dashboard, delete_local_page
from facematch.folders import show_left_out
from facematch.forget import forget
from facematch.matches import read_matches
from facematch.options import AsJson, Local, Profile, Region, Stack, chosen
from facematch.query import query
from facematch.terminal import (
    SEARCH_AGAIN,
    fail,
    messages,
    output,
    pairs_table,
    print_json,
    progress,
    safe,
    shown,
    visible,
)
from facematch.upload import Outcomes, Uploader, not_uploaded_words, wait_for_outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facematch.folders import LeftOut
    from facematch.local.events import Event
    from facematch.local.home import Home
    from functions.matching.faces import NamesLeftOut

FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130
_SHOWN: Final = 20

app = typer.Typer(
    help="Finds the same person under different names in photographs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
local_app = typer.Typer(
    help="The local cloud: the whole workflow on this machine.", no_args_is_help=True
)
app.add_typer(local_app, name="local")
app.add_typer(decisions_app, name="decisions")
app.add_typer(collection_app, name="collection")
for command in (
    operate.status,
    operate.executions,
    operate.show,
    operate.failures,
    operate.replay,
    audit,
    backfill,
    query,
    cost,
    dashboard,
    destroy,
    forget,
    evaluate,
    calibrate,
):
    app.command()(command)

Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing if there is nothing to do.")]
Context = Annotated[
    list[str] | None,
    typer.Option("--context", "-c", help="A setting, as name=value; may be repeated."),
]


@app.command()
def demo(
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            exists=True,
            file_okay=False,
            help="A folder of your own photographs, named after people (Ann_Lee_0001.jpg).",
        ),
    ] = None,
) -> None:
    """Run the whole workflow on this machine, on real photographs, and show what it found."""
    from facematch import demo as demonstration  # noqa: PLC0415 - needs the local cloud's packages

    demonstration.run(photos)


@app.command()
def upload(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until each has an outcome.")] = False,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Upload the photographs in FOLDER that the bucket does not hold yet.

    Keys are the paths below FOLDER. It can be stopped and repeated: what is there already with
    the same size and content is left alone, and starts nothing.
    """
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)
    uploader = Uploader(deployment)
    with messages.status("comparing the folder with the bucket"):
        plan = uploader.plan(folder)
    show_left_out(plan.left_out)
    if plan.not_compared:
        messages.print(
            safe(
                "Uploaded again, since S3 denies to say if it has changed: "
                f"{plan.not_compared[0].path}, and {len(plan.not_compared) - 1} more. Each is "
                "indexed and searched anew. To compare them you need s3:GetObjectVersion on the "
                "bucket and, where it is encrypted under a key, kms:Decrypt."
            )
        )
    outcomes = None
    with progress() as bars:
        task = bars.add_task("photographs uploaded", total=len(plan.new))
        versions, errors = uploader.upload(plan.new, done=lambda _: bars.advance(task))
        if wait:
            versions += plan.unchanged
            waiting = bars.add_task("executions finished", total=len(versions))
            outcomes = wait_for_outcomes(
                deployment,
                versions,
                finished=lambda count: bars.update(waiting, completed=count),
            )
    for words in not_uploaded_words(errors):
        messages.print(safe(words, style="red"))
    _show_upload(
        uploaded=len(plan.new) - len(errors),
        unchanged=len(plan.unchanged),
        not_uploaded=len(errors),
        left_out=plan.left_out,
        outcomes=outcomes,
        deployment=deployment,
        as_json=as_json,
    )
    if errors or (outcomes and (outcomes.failed or outcomes.undelivered)):
        raise typer.Exit(FAILED)


def _show_upload(
    *,
    uploaded: int,
    unchanged: int,
    not_uploaded: int,
    left_out: Mapping[Path, LeftOut],
    outcomes: Outcomes | None,
    deployment: deployments.Deployment,
    as_json: bool,
) -> None:
    if as_json:
        document = {
            "uploaded": uploaded,
            "unchanged": unchanged,
            "not_uploaded": not_uploaded,
            "left_out": [
                {"path": visible(str(path)), "reason": why.name}
                for path, why in sorted(left_out.items())
            ],
            **(asdict(outcomes) if outcomes else {}),
        }
        print_json(document)
        return
    text = f"{uploaded} uploaded, {unchanged} unchanged"
    if not_uploaded:
        text += f", {not_uploaded} not uploaded (repeat the command to try again)"
    if outcomes:
        text += f"; {len(outcomes.reported)} have a report, "
        if outcomes.undelivered:
            text += f"of {len(outcomes.undelivered)} of them nobody was notified, "
        if outcomes.superseded:
            text += f"{len(outcomes.superseded)} gave way to a newer version, "
        text += f"{len(outcomes.rejected)} were rejected, {len(outcomes.failed)} failed"
    output.print(f"{text}.")
    if outcomes:
        _show_outcomes(outcomes, deployment)


def _show_outcomes(outcomes: Outcomes, deployment: deployments.Deployment) -> None:
    """What has no report, or nobody was notified of, why, and what to do about it."""
    for key in outcomes.superseded:
        output.print(
            safe(f"  gave way to a newer version of the same photograph (nothing to do): {key}")
        )
    for kind, keys in (
        ("rejected", outcomes.rejected),
        ("failed", outcomes.failed),
        ("has a match, but nobody was notified", outcomes.undelivered),
    ):
        for key in keys:
            output.print(safe(f"  {kind} ({outcomes.reasons[key]}): {key}"))
    if outcomes.rejected or outcomes.failed or outcomes.undelivered:
        output.print(
            f"What happened, and what to do: {deployment.command('failures')}", soft_wrap=True
        )
    if outcomes.failed or outcomes.undelivered:
        output.print(
            f"Once the cause is fixed: {deployment.command('replay', '--all')}", soft_wrap=True
        )


@app.command()
def matches(
    *,
    minimum: Annotated[
        float | None,
        typer.Option(
            "--min",
            min=0,
            max=100,
            help="Lowest similarity, %; default: notify's.",
        ),
    ] = None,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Show who matches whom: each pair of names once, with its best pair of photographs.

    Pairs that people have decided about are shown apart.
    """
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)
    threshold = deployment.notify_threshold() if minimum is None else minimum
    with messages.status("reading the match rows"):
        found = read_matches(deployment, minimum=threshold)
    pairs = found.pairs
    if as_json:
        print_json([asdict(pair) for pair in pairs], indent=2)
    elif pairs:
        waiting = [pair for pair in pairs if pair.is_open]
        decided = [pair for pair in pairs if not pair.is_open]
        if waiting:
            output.print(pairs_table(waiting))
        output.print(
            f"{len(waiting)} {'pair' if len(waiting) == 1 else 'pairs'} of names from "
            f"{threshold:g} % up: candidates for a person's judgement, not a verdict."
        )
        if decided:
            output.print()
            output.print(pairs_table(decided, title=f"{len(decided)} decided"))
    else:
        output.print(f"No pair of names from {threshold:g} % up.")
    _show_lacking(found.lacking)


def _show_lacking(lacking: dict[str, NamesLeftOut]) -> None:
    """Name the photographs whose pairs may be missing; apart from the result, which may be JSON."""
    if not lacking:
        return
    messages.print("Pairs may be missing, since these photographs look like too many names:")
    worst = sorted(lacking, key=lambda key: (-lacking[key].counted, key))
    for key in worst[:_SHOWN]:
        messages.print(safe(f"  {key} {lacking[key].words}"), soft_wrap=True)
    if len(worst) > _SHOWN:
        messages.print(f"  and {len(worst) - _SHOWN:,} more: facematch query left_out")
    messages.print(f"{SEARCH_AGAIN}\n  facematch backfill --again --prefix KEY", soft_wrap=True)


@local_app.command("start")
def local_start(
    *,
    foreground: Annotated[bool, typer.Option(help="Stay here; Ctrl-C ends it.")] = False,
    context: Context = None,
) -> None:
    """Start the local cloud; what it held before is there again."""
    from facematch.local.home import Home  # noqa: PLC0415

    os.umask(0o077)  # whatever is written from now on holds photographs, faces or names
    home = Home.default()
    lock = _claimed(home)
    if lock is None:
        if context:
            fail(
                f"A local cloud is running in {home.folder} already, with the settings that it "
                "was started with. Stop it first: facematch local stop, then repeat the command.",
                UNUSABLE,
            )
        messages.print(f"A local cloud is running in {home.folder} already.")
        return
    arguments = [sys.executable, "-m", "facematch.local.serve", "--home", str(home.folder)]
    arguments += ["--lock", str(lock.fileno()), *(f"--context={pair}" for pair in context or [])]
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


def _claimed(home: Home) -> IO[str] | None:
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


def _did_not_start(home: Home, returncode: int, log: Path) -> None:
    if returncode in {0, -signal.SIGTERM}:
        fail(
            f"The local cloud in {home.folder} was stopped while it started. Start it again with: "
            "facematch local start",
            FAILED,
        )
    fail(
        f"The local cloud in {home.folder} did not start. Look at what it said ({log}):\n"
        f"{log.read_text().strip()}",
        FAILED,
    )


@local_app.command("stop")
def local_stop(*, quiet: Quiet = False) -> None:
    """Stop the local cloud, also while it starts; it keeps everything for the next start."""
    from facematch.local.home import Home  # noqa: PLC0415

    home = Home.default()
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
                    FAILED,
                )
            time.sleep(0.1)
    if troubles := [e for e in home.events.since_start() if e.is_trouble and e not in before]:
        fail(
            f"The local cloud in {home.folder} has stopped, but not in order. "
            f"{' '.join(event.what for event in troubles)} See it again with: "
            "facematch local status",
            FAILED,
        )
    messages.print("Stopped. Everything is kept: facematch local start")


@local_app.command("status")
def local_status(*, as_json: AsJson = False) -> None:
    """Say whether the local cloud runs, where it is found, and what happened to it.

    Exit code 1 when it does not run.
    """
    from facematch.local.home import Home  # noqa: PLC0415

    home = Home.default()
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
    raise typer.Exit(FAILED)


def _show_events(events: list[Event]) -> None:
    for event in events:
        output.print(safe(f"  {event.told}", "red" if event.is_trouble else ""), soft_wrap=True)


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
    from facematch.local.home import Home  # noqa: PLC0415

    home = Home.default()
    if not home.holds_local_cloud():
        messages.print(f"{home.folder} holds no local cloud: nothing was deleted.")
        return
    if home.running():
        fail(
            f"The local cloud in {home.folder} is running. Stop it first: facematch local stop",
            UNUSABLE,
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
    table = Table(show_lines=True)
    for column in ("", "On AWS", "Here", "Why"):
        table.add_column(column, overflow="fold")
    for difference in DIFFERENCES:
        table.add_row(difference.what, difference.on_aws, difference.here, difference.why)
    output.print(table)


def _show_local(*, as_json: bool = False) -> None:
    from facematch.local.home import Home  # noqa: PLC0415

    home = Home.default()
    running = home.running()
    deployment = deployments.on_this_machine()
    if as_json:
        facts = {
            "running": True,
            "folder": str(home.folder),
            "outputs": deployment.outputs,
            "events": [asdict(event) for event in home.events.since_start()],
            "troubles": operate.local_troubles(home.folder),
        }
        print_json({**facts, **(asdict(running) if running else {})}, indent=2)
        return
    output.print(
        f"The local cloud runs in {home.folder}\n"
        f"  endpoint of AWS services   {running.endpoint if running else ''}\n"
        f"  endpoint of Rekognition    {running.rekognition if running else ''}\n"
        f"  images bucket              {deployment.images_bucket}\n"
        f"  output bucket              {deployment.output_bucket}\n"
        f"  logs                       {home.logs}",
        soft_wrap=True,
    )
    for trouble in operate.local_troubles(home.folder):
        output.print(safe(f"  {trouble}", "red"), soft_wrap=True)


class Interrupted(BaseException):
    """Ctrl-C; not KeyboardInterrupt, which Typer turns into an exit code of failure."""


def _interrupt(*_signal: object) -> NoReturn:
    raise Interrupted


def _insist_on_text(arguments: list[str]) -> None:
    """Raise `Unusable` for an argument that nothing can be asked with; a file may have any name."""
    for argument in arguments:
        shown = visible(argument)
        path = argument.partition("=")[2] if argument.startswith("--") else argument
        if shown != argument and not Path(path).exists():
            raise Unusable(
                f"{shown} is not UTF-8, and names no file here. Write it in UTF-8, as keys and "
                "names are."
            )


def main() -> NoReturn:
    """Run the command line; an error that people can act on is one sentence, not a traceback."""
    signal.signal(signal.SIGINT, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is shown by its number; nothing ends for it.
            stream.reconfigure(errors="backslashreplace")
    try:
        _insist_on_text(sys.argv[1:])
        app()
    except Actionable as error:
        fail(str(error), error.exit_code)
    except (BotoCoreError, ClientError) as error:
        said = explained(error)
        fail(str(said), said.exit_code)
    except OSError as error:
        fail(str(about_file(error)), FAILED)
    except ModuleNotFoundError as error:
        fail(
            f"This command needs the package {error.name!r}, which is not installed. Install all "
            "that it may need: pip install 'face-matching[cdk,local,page]'",
            UNUSABLE,
        )
    except Interrupted:
        messages.print("Interrupted. What is done is done; repeat the command to go on.")
        sys.exit(INTERRUPTED)
    except Exception:  # noqa: BLE001 - a bug: its traceback may quote what comes from outside
        messages.print(traceback.format_exc(), soft_wrap=True)
        sys.exit(FAILED)
    sys.exit(0)


if __name__ == "__main__":
    main()
