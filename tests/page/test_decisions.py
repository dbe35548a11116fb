"""Decisions: made by keys and buttons, kept, exported, taken back, and opened again."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from .conftest import (
    choose,
    decide,
    exported,
    exported_decisions,
    introduce,
    names_shown,
    set_threshold,
)
from .synthetic import with_matches

if TYPE_CHECKING:
    from .conftest import Desk

MATCHES = [("Ann", "Bea", 99.9321), ("Ann", "Cleo", 99.8), ("Bea#2", "Dan", 99.7)]


def recorded(one: str, other: str, decision: str, **changes: Any) -> dict[str, Any]:
    """A decision that the stack knows."""
    return {
        "name_a": one,
        "name_b": other,
        "decision": decision,
        "note": "",
        "decided_by": "Kim",
        "decided_at": "2026-11-20T10:00:00Z",
        "similarity": 99.0,
        "face_ids": [],
        "imported_at": "2026-11-20T11:00:00Z",
    } | changes


def test_what_the_keys_decide_is_exported_as_json_and_as_csv(desk: Desk) -> None:
    data = with_matches(MATCHES)
    page = desk.open(data)
    decide(page, "s", "d", "u")

    expect(page.locator("#waiting")).to_have_text("3 decisions are not exported yet.")
    document = json.loads(exported(page, "Export JSON"))
    assert (document["schema"], document["stack"]) == (1, "FaceMatching")
    assert [(d["name_a"], d["name_b"], d["decision"]) for d in document["decisions"]] == [
        ("Ann", "Bea", "SAME_PERSON"),
        ("Ann", "Cleo", "DIFFERENT_PEOPLE"),
        ("Bea", "Dan", "UNSURE"),
    ]
    first = document["decisions"][0]
    assert first["similarity"] == 99.9321
    assert first["decided_by"] == "Robin"
    assert first["decided_at"].endswith("Z")
    shown = [
        data["photographs"][data["faces"][face]["photograph"]] for face in data["matches"][0][:2]
    ]
    assert first["versions"] == sorted(photograph["version"] for photograph in shown)
    assert first["keys"] == sorted(photograph["key"] for photograph in shown)
    assert (first["record_a"], first["record_b"]) == ("name:Ann", "name:Bea")

    text = exported(page, "Export CSV")
    columns = (
        "record_a,record_b,name_a,name_b,decision,note,decided_by,decided_at,similarity,versions,keys,"
        "face_ids"
    )
    assert text.startswith(f"\ufeff{columns}\r\n")
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(text[1:], newline="")))
    for row in rows:
        row |= {column: row[column].split() for column in ("versions", "face_ids")}
        row["keys"] = json.loads(row["keys"])
        row["similarity"] = float(row["similarity"])
    assert rows == document["decisions"]
    expect(page.locator("#waiting")).to_have_text("All 3 exported.")
    assert data["decisions_command"] in page.inner_text("#decisions")


def test_decided_pairs_stand_apart_and_survive_a_reload(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES))
    decide(page, "s", "d")

    page.reload()
    # The browser may tell the new document a moment later; then the page follows.
    expect(page.locator("#list .card")).to_have_count(1)
    assert names_shown(page) == [("Bea", "Dan")]
    choose(page, "same")
    assert names_shown(page) == [("Ann", "Bea")]
    expect(page.locator("#list .verdict")).to_contain_text("Same person by Robin")
    choose(page, "different")
    assert names_shown(page) == [("Ann", "Cleo")]
    choose(page, "all")
    assert len(names_shown(page)) == 3


def test_a_tab_that_has_read_something_older_overwrites_nothing(desk: Desk) -> None:
    first = desk.open(with_matches(MATCHES))
    decide(first, "s")
    # As when a document is opened in the moment in which another one writes.
    desk.context.add_init_script(
        "const read = Storage.prototype.getItem; let older = true;"
        "Storage.prototype.getItem = function (key) {"
        "  if (older) { older = false; return null; } return read.call(this, key); };"
    )
    second = desk.open(with_matches(MATCHES))
    assert len(names_shown(second)) == 3

    kept = "Object.values(localStorage).join()"
    assert "SAME_PERSON" in first.evaluate(kept)
    assert "SAME_PERSON" in second.evaluate(kept)


def test_buttons_and_a_note_do_what_the_keys_do(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES))
    page.click("#list .card >> nth=1 >> button:has-text('All photographs')")
    page.fill("#note", 'The ears differ, says "Kim",\n=1+1')
    page.click("#details button:has-text('Different people')")
    introduce(page)

    expect(page.locator("#details-title")).to_have_text("Bea and Dan")
    page.click("#details >> text=Close")
    assert [(d["name_b"], d["decision"], d["note"]) for d in exported_decisions(page)] == [
        ("Cleo", "DIFFERENT_PEOPLE", 'The ears differ, says "Kim",\n=1+1')
    ]
    choose(page, "different")
    page.click("#list button:has-text('All photographs')")
    page.fill("#note", "Sure.")
    page.keyboard.press("Escape")
    assert exported_decisions(page)[0]["note"] == "Sure."


def test_no_decision_is_made_while_someone_writes_or_without_a_name(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES))
    page.keyboard.press("j")
    page.click("#search")
    page.keyboard.type("sdujkx?")
    assert page.input_value("#search") == "sdujkx?"
    assert page.locator("dialog[open]").count() == 0
    page.fill("#search", "")

    page.keyboard.press("Tab")
    page.locator(".card >> nth=0").focus()
    page.keyboard.press("s")
    page.click("#reviewer-cancel")
    assert len(names_shown(page)) == 3
    assert "None yet" in page.inner_text("#decisions")


def test_a_decision_is_taken_back_and_after_an_export_that_is_exported(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES))
    decide(page, "s", "x")
    assert len(names_shown(page)) == 3
    assert "None yet" in page.inner_text("#decisions")

    page.keyboard.press("d")
    assert [d["decision"] for d in exported_decisions(page)] == ["DIFFERENT_PEOPLE"]
    page.click("#toast button")
    assert len(names_shown(page)) == 3
    assert [d["decision"] for d in exported_decisions(page)] == ["UNDECIDED"]


def test_a_pair_that_opens_again_says_why(desk: Desk) -> None:
    reopened = recorded(
        "Ann",
        "Bea",
        "DIFFERENT_PEOPLE",
        note="Not her.",
    )
    same = recorded("Ann", "Cleo", "SAME_PERSON")
    gone = recorded("Xaver", "Yoko", "UNSURE")
    page = desk.open(with_matches(MATCHES, decisions=[reopened, same, gone]))

    assert names_shown(page) == [("Ann", "Bea"), ("Bea", "Dan")]
    said = page.locator("#list .reopened")
    expect(said).to_contain_text("Opened again")
    expect(said).to_contain_text("by Kim on 20 Nov 2026")
    expect(said).to_contain_text("a higher similarity and a new photograph")
    expect(page.locator("#list .note")).to_contain_text("Not her.")
    assert "1 decision about what this page does not show" in page.inner_text("#elsewhere")


def test_a_decision_of_this_browser_opens_again_when_the_evidence_has_grown(desk: Desk) -> None:
    before = [("Ann", "Bea", 99.9), ("Ann", "Cleo", 99.8), ("Ann", "Dan", 99.7)]
    page = desk.open(with_matches(before))
    decide(page, "d", "d", "d")

    page = desk.open(
        with_matches(
            [
                ("Ann", "Bea", 99.901),  # no more, as people see it
                ("Ann", "Cleo", 99.81),
                ("Ann", "Dan", 99.7),
                ("Ann", "Dan#2", 99.0),
            ]
        )
    )
    assert names_shown(page) == [("Ann", "Cleo"), ("Ann", "Dan")]
    expect(page.locator("#list .reopened")).to_have_text(
        [
            re.compile(r"there is a higher similarity\.$"),
            re.compile(r"there is a new photograph\.$"),
        ]
    )


@pytest.mark.parametrize("kept_by", ["the stack", "this browser"])
def test_a_look_alike_below_the_threshold_neither_opens_a_pair_again_nor_connects_it(
    desk: Desk, kept_by: str
) -> None:
    before = [("Ann", "Bea", 99.62), ("Ann", "Cleo", 99.7)]
    page = desk.open(with_matches(before))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("d")
    introduce(page)
    (decided,) = exported_decisions(page)
    after = [*before, ("Ann", "Bea#2", 98.5)]
    known = [decided] if kept_by == "the stack" else []

    page = desk.open(with_matches(after, decisions=known))

    groups = page.locator("#groups")
    assert names_shown(page) == [("Ann", "Cleo")]
    expect(groups).not_to_contain_text("Bea")
    choose(page, "different")
    assert names_shown(page) == [("Ann", "Bea")]

    set_threshold(page, 98.5)
    assert names_shown(page) == []
    choose(page, "open")
    assert names_shown(page) == [("Ann", "Cleo"), ("Ann", "Bea")]
    expect(page.locator("#list .reopened")).to_have_text(re.compile(r"is a new photograph\.$"))
    expect(groups).to_contain_text("Bea")


def test_what_has_been_imported_is_no_longer_carried_along(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES))
    decide(page, "s", "u")
    first, second = exported_decisions(page)
    imported = recorded("Ann", "Bea", "SAME_PERSON") | first
    older = recorded("Ann", "Cleo", "DIFFERENT_PEOPLE")

    page = desk.open(with_matches(MATCHES, decisions=[imported, older]))
    assert exported_decisions(page) == [second]
    choose(page, "same")
    assert names_shown(page) == [("Ann", "Bea")]
    choose(page, "unsure")
    assert names_shown(page) == [("Ann", "Cleo")]


def test_stacks_do_not_share_decisions_and_they_can_be_forgotten(desk: Desk) -> None:
    page = desk.open(with_matches(MATCHES))
    decide(page, "s")
    assert len(names_shown(desk.open(with_matches(MATCHES, local=False)))) == 3
    assert len(names_shown(desk.open(with_matches(MATCHES, stack="Other")))) == 3

    page = desk.open(with_matches(MATCHES))
    assert len(names_shown(page)) == 2
    page.click("text=Forget my decisions")
    page.click("#forget-yes")
    assert len(names_shown(page)) == 3
    assert page.evaluate("Object.values(localStorage).join()").count("Ann") == 0


def test_a_browser_that_keeps_nothing_says_so_and_still_exports(desk: Desk) -> None:
    desk.context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied') }})"
    )
    page = desk.open(with_matches(MATCHES))

    assert "until this page is closed" in page.inner_text("#decisions")
    decide(page, "s")
    assert [d["decision"] for d in exported_decisions(page)] == ["SAME_PERSON"]
