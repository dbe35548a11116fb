"""What all starters together do no more often than allowed: starts, and looks at the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class FreeSlots(Protocol):
    """Slots that all starters share. Each goes to the first starter that finds it free."""

    def take_free(self, now: float, interval: float) -> bool:
        """Take the slot at `now` if nobody has taken one in the `interval` before, in seconds."""


class StartSlots(Protocol):
    """What all starters share: moments to start at, each given away once."""

    def take(self, now: float, interval: float) -> float:
        """The caller's slot, at `now` or later; the next one's is `interval` after it.

        All three are in seconds; the times are of the wall clock, since 1970.
        """


class Pace:
    """Spaces calls evenly, however many starters run and however long each of them lives.

    Evenly, and not as a bucket of tokens: a burst would only be throttled two steps later. And
    out of one line, not with a share for each: a starter that runs alone may use the whole rate,
    and one that Lambda has just made knows of the calls before it.

    Parameters
    ----------
    per_second
        Calls in a second, of all starters; infinity on the local cloud, which has no quota.
    clock, sleep
        Seconds.
    """

    def __init__(
        self,
        per_second: float,
        slots: StartSlots,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._interval = 1.0 / per_second
        self._slots = slots
        self._clock = clock
        self._sleep = sleep

    def wait(self, slots: int = 1) -> None:
        """Return when the next call may be made.

        Parameters
        ----------
        slots
            How many of the others it counts for.
        """
        if not self._interval:
            return
        slot = self._slots.take(self._clock(), slots * self._interval)
        left = slot - self._clock()
        if left > 0:
            self._sleep(left)


class Occasion:
    """Comes up once in an interval, for one of all starters.

    A starter remembers when it has asked, so that it asks the others once in an interval too.

    Parameters
    ----------
    interval
        Seconds.
    clock
        Seconds.
    """

    def __init__(self, interval: float, slots: FreeSlots, *, clock: Callable[[], float]) -> None:
        self._interval = interval
        self._slots = slots
        self._clock = clock
        self._asked_until = 0.0

    def is_now(self) -> bool:
        """Return True for the one caller that the occasion is for."""
        now = self._clock()
        if now < self._asked_until:
            return False
        self._asked_until = now + self._interval
        return self._slots.take_free(now, self._interval)
