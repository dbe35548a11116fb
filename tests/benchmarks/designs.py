"""What docs/cost.md compares: two other designs of the same work, and this one before its cuts."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from facematch.planning.estimate import Estimate, Kind, Line, Month, estimate, priced
from facematch.planning.prices import Price, PriceList

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facematch.planning.usage import Way

#: What an Express workflow is billed by (AWS Step Functions pricing), in every region. The prices
#: are assumed; that of the GB-second holds for the first 1,000 GB-hours.
_EXPRESS_MEMORY_GB: Final = 64 / 1024
_EXPRESS_SECONDS: Final = 0.1
_EXPRESS: Final = {"express_request": 1e-06, "express_gb_second": 1.667e-05}
#: Events in an execution's history: of a Task entered, scheduled, started, succeeded or failed,
#: exited (not when it failed and was caught: then the next one is entered); of any other state
#: entered and exited, but a Fail state has no exit. And one each for the execution's beginning and
#: end (AWS Step Functions Developer Guide, Viewing execution details).
_TASK_EVENTS: Final = 5
_OTHER_EVENTS: Final = 2

TRANSITIONS: Final = "Step Functions state transitions"
MACHINE_LOG: Final = "CloudWatch log of the state machine, GB"
FUNCTION_LOG: Final = "CloudWatch log of the functions, GB"
KEPT: Final = "CloudWatch logs kept, GB"
TRACES: Final = "X-Ray traces"
Quantities: TypeAlias = "dict[str, float]"
"""Quantities by service and what is counted, in the place of those of this design."""

#: The heads of the columns, this design first.
DESIGNS: Final = ("Standard workflow: this", "Express workflow", "one Lambda function")


def history(month: Month, way: Way) -> int:
    """How many events an execution has in its history."""
    kinds = [month.stack.states[name]["Type"] for name in month.stack.path(way)]
    events = sum(_TASK_EVENTS if kind == "Task" else _OTHER_EVENTS for kind in kinds)
    return events - ("Fail" in kinds) + 2


def designs(month: Month, prices: PriceList) -> list[Estimate]:
    """The bills of `DESIGNS`."""
    return [
        estimate(month.load, month.stack, month.usage, prices),
        _express(month, prices),
        _one_function(month, prices),
    ]


def _express(month: Month, prices: PriceList) -> Estimate:
    """The same steps in an Express workflow, whose only history is its log."""
    periods = month.over_ways(lambda way: ceil(_seconds(month, way) / _EXPRESS_SECONDS))
    own = [
        Line("Step Functions", "executions", "express_request", month.load.images),
        Line(
            "Step Functions",
            "GB-seconds",
            "express_gb_second",
            periods * _EXPRESS_SECONDS * _EXPRESS_MEMORY_GB,
        ),
    ]
    data = month.over_ways(lambda way: month.usage.of(way, "data_bytes"))
    logged = every_event(month) + data / 1e9
    lines = _instead(month, {TRANSITIONS: 0, MACHINE_LOG: logged})
    express = {name: Price(((inf, price),), assumed=True) for name, price in _EXPRESS.items()}
    known = replace(prices, prices=prices.prices | express)
    return Estimate(month.load, priced(own + lines, known), 0)


def _one_function(month: Month, prices: PriceList) -> Estimate:
    """One function behind the queue that does everything, and is paced by its concurrency."""
    of_lambda = month.usage.document["logs"]["bytes_of_lambda_itself"]
    own = month.over_ways(lambda way: sum(i.log_bytes - of_lambda for i in month.steps(way)))
    memory = month.stack.memory["index"] / 1024
    lines = _instead(
        month,
        {
            TRANSITIONS: 0,
            "EventBridge status changes": 0,
            "Lambda requests": month.starters,
            "Lambda GB-seconds": month.over_ways(lambda way: _seconds(month, way)) * memory,
            "DynamoDB turns, writes": 0,
            FUNCTION_LOG: (own + month.starters * of_lambda) / 1e9,
            MACHINE_LOG: 0,
        },
    )
    return Estimate(month.load, priced(lines, prices), 0)


def _seconds(month: Month, way: Way) -> float:
    """How long the work on an image takes, waiting for the index included."""
    stack = month.stack
    working = sum(step.seconds(stack.memory[step.function]) for step in month.steps(way))
    return working + ("Settle" in stack.path(way)) * settling(stack.states)


def settling(states: Mapping[str, Any]) -> float:
    """Seconds that a state machine waits for the index."""
    return float(states.get("Settle", {}).get("Seconds", 0))


def every_event(month: Month) -> float:
    """GB in the log of the state machine if it logged every event."""
    return month.over_ways(lambda way: history(month, way)) * _event_bytes(month) / 1e9


def _event_bytes(month: Month) -> int:
    return int(month.usage.document["logs"]["bytes_of_a_state_machine_event"])


def _instead(month: Month, quantities: Quantities) -> list[Line]:
    """Replace quantities of this design; what is logged is kept, too."""
    of_this = {f"{line.service} {line.what}": line for line in month.lines()}
    logged = {name: of_this[name].quantity for name in (FUNCTION_LOG, MACHINE_LOG)} | quantities
    changed = {**quantities, KEPT: logged[FUNCTION_LOG] + logged[MACHINE_LOG]}
    return [
        replace(line, quantity=changed.get(name, line.quantity)) for name, line in of_this.items()
    ]


def lowered(month: Month, prices: PriceList) -> dict[str, list[float]]:
    """USD of the images for 1,000 of them, before and after each cut, one cut after the other."""
    images = month.load.images
    notified = images * month.load.notified
    events = every_event(month)
    one_more = {
        TRANSITIONS: month.transitions + notified,
        MACHINE_LOG: events + _OTHER_EVENTS * notified * _event_bytes(month) / 1e9,
    }
    executions, starters = month.sampled(images), month.sampled(month.starters)
    stages: list[Quantities] = [
        {**one_more, TRACES: executions + starters},
        {MACHINE_LOG: events, TRACES: executions + starters},
        {TRACES: executions + starters},
        {TRACES: executions},
        {},
    ]
    costs = [
        Estimate(month.load, priced(_instead(month, stage), prices), 0).per_thousand(Kind.IMAGE)
        for stage in stages
    ]
    cuts = (
        "`NotifyMatch` is the end itself, without `Done` after it",
        "the state machines log errors, not every event",
        "the starter is traced where the upload is, not by itself",
        "X-Ray traces `traced_percent` of the executions, not the first in each second",
    )
    return {cut: costs[number : number + 2] for number, cut in enumerate(cuts)}
