"""How long the page takes to open, and to answer to its controls.

    python -m tests.benchmarks.page --matches 10000 --photographs 5000

In headless Chromium. An answer is timed from the event of the control to the frame that shows it:
new counts, list, groups and histogram. The pictures are left out, since they load lazily.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from facematch.evidence.page import render
from tests.page.chromium import FLAGS
from tests.page.synthetic import large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

# Two frames later the first one has been drawn.
_ANSWER = """async ([id, event, value]) => {
    const control = document.getElementById(id);
    const started = performance.now();
    control.value = value;
    control.dispatchEvent(new Event(event, {bubbles: true}));
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    return performance.now() - started;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matches", type=int, default=10_000)
    parser.add_argument("--photographs", type=int, default=5_000)
    arguments = parser.parse_args()
    data = large(photographs=arguments.photographs, matches=arguments.matches, pictures=False)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        started = time.perf_counter()
        page_file = Path(folder) / "index.html"
        page_file.write_text(render(data), encoding="utf-8")
        size = page_file.stat().st_size / 1e6
        print(f"rendered in {time.perf_counter() - started:.2f} s, {size:.1f} MB")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        page.goto(page_file.as_uri())
        page.wait_for_selector("#histogram svg")
        print(f"opened in {time.perf_counter() - started:.2f} s")
        sweep = [80 + step / 2 for step in range(40)]
        report(page, "slider, 80 % to 99.5 %", "threshold", "input", sweep)
        report(page, "slider, back", "threshold", "input", list(reversed(sweep)))
        report(
            page, "search, letter by letter", "search", "input", ["a", "an", "ann", "ann ", ""] * 4
        )
        report(page, "order", "sort", "change", ["name", "newest", "photographs", "similarity"] * 5)
        browser.close()


def report(page: Page, what: str, control: str, event: str, values: Sequence[float | str]) -> None:
    times = [page.evaluate(_ANSWER, [control, event, str(value)]) for value in values]
    middle, worst = statistics.median(times), max(times)
    print(f"{what}: median {middle:.0f} ms, worst {worst:.0f} ms of {len(times)}")


if __name__ == "__main__":
    main()
