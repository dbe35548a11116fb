"""The figures of docs/cost.md, scaling.md and collection.md: ``python -m tests.benchmarks.costs``.

Everything but the simulated speeds and the size of Parquet files is calculated, and a test holds
the documents against the same calculation (tests/infrastructure/test_cost.py).
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from itertools import pairwise
from math import ceil, log, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.cli.cost import KINDS
from facematch.planning.estimate import Kind, Load, Month, estimate
from facematch.planning.prices import PriceList
from facematch.planning.template import Stack
from facematch.planning.usage import Usage, Way
from functions.matching.settings import (
    FACES_AT_MOST,
    FACES_BY_DEFAULT,
    NEARLY_FULL,
    OTHER_REGIONS_QUOTA,
    REKOGNITION_QUOTA,
    paced,
)
from tests.benchmarks import pace
from tests.benchmarks.conditions import _rounded, conditions, say, write
from tests.benchmarks.designs import DESIGNS, designs, lowered, settling
from tests.pile import Photograph, Pile
from workflow.project import PROJECT
from workflow.synthesis import synthesised

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMMAND: Final = ".venv/bin/python -m tests.benchmarks.costs"
MEASURED: Final = PROJECT / "docs" / "measured"
#: The most images of one face whose calls all cost what the first million does.
FIRST_TIER: Final = 500_000
REGIONS: Final = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2")
IMAGES: Final = (10_000, 100_000, 500_000, 1_000_000, 10_000_000, 100_000_000)

SCALES: Final = (10_000, 1_000_000, 100_000_000)
#: Calls per second, and the setting that keeps a little below it where no region's default does.
QUOTAS: Final = {5.0: {}, 50.0: {}, 500.0: {"starts_per_second": "480"}}
#: Of the local engine, 87 million pairs of different people of LFW: cosine by false match rate.
FALSE_MATCHES: Final = ((0.296, 1e-2), (0.367, 1e-3), (0.433, 1e-4), (0.511, 1e-5), (0.604, 1e-6))
#: Requests per second that a prefix of S3 takes at least (Amazon S3 User Guide, Performance).
S3_GETS: Final = 5500
#: Of a face in a report (the setting max_matches), and in an answer of SearchFaces.
MOST_MATCHES: Final = 100
MOST_LOOK_ALIKES: Final = 4096
_DAY: Final = 24 * 3600
#: Reports of which the size as Parquet is measured.
_PARQUET_REPORTS: Final = 20_000


# --- Cost --------------------------------------------------------------------------------------


def cost_figures(template: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in docs/cost.md."""
    stack, usage = Stack.from_template(template), Usage.load()
    virginia = PriceList.load("us-east-1")
    load = Load(images=FIRST_TIER)
    month = Month(load, stack, usage, virginia.region)
    bills = designs(month, virginia)
    over_the_month, at_once = (
        lowered(replace(month, load=replace(load, at_once=together)), virginia)
        for together in (False, True)
    )
    return {
        "transitions": {way: len(stack.path(way)) + 1 for way in Way},
        "bill": bills[0].to_document(),
        "designs": [
            {"design": name, **each.to_document()}
            for name, each in zip(("standard", "express", "one_lambda"), bills, strict=True)
        ],
        "by_images": [
            _on_top(replace(load, images=images, at_once=at_once), stack, usage, virginia)
            for at_once in (False, True)
            for images in IMAGES
        ],
        "by_region": [
            {"region": region, **_on_top(load, stack, usage, PriceList.load(region))}
            for region in REGIONS
        ],
        "lowered": [
            {"cut": cut, "over_the_month": over_the_month[cut], "at_once": at_once[cut]}
            for cut in at_once
        ],
    }


def _on_top(load: Load, stack: Stack, usage: Usage, prices: PriceList) -> dict[str, Any]:
    bill = estimate(load, stack, usage, prices)
    kinds = (Kind.IMAGE, Kind.FIXED)
    return {
        "images": load.images,
        "at_once": load.at_once,
        "first_month": bill.total(),
        "each_month_after": bill.total(after=True),
        **{f"{kind}_per_1000": bill.per_thousand(kind) for kind in Kind},
        **{f"{kind}_on_top": bill.on_top(kind) for kind in kinds},
        "both_on_top": bill.on_top(*kinds),
    }


