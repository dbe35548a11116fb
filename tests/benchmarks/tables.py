"""The tables of docs/benchmarks.md, out of what was measured: none of their figures is typed.

    python -m tests.benchmarks.tables

reads docs/measured/*.json and writes the tables between the markers of the document; a test holds
the two equal. What has not been measured says so.
"""

from __future__ import annotations

import json
import re
import statistics
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.alternatives import OURS
from tests.benchmarks.conditions import spread
from tests.benchmarks.search import THROUGH_HTTP
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

DOCUMENT: Final = PROJECT / "docs" / "benchmarks.md"
MEASURED: Final = PROJECT / "docs" / "measured"
_NOT_MEASURED: Final = "Not measured yet."
_NOTHING: Final = "-"
#: Between which lines of the document a table stands.
_MARKED: Final = r"(<!-- table {name} -->\n).*?(<!-- end -->)"
#: In the order in which an image meets them; others behind.
_STATES: Final = ("IndexFaces", "Settle", "SearchFaces", "WriteReport", "NotifyMatch")

Row = list[str]


def tables(folder: Path) -> dict[str, str]:
    """Each table by the name of its marker, of the measurements in a folder."""
    measured = {
        name: _read(folder / f"{name}.json")
        for name in ("throughput", "engine", "search", "alternatives")
    }
    return {
        "targets": _targets(measured),
        **{
            name: make(found) if (found := measured[topic]) else _NOT_MEASURED
            for name, (topic, make) in _TABLES.items()
        },
    }


def written(document: str, made: dict[str, str]) -> str:
    """The document with these tables between its markers."""
    for name, text in made.items():
        place = re.compile(_MARKED.format(name=name), re.DOTALL)
        if (found := len(place.findall(document))) != 1:
            raise SystemExit(f"{DOCUMENT} has {found} places for the table {name!r}, not one.")
        before, start, end, after = place.split(document)
        document = f"{before}{start}{text}\n{end}{after}"
    return document


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text()) if file.exists() else None


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(values: Iterable[float], digits: int = 1, unit: str = "") -> str:
    """The median; least and most behind it when there are several."""
    known = list(values)
    found = spread(known)
    middle = f"{found['median']:,.{digits}f}{unit}"
    if len(known) == 1:
        return middle
    return f"{middle} ({found['min']:,.{digits}f} to {found['max']:,.{digits}f})"


def _conditions(measured: dict[str, Any]) -> str:
    told = measured["conditions"]
    packages = ", ".join(
        f"{name} {version}"
        for name, version in {**told["packages"], **measured.get("packages", {})}.items()
    )
    return (
        f"{told['date']}, {told['cores']} cores of {told['processor']}, {told['memory_gb']} GB, "
        f"{told['system']}, Python {told['python']}, {packages}; load before: "
        f"{told['load_before']}. `{told['command']}`"
    )


def _by_size(measured: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """The runs that count, by the number of images."""
    sizes: dict[int, list[dict[str, Any]]] = {}
    for run in measured["runs"]:
        if run["valid"]:
            sizes.setdefault(run["images"], []).append(run)
    return dict(sorted(sizes.items()))


def _throughput(measured: dict[str, Any]) -> str:
    sizes = _by_size(measured)
    rows = [
        [
            f"{images:,}",
            str(len(runs)),
            _shown(run["images_per_second"] for run in runs),
            _shown(run["engine"]["images_per_second"] for run in runs),
            _shown((100 * run["share_of_engine"] for run in runs), 0, " %"),
            _shown(run["matched"] / images * 100 for run in runs),
        ]
        for images, runs in sizes.items()
    ]
    head = ["images", "runs", "images/s", "engine alone, images/s", "share of it", "matched, %"]
    invalid = sum(not run["valid"] for run in measured["runs"])
    facts = next((runs[0] for runs in sizes.values()), None)
    described = (
        f"Photographs: {facts['photographs']}, of {facts['people']} people"
        if facts
        else "No run counts"
    )
    return (
        f"{_table(head, rows)}\n\n{described}. "
        f"Runs that do not count: {invalid}. {_conditions(measured)}"
    )


def _parts(measured: dict[str, Any]) -> str:
    sizes = _by_size(measured)

    def rows(of: Callable[[dict[str, Any]], dict[str, float]], total: str) -> list[Row]:
        names = {name: None for runs in sizes.values() for run in runs for name in of(run)}
        return [
            *(
                [name, *(_middle([of(run).get(name) for run in runs]) for runs in sizes.values())]
                for name in names
            ),
            ["**together**", *(_middle([run[total] for run in runs]) for runs in sizes.values())],
        ]

    head = [f"{images:,} images" for images in sizes]
    cpu = rows(lambda run: run["cpu_ms_per_image"], "cpu_ms_per_image_total")
    memory = rows(lambda run: run["peak_mb"], "peak_mb_total")
    return "\n\n".join(
        (_table(["CPU, ms per image", *head], cpu), _table(["peak memory, MB", *head], memory))
    )


def _middle(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):,.1f}" if known else _NOTHING


