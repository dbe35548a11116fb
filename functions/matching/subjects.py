"""Which face of a photograph is meant: its key carries one name, and it may show several people."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A sentence for people who see a match of a photograph that shows several people.
SEVERAL_PEOPLE_MEANS: Final = (
    "A photograph of several people is compared by its largest face, which may not be the named "
    "person's. Look at the photograph before you judge the names."
)


class MainSubject(StrEnum):
    """Whether the face that is indexed must be the named person's.

    LARGEST_OF_SEVERAL: the photograph shows another face of similar size, which may be meant.
    UNKNOWN: an earlier version of the workflow, which did not count faces, indexed the photograph.
    """

    SINGLE = "SINGLE"
    LARGEST_OF_SEVERAL = "LARGEST_OF_SEVERAL"
    UNKNOWN = "UNKNOWN"


class SeveralFaces(StrEnum):
    """What becomes of a photograph whose subject is `LARGEST_OF_SEVERAL`."""

    LARGEST = "largest"
    REJECT = "reject"


def prominent_faces(indexed: Sequence[float], others: Sequence[float]) -> int:
    """Count the faces that may be meant: those at least half as wide as the largest.

    The largest is one that was indexed, where one was. A face that is larger, but too blurred to be
    indexed, therefore always counts: the smaller one in its place may be a bystander's.

    Parameters
    ----------
    indexed, others
        Widths of the faces that were indexed, and of those that were only seen: ratios of the
        image's width, or pixels.
    """
    largest = max(indexed or others, default=0.0)
    return sum(2 * width >= largest for width in (*indexed, *others))


def main_subject(prominent: int) -> MainSubject | None:
    """Return the subject of a photograph with this number of prominent faces; None without any."""
    if not prominent:
        return None
    return MainSubject.SINGLE if prominent == 1 else MainSubject.LARGEST_OF_SEVERAL


def subject_of_pair(prominent: int | None, other_prominent: int | None) -> MainSubject:
    """Return the subject of two photographs together: the less certain one of theirs."""
    counts = prominent, other_prominent
    if any(count is not None and count > 1 for count in counts):
        return MainSubject.LARGEST_OF_SEVERAL
    return MainSubject.SINGLE if all(counts) else MainSubject.UNKNOWN


def people_shown(prominent: int) -> str:
    """Return a clause for people, to be told of a photograph with several prominent faces."""
    return f"this photograph shows {prominent} people"
