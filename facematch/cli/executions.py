"""facematch executions: list them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from facematch.cli.empty import show_if_no_photographs
from facematch.cli.links import colored
from facematch.cli.options import AsJson, Since, Where, on_stack
from facematch.cli.terminal import output, print_json, table
from facematch.errors import Unusable
from facematch.operations.replay import moment
from facematch.stack.executions import STATUSES, Executions


@on_stack
def executions(
    *,
    status: Annotated[str | None, typer.Option(help=", ".join(STATUSES))] = None,
    since: Since = None,
    name: Annotated[str | None, typer.Option(help="A part of the execution's name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most executions to list.")] = 100,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """List executions, newest first within each status."""
    if status and status.upper() not in STATUSES:
        raise Unusable(f"{status!r} is no status. Choose one of {', '.join(STATUSES)}.")
    deployment = where.deployment()
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
    rows = [
        (
            colored(item.status),
            f"{item.started.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            f"{(item.stopped - item.started).total_seconds():.1f}" if item.stopped else "",
            str(item.redrives or ""),
            item.name,
        )
        for item in found
    ]
    output.print(table(("Status", "Started (UTC)", "Seconds", "Redrives", "Name"), rows))
    output.print(
        f"{len(found)} executions"
        + (" (there may be more: --limit)." if len(found) == limit else ".")
    )
    if not found:
        show_if_no_photographs(deployment)
