"""The rates at each threshold, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import vl_convert

from facematch.evaluation.measure import SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLOURS: Final = {"light": ("#0f5f79", "#1b2126"), "dark": ("#6cc0dc", "#e6e9ea")}
_PANELS: Final = (
    ("true_match_rate", "Same person: share of pairs found", {"zero": False}, ".0%"),
    ("false_match_rate", "Different people: share taken for one", {"type": "log"}, ".0e"),
)


def drawn(document: Mapping[str, Any], *, theme: str = "light") -> str:
    """An SVG with two panels, of true and of false match rates, with their intervals.

    Parameters
    ----------
    theme
        light or dark.
    """
    svg: str = vl_convert.vegalite_to_svg(specification(document, theme=theme))
    return svg


def specification(document: Mapping[str, Any], *, theme: str = "light") -> dict[str, Any]:
    """The plot in Vega-Lite; the data stand in it."""
    colour, ink = _COLOURS[theme]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "background": "transparent",
        "config": {
            "axis": {
                "labelColor": ink,
                "titleColor": ink,
                "domainColor": ink,
                "tickColor": ink,
                "gridOpacity": 0.25,
            },
            "view": {"stroke": None},
            "title": {"color": ink, "anchor": "start"},
        },
        "hconcat": [
            _panel(document, kind, title, scale, format_, colour=colour)
            for kind, title, scale, format_ in _PANELS
        ],
    }


def _panel(
    document: Mapping[str, Any],
    kind: str,
    title: str,
    scale: Mapping[str, Any],
    format_: str,
    *,
    colour: str,
) -> dict[str, Any]:
    rows = [row for row in document["thresholds"] if row["threshold"] in SHOWN]
    rates = [(f"{row['threshold']:g}", row[kind]) for row in rows if row[kind]["of"]]
    # A logarithm has no zero: a rate of zero has no point, and its interval ends at the axis.
    floor = min((rate["high"] for _, rate in rates), default=1.0) / 10 if kind[0] == "f" else 0.0
    values = [
        {
            "threshold": threshold,
            "low": max(rate["low"], floor),
            "high": rate["high"],
            **({"rate": rate["rate"]} if rate["rate"] > floor else {}),
        }
        for threshold, rate in rates
    ]
    axis = {"format": format_, "title": None, "tickCount": 6}
    across = {
        "field": "threshold",
        "type": "ordinal",
        "sort": None,
        "axis": {"title": "similarity of at least, %", "labelAngle": -45},
    }
    return {
        "title": title,
        "width": 330,
        "height": 220,
        "data": {"values": values},
        "encoding": {"x": across},
        "layer": [
            {
                "mark": {"type": "rule", "color": colour, "strokeWidth": 5, "opacity": 0.35},
                "encoding": {
                    "y": {"field": "low", "type": "quantitative", "scale": scale, "axis": axis},
                    "y2": {"field": "high"},
                },
            },
            {
                "transform": [{"filter": "isValid(datum.rate)"}],
                "mark": {"type": "line", "color": colour, "point": {"color": colour}},
                "encoding": {
                    "y": {"field": "rate", "type": "quantitative", "scale": scale, "axis": axis}
                },
            },
        ],
    }
