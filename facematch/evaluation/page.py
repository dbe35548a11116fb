"""The page: tables, plot and the hardest pairs, in one HTML file without a script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.evaluation.wording import (
    best_rows,
    expected_rows,
    group_rows,
    sentences,
    single_subject_rows,
    single_subject_title,
    threshold_rows,
)
from functions.matching.notifications import percent, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STYLE: Final = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def rendered(
    document: Mapping[str, Any], pictures: Mapping[int, str], plots: Mapping[str, str]
) -> str:
    """The page for an evaluation.

    Parameters
    ----------
    pictures
        Files of faces beside the page, by the number of the face.
    plots
        Files of the plot, by theme (light, dark).
    """
    conditions, sample = document["conditions"], document["sample"]
    people = document["people"]
    body = [
        "<h1>How accurate is it?</h1>",
        f'<p class="soft">{_text(conditions["data_set"])}; {_text(conditions["engine"])}, model '
        f"{_text(conditions['face_model_version'])}; {_text(conditions['date'])}</p>",
        '<p class="notice"><strong>This folder holds biometric data</strong>: faces and names of '
        "people. Only its owner can read it. Pass it on as you would the photographs, and delete "
        "it when you are done.</p>",
        "<dl>",
        *(
            f"<div><dt>{words}</dt><dd>{sample[key]:,}</dd></div>"
            for key, words in (
                ("faces", "faces"),
                ("people", "people"),
                ("same_person_pairs", "pairs of one person"),
                ("different_person_pairs", "pairs of different people"),
            )
        ),
        "</dl>",
        *(f"<p>{_text(sentence)}</p>" for sentence in sentences(document)),
        "<h2>At each threshold</h2>",
        '<picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{_text(plots["dark"])}"><img class="plot" src="{_text(plots["light"])}" '
        'alt="True and false match rates at each threshold, as in the table below"></picture>',
        _table(*threshold_rows(document)),
        *_single_subject(document),
        "<h2>The threshold for a wanted false match rate</h2>",
        _table(*best_rows(document)),
        "<h2>What an analyst sees</h2>",
        _table(*expected_rows(document)),
        *_groups(document),
        "<h2>Different people, most similar first</h2>",
        _pairs(people["most_similar_different"], pictures),
        "<h2>The same person, least similar first</h2>",
        _pairs(people["least_similar_same"], pictures),
        *_one_person(document),
        *_refused(people),
    ]
    policy = (
        f"default-src 'none'; style-src {_hash(_STYLE)}; img-src 'self' file:; base-uri 'none'; "
        "form-action 'none'"
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="robots" content="noindex">',
            "<title>Face Matching: accuracy</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def _single_subject(document: Mapping[str, Any]) -> list[str]:
    if not document["single_subject"]:
        return []
    return [
        "<h2>Without photographs of several people</h2>",
        f"<p>{_text(single_subject_title(document))}.</p>",
        _table(*single_subject_rows(document)),
    ]


def _groups(document: Mapping[str, Any]) -> list[str]:
    if not document["groups"]:
        return []
    return ["<h2>By group</h2>", _table(*group_rows(document))]


def _one_person(document: Mapping[str, Any]) -> list[str]:
    rows = [
        [percent(pair["similarity"]), pair["name_a"], pair["name_b"]]
        for pair in document["people"]["one_person_two_names"]
    ]
    if not rows:
        return []
    return [
        "<h2>One person under two names</h2>",
        "<p>As the file of same persons says, each with its most similar pair of photographs.</p>",
        _table(["Similarity", "Name", "Other name"], rows),
    ]


def _refused(people: Mapping[str, Any]) -> list[str]:
    rows = [[photograph["key"], photograph["reason"]] for photograph in people["refused"]]
    rows += [[key, "UNNAMED"] for key in people["unnamed"]]
    rows += [[found["key"], found["reason"]] for found in people["left_out"]]
    rows += [[copy["key"], f"a copy of {copy['of']}"] for copy in people["copies"]]
    if not rows:
        return []
    return ["<h2>Photographs that take no part</h2>", _table(["Photograph", "Why"], rows)]


def _pairs(pairs: Sequence[Mapping[str, Any]], pictures: Mapping[int, str]) -> str:
    shown = [pair for pair in pairs if all(face in pictures for face in pair["faces"])]
    if not shown:
        return "<p>None.</p>"
    items = []
    for pair in shown:
        figures = "".join(
            f'<figure><img src="{_text(pictures[face])}" alt=""><figcaption><bdi>{_text(name)}'
            "</bdi></figcaption></figure> "
            for face, name in zip(pair["faces"], (pair["name_a"], pair["name_b"]), strict=True)
        )
        items.append(f"<li><strong>{percent(pair['similarity'])}</strong><br>{figures}</li>")
    return f'<ol class="pairs">{"".join(items)}</ol>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in head)
    lines = "".join(
        "<tr>" + "".join(f"<td><bdi>{_text(cell)}</bdi></td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{first}</tr></thead><tbody>{lines}</tbody></table>'
        "</div>"
    )


def _text(text: object) -> str:
    return escape(printable(str(text)))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
