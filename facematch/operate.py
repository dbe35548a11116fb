"""The operator's commands: replay, status, executions, show, failures."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from facematch.deployment import DEFAULT_STACK_NAME
from facematch.errors import Unusable
from facematch.executions import STATUSES, Executions
from facematch.options import AsJson, Local, Profile, Region, Stack, chosen
from facematch.replay import DeadLetters, Plan, Replayer, Result, Selection, by_way, moment
from facematch.story import Standing, Story, failure_groups, standing, story
from facematch.terminal import SEARCH_AGAIN, messages, output, print_json, progress, safe
from functions.matching.failures import Lacking, Replay
from functions.matching.notifications import percent
from functions.matching.reports import is_above_threshold, names_left_out

if TYPE_CHECKING:
    from pathlib import Path

    from facematch.deployment import Deployment

FAILED: Final = 1
_REFRESH_SECONDS: Final = 2
_ROWS: Final = 50
#: Of a notification.
_FAILED: Final = "failed"

Since = Annotated[
    str | None, typer.Option(help="Only later than: 30m, 2h, 7d ago, or 2026-11-22T10:00.")
]


def replay(
    executions: Annotated[
        list[str] | None, typer.Argument(help="Names or ARNs of executions.")
    ] = None,
    *,
    since: Since = None,
    error: Annotated[str | None, typer.Option(help="Ended with this error.")] = None,
    step: Annotated[str | None, typer.Option(help="Ended in this state.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that ended badly.")] = False,
    include_rejected: Annotated[
        bool, typer.Option("--include-rejected", help="Also images that are at fault.")
    ] = False,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Show the dead letters and move them back.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be done.")
    ] = False,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Replay executions that ended badly: redrive what can resume, restart the rest.

    Shows first what it will do and how. Can be interrupted and repeated.
    """
    selection = Selection(
        names=tuple(executions or ()),
        since=moment(since, now=datetime.now(UTC)) if since else None,
        error=error,
        step=step,
        everything=everything,
        include_rejected=include_rejected,
    )
    if selection.is_empty and not dead_letters:
        raise Unusable(
            "Say what to replay: names of executions, --since, --error, --step, --all or "
            "--dead-letters."
        )
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)
    if dead_letters:
        _replay_dead_letters(DeadLetters(deployment), dry_run=dry_run, as_json=as_json)
        return
    replayer = Replayer(deployment)
    with messages.status("looking at executions"):
        plan = replayer.plan(selection)
    if not as_json:
        _show_plan(plan)
    if dry_run or not plan.replays:
        if as_json:
            print_json(_plan_document(plan))
        return
    with progress() as bars:
        task = bars.add_task("executions replayed", total=len(plan.replays))

        def done(result: Result) -> None:
            bars.advance(task)
            style = "green" if result.succeeded else "red"
            name = (result.arn or result.replay.arn).rpartition(":")[2]
            line = Text(f"{result.replay.how.value:<8} ").append(safe(name))
            messages.print(line.append(" ").append(safe(result.outcome, style)))

        results = replayer.run(plan, done=done)
    succeeded = sum(result.succeeded for result in results)
    if as_json:
        print_json({**_plan_document(plan), "results": [_result(r) for r in results]})
    else:
        output.print(f"{succeeded} of {len(results)} succeeded.")
    if succeeded < len(results):
        raise typer.Exit(FAILED)


def _show_plan(plan: Plan) -> None:
    if plan.replays:
        table = Table(title=f"{len(plan.replays)} executions", title_justify="left")
        for column in ("How", "Execution", "Why"):
            table.add_column(column, overflow="fold")
        for item in plan.replays[:_ROWS]:
            table.add_row(item.how.value, safe(item.arn.rpartition(":")[2]), safe(item.why))
        output.print(table)
        if len(plan.replays) > _ROWS:
            output.print(f"... and {len(plan.replays) - _ROWS} more.")
        ways = ", ".join(f"{count} to {how}" for how, count in by_way(plan.replays).items())
        output.print(f"{ways}.")
    else:
        output.print("There is nothing to replay.")
    for why, count in plan.left_out.items():
        output.print(safe(f"{count} left out: {why}."))


