"""facematch decisions: what people decided about pairs of records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, progress, table
from facematch.files.whole import write_whole
from facematch.operations.decisions import (
    decisions_in,
    exported,
    import_decisions,
    read_decisions,
)
from functions.matching.notifications import percent

decisions_app = typer.Typer(
    help="What people decided about pairs of records.", no_args_is_help=True
)


@decisions_app.command("import")
@on_stack
def import_command(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="As the evidence page, or `decisions export`, wrote it.",
        ),
    ],
    *,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Import decisions: those made on the evidence page (JSON, CSV), or an export of all.

    They are written into `decisions/` of the output bucket, one for each pair of records. A pair
    that was decided to be different people notifies nobody any more, until there is stronger
    evidence. Safe to repeat; a newer decision that is there already stays.
    """
    deployment = where.deployment()
    decisions = decisions_in(
        file, stack_name=deployment.stack_name, images_bucket=deployment.images_bucket
    )
    became: Counter[str] = Counter()
    with progress() as bars:
        task = bars.add_task("decisions imported", total=len(decisions))
        for _, what in import_decisions(deployment, decisions):
            became[what] += 1
            bars.advance(task)
    if as_json:
        print_json({"decisions": len(decisions), **became})
        return
    parts = ", ".join(f"{count} {what}" for what, count in became.items())
    output.print(f"{len(decisions)} decisions" + (f": {parts}." if parts else "."))


@decisions_app.command("export")
@on_stack
def export_command(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write them.")],
    *,
    where: Where,
) -> None:
    """Write every decision into FILE as JSON Lines: a backup, or the way to another stack.

    `decisions import` reads it. On another stack, whose object versions are other ones, the keys of
    the photographs tell what the person saw.
    """
    deployment = where.deployment()
    with messages.status("reading the decisions"):
        text = exported(deployment)
    write_whole(file, text, private=True)
    count = text.count("\n")
    output.say(f"{count} {'decision' if count == 1 else 'decisions'} written into {file}.")
    if not deployment.local:
        output.say("The file holds names. Keep it as you keep the photographs.")


@decisions_app.command("list")
@on_stack
def list_command(*, as_json: AsJson = False, where: Where) -> None:
    """Show every decision that was imported, newest first."""
    deployment = where.deployment()
    with messages.status("reading the decisions"):
        found = sorted(read_decisions(deployment).values(), key=lambda d: d.decided_at)[::-1]
    if as_json:
        print_json([decision.to_document() for decision in found], indent=2)
        return
    if not found:
        output.print("No decision has been imported.")
        return
    head = ("Names", "Decision", "By", "Note", "At similarity")
    rows = [
        (
            " / ".join(map(str, decision.identities)),
            decision.decision.replace("_", " ").lower(),
            f"{decision.decided_by}, {decision.decided_at:%Y-%m-%d}",
            decision.note,
            percent(decision.similarity),
        )
        for decision in found
    ]
    output.print(table(head, rows, numbers=head[-1:]))
