"""The plots of docs/measured.md, out of what was measured: none is drawn by hand.

    make figures

reads docs/measured/*.json and writes docs/figures/*.svg. Each file says of which data it is made,
and a test compares that with the data of today.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import vl_convert

from facematch.evaluation import plot
from tests.benchmarks.alternatives import OURS
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEASURED: Final = PROJECT / "docs" / "measured"
FIGURES: Final = PROJECT / "docs" / "figures"
Specification = dict[str, Any]
Measured = dict[str, Any]

_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
_OURS, _OTHER, _MORE = "#0f5f79", "#a9b4bb", "#d98841"
_CONFIG: Final = {
    "background": "white",
    "font": "sans-serif",
    "axis": {"gridOpacity": 0.3, "titleFontWeight": "normal"},
    "view": {"stroke": None},
    "title": {"anchor": "start", "fontSize": 13},
    "legend": {"labelLimit": 300},
}
_DESIGNS: Final = {
    "standard": "Standard workflow: this",
    "express": "Express workflow",
    "one_lambda": "one Lambda function",
}
_COSTS: Final = {
    "image": "everything else that an image costs",
    "fixed": "the same for any number of images",
    "queries": "queries in Athena",
}
_HOUR: Final = 3600
#: A part that computes less for an image is not drawn.
_SHOWN_MS: Final = 0.1


def accuracy(measured: dict[str, Measured]) -> Specification:
    """True and false match rates at each threshold."""
    return {**plot.specification(measured["accuracy"]), "config": _CONFIG, "background": "white"}


def alternatives(measured: dict[str, Measured]) -> Specification:
    """Images per second beside what else there is, each run a point."""
    runs = measured["alternatives"]["runs"]
    points = [
        {"way": way, "rate": found["images_per_second"]}
        for run in runs
        for way, found in ((OURS, run["ours"]), (run["way"], run))
    ]
    rate = {"field": "rate", "type": "quantitative", "title": "images a second"}
    way = {"field": "way", "type": "nominal", "title": None, "sort": "-x", "axis": _WIDE}
    ours = {"test": {"field": "way", "equal": OURS}, "value": _OURS}
    return _plot(
        "Images a second, on the same photographs and machine",
        data=points,
        layer=[
            {
                "mark": {"type": "bar", "height": 14},
                "encoding": {
                    "y": way,
                    "x": {**rate, "aggregate": "median"},
                    "color": {"condition": ours, "value": _OTHER},
                },
            },
            {
                "mark": {"type": "point", "color": "black", "size": 22, "opacity": 0.7},
                "encoding": {"y": way, "x": rate},
            },
        ],
    )


def constancy(measured: dict[str, Measured]) -> Specification:
    """Images per second over the course of each run."""
    points = [
        {"run": number, "images": f"{run['images']:,}", "part": (tenth + 1) * 10, "rate": rate}
        for number, run in enumerate(measured["throughput"]["runs"])
        if run["valid"]
        for tenth, rate in enumerate(run["images_per_second_by_tenth"])
    ]
    return _plot(
        "End to end: images a second over each tenth of a run",
        data=points,
        mark={"type": "line", "point": True, "opacity": 0.8},
        encoding={
            "x": {"field": "part", "type": "quantitative", "title": "% of the images"},
            "y": {"field": "rate", "type": "quantitative", "title": None},
            "color": {"field": "images", "type": "nominal", "title": "images", "sort": None},
            "detail": {"field": "run"},
        },
    )


def parts(measured: dict[str, Measured]) -> Specification:
    """Processor time for an image, by part."""
    points = [
        {"part": part, "images": f"{run['images']:,} images", "ms": milliseconds}
        for run in measured["throughput"]["runs"]
        if run["valid"]
        for part, milliseconds in run["cpu_ms_per_image"].items()
        if milliseconds >= _SHOWN_MS
    ]
    return _plot(
        "Processor time for an image, by part",
        data=points,
        mark={"type": "bar"},
        encoding={
            "y": {"field": "part", "type": "nominal", "title": None, "sort": "-x", "axis": _WIDE},
            "x": {"field": "ms", "type": "quantitative", "aggregate": "median", "title": "ms"},
            "yOffset": {"field": "images", "sort": None},
            "color": {"field": "images", "type": "nominal", "title": None, "sort": None},
        },
    )


def search(measured: dict[str, Measured]) -> Specification:
    """How long a search takes among so many faces."""
    points = [
        {"faces": run["faces"], "way": run["way"], "ms": run["milliseconds"]["p50"]}
        for run in measured["search"]["runs"]
    ]
    logarithm = {"type": "log"}
    return _plot(
        "A search among so many faces, median",
        data=points,
        mark={"type": "line", "point": {"size": 60}},
        encoding={
            "x": {
                "field": "faces",
                "type": "quantitative",
                "scale": logarithm,
                "axis": {"format": "~s", "values": sorted({point["faces"] for point in points})},
            },
            "y": {"field": "ms", "type": "quantitative", "scale": logarithm, "title": "ms"},
            "color": {"field": "way", "type": "nominal", "title": None},
        },
    )


def cold_start(measured: dict[str, Measured]) -> Specification:
    """Import time and memory of each handler against the floor."""
    points = [
        {"handler": handler["module"], "what": what, "ratio": handler[field]}
        for handler in measured["cold_start"]["handlers"]
        for what, field in (("processor time", "cpu_ratio"), ("peak memory", "memory_ratio"))
    ]
    return _plot(
        "A function's start, against boto3 with one client",
        data=points,
        layer=[
            {
                "mark": {"type": "bar"},
                "encoding": {
                    "y": {"field": "handler", "type": "nominal", "title": None, "axis": _WIDE},
                    "x": {"field": "ratio", "type": "quantitative", "title": "times the floor"},
                    "yOffset": {"field": "what"},
                    "color": {"field": "what", "type": "nominal", "title": None},
                },
            },
            _rule(1.3, "target"),
        ],
    )


def cost(measured: dict[str, Measured]) -> Specification:
    """What 1,000 images cost on top of Rekognition, in three designs."""
    points = [
        {
            "design": _DESIGNS[design["design"]],
            "what": words,
            "usd": design["per_1000_images"][kind],
            "order": order,
        }
        for design in measured["cost"]["designs"]
        for order, (kind, words) in enumerate(_COSTS.items())
    ]
    tenth = measured["cost"]["bill"]["per_1000_images"]["rekognition"] / 10
    return _plot(
        "USD for 1,000 images on top of Rekognition's price",
        data=points,
        layer=[
            {
                "mark": {"type": "bar"},
                "encoding": {
                    "y": {
                        "field": "design",
                        "type": "nominal",
                        "title": None,
                        "sort": None,
                        "axis": _WIDE,
                    },
                    "x": {"field": "usd", "type": "quantitative", "title": "USD"},
                    "color": {"field": "what", "type": "nominal", "title": None, "sort": None},
                    "order": {"field": "order"},
                },
            },
            _rule(tenth, "a tenth of Rekognition's price"),
        ],
    )


def cost_by_images(measured: dict[str, Measured]) -> Specification:
    """The first month's cost, and its parts, for so many images."""
    points = [
        {"images": each["images"], "what": words, "usd": each[field]}
        for each in measured["cost"]["by_images"]
        if not each["at_once"]
        for words, field in (
            ("Rekognition", "rekognition_per_1000"),
            ("everything else that an image costs", "image_per_1000"),
            ("the same for any number of images", "fixed_per_1000"),
        )
    ]
    return _plot(
        "USD for 1,000 images, first month, by how many there are",
        data=points,
        mark={"type": "line", "point": True},
        encoding={
            "x": _logarithmic("images"),
            "y": {**_logarithmic("usd"), "title": "USD"},
            "color": {"field": "what", "type": "nominal", "title": None, "sort": None},
        },
    )