def cost_tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """The tables of docs/cost.md."""
    bill = figures["bill"]
    rekognition = bill["rekognition"]
    lines = [
        (
            line["service"],
            line["what"],
            _number(line["quantity"]),
            f"{line['first']:,.2f}",
            f"{line['after']:,.2f}" if line["after"] else "",
            f"{line['first'] * 1000 / FIRST_TIER:.4f}",
            f"{line['first'] / rekognition:.2%}",
        )
        for line in bill["lines"]
        if line["quantity"]
    ]
    sums = []
    for kind, name in KINDS.items():
        first, after = (
            sum(line[month] for line in bill["lines"] if line["kind"] == kind)
            for month in ("first", "after")
        )
        sums.append(
            (
                f"**{name}**",
                "",
                "",
                f"{first:,.2f}",
                f"{after:,.2f}",
                f"{bill['per_1000_images'][kind]:.4f}",
                f"**{first / rekognition:.2%}**",
            )
        )
    return {
        "bill": _table(
            (
                "service",
                "",
                "quantity",
                "first month",
                "each after",
                "1,000 images",
                "of Rekognition",
            ),
            lines + sums,
        ),
        "ways": _table(
            ("way", *figures["transitions"]),
            [("state transitions", *(str(n) for n in figures["transitions"].values()))],
        ),
        "images": _table(
            (
                "images",
                "first month",
                "Rekognition, 1,000 images",
                "everything else that an image costs, over the month",
                "the same, all at once",
                "fixed",
            ),
            [
                (
                    f"{evenly['images']:,}",
                    f"{evenly['first_month']:,.0f}",
                    f"{evenly['rekognition_per_1000']:.3f}",
                    f"{evenly['image_per_1000']:.3f} = {evenly['image_on_top']:.1%}",
                    f"{at_once['image_per_1000']:.3f} = {at_once['image_on_top']:.1%}",
                    f"{evenly['fixed_per_1000']:.4f} = {evenly['fixed_on_top']:.1%}",
                )
                for evenly, at_once in zip(
                    figures["by_images"][: len(IMAGES)],
                    figures["by_images"][len(IMAGES) :],
                    strict=True,
                )
            ],
        ),
        "regions": _table(
            ("region", "Rekognition, 1,000 images", "everything else that an image costs", "fixed"),
            [
                (
                    row["region"],
                    f"{row['rekognition_per_1000']:.3f}",
                    f"{row['image_per_1000']:.3f} = {row['image_on_top']:.1%}",
                    f"{row['fixed_per_1000']:.3f} = {row['fixed_on_top']:.1%}",
                )
                for row in figures["by_region"]
            ],
        ),
        "designs": _table(
            ("USD for 1,000 images", *DESIGNS),
            [
                *(
                    (name, *(f"{d['per_1000_images'][kind]:.4f}" for d in figures["designs"]))
                    for kind, name in KINDS.items()
                ),
                (
                    "**on top of Rekognition**",
                    *(
                        f"**{d['on_top_of_rekognition'][Kind.IMAGE]:.1%}**"
                        for d in figures["designs"]
                    ),
                ),
                (
                    "**what the Standard workflow costs more**",
                    "",
                    *(
                        f"**{(bill['first_month'] - d['first_month']) * 1000 / FIRST_TIER:.3f}**"
                        for d in figures["designs"][1:]
                    ),
                ),
            ],
        ),
        "lowered": _table(
            ("cut", "over the month", "all at once"),
            [
                (
                    row["cut"],
                    *(
                        f"{row[key][0]:.4f} → {row[key][1]:.4f}"
                        for key in ("over_the_month", "at_once")
                    ),
                )
                for row in figures["lowered"]
            ],
        ),
    }


