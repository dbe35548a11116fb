"""The table of the commands' times is the one that was measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.benchmarks.commands import TARGETS, YARDSTICK, table
from workflow.project import PROJECT

MEASURED = [
    json.loads((PROJECT / "docs" / "measured" / name).read_text())
    for name in ("commands.json", "commands_13000.json")
]


@pytest.mark.parametrize("measured", MEASURED)
def test_the_document_has_the_table_of_what_was_measured(measured: dict[str, Any]) -> None:
    assert table(measured) in (PROJECT / "docs" / "measured.md").read_text()


@pytest.mark.parametrize("measured", MEASURED)
def test_every_command_with_a_target_was_measured_beside_the_yardstick(
    measured: dict[str, Any],
) -> None:
    assert measured["commands"].keys() >= {YARDSTICK, *TARGETS}
    assert measured["commands"][YARDSTICK]["multiple"]["max"] == 1
