"""The estimate of what images cost: usage times prices, line by line."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from facematch.planning.usage import Way
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

#: Lambda keeps five long polls of 20 s open on an empty queue (AWS Lambda Developer Guide, Using
#: Lambda with Amazon SQS), during a month of 730 hours.
_IDLE_POLLS: Final = 5 * 3 * 60 * 730
_MONTH_SECONDS: Final = 730 * 3600
#: X-Ray's default rule: the first request in each second, and 5 % of the others.
_SAMPLED: Final = 0.05
_SMALLEST_QUERY: Final = 10e6
_KEYS_IN_A_LISTING: Final = 1000


class Kind(StrEnum):
    """What a line depends on."""

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
        """Return the share of each way; together they are 1."""
        return {
            Way.UNIQUE: 1 - self.matched - self.no_face - self.rejected,
            Way.MATCHED: self.matched - self.notified,
            Way.NOTIFIED: self.notified,
            Way.NO_FACE: self.no_face,
            Way.REJECTED: self.rejected,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One item of the bill.

    Attributes
    ----------
    item
        Its name in the price list.
    monthly
        Whether each month after costs as much as the month that brings the images.
    first, after
        The cost of the month that brings the images, and of each month after it.
    """

    service: str
    what: str
    item: str
    quantity: float
    kind: Kind = Kind.IMAGE
    monthly: bool = False
    first: float = 0.0
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The bill of a month, and of each month after it."""

    load: Load
    lines: list[Line]
    transitions: float

    def total(self, *kinds: Kind, after: bool = False) -> float:
        """Return the cost of these kinds, or of all."""
        return sum(
            line.after if after else line.first
            for line in self.lines
            if line.kind in (kinds or tuple(Kind))
        )

    def on_top(self, *kinds: Kind) -> float:
        """Return these kinds as a share of what Rekognition costs, in the first month."""
        return self.total(*kinds) / self.total(Kind.REKOGNITION)

    def per_thousand(self, *kinds: Kind) -> float:
        """Return the cost of these kinds for 1,000 images, in the first month."""
        return self.total(*kinds) * 1000 / self.load.images

    def to_document(self) -> dict[str, Any]:
        """Return the bill for programs."""
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
    month = Month(load, stack, usage, prices.region)
    return Estimate(load, priced(month.lines(), prices), month.transitions / load.images)


def priced(lines: list[Line], prices: PriceList) -> list[Line]:
    """Add the costs; lines of the same item count towards the same tiers."""
    quantities: defaultdict[str, float] = defaultdict(float)
    for line in lines:
        quantities[line.item] += line.quantity
    bill = []
    for line in lines:
        together = quantities[line.item]
        cost = prices.of(line.item, together) * line.quantity / together if line.quantity else 0.0
        bill.append(replace(line, first=cost, after=cost if line.monthly else 0.0))
    return bill


@dataclass(frozen=True, slots=True)
class Month:
    """What the images of the first month use of AWS, on each way through the workflow."""

    load: Load
    stack: Stack
    usage: Usage
    region: str

    def over_ways(self, of_one: Callable[[Way], float]) -> float:
        """Add up over all images what one image uses on its way."""
        shares = self.load.shares().items()
        return sum(share * self.load.images * of_one(way) for way, share in shares)

    def steps(self, way: Way) -> list[Invocation]:
        """Return what the state machine invokes for an image."""
        return [self.usage.invocation(way, module) for module in self.stack.invoked(way)]

    @property
    def transitions(self) -> float:
        """State transitions."""
        return self.over_ways(lambda way: len(self.stack.path(way)) + TRANSITIONS_OF_A_START)

    @property
    def starters(self) -> float:
        """Invocations of the starter, each with one image or with a full batch."""
        return self.load.images / (self.stack.batch_size if self.load.at_once else 1)

    def sampled(self, requests: float) -> float:
        """Return how many requests X-Ray's default rule traces."""
        seconds = self.load.images / self._rate if self.load.at_once else _MONTH_SECONDS
        first = min(requests, seconds)
        return first + _SAMPLED * (requests - first)

    @property
    def _rate(self) -> float:
        """Starts in a second, of a full queue."""
        quota = REKOGNITION_QUOTA.get(self.region, OTHER_REGIONS_QUOTA)
        return self.stack.starts_per_second or paced(quota, self.stack.max_faces)

    def _invocations(self, way: Way) -> list[Invocation]:
        return [self.usage.invocation(way, "starter"), *self.steps(way)]

    def _calls(self, name: str) -> float:
        return self.over_ways(lambda way: sum(i.calls.get(name, 0) for i in self._invocations(way)))

    def _gb_seconds(self, way: Way) -> float:
        memory = self.stack.memory
        used = {i.function: i.seconds(memory[i.function]) for i in self._invocations(way)}
        if self.load.at_once:  # all starters are busy all the time, waiting for their turns
            used["starter"] = self.stack.starters.at(self._rate, self.stack.max_faces) / self._rate
        return sum(seconds * memory[function] / 1024 for function, seconds in used.items())

    def lines(self) -> list[Line]:
        """Write every line of the bill, still without its cost."""
        load, stack, usage, images = self.load, self.stack, self.usage, self.load.images
        indexed = self._calls("rekognition:IndexFaces")
        searched = self._calls("rekognition:SearchFaces") * load.faces_per_image
        faces = images * (1 - load.no_face - load.rejected) * load.faces_per_image
        # Rekognition reads the image with our rights, and so at our cost.
        read = self._calls("s3:GetObject") + self._calls("s3:HeadObject") + indexed
        steps = self.over_ways(lambda way: len(self.steps(way)))
        gigabytes = images * load.megabytes / 1e3
        records = self.over_ways(lambda way: usage.of(way, "object_bytes"))
        turns = images if load.at_once else self._calls("dynamodb:UpdateItem")
        notified = self._calls("sns:Publish")
        logged = self.over_ways(lambda way: sum(i.log_bytes for i in self._invocations(way))) / 1e9
        errors = images * load.rejected * usage.logged_of_a_rejected / 1e9
        metrics = usage.metrics({way for way, share in load.shares().items() if share})
        alarms, share = stack.alarm_metrics, stack.trace_share
        traces = self.sampled(images) if share is None else images * share
        objects = self.over_ways(lambda way: usage.of(way, "objects") - 1)  # no register
        listings = ceil(objects / _KEYS_IN_A_LISTING)
        scanned = load.queries * max(_SMALLEST_QUERY, records)
        kept = partial(Line, monthly=True)
        return [
            Line("Rekognition", "IndexFaces", "rekognition_call", indexed, Kind.REKOGNITION),
            Line("Rekognition", "SearchFaces", "rekognition_call", searched, Kind.REKOGNITION),
            kept("Rekognition", "faces stored", "rekognition_face_month", faces, Kind.REKOGNITION),
            Line(
                "Step Functions", "state transitions", "step_functions_transition", self.transitions
            ),
            # An execution tells that it runs, and that it ended.
            Line("EventBridge", "status changes", "eventbridge_aws_event", 2 * images),
            Line("Lambda", "requests", "lambda_request", self.starters + steps),
            Line("Lambda", "GB-seconds", "lambda_gb_second", self.over_ways(self._gb_seconds)),
            Line("S3", "PUT requests", "s3_put", self._calls("s3:PutObject")),
            Line("S3", "GET and HEAD requests", "s3_get", read),
            kept("S3", "records, GB", "s3_gb_month", records / 1e9),
            Line("S3", "photographs, PUT", "s3_put", images, Kind.PHOTOGRAPHS),
            kept("S3", "photographs, GB", "s3_gb_month", gigabytes, Kind.PHOTOGRAPHS),
            # One to send it, and one each to receive and to delete a batch.
            Line("SQS", "requests", "sqs_request", images + 2 * self.starters),
            kept("SQS", "polls of an empty queue", "sqs_request", _IDLE_POLLS, Kind.FIXED),
            Line("DynamoDB", "turns, writes", "dynamodb_write", turns),
            Line("SNS", "messages", "sns_publish", notified),
            Line("SNS", "e-mails", "sns_email", notified * stack.mailboxes),
            kept("KMS", "keys", "kms_key_month", stack.keys, Kind.FIXED),
            Line("KMS", "requests, of the topics", "kms_request", notified),
            Line("CloudWatch", "log of the functions, GB", "logs_gb", logged),
            Line("CloudWatch", "log of the state machine, GB", "logs_gb", errors),
            # For three months, uncompressed: less in truth.
            kept("CloudWatch", "logs kept, GB", "logs_gb_month", logged + errors),
            # In a month without an image, none is sent.
            Line("CloudWatch", "custom metrics", "metric_month", len(metrics), Kind.FIXED),
            kept("CloudWatch", "metrics of alarms", "alarm_metric_month", alarms, Kind.FIXED),
            kept("CloudWatch", "dashboards", "dashboard_month", stack.dashboards, Kind.FIXED),
            Line("X-Ray", "traces", "xray_trace", traces),
            kept("Athena", "read, TB", "athena_tb", scanned / 1e12, Kind.QUERIES),
            kept("Athena", "GET requests", "s3_get", load.queries * objects, Kind.QUERIES),
            kept("Athena", "LIST requests", "s3_put", load.queries * listings, Kind.QUERIES),
        ]
