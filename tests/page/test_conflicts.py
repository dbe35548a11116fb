"""The tab of conflicts: photographs that stand alone in their record, decided as pairs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from facematch.operations.decisions import decisions_in
from functions.matching.decisions import Decided

from .conftest import (
    choose,
    decide,
    exported,
    exported_decisions,
    introduce,
    names_shown,
    set_threshold,
)
from .synthetic import document, with_matches
from .test_accessibility import serious
from .test_hostile import NAMES

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from playwright.sync_api import Page

    from .conftest import Desk

MATCHES = [("Ann", "Bea", 99.9), ("Ann", "Cleo", 99.8)]
#: Ann's second photograph shows a stranger; Dan has two that do not resemble each other.
ALONE = [("Ann#2", "Ann", 3), ("Dan", "Dan#2", 2), ("Eve#4", "Eve", 5)]


def counts(page: Page) -> dict[str, int]:
    """What stands behind each tab."""
    found: list[list[str]] = page.eval_on_selector_all(
        "#standing label",
        "labels => labels.map(l => [l.querySelector('input').value, "
        "l.querySelector('.figure').textContent])",
    )
    return {tab: int(count) for tab, count in found}


def keys_shown(page: Page) -> list[str]:
    """The photographs that stand alone, in the order of the list."""
    return page.locator("#list .card .alone code:first-child").all_text_contents()


def test_conflicts_have_a_tab_of_their_own_and_are_no_pairs(desk: Desk) -> None:
    without = desk.open(with_matches(MATCHES))
    groups, pairs = without.inner_text("#groups"), counts(without)
    page = desk.open(with_matches(MATCHES, alone=ALONE))

    assert counts(page) == {**pairs, "conflicts": 3}
    assert page.inner_text("#groups") == groups
    assert page.is_hidden("#conflicts-explain")
    assert len(names_shown(page)) == 2

    choose(page, "conflicts")
    assert page.is_visible("#conflicts-explain")
    assert names_shown(page) == [("Ann", "Ann"), ("Dan", "Dan"), ("Eve", "Eve")]
    first, second, _ = page.locator("#list .alone").all_text_contents()
    assert first == (
        "images/Ann_0002.jpg resembles none of the 2 other photographs of its record. "
        "The best of them is images/Ann_0001.jpg."
    )
    assert second == (
        "images/Dan_0001.jpg does not resemble the only other photograph of its record, "
        "images/Dan_0002.jpg."
    )
    expect(page.locator("#list .card >> nth=0 >> figcaption .hint")).to_have_text(
        ["Stands alone", "Best other photograph"]
    )
    expect(page.locator("#count")).to_have_text(
        "3 photographs stand alone in their records. 3 to decide."
    )
    expect(page.get_by_role("heading", level=2, name="Conflicts")).to_be_visible()
    assert page.is_disabled("#sort")
    set_threshold(page, 100)
    assert len(names_shown(page)) == 3, "no similarity stands behind a conflict"
    page.fill("#search", "eve")
    assert names_shown(page) == [("Eve", "Eve")]

    page.fill("#search", "")
    set_threshold(page, 99)
    choose(page, "open")
    assert page.is_enabled("#sort")
    assert len(names_shown(page)) == 2


def test_a_conflict_is_decided_by_keys_alone_and_exported_as_two_records(
    desk: Desk, tmp_path: Path
) -> None:
    data = with_matches(MATCHES, alone=ALONE)
    page = desk.open(data)
    page.focus("#standing input:checked")
    while page.evaluate("document.activeElement.value") != "conflicts":
        page.keyboard.press("ArrowRight")
    decide(page, "d", "u")

    expect(page.locator("#waiting")).to_have_text("2 decisions are not exported yet.")
    expect(page.locator(".card-group h3")).to_have_text(["1 to decide", "2 decided"])
    assert counts(page)["conflicts"] == 1
    assert keys_shown(page) == [
        "images/Eve_0004.jpg",
        "images/Ann_0002.jpg",
        "images/Dan_0001.jpg",
    ]
    focus = page.locator(".card:focus")
    expect(focus.locator(".alone")).to_contain_text("images/Eve_0004.jpg")
    expect(page.locator("#toast")).to_contain_text("Unsure: Dan: images/Dan_0001.jpg")

    file = tmp_path / "decisions.json"
    file.write_text(exported(page, "Export JSON"))
    one, other = decisions_in(file, stack_name="FaceMatching", images_bucket="images")
    assert (one.record_a, one.record_b) == ("name:Ann", "photograph:images/Ann_0002.jpg")
    assert (one.name_a, one.name_b) == ("Ann", "images/Ann_0002.jpg")
    assert (one.decision, one.similarity, one.decided_by) == (
        Decided.DIFFERENT_PEOPLE,
        0,
        "Robin",
    )
    assert one.keys == {"images/Ann_0001.jpg", "images/Ann_0002.jpg"}
    shown = {photograph["key"]: photograph["version"] for photograph in data["photographs"]}
    assert one.versions == {shown[key] for key in one.keys}
    assert (other.record_b, other.decision) == (
        "photograph:images/Dan_0001.jpg",
        Decided.UNSURE,
    )
    csv_file = tmp_path / "decisions.csv"
    csv_file.write_text(exported(page, "Export CSV"), newline="")
    assert decisions_in(csv_file, stack_name="FaceMatching", images_bucket="images") == [one, other]


def test_what_was_decided_about_a_conflict_is_kept_and_taken_back(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES, alone=ALONE))
    choose(page, "conflicts")
    decide(page, "s")

    page = desk.open(with_matches(MATCHES, alone=ALONE))
    choose(page, "conflicts")
    card = page.locator("#list .card", has_text="images/Ann_0002.jpg")
    expect(card.locator(".verdict")).to_contain_text("Same person by Robin")
    card.focus()
    page.keyboard.press("x")
    expect(page.locator("#list .verdict")).to_have_count(0)
    expect(page.locator(".card:focus .alone")).to_contain_text("images/Ann_0002.jpg")
    assert counts(page)["conflicts"] == 3
    assert "None yet" in page.inner_text("#decisions")

    page.keyboard.press("d")
    page.click("#toast button")
    assert counts(page)["conflicts"] == 3


def test_a_conflict_that_the_stack_knows_as_decided_is_told_where_it_is_shown(desk: Desk) -> None:
    known = {
        "record_a": "name:Ann",
        "record_b": "photograph:images/Ann_0002.jpg",
        "name_a": "Ann",
        "name_b": "images/Ann_0002.jpg",
        "decision": "DIFFERENT_PEOPLE",
        "note": "Her brother.",
        "decided_by": "Kim",
        "decided_at": "2026-11-20T10:00:00Z",
        "similarity": 0,
        "versions": ["another"],
        "keys": [],
        "face_ids": [],
    }
    page = desk.open(with_matches(MATCHES, alone=ALONE, decisions=[known]))
    choose(page, "conflicts")

    assert keys_shown(page)[-1] == "images/Ann_0002.jpg"
    expect(page.locator("#list .verdict")).to_contain_text("Different people by Kim")
    expect(page.locator("#list .note")).to_contain_text("Her brother.")
    assert page.inner_text("#elsewhere") == ""

    page = desk.open(with_matches(MATCHES, alone=ALONE[1:], decisions=[known]))
    assert "1 decision about what this page does not show" in page.inner_text("#elsewhere")


def test_the_details_of_a_conflict_show_the_photographs_of_its_record(desk: Desk) -> None:
    page = desk.open(with_matches([*MATCHES, ("Ann#3", "Bea", 99.7)], alone=ALONE))
    choose(page, "conflicts")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.locator("#details-title")).to_have_text("Ann: images/Ann_0002.jpg")
    columns = page.locator("#details .column")
    expect(columns.nth(0).locator("code")).to_have_text(["images/Ann_0002.jpg"])
    expect(columns.nth(1).locator("code")).to_have_text(
        ["images/Ann_0001.jpg", "images/Ann_0003.jpg"]
    )
    assert page.locator("#details .frame rect.matched").count() == 2
    assert page.locator("#details .matches").count() == 0
    page.keyboard.press("n")
    page.keyboard.type("Her brother, says Kim.")
    page.keyboard.press("Tab")
    page.focus("#details-title")
    page.keyboard.press("d")
    introduce(page)

    expect(page.locator("#details-title")).to_have_text("Dan: images/Dan_0001.jpg")
    page.keyboard.press("k")
    expect(page.locator("#details-title")).to_have_text("Dan: images/Dan_0001.jpg")
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(page.locator(".card:focus .alone")).to_contain_text("images/Eve_0004.jpg")
    (made,) = exported_decisions(page)
    assert (made["record_b"], made["note"]) == (
        "photograph:images/Ann_0002.jpg",
        "Her brother, says Kim.",
    )


def test_a_key_decides_nothing_while_no_card_of_the_tab_has_the_focus(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES, alone=ALONE))
    page.keyboard.press("j")
    choose(page, "conflicts")
    for key in "sdu":
        page.keyboard.press(key)
    assert page.is_hidden("#reviewer")
    assert "None yet" in page.inner_text("#decisions")


def test_without_conflicts_the_tab_says_so(desk: Desk) -> None:
    page = desk.open(document())
    choose(page, "conflicts")
    expect(page.locator("#count")).to_have_text("No photograph stands alone in its record.")


def test_more_conflicts_are_shown_on_demand_and_those_left_out_are_counted(desk: Desk) -> None:
    alone = [(f"Ann_{number}#2", f"Ann_{number}", 2) for number in range(60)]
    page = desk.open(with_matches([], alone=alone, pictures=False, conflicts_left_out=7))
    choose(page, "conflicts")

    assert len(names_shown(page)) == 50
    assert "60 to decide. 7 more are left out." in page.inner_text("#count")
    expect(page.locator("#more")).to_have_text("Show 10 more of 10 conflicts")
    page.click("#more")
    assert len(names_shown(page)) == 60


def test_hostile_names_and_keys_of_conflicts_are_shown_and_do_nothing(desk: Desk) -> None:
    data = with_matches([], alone=[(f"{name}#2", name, 2) for name in NAMES if "#" not in name])
    for number, photograph in enumerate(data["photographs"]):
        photograph["key"] = f"images/{photograph['name']}/{number}.jpg"
    desk.context.add_init_script("window.alert = () => { document.title = 'alerted' }")
    page = desk.open(data)
    choose(page, "conflicts")
    for _ in data["conflicts"]:
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")

    shown = {name for pair in names_shown(page) for name in pair}
    assert {name for name in NAMES if name.isprintable() and "#" not in name} <= shown
    assert page.locator("h1").count() == 1
    assert page.locator("img[src='x']").count() == 0
    assert "alerted" not in page.title()
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    decide(page, "s")
    page.click("#list button:has-text('All photographs') >> nth=0")
    assert page.eval_on_selector("#details", "e => e.scrollWidth - e.clientWidth") <= 0


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_tab(
    desk: Desk, scheme: Literal["light", "dark"], width: int
) -> None:
    page = desk.open(with_matches(MATCHES, alone=ALONE))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    choose(page, "conflicts")
    decide(page, "d")
    assert serious(page) == []
    page.keyboard.press("Enter")
    expect(page.locator("#details")).to_be_visible()
    assert serious(page) == []
