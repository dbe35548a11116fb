"""The local engine's reference curve: false match rates from a larger sample than most have.

It is about one network on one data set. It says nothing about Amazon Rekognition.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

_DATA: Final = Path(__file__).with_name("reference.json")


@dataclass(frozen=True, slots=True)
class Reference:
    """False match rates by cosine; between two points the logarithm of the rate is a line.

    Attributes
    ----------
    points
        Cosine and rate, the lowest cosine first.
    caveat
        By how much it may be wrong for the engine as it is now, in words.
    true_matches
        In words.
    """

    face_model_version: str
    data_set: str
    source: str
    caveat: str
    points: tuple[tuple[float, float], ...]
    true_matches: str

    @classmethod
    def read(cls) -> Self:
        """The data file beside this module."""
        data = json.loads(_DATA.read_text())
        found = data["true_matches"]
        return cls(
            face_model_version=data["face_model_version"],
            data_set=data["data_set"],
            source=data["source"],
            caveat=data["caveat"],
            points=tuple((point["cosine"], point["rate"]) for point in data["false_matches"]),
            true_matches=f"{found['rate']:.1%} of {found['pairs']:,} standard pairs at a false "
            f"match rate of {found['at_false_match_rate']:g}",
        )

    @property
    def lowest_rate(self) -> float:
        """Below it nothing is known."""
        return self.points[-1][1]

    def rate(self, cosine: float) -> tuple[float, bool]:
        """The false match rate, and whether it is only a bound (the true one is lower)."""
        if cosine > self.points[-1][0]:
            return self.lowest_rate, True
        for (low, high_rate), (high, low_rate) in pairwise(self.points):
            if low <= cosine <= high:
                share = (cosine - low) / (high - low)
                return high_rate * (low_rate / high_rate) ** share, False
        return 1.0, True

    def cosine(self, rate: float) -> float | None:
        """The lowest cosine at which the rate is reached; None when it is not known."""
        for (low, high_rate), (high, low_rate) in pairwise(self.points):
            if low_rate <= rate <= high_rate:
                return low + (high - low) * math.log(rate / high_rate) / math.log(
                    low_rate / high_rate
                )
        return self.points[0][0] if rate > self.points[0][1] else None
