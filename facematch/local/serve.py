"""The process that holds the local cloud: ``python -m facematch.local.serve``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from facematch.errors import about_file
from facematch.local.cloud import LocalCloud
from facematch.local.errors import LocalCloudError
from facematch.local.state_folder import StateFolder
from facematch.text import shown


class _EndedError(BaseException):
    """A signal came while the local cloud started."""


def main(arguments: list[str] | None = None) -> int:
    """Start the local cloud and hold it until SIGTERM or Ctrl-C, or until a part of it dies."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--lock", type=int, required=True, metavar="FILE_DESCRIPTOR")
    parser.add_argument("--context", action="append", default=[])
    options = parser.parse_args(arguments)
    overrides = dict(pair.partition("=")[::2] for pair in options.context)

    ending = threading.Event()
    starting = True

    def end(*_signal: object) -> None:
        if starting and not ending.is_set():
            ending.set()
            raise _EndedError  # which ends what was started already
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    os.set_inheritable(options.lock, False)  # noqa: FBT003 - the function's own interface
    lock = os.fdopen(options.lock, "r+")
    try:
        cloud = LocalCloud(StateFolder(options.home), lock=lock, overrides=overrides, say=_say)
        with cloud:
            starting = False
            running = cloud.running
            _say(f"ready: {running.endpoint if running else ''}")
            while not ending.wait(0.5):
                if cloud.ended.is_set():  # it has said why
                    return 1
    except LocalCloudError as error:
        _say(str(error))
        return 1
    except OSError as error:
        _say(str(about_file(error)))
        return 1
    except _EndedError:
        _say("Ended while it started, as it was asked to.")
    return 0


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {shown(text)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
