"""The plans, one after the other: ``make chaos``, or ``python -m tests.chaos``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from facematch.local.faults import FaultPlan
from tests.chaos import photographs
from tests.chaos.account import Account, Differences, differences
from tests.chaos.run import SETTINGS, NotDrained, Run, injected, local_cloud, run

PLANS = Path(__file__).parent / "plans"
#: What the wait between index and search buys, when a face can be found so late: seconds.
DELAY = PLANS / "apart" / "delay.toml"
SETTLE_SECONDS = (0, 1, 3)
_SHOWN_DIFFERENCES = 20

console = Console(highlight=False, width=150)


@dataclass
class Line:
    """What is printed of a plan; no run when it did not come to rest."""

    plan: FaultPlan
    run: Run | None
    differences: Differences

    @property
    def failed(self) -> bool:
        return bool(self.differences)


def main(arguments: list[str] | None = None) -> int:
    """Run the plans; 1 when one of them lost, doubled or invented something."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=main.__doc__)
    parser.add_argument("--photos", type=Path, help="a folder; without it, photographs are made")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the photographs that are made")
    parser.add_argument("plans", nargs="*", help="names of plans, and 'delay'; all by default")
    options = parser.parse_args(arguments)
    pile = (
        photographs.found(options.photos, options.images)
        if options.photos
        else photographs.made(options.images, options.seed)
    )
    names = options.plans or [*sorted(path.stem for path in PLANS.glob("*.toml")), "delay"]

    console.print(f"{len(pile)} images; a clean run first")
    with local_cloud(None) as (_cloud, deployment):
        clean = run(deployment, pile)
    console.print(_summary(clean))
    itself = differences(clean.account, clean.account)
    _print_differences(itself)
    lines = [
        _line(PLANS / f"{name}.toml", pile, clean.account) for name in names if name != "delay"
    ]
    if lines:
        console.print(_table(lines))
    delayed = _delay(pile, clean.account) if "delay" in names else False
    return int(bool(itself) or delayed or any(each.failed for each in lines))


def _line(path: Path, pile: photographs.Pile, clean: Account) -> Line:
    plan = FaultPlan.read(path)
    console.print(f"[bold]{plan.name}[/bold]: {plan.about}")
    try:
        with local_cloud(path) as (cloud, deployment):
            result = run(deployment, pile, messages=plan.messages, seed=plan.seed)
            result.injected = injected(cloud)
            if again := len(pile) * (plan.messages.copies - 1 + plan.messages.late):
                result.injected["message again"] = again
    except NotDrained as error:
        console.print(f"  {error}")
        return Line(plan, None, Differences(lost=[str(error)]))
    console.print(_summary(result))
    if never := {f"{fault.what} {fault.at}" for fault in plan.faults} - result.injected.keys():
        console.print(
            f"  [yellow]never injected, so not tried: {', '.join(sorted(never))}[/yellow]"
        )
    found = differences(clean, result.account)
    _print_differences(found)
    return Line(plan, result, found)


def _summary(result: Run) -> str:
    made = result.account
    return (
        f"  {sum(map(bool, made.outcomes.values()))} outcomes, {len(made.faces)} faces, "
        f"{len(made.pairs)} pairs, {len(made.told)} of them notified, {result.replayed} replayed, "
        f"{result.injected.total()} faults, {result.seconds:.0f} s"
    )


def _table(lines: list[Line]) -> Table:
    table = Table("Plan", "Images", "Faults injected", title="After each plan and its replays")
    for title in ("Outcomes", "Replayed", "Told again", "Lost", "Doubled", "Invented", "Seconds"):
        table.add_column(title, justify="right")
    for each in lines:
        found, result = each.differences, each.run
        counts = [str(len(part)) for part in (found.lost, found.duplicated, found.invented)]
        if result is None:
            table.add_row(each.plan.name, "", "not at rest in time", "", "", "", *counts, "")
            continue
        made = result.account
        table.add_row(
            each.plan.name,
            str(len(made.outcomes)),
            "\n".join(f"{count:>4} {what}" for what, count in sorted(result.injected.items())),
            str(sum(map(bool, made.outcomes.values()))),
            str(result.replayed),
            str(made.repeated),
            *counts,
            f"{result.seconds:.0f}",
            end_section=True,
        )
    return table


def _print_differences(found: Differences) -> None:
    for number, text in enumerate(found):
        if number == _SHOWN_DIFFERENCES:
            console.print("  and more")
            break
        console.print(f"  [red]{text}[/red]")


def _delay(pile: photographs.Pile, clean: Account) -> bool:
    """What settle_seconds buys; whether a wait longer than the delay missed a pair."""
    plan = FaultPlan.read(DELAY)
    table = Table(
        *("settle_seconds", "Pairs", "Missed", "Share", "Seconds"),
        title=f"A face can be found {plan.findable_after:g} s after it was indexed",
    )
    failed = False
    for settle in SETTLE_SECONDS:
        settings = {**SETTINGS, "settle_seconds": settle}
        with local_cloud(DELAY, settings=settings, wait_scale=1.0) as (_cloud, deployment):
            result = run(deployment, pile)
        missed = len(clean.pairs.keys() - result.account.pairs.keys())
        failed = failed or (settle > plan.findable_after and missed > 0)
        share = f"{missed / len(clean.pairs):.1%}" if clean.pairs else ""
        pairs = str(len(result.account.pairs))
        table.add_row(str(settle), pairs, str(missed), share, f"{result.seconds:.0f}")
    console.print(table)
    return failed


if __name__ == "__main__":
    sys.exit(main())
