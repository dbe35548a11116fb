"""facematch status: what waits, runs, has finished and has failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from facematch.cli.empty import show_if_no_photographs
from facematch.cli.links import show_links
from facematch.cli.options import AsJson, Since, Where, on_stack
from facematch.cli.terminal import TELL_SECONDS, duration, messages, output, print_json
from facematch.errors import Unusable
from facematch.operations.replay import moment
from facematch.operations.status import StackStatus, stack_status
from facematch.stack.records import rest_after
from functions.matching.reports import Outcome
from functions.matching.settings import FACES_BY_DEFAULT, NEARLY_FULL

_REFRESH_SECONDS: Final = 2
_NOT_KNOWN: Final = "not known: rights missing"
#: The part of the default quota at which it is time to ask for a higher one.


@on_stack
def status(
    *,
    since: Since = "1d",
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Show what waits, runs, has finished and has failed.

    Without a terminal, --watch prints a line on standard error now and then.
    """
    if watch and as_json:
        raise Unusable("Choose one of --watch and --json.")
    deployment = where.deployment()

    def now(before: StackStatus | None = None) -> StackStatus:
        start = moment(since or "1d", now=datetime.now(UTC))
        return stack_status(deployment, since=start, before=before)

    why, letters = deployment.command("failures"), deployment.command("replay", "--dead-letters")
    troubles = [] if deployment.kept_in is None else local_troubles(deployment.kept_in)
    if as_json:
        found = now()
        print_json(
            {
                **asdict(found),
                "since": found.since.isoformat(),
                "counted_at": found.counted_at and found.counted_at.isoformat(),
                "queue_seconds": found.queue_seconds,
                "faces_by_default": FACES_BY_DEFAULT,
                "troubles": troubles,
            }
        )
    elif watch and not output.is_terminal:
        for found in _looks(now, TELL_SECONDS):
            messages.say(_line(found))
    elif watch:
        with Live(console=output, auto_refresh=False) as live:
            for found in _looks(now, _REFRESH_SECONDS):
                live.update(_status_table(found, why, letters), refresh=True)
    else:
        found = now()
        output.print(_status_table(found, why, letters))
        if found.is_empty:
            show_if_no_photographs(deployment)
        for trouble in troubles:
            output.say(trouble, "red")
        show_links(deployment)


def _looks(
    look: Callable[[StackStatus | None], StackStatus], pause: float
) -> Iterator[StackStatus]:
    """Look again and again, after a pause that is longer when a look takes long."""
    found = None
    while True:
        began = time.monotonic()
        found = look(found)
        yield found
        time.sleep(max(pause, rest_after(time.monotonic() - began)))


def _line(found: StackStatus) -> str:
    """Return the counts on one line, for a log."""
    counts = {
        "waiting": found.waiting + found.in_flight,
        "running": found.running,
        "finished": sum(found.finished.values()),
        "failed": sum(found.failed.values()),
        "dead letters": found.dead_letters,
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {told}"


def local_troubles(folder: Path) -> list[str]:
    """What a person should know of the local cloud in the folder: its disk, and what failed."""
    from facematch.local.free_space import shortage  # noqa: PLC0415
    from facematch.local.state_folder import StateFolder  # noqa: PLC0415 - what is on AWS needs none of it

    full = shortage(folder)
    return [
        *([f"{full}. Free up space."] if full else []),
        *(event.told for event in StateFolder(folder).events.since_start() if event.is_trouble),
    ]


def _status_table(found: StackStatus, why: str, letters: str) -> Table:
    table = Table(show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    age = ""
    if found.oldest_seconds:
        age = f", the oldest for {timedelta(seconds=round(found.oldest_seconds))}"
    table.add_row("In the queue", f"{found.waiting} waiting, {found.in_flight} in flight{age}")
    if found.queue_seconds and found.pace:
        table.add_row("", f"empty in {duration(found.queue_seconds)}, at {found.pace:.3g} a second")
    table.add_row("Dead letters", _count(found.dead_letters, letters))
    table.add_row("Running", f"{found.running}{_more(found, 'running')} executions")
    over = "last minute" if found.counted_at is None else "5 minutes, up to a minute ago"
    table.add_row("Rate", f"{found.started_per_second:.1f} executions a second ({over})")
    table.add_section()
    table.add_row("Faces", _faces(found.faces))
    for told in _unconfirmed(found.unconfirmed):
        table.add_row("Not confirmed", told)
    table.add_section()
    _add_outcomes(table, found)
    if found.failed or found.undelivered:
        table.add_row("", f"what to do: {why}")
    return table


def _add_outcomes(table: Table, found: StackStatus) -> None:
    since = f"{found.since:%Y-%m-%d %H:%M} UTC"
    table.add_row("Outcomes since", since)
    if found.counted_at:
        table.add_row("", "as CloudWatch counts them, a few minutes behind")
    for name, count in sorted(found.finished.items()):
        table.add_row(f"  {name}", str(count))
        if name == Outcome.NO_FACE:
            for reason, those in sorted((found.no_face or {}).items()):
                table.add_row(f"    {reason}", str(those))
    if found.failed or found.undelivered:
        table.add_row("Failures", f"of uploads since {found.since.astimezone(UTC):%Y-%m-%d} UTC")
    for reason, count in sorted(found.failed.items()):
        table.add_row(f"  {reason}", Text(f"{count}{_more(found, 'failed')}", style="red"))
    for reason, count in sorted(found.undelivered.items()):
        told = Text(f"{count}{_more(found, 'undelivered')}", style="red")
        table.add_row(f"  matched, nobody notified: {reason}", told)


def _more(found: StackStatus, what: str) -> str:
    return " or more" if what in found.at_least else ""


def _faces(count: int | None) -> str | Text:
    if count is None:
        return _NOT_KNOWN
    told = f"{count:,} of {FACES_BY_DEFAULT:,}, or of the account's higher quota"
    return Text(told, "red" if count >= NEARLY_FULL * FACES_BY_DEFAULT else "")


def _unconfirmed(found: dict[str, list[str]] | None) -> list[str | Text]:
    if found is None:
        return [_NOT_KNOWN]
    return [
        Text(f"{address} gets no {topic}: open the link in AWS's mail", "red")
        for topic, addresses in found.items()
        for address in addresses
    ]


def _count(number: int, remedy: str) -> str:
    return f"{number}" + (f"   see: {remedy}" if number else "")