def scaling(measured: dict[str, Measured]) -> Specification:
    """How long so many uploads at once take."""
    points = [
        {
            "images": each["images"],
            "quota": f"{each['quota']:g} calls a second",
            "hours": each["seconds"] / _HOUR,
            "how": each["how"],
        }
        for each in measured["scaling"]["drain"]
    ]
    return _plot(
        "Hours until all that was uploaded at once has an outcome",
        data=points,
        layer=[
            {
                "mark": {"type": "line"},
                "encoding": {"y": _logarithmic("hours")},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60},
                "encoding": {
                    "y": _logarithmic("hours"),
                    "shape": {"field": "how", "type": "nominal", "title": None},
                },
            },
            {
                "data": {"values": [{"hours": 240}]},
                "mark": {"type": "rule", "strokeDash": [4, 4], "strokeWidth": 2},
                "encoding": {
                    "y": _logarithmic("hours"),
                    "x": {"value": 0},
                    "x2": {"value": "width"},
                    "color": {"value": _MORE},
                },
            },
        ],
        encoding={
            "x": _logarithmic("images"),
            "color": {"field": "quota", "type": "nominal", "title": None, "sort": None},
        },
    )


#: Room for the names beside the bars, the same in each figure.
_WIDE: Final = {"minExtent": 170, "labelLimit": 200}
#: Each figure by its file's name, and the measurements that it needs.
DRAWN: Final[dict[str, tuple[tuple[str, ...], Callable[[dict[str, Measured]], Specification]]]] = {
    "accuracy": (("accuracy",), accuracy),
    "alternatives": (("alternatives",), alternatives),
    "parts": (("throughput",), parts),
    "constancy": (("throughput",), constancy),
    "search": (("search",), search),
    "cold-start": (("cold_start",), cold_start),
    "cost": (("cost",), cost),
    "cost-by-images": (("cost",), cost_by_images),
    "scaling": (("scaling",), scaling),
}


