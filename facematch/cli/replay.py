"""facematch replay: redrive or restart what ended badly."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from facematch.cli.exit_status import ExitStatus
from facematch.cli.options import AsJson, Since, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, progress, safe, table
from facematch.errors import Unusable
from facematch.operations.replay import (
    Plan,
    Replayer,
    Result,
    Selection,
    by_way,
    moment,
)
from facematch.stack.queues import DeadLetters

_ROWS: Final = 50


@on_stack
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
    where: Where,
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
    deployment = where.deployment()
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
        raise typer.Exit(ExitStatus.FAILED)


def _show_plan(plan: Plan) -> None:
    if plan.replays:
        rows = [
            (item.how.value, item.arn.rpartition(":")[2], item.why) for item in plan.replays[:_ROWS]
        ]
        title = f"{len(plan.replays)} executions"
        output.print(table(("How", "Execution", "Why"), rows, title=title))
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
        listed = [
            {"message_id": each.message_id, "body": each.body, "received": each.received}
            for each in shown
        ]
        print_json({"dead_letters": count, "shown": listed, "moved": moved})
        return
    if not shown:
        output.print("There are no dead letters.")
        return
    for letter in shown:
        output.say(f"{letter.message_id}  {letter.body[:300]}")
    output.print(
        f"{count} dead letters."
        if dry_run
        else f"{moved} dead letters were sent through the queue again. One that still cannot be "
        "understood will be back here."
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
