"""What the page shows: pairs, numbers, charts, groups, photographs; and how it recounts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from .conftest import choose, names_shown, set_threshold
from .synthetic import document, large, with_matches

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import Desk

Names = tuple[str, str]


def name_of(data: dict[str, Any], face: int) -> str:
    """Whose photograph it is."""
    name: str = data["photographs"][data["faces"][face]["photograph"]]["name"]
    return name


def best_by_names(data: dict[str, Any]) -> dict[Names, float]:
    """Pairs of records and their best similarity, counted without the page."""
    best: dict[Names, float] = {}
    for one, other, similarity in data["matches"]:
        names = (name_of(data, one), name_of(data, other))
        best[names] = max(similarity, best.get(names, 0))
    return best


def groups(pairs: set[Names]) -> set[frozenset[str]]:
    """Connected names, found by walking from each of them."""
    neighbours: dict[str, set[str]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    found = set()
    for name in neighbours:
        reached, ahead = {name}, [name]
        while ahead:
            new = neighbours[ahead.pop()] - reached
            reached |= new
            ahead += new
        found.add(frozenset(reached))
    return found


def count_of(page: Page) -> int:
    """How many pairs the page says that it shows under the chosen tab."""
    return int(page.inner_text("#standing label:has(:checked) .figure").replace(",", ""))


def groups_counted(page: Page) -> int:
    return int(page.inner_text("#groups-explain").split()[0].replace(",", ""))


def test_it_shows_everything_and_asks_for_nothing_but_pictures_beside_it(desk: Desk) -> None:
    data = large(photographs=120, matches=100)
    page = desk.open(data, charts=True)
    pictures = {item["file"] for kind in ("faces", "photographs") for item in data[kind]}
    beside = f"{desk.folder.as_uri()}/"

    assert len(desk.requests) > 2
    assert {url.removeprefix(beside) for url in desk.requests} <= pictures | {"index.html"}
    assert page.eval_on_selector(
        "#list img", "image => image.decode().then(() => image.naturalWidth)"
    )
    assert page.inner_text("#delete-command") == data["delete_command"]
    assert "These are candidates for a person" in page.inner_text("header")
    tiles = dict(
        page.eval_on_selector_all(
            "#numbers div", "tiles => tiles.map(t => [...t.children].map(c => c.textContent))"
        )
    )
    assert tiles["Photographs"] == f"{data['counts']['images']:,}"
    assert tiles["Rejected"] == f"{data['counts']['REJECTED']:,}"
    assert page.locator("#failures-table tbody tr").count() == len(data["failures"])
    assert page.locator("#days-table tbody tr").count() == len(data["days"])


def test_slider_and_search_recount_as_a_count_without_the_page_does(desk: Desk) -> None:
    data = large(photographs=300, matches=400, pictures=False)
    best = best_by_names(data)
    page = desk.open(data, charts=True)

    for threshold in (80, 92.5, 97, 99.3, 99.9):
        set_threshold(page, threshold)
        reaching = {names for names, similarity in best.items() if similarity >= threshold}
        assert count_of(page) == len(reaching)
        assert groups_counted(page) == len(groups(reaching))
        assert set(names_shown(page)) <= reaching
        assert len(names_shown(page)) == min(50, len(reaching))

    set_threshold(page, 90)
    for typed, folded in (("garcia", "García"), ("ELODIE", "Élodie"), ("jun lee", "")):
        page.fill("#search", typed)
        expected = {
            (one, other)
            for (one, other), similarity in best.items()
            if similarity >= 90
            and (folded in one or folded in other if folded else "Jun_Lee_" in one + "|" + other)
        }
        if folded:
            assert count_of(page) == len(expected) > 0
        else:  # two words may be in two names
            assert count_of(page) >= len(expected)


def test_a_similarity_is_cut_and_never_rounded_up_to_the_threshold(desk: Desk) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 98.9999), ("Ann", "Cleo", 99.0)]))

    assert names_shown(page) == [("Ann", "Cleo")]
    set_threshold(page, 98.9)
    expect(page.locator("#list .similarity b")).to_have_text(["99.00 %", "98.99 %"])


def test_order_and_photographs_that_support_a_pair_follow_the_threshold(desk: Desk) -> None:
    data = with_matches(
        [
            ("Ann#1", "Bea#1", 99.9),
            ("Cleo#1", "Dan#1", 99.5),
            ("Cleo#2", "Dan#1", 99.4),
            ("Cleo#2", "Dan#2", 85.0),
            ("Cleo#1", "Dan#2", 81.0),
            ("Ann#1", "Zoe#1", 99.2),
        ]
    )
    data["photographs"][-1]["uploaded"] = "2026-12-24T00:00:00Z"
    newest = data["photographs"][-1]["name"]
    page = desk.open(data)

    assert names_shown(page) == [("Ann", "Bea"), ("Cleo", "Dan"), ("Ann", "Zoe")]
    page.select_option("#sort", "photographs")
    assert names_shown(page)[0] == ("Cleo", "Dan")
    expect(page.locator("#list .support").first).to_have_text("3 photographs (2 + 1), 2 matches")
    set_threshold(page, 85)
    expect(page.locator("#list .support").first).to_have_text("4 photographs (2 + 2), 3 matches")
    set_threshold(page, 80)
    expect(page.locator("#list .support").first).to_have_text("4 photographs (2 + 2), 4 matches")
    page.select_option("#sort", "newest")
    assert newest in names_shown(page)[0]
    page.select_option("#sort", "name")
    assert names_shown(page) == [("Ann", "Bea"), ("Ann", "Zoe"), ("Cleo", "Dan")]


def test_each_pair_says_how_its_names_relate_and_can_be_ordered_by_that(desk: Desk) -> None:
    page = desk.open(
        with_matches(
            [
                ("Ann Lee#1", "LEE, Ann#1", 99.9),
                ("Ann Lee#1", "Bruce Lee#1", 99.8),
                ("Ann Lee#1", "Max Planck#1", 99.7),
            ]
        )
    )

    said = ("unrelated names", "names with a part in common", "two spellings of one name")
    expect(page.locator("#list .relation")).to_have_text([f"They have {words}." for words in said])
    headings = [f"1 pair with {words}" for words in said]
    expect(page.locator(".card-group h3")).to_have_text(headings)
    assert [names[1] for names in names_shown(page)] == ["Max Planck", "Bruce Lee", "LEE, Ann"]
    page.select_option("#sort", "similarity")
    assert [names[1] for names in names_shown(page)] == ["LEE, Ann", "Bruce Lee", "Max Planck"]
    expect(page.locator(".card-group")).to_have_count(0)


def test_two_records_with_one_name_are_told_apart_by_their_ids(desk: Desk) -> None:
    data = with_matches([("Ann Lee#1", "LEE, Ann#1", 99.9)])
    for photograph, record in zip(data["photographs"], ("id:007", "id:07"), strict=True):
        photograph |= {"name": "Ann Lee", "record": record}
    data["records"] = {"id:007": "Ann Lee (id 007)", "id:07": "Ann Lee (id 07)"}
    data["relations"] = [("id:007", "id:07", "SAME_NAME")]
    page = desk.open(data)

    expect(page.locator("#list .card .name")).to_have_text(["Ann Lee (id 007)", "Ann Lee (id 07)"])
    expect(page.locator("#list .relation")).to_have_text("They have the same name.")
    page.click("#list button:has-text('All photographs')")
    expect(page.locator("#details h2")).to_have_text("Ann Lee (id 007) and Ann Lee (id 07)")


def test_a_long_list_comes_page_by_page_by_button_and_by_key(desk: Desk) -> None:
    page = desk.open(
        with_matches(
            [(f"A{i:03}", f"B{i:03}", 99.9 - i / 1000) for i in range(120)], pictures=False
        )
    )

    # By its key: cards are drawn once they come into view, and may move the button under a mouse
    # that scrolled there and clicks in the same moment.
    page.press("#more", "Enter")
    expect(page.locator(".card:focus h3")).to_have_text("A050 and B050")
    assert len(names_shown(page)) == 100
    page.keyboard.press("k")
    expect(page.locator(".card:focus h3")).to_have_text("A049 and B049")
    for _ in range(51):
        page.keyboard.press("j")
    expect(page.locator(".card:focus h3")).to_have_text("A100 and B100")
    shown = names_shown(page)
    assert len(shown) == 120
    assert all(one < other for one, other in pairwise(shown))


def test_a_pair_of_copies_is_called_that_with_what_the_other_photographs_say(desk: Desk) -> None:
    data = with_matches(
        [
            ("Ann#1", "Bea#1", 99.99),
            ("Ann#2", "Bea#1", 99.5),
            ("Ann#2", "Cleo#1", 99.4),
            ("Dora#1", "Eve#1", 99.3),
        ]
    )
    content = {"images/Ann_0001.jpg": "a-1", "images/Bea_0001.jpg": "a-1"}
    content |= {"images/Dora_0001.jpg": "b-1", "images/Eve_0001.jpg": "b-1"}
    content |= {"images/Cleo_0001.jpg": "c-1"}
    for photograph in data["photographs"]:
        photograph["content"] = content.get(photograph["key"])
    page = desk.open(data)

    cards = page.locator(".card")
    assert "The best match of two different files is 99.50 % similar" in cards.nth(0).inner_text()
    assert "same file" not in cards.nth(1).inner_text()
    assert "This page shows no match of two different files" in cards.nth(2).inner_text()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    details = page.locator("#details")
    assert "The two photographs are the same file. One file" in details.inner_text()
    assert details.locator("tbody tr").all_inner_texts() == [
        "99.99 %\timages/Ann_0001.jpg\timages/Bea_0001.jpg\tthe same file",
        "99.50 %\timages/Ann_0002.jpg\timages/Bea_0001.jpg\t",
    ]


def test_the_details_show_all_photographs_of_both_with_boxes_and_every_match(desk: Desk) -> None:
    data = with_matches(
        [
            ("Ann#1", "Bea#1", 99.9),
            ("Ann#2", "Bea#1", 85.0),
            ("Ann#3", "Cleo#1", 99.1),
        ]
    )
    page = desk.open(data)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    details = page.locator("#details")

    captions = details.locator(".column").first.locator(".photographs figcaption").all_inner_texts()
    assert [caption.split("\n")[0] for caption in captions] == [
        f"images/Ann_000{number}.jpg" for number in (1, 2, 3)
    ]
    assert "99.90 %" in captions[0]
    assert "below the threshold" in captions[1]
    assert "no match with the other record" in captions[2]
    assert details.locator("tbody tr").all_inner_texts() == [
        "99.90 %\timages/Ann_0001.jpg\timages/Bea_0001.jpg\t",
        "85.00 %\timages/Ann_0002.jpg\timages/Bea_0001.jpg\tbelow the threshold",
    ]
    image = details.locator(".frame img").first.bounding_box()
    box = details.locator(".frame rect").first.bounding_box()
    assert image
    assert box
    left, top, width, height = data["faces"][0]["box"]
    assert box["x"] - image["x"] == pytest.approx(left * image["width"], abs=3)
    assert box["y"] - image["y"] == pytest.approx(top * image["height"], abs=3)
    assert box["width"] == pytest.approx(width * image["width"], abs=5)
    assert box["height"] == pytest.approx(height * image["height"], abs=5)

    page.keyboard.press("j")
    expect(page.locator("#details-title")).to_have_text("Ann and Cleo")
    page.keyboard.press("Escape")
    expect(page.locator(".card:focus h3")).to_have_text("Ann and Cleo")


def test_a_pair_that_was_decided_different_connects_no_group(desk: Desk) -> None:
    matches = [("Ann", "Bea", 99.9), ("Bea", "Cleo", 99.8), ("Cleo", "Dan", 99.7)]
    decided = {
        "name_a": "Bea",
        "name_b": "Cleo",
        "decision": "DIFFERENT_PEOPLE",
        "note": "",
        "decided_by": "Robin",
        "decided_at": "2026-11-20T10:00:00Z",
        "similarity": 99.8,
        "face_ids": [face["id"] for face in with_matches(matches)["faces"]],
    }

    page = desk.open(with_matches(matches))
    groups = page.locator("#group-list")
    expect(groups).to_contain_text("together up to a threshold of 99.70 %")
    expect(groups.locator(".member bdi")).to_have_text(["Ann", "Bea", "Cleo", "Dan"])

    page = desk.open(with_matches(matches, decisions=[decided]))
    assert groups_counted(page) == 2
    page.click("#group-list .member:has-text('Dan')")
    assert names_shown(page) == [("Cleo", "Dan")]


def test_a_page_without_a_match_says_so(desk: Desk) -> None:
    page = desk.open(document(), charts=True)

    assert "there is nothing to judge" in page.inner_text("#count")
    assert "every photograph was examined" in page.inner_text("#failures")
    choose(page, "all")
    assert names_shown(page) == []


def test_matches_below_the_threshold_are_pointed_out(desk: Desk) -> None:
    page = desk.open(with_matches([("Ann", "Bea", 91.0), ("Ann", "Cleo", 90.0)]))

    assert "2 pairs lie below" in page.inner_text("#count")


def test_what_is_beyond_the_limit_of_the_page_is_said(desk: Desk) -> None:
    pairs: list[tuple[str, str, float]] = [("Ann", "Bea", 99.9), ("Ann", "Cleo", 99.0)]
    page = desk.open(with_matches(pairs, left_out=5, best_left_out=99.8))
    hint = "From 99.80 % down the list is not complete: 5 more matches are left out"
    assert hint in page.inner_text("#threshold-hint")
    assert "the best match of each pair of records is here" in page.inner_text("#extent")

    page = desk.open(with_matches(pairs, left_out=5, best_left_out=99.8, pairs_left_out=2))
    assert f"{hint}, and with them 2 pairs of records." in page.inner_text("#threshold-hint")


def test_photographs_whose_reports_leave_names_out_are_named_with_what_to_do(desk: Desk) -> None:
    page = desk.open(document())
    assert page.inner_text("#lacking") == ""

    worst = [
        {"key": "images/Ann_1.jpg", "words": "looks like 6 more records than its report lists"}
    ]
    lacking = {"photographs": 101, "remedy": "Search again.", "worst": worst}
    page = desk.open(document(lacking=lacking))
    page.click("#lacking summary")

    text = page.inner_text("#lacking")
    assert "Pairs may be missing: 101 photographs look like more records" in text
    assert "images/Ann_1.jpg" in text
    assert "looks like 6 more records than its report lists" in text
    assert "Search again. These are the first 1; facematch query left_out lists all." in text


def test_a_picture_that_is_not_there_says_why(desk: Desk) -> None:
    data = with_matches([("Ann", "Bea", 99.9)])
    data["faces"][0]["file"] = None
    data["faces"][1]["file"] = "faces/00ff.jpg"
    page = desk.open(data, pictures=False)
    page.wait_for_selector("#list .missing >> nth=1")

    expect(page.locator("#list .missing").nth(0)).to_contain_text("could not be read")
    expect(page.locator("#list .missing").nth(1)).to_contain_text("no longer beside this page")
    desk.problems[:] = [text for text in desk.problems if "ERR_FILE_NOT_FOUND" not in text]
