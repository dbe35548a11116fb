"""How the names of two records relate, in words; which pairs a person should look at first."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Relation(StrEnum):
    """How two names relate; a name is not a person, and nothing is silenced by it."""

    SAME_NAME = "SAME_NAME"
    VARIANT = "VARIANT"
    SHARED_PART = "SHARED_PART"
    UNRELATED = "UNRELATED"
    UNKNOWN = "UNKNOWN"


#: In the order in which a person should look at pairs. It ranks them, and decides nothing: fraud
#: uses two spellings of one name, too.
RELATIONS: Final = {
    Relation.UNRELATED: "unrelated names",
    Relation.SAME_NAME: "the same name",
    Relation.SHARED_PART: "names with a part in common",
    Relation.UNKNOWN: "names that cannot be compared",
    Relation.VARIANT: "two spellings of one name",
}


def known(relation: str | None) -> Relation:
    """Return the relation; UNKNOWN for a record of an earlier version, which has none."""
    return Relation(relation) if relation else Relation.UNKNOWN