def _plot(title: str, *, data: list[dict[str, Any]], **rest: Any) -> Specification:
    return {
        "$schema": _SCHEMA,
        "config": _CONFIG,
        "title": title,
        "width": 520,
        "data": {"values": data},
        **rest,
    }


def _logarithmic(field: str) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "title": field,
        "scale": {"type": "log"},
        "axis": {
            # A label at each power of ten.
            "labelExpr": "abs(log(datum.value)/LN10 - round(log(datum.value)/LN10)) < 1e-6 ? "
            "format(datum.value, datum.value < 1 ? '~g' : '~s') : ''",
        },
    }


def _rule(at: float, words: str) -> Specification:
    """A line down the plot, with its meaning."""
    where = {"x": {"field": "at", "type": "quantitative"}}
    return {
        "data": {"values": [{"at": at, "words": words}]},
        "layer": [
            {
                "mark": {"type": "rule", "color": _MORE, "strokeDash": [4, 4], "strokeWidth": 2},
                "encoding": where,
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 5, "y": -6, "color": "#8a4b12"},
                "encoding": {**where, "text": {"field": "words"}},
            },
        ],
    }


def specifications(folder: Path = MEASURED) -> dict[str, Specification]:
    """Each figure whose measurements are there."""
    measured = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    return {
        name: make(measured)
        for name, (needed, make) in DRAWN.items()
        if measured.keys() >= set(needed)
    }


def mark(specification: Specification) -> str:
    """What a figure's file says of the data that it is made of."""
    text = json.dumps(specification, sort_keys=True)
    return f"<!-- made by make figures, of {hashlib.sha256(text.encode()).hexdigest()} -->"


def main() -> None:
    """Draw all figures."""
    FIGURES.mkdir(exist_ok=True)
    for name, specification in specifications().items():
        svg = vl_convert.vegalite_to_svg(specification)
        (FIGURES / f"{name}.svg").write_text(f"{svg}\n{mark(specification)}\n")


if __name__ == "__main__":
    main()
