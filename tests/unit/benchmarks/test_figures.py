"""The plots of docs/measured.md are those of the figures that stand beside them."""

from __future__ import annotations

import json
import re

import pytest

from tests.benchmarks import figures
from workflow.project import PROJECT

PAGE = (PROJECT / "docs" / "measured.md").read_text()
MADE = figures.specifications()


def test_every_plot_has_its_measurements() -> None:
    assert MADE.keys() == figures.DRAWN.keys()


def test_the_page_shows_every_plot_once() -> None:
    assert sorted(re.findall(r"\]\(figures/([\w-]+)\.svg\)", PAGE)) == sorted(figures.DRAWN)


@pytest.mark.parametrize("name", figures.DRAWN)
def test_a_plot_is_drawn_from_the_measurements_of_today(name: str) -> None:
    drawn = (figures.FIGURES / f"{name}.svg").read_text()

    assert drawn.endswith(f"{figures.mark(MADE[name])}\n"), "make figures"


def test_another_figure_is_another_plot() -> None:
    measured = json.loads((figures.MEASURED / "cost.json").read_text())
    measured["designs"][0]["per_1000_images"]["image"] += 0.01

    changed = figures.cost({"cost": measured})

    assert figures.mark(changed) != figures.mark(MADE["cost"])