def _replay_dead_letters(letters: DeadLetters, *, dry_run: bool, as_json: bool) -> None:
    shown = letters.shown()
    count = max(letters.count(), len(shown))
    moved = 0
    if shown and not dry_run:
        with messages.status("moving them back"):
            time.sleep(1.1)  # until those that were shown can be received again
            moved = letters.move_back()
    if as_json:
        listed = [asdict(letter) for letter in shown]
        print_json({"dead_letters": count, "shown": listed, "moved": moved})
        return
    if not shown:
        output.print("There are no dead letters.")
        return
    for letter in shown:
        output.print(safe(f"{letter.message_id}  {letter.body[:300]}"), soft_wrap=True)
    output.print(
        f"{count} dead letters."
        if dry_run
        else f"{moved} dead letters were sent through the queue again. One that still cannot be "
        "understood will be back here."
    )


def status(
    *,
    since: Since = "1d",
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Show what waits, runs, has finished and has failed."""
    if watch and as_json:
        raise Unusable("Choose one of --watch and --json.")
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)

    def now() -> Standing:
        return standing(deployment, since=moment(since or "1d", now=datetime.now(UTC)))

    why = deployment.command("failures")
    troubles = [] if deployment.kept_in is None else local_troubles(deployment.kept_in)
    if as_json:
        document = asdict(now())
        print_json({**document, "since": document["since"].isoformat(), "troubles": troubles})
    elif watch:
        with Live(_standing_table(now(), why), console=output, auto_refresh=False) as live:
            while True:
                time.sleep(_REFRESH_SECONDS)
                live.update(_standing_table(now(), why), refresh=True)
    else:
        output.print(_standing_table(now(), why))
        for trouble in troubles:
            output.print(safe(trouble, "red"), soft_wrap=True)
        _show_links(deployment)


def local_troubles(folder: Path) -> list[str]:
    """What a person should know of the local cloud in the folder: its disk, and what failed."""
    from facematch.local.home import Home  # noqa: PLC0415 - what is on AWS needs none of it
    from facematch.local.room import shortage  # noqa: PLC0415

    full = shortage(folder)
    return [
        *([f"{full}. Free up space."] if full else []),
        *(event.told for event in Home(folder).events.since_start() if event.is_trouble),
    ]


def _standing_table(found: Standing, why: str) -> Table:
    table = Table(show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    age = ""
    if found.oldest_seconds:
        age = f", the oldest for {timedelta(seconds=round(found.oldest_seconds))}"
    table.add_row("In the queue", f"{found.waiting} waiting, {found.in_flight} in flight{age}")
    table.add_row("Dead letters", _count(found.dead_letters, "facematch replay --dead-letters"))
    table.add_row("Running", f"{found.running} executions")
    table.add_row("Rate", f"{found.started_per_second:.1f} executions a second (last minute)")
    since = f"{found.since:%Y-%m-%d %H:%M} UTC"
    table.add_section()
    table.add_row("Uploaded since", since)
    for name, count in sorted(found.finished.items()):
        table.add_row(f"  {name}", str(count))
    for reason, count in sorted(found.failed.items()):
        table.add_row(f"  {reason}", Text(str(count), style="red"))
    for reason, count in sorted(found.undelivered.items()):
        table.add_row(f"  matched, nobody notified: {reason}", Text(str(count), style="red"))
    if found.failed or found.undelivered:
        table.add_row("", f"what to do: {why}")
    return table


def _count(number: int, remedy: str) -> str:
    return f"{number}" + (f"   see: {remedy}" if number else "")


def executions(
    *,
    status: Annotated[str | None, typer.Option(help=", ".join(STATUSES))] = None,
    since: Since = None,
    name: Annotated[str | None, typer.Option(help="A part of the execution's name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """List executions, newest first within each status."""
    if status and status.upper() not in STATUSES:
        raise Unusable(f"{status!r} is no status. Choose one of {', '.join(STATUSES)}.")
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)
    found = []
    for execution in Executions(deployment).listed(
        statuses=(status.upper(),) if status else STATUSES,
        since=moment(since, now=datetime.now(UTC)) if since else None,
    ):
        if name is None or name.lower() in execution.name.lower():
            found.append(execution)
        if len(found) == limit:
            break
    if as_json:
        print_json([asdict(execution) for execution in found], default=str)
        return
    table = Table()
    for column in ("Status", "Started (UTC)", "Seconds", "Redrives", "Name"):
        table.add_column(column, overflow="fold")
    for item in found:
        seconds = f"{(item.stopped - item.started).total_seconds():.1f}" if item.stopped else ""
        started = f"{item.started.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        redrives = str(item.redrives or "")
        table.add_row(_colored(item.status), started, seconds, redrives, safe(item.name))
    output.print(table)
    output.print(
        f"{len(found)} executions"
        + (" (there may be more: --limit)." if len(found) == limit else ".")
    )


def show(
    what: Annotated[str, typer.Argument(metavar="EXECUTION|KEY")],
    *,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Tell an image's whole story: event, steps, faces, matches from both sides, failure."""
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)
    with messages.status("reading"):
        told = story(deployment, what)
    if as_json:
        document = asdict(told)
        document["image"] = told.image.to_payload() if told.image else None
        print_json(document, default=str)
        return
    output.print(Group(*_told(told)))
    for arn in _replayable(told):
        again = deployment.command("replay", arn.rpartition(":")[2])
        output.print(safe(f"Once the cause is fixed: {again}"), soft_wrap=True)
    for execution in told.executions[-1:]:
        _show_links(deployment, execution["executionArn"])


