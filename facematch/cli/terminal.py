"""What people see: tables, progress bars, errors. Names come from outside: printed safely."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.status import Status
from rich.table import Table
from rich.text import Text

from facematch.errors import Actionable
from facematch.files.photographs import LeftOut, left_out_words
from facematch.operations import names as read_names
from facematch.text import shown
from functions.matching.notifications import printable


def show_left_out(left_out: Mapping[Path, LeftOut]) -> None:
    """Print what is left out, and why."""
    for words in left_out_words(left_out):
        messages.say(f"Left out: {words}.")


def show_names(found: read_names.NamesRead, remedy: str) -> None:
    """Print how names were read and, where that is doubtful, what to do."""
    for text in read_names.words(found, remedy):
        messages.say(text)


#: Between two lines about a wait that no terminal shows moving, seconds.
TELL_SECONDS: Final = 10.0


class _Teller:
    """Prints lines about a wait now and then, from a thread, until it is stopped.

    Parameters
    ----------
    lines
        What there is to tell, given the seconds that the wait has taken so far.
    """

    def __init__(self, lines: Callable[[float], Iterable[str]]) -> None:
        self._lines = lines
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Tell no more."""
        self._stopped.set()

    def _tell(self) -> None:
        began = time.monotonic()
        while not self._stopped.wait(TELL_SECONDS):
            for line in self._lines(time.monotonic() - began):
                messages.say(line)


class _Status(Status):
    """A spinner with a text; where no terminal shows it, a line now and then."""

    def start(self) -> None:
        """Begin to show or to tell it."""
        super().start()
        self._teller = _Teller(lambda seconds: [f"{self.status}: {duration(seconds)} so far"])
        if not self.console.is_terminal:
            self._teller.start()

    def stop(self) -> None:
        """End it."""
        super().stop()
        self._teller.stop()


class _Terminal(Console):
    """A console on which no text has an effect: no control character, no markup, no emoji code."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def say(self, text: str, style: str = "") -> None:
        """Print a text from outside on one line, however narrow the console is."""
        self.print(safe(text, style), soft_wrap=True)

    def status(self, status: RenderableType, **options: Any) -> _Status:
        """Show that something takes time, as a context manager around it."""
        return _Status(status, console=self, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render; whatever a text holds, only the console itself controls the terminal."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))


#: Results go to standard output, everything about the way there to standard error.
output: Final = _Terminal()
messages: Final = _Terminal(stderr=True)
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
    """Show progress bars with a count, a rate and the time left.

    Where no terminal shows them, a line about each is printed now and then.
    """
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=messages,
    )

    def lines(_seconds: float) -> Iterable[str]:
        return [_told(task) for task in bars.tasks if not task.finished]

    teller = _Teller(lines)
    with bars:
        if not messages.is_terminal:
            teller.start()
        try:
            yield bars
        finally:
            teller.stop()


def _told(task: Task) -> str:
    """Return how far a task is, and the time left when the total is known."""
    done = f"{task.description}: {task.completed:,.0f}"
    if task.total is None:
        return done
    left = f", {duration(task.time_remaining)} left" if task.time_remaining else ""
    return f"{done} of {task.total:,.0f}{left}"


class Listings:
    """Shows on progress bars how much of each kind has been listed, one kind after the other.

    The first kind has no total. Each later kind is expected to be as large as the largest so far.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._most = 0.0

    def __call__(self, what: str, more: int) -> None:
        """Add to the number of things of this kind that have been listed."""
        if what not in self._tasks:
            for done in self._bars.tasks:
                self._most = max(self._most, done.completed)
                self._bars.update(done.id, total=done.completed)
            self._tasks[what] = self._bars.add_task(what, total=self._most or None)
        self._bars.advance(self._tasks[what], more)
        task = next(task for task in self._bars.tasks if task.id == self._tasks[what])
        if task.total is not None and task.completed > task.total:
            self._bars.update(task.id, total=None)


def duration(seconds: float) -> str:
    """A time span, for people: 12 s, 4 min, 3.5 h, 12 days."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{max(1, round(seconds))} s"


def safe(text: str, style: str = "") -> Text:
    """A text from outside, on one line."""
    return Text(printable(text), style=style)


def table(
    head: Collection[str],
    rows: Iterable[Iterable[str | Text]],
    *,
    numbers: Collection[str] = (),
    title: str | None = None,
    show_lines: bool = False,
) -> Table:
    """A table whose cells may come from outside, and fold within their columns.

    Parameters
    ----------
    numbers
        Columns that end at the right, and do not fold.
    """
    made = Table(title=title and safe(title), title_justify="left", show_lines=show_lines)
    for name in head:
        if name in numbers:
            made.add_column(safe(name), justify="right", no_wrap=True)
        else:
            made.add_column(safe(name), overflow="fold")
    for row in rows:
        made.add_row(*(safe(cell) if isinstance(cell, str) else cell for cell in row))
    return made


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
