"""The estimate of what images cost: usage times prices, line by line."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from facematch.planning.usage import LOG_EVENT_OVERHEAD, Way
from functions.matching.settings import OTHER_REGIONS_QUOTA, REKOGNITION_QUOTA, paced

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.planning.prices import PriceList
    from facematch.planning.template import Stack
    from facematch.planning.usage import Invocation, Usage

#: One for each state that is entered, retries included ("each time a step of your workflow is
#: executed": AWS Step Functions pricing), and one for the start, which AWS's example counts as far
#: as we know. Compare with your bill: without it, there is one less for each image.
TRANSITIONS_OF_A_START: Final = 1

#: Lambda keeps five long polls of 20 s open on a queue that is empty (AWS Lambda Developer Guide,
#: Using Lambda with Amazon SQS), so many in a month of 730 hours.
_IDLE_POLLS: Final = 5 * 3 * 60 * 730
_MONTH_SECONDS: Final = 730 * 3600
#: X-Ray's default rule: the first request in each second, and 5 % of the others.
_SAMPLED: Final = 0.05
#: Status changes of an execution that EventBridge is told of: that it runs, that it ended.
_EVENTS_OF_AN_EXECUTION: Final = 2
_SMALLEST_QUERY: Final = 10e6
_KEYS_IN_A_LISTING: Final = 1000

#: An event in a state machine's log, without data (AWS Step Functions Developer Guide, Logging).
_LOG_EVENT: Final = {
    "id": "12",
    "type": "TaskStateExited",
    "details": {"name": "SearchFaces"},
    "previous_event_id": "11",
    "event_timestamp": "1793000000000",
    "execution_arn": "arn:aws:states:eu-central-1:123456789012:execution:FaceMatching:"
    "Ann_Lee_0003-0123456789abcdef0123456789abcdef",
    "redrive_count": "0",
}
LOG_EVENT_BYTES: Final = len(json.dumps(_LOG_EVENT, separators=(",", ":"))) + LOG_EVENT_OVERHEAD

#: S3 bills neither of these as the other; a DELETE costs nothing.
_S3: Final = {
    "s3:PutObject": "s3_put",
    "s3:GetObject": "s3_get",
    "s3:HeadObject": "s3_get",
}

Calls: TypeAlias = defaultdict[str, float]
"""Calls of all images by service and operation; a share of an image is no whole number."""


class Kind(StrEnum):
    """Whose cost a line is."""

    REKOGNITION = "rekognition"
    #: Grows with the images.
    IMAGE = "image"
    #: Is there every month, whether an image comes or not.
    FIXED = "fixed"
    QUERIES = "queries"
    #: The photographs themselves: taking them in and keeping them.
    PHOTOGRAPHS = "photographs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a month brings; shares are of all images, MB are 10^6 bytes.

    Attributes
    ----------
    images
        Taken in, in the first month.
    faces_per_image
        Indexed in an image that has any.
    matched, notified, no_face, rejected
        Shares: with a match under another name; notified, which is part of that; without a face;
        no image.
    queries
        Of Athena in a month, over all records.
    at_once
        All uploaded at the same moment, and not evenly over the month, which costs more.
    """

    images: int
    faces_per_image: float = 1.0
    matched: float = 0.1
    notified: float = 0.1
    no_face: float = 0.02
    rejected: float = 0.01
    megabytes: float = 2.0
    queries: int = 10
    at_once: bool = False

    def shares(self) -> dict[Way, float]:
        """Of the ways; together 1."""
        unique = 1 - self.matched - self.no_face - self.rejected
        return {
            Way.UNIQUE: unique,
            Way.MATCHED: self.matched - self.notified,
            Way.NOTIFIED: self.notified,
            Way.NO_FACE: self.no_face,
            Way.REJECTED: self.rejected,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One item of the bill.

    Attributes
    ----------
    first, after
        What it costs in the month that brings the images, and in each month after that.
    """

    service: str
    what: str
    kind: Kind
    quantity: float
    first: float
    after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The bill of a month, and of each month after it."""

    load: Load
    lines: tuple[Line, ...]
    transitions: float

    def total(self, *kinds: Kind, after: bool = False) -> float:
        """Of these kinds, or of all."""
        return sum(
            line.after if after else line.first
            for line in self.lines
            if line.kind in (kinds or tuple(Kind))
        )

    def on_top(self, *kinds: Kind) -> float:
        """These kinds as a share of what Rekognition costs, in the first month."""
        return self.total(*kinds) / self.total(Kind.REKOGNITION)

    def per_thousand(self, *kinds: Kind) -> float:
        """Of these kinds, in the first month, for 1,000 images."""
        return self.total(*kinds) * 1000 / self.load.images

    def to_document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "load": asdict(self.load),
            "transitions_per_image": self.transitions,
            "lines": [asdict(line) for line in self.lines],
            "first_month": self.total(),
            "each_month_after": self.total(after=True),
            "rekognition": self.total(Kind.REKOGNITION),
            "per_1000_images": {kind: self.per_thousand(kind) for kind in Kind},
            "on_top_of_rekognition": {
                kind: self.on_top(kind) for kind in Kind if kind is not Kind.REKOGNITION
            },
        }


