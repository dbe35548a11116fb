"""The command that proposes the notify threshold, and explains it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Unusable
from facematch.text import command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


#: The search threshold's default: what is less similar is in no report.
LOWEST: Final = 80.0
#: The notify threshold's default: below it nothing is proposed that a sample does not show.
UNSHOWN_LOWEST: Final = 99.0
_NOT_REKOGNITION: Final = "THIS SAYS NOTHING ABOUT AMAZON REKOGNITION."
_ON_AWS: Final = f"For a stack on AWS measure first: {command('evaluate', 'DIR', '--aws')}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A threshold, and why.

    Attributes
    ----------
    pairs
        New pairs of faces in a month.
    wanted_rate
        The false match rate at which they make the wanted number of wrong pairs.
    reached
        Whether the wanted number is shown to be kept.
    words
        One sentence after the other.
    """

    threshold: float
    pairs: int
    wanted_rate: float
    reached: bool
    words: tuple[str, ...]


def by_evaluation(document: Mapping[str, Any], *, pairs: int, wrong: float) -> Proposal:
    """By the rates that were measured: the lowest threshold whose interval keeps below."""
    wanted = wrong / pairs
    rows = [row for row in document["thresholds"] if row["threshold"] >= LOWEST]
    shown = [row for row in rows if row["false_match_rate"]["high"] <= wanted]
    seen = [
        row
        for row in rows
        if row["threshold"] >= UNSHOWN_LOWEST
        and row["false_match_rate"]["of"]
        and row["false_match_rate"]["rate"] <= wanted
    ]
    row = (shown or seen or rows[-1:])[0]
    false, threshold = row["false_match_rate"], row["threshold"]
    conditions = document["conditions"]
    local = not conditions["engine"].startswith("Amazon")
    words = [f"{_NOT_REKOGNITION} {_ON_AWS}."] if local else []
    words += [
        f"Measured with {conditions['engine']} (model {conditions['face_model_version']}) on "
        f"{conditions['data_set']}: at {row['threshold']:g} %, {false['count']:,} of "
        f"{false['of']:,} pairs of different people were taken for one."
    ]
    if shown:
        words.append(
            f"The rate is at most {false['high']:.1e} ({conditions['confidence']:.0%} confidence): "
            f"on average at most {false['high'] * pairs:,.1f} wrong pairs a month. Single months "
            "have more."
        )
    else:
        words.append(
            f"But that sample cannot show it: the rate may be as high as {false['high']:.1e}, "
            f"which is {false['high'] * pairs:,.1f} wrong pairs a month. Measure with more "
            f"photographs ({command('evaluate', 'DIR')}), or watch the first months. Below "
            f"{UNSHOWN_LOWEST:g} %, the default, nothing is proposed that is not shown."
        )
        if local and (asked := _asked_by_the_curve(conditions, pairs=pairs, wrong=wrong)):
            curve, sentence = asked
            words.append(sentence)
            threshold = max(threshold, curve)
    at = next((row for row in rows if row["threshold"] >= threshold), rows[-1])
    true = at["true_match_rate"]
    if true["of"]:
        words.append(
            f"Lost at {at['threshold']:.10g} %: {1 - true['rate']:.1%} of the pairs of photographs "
            f"of one person ({1 - true['high']:.1%} to {1 - true['low']:.1%})."
        )
    return Proposal(
        threshold=threshold,
        pairs=pairs,
        wanted_rate=wanted,
        reached=bool(shown),
        words=tuple(words),
    )


def _asked_by_the_curve(
    conditions: Mapping[str, Any], *, pairs: int, wrong: float
) -> tuple[float, str] | None:
    """The threshold by the reference curve, which comes from far more pairs; None of a stranger."""
    from facematch.evaluation.reference import Reference  # noqa: PLC0415

    reference = Reference.read()
    if conditions["face_model_version"] != reference.face_model_version:
        return None
    threshold = by_reference(pairs=pairs, wrong=wrong).threshold
    return threshold, (
        f"By the curve of the same engine on a larger sample ({reference.data_set}; "
        f"{reference.caveat}) it takes {threshold:.10g} %"
        + (
            "."
            if wrong / pairs >= reference.lowest_rate
            else f" at least: there the curve ends, and {reference.lowest_rate * pairs:,.0f} pairs "
            "a month may be wrong."
        )
    )


def by_reference(*, pairs: int, wrong: float) -> Proposal:
    """By the local engine's reference curve, as far as that goes."""
    from facematch.evaluation.reference import Reference  # noqa: PLC0415
    from facematch.local.rekognition.faces import FACE_MODEL_VERSION, similarity  # noqa: PLC0415

    reference = Reference.read()
    wanted = wrong / pairs
    cosine = reference.cosine(wanted)
    asked = (
        math.ceil(similarity(reference.points[-1][0] if cosine is None else cosine) * 1000) / 1000
    )
    words = [
        f"{_NOT_REKOGNITION} It is by the local engine's own curve ({reference.data_set}; "
        f"{reference.caveat}). {_ON_AWS}, then name its evaluation.json with --evaluation."
    ]
    if reference.face_model_version != FACE_MODEL_VERSION:
        words.append(
            f"And the curve is of the model {reference.face_model_version}, while the engine is "
            f"now {FACE_MODEL_VERSION}."
        )
    if cosine is None:
        words.append(
            f"The curve ends at a rate of {reference.lowest_rate:.0e}, where "
            f"{reference.lowest_rate * pairs:,.0f} pairs a month would be wrong. Above the "
            "proposed threshold there are fewer; how many is not known."
        )
    elif asked < LOWEST:
        words.append(
            f"Fewer than {wrong:g} wrong pairs a month are expected at it, on average: they would "
            f"allow {asked:.10g} %, but what is less similar than {LOWEST:g} % is in no report."
        )
    else:
        words.append(
            f"About {wrong:g} wrong pairs a month are expected at it, on average. Single months "
            "have more."
        )
    words.append(f"True matches lost at it are not known; known is: {reference.true_matches}.")
    threshold = max(LOWEST, asked)
    return Proposal(
        threshold=threshold,
        pairs=pairs,
        wanted_rate=wanted,
        reached=wanted >= reference.lowest_rate,
        words=tuple(words),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
        known = document["schema"] == 1 and bool(document["thresholds"])
    except (ValueError, KeyError, TypeError):
        known = False
        document = {}
    if not known:
        raise Unusable(
            f"{path} is no evaluation of this version. Name the evaluation.json that this "
            f"command wrote: {command('evaluate', 'DIR')}"
        )
    return dict(document)
