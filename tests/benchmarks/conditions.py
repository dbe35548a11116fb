"""Under which conditions something was measured, and how a measurement is kept."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Packages whose version changes the figures.
_PACKAGES: Final = ("boto3", "ministack", "numpy", "opencv-python-headless")
_MEGABYTE: Final = 1e6


def conditions(command: str) -> dict[str, Any]:
    """Date, machine and versions; the load before, since a busy machine measures itself.

    Parameters
    ----------
    command
        What reproduces the measurement.
    """
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": cores(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "load_before": round(os.getloadavg()[0], 1),
        "command": command,
    }


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Median and 95th percentile: the nearest of the values, none in between."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        name: ordered[min(len(ordered) - 1, int(part * len(ordered)))]
        for name, part in (("p50", 0.5), ("p95", 0.95))
    }


def spread(values: Iterable[float]) -> dict[str, float]:
    """Least, median and most."""
    known = list(values)
    return {"min": min(known), "median": statistics.median(known), "max": max(known)}


def write(measured: dict[str, Any], file: Path | None) -> None:
    """Keep a measurement, or print it."""
    text = json.dumps(_rounded(measured), indent=1) + "\n"
    if file is None:
        sys.stdout.write(text)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(file)


def _rounded(value: Any) -> Any:
    """Four significant digits: more were noise."""
    if isinstance(value, dict):
        return {str(key): _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def say(text: str) -> None:
    """Tell how far it is; the measurement itself may go to standard output."""
    print(text, file=sys.stderr, flush=True)


def end_in_order() -> None:
    """Let a signal end this process as an exception does: children, folders and all.

    The first one only: cleaning up is not interrupted.
    """
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, _frame: object) -> None:
        for each in signals:
            signal.signal(each, lambda *_: None)
        sys.exit(128 + number)

    for number in signals:
        signal.signal(number, leave)
