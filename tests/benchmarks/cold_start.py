"""Cold start: what it costs to import each handler, against boto3 and one client.

    python -m tests.benchmarks.cold_start [--runs 15] [--output FILE] [--before FOLDER]
    python -m tests.benchmarks.cold_start --tables     # docs/cold-start.md, from what was measured

Every handler is imported in an interpreter of its own (`fresh`), with the environment that Lambda
gives it and no endpoint: nothing is called. In each run every handler and the floors take turns in
a random order, and a ratio is one of the same run. CPU time is the figure to compare on a machine
that does something else too. With `--before`, the handlers of another tree take part.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.planning.prices import PriceList
from facematch.planning.template import Stack
from facematch.planning.usage import Usage, Way
from tests.benchmarks.conditions import conditions, say, spread, write
from tests.benchmarks.environment import ENVIRONMENT
from workflow.project import PROJECT
from workflow.synthesis import synthesised

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMMAND: Final = ".venv/bin/python -m tests.benchmarks.cold_start"
MEASURED: Final = PROJECT / "docs" / "measured" / "cold_start.json"
DOCUMENT: Final = PROJECT / "docs" / "cold-start.md"
#: The target: of CPU time, time and peak memory, against the floor.
MOST: Final = 1.3
#: Each handler with the costliest of its clients: that one and boto3 are its floor.
HANDLERS: Final = {
    "starter": "s3",
    "index": "s3",
    "search": "s3",
    "report": "s3",
    "notify": "sns",
    "failure": "s3",
    "removal": "s3",
}
#: Look-alikes, as many as SearchFaces gives.
MOST_FOUND: Final = 4096
#: MB that are compared.
SIZES: Final = (128, 256, 512, 1024)
#: HeadObject, two GetObject, DeleteFaces, two PutObject, three DeleteObject: of the removal of an
#: image with a face, which usage.json does not have; assumed, as it is there.
_REMOVAL_WAITS_MS: Final = 20 + 2 * 25 + 100 + 2 * 35 + 3 * 25
_FIGURES: Final = ("cpu_ms", "wall_ms", "peak_mib")
_SITE_PACKAGES: Final = sysconfig.get_paths()["purelib"]
#: What the layer brings.
_LAYER: Final = ("aws_lambda_powertools", "typing_extensions.py")
_CHILD: Final = """
import sys
sys.path[:0] = {path!r}
import time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
modules = sorted(sys.modules)
import json
sys.path.append({project!r})
from tests.benchmarks.environment import peak_mib
print(json.dumps({{"cpu_ms": 1000 * cpu, "wall_ms": 1000 * wall, "peak_mib": peak_mib(),
                   "modules": modules}}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What one import took, and every module that was loaded after it."""

    cpu_ms: float
    wall_ms: float
    peak_mib: float
    modules: frozenset[str]


def fresh(statement: str, *places: Path) -> Start:
    """Run a statement in a fresh interpreter; what the interpreter itself takes is left out.

    Without `site`, whose .pth files Lambda does not have, and writing no bytecode: Lambda's folders
    are read-only.

    Parameters
    ----------
    places
        Folders that are looked into before the installed packages.
    """
    path = [*map(str, places), _SITE_PACKAGES]
    code = _CHILD.format(path=path, project=str(PROJECT), statement=statement)
    ended = subprocess.run(
        [sys.executable, "-B", "-S", "-s", "-c", code],
        env={"PATH": os.environ.get("PATH", ""), **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"{statement} failed:\n{ended.stderr}")
    found = json.loads(ended.stdout)
    return Start(**{**found, "modules": frozenset(found["modules"])})


def floor(service: str) -> str:
    """The least that a function in Python which calls AWS imports and makes."""
    return f"import boto3; boto3.client({service!r})"


def imported(handler: str) -> str:
    """What Lambda does with a handler."""
    return f"import functions.{handler}"


def _trees(folder: Path, before: Path | None) -> dict[str, tuple[Path, ...]]:
    """Where the handlers are imported from, by the name of the case."""
    shipped = folder / "shipped"
    _copied(PROJECT / "functions", shipped / "functions")
    layer = folder / "layer"
    for name in _LAYER:
        _copied(Path(_SITE_PACKAGES) / name, layer / name)
    cases = {"shipped": (shipped,), "layer_uncompiled": (shipped, layer)}
    if before:
        _copied(before / "functions", folder / "before" / "functions")
        cases["before"] = (folder / "before",)
        cases["before_layer_uncompiled"] = (folder / "before", layer)
    return cases


def _copied(source: Path, target: Path) -> None:
    """Copy without bytecode, as the asset has it."""
    if source.is_file():
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))


def measured(runs: int, before: Path | None) -> dict[str, Any]:
    """Everything in docs/cold-start.md but the conditions."""
    starts: dict[tuple[str, str], list[Start]] = {}
    invocations: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        trees = _trees(Path(folder), before)
        todo: dict[tuple[str, str], tuple[str, tuple[Path, ...]]] = {
            ("floor", service): (floor(service), ()) for service in set(HANDLERS.values())
        }
        for case, places in trees.items():
            todo |= {(case, handler): (imported(handler), places) for handler in HANDLERS}
        for statement, _ in todo.values():  # into the page cache
            fresh(statement, *trees["shipped"])
        for run in range(runs):
            order = list(todo)
            random.Random(run).shuffle(order)
            for which in order:
                statement, places = todo[which]
                starts.setdefault(which, []).append(fresh(statement, *places))
            for case in ("shipped", "before"):
                if case in trees:
                    invocations.setdefault(case, []).append(_invoked(trees[case][0])["cpu_ms"])
            say(f"run {run + 1} of {runs}")
        most = _invoked(trees["shipped"][0], "--found", str(MOST_FOUND), "--invocations", "10")
    return {
        "runs": runs,
        "floors": {
            service: _figures(found) for (case, service), found in starts.items() if case == "floor"
        },
        "cases": {
            case: {
                handler: {
                    **_figures(starts[case, handler]),
                    "ratio": _ratios(starts[case, handler], starts["floor", service]),
                }
                for handler, service in HANDLERS.items()
            }
            for case in trees
        },
        "invocations_cpu_ms": {
            case: {name: spread(each[name] for each in found) for name in HANDLERS}
            for case, found in invocations.items()
        },
        "peak_mib_of_all_handlers": {str(MOST_FOUND): most["peak_mib"]},
        "package": package(),
    }


def summary(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is aimed at, of each handler, as it is plotted."""
    return [
        {
            "module": handler,
            "cpu_ratio": of["ratio"]["cpu_ms"]["median"],
            "memory_ratio": of["ratio"]["peak_mib"]["median"],
        }
        for handler, of in found["cases"]["shipped"].items()
    ]


def _invoked(place: Path, *arguments: str) -> dict[str, Any]:
    module = [sys.executable, "-m", "tests.benchmarks.invocations"]
    ended = subprocess.run(
        [*module, "--functions", str(place), *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _figures(starts: Sequence[Start]) -> dict[str, Any]:
    return {name: spread(getattr(start, name) for start in starts) for name in _FIGURES}


def _ratios(starts: Sequence[Start], floors: Sequence[Start]) -> dict[str, Any]:
    return {
        name: spread(
            getattr(start, name) / getattr(least, name)
            for start, least in zip(starts, floors, strict=True)
        )
        for name in _FIGURES
    }


def package() -> dict[str, Any]:
    """What is uploaded for the functions: one archive for all."""
    (asset,) = [folder.parent for folder in synthesised().glob("asset.*/functions")]
    files = [file for file in asset.rglob("*") if file.is_file()]
    with tempfile.TemporaryFile() as archive:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
            for file in files:
                made.write(file, file.relative_to(asset))
        zipped = archive.tell()
    return {
        "files": len(files),
        "kinds": sorted({file.suffix for file in files}),
        "kib": sum(file.stat().st_size for file in files) / 1024,
        "zipped_kib": zipped / 1024,
    }


# --- Memory sizes --------------------------------------------------------------------------------


def memory(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each handler would take and cost with so much memory, and which size it has.

    Lambda gives a share of a processor in proportion to the memory (Invocation.seconds), and bills
    the initialization too. The waiting is assumed (facematch/planning/usage.json), and so is that
    this processor is as fast as Lambda's.
    """
    (template,) = synthesised().glob("FaceMatching.template.json")
    stack, usage = Stack.from_template(json.loads(template.read_text())), Usage.load()
    price = PriceList.load("us-east-1").prices["lambda_gb_second"].tiers[0][1]
    rows: dict[str, dict[str, Any]] = {}
    for handler in HANDLERS:
        start = found["cases"]["shipped"][handler]["cpu_ms"]["median"]
        working = found["invocations_cpu_ms"]["shipped"][handler]["median"]
        waiting = _waiting_ms(usage, handler)
        sizes = {}
        for size in SIZES:
            share = size / 1769
            warm, init = (waiting + working / share) / 1000, start / share / 1000
            sizes[size] = {
                "cold_s": init + warm,
                "warm_s": warm,
                "cold_usd_per_million": (init + warm) * size / 1024 * price * 1e6,
                "warm_usd_per_million": warm * size / 1024 * price * 1e6,
            }
        rows[handler] = {"chosen": stack.memory[handler], "waiting_ms": waiting, "sizes": sizes}
    return rows


def _waiting_ms(usage: Usage, handler: str) -> float:
    if handler == "removal":
        return _REMOVAL_WAITS_MS
    way = Way.REJECTED if handler == "failure" else Way.NOTIFIED
    return usage.invocation(way, handler).waiting_ms


# --- The document --------------------------------------------------------------------------------


def tables(found: Mapping[str, Any]) -> dict[str, str]:
    """Each table of the document, by the name of its marker."""
    return {
        "ratios": _of_ratios(found),
        "invocations": _of_invocations(found),
        "memory": _of_memory(found),
        "package": _of_package(found),
        "conditions": _of_conditions(found),
    }


def _of_ratios(found: Mapping[str, Any]) -> str:
    head = [
        "",
        "CPU, ms",
        "against the floor",
        "time",
        "peak memory, MiB",
        "against the floor",
        "before: CPU",
        "memory",
        "layer without bytecode: CPU",
        "before",
    ]
    floors = [
        [f"floor: boto3, {service}", *_pair(figures), *[""] * 4]
        for service, figures in sorted(found["floors"].items())
    ]
    rows = []
    for handler in HANDLERS:
        now, before, plain, plain_before = (
            found["cases"][case][handler]
            for case in ("shipped", "before", "layer_uncompiled", "before_layer_uncompiled")
        )
        rows.append(
            [
                handler,
                *_pair(now),
                _ratio(before, "cpu_ms"),
                _ratio(before, "peak_mib"),
                _ratio(plain, "cpu_ms"),
                _ratio(plain_before, "cpu_ms"),
            ]
        )
    return _table(head, [*floors, *rows])


def _pair(figures: Mapping[str, Any]) -> list[str]:
    """CPU time and its ratio, the ratio of time, peak memory and its ratio."""
    cpu, peak = figures["cpu_ms"], figures["peak_mib"]
    has = "ratio" in figures
    return [
        f"{cpu['median']:.0f} ({cpu['min']:.0f} to {cpu['max']:.0f})",
        f"**{_ratio(figures, 'cpu_ms')}**" if has else "1",
        _ratio(figures, "wall_ms") if has else "1",
        f"{peak['median']:.1f}",
        f"**{_ratio(figures, 'peak_mib')}**" if has else "1",
    ]


def _ratio(figures: Mapping[str, Any], name: str) -> str:
    return f"{figures['ratio'][name]['median']:.2f}"


def _of_invocations(found: Mapping[str, Any]) -> str:
    cases = found["invocations_cpu_ms"]
    rows = [
        [
            handler,
            _spread(cases["shipped"][handler]),
            _spread(cases["before"][handler]),
            f"{cases['shipped'][handler]['median'] / cases['before'][handler]['median'] - 1:+.0%}",
        ]
        for handler in HANDLERS
    ]
    return _table(["CPU, ms an invocation", "now", "before", ""], rows)


def _spread(values: Mapping[str, float]) -> str:
    return f"{values['median']:.2f} ({values['min']:.2f} to {values['max']:.2f})"


def _of_memory(found: Mapping[str, Any]) -> str:
    head = ["", "waiting, ms", *(f"{size} MB" for size in SIZES), "chosen, MB"]
    rows = []
    for handler, row in found["memory"].items():
        sizes = [row["sizes"][str(size)] for size in SIZES]
        cells = [
            f"{of['warm_s'] * 1000:,.0f} ms, {of['warm_usd_per_million']:.2f} USD; "
            f"cold {of['cold_s']:.1f} s, {of['cold_usd_per_million']:.1f} USD"
            for of in sizes
        ]
        rows.append([handler, f"{row['waiting_ms']:.0f}", *cells, f"**{row['chosen']}**"])
    return _table(head, rows)


def _of_package(found: Mapping[str, Any]) -> str:
    package = found["package"]
    return (
        f"{package['files']} files, all of them {' '.join(package['kinds'])}: "
        f"{package['zipped_kib']:.0f} KiB, unpacked {package['kib']:.0f} KiB."
    )


def _of_conditions(found: Mapping[str, Any]) -> str:
    told = found["conditions"]
    packages = ", ".join(f"{name} {number}" for name, number in told["packages"].items())
    return (
        f"{told['date']}, {told['cores']} cores of {told['processor']}, {told['system']}, "
        f"Python {told['python']}, {packages}; {found['runs']} runs; load before: "
        f"{told['load_before']}. `{told['command']}`"
    )


def document(text: str, found: Mapping[str, Any]) -> str:
    """The document with the tables of what was found between their markers."""
    for name, made in tables(found).items():
        place = re.compile(rf"(<!-- table {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        text, places = place.subn(lambda marks, made=made: f"{marks[1]}{made}{marks[2]}", text)  # type: ignore[misc]
        if places != 1:
            raise SystemExit(f"{DOCUMENT} has {places} places for the table {name!r}, not one.")
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--before", type=Path, help="folder that holds other `functions`")
    parser.add_argument("--tables", action="store_true", help="write the document's tables")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if options.tables:
        found = json.loads(MEASURED.read_text())
        DOCUMENT.write_text(document(DOCUMENT.read_text(), found))
        return
    told = conditions(f"{COMMAND} --runs {options.runs}{' --before FOLDER' * bool(options.before)}")
    told["packages"] = {name: version(name) for name in ("boto3", "aws-lambda-powertools")}
    found = measured(options.runs, options.before)
    whole = {"conditions": told, "handlers": summary(found), **found, "memory": memory(found)}
    write(whole, options.output)


if __name__ == "__main__":
    main()
