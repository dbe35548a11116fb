"""The process that holds the local cloud: ``python -m facematch.local.serve``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from facematch.local.cloud import LocalCloud
from facematch.local.home import Home, LocalCloudError
from facematch.terminal import shown


class _EndedError(BaseException):
    """A signal came while the local cloud started."""


def main(arguments: list[str] | None = None) -> int:
    """Start the local cloud and hold it until SIGTERM or Ctrl-C, or until a part of it dies."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
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
    cloud = LocalCloud(Home(options.home), overrides=overrides, say=print)
    try:
        with cloud:
            starting = False
            running = cloud.running
            print(f"ready: {running.endpoint if running else ''}", flush=True)
            while not ending.wait(0.5):
                if dead := cloud.ended_child():
                    print(f"The process {dead!r} ended by itself. See {cloud.home.logs}.")
                    return 1
    except LocalCloudError as error:
        print(shown(str(error)))
        return 1
    except _EndedError:
        print("Ended while it started, as it was asked to.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
