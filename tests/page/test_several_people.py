"""Photographs of several people: the page says so where it shows one, and outlines the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from functions.matching.subjects import SEVERAL_PEOPLE_MEANS

from .conftest import choose, names_shown
from .synthetic import with_matches
from .test_accessibility import serious

if TYPE_CHECKING:
    from typing import Literal

    from .conftest import Desk

TWO, THREE = (f"this photograph shows {count} people" for count in (2, 3))


def test_a_card_says_at_each_side_how_many_people_its_photograph_shows(desk: Desk) -> None:
    page = desk.open(
        with_matches(
            [("Ann", "Bea", 99.9), ("Ann#2", "Cleo", 99.8), ("Dan", "Zoe", 99.7)],
            people={"Bea": 2, "Ann#2": 3, "Cleo": 2},
        )
    )

    for other, sides in {"Bea": ["", TWO], "Cleo": [THREE, TWO], "Zoe": ["", ""]}.items():
        card = page.locator("#list .card", has_text=other)
        for index, words in enumerate(sides):
            said = card.locator("figure").nth(index).locator(".people")
            expect(said).to_have_text([words] if words else [])
        expect(card.locator(".several")).to_have_text([SEVERAL_PEOPLE_MEANS] if any(sides) else [])


def test_pairs_with_several_people_follow_the_others_of_their_relation(desk: Desk) -> None:
    matches = [
        ("Ann", "Bea", 99.9),
        ("Ann", "Cleo", 99.8),
        ("Ann Lee", "Ann Roe", 99.7),
        ("Ann", "Dan", 99.6),
        ("Ann Lee", "Cy Lee", 99.5),
        ("Ann", "Eve", 99.4),
        # Her best match is with another photograph, which shows her alone.
        ("Ann", "Eve#2", 99.3),
    ]
    people = {"Bea": 2, "Ann Roe": 2, "Dan": 3, "Eve#2": 2}
    page = desk.open(with_matches(matches, people=people))

    assert names_shown(page) == [
        ("Ann", "Cleo"),
        ("Ann", "Eve"),
        ("Ann", "Bea"),
        ("Ann", "Dan"),
        ("Ann Lee", "Cy Lee"),
        ("Ann Lee", "Ann Roe"),
    ]
    expect(page.locator(".card-group h3")).to_have_count(2)
    page.select_option("#sort", "similarity")
    assert names_shown(page)[0] == ("Ann", "Bea")


def test_the_details_say_it_and_outline_the_people_beside_the_marked_one(desk: Desk) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 99.9)], people={"Bea": 3}))
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.locator("#details .compare .people")).to_have_text([THREE])
    one, other = (page.locator("#details .column").nth(side) for side in (0, 1))
    expect(one.locator(".people")).to_have_count(0)
    expect(other.locator(".people")).to_have_text([THREE])
    boxes = "boxes => boxes.map(box => [box.getAttribute('class'), box.getAttribute('x')])"
    assert one.locator("rect").evaluate_all(boxes) == [["matched", "0.35"]]
    # The marked one comes last, so that no outline lies over it.
    assert other.locator("rect").evaluate_all(boxes) == [
        ["other", "0.05"],
        ["other", "0.15000000000000002"],
        ["matched", "0.35"],
    ]


def test_a_conflict_says_it_too(desk: Desk) -> None:
    data = with_matches([], alone=[("Ann#2", "Ann", 3)], people={"Ann#2": 2})
    page = desk.open(data)
    choose(page, "conflicts")

    expect(page.locator("#list figure").nth(0).locator(".people")).to_have_text(TWO)
    expect(page.locator("#list figure").nth(1).locator(".people")).to_have_count(0)
    expect(page.locator("#list .several")).to_have_text(SEVERAL_PEOPLE_MEANS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_a_phone_has_room(
    desk: Desk, scheme: Literal["light", "dark"]
) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 99.9)], people={"Ann": 2, "Bea": 3}))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})

    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#details")).to_be_visible()
    assert serious(page) == []
    assert page.eval_on_selector("#details", "e => e.scrollWidth - e.clientWidth") <= 0
