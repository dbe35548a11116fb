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
        """Return how long it takes with this memory in MB, which also sets its processor share."""
        share = min(1.0, memory / _MEMORY_OF_ONE_CPU)
        return (self.waiting_ms + self.cpu_ms / share) / 1000


@dataclass(frozen=True, slots=True)
class Usage:
    """The figures of `USAGE_FILE`."""

    document: dict[str, Any]

    @classmethod
    def load(cls) -> Self:
        """Read the file."""
        return cls(json.loads(USAGE_FILE.read_text()))

    def invocation(self, way: Way, function: str) -> Invocation:
        """Return what a function does for an image that goes this way."""
        counted = self.document["ways"][way]["functions"][function]
        latencies, logs = self.document["latency_ms"], self.document["logs"]
        return Invocation(
            function=function,
            calls=counted["calls"],
            log_bytes=counted["log_bytes"]
            + counted["log_lines"] * logs["bytes_added_to_a_line"]
            + logs["bytes_of_lambda_itself"],
            waiting_ms=sum(n * latencies[name] for name, n in counted["calls"].items()),
            cpu_ms=self.document["cpu_ms"][function],
        )

    @property
    def logged_of_a_rejected(self) -> int:
        """Bytes in the state machine's log, which has only errors, of an image that is none."""
        logs = self.document["logs"]
        return int(logs["errors_of_a_rejected_image"] * logs["bytes_of_a_state_machine_event"])

    def metrics(self, ways: set[Way]) -> set[str]:
        """Return the custom metrics that images on these ways send, each ``function name``."""
        return {metric for way in ways for metric in self.document["ways"][way]["metrics"]}

    def of(self, way: Way, what: str) -> int:
        """Return ``objects``, ``object_bytes`` or ``data_bytes`` of a way."""
        return int(self.document["ways"][way][what])