def _replayable(told: Story) -> set[str]:
    """ARNs of the executions whose replay repairs what failed."""
    records = [record for record in (told.failure, told.delivery_failure) if record]
    arns = {r["execution_arn"] for r in records if r["replay"] == Replay.REDRIVE}
    if told.report and _delivery(told.report, told.executions) == _FAILED:
        arns.add(told.report["execution_arn"])
    return arns


def _told(told: Story) -> list[Any]:
    parts: list[Any] = []
    if told.image:
        image = told.image
        parts.append(safe(f"{image.uri}", "bold"))
        parts.append(
            safe(
                f"uploaded {image.last_modified:%Y-%m-%d %H:%M:%S} UTC, {image.size:,} bytes, "
                f"version {image.version_id}, digest {image.digest}"
            )
        )
    for execution in told.executions:
        line = Text("execution ").append(safe(execution["name"])).append(" ")
        line.append(_colored(execution["status"]))
        if execution.get("redriveCount"):
            line.append(f", redriven {execution['redriveCount']} times")
        parts.append(line)
    if told.steps:
        parts.append(_steps_table(told))
    if told.report:
        parts += _told_report(told)
    for row in told.seen_by_others:
        parts.append(
            Text(f"  seen from {percent(row['similarity'])} ").append(
                safe(f"{row['name']}  {row['key']}")
            )
        )
    for failure in (told.failure, told.delivery_failure):
        if failure:
            parts.append(Text("failure ", style="red").append(safe(failure["message"])))
            parts.append(Text("  what to do: ").append(safe(failure["remedy"])))
    if not told.executions and not told.report and not told.failure:
        parts.append(Text("no outcome yet: it waits in the queue, or its message was lost"))
    return parts


