"""The command ``facematch cost``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from facematch.cli.options import AsJson, finite
from facematch.cli.terminal import messages, output, print_json
from facematch.errors import Unusable
from facematch.planning.estimate import Estimate, Kind, Line, Load, estimate
from facematch.planning.prices import PRICES_FILE, PriceList
from facematch.planning.template import Stack
from facematch.planning.usage import Usage
from workflow.synthesis import synthesised_template

#: How the kinds are called, in the order of the table.
KINDS: Final = {
    Kind.REKOGNITION: "Rekognition",
    Kind.IMAGE: "everything else that an image costs",
    Kind.FIXED: "the same for any number of images",
    Kind.QUERIES: "queries in Athena",
    Kind.PHOTOGRAPHS: "the photographs themselves",
}

#: From here on, what is behind the point is of no interest.
_MANY: Final = 100


def cost(
    *,
    images: Annotated[int, typer.Option(min=1, help="Taken in, in the first month.")] = 100_000,
    faces_per_image: Annotated[
        float, typer.Option(min=1, callback=finite, help="Indexed in an image that has any.")
    ] = 1.0,
    match_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of all images: with a match under another name.")
    ] = 0.1,
    notify_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Of all images: notified. Default: all that match."),
    ] = None,
    no_face_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of all images: without a face.")
    ] = 0.02,
    rejected_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of all files: no image at all.")
    ] = 0.01,
    megabytes: Annotated[
        float, typer.Option(min=0, callback=finite, help="Of a photograph.")
    ] = 2.0,
    queries: Annotated[int, typer.Option(min=0, help="In Athena, a month, of all records.")] = 10,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="All uploaded together; default: over the month.")
    ] = False,
    region: Annotated[str, typer.Option(help="Whose prices.")] = "us-east-1",
    prices: Annotated[
        Path, typer.Option(help="A price list of your own, in the form of the one that is used.")
    ] = PRICES_FILE,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", "-c", help="A setting, as name=value; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate what images cost on AWS, with the template and the functions as they are now.

    List prices, without free tiers and discounts; docs/cost.md says what is not in it.
    """
    price_list = PriceList.load(region, prices)
    load = Load(
        images=images,
        faces_per_image=faces_per_image,
        matched=match_share,
        notified=match_share if notify_share is None else notify_share,
        no_face=no_face_share,
        rejected=rejected_share,
        megabytes=megabytes,
        queries=queries,
        at_once=at_once,
    )
    _require_possible(load)
    with messages.status("synthesising the template"):
        stack = _stack(context or [])
    if faces_per_image > stack.max_faces:
        raise Unusable(
            f"--faces-per-image is {faces_per_image:g}, but the setting max_faces is "
            f"{stack.max_faces}: no more are indexed. Lower the first, or set the second with "
            "--context max_faces=N."
        )
    bill = estimate(load, stack, Usage.load(), price_list)
    if as_json:
        document = {
            "prices": {
                "region": price_list.region,
                "currency": price_list.currency,
                "date": price_list.date,
                "assumed": price_list.assumed,
            },
            "bill": bill.to_document(),
        }
        print_json(document, indent=2)
        return
    output.print(_table(bill, price_list))
    output.print(
        f"Prices of {price_list.region}, {price_list.date}, in {price_list.currency}: check them "
        f"against the price lists that {prices} names."
    )
    if price_list.assumed:
        output.print(f"Assumed, since nobody has seen them: {', '.join(price_list.assumed)}.")


def _require_possible(load: Load) -> None:
    """Shares of one whole."""
    if load.notified > load.matched:
        raise Unusable(
            f"--notify-share is {load.notified:g}, above --match-share ({load.matched:g}): only a "
            "match notifies. Lower the first or raise the second."
        )
    if (together := load.matched + load.no_face + load.rejected) > 1:
        raise Unusable(
            "--match-share, --no-face-share and --rejected-share are shares of all images, and "
            f"come to {together:g}. Lower them to 1 together."
        )


def _stack(context: Sequence[str]) -> Stack:
    return Stack.from_template(synthesised_template(context))


def _table(bill: Estimate, prices: PriceList) -> Table:
    load = bill.load
    table = Table(
        title=f"{load.images:,} images, {load.faces_per_image:g} faces each, "
        f"{bill.transitions:.2f} state transitions each ({prices.currency})",
        title_justify="left",
    )
    table.add_column("Service")
    table.add_column("")
    for name in ("Quantity", "First month", "Each month after", "1,000 images", "of Rekognition"):
        table.add_column(name, justify="right")

    def add(service: str, what: str, quantity: str, lines: list[Line], style: str = "") -> None:
        first, after = sum(line.first for line in lines), sum(line.after for line in lines)
        table.add_row(
            service,
            what,
            quantity,
            f"{first:,.2f}",
            f"{after:,.2f}" if after else "",
            f"{first * 1000 / load.images:.4f}",
            f"{first / bill.total(Kind.REKOGNITION):.2%}",
            style=style,
        )

    for kind, name in KINDS.items():
        lines = [line for line in bill.lines if line.kind is kind]
        for line in lines:
            if line.quantity:
                add(line.service, line.what, _quantity(line.quantity), [line])
        add("", name, "", lines, "bold")
        table.add_section()
    add("", "together", "", bill.lines, "bold")
    return table


def _quantity(number: float) -> str:
    return f"{number:,.0f}" if number >= _MANY else f"{number:.4g}"
