"""What happened to a local cloud, and when: its starts, what ended by itself, why it ended.

Kept in a file, so that it can still be read after the end, and by other processes.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from facematch.files.whole import write_whole

if TYPE_CHECKING:
    from pathlib import Path

_KEPT: Final = 200


class Kind(StrEnum):
    """What an event means for the local cloud."""

    START = "START"
    NEWS = "NEWS"
    TROUBLE = "TROUBLE"
    END = "END"
    #: It ended, and not because somebody asked it to.
    FAILURE = "FAILURE"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the local cloud.

    Attributes
    ----------
    at
        Moment, UTC, in ISO 8601.
    what
        A sentence.
    """

    at: str
    what: str
    kind: Kind

    @property
    def is_trouble(self) -> bool:
        """Whether a person should know of it."""
        return self.kind in {Kind.TROUBLE, Kind.FAILURE}

    @property
    def is_end(self) -> bool:
        """Whether the local cloud ended with it."""
        return self.kind in {Kind.END, Kind.FAILURE}

    @property
    def told(self) -> str:
        """A line for a person."""
        return f"{datetime.fromisoformat(self.at):%Y-%m-%d %H:%M:%S} UTC  {self.what}"


class Events:
    """The events of one local cloud, in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def begin(self, what: str) -> None:
        """Note that a start begins, and forget the oldest events."""
        kept = self._all()[-_KEPT:]
        lines = [json.dumps(asdict(event)) + "\n" for event in kept]
        with contextlib.suppress(OSError):  # as in `note`
            write_whole(self.file, "".join(lines))
        self.note(what, Kind.START)

    def note(self, what: str, kind: Kind = Kind.NEWS) -> None:
        """Note an event. On a full disk it may be lost, which must not make things worse."""
        event = Event(datetime.now(UTC).isoformat(timespec="seconds"), what, kind)
        with contextlib.suppress(OSError), self.file.open("a") as file:
            file.write(json.dumps(asdict(event)) + "\n")

    def forget(self) -> None:
        """Delete all events."""
        self.file.unlink(missing_ok=True)

    def since_start(self) -> list[Event]:
        """The events of the last start and after it, oldest first."""
        events = self._all()
        starts = [number for number, event in enumerate(events) if event.kind is Kind.START]
        return events[starts[-1] :] if starts else events

    def _all(self) -> list[Event]:
        try:
            lines = self.file.read_text().splitlines()
        except OSError:
            return []
        events = []
        for line in lines:
            with contextlib.suppress(
                ValueError, TypeError, KeyError
            ):  # cut off when a disk was full
                found = json.loads(line)
                events.append(Event(**{**found, "kind": Kind(found["kind"])}))
        return events