def _steps(measured: dict[str, Any]) -> str:
    sizes = _by_size(measured)
    states = {name for runs in sizes.values() for run in runs for name in run["state_seconds"]}
    ordered = [name for name in _STATES if name in states]

    def row(name: str, of: Callable[[dict[str, Any]], dict[str, float]]) -> Row:
        cells = [
            _seconds([of(run).get(part) for run in runs])
            for runs in sizes.values()
            for part in ("p50", "p95")
        ]
        return [name, *cells]

    rows = [
        row("waiting in the queue", lambda run: run["queue_seconds"]),
        *(row(name, partial(_of_state, name)) for name in ordered),
        row("whole execution", lambda run: run["execution_seconds"]),
    ]
    head = [f"{images:,} images, {part}" for images in sizes for part in ("p50", "p95")]
    return _table(["seconds", *head], rows)


def _of_state(name: str, run: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = run["state_seconds"].get(name, {})
    return found


def _seconds(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):,.3f}" if known else _NOTHING


def _constancy(measured: dict[str, Any]) -> str:
    sizes = _by_size(measured)
    if not sizes:
        return _NOT_MEASURED
    images, runs = list(sizes.items())[-1]
    tenths = [
        statistics.median(run["images_per_second_by_tenth"][tenth] for run in runs)
        for tenth in range(10)
    ]
    head = [f"{images:,} images", *(f"to {10 * tenth + 10} %" for tenth in range(10))]
    return _table(head, [["images/s", *(f"{rate:.1f}" for rate in tenths)]])


def _engine(measured: dict[str, Any]) -> str:
    by_processes: dict[int, list[dict[str, Any]]] = {}
    for run in measured["runs"]:
        by_processes.setdefault(run["processes"], []).append(run)
    rows = [
        [
            str(processes),
            _shown(run["images_per_second"] for run in runs),
            _shown(run["cpu_ms_per_image"] for run in runs),
        ]
        for processes, runs in sorted(by_processes.items())
    ]
    return (
        f"{_table(['processes', 'images/s', 'CPU, ms per image'], rows)}\n\n{_conditions(measured)}"
    )


def _search(measured: dict[str, Any]) -> str:
    rows = [
        [
            f"{run['faces']:,}",
            run["way"],
            f"{run['milliseconds']['p50']:.2f}",
            f"{run['milliseconds']['p95']:.2f}",
            f"{run['peak_mb_more']:,.0f}" if "peak_mb_more" in run else _NOTHING,
            str(run["neighbours_missed"]),
        ]
        for run in measured["runs"]
    ]
    head = ["faces", "", "p50, ms", "p95, ms", "memory, MB", "neighbours missed"]
    return f"{_table(head, rows)}\n\n{_conditions(measured)}"


