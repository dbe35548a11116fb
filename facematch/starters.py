"""How many starters a template has, which may depend on the region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from functions.matching.settings import OTHER_REGIONS_QUOTA, paced

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Starters:
    """At a time: where Rekognition's default quota is high, and elsewhere."""

    fast: int
    elsewhere: int

    @classmethod
    def of_source(cls, source: Mapping[str, Any]) -> Self:
        """Read them out of the properties of the event source that calls the starter."""
        found = source["ScalingConfig"]["MaximumConcurrency"]
        if isinstance(found, dict):
            _, fast, elsewhere = found["Fn::If"]
            return cls(int(fast), int(elsewhere))
        return cls(found, found)

    def at(self, rate: float, max_faces: int) -> int:
        """Where so many executions are started in a second."""
        return self.elsewhere if rate <= paced(OTHER_REGIONS_QUOTA, max_faces) else self.fast
