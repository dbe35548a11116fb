"""The console script: Ctrl-C ends it quietly from the first moment on, before all is imported."""

from __future__ import annotations

import os
import signal
from typing import Final, NoReturn

#: As in facematch.cli.main, whose import this is about.
INTERRUPTED: Final = 130


def _interrupt(*_signal: object) -> NoReturn:
    # At once: an exception would come out of whatever is being imported, and nothing has begun.
    os.write(2, b"Interrupted before it began.\n")
    os._exit(INTERRUPTED)


def main() -> NoReturn:
    """Run the command line, which handles Ctrl-C itself once it is there."""
    signal.signal(signal.SIGINT, _interrupt)
    from facematch.cli import main as cli  # noqa: PLC0415 - takes a third of a second

    cli.main()


if __name__ == "__main__":
    main()
