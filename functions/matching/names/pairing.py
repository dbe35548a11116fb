"""Pairing of the parts of two names, one to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.matching.names.agreement import Match, match
from functions.matching.names.spelling import one_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.matching.names.parts import Part

_LONG_PART: Final = 7
#: Letters by which one word may be shorter than the two words that it stands for.
_SPARED: Final = 3


@dataclass(frozen=True, slots=True)
class Pairing:
    """How the partners agree, and which parts of the shorter and the longer name have none."""

    matches: list[Match]
    left_short: list[Part]
    left_long: list[Part]
    given: tuple[Part, Part]

    @property
    def explained(self) -> bool:
        """Return whether all that differs is one typing error, or initials in one word."""
        if len(self.left_short) != 1:
            return False
        (left,) = self.left_short
        initials = "".join(part.latin[:1] for part in self.left_long)
        if len(initials) > 1 and left.latin == initials:
            return True
        return any(
            _mistyped(left, other) and ((left, other) != self.given or _longer(left, other))
            for other in self.left_long
        )


def pairing(a: Sequence[Part], b: Sequence[Part]) -> Pairing:
    """Return the partners; two words of a name may be one word of the other."""
    found = _paired(a, b)
    if not found.left_short:
        return found
    merged_a = _merged(a, b)
    merged_b = _merged(b, merged_a)
    unchanged = len(merged_a) == len(a) and len(merged_b) == len(b)
    return found if unchanged else _paired(merged_a, merged_b)


def _paired(a: Sequence[Part], b: Sequence[Part]) -> Pairing:
    """Pair the parts that agree best first; each part has at most one partner."""
    short, long = sorted((a, b), key=len)
    graded = sorted(
        (-grade, i, j)
        for i, part in enumerate(short)
        for j, other in enumerate(long)
        if (grade := match(part, other))
    )
    left_short, left_long = dict(enumerate(short)), dict(enumerate(long))
    matches = []
    for minus, i, j in graded:
        if i in left_short and j in left_long:
            del left_short[i], left_long[j]
            matches.append(Match(-minus))
    return Pairing(
        matches, list(left_short.values()), list(left_long.values()), (short[0], long[0])
    )


def _merged(parts: Sequence[Part], others: Sequence[Part]) -> Sequence[Part]:
    """Return the parts; two neighbours are one if the other name writes them together."""
    found: list[Part] = []
    for part in parts:
        both = found[-1].joined(part) if found and found[-1].script == part.script else None
        if both and any(
            len(other.written) >= len(both.written) - _SPARED
            and (match(both, other) >= Match.NAME or _mistyped(both, other))
            for other in others
        ):
            found[-1] = both
        else:
            found.append(part)
    return found


def _mistyped(a: Part, b: Part) -> bool:
    """Return whether two long parts are one letter apart, neither the first nor the last."""
    words = a.latin, b.latin
    return (
        min(map(len, words)) >= _LONG_PART - 1
        and max(map(len, words)) >= _LONG_PART
        and a.script == b.script
        and words[0][0] == words[1][0]
        and words[0][-1] == words[1][-1]
        and (words[0] + words[1]).isalpha()
        and one_apart(*words)
    )


def _longer(a: Part, b: Part) -> bool:
    """Return whether given names are so long that one letter apart is a typing error."""
    return len(a.latin + b.latin) > 2 * _LONG_PART