def _told_report(told: Story) -> list[Text]:
    report = told.report or {}
    line = Text(f"report {report['status']}, searched {report['searched_at']}, notification: ")
    lines = [line.append(_delivery(report, told.executions))]
    for face in report["faces"]:
        box = face["box"]
        lines.append(
            Text(
                f"  face at {box['left']:.2f}, {box['top']:.2f} ({box['width']:.2f} x "
                f"{box['height']:.2f}), confidence {face['confidence']:.0f} %"
            )
        )
        lines += [
            Text(f"    matches {percent(match['similarity'])} ").append(
                safe(f"{match['name']}  {match['key']}")
            )
            for match in face["matches"]
        ]
    if report["matches_left_out"]:
        lines.append(Text(f"  and {report['matches_left_out']} more matches, left out"))
    lacking = names_left_out(report)
    if lacking.any:
        best = report.get("best_left_out_similarity")
        bound = f", by {percent(best)} at most" if best else ""
        lines.append(Text(f"  the photograph {lacking.words}{bound}", style="yellow"))
        lines.append(Text("  what to do: ").append(SEARCH_AGAIN))
        lines.append(safe(f"    facematch backfill --again --prefix {shlex.quote(report['key'])}"))
    return lines


def _delivery(report: dict[str, Any], executions: list[dict[str, Any]]) -> str:
    """What became of the notification of the report's match."""
    if not is_above_threshold(report):
        return "not due, below the threshold"
    for execution in executions:
        if execution["executionArn"] == report["execution_arn"]:
            return {"SUCCEEDED": "made", "RUNNING": "on its way"}.get(execution["status"], _FAILED)
    return "unknown, since Step Functions has forgotten the execution"


def _steps_table(told: Story) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for column in ("Step", "Entered (UTC)", "Seconds", "Failed attempts"):
        table.add_column(column)
    for step in told.steps:
        table.add_row(
            step.name,
            f"{step.entered.astimezone(UTC):%H:%M:%S.%f}"[:-3],
            "" if step.seconds is None else f"{step.seconds:.3f}",
            safe(", ".join(step.errors)),
        )
    return table


def failures(
    *,
    as_json: AsJson = False,
    local: Local = False,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Show failures by reason, with what to do."""
    deployment = chosen(local=local, profile=profile, region=region, stack=stack)
    with messages.status("reading the failure records"):
        groups = failure_groups(deployment)
    if as_json:
        print_json([asdict(group) for group in groups], indent=2)
        return
    if not groups:
        output.print("There are no failures.")
        return
    table = Table(show_lines=True)
    table.add_column("Count", justify="right")
    for column in ("Reason", "Step", "What to do", "For example"):
        table.add_column(column, overflow="fold")
    for group in groups:
        undelivered = "Reported, but nobody was notified: " * (group.lacks is Lacking.DELIVERY)
        table.add_row(
            str(group.count),
            safe(f"{undelivered}{group.reason}"),
            safe(group.steps),
            safe(group.remedy),
            safe(group.example),
        )
    output.print(table)
    if any(group.replay == Replay.REDRIVE for group in groups):
        again = deployment.command("replay", "--all")
        output.print(f"Once the cause is fixed: {again}", soft_wrap=True)


def _colored(status: str) -> Text:
    style = {"SUCCEEDED": "green", "RUNNING": "cyan"}.get(status, "red")
    return Text(status, style=style)


def _show_links(deployment: Deployment, execution_arn: str | None = None) -> None:
    """Where the console shows it; the local cloud has none."""
    if deployment.local:
        return
    region = deployment.state_machine_arn.split(":")[3]
    place = (
        f"executions/details/{execution_arn}"
        if execution_arn
        else f"statemachines/view/{deployment.state_machine_arn}"
    )
    output.print(
        f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/{place}",
        soft_wrap=True,
    )


def _plan_document(plan: Plan) -> dict[str, Any]:
    return {
        "replays": [
            {"execution": item.arn, "how": item.how.value, "why": item.why} for item in plan.replays
        ],
        "left_out": plan.left_out,
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "execution": result.replay.arn,
        "how": result.replay.how.value,
        "replayed_as": result.arn,
        "outcome": result.outcome,
        "succeeded": result.succeeded,
    }
