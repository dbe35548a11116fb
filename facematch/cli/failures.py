"""facematch failures: failures by reason, with what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from facematch.cli.empty import show_if_no_photographs
from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, table
from facematch.operations.failures import failure_groups
from functions.matching.failures import Lacking, Replay

#: Objects of a group that are printed; --json has all of them.
_PRINTED: Final = 10


@on_stack
def failures(*, as_json: AsJson = False, where: Where) -> None:
    """Show failures by reason, with what to do."""
    deployment = where.deployment()
    with messages.status("asking Athena"):
        groups = failure_groups(deployment)
    if as_json:
        print_json([asdict(group) for group in groups], indent=2)
        return
    if not groups:
        output.print("There are no failures.")
        show_if_no_photographs(deployment)
        return
    head = ("Count", "Reason", "Step", "What to do", "Objects")
    undelivered = {Lacking.DELIVERY: "Reported, but nobody was notified: "}
    rows = [
        (
            str(group.count),
            f"{undelivered.get(group.lacks, '')}{group.reason}",
            group.steps,
            group.remedy,
            _listed(group.keys),
        )
        for group in groups
    ]
    output.print(table(head, rows, numbers=head[:1], show_lines=True))
    if any(group.replay == Replay.REDRIVE for group in groups):
        again = deployment.command("replay", "--all")
        output.say(f"Once the cause is fixed: {again}")


def _listed(keys: tuple[str, ...]) -> str:
    more = len(keys) - _PRINTED
    return "\n".join([*keys[:_PRINTED], *([f"and {more:,} more: see --json"] if more > 0 else [])])
