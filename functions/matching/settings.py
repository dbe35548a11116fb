"""Settings of the functions, out of the variables that the deployment gives them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self, get_type_hints

from functions.matching.identity import compiled_names_from
from functions.matching.subjects import SeveralFaces  # noqa: TC001 - read by get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

#: IndexFaces and SearchFaces calls per second and account; 5 elsewhere
#: (Guidelines and quotas in Amazon Rekognition).
REKOGNITION_QUOTA: Final = {"us-east-1": 50.0, "us-west-2": 50.0, "eu-west-1": 50.0}
OTHER_REGIONS_QUOTA: Final = 5.0
#: DeleteFaces calls per second and account, in every region.
DELETE_FACES_QUOTA: Final = 5.0
#: In a collection, by default and after a higher quota was granted.
FACES_BY_DEFAULT: Final = 10_000_000
FACES_AT_MOST: Final = 20_000_000
#: The part of the default quota at which it is time to do something: docs/collection.md.
NEARLY_FULL: Final = 0.8
#: Seconds between two looks at how many faces the collection holds.
FACES_COUNTED_EVERY: Final = timedelta(hours=1).total_seconds()
#: In the intake queue, while executions are started at the pace.
MESSAGES_KEPT: Final = timedelta(days=10)
#: The part of the quota that uploads use; the rest is for retries, replays and other callers.
#: By measurement: docs/pace.md.
QUOTA_SHARE: Final = 0.96
#: Of a threshold, %. Anything between 0 and 1 is a fraction that somebody took for a percentage.
LOWEST_SIMILARITY: Final = 1
MOST_SIMILAR: Final = 100
#: The texts that `similarity` takes, for services that check a text themselves. A text that only
#: Python reads as a number, such as 1e1, is left out.
SIMILARITY_PATTERN: Final = r"^([1-9][0-9]?(\.[0-9]+)?|100(\.0+)?)$"


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSettings:
    """Each field is the environment variable of the same name in capitals."""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises
        ------
        ValueError
            Naming the variable, when it is missing or not of its type.
        """
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        for setting in fields(cls):
            variable = setting.name.upper()
            text = variables.get(variable)
            if text is None or (not text and not setting.metadata.get("may_be_empty")):
                raise ValueError(
                    f"the environment variable {variable} is missing: deploy the stack again"
                )
            kind = types[setting.name]
            convert = compiled_names_from if kind == re.Pattern[str] else kind
            try:
                values[setting.name] = convert(text)
            except ValueError as error:
                raise ValueError(f"the environment variable {variable}: {error}") from None
        return cls(**values)


@dataclass(frozen=True, kw_only=True, slots=True)
class StarterSettings(FunctionSettings):
    """Of the starters, which share one rate: `starts_per_second`, or the region's if "auto"."""

    images_bucket: str
    image_prefix: str = field(metadata={"may_be_empty": True})
    output_bucket: str
    state_machine_arn: str
    removal_state_machine_arn: str
    starts_per_second: str
    pace_table: str
    collection_id: str
    max_faces: int
    aws_region: str

    @property
    def turns_of_a_removal(self) -> int:
        """How many starts a removal counts for, since DeleteFaces has a quota of its own."""
        return turns_of_a_removal(self.rate)

    @property
    def rate(self) -> float:
        """Starts per second, of all starters together."""
        if self.starts_per_second == "auto":
            return regional_starts_per_second(self.aws_region, self.max_faces)
        return float(self.starts_per_second)


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings(FunctionSettings):
    """Of the index step."""

    collection_id: str
    output_bucket: str
    max_faces: int
    several_faces: SeveralFaces
    quality_filter: str
    names_from: re.Pattern[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalSettings(FunctionSettings):
    """Of the removal step."""

    output_bucket: str
    collection_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSettings(FunctionSettings):
    """Of the search step; the threshold is in %."""

    collection_id: str
    search_threshold: float
    max_matches: int
    names_from: re.Pattern[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSettings(FunctionSettings):
    """Of the report step; `notify_threshold_parameter` names the SSM parameter."""

    output_bucket: str
    search_threshold: float
    notify_threshold_parameter: str
    names_from: re.Pattern[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class NotifySettings(FunctionSettings):
    """Of the notify step."""

    matches_topic_arn: str
    output_bucket: str
    names_from: re.Pattern[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureSettings(FunctionSettings):
    """Of the failure function."""

    output_bucket: str
    names_from: re.Pattern[str]


def regional_starts_per_second(region: str, max_faces: int) -> float:
    """Executions per second that keep a little below Rekognition's default quota."""
    return paced(REKOGNITION_QUOTA.get(region, OTHER_REGIONS_QUOTA), max_faces)


def turns_of_a_removal(rate: float) -> int:
    """How many of so many starts a second a removal counts for: DeleteFaces has its own quota."""
    if math.isinf(rate):
        return 1
    return max(1, math.ceil(rate / paced(DELETE_FACES_QUOTA, 1)))


def paced(quota: float, max_faces: int) -> float:
    """Executions per second that keep a little below a quota of calls per second.

    An image takes one IndexFaces call and one SearchFaces call for each of its faces, each
    operation with a quota of its own.
    """
    return QUOTA_SHARE * quota / max(1, max_faces)


def similarity(text: str, *, lowest: float = LOWEST_SIMILARITY) -> float:
    """Read a similarity in %, as a person writes one.

    Parameters
    ----------
    lowest
        The lowest that is allowed, %.

    Raises
    ------
    ValueError
        When it is not a number from `lowest` to 100. The text gives the right figure for a
        fraction, a percent sign and a comma.
    """
    figure = text.strip()
    written = figure.removesuffix("%").rstrip().replace(",", ".")
    try:
        value = float(written)
    except ValueError:
        value = float("nan")
    allowed = f"give a number from {lowest:g} to {MOST_SIMILAR}, in %"
    if 0 < value < 1:
        percentage = f"{value * 100:.10g}"
        meant = percentage if value * 100 >= lowest else f"{percentage}; {allowed}"
        raise ValueError(f"{figure} is a fraction; give {meant}")
    if not lowest <= value <= MOST_SIMILAR:
        raise ValueError(f"{text!r} is no similarity; {allowed}")
    if written != figure:
        sign = "a percent sign" if "%" in figure else "a comma"
        raise ValueError(f"{figure} has {sign}; give {value:.10g}")
    return value


def notify_threshold(text: str, *, search_threshold: float) -> float:
    """The notify threshold, %, out of the SSM parameter's value.

    Raises
    ------
    ValueError
        When it is not a similarity from `search_threshold` to 100.
    """
    try:
        return similarity(text, lowest=search_threshold)
    except ValueError as error:
        raise ValueError(f"the notify threshold: {error}") from None
