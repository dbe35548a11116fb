"""What a deployment costs: read from the template, and as the documents about costs say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from facematch.planning.estimate import Kind, Load, Month, estimate
from facematch.planning.prices import PriceList
from facematch.planning.template import Stack
from facematch.planning.usage import Usage, Way
from tests.benchmarks import conditions, costs, pace
from tests.benchmarks.designs import history, settling
from tests.unit.planning.test_cost import STACK
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infrastructure.conftest import Template

COST = (PROJECT / "docs" / "cost.md").read_text()
SCALING = (PROJECT / "docs" / "scaling.md").read_text()
COLLECTION = (PROJECT / "docs" / "collection.md").read_text()


def measured(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((costs.MEASURED / f"{name}.json").read_text())
    del document["conditions"]
    return document


def as_kept(figures: dict[str, Any]) -> Any:
    return json.loads(json.dumps(conditions._rounded(figures)))


# --- The template ---


def test_the_ways_are_those_of_the_state_machine(template: Template) -> None:
    stack = Stack.from_template(template.document)

    assert {way: stack.path(way) for way in Way} == {way: STACK.path(way) for way in Way}
    assert stack.path(Way.UNIQUE)[-2:] == ["AboveThreshold", "Done"]
    assert stack.path(Way.NOTIFIED)[-2:] == ["AboveThreshold", "NotifyMatch"]
    assert stack.path(Way.REJECTED) == ["IndexFaces", "RecordFailure", "ImageRejected"]
    assert stack.invoked(Way.NOTIFIED) == ["index", "search", "report", "notify"]
    month = Month(Load(images=1), stack, Usage.load(), "us-east-1")
    found = [history(month, way) for way in (Way.UNIQUE, Way.NOTIFIED, Way.REJECTED)]
    assert found == [23, 26, 13]


def test_what_the_template_has_is_what_is_paid_for(template: Template) -> None:
    stack = Stack.from_template(template.document)

    for name in (
        "starters",
        "batch_size",
        "dashboards",
        "keys",
        "starts_per_second",
        "alarm_metrics",
    ):
        assert getattr(stack, name) == getattr(STACK, name), name
    assert (stack.max_faces, stack.mailboxes) == (1, 0)
    functions = template.of_type("AWS::Lambda::Function").values()
    assert sum(stack.memory.values()) == sum(f["Properties"]["MemorySize"] for f in functions)


def test_what_the_estimate_takes_for_granted_is_in_the_template(template: Template) -> None:
    for machine in template.of_type("AWS::StepFunctions::StateMachine").values():
        assert machine["Properties"]["LoggingConfiguration"]["Level"] == "ERROR"
        assert machine["Properties"]["TracingConfiguration"]["Enabled"]
    assert template.function("starter")["TracingConfig"]["Mode"] == "PassThrough"


def test_settings_change_what_is_paid_for(synthesise: Callable[..., Template]) -> None:
    usual = Stack.from_template(synthesise().document)
    at_once = Stack.from_template(synthesise(settle_seconds=0).document)
    own = Stack.from_template(synthesise(encryption_key="own").document)
    all_traced = Stack.from_template(synthesise(traced_percent=100).document)
    by_the_account = Stack.from_template(synthesise(traced_percent="").document)

    assert settling(at_once.states) == 0
    assert len(at_once.path(Way.UNIQUE)) == len(usual.path(Way.UNIQUE)) - 1
    assert [s.trace_share for s in (usual, all_traced, by_the_account)] == [0.05, 1, None]
    assert own.keys == 1 + usual.keys or own.keys == usual.keys == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_an_image_is_at_most_a_tenth_on_top_of_rekognition(
    template: Template, at_once: bool
) -> None:
    stack, load = Stack.from_template(template.document), Load(images=500_000, at_once=at_once)
    bill = estimate(load, stack, Usage.load(), PriceList.load("us-east-1"))

    assert bill.on_top(Kind.IMAGE) <= 0.1


# --- The documents ---


@pytest.fixture(scope="module")
def cost(template: Template) -> dict[str, Any]:
    return costs.cost_figures(template.document)


@pytest.fixture(scope="module")
def scaling(template: Template) -> dict[str, Any]:
    known = measured("scaling")
    return costs.scaling_figures(template.document, known["simulated"], known["parquet"])


REFRESH = f"run {costs.COMMAND}"


def test_the_tables_of_the_documents_are_what_the_code_reckons(
    cost: dict[str, Any], scaling: dict[str, Any]
) -> None:
    tables = costs.cost_tables(cost)
    for name, table in tables.items():
        assert f"<!-- {name} -->\n{table}\n<!-- /{name} -->" in COST, (name, REFRESH)
    for name, table in costs.scaling_tables(scaling).items():
        assert f"<!-- {name} -->\n{table}\n<!-- /{name} -->" in SCALING, (name, REFRESH)
    assert measured("cost") == as_kept(cost), REFRESH
    assert measured("scaling") == as_kept(scaling), REFRESH


def test_the_tables_about_a_full_collection_are_what_the_code_calculates(
    template: Template,
) -> None:
    for name, table in costs.collection_tables(template.document).items():
        assert f"<!-- {name} -->\n{table}\n<!-- /{name} -->" in COLLECTION, (name, REFRESH)


def test_what_the_text_of_the_cost_says_is_in_its_figures(cost: dict[str, Any]) -> None:
    evenly, at_once = (
        next(r for r in cost["by_images"] if r["images"] == 500_000 and r["at_once"] is together)
        for together in (False, True)
    )
    for share in (at_once["image_on_top"], evenly["image_on_top"]):
        assert f"{100 * share:.1f} %" in COST, REFRESH
    dearer = [
        cost["designs"][0]["first_month"] - design["first_month"] for design in cost["designs"][1:]
    ]
    least, most = (f"{usd * 1000 / costs.FIRST_TIER:.2f}" for usd in dearer)
    assert f"costs {least} to {most} USD for 1,000 images" in COST
    fixed = sum(one["first"] for one in cost["bill"]["lines"] if one["kind"] == Kind.FIXED)
    assert f"{fixed:.0f} USD\na month" in COST


def test_what_the_text_of_the_scaling_says_is_in_its_figures(scaling: dict[str, Any]) -> None:
    kept = scaling["parquet"]
    assert f"{kept['parquet_bytes']:.0f} bytes instead of {kept['json_bytes']:,.0f}" in SCALING
    full = scaling["faces_that_fill"]
    assert round(full["a report at 80"], -4) == 320_000
    assert round(full["an answer of SearchFaces at 80"] / 1e6) == 13
    million = next(row for row in scaling["queries"] if row["images"] == 1_000_000)
    together = million["usd_get"] + million["usd_list"] + million["usd_read"]
    assert f"a million images costs {together:.2f} USD" in SCALING
    assert round(million["usd_get"] / million["usd_read"], -1) == 60
    largest = scaling["rates"][-1]
    assert largest["quota"] == 500
    image = largest["transitions"] / largest["starts"]
    assert f"{5000 / image:.0f} images a second there, {800 / image:.0f} elsewhere" in SCALING
    seconds = largest["concurrent_invocations"] / largest["starts"] + 0.2  # as many starters
    assert round(1000 / seconds / 0.96, -1) == 880
    assert largest["s3_puts"] * 2 < 3500
    assert largest["s3_gets"] * 2 < 5500
    assert re.search(r"MOST_SCANNED_BYTES`\): from about 4 million", SCALING)
    assert round(10 * 1024**3 / kept["json_bytes"] / 2 / 1e6) == 4


def test_a_simulated_burst_is_what_is_kept(template: Template) -> None:
    deployed = pace.Deployed.from_template(template.document)
    result = pace.run(pace.Load(images=10_000, tps=50), deployed)
    (kept,) = [
        row
        for row in measured("scaling")["simulated"]
        if (row["images"], row["tps"]) == (10_000, 50)
    ]

    assert result.seconds == pytest.approx(kept["seconds"], rel=1e-3)
    assert (result.failed, result.expired) == (0, 0)
