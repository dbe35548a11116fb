"""Nothing that comes from outside controls a terminal, whichever way it is printed."""

from __future__ import annotations

import ast
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from rich.table import Table
from rich.text import Text

from facematch.cli import main as cli
from facematch.cli import terminal
from facematch.cli.terminal import fail, json_text, messages, output, print_json, progress, safe
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable

#: Sets a title, colours, moves the cursor, deletes, turns the direction; markup and emoji codes.
HOSTILE = "A\x1b]0;x\x07\x1b[31m\x9b1A\x08\r\x7f\u202e\u2028[bold]b[/x]:smile:Z"
#: As it is shown: what has an effect is a space, or left out.
SHOWN = "A ]0;x [31m 1A   [bold]b[/x]:smile:Z"


def table(**options: Any) -> Table:
    made = Table("Name", **options)
    made.add_row(HOSTILE)
    made.add_row(Text(HOSTILE))
    made.add_row(safe(HOSTILE))
    return made


def bar(_: Any) -> None:
    with progress() as bars:
        bars.add_task(HOSTILE, total=1)


@pytest.mark.parametrize("console", [output, messages])
@pytest.mark.parametrize(
    "show",
    [
        lambda console: console.print(HOSTILE, soft_wrap=True),
        lambda console: console.print(Text(HOSTILE), soft_wrap=True),
        lambda console: console.print(HOSTILE, style="red", soft_wrap=True),
        lambda console: console.print(table()),
        lambda console: console.print(table(title=HOSTILE)),
        lambda console: console.status(Text(HOSTILE)).__enter__().stop(),
        bar,
    ],
)
def test_no_text_on_a_console_has_an_effect(
    console: Any, show: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show(console)
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "0;x" in text or not text  # nothing moves where there is no terminal
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_has_no_effect_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.print(f"{HOSTILE}\nsecond line", soft_wrap=True)
    assert capsys.readouterr().out.split("\n") == [SHOWN, "second line", ""]


def test_an_error_has_its_lines_and_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail(f"It failed:\n{HOSTILE}", 2)
    assert ended.value.code == 2
    first, second, *_ = capsys.readouterr().err.split("\n")
    assert first == "Error: It failed:"
    assert second == SHOWN


def test_the_traceback_of_a_bug_has_no_effect_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down() -> None:
        raise ValueError(HOSTILE)

    monkeypatch.setattr(cli, "app", break_down)
    monkeypatch.setattr(sys, "argv", ["facematch"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "Traceback" in said
    assert f"ValueError: {SHOWN}" in said


def test_json_has_every_text_exactly_and_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({HOSTILE: [HOSTILE]}, indent=2)
    printed = capsys.readouterr().out
    assert json.loads(printed) == {HOSTILE: [HOSTILE]}
    assert printed.isascii()
    assert all(line.isprintable() for line in printed.split("\n"))
    assert json_text("".join(map(chr, range(160)))).isprintable()


#: Modules that print in another way than by `terminal`, and why nothing from outside gets out so.
PRINTING = {
    "facematch.cli.terminal": "the one place",
    "facematch.cli.audit": "json_text",
    "workflow.synthesis": "settings of the person who calls it, and paths in the project",
    "facematch.local.serve": "a log, or sentences through shown()",
    "facematch.local.emulator.forks": "what a function prints, for MiniStack to read",
    "facematch.local.emulator.disk": "a log",
    "facematch.local.emulator.snapshots": "a log",
    "facematch.local.rekognition.server": "a log",
    "facematch.local.package_index": "a file, to its parent",
    "facematch.cli.query": "CSV, without control characters on a terminal",
}


def test_everything_is_printed_in_one_place() -> None:
    found = set()
    for path in sorted(
        [*(PROJECT / "facematch").rglob("*.py"), PROJECT / "workflow" / "synthesis.py"]
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
            elif isinstance(node, ast.Attribute):
                called = ast.unparse(node)
            else:
                continue
            if called in {"print", "typer.echo", "Console", "sys.stdout", "sys.stderr"}:
                found.add(".".join(path.relative_to(PROJECT).with_suffix("").parts))
    assert found - {"facematch.cli.main"} == set(PRINTING)  # cli sets the streams up
    assert terminal.output is output


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The first line on standard error."""
    deadline = time.monotonic() + 10
    text = ""
    while not text.endswith("\n") and time.monotonic() < deadline:
        time.sleep(0.01)
        text += capsys.readouterr().err
    return text


def test_a_wait_that_no_terminal_shows_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "TELL_SECONDS", 0.01)

    with terminal.messages.status("listing faces") as status:
        assert "listing faces: 1 s so far\n" in told(capsys)
        status.update("listing images")
        told(capsys)
        assert "listing images: 1 s so far\n" in told(capsys)
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_progress_that_no_terminal_shows_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "TELL_SECONDS", 0.01)

    with terminal.progress() as bars:
        uploaded = bars.add_task("photographs uploaded", total=3)
        bars.add_task("executions finished", total=1200)
        bars.advance(uploaded, 3)
        told(capsys)
        text = told(capsys)
    assert "executions finished: 0 of 1,200\n" in text
    assert "photographs uploaded" not in text  # done


def test_a_progress_that_no_terminal_shows_tells_how_long_it_will_take(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "TELL_SECONDS", 0.05)
    with terminal.progress() as bars:
        task = bars.add_task("executions finished", total=300)
        for _ in range(10):
            time.sleep(0.01)
            bars.advance(task, 10)
        told(capsys)
        text = told(capsys)
    assert re.search(r"executions finished: 100 of 300, \d+ s left", text), text


def test_a_wait_on_a_terminal_prints_no_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "TELL_SECONDS", 0.01)
    monkeypatch.setattr(terminal.messages, "_force_terminal", True)

    with terminal.messages.status("listing faces"):
        time.sleep(0.1)
    assert "so far" not in capsys.readouterr().err
