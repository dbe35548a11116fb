"""The page fits every screen, from a small phone to a wide desk, before and after a decision."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import decide
from .synthetic import with_matches

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import Desk

WIDTHS = [360, 390, 768, 1280, 1920]

#: The labels of the axis that are drawn, from left to right, as [text, left, right].
_LABELS = """() => [...document.querySelectorAll('#histogram svg .role-axis-label text')]
    .filter(label => label.getAttribute('opacity') !== '0')
    .map(label => [label.textContent, label.getBoundingClientRect()])
    .map(([text, place]) => [text, place.left, place.right])
    .sort((one, other) => one[1] - other[1])"""

#: What reaches beyond the column of controls.
_BEYOND_THE_COLUMN = """() => {
    const column = document.querySelector('.controls').getBoundingClientRect();
    return [...document.querySelectorAll('.controls *')]
        .filter(element => element.checkVisibility() && !element.matches('.unseen, .unseen *'))
        .map(element => [element, element.getBoundingClientRect()])
        .filter(([, place]) => place.left < column.left || place.right > column.right)
        .map(([element]) => element.outerHTML.slice(0, 80));
}"""

#: How far the threshold's unit stands below the line of its number: from middle to middle.
_UNIT_BELOW_NUMBER = """() => {
    const number = document.querySelector('#threshold-exact');
    const unit = document.createRange();
    unit.selectNodeContents(number.nextSibling);
    const middle = place => (place.top + place.bottom) / 2;
    const lines = [...unit.getClientRects()].filter(place => place.width);
    return middle(lines.at(-1)) - middle(number.getBoundingClientRect());
}"""


def data_of_41_matches() -> dict[str, Any]:
    """Matches of short and long names, and commands as long as those of a real checkout."""
    names = ["Ann", "Bartholomew_Fotheringay-Wolkenstein", "Carlos_de_la_Torre_y_Montenegro"]
    command = "FACEMATCH_HOME=/home/ann/photographs/face-matching/state .venv/bin/facematch"
    return with_matches(
        [
            (f"{names[number % 3]}_{number}", f"Zoe_{number}", 99.99 - number / 100)
            for number in range(41)
        ],
        lowest=93.2,
        decisions_command=f"{command} decisions import FILE --local",
        delete_command=f"{command} evidence --delete --local",
    )


def assert_it_fits(page: Page) -> None:
    # The plot follows the width of its column a moment later.
    page.wait_for_timeout(300)
    wide, seen = page.evaluate(
        "[document.scrollingElement.scrollWidth, document.scrollingElement.clientWidth]"
    )
    assert wide <= seen
    assert page.evaluate(_BEYOND_THE_COLUMN) == []
    column = page.locator(".controls").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert column[0] <= column[1]

    plot, slider = (page.locator(id_).bounding_box() for id_ in ("#histogram svg", "#threshold"))
    assert plot
    assert slider
    assert slider["x"] == pytest.approx(plot["x"], abs=1)
    assert slider["width"] == pytest.approx(plot["width"], abs=1)
    assert abs(page.evaluate(_UNIT_BELOW_NUMBER)) < 4

    labels = page.evaluate(_LABELS)
    assert len(labels) >= 3
    assert labels[-1][0] == "100 %"
    for (_, _, right), (text, left, _) in pairwise(labels):
        assert left - right >= 8, text
    for text, left, right in labels:
        assert plot["x"] - 1 <= left, text
        assert right <= plot["x"] + plot["width"] + 1, text


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_the_screen_before_and_after_a_decision(desk: Desk, width: int) -> None:
    page = desk.open(data_of_41_matches(), charts=True)
    page.set_viewport_size({"width": width, "height": 800})
    assert_it_fits(page)

    decide(page, "s")
    page.wait_for_selector("#decisions .command")
    assert_it_fits(page)


@pytest.mark.parametrize("lowest", [0, 37, 80, 86.5, 90, 95.9])
def test_the_labels_of_the_plot_keep_apart_wherever_its_scale_begins(
    desk: Desk, lowest: float
) -> None:
    page = desk.open({**data_of_41_matches(), "lowest": lowest}, charts=True)
    assert_it_fits(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_link_lands_on_its_part_of_the_page(desk: Desk, width: int) -> None:
    page = desk.open(data_of_41_matches(), charts=True)
    page.set_viewport_size({"width": width, "height": 800})

    for part in ("groups", "statistics", "pairs"):
        page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
        page.click(f"nav a[href='#{part}']")
        at = -1
        while at != (at := page.evaluate("scrollY")):
            page.wait_for_timeout(300)
        end = page.evaluate("document.scrollingElement.scrollHeight - innerHeight")
        top = page.locator(f"#{part}").bounding_box()
        assert top
        assert abs(top["y"]) < 2 or at >= end - 1, part
