"""Prices and the bill that is made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from facematch.cli import cost as command
from facematch.cli import main as cli
from facematch.errors import Actionable
from facematch.planning.estimate import Kind, Load, estimate
from facematch.planning.prices import PRICES_FILE, Price, PriceList, PricesUnusable
from facematch.planning.template import Stack, Starters
from facematch.planning.usage import Usage, Way

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CATCH = [{"ErrorEquals": ["ImageRejected"], "Next": "RecordFailure"}]
#: As the template has it, but for the memory of one function, so that no two are alike by chance:
#: tests/infrastructure/test_cost.py.
STACK = Stack(
    start="IndexFaces",
    states={
        "IndexFaces": {"Type": "Task", "Next": "Settle", "Catch": CATCH},
        "Settle": {"Type": "Wait", "Seconds": 1, "Next": "SearchFaces"},
        "SearchFaces": {"Type": "Task", "Next": "WriteReport", "Catch": CATCH},
        "WriteReport": {"Type": "Task", "Next": "AboveThreshold", "Catch": CATCH},
        "AboveThreshold": {
            "Type": "Choice",
            "Choices": [{"Next": "NotifyMatch"}],
            "Default": "Done",
        },
        "NotifyMatch": {"Type": "Task", "End": True, "Catch": CATCH},
        "Done": {"Type": "Succeed"},
        "RecordFailure": {"Type": "Task", "Next": "ImageRejected"},
        "ImageRejected": {"Type": "Fail"},
    },
    modules={
        "IndexFaces": "index",
        "SearchFaces": "search",
        "WriteReport": "report",
        "NotifyMatch": "notify",
        "RecordFailure": "failure",
    },
    memory={
        **dict.fromkeys(("starter", "search", "report", "notify", "failure"), 256),
        "index": 512,
    },
    max_faces=2,
    starters=Starters(10, 2),
    batch_size=10,
    starts_per_second=None,
    trace_share=None,
    alarm_metrics=21,
    dashboards=1,
    keys=1,
    mailboxes=1,
)
UNIQUE_ONLY = Load(images=1000, matched=0, notified=0, no_face=0, rejected=0, queries=0)
VIRGINIA = PriceList.load("us-east-1")


def bill(load: Load = UNIQUE_ONLY, stack: Stack = STACK, prices: PriceList = VIRGINIA) -> Any:
    return estimate(load, stack, Usage.load(), prices)


def line(of: Any, service: str, what: str) -> Any:
    (found,) = [one for one in of.lines if (one.service, one.what) == (service, what)]
    return found


# --- Prices ---


def test_each_tier_is_paid_at_its_own_price() -> None:
    price = VIRGINIA.prices["rekognition_call"]

    assert price.of(500_000) == pytest.approx(500)
    assert price.of(1_000_000) == pytest.approx(1000)
    assert price.of(6_000_000) == pytest.approx(1000 + 4 * 800 + 600)
    assert price.of(40_000_000) == pytest.approx(1000 + 3200 + 18_000 + 5 * 400)


@pytest.mark.parametrize("region", json.loads(PRICES_FILE.read_text())["regions"])
def test_every_region_of_the_file_has_every_price_and_each_names_its_source(region: str) -> None:
    prices = PriceList.load(region)
    document = json.loads(PRICES_FILE.read_text())

    assert set(prices.prices) == set(document["prices"])
    for name, item in document["prices"].items():
        assert item["source"].startswith("https://aws.amazon.com/"), name
        assert item["unit"], name
        assert item["evidence"], name
        assert set(item["assumed"]) <= set(document["regions"]), name


def broken(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(PRICES_FILE.read_text())
    change(document)
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(document))
    return file


def priced(price: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["prices"]["s3_put"].update(prices={"*": price})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("date"), "is no price list: 'date'"),
        (lambda d: d["regions"].remove("eu-west-1"), "no prices of the region eu-west-1"),
        (lambda d: d["prices"].pop("sns_email"), "lacks sns_email"),
        (priced(-1), "price of s3_put in eu-west-1"),
        (priced("0.1"), "price of s3_put in eu-west-1"),
        (priced(True), "price of s3_put in eu-west-1"),
        (priced(float("nan")), "price of s3_put in eu-west-1"),
        (priced([[1000, 1], [1000, 1]]), "price of s3_put in eu-west-1"),
        (priced([[None, 1], [None, 1]]), "price of s3_put in eu-west-1"),
        (priced([]), "price of s3_put in eu-west-1"),
        (lambda d: d["prices"]["s3_put"].update(prices={"us-east-1": 1}), "price of s3_put"),
    ],
)
def test_a_price_list_that_cannot_be_reckoned_with_says_what_to_mend(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(PricesUnusable, match=said):
        PriceList.load("eu-west-1", broken(tmp_path, change))


def test_a_file_that_is_no_json_is_no_price_list(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text("0.001 a call")
    with pytest.raises(PricesUnusable, match="is no price list"):
        PriceList.load("us-east-1", file)


# --- The bill ---


def test_a_thousand_images_by_hand() -> None:
    made = bill()

    assert made.transitions == 7
    assert line(made, "Step Functions", "state transitions").first == pytest.approx(0.175)
    assert made.total(Kind.REKOGNITION) == pytest.approx(1 + 1 + 0.01)
    assert line(made, "S3", "PUT requests").quantity == 2000
    assert line(made, "S3", "GET and HEAD requests").quantity == 4000
    assert line(made, "Lambda", "requests").quantity == 4000
    assert line(made, "SQS", "requests").quantity == 3000
    index = 0.6 + 0.02 + 0.035 + 0.0023 * 1769 / 512
    assert line(made, "Lambda", "GB-seconds").quantity == pytest.approx(
        1000 * (index * 0.5 + 0.25 * (0.2 + 0.02 + 0.035 + 0.02 + 0.016 + 0.04 + 3 * 0.0159)),
        rel=0.01,
    )
    assert made.total() == pytest.approx(sum(one.first for one in made.lines))


@pytest.mark.parametrize("item", sorted(VIRGINIA.prices))
def test_no_price_is_without_effect(item: str) -> None:
    dear = replace(VIRGINIA.prices[item], tiers=((float("inf"), 1000.0),))
    prices = replace(VIRGINIA, prices={**VIRGINIA.prices, item: dear})
    load = replace(Load(images=1000), at_once=True)

    assert bill(load, prices=prices).total() > bill(load).total()


def test_twice_the_images_cost_twice_as_much_and_what_is_fixed_stays() -> None:
    once, twice = bill(), bill(replace(UNIQUE_ONLY, images=2000))

    for kind in (Kind.REKOGNITION, Kind.IMAGE, Kind.PHOTOGRAPHS):
        assert twice.total(kind) == pytest.approx(2 * once.total(kind))
    assert twice.total(Kind.FIXED) == once.total(Kind.FIXED)


def test_each_face_is_searched_and_stored_but_its_image_is_indexed_once() -> None:
    made = bill(replace(UNIQUE_ONLY, faces_per_image=2))

    assert line(made, "Rekognition", "IndexFaces").quantity == 1000
    assert line(made, "Rekognition", "SearchFaces").quantity == 2000
    assert line(made, "Rekognition", "faces stored").quantity == 2000


def test_an_image_without_a_face_is_not_searched_and_what_is_no_image_goes_another_way() -> None:
    made = bill(replace(UNIQUE_ONLY, no_face=0.5, rejected=0.25))

    assert line(made, "Rekognition", "IndexFaces").quantity == 1000
    assert line(made, "Rekognition", "SearchFaces").quantity == 250
    assert line(made, "Rekognition", "faces stored").quantity == 250
    assert made.transitions == 0.75 * 7 + 0.25 * 4


def test_who_is_notified_is_paid_for() -> None:
    made = bill(replace(UNIQUE_ONLY, matched=1, notified=0.5))

    assert line(made, "SNS", "messages").quantity == 500
    assert line(made, "SNS", "e-mails").quantity == 500
    assert line(made, "S3", "PUT requests").quantity == 3000
    assert line(made, "Lambda", "requests").quantity == 4500


def test_a_month_after_only_what_is_kept_and_what_watches_is_paid_for() -> None:
    made = bill(replace(UNIQUE_ONLY, queries=3))
    after = {(one.service, one.what) for one in made.lines if one.after}

    assert after == {
        ("Rekognition", "faces stored"),
        ("S3", "records, GB"),
        ("S3", "photographs, GB"),
        ("SQS", "polls of an empty queue"),
        ("KMS", "keys"),
        ("CloudWatch", "logs kept, GB"),
        ("CloudWatch", "metrics of alarms"),
        ("CloudWatch", "dashboards"),
        ("Athena", "read, TB"),
        ("Athena", "GET requests"),
        ("Athena", "LIST requests"),
    }


def test_a_full_queue_is_cheaper_than_a_trickle() -> None:
    load = replace(UNIQUE_ONLY, images=1_000_000)
    trickle, full = bill(load), bill(replace(load, at_once=True))

    assert line(full, "DynamoDB", "turns, writes").quantity == 1_000_000
    assert line(trickle, "DynamoDB", "turns, writes").quantity == 2_000_000
    assert line(full, "SQS", "requests").quantity == 1_200_000
    # One in each second, and 5 % of the others: of 24 executions.
    assert line(full, "X-Ray", "traces").quantity == pytest.approx(1e6 / 24 * (1 + 0.05 * 23))
    assert line(trickle, "X-Ray", "traces").quantity == 1_000_000
    assert full.total(Kind.IMAGE) < trickle.total(Kind.IMAGE)


def test_a_rule_of_the_stack_traces_its_share_of_the_executions_however_they_come() -> None:
    stack = replace(STACK, trace_share=0.1)
    load = replace(UNIQUE_ONLY, images=1_000_000)

    for at_once in (False, True):
        traces = line(bill(replace(load, at_once=at_once), stack), "X-Ray", "traces")
        assert traces.quantity == 100_000
    none = bill(load, replace(stack, trace_share=0.0))
    assert line(none, "X-Ray", "traces").first == 0


def test_the_log_of_the_state_machine_has_the_errors_of_images_that_are_none() -> None:
    made = bill(replace(UNIQUE_ONLY, rejected=0.5))
    logged = line(made, "CloudWatch", "log of the state machine, GB").quantity * 1e9

    assert logged == 500 * 3 * 302


def test_lines_of_the_same_item_count_towards_the_same_tiers() -> None:
    tiers = Price(((1500, 1.0), (float("inf"), 0.0)), assumed=True)
    dear = replace(VIRGINIA, prices={**VIRGINIA.prices, "rekognition_call": tiers})
    made = bill(prices=dear)

    assert [line(made, "Rekognition", f"{name}Faces").first for name in ("Index", "Search")] == [
        750,
        750,
    ]


def test_every_call_has_a_duration_and_every_function_its_work() -> None:
    document = Usage.load().document
    functions = [(n, f) for way in document["ways"].values() for n, f in way["functions"].items()]

    assert set(document["ways"]) == set(Way)
    assert {name for name, _ in functions} == set(document["cpu_ms"])
    assert {c for _, f in functions for c in f["calls"]} <= set(document["latency_ms"])


# --- The command ---


@pytest.fixture
def _template_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_stack", lambda _context: STACK)


@pytest.mark.usefixtures("_template_at_hand")
def test_the_command_prints_the_bill_for_people_and_for_programs() -> None:
    for_people = CliRunner().invoke(cli.app, ["cost", "--images", "1000"]).stdout
    asked = ["cost", "--images", "1000", "--match-share", "0.2", "--notify-share", "0.1", "--json"]
    document = json.loads(CliRunner().invoke(cli.app, asked).stdout)

    assert "state transitions" in for_people
    ours = document["bill"]
    assert ours["load"]["notified"] == 0.1
    assert ours["first_month"] == pytest.approx(sum(one["first"] for one in ours["lines"]))
    assert document["prices"]["region"] == "us-east-1"


@pytest.mark.usefixtures("_template_at_hand")
def test_prices_of_ones_own_are_used(tmp_path: Path) -> None:
    def free(document: dict[str, Any]) -> None:
        document["regions"].append("here")
        for item in document["prices"].values():
            item["prices"] = {"*": 0.001}

    file = broken(tmp_path, free)
    asked = ["cost", "--images", "1000", "--region", "here", "--prices", str(file), "--json"]
    document = json.loads(CliRunner().invoke(cli.app, asked).stdout)

    assert all(
        one["first"] == pytest.approx(one["quantity"] * 0.001) for one in document["bill"]["lines"]
    )


@pytest.mark.usefixtures("_template_at_hand")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--match-share", "0.1", "--notify-share", "0.2"], "only a match notifies"),
        (["--match-share", "0.9", "--no-face-share", "0.2"], "Lower them to 1 together"),
        (["--faces-per-image", "3"], "max_faces is 2"),
        (["--region", "mars-north-1"], "no prices of the region mars-north-1"),
        (["--megabytes", "1e308", "--json"], "too large for --json"),
    ],
)
def test_what_is_impossible_is_refused_with_a_remedy(asked: list[str], said: str) -> None:
    error = CliRunner().invoke(cli.app, ["cost", *asked]).exception

    assert isinstance(error, Actionable)
    assert said in str(error)
