"""What people see: tables, progress bars, errors. Names come from outside: printed safely."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from facematch.errors import Actionable
from functions.matching.notifications import percent, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.segment import Segment

    from facematch.matches import NamePair


class _Terminal(Console):
    """A console on which no text has an effect: no control character, no markup, no emoji code."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render; whatever a text holds, only the console itself controls the terminal."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))


#: Results go to standard output, everything about the way there to standard error.
output: Final = _Terminal()
messages: Final = _Terminal(stderr=True)

#: What to do about a report that leaves names out; the command follows.
SEARCH_AGAIN: Final = (
    "Deploy with a larger max_matches or search_threshold, or remove copies of one photograph. "
    "Then search again:"
)

#: Without a terminal there is no width to fit, and a cut key is no use in a file.
_WIDTH_WITHOUT_TERMINAL: Final = 160


class _Rate(ProgressColumn):
    """How many in a second."""

    def render(self, task: Task) -> Text:
        """Show it."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress bars with a count, a rate and the time left."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=messages,
    ) as bars:
        yield bars


def visible(text: str) -> str:
    """What the file system or a shell gave us; a byte that is not UTF-8 is shown as its number."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def shown(text: str) -> str:
    """The text without anything that controls a terminal; its lines stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def safe(text: str, style: str = "") -> Text:
    """A text from outside, on one line."""
    return Text(printable(text), style=style)


def pairs_table(pairs: Sequence[NamePair], *, title: str | None = None) -> Table:
    """Who matches whom: two lines a pair, each a name and the photograph of the best pair."""
    table = Table(title=title, title_justify="left")
    table.add_column("Similarity", justify="right", no_wrap=True)
    table.add_column("Names", overflow="fold")
    table.add_column("Best pair of photographs", overflow="fold", style="dim")
    table.add_column("Pairs", justify="right", no_wrap=True)
    decided = any(pair.decided_by for pair in pairs)
    if decided:
        table.add_column("Decided", overflow="fold")
    for pair in pairs:
        table.add_row(
            percent(pair.similarity),
            Text("\n").join([safe(pair.name_a), safe(pair.name_b)]),
            Text("\n").join([safe(pair.key_a), safe(pair.key_b)]),
            str(pair.image_pairs),
            *([_decided(pair)] if decided else []),
            end_section=True,
        )
    return table


def _decided(pair: NamePair) -> Text:
    if not pair.decided_by:
        return Text()
    words = [pair.standing, *pair.why]
    lines = [", ".join(word.replace("_", " ").lower() for word in words)]
    lines.append(f"{pair.decided_by}, {(pair.decided_at or '')[:10]}")
    lines += [pair.note] if pair.note else []
    return Text("\n").join([safe(line) for line in lines])


def json_text(
    document: object, *, indent: int | None = None, default: Callable[[Any], object] | None = None
) -> str:
    """Return a document in JSON as its standard has it, without a character that is not ASCII.

    Raises
    ------
    Actionable
        When a number has grown infinite: JSON has no word for that.
    """
    try:
        text = json.dumps(document, indent=indent, default=default, allow_nan=False)
    except ValueError:
        raise Actionable(
            "A number of the result is too large for --json. Give the command smaller ones, or "
            "leave --json out."
        ) from None
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON takes as it is


def print_json(
    document: object, *, indent: int | None = None, default: Callable[[Any], object] | None = None
) -> None:
    """Print a document for programs, as `json_text` has it."""
    print(json_text(document, indent=indent, default=default))


def fail(text: str, code: int) -> None:
    """Print the error and end with an exit code that scripts can use."""
    messages.print(Text("Error: ", style="bold red").append(text, style="default"), soft_wrap=True)
    sys.exit(code)


if not output.is_terminal:
    output.width = _WIDTH_WITHOUT_TERMINAL
if not messages.is_terminal:
    messages.width = _WIDTH_WITHOUT_TERMINAL
