"""Where in the output bucket each kind of object lies, and what forgetting a person does there."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Place(StrEnum):
    """A prefix of the output bucket; every object in the bucket lies below one."""

    REPORTS = "reports/"
    MATCHES = "matches/"
    LOOK_ALIKES = "look_alikes/"
    FAILURES = "failures/"
    DELIVERY_FAILURES = "delivery_failures/"
    DECISIONS = "decisions/"
    REGISTERS = "indexed/"
    QUERY_RESULTS = "athena-results/"
    INVENTORIES = "inventory/"
    BACKFILL_RESULTS = "backfill/"
    FORGOTTEN = "forgotten/"

    @property
    def kind(self) -> str:
        """Of the records there: the name of their table."""
        return self.removesuffix("/")


#: Here each record says whom it is about, so that only those about a person are deleted, and what
#: others say of them is taken out.
_READ_ONE_BY_ONE: Final = frozenset(
    {
        *(Place.REPORTS, Place.MATCHES, Place.LOOK_ALIKES, Place.FAILURES),
        *(Place.DELIVERY_FAILURES, Place.DECISIONS, Place.REGISTERS),
    }
)
#: Counts without a key, and the lines that say when somebody was forgotten, and not who.
_NAMES_NOBODY: Final = frozenset({Place.BACKFILL_RESULTS, Place.FORGOTTEN})
#: All that lies here is deleted with any person: a new place is among these unless it is named
#: above.
MAY_NAME_ANYBODY: Final = tuple(
    place for place in Place if place not in _READ_ONE_BY_ONE | _NAMES_NOBODY
)
