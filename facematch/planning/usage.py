"""What one image uses of AWS, by the way that it takes through the workflow.

The calls, log lines and metrics stand in ``usage.json``. They were counted at the edges of the
functions, and are counted again by a test (tests/unit/planning/test_cost_usage.py), so that they
are those of the code as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

USAGE_FILE: Final = Path(__file__).with_name("usage.json")

#: MB of memory with which a function has one whole processor (AWS Lambda Developer Guide, Configure
#: Lambda function memory).
_MEMORY_OF_ONE_CPU: Final = 1769
#: What CloudWatch adds to each log event (Amazon CloudWatch Logs API Reference, PutLogEvents).
LOG_EVENT_OVERHEAD: Final = 26
#: What the Lambda service writes of each invocation: START, END and REPORT, which has a line for
#: X-Ray in it (AWS Lambda Developer Guide, Sending function logs to CloudWatch Logs).
_ID: Final = "52fdfc07-2182-454f-963f-5f0f9a621d72"
_LAMBDA_LINES: Final = (
    f"START RequestId: {_ID} Version: $LATEST\n",
    f"END RequestId: {_ID}\n",
    f"REPORT RequestId: {_ID}\tDuration: 123.45 ms\tBilled Duration: 124 ms\tMemory Size: 256 MB\t"
    "Max Memory Used: 100 MB\t\nXRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\t"
    "SegmentId: 53995c3f42cd8ad8\tSampled: true\t\n",
)
LAMBDA_LOG_BYTES: Final = sum(len(line) + LOG_EVENT_OVERHEAD for line in _LAMBDA_LINES)


class Way(StrEnum):
    """How an image goes through the workflow."""

    UNIQUE = "unique"
    #: Matches above the search threshold, none that notifies.
    MATCHED = "matched"
    NOTIFIED = "notified"
    NO_FACE = "no_face"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """What one invocation of a function does.

    Attributes
    ----------
    calls
        Of other services, by ``service:Operation``.
    log_bytes
        As CloudWatch bills them, with the lines of the Lambda service.
    waiting_ms, cpu_ms
        How long it waits for the answers to its calls, and works on a whole processor.
    """

    function: str
    calls: dict[str, int]
    log_bytes: int
    waiting_ms: float
    cpu_ms: float

    def seconds(self, memory: int) -> float:
        """How long it takes with so many MB, which also decide its share of a processor."""
        share = min(1.0, memory / _MEMORY_OF_ONE_CPU)
        return (self.waiting_ms + self.cpu_ms / share) / 1000


@dataclass(frozen=True, slots=True)
class Usage:
    """What `USAGE_FILE` says."""

    document: dict[str, Any]

    @classmethod
    def load(cls) -> Self:
        """Read it."""
        return cls(json.loads(USAGE_FILE.read_text()))

    def invocation(self, way: Way, function: str) -> Invocation:
        """Of a function, for an image that goes this way."""
        counted = self.document["ways"][way]["functions"][function]
        latencies = self.document["latency_ms"]
        return Invocation(
            function=function,
            calls=counted["calls"],
            log_bytes=counted["log_bytes"]
            + counted["log_lines"] * LOG_EVENT_OVERHEAD
            + LAMBDA_LOG_BYTES,
            waiting_ms=sum(n * latencies[name] for name, n in counted["calls"].items()),
            cpu_ms=self.document["cpu_ms"][function],
        )

    def metrics(self, ways: set[Way]) -> set[str]:
        """The custom metrics that images on these ways send, each ``function name``."""
        return {metric for way in ways for metric in self.document["ways"][way]["metrics"]}

    def of(self, way: Way, what: str) -> int:
        """``objects``, ``object_bytes`` or ``data_bytes`` of a way."""
        return int(self.document["ways"][way][what])
