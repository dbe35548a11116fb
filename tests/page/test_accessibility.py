"""Whoever cannot see the page, or sees it small or in the dark, can use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from .conftest import decide, set_threshold
from .synthetic import large, with_matches
from .test_list import name_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import Desk


def serious(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds that is serious or critical."""
    # By way of a string: the page's policy forbids to add the library as a script element.
    found = Axe().run(page).response["violations"]
    return [
        {"rule": item["id"], "where": [node["html"][:200] for node in item["nodes"][:3]]}
        for item in found
        if item["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(desk: Desk, scheme: Literal["light", "dark"]) -> None:
    data = large(photographs=20, matches=12)
    data["decisions"] = [
        {
            "name_a": name_of(data, data["matches"][0][0]),
            "name_b": name_of(data, data["matches"][0][1]),
            "decision": "DIFFERENT_PEOPLE",
            "note": "Not her.",
            "decided_by": "Kim",
            "decided_at": "2026-11-20T10:00:00Z",
            "similarity": 90.0,
            "face_ids": [],
        }
    ]
    page = desk.open(data, charts=True)
    page.emulate_media(color_scheme=scheme)
    decide(page, "s", "d")
    page.check("#standing input[value=all]")
    assert serious(page) == []

    page.keyboard.press("j")
    page.locator(".card >> nth=0").focus()
    page.keyboard.press("Enter")
    assert serious(page) == []


def test_a_screen_reader_hears_the_count_when_it_has_come_to_rest(desk: Desk) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 99.9), ("Ann", "Cleo", 91.0)]))
    set_threshold(page, 90)

    expect(page.get_by_role("status")).to_have_text(
        "2 pairs of records at 90.00 % or above. 2 under “To decide”."
    )


def test_it_can_be_used_by_tab_and_enter_alone(desk: Desk) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 99.9)]))
    page.focus("#standing input:checked")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Same persons")  # the key's letter behind it
    assert page.eval_on_selector(":focus", "e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.keyboard.type("Robin")
    page.keyboard.press("Enter")
    assert "1 decision is not exported yet" in page.inner_text("#decisions")


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_is_wider_than_the_screen(desk: Desk, width: int) -> None:
    page = desk.open(large(photographs=60, matches=60, pictures=False), charts=True)
    page.set_viewport_size({"width": width, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click("#list button:has-text('All photographs') >> nth=0")
    assert page.eval_on_selector("#details", "e => e.scrollWidth - e.clientWidth") <= 0


def test_print_has_the_pairs_and_no_controls(desk: Desk) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 99.9)]))
    page.emulate_media(media="print")

    assert page.is_visible("#list .faces")
    assert page.is_visible("#list .similarity")
    for control in ("nav", ".controls", "#list button", "#standing"):
        assert page.locator(control).first.is_hidden()