def _by_way(measured: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    ways: dict[str, list[dict[str, Any]]] = {}
    for run in measured["runs"]:
        ways.setdefault(run["way"], []).append(run)
    return ways


def _median_rate(runs: list[dict[str, Any]]) -> float:
    rate: float = statistics.median(run["images_per_second"] for run in runs)
    return rate


def _alternatives(measured: dict[str, Any]) -> str:
    def row(name: str, runs: list[dict[str, Any]], ratio: str) -> Row:
        return [
            name,
            _shown(run["images_per_second"] for run in runs),
            _shown((run["cpu_ms_per_image"] for run in runs), 0),
            _shown((run["peak_mb"] for run in runs), 0),
            ratio,
        ]

    rows = [
        row(OURS, [run["ours"] for run in measured["runs"]], "1"),
        *(
            row(way, runs, _shown(run["ratio"] for run in runs))
            for way, runs in _by_way(measured).items()
        ),
    ]
    head = ["", "images/s", "CPU, ms per image", "memory, MB", "ours is faster, times"]
    return (
        f"{_table(head, rows)}\n\n{measured['images']:,} photographs: {measured['photographs']}, "
        f"of {measured['people']} people. {_conditions(measured)}"
    )


def _accuracy(measured: dict[str, Any]) -> str:
    rows = [
        [
            each["way"],
            f"{each['threshold']:g}",
            _percent(each["true_match_rate"], 1),
            _percent(each["false_match_rate"], 4),
            str(each["faceless"]),
        ]
        for each in measured["accuracy"]
    ]
    head = ["", "threshold", "same person found, %", "wrong pairs, %", "photographs without a face"]
    counted = measured["accuracy"][0]
    return (
        f"{_table(head, rows)}\n\n{counted['same_pairs']:,} pairs of one person, "
        f"{counted['different_pairs']:,} pairs of two."
    )


def _percent(share: float | None, digits: int) -> str:
    return _NOTHING if share is None else f"{100 * share:.{digits}f}"


def _targets(measured: dict[str, dict[str, Any] | None]) -> str:
    """What was aimed at, what was measured, and whether that is enough."""
    sizes = _by_size(measured["throughput"]) if measured["throughput"] else {}
    rate = {
        images: statistics.median(run["images_per_second"] for run in runs)
        for images, runs in sizes.items()
    }
    peaks = [
        run["peak_mb_total"] for runs in sizes.values() for run in runs if run["peak_mb_total"]
    ]
    ways = _by_way(measured["alternatives"]) if measured["alternatives"] else {}
    fastest = max(ways.values(), key=_median_rate, default=[])
    searches = [
        run["milliseconds"]["p50"]
        for run in (measured["search"] or {"runs": []})["runs"]
        if run["faces"] == THROUGH_HTTP and run["way"] == "in process"
    ]
    found: list[tuple[str, str, float | None, Callable[[float], bool], str]] = [
        (
            "end to end, against the fastest alternative on all cores",
            "at least 2 times",
            statistics.median(run["ratio"] for run in fastest) if fastest else None,
            lambda value: value >= 2,
            "{:.2f} times",
        ),
        (
            "memory of everything together, at most",
            "1,200 MB",
            max(peaks) if peaks else None,
            lambda value: value <= 1200,
            "{:,.0f} MB",
        ),
        (
            "rate at 5,000 images, of that at 300",
            "at least 90 %",
            100 * rate[5000] / rate[300] if {300, 5000} <= rate.keys() else None,
            lambda value: value >= 90,
            "{:.0f} %",
        ),
        (
            "search among 100,000 faces, median",
            "2 ms",
            searches[0] if searches else None,
            lambda value: value <= 2,
            "{:.2f} ms",
        ),
    ]
    return _table(
        ["target", "wanted", "measured", "reached"],
        [
            [what, wanted, _NOTHING, _NOTHING]
            if value is None
            else [what, wanted, text.format(value), "yes" if reached(value) else "**no**"]
            for what, wanted, value, reached, text in found
        ],
    )


_TABLES: Final[dict[str, tuple[str, Callable[[Any], str]]]] = {
    "throughput": ("throughput", _throughput),
    "parts": ("throughput", _parts),
    "steps": ("throughput", _steps),
    "constancy": ("throughput", _constancy),
    "engine": ("engine", _engine),
    "search": ("search", _search),
    "alternatives": ("alternatives", _alternatives),
    "accuracy": ("alternatives", _accuracy),
}


def main() -> None:
    """Write the tables into the document."""
    DOCUMENT.write_text(written(DOCUMENT.read_text(), tables(MEASURED)))


if __name__ == "__main__":
    main()
