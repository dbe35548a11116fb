"""Decisions that a browser has kept since, on the page that is written today."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.before import kept
from tests.page.conftest import (
    browser,  # noqa: F401 - a fixture, which the next one uses
    choose,
    desk,  # noqa: F401 - a fixture
    exported_decisions,
    names_shown,
)
from tests.page.synthetic import with_matches

if TYPE_CHECKING:
    from tests.page.conftest import Desk


def test_they_are_there_and_exported_as_they_were(desk: Desk) -> None:  # noqa: F811 - the fixture
    decided = kept.document("decisions.json")["decisions"]
    for key, value in kept.document("browser.json").items():
        store = f"localStorage.setItem({json.dumps(key)}, {json.dumps(value)})"
        desk.context.add_init_script(store)
    pairs = [(decision["name_a"], decision["name_b"]) for decision in decided]

    data = with_matches([(*pair, 99.5) for pair in pairs])
    for (one, other, _), decision in zip(data["matches"], decided, strict=True):
        data["faces"][one]["id"], data["faces"][other]["id"] = decision["face_ids"][:2]

    page = desk.open(data)

    assert names_shown(page) == []  # all are decided, on the faces that were seen
    for standing, pair in zip(("same", "different", "unsure"), pairs, strict=True):
        choose(page, standing)
        assert names_shown(page) == [pair]
    exported = exported_decisions(page)
    assert [{field: each[field] for field in decided[0]} for each in exported] == decided
