"""The document in words and rows, for the terminal and for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from facematch.evaluation.measure import SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping


_RATES: Final = (
    *("Threshold, %", "True match rate", "False match rate", "False matches", "Wrong name pairs"),
)


def rate(found: Mapping[str, Any]) -> str:
    """A frequent event, with its interval, %."""
    if not found["of"]:
        return "no pairs"
    return f"{found['rate']:.2%} ({found['low']:.1%} to {found['high']:.1%})"


def seldom(value: float) -> str:
    """A rare event's rate."""
    return f"{value:.1e}" if value else "0"


def beside(found: Mapping[str, Any]) -> str:
    """A rare event, with its interval."""
    if not found["of"]:
        return "no pairs"
    if not found["count"]:
        return f"0 (below {seldom(found['high'])})"
    return f"{seldom(found['rate'])} ({seldom(found['low'])} to {seldom(found['high'])})"


def sentences(document: Mapping[str, Any]) -> list[str]:
    """What must be said with the figures."""
    said = []
    photographs, conditions = document["photographs"], document["conditions"]
    failures = photographs["failure_to_enrol"]
    said.append(
        f"{photographs['enrolled']:,} of {photographs['found']:,} photographs take part. "
        f"{failures['count']:,} have no usable face ({rate(failures)} of those with a name)"
        + (
            ": " + ", ".join(f"{why} {n:,}" for why, n in photographs["refused"].items())
            if photographs["refused"]
            else ""
        )
        + (f". {photographs['unnamed']:,} have no name" if photographs["unnamed"] else "")
        + "."
    )
    if photographs["copies"]:
        said.append(
            f"Copies, byte for byte, of another photograph of the same person: "
            f"{photographs['copies']:,}. They take no part: the same photograph twice is no "
            "evidence."
        )
    if photographs["shared"]:
        said.append(
            f"Photographs that stand, byte for byte, under several people's names: "
            f"{photographs['shared']:,}. Each is one person under two names, which --same can say, "
            "or a wrong label. They count as false matches."
        )
    if conditions.get("max_faces", 1) > 1:
        said.append(
            "With more than one face of each photograph, bystanders carry its name, too: their "
            "pairs are missed, or falsely found, whatever the engine does."
        )
    said.append(
        f"In brackets: {conditions['confidence']:.0%} confidence intervals that respect that pairs "
        "share people (Wilson's, with the variance between people: Fogliato, Patil, Perona, 2024)."
    )
    said.append(
        "Wrong pairs to expect: n faces make n x (n - 1) / 2 pairs. Each face is taken to have a "
        "name of its own (with several photographs of a name, fewer pairs of names are wrong), and "
        "the people to be as alike as here. Where this sample has no false match, the upper end of "
        "the interval stands."
    )
    if any(entry["reference"] for entry in document["expected"]):
        said.append(
            f"The reference curve is this engine's on another sample: {conditions['reference']}."
        )
    if not conditions["engine"].startswith("Amazon"):
        said.append(
            "These similarities are the local engine's. They say nothing about Amazon Rekognition: "
            "measure that with --aws."
        )
    return said + list(document["warnings"])


def threshold_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the main table."""
    head = list(_RATES)
    two_names = bool(document["sample"]["same_person_name_pairs"])
    if two_names:
        head += ["Missed name pairs", "False if names were people"]
    rows = []
    for row in document["thresholds"]:
        if row["threshold"] not in SHOWN:
            continue
        cells = _rates(row)
        if two_names:
            cells += [
                f"{row['missed_name_pairs']:,} of {document['sample']['same_person_name_pairs']:,}",
                f"{row['false_as_named']['count']:,}",
            ]
        rows.append(cells)
    return head, rows


def single_subject_title(document: Mapping[str, Any]) -> str:
    """Return the title of the table of rates without photographs of several people."""
    without = document["single_subject"]
    return (
        f"Without the {without['photographs_of_several']:,} photographs of several people: "
        f"{without['faces']:,} faces, {without['same_person_pairs']:,} pairs of one person, "
        f"{without['different_person_pairs']:,} of different people"
    )


def single_subject_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the rates without photographs of several people."""
    shown = (row for row in document["single_subject"]["thresholds"] if row["threshold"] in SHOWN)
    return list(_RATES), [_rates(row) for row in shown]


def _rates(row: Mapping[str, Any]) -> list[str]:
    """Return the cells below `_RATES`."""
    return [
        f"{row['threshold']:g}",
        rate(row["true_match_rate"]),
        beside(row["false_match_rate"]),
        f"{row['false_match_rate']['count']:,}",
        f"{row['wrong_name_pairs']:,}",
    ]


def best_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the thresholds for wanted false match rates."""
    return (
        ["Wanted", "Threshold, %", "True match rate", "False match rate here", "Remark"],
        [
            [
                seldom(row["wanted"]),
                f"{row['threshold']:g}",
                rate(row["true_match_rate"]),
                beside(row["false_match_rate"]),
                row["remark"],
            ]
            for row in document["best_thresholds"]
        ],
    )


def group_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the rates by group."""
    return (
        [
            "Group",
            "People",
            "No usable face",
            "Threshold, %",
            "True match rate",
            "False match rate within",
        ],
        [
            [
                group["group"],
                f"{group['people']:,}",
                rate(group["failure_to_enrol"]),
                f"{row['threshold']:g}",
                rate(row["true_match_rate"]),
                beside(row["false_match_rate"]),
            ]
            for group in document["groups"]["groups"]
            for row in group["thresholds"]
            if row["threshold"] in SHOWN
        ],
    )


def expected_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of what is foretold for larger piles."""
    head = ["Faces", "Threshold, %", "Pairs", "Wrong name pairs, by this sample"]
    known = any(entry["reference"] for entry in document["expected"])
    if known:
        head.append("by the reference curve")
    rows = []
    for entry in document["expected"]:
        bounds = f"{number(entry['low'])} to {number(entry['high'])}"
        cells = [
            f"{entry['faces']:,}",
            f"{entry['threshold']:g}",
            f"{entry['pairs']:,}",
            f"at most {number(entry['high'])}"
            if entry["measured"] is None
            else f"{number(entry['measured'])} ({bounds})",
        ]
        if known:
            reference = entry["reference"]
            cells.append(
                ("at most " if reference["at_most"] else "") + number(reference["wrong"])
                if reference
                else ""
            )
        rows.append(cells)
    return head, rows


def number(value: float) -> str:
    """An expected number of things, to two figures."""
    two = float(f"{value:.2g}")
    return f"{two:,.0f}" if two >= 10 else f"{two:g}"  # noqa: PLR2004
