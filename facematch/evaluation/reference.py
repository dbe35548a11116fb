"""The local engine's reference curve: false match rates from a larger sample than most have.

It is about one network on one data set. It says nothing about Amazon Rekognition.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from facematch.errors import Unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA: Final = Path(__file__).with_name("reference.json")
#: False matches that a point of the curve rests on, at least.
_SEEN: Final = 10
#: The false match rate near which the true match rate is told.
_USUAL_RATE: Final = 1e-3


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
    def read(cls, file: Path = DATA) -> Self:
        """Read a data file, by default the one beside this module."""
        data = json.loads(file.read_text())
        found = data["true_matches"]
        return cls(
            face_model_version=data["face_model_version"],
            data_set=data["data_set"],
            source=data["source"],
            caveat=data["caveat"],
            points=tuple((point["cosine"], point["rate"]) for point in data["false_matches"]),
            true_matches=f"{found['rate']:.1%} of {found['pairs']:,} {found['kind']} at a "
            f"false match rate of {found['at_false_match_rate']:g}",
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


def data_file(document: Mapping[str, Any]) -> dict[str, Any]:
    """Make the data file of a curve out of an evaluation that measured one.

    Raises
    ------
    Unusable
        When the sample is too small.
    """
    conditions, sample = document["conditions"], document["sample"]
    # Between two points the rate must fall, so the last one of equal rates stands for them.
    points = {
        row["false_match_rate"]["rate"]: row
        for row in document["curve"]
        if row["false_match_rate"]["count"] >= _SEEN
    }
    if len(points) < 2 or not sample["same_person_pairs"]:  # noqa: PLR2004
        raise Unusable(
            f"{conditions['data_set']} is too small for a reference curve. It takes two rates that "
            f"rest on {_SEEN} false matches or more (found: {len(points)}), and two photographs of "
            f"one person; people: {sample['people']:,}, pairs of different people: "
            f"{sample['different_person_pairs']:,}, pairs of one person: "
            f"{sample['same_person_pairs']:,}. Name a folder with more photographs of more people."
        )
    usual = points[min(points, key=lambda rate: abs(math.log(rate / _USUAL_RATE)))]
    last = list(points.values())[-1]["false_match_rate"]
    enrolled = document["photographs"]["enrolled"]
    return {
        "face_model_version": conditions["face_model_version"],
        "data_set": f"{conditions['data_set']}: {enrolled:,} photographs of {sample['people']:,} "
        "people",
        "caveat": f"its lowest rate rests on {last['count']:,} false matches and may lie between "
        f"{last['low']:.0e} and {last['high']:.0e}",
        "photographs": enrolled,
        "people": sample["people"],
        "pairs_of_different_people": sample["different_person_pairs"],
        "source": f"measured by {conditions['command']}",
        "false_matches": [
            {
                "rate": rate,
                "cosine": row["cosine"],
                **{name: row["false_match_rate"][name] for name in ("count", "low", "high")},
            }
            for rate, row in points.items()
        ],
        "true_matches": {
            "rate": usual["true_match_rate"]["rate"],
            "low": usual["true_match_rate"]["low"],
            "high": usual["true_match_rate"]["high"],
            "at_false_match_rate": usual["false_match_rate"]["rate"],
            "pairs": usual["true_match_rate"]["of"],
            "kind": "pairs of one person",
        },
    }
