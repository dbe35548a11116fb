"""Names, keys and notes from outside do no harm, and the policy holds what is foreign off."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from facematch.evidence.page import render
from facematch.files.spreadsheets import guarded
from facematch.operations.decisions import decisions_in
from functions.matching.identity import record_of_name

from .conftest import choose, decide, exported, names_shown
from .synthetic import document, with_matches

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Desk

#: What a spreadsheet could take for a formula.
RUN = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n", "\0")
NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><h1>gone</h1><!--",
    "{{script}} ${7*7} </textarea>'\"",
    "Ann\u202egnp.exe\u2066\u200b",
    '=HYPERLINK("http://x","y")',
    '+1,2;\t"3"\r\n4',
    "Ann;=1+1",
    "Bo\t\t-2+3",
    'Cy;"=1+1";@SUM(1)',
    ";'=1+1",
    *(f"{start}1+1;{start}1+1" for start in RUN),
    "\ud800 half",
    "__proto__",
    "W" * 300,
]


def test_hostile_names_are_shown_and_do_nothing(desk: Desk) -> None:
    data = with_matches([("Ann", name, 99.9 - i / 100) for i, name in enumerate(NAMES)])
    for photograph in data["photographs"]:
        photograph["key"] = f"images/{photograph['name']}/1.jpg"
    words = "looks like 1 more record than its report lists"
    data["lacking"]["photographs"] = len(NAMES)
    data["lacking"]["worst"] = [{"key": name, "words": words} for name in NAMES]
    data["failures"] = [{"reason": name, "status": "FAILED", "images": 1} for name in NAMES]
    desk.context.add_init_script("window.alert = () => { document.title = 'alerted' }")
    page = desk.open(data, charts=True)
    for _ in NAMES:
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")

    shown = {name for pair in names_shown(page) for name in pair}
    assert {name for name in NAMES if name.isprintable()} <= shown
    assert "AnnU+202Egnp.exeU+2066U+200B" in shown
    assert page.locator("#list .mark").all_text_contents().count("U+202E") == 2  # heading, caption
    assert page.locator("h1").count() == 1
    assert page.locator("img[src='x']").count() == 0
    assert page.evaluate("document.scripts.length") == 3
    assert "alerted" not in page.title()
    assert page.locator("bdi", has_text="gnp.exe").count() > 0

    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.fill("#search", "<SCRIPT>")
    assert names_shown(page) == [("<script>alert(1)</script>", "Ann")]


def test_no_cell_of_the_csv_is_a_formula_and_every_one_is_imported_as_it_was(
    desk: Desk, tmp_path: Path
) -> None:
    readable = [name for name in NAMES if name.isprintable() or name.isascii()]
    names = list({record_of_name(name): name for name in readable}.values())
    page = desk.open(with_matches([("Ann", name, 99.9 - i / 100) for i, name in enumerate(names)]))
    page.keyboard.press("j")
    page.keyboard.press("n")
    page.keyboard.type("@SUM(1)")
    page.keyboard.press("Escape")
    decide(page, *("s" * len(names)))

    json_file, csv_file = tmp_path / "export.json", tmp_path / "export.csv"
    json_file.write_text(exported(page, "Export JSON"))
    csv_file.write_text(text := exported(page, "Export CSV"), newline="")
    cells = [cell for row in csv.reader(io.StringIO(text[1:], newline="")) for cell in row]
    by_json = decisions_in(json_file, stack_name="FaceMatching", images_bucket="images")
    by_csv = decisions_in(csv_file, stack_name="FaceMatching", images_bucket="images")

    assert not [cell for cell in cells if cell.startswith(RUN)]
    assert set(map(guarded, names)) <= set(cells)  # the rule is the same here as there
    for splitting in ";\t":
        pieces = [
            cell for row in csv.reader(text[1:].splitlines(), delimiter=splitting) for cell in row
        ]
        assert len(pieces) > len(names)
        assert not [piece for piece in pieces if piece.startswith(RUN)]
    assert by_csv == by_json
    assert {name for d in by_csv for name in (d.name_a, d.name_b)} == {"Ann", *names}
    assert "@SUM(1)" in {d.note for d in by_csv}


def test_the_policy_blocks_scripts_styles_and_pictures_that_are_not_the_pages(desk: Desk) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 99.9)]), charts=True)
    blocked = page.evaluate(
        """async () => {
            const blocked = [];
            addEventListener("securitypolicyviolation",
                (event) => blocked.push(event.effectiveDirective));
            const add = (tag, properties) =>
                document.body.append(Object.assign(document.createElement(tag), properties));
            add("script", {textContent: "window.injected = true"});
            add("script", {src: "http://127.0.0.1:9/x.js"});
            add("style", {textContent: "body {display: none}"});
            add("img", {src: "http://127.0.0.1:9/x.png"});
            document.body.insertAdjacentHTML("beforeend", "<b onclick='injected = true'>x</b>");
            document.body.lastChild.click();
            setTimeout("window.injected = true"); // as eval would
            await fetch("http://127.0.0.1:9/").catch(() => {});
            await new Promise((done) => setTimeout(done, 100));
            return {blocked, injected: window.injected ?? false,
                shown: getComputedStyle(document.body).display};
        }"""
    )
    assert {
        "script-src-elem",
        "script-src-attr",
        "style-src-elem",
        "img-src",
        "connect-src",
        "script-src",
    } <= set(blocked["blocked"])
    assert blocked["injected"] is False
    assert blocked["shown"] == "block"
    desk.problems.clear()  # the browser complained about each


@pytest.mark.parametrize("file", ["../../secret.jpg", "http://127.0.0.1:9/x.jpg", "faces/x.svg"])
def test_only_pictures_beside_the_page_are_ever_asked_for(desk: Desk, file: str) -> None:
    data = with_matches([("Ann", "Bea", 99.9)], pictures=False)
    data["faces"][0]["file"] = data["photographs"][0]["file"] = file
    page = desk.open(data, pictures=False)
    page.click("text=All photographs")

    assert desk.requests == [(desk.folder / "index.html").as_uri()]
    choose(page, "all") if page.is_hidden("#details") else page.keyboard.press("Escape")


def test_the_data_cannot_end_its_element_and_comes_back_as_it_was() -> None:
    data = document(stack="</script><!--&\u2028\ud800")
    page = render(data)
    text = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]

    assert json.loads(text) == data
    assert not set("<>&") & set(text)
    assert page.isascii() or "\u2028" not in page
    with pytest.raises(ValueError, match="JSON"):
        render(document(threshold=float("nan")))
