"""facematch failures: failures by reason, with what to do."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, safe
from facematch.operations.status import failure_groups
from functions.matching.failures import Lacking, Replay


@on_stack
def failures(
    *,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Show failures by reason, with what to do."""
    deployment = where.deployment()
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
