"""Histories of executions that have ended, in a tenth of the memory.

The emulator keeps every event of every execution as dictionaries, 60 kB for an image, copies all of
them for each snapshot and writes them as JSON. Of an execution that has ended nothing changes any
more, unless it is redriven: its history becomes one compressed text, which is unpacked when
somebody asks for it, and copied and written as it is.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self, overload

from facematch.local.emulator.private_names import functions, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.stepfunctions",
        "compresses the histories of executions that have ended",
        {
            "get_state": (),
            "_restore_state": ("data",),
            "_run_execution": ("exec_arn",),
        },
    ),
    *values(
        "ministack.services.stepfunctions",
        "compresses the histories of executions that have ended",
        "_executions",
    ),
)

#: A history is a few kilobytes of names that repeat: more effort saves a sixth, in twice the time.
_EFFORT: Final = 1
_MARK: Final = "__packed_history__"
_RUNNING: Final = "RUNNING"


class PackedHistory(Sequence[dict[str, Any]]):
    """Events of an execution that has ended, in order; a list of them where it is read.

    Parameters
    ----------
    packed
        The events as JSON, compressed.
    count
        How many they are.
    """

    __slots__ = ("_count", "_packed")

    def __init__(self, packed: bytes, count: int) -> None:
        self._packed = packed
        self._count = count

    @classmethod
    def of(cls, events: Sequence[Mapping[str, Any]]) -> Self:
        """Pack the events."""
        return cls(_packed(events), len(events))

    @classmethod
    def from_json(cls, value: Any) -> Self | None:  # noqa: ANN401 - any JSON
        """What `to_json` gave; None for anything else."""
        if not isinstance(value, dict) or _MARK not in value:
            return None
        return cls(base64.b64decode(value[_MARK]), value["count"])

    def to_json(self) -> dict[str, Any]:
        """What is written at a snapshot."""
        return {_MARK: base64.b64encode(self._packed).decode(), "count": self._count}

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event, as the emulator does for an execution that is stopped while it ends."""
        self._packed = _packed([*self._events(), event])
        self._count += 1

    def _events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = json.loads(zlib.decompress(self._packed))
        return events

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._events())

    def __reversed__(self) -> Iterator[dict[str, Any]]:
        return iter(self._events()[::-1])

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._events()[index]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that shares the text, which is never changed."""
        return type(self)(self._packed, self._count)


def _packed(events: Sequence[Mapping[str, Any]]) -> bytes:
    return zlib.compress(json.dumps(events).encode(), _EFFORT)


class Histories:
    """Packs the history of each execution when it ends.

    Parameters
    ----------
    stepfunctions
        The module; `PRIVATE_NAMES` lists what is used of it.
    """

    def __init__(self, stepfunctions: Any) -> None:  # noqa: ANN401 - a module
        self._sf = stepfunctions

    def install(self, redrives: Any) -> None:  # noqa: ANN401 - Redrives, of which one is replaced
        """Put it in, around every way in which an execution runs."""
        self._restore_state = self._sf._restore_state
        self._sf._restore_state = self.restore_state
        self._sf._run_execution = self._packing(self._sf._run_execution)
        redrives.resume = self._packing(redrives.resume)

    def _packing(self, run: Callable[[str], None]) -> Callable[[str], None]:
        def run_and_pack(execution_arn: str) -> None:
            run(execution_arn)
            self.pack(self._sf._executions.get(execution_arn))

        return run_and_pack

    @staticmethod
    def pack(execution: dict[str, Any] | None) -> None:
        """Pack the history of an execution, if it has ended and is not packed yet."""
        if execution is None or execution["status"] == _RUNNING:
            return
        events = execution["events"]
        if isinstance(events, list):
            execution["events"] = packed = PackedHistory.of(events)
            if len(events) != len(packed):  # StopExecution was telling of it just then
                execution["events"] = PackedHistory.of(events)

    def restore_state(self, data: Mapping[str, Any] | None) -> None:
        """Read a snapshot."""
        if data and data.get("executions"):
            for execution in data["executions"].all_values():
                packed = PackedHistory.from_json(execution["events"])
                execution["events"] = packed if packed is not None else execution["events"]
        self._restore_state(data)