def estimate(load: Load, stack: Stack, usage: Usage, prices: PriceList) -> Estimate:
    """Estimate the bill of a month, and of each month after it."""
    return Bill(load, stack, usage, prices).estimate()


class Bill:
    """Adds up what images use on each way through the workflow."""

    def __init__(self, load: Load, stack: Stack, usage: Usage, prices: PriceList) -> None:
        self._load = load
        self._stack = stack
        self._usage = usage
        self._prices = prices
        self._images = {way: share * load.images for way, share in load.shares().items()}
        self._lines: list[Line] = []

    def estimate(self) -> Estimate:
        """Write every line of the bill."""
        calls = self._calls()
        self._rekognition(calls)
        self._workflow()
        self._functions()
        self._storage(calls)
        self._queue(calls)
        self._logs()
        self._watching()
        self._queries()
        return Estimate(
            load=self._load,
            lines=tuple(self._lines),
            transitions=self._transitions() / self._load.images,
        )

    # --- What the images use ---

    @property
    def _seen(self) -> set[Way]:
        return {way for way, images in self._images.items() if images}

    @property
    def _batch(self) -> int:
        """Messages that a starter gets at a time."""
        return self._stack.batch_size if self._load.at_once else 1

    def _over_ways(self, of_one: Callable[[Way], float]) -> float:
        return sum(images * of_one(way) for way, images in self._images.items())

    def _steps(self, way: Way) -> list[Invocation]:
        return [self._usage.invocation(way, module) for module in self._stack.invoked(way)]

    def _starter(self, way: Way) -> Invocation:
        return self._usage.invocation(way, "starter")

    def _calls(self) -> Calls:
        calls: Calls = defaultdict(float)
        for way, images in self._images.items():
            for invocation in (self._starter(way), *self._steps(way)):
                for name, number in invocation.calls.items():
                    faces = self._load.faces_per_image if name.endswith("SearchFaces") else 1
                    calls[name] += number * images * faces
        if self._load.at_once:
            calls["dynamodb:UpdateItem"] = self._load.images
        return calls

    def _transitions(self) -> float:
        return self._over_ways(lambda way: len(self._stack.path(way)) + TRANSITIONS_OF_A_START)

    # --- The bill ---

    def _rekognition(self, calls: Calls) -> None:
        made = calls["rekognition:IndexFaces"] + calls["rekognition:SearchFaces"]
        with_face = self._load.images * (1 - self._load.no_face - self._load.rejected)
        faces = with_face * self._load.faces_per_image
        for what, number in (
            ("IndexFaces", calls["rekognition:IndexFaces"]),
            ("SearchFaces", calls["rekognition:SearchFaces"]),
        ):
            # Both count towards the same tiers.
            cost = self._prices.of("rekognition_call", made) * number / made
            self._add("Rekognition", what, Kind.REKOGNITION, quantity=number, first=cost)
        self._each_month(
            "Rekognition", "faces stored", "rekognition_face_month", Kind.REKOGNITION, faces
        )

    def _workflow(self) -> None:
        self._once(
            "Step Functions", "state transitions", "step_functions_transition", self._transitions()
        )
        self._once(
            "EventBridge",
            "status changes",
            "eventbridge_aws_event",
            _EVENTS_OF_AN_EXECUTION * self._load.images,
        )

    def _functions(self) -> None:
        requests = self._load.images / self._batch + self._over_ways(
            lambda way: len(self._steps(way))
        )
        gb_seconds = self._over_ways(
            lambda way: sum(
                step.seconds(memory := self._stack.memory[step.function]) * memory / 1024
                for step in self._steps(way)
            )
        ) + self._over_ways(self._starting)
        self._once("Lambda", "requests", "lambda_request", requests)
        self._once("Lambda", "GB-seconds", "lambda_gb_second", gb_seconds)

    def _starting(self, way: Way) -> float:
        """GB-seconds of the starter for one image."""
        memory = self._stack.memory["starter"]
        seconds = self._starter(way).seconds(memory)
        if self._load.at_once:  # all of them are busy all the time, waiting for their turns
            seconds = self._stack.starters.at(self._rate, self._stack.max_faces) / self._rate
        return seconds * memory / 1024

    @property
    def _rate(self) -> float:
        """Starts in a second, of a full queue."""
        quota = REKOGNITION_QUOTA.get(self._prices.region, OTHER_REGIONS_QUOTA)
        return self._stack.starts_per_second or paced(quota, self._stack.max_faces)

    def _storage(self, calls: Calls) -> None:
        images = self._load.images
        requests: Calls = defaultdict(float)
        for name, number in calls.items():
            if name in _S3:
                requests[_S3[name]] += number
        # Rekognition reads the image with our rights, and so at our cost.
        requests["s3_get"] += calls["rekognition:IndexFaces"]
        self._once("S3", "PUT requests", "s3_put", requests["s3_put"])
        self._once("S3", "GET and HEAD requests", "s3_get", requests["s3_get"])
        records = self._over_ways(lambda way: self._usage.of(way, "object_bytes")) / 1e9
        self._each_month("S3", "records, GB", "s3_gb_month", Kind.IMAGE, records)
        self._once("S3", "photographs, PUT", "s3_put", images, Kind.PHOTOGRAPHS)
        gigabytes = images * self._load.megabytes / 1e3
        self._each_month("S3", "photographs, GB", "s3_gb_month", Kind.PHOTOGRAPHS, gigabytes)

    def _queue(self, calls: Calls) -> None:
        images, notified = self._load.images, calls["sns:Publish"]
        # One to send it, and one each to receive and to delete a batch.
        self._once("SQS", "requests", "sqs_request", images * (1 + 2 / self._batch))
        self._each_month("SQS", "polls of an empty queue", "sqs_request", Kind.FIXED, _IDLE_POLLS)
        self._turns(calls)
        self._once("SNS", "messages", "sns_publish", notified)
        self._once("SNS", "e-mails", "sns_email", notified * self._stack.mailboxes)
        self._each_month("KMS", "keys", "kms_key_month", Kind.FIXED, self._stack.keys)
        self._once("KMS", "requests, of the topics", "kms_request", notified)

    def _turns(self, calls: Calls) -> None:
        self._once("DynamoDB", "turns, writes", "dynamodb_write", calls["dynamodb:UpdateItem"])

    def _logs(self) -> None:
        logged = {
            "functions": self._logged_by_functions(),
            "state machine": self._over_ways(self._logged_by_machine),
        }
        for what, written in logged.items():
            self._once("CloudWatch", f"log of the {what}, GB", "logs_gb", written / 1e9)
        # For three months, uncompressed: less in truth.
        self._each_month(
            "CloudWatch", "logs kept, GB", "logs_gb_month", Kind.IMAGE, sum(logged.values()) / 1e9
        )

    def _logged_by_functions(self) -> float:
        return self._over_ways(
            lambda way: sum(i.log_bytes for i in (self._starter(way), *self._steps(way)))
        )

    def _logged_by_machine(self, way: Way) -> float:
        return self._stack.logged(way) * LOG_EVENT_BYTES

    def _watching(self) -> None:
        self._add_price(
            "CloudWatch",
            "custom metrics",
            "metric_month",
            Kind.FIXED,
            len(self._usage.metrics(self._seen)),
            every_month=False,  # in a month without an image, none is sent
        )
        for what, item, number in (
            ("metrics of alarms", "alarm_metric_month", self._stack.alarm_metrics),
            ("dashboards", "dashboard_month", self._stack.dashboards),
        ):
            self._each_month("CloudWatch", what, item, Kind.FIXED, number)
        traces = self._traced_executions() if self._stack.traced else 0
        self._once("X-Ray", "traces", "xray_trace", traces + self._traced_starts())

    def _traced_starts(self) -> float:
        traced = self._stack.starter_traced
        return self._sampled(self._load.images / self._batch) if traced else 0

    def _traced_executions(self) -> float:
        if self._stack.trace_share is None:
            return self._sampled(self._load.images)
        return self._stack.trace_share * self._load.images

    def _sampled(self, requests: float) -> float:
        seconds = self._load.images / self._rate if self._load.at_once else _MONTH_SECONDS
        first = min(requests, seconds)
        return first + _SAMPLED * (requests - first)

    def _queries(self) -> None:
        queries = self._load.queries
        objects = self._over_ways(lambda way: self._usage.of(way, "objects") - 1)  # no register
        read = max(
            _SMALLEST_QUERY, self._over_ways(lambda way: self._usage.of(way, "object_bytes"))
        )
        for what, item, number in (
            ("read, TB", "athena_tb", queries * read / 1e12),
            ("GET requests", "s3_get", queries * objects),
            ("LIST requests", "s3_put", queries * ceil(objects / _KEYS_IN_A_LISTING)),
        ):
            self._each_month("Athena", what, item, Kind.QUERIES, number)

    # --- Lines ---

    def _once(
        self, service: str, what: str, item: str, quantity: float, kind: Kind = Kind.IMAGE
    ) -> None:
        self._add_price(service, what, item, kind, quantity, every_month=False)

    def _each_month(self, service: str, what: str, item: str, kind: Kind, quantity: float) -> None:
        self._add_price(service, what, item, kind, quantity, every_month=True)

    def _add_price(
        self, service: str, what: str, item: str, kind: Kind, quantity: float, *, every_month: bool
    ) -> None:
        cost = self._prices.of(item, quantity)
        self._add(
            service,
            what,
            kind,
            quantity=quantity,
            first=cost,
            after=cost if every_month else 0.0,
        )

    def _add(
        self,
        service: str,
        what: str,
        kind: Kind,
        *,
        quantity: float,
        first: float,
        after: float = 0.0,
    ) -> None:
        self._lines.append(
            Line(service=service, what=what, kind=kind, quantity=quantity, first=first, after=after)
        )
