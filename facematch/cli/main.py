"""The command line: facematch. It ends with an `ExitStatus`."""

from __future__ import annotations

import io
import signal
import sys
import traceback
from collections import UserDict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from facematch.cli.exit_status import ExitStatus, Interrupted
from facematch.cli.terminal import fail, messages
from facematch.errors import Actionable, Unusable, about_file
from facematch.stack.errors import AWS_ERRORS, explained
from facematch.text import visible
from workflow.synthesis import RefusedSettingError, SynthesisError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The commands in the order of the help, each in the module of its name.
_COMMANDS: Final = (
    *("local", "decisions", "collection", "demo", "upload", "matches", "evidence", "search"),
    *("status", "executions", "show", "failures", "replay", "audit", "backfill", "query", "forget"),
    *("deploy", "destroy", "cost", "evaluate", "calibrate"),
)
#: Names that commands had before; they work, and the help does not show them.
FORMER: Final = {"dashboard": "evidence"}


class _Imported(UserDict[str, Any]):
    """The commands by their names. The module of each is imported when the command is asked for.

    To import them all would take a command half a second more.
    """

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(_COMMANDS))

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - typer's own, or click's
        if self.data[name] is None:
            self.data[name] = _command(name)
        return self.data[name]


class _Commands(TyperGroup):
    """All commands, as `_Imported` has them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Imported()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - click's context
        return [*_COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        return super().get_command(ctx, FORMER.get(cmd_name, cmd_name))


def _command(name: str) -> Any:  # noqa: ANN401 - typer's own, or click's
    module = import_module(f"facematch.cli.{name}")
    if group := getattr(module, f"{name}_app", None):
        made = get_group(group)
        made.name = name
        return made
    one = typer.Typer(add_completion=False)
    function: Callable[..., None] = getattr(module, name)
    one.command(name, context_settings=getattr(module, "CONTEXT_SETTINGS", None))(function)
    return get_command(one)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _facematch() -> None:
    """Finds the same person under different names in photographs."""


def _interrupt(*_signal: object) -> NoReturn:
    raise Interrupted


def _require_text(arguments: list[str]) -> None:
    """Raise `Unusable` for an argument that nothing can be asked with; a file may have any name."""
    for argument in arguments:
        shown = visible(argument)
        path = argument.partition("=")[2] if argument.startswith("--") else argument
        if shown != argument and not Path(path).exists():
            raise Unusable(
                f"{shown} is not UTF-8, and names no file here. Write it in UTF-8, as keys and "
                "names are."
            )


def status_of(error: Actionable) -> ExitStatus:
    """The exit code that an error ends a command with."""
    return ExitStatus.UNUSABLE if isinstance(error, Unusable) else ExitStatus.FAILED


def main() -> NoReturn:
    """Run the command line; an error that people can act on is one sentence, not a traceback."""
    signal.signal(signal.SIGINT, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is shown by its number; nothing ends for it.
            stream.reconfigure(errors="backslashreplace")
    try:
        _require_text(sys.argv[1:])
        app()
    except Actionable as error:
        fail(str(error), status_of(error))
    except SynthesisError as error:
        refused = isinstance(error, RefusedSettingError)
        fail(str(error), ExitStatus.UNUSABLE if refused else ExitStatus.FAILED)
    except AWS_ERRORS as error:
        said = explained(error)
        fail(str(said), status_of(said))
    except OSError as error:
        fail(str(about_file(error)), ExitStatus.FAILED)
    except ModuleNotFoundError as error:
        fail(
            f"This command needs the package {error.name!r}, which is not installed. Install "
            "everything that the checkout needs: make setup",
            ExitStatus.UNUSABLE,
        )
    except Interrupted:
        messages.print("Interrupted. What is done is done; repeat the command to go on.")
        sys.exit(ExitStatus.INTERRUPTED)
    except Exception:  # noqa: BLE001 - a bug: its traceback may quote what comes from outside
        messages.print(traceback.format_exc(), soft_wrap=True)
        sys.exit(ExitStatus.FAILED)
    sys.exit(ExitStatus.DONE)


if __name__ == "__main__":
    main()