# --- Scaling -----------------------------------------------------------------------------------


def scaling_figures(
    template: Mapping[str, Any], simulated: Sequence[Mapping[str, Any]], parquet: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything in docs/scaling.md.

    Parameters
    ----------
    simulated
        By `simulations`.
    parquet
        By `parquet_size`.
    """
    stack, usage = Stack.from_template(template), Usage.load()
    virginia = PriceList.load("us-east-1")
    return {
        "simulated": simulated,
        "drain": [_drained(images, quota, simulated) for images in SCALES for quota in QUOTAS],
        "cost": [
            _on_top(Load(images=images, at_once=True), stack, usage, virginia) for images in SCALES
        ],
        "collections": [_collections(faces, virginia) for faces in (20, 40, 60, 80, 100)],
        "false_matches": [_false(faces) for faces in (*SCALES, FACES_AT_MOST)],
        "faces_that_fill": {
            "a report at 80": faces_with(MOST_MATCHES, 80),
            "an answer of SearchFaces at 80": faces_with(MOST_LOOK_ALIKES, 80),
            "a report at 99": faces_with(MOST_MATCHES, 99),
        },
        "queries": [_query(images, usage, virginia, parquet) for images in SCALES],
        "rates": [_limits(quota, stack, usage) for quota in QUOTAS],
        "parquet": parquet,
    }


def simulations() -> list[dict[str, Any]]:
    """Bursts of images, each under every quota; takes a minute."""
    done = []
    for quota, context in QUOTAS.items():
        (file,) = synthesised(context).glob("*.template.json")
        deployed = pace.Deployed.from_template(json.loads(file.read_text()))
        for images in SCALES[:2]:
            say(f"simulating {images:,} images at {quota:g} calls a second")
            result = pace.run(pace.Load(images=images, tps=quota), deployed)
            document = result.to_document()
            done.append(
                {
                    key: document[key]
                    for key in (
                        "images",
                        "tps",
                        "finished",
                        "failed",
                        "expired",
                        "seconds",
                        "speed",
                    )
                }
                | {"starters": deployed.starters.at(paced(quota, 1), 1)}
            )
    return done


def _drained(images: int, quota: float, simulated: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Simulated; beyond that at the speed of the largest burst that was."""
    known = {row["images"]: row for row in simulated if row["tps"] == quota}
    if images in known:
        seconds, how = known[images]["seconds"], "simulated"
    else:
        largest = known[max(known)]
        seconds, how = images / (largest["finished"] / largest["seconds"]), "calculated"
    return {"images": images, "quota": quota, "seconds": seconds, "how": how}


def _collections(millions: int, prices: PriceList) -> dict[str, Any]:
    """Faces of so many images, one each, in as many collections as they fill.

    Each new face is searched in every collection that has one by then: an earlier face need not
    look into a later collection, since the later face looks into its own.
    """
    faces = millions * 1_000_000
    full = range(0, faces, FACES_AT_MOST)
    searches = sum(
        min(FACES_AT_MOST, faces - start) * number for number, start in enumerate(full, start=1)
    )
    return {
        "faces": faces,
        "collections": len(full),
        "searches": searches,
        "usd": prices.of("rekognition_call", faces + searches),
        "usd_of_one_search_each": prices.of("rekognition_call", 2 * faces),
        "days_at_50": searches / paced(50, 1) / _DAY,
        "recall_of_one_search": 1 / len(full),
    }


def collection_tables(template: Mapping[str, Any]) -> dict[str, str]:
    """The tables of docs/collection.md: how soon a collection is full, and what each choice costs.

    Of a month with a million new photographs of one face each, once 20 million faces are stored.
    """
    prices = PriceList.load("us-east-1")
    stack, usage, photographs = Stack.from_template(template), Usage.load(), 1_000_000
    fixed = estimate(Load(images=1), stack, usage, prices).total(Kind.FIXED)
    stored = prices.of("rekognition_face_month", FACES_AT_MOST)
    in_one_region = prices.of("rekognition_call", 2 * photographs)
    in_two_regions = 2 * prices.of("rekognition_call", photographs)
    in_each_collection = prices.of("rekognition_call", 3 * photographs)
    choices = (
        ("one collection, quota raised", 1, in_one_region, 1, 1.0),
        ("two stacks, by region", 2, in_two_regions, 2, 0.5),
        ("two stacks, by kind of case", 2, in_one_region, 2, 0.5),
        ("two stacks, by year", 2, in_one_region, 2, 0.5),
        ("two collections, a search in each (not built)", 2, in_each_collection, 1, 1.0),
    )
    quotas = {OTHER_REGIONS_QUOTA, *REKOGNITION_QUOTA.values()}
    return {
        "filling": _table(
            ("calls a second", "faces a day", "from the alarm to a full collection"),
            [
                (
                    f"{quota:g}",
                    f"{paced(quota, 1) * _DAY:,.0f}",
                    _long(FACES_BY_DEFAULT * (1 - NEARLY_FULL) / paced(quota, 1)),
                )
                for quota in sorted(quotas)
            ],
        ),
        "stored": _table(
            ("faces", "USD a month"),
            [
                (f"{faces:,}", f"{prices.of('rekognition_face_month', faces):,.0f}")
                for faces in (
                    *(1_000_000, int(NEARLY_FULL * FACES_BY_DEFAULT)),
                    *(FACES_BY_DEFAULT, FACES_AT_MOST),
                )
            ],
        ),
        "choices": _table(
            (
                "choice",
                "collections",
                "faces stored, USD",
                "IndexFaces and SearchFaces, USD",
                "fixed, USD",
                "together, USD",
                "pairs found",
            ),
            [
                (
                    choice,
                    str(collections),
                    f"{stored:,.0f}",
                    f"{calls:,.0f}",
                    f"{fixed * stacks:,.0f}",
                    f"{stored + calls + fixed * stacks:,.0f}",
                    f"{found:.0%}",
                )
                for choice, collections, calls, stacks, found in choices
            ],
        ),
    }


def rate_of_false_matches(similarity: float) -> float:
    """At a threshold, on the scale of the local engine; beyond the curve its last slope goes on."""
    cosine = (10.28 - log(100 / similarity - 1)) / 29.17
    before, after = next(
        (pair for pair in pairwise(FALSE_MATCHES) if cosine <= pair[1][0]),
        (FALSE_MATCHES[-2], FALSE_MATCHES[-1]),
    )
    slope = (log10(after[1]) - log10(before[1])) / (after[0] - before[0])
    return 10 ** (log10(before[1]) + slope * (cosine - before[0]))


def faces_with(look_alikes: float, threshold: float) -> float:
    """In how many faces a face has so many false look-alikes."""
    return look_alikes / rate_of_false_matches(threshold)


def _false(faces: int) -> dict[str, Any]:
    return {
        "faces": faces,
        "look_alikes_of_one": {
            str(threshold): faces * rate_of_false_matches(threshold) for threshold in (80, 99, 99.9)
        },
        "wrong_pairs": {
            str(threshold): faces * (faces - 1) / 2 * rate_of_false_matches(threshold)
            for threshold in (80, 99, 99.9)
        },
        "rate_for_one_in_100_searches": 0.01 / faces,
    }


def _query(
    images: int, usage: Usage, prices: PriceList, parquet: Mapping[str, Any]
) -> dict[str, Any]:
    """One query over all records, one day of which holds as many as the queue drains in a day."""
    shares = Load(images=images).shares()
    objects = sum(share * images * (usage.of(way, "objects") - 1) for way, share in shares.items())
    size = images * parquet["json_bytes"]
    a_day = min(images, paced(50, 1) * _DAY)
    return {
        "images": images,
        "objects": objects,
        "gigabytes": size / 1e9,
        "usd_get": prices.of("s3_get", objects),
        "usd_list": prices.of("s3_put", ceil(objects / 1000)),
        "usd_read": prices.of("athena_tb", max(size, 10e6) / 1e12),
        "usd_compacted": prices.of(
            "athena_tb", max(images * parquet["parquet_bytes"], 10e6) / 1e12
        ),
        "reports_in_a_day": a_day,
        "seconds_of_gets_in_a_day": a_day / S3_GETS,
    }


def _limits(quota: float, stack: Stack, usage: Usage) -> dict[str, Any]:
    """What a full queue asks of the other services in a second."""
    rate = paced(quota, stack.max_faces)
    shares = Load(images=1).shares()
    seconds = transitions = puts = gets = 0.0
    for way, share in shares.items():
        steps = [usage.invocation(way, module) for module in stack.invoked(way)]
        seconds += share * sum(step.seconds(stack.memory[step.function]) for step in steps)
        transitions += share * (len(stack.path(way)) + 1)
        for step in (usage.invocation(way, "starter"), *steps):
            puts += share * step.calls.get("s3:PutObject", 0)
            # Rekognition reads the image itself.
            gets += share * sum(
                step.calls.get(name, 0)
                for name in ("s3:HeadObject", "s3:GetObject", "rekognition:IndexFaces")
            )
    return {
        "quota": quota,
        "starts": rate,
        "transitions": rate * transitions,
        "concurrent_invocations": rate * seconds,
        "open_executions": rate * (seconds + settling(stack.states)),
        "s3_puts": rate * puts,
        "s3_gets": rate * gets,
        "images_in_10_days": rate * 10 * _DAY,
        "reports_in_a_day": rate * _DAY,
    }


def parquet_size(reports: int = _PARQUET_REPORTS) -> dict[str, Any]:
    """Bytes of a report with its match rows, as JSON and as compressed Parquet."""
    import duckdb  # noqa: PLC0415 - of the local cloud

    pile = Pile()
    earlier: list[Photograph] = []
    for number in range(reports):
        photograph = Photograph(
            f"images/2026/Person_{number // 3}_{number % 3:04}.jpg", number / 60
        )
        found = [(earlier[-7], 85 + number % 15)] if number % 10 == 0 and number > 10 else []
        pile.reported(photograph, *found)
        earlier.append(photograph)
    sizes = {"json": 0, "parquet": 0}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("reports", "matches"):
            bodies = [body for key, body in pile.objects.items() if key.startswith(kind)]
            lines, columns = Path(folder) / f"{kind}.json", Path(folder) / f"{kind}.parquet"
            lines.write_bytes(b"".join(bodies))
            duckdb.sql(
                f"COPY (SELECT * FROM read_json('{lines}', format='newline_delimited')) "
                f"TO '{columns}' (FORMAT parquet, COMPRESSION zstd)"
            )
            sizes["json"] += lines.stat().st_size
            sizes["parquet"] += columns.stat().st_size
    return {
        "reports": reports,
        "json_bytes": sizes["json"] / reports,
        "parquet_bytes": sizes["parquet"] / reports,
    }


def scaling_tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """The tables of docs/scaling.md."""
    drained = {(row["images"], row["quota"]): row for row in figures["drain"]}
    return {
        "drain": _table(
            ("images", *(f"{quota:g} calls a second" for quota in QUOTAS)),
            [
                (f"{images:,}", *(_long(drained[images, quota]["seconds"]) for quota in QUOTAS))
                for images in SCALES
            ],
        ),
        "parts": _table(
            ("quota", "images in 10 days", "in 5 days", "parts of 100 million"),
            [
                (
                    f"{row['quota']:g}",
                    f"{row['images_in_10_days']:,.0f}",
                    f"{row['images_in_10_days'] / 2:,.0f}",
                    str(ceil(SCALES[-1] / (row["images_in_10_days"] / 2))),
                )
                for row in figures["rates"]
            ],
        ),
        "cost": _table(
            (
                "images",
                "first month, USD",
                "each month after",
                "1,000 images",
                "on top of Rekognition",
            ),
            [
                (
                    f"{row['images']:,}",
                    f"{row['first_month']:,.0f}",
                    f"{row['each_month_after']:,.0f}",
                    f"{row['first_month'] * 1000 / row['images']:.2f}",
                    f"{row['both_on_top']:.1%}",
                )
                for row in figures["cost"]
            ],
        ),
        "collections": _table(
            (
                "faces",
                "collections",
                "searches",
                "IndexFaces and SearchFaces, USD",
                "with one search each",
                "days of searches at 50 a second",
                "recall with one search each",
            ),
            [
                (
                    f"{row['faces']:,}",
                    str(row["collections"]),
                    f"{row['searches']:,}",
                    f"{row['usd']:,.0f}",
                    f"{row['usd_of_one_search_each']:,.0f}",
                    f"{row['days_at_50']:.1f}",
                    f"{row['recall_of_one_search']:.0%}",
                )
                for row in figures["collections"]
            ],
        ),
        "false": _table(
            (
                "faces",
                "false look-alikes of one face at 80",
                "at 99",
                "at 99.9",
                "wrong pairs at 99",
                "at 99.9",
                "rate of false matches for one in 100 searches",
            ),
            [
                (
                    f"{row['faces']:,}",
                    *(_number(row["look_alikes_of_one"][t]) for t in ("80", "99", "99.9")),
                    *(_number(row["wrong_pairs"][t]) for t in ("99", "99.9")),
                    f"{row['rate_for_one_in_100_searches']:.0e}",
                )
                for row in sorted(figures["false_matches"], key=lambda row: row["faces"])
            ],
        ),
        "queries": _table(
            (
                "images",
                "objects",
                "GET, USD",
                "LIST",
                "read",
                "the same from Parquet, read",
                "reports of a day, at 50 calls a second",
                "S3 hands them out in",
            ),
            [
                (
                    f"{row['images']:,}",
                    f"{row['objects']:,.0f}",
                    f"{row['usd_get']:,.4f}",
                    f"{row['usd_list']:,.4f}",
                    f"{row['usd_read']:,.4f}",
                    f"{row['usd_compacted']:,.4f}",
                    f"{row['reports_in_a_day']:,.0f}",
                    _long(row["seconds_of_gets_in_a_day"]),
                )
                for row in figures["queries"]
            ],
        ),
        "rates": _table(
            ("in a second", *(f"quota {row['quota']:g}" for row in figures["rates"])),
            [
                (name, *(_number(row[key]) for row in figures["rates"]))
                for name, key in (
                    ("executions started", "starts"),
                    ("state transitions", "transitions"),
                    ("PUT in the output bucket", "s3_puts"),
                    ("GET and HEAD, both buckets", "s3_gets"),
                    ("*at a time:* invocations of the steps", "concurrent_invocations"),
                    ("*at a time:* open executions", "open_executions"),
                )
            ],
        ),
    }


# --- Writing -----------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _long(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 3 * _DAY else f"{seconds / _DAY:.1f} days"


def _written_into(document: Path, tables: Mapping[str, str]) -> None:
    """Put each table between its two comments."""
    text = document.read_text()
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text, found = pattern.subn(f"{begin}\n{table}\n{end}".replace("\\", r"\\"), text)
        assert found == 1, f"{document} has {found} places for the table {name}"
    document.write_text(text)


def main() -> None:
    """Simulate, measure, calculate and write everything."""
    (file,) = synthesised().glob("*.template.json")
    template = json.loads(file.read_text())
    cost = cost_figures(template)
    # As they are kept, so that whoever reads them again calculates the same.
    kept = _rounded({"simulated": simulations(), "parquet": parquet_size()})
    scaling = scaling_figures(template, kept["simulated"], kept["parquet"])
    _written_into(PROJECT / "docs" / "collection.md", collection_tables(template))
    for name, figures, tables in (
        ("cost", cost, cost_tables(cost)),
        ("scaling", scaling, scaling_tables(scaling)),
    ):
        write({"conditions": conditions(COMMAND), **figures}, MEASURED / f"{name}.json")
        _written_into(PROJECT / "docs" / f"{name}.md", tables)


if __name__ == "__main__":
    main()
