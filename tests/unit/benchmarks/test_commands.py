"""The table of the commands' times is the one that was measured."""

from __future__ import annotations

import json

from tests.benchmarks.commands import TARGETS, YARDSTICK, table
from workflow.project import PROJECT

MEASURED = json.loads((PROJECT / "docs" / "measured" / "commands.json").read_text())


def test_the_document_has_the_table_of_what_was_measured() -> None:
    assert table(MEASURED) in (PROJECT / "docs" / "measured.md").read_text()


def test_every_command_with_a_target_was_measured_beside_the_yardstick() -> None:
    assert MEASURED["commands"].keys() >= {YARDSTICK, *TARGETS}
    assert MEASURED["commands"][YARDSTICK]["multiple"]["max"] == 1
