"""The bills of two other designs of the same work, which docs/cost.md compares with this one."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from facematch.planning.estimate import LOG_EVENT_BYTES, Bill
from facematch.planning.usage import LAMBDA_LOG_BYTES

if TYPE_CHECKING:
    from facematch.planning.estimate import Calls
    from facematch.planning.usage import Way

#: What an Express workflow is billed by (AWS Step Functions pricing).
_EXPRESS_MEMORY_GB: Final = 64 / 1024
_EXPRESS_SECONDS: Final = 0.1


class _OtherBill(Bill):
    def _transitions(self) -> float:
        return 0

    def _seconds(self, way: Way) -> float:
        """How long the work on an image takes, waiting for the index included."""
        working = sum(step.seconds(self._stack.memory[step.function]) for step in self._steps(way))
        return working + (self._stack.settle if "Settle" in self._stack.path(way) else 0)


class ExpressBill(_OtherBill):
    """The same steps in an Express workflow, whose only history is its log."""

    def _workflow(self) -> None:
        self._once(
            "Step Functions", "executions", "step_functions_express_request", self._load.images
        )
        self._once(
            "Step Functions",
            "GB-seconds",
            "step_functions_express_gb_second",
            self._over_ways(
                lambda way: (
                    ceil(self._seconds(way) / _EXPRESS_SECONDS)
                    * _EXPRESS_SECONDS
                    * _EXPRESS_MEMORY_GB
                )
            ),
        )

    def _logged_by_machine(self, way: Way) -> float:
        return self._stack.history(way) * LOG_EVENT_BYTES + self._usage.of(way, "data_bytes")


class OneFunctionBill(_OtherBill):
    """One function behind the queue that does everything, and is paced by its concurrency."""

    def _workflow(self) -> None:
        """Start nothing."""

    def _functions(self) -> None:
        self._once("Lambda", "requests", "lambda_request", self._load.images / self._batch)
        gb_seconds = self._over_ways(self._seconds) * self._stack.memory["index"] / 1024
        self._once("Lambda", "GB-seconds", "lambda_gb_second", gb_seconds)

    def _turns(self, calls: Calls) -> None:
        """Take none."""

    def _logged_by_functions(self) -> float:
        own = self._over_ways(
            lambda way: sum(step.log_bytes - LAMBDA_LOG_BYTES for step in self._steps(way))
        )
        return own + self._load.images / self._batch * LAMBDA_LOG_BYTES

    def _logged_by_machine(self, _way: Way) -> float:
        return 0

    def _traced_starts(self) -> float:
        return 0


#: The heads of the columns, this design first, and the bills of the others.
DESIGNS: Final = ("Standard workflow: this", "Express workflow", "one Lambda function")
OTHERS: Final = (ExpressBill, OneFunctionBill)
