"""What the template says of costs: the state machine's ways, memory sizes, alarms, keys, logs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from facematch.planning.usage import Way
from functions.matching.errors import ImageRejected
from functions.matching.settings import OTHER_REGIONS_QUOTA, paced

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The step that finds out that an image is none.
_REJECTING: Final = "IndexFaces"


@dataclass(frozen=True, slots=True)
class Starters:
    """How many starters run at a time: where Rekognition's default quota is high, and elsewhere."""

    fast: int
    elsewhere: int

    @classmethod
    def of_source(cls, source: Mapping[str, Any]) -> Self:
        """Read them out of the properties of the event source that calls the starter."""
        found = source["ScalingConfig"]["MaximumConcurrency"]
        if isinstance(found, dict):
            _, fast, elsewhere = found["Fn::If"]
            return cls(int(fast), int(elsewhere))
        return cls(found, found)

    def at(self, rate: float, max_faces: int) -> int:
        """Where so many executions are started in a second."""
        return self.elsewhere if rate <= paced(OTHER_REGIONS_QUOTA, max_faces) else self.fast


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """A synthesised template, as far as it costs something.

    Attributes
    ----------
    start, states
        The state machine that each image runs through.
    modules
        Of `functions/`, by the name of the state that calls it.
    memory
        MB, by module.
    starters, batch_size, starts_per_second
        How the queue is drained; the rate is None when it follows from the region.
    trace_share
        Of the executions, by the template's own sampling rule; None for X-Ray's default one.
    alarm_metrics, dashboards, keys, mailboxes
        Metrics that alarms watch, dashboards, KMS keys of the stack, mailboxes told of matches.
    """

    start: str
    states: dict[str, Any]
    modules: dict[str, str]
    memory: dict[str, int]
    max_faces: int
    starters: Starters
    batch_size: int
    starts_per_second: float | None
    trace_share: float | None
    alarm_metrics: int
    dashboards: int
    keys: int
    mailboxes: int

    @classmethod
    def from_template(cls, template: Mapping[str, Any]) -> Self:
        """Read it out of the synthesised template."""
        resources = template["Resources"]

        def of_type(kind: str, mark: str = "") -> dict[str, dict[str, Any]]:
            return {
                name: resource.get("Properties", {})
                for name, resource in resources.items()
                if resource["Type"] == kind and mark in json.dumps(resource)
            }

        lambdas = of_type("AWS::Lambda::Function")
        functions = {name: found["Handler"].split(".")[1] for name, found in lambdas.items()}
        rules = of_type("AWS::XRay::SamplingRule").values()
        (machine,) = of_type("AWS::StepFunctions::StateMachine", _REJECTING).values()
        (source,) = of_type("AWS::Lambda::EventSourceMapping", "ScalingConfig").values()
        (starter,) = of_type("AWS::Lambda::Function", "functions.starter.handler").values()
        definition = json.loads(_text(machine["DefinitionString"]))
        rate = starter["Environment"]["Variables"]["STARTS_PER_SECOND"]
        return cls(
            start=definition["StartAt"],
            states=definition["States"],
            modules={
                name: functions[state["Arguments"]["FunctionName"].strip("<>")]
                for name, state in definition["States"].items()
                if state["Type"] == "Task"
            },
            memory={functions[name]: found["MemorySize"] for name, found in lambdas.items()},
            max_faces=int(starter["Environment"]["Variables"]["MAX_FACES"]),
            starters=Starters.of_source(source),
            batch_size=source["BatchSize"],
            starts_per_second=None if rate == "auto" else float(rate),
            trace_share=next((rule["SamplingRule"]["FixedRate"] for rule in rules), None),
            alarm_metrics=sum(
                sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
                for alarm in of_type("AWS::CloudWatch::Alarm").values()
            ),
            dashboards=len(of_type("AWS::CloudWatch::Dashboard")),
            keys=len(of_type("AWS::KMS::Key")),
            mailboxes=sum(
                properties["Protocol"] == "email"
                and "Matches" in json.dumps(properties["TopicArn"])
                for properties in of_type("AWS::SNS::Subscription").values()
            ),
        )

    def path(self, way: Way) -> list[str]:
        """The states that an image on this way goes through, in order."""
        passed = [self.start]
        while True:
            state = self.states[passed[-1]]
            if way is Way.REJECTED and passed[-1] == _REJECTING:
                following = _caught(state["Catch"])
            elif state["Type"] == "Choice":
                following = state["Default"]
                if way is Way.NOTIFIED:
                    following = state["Choices"][0]["Next"]
            elif state.get("End") or state["Type"] in {"Succeed", "Fail"}:
                return passed
            else:
                following = state["Next"]
            passed.append(following)

    def invoked(self, way: Way) -> list[str]:
        """The modules whose functions the state machine calls on this way."""
        return [self.modules[name] for name in self.path(way) if name in self.modules]


def _caught(catches: Iterable[Mapping[str, Any]]) -> str:
    (following,) = [c["Next"] for c in catches if ImageRejected.__name__ in c["ErrorEquals"]]
    return str(following)


def _text(value: Any) -> str:  # noqa: ANN401 - a value of CloudFormation
    """A value with its Joins joined, and its references written as ``<LogicalId>``."""
    if isinstance(value, str):
        return value
    (kind, argument) = next(iter(value.items()))
    if kind == "Fn::Join":
        return str(argument[0]).join(_text(part) for part in argument[1])
    return f"<{argument if kind == 'Ref' else argument[0]}>"
