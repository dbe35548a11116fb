"""The command line: facematch. It ends with an `ExitStatus`."""

from __future__ import annotations

import io
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import typer

from facematch.cli.audit import audit
from facematch.cli.backfill import backfill
from facematch.cli.calibrate import calibrate
from facematch.cli.collection import collection_app
from facematch.cli.cost import cost
from facematch.cli.decisions import decisions_app
from facematch.cli.demo import demo
from facematch.cli.destroy import destroy
from facematch.cli.evaluate import evaluate
from facematch.cli.evidence import evidence
from facematch.cli.executions import executions
from facematch.cli.exit_status import ExitStatus, Interrupted
from facematch.cli.failures import failures
from facematch.cli.forget import forget
from facematch.cli.local import local_app
from facematch.cli.matches import matches
from facematch.cli.query import query
from facematch.cli.replay import replay
from facematch.cli.show import show
from facematch.cli.status import status
from facematch.cli.terminal import fail, messages
from facematch.cli.upload import upload
from facematch.errors import Actionable, Unusable, about_file
from facematch.stack.errors import AWS_ERRORS, explained
from facematch.text import visible
from workflow.synthesis import RefusedSettingError, SynthesisError

app = typer.Typer(
    help="Finds the same person under different names in photographs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(local_app, name="local")
app.add_typer(decisions_app, name="decisions")
app.add_typer(collection_app, name="collection")
for command in (
    demo,
    upload,
    matches,
    evidence,
    status,
    executions,
    show,
    failures,
    replay,
    audit,
    backfill,
    query,
    forget,
    destroy,
    cost,
    evaluate,
    calibrate,
):
    app.command()(command)
# As it was called when CloudWatch and QuickSight had no dashboards of their own.
app.command("dashboard", hidden=True)(evidence)


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
