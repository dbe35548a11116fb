"""The page in a real browser: headless Chromium, driven by Playwright."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from facematch.evidence.page import render

from .chromium import chromium
from .synthetic import draw_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Dialog, Page

#: Instead of the charting library: draws nothing, and takes what the page says to it.
_NONE = """window.vegaEmbed = async () => {
    const view = {signal: () => view, runAsync: async () => view};
    return {view};
};"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a file; it ends with them, since its event loop disturbs others.

    Not for the package: another package imports this fixture, and there it would end with the last
    test of all.
    """
    with chromium() as launched:
        yield launched


_TOLD_SECONDS = 10
_KEPT = "JSON.stringify(Object.entries(localStorage).sort())"


class Desk:
    """A browser profile of its own, and the folder from which it opens pages.

    Attributes
    ----------
    problems
        What went wrong in any page: messages of the console, errors of scripts, dialogs.
    requests
        The URLs that the pages asked for.
    """

    def __init__(self, context: BrowserContext, folder: Path) -> None:
        self.context = context
        self.folder = folder
        self.problems: list[str] = []
        self.requests: list[str] = []

    def open(self, data: dict[str, Any], *, charts: bool = False, pictures: bool = True) -> Page:
        """Write the page for this data, over one that is there, and open it.

        The charting library is most of the page, and only some tests are about `charts`.
        """
        self.folder.mkdir(exist_ok=True)
        with (
            nullcontext() if charts else patch(f"{render.__module__}.chart_library", lambda: _NONE)
        ):
            text = render(data)
        (self.folder / "index.html").write_text(text, encoding="utf-8")
        if pictures:
            draw_pictures(data, self.folder)
        for earlier in self.context.pages[-1:]:
            self._wait_until_kept(earlier.evaluate(_KEPT))
        page = self.context.new_page()
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("dialog", self._dismiss)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto((self.folder / "index.html").as_uri())
        if charts:
            for chart in ("histogram", "days", "failures"):
                page.wait_for_selector(f"#{chart} svg, #{chart} .empty")
        return page

    def _wait_until_kept(self, kept: str) -> None:
        """Wait until a new tab sees what an earlier one has kept.

        A tab tells the browser a moment later. One that is opened within that moment, by no person,
        would not see it.
        """
        empty = self.folder / "empty.html"
        empty.touch()
        deadline = time.monotonic() + _TOLD_SECONDS
        found = None
        while found != kept and time.monotonic() < deadline:
            tab = self.context.new_page()
            tab.goto(empty.as_uri())
            found = tab.evaluate(_KEPT)
            tab.close()
        assert found == kept, "a new tab does not see what an earlier one has kept"

    def _note(self, kind: str, text: str) -> None:
        self.problems.append(f"{kind}: {text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self._note("dialog", dialog.message)
        dialog.dismiss()


@pytest.fixture
def desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    """A fresh profile: nothing is stored yet. In the end no page may have complained."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(10_000)
    made = Desk(context, tmp_path / "dashboard")
    yield made
    context.close()
    assert made.problems == []


def names_shown(page: Page) -> list[tuple[str, str]]:
    """The pairs in the list, in order, as their names are written.

    By textContent, as Playwright's `expect` reads too: the inner text of an element whose
    content-visibility is auto is empty until the browser has drawn it.
    """
    found: list[list[str]] = page.eval_on_selector_all(
        "#list .card",
        "cards => cards.map(c => [...c.querySelectorAll('.faces .name')].map(n => n.textContent))",
    )
    return [(one, other) for one, other in found]


def set_threshold(page: Page, threshold: float) -> None:
    """By the slider, as a hand would move it."""
    page.eval_on_selector(
        "#threshold",
        "(slider, value) => {slider.value = value; slider.dispatchEvent(new Event('input'))}",
        str(threshold),
    )


def choose(page: Page, standing: str) -> None:
    """Choose a tab: open, same, different, unsure, all, conflicts."""
    page.check(f"#standing input[value={standing}]")


def introduce(page: Page, name: str = "Robin") -> None:
    """Say who decides, when the page asks."""
    page.fill("#reviewer-name", name)
    page.keyboard.press("Enter")


def decide(page: Page, *keys: str) -> None:
    """Go to the first pair, and decide on one pair after the other by these keys."""
    page.keyboard.press("j")
    for key in keys:
        page.keyboard.press(key)
        if page.is_visible("#reviewer"):
            introduce(page)


def exported(page: Page, label: str) -> str:
    """The text of the file that a button downloads, with its byte order mark."""
    with page.expect_download() as download:
        page.click(f"#decisions button:text-is('{label}')")
    return download.value.path().read_bytes().decode()


def exported_decisions(page: Page) -> list[dict[str, Any]]:
    """The decisions of the exported JSON."""
    found: list[dict[str, Any]] = json.loads(exported(page, "Export JSON"))["decisions"]
    return found
