"""Executions that a stop of the local cloud ended, told of like every other that failed.

The emulator cannot go on with what ran when it was stopped: at the next start it marks it FAILED
(`States.ServiceRestart`), and tells nobody. Step Functions never ends an execution without its
event, from which the failure record is made; without one `facematch failures` and `status` would
not know of it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from facematch.local.emulator.histories import Histories
from facematch.local.emulator.private_names import functions, values

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.local.keys import AccessKey

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.stepfunctions",
        "goes on with the executions that a stop cut off",
        {
            "_fail_execution": ("execution", "error", "cause"),
            "_restore_state": ("data",),
        },
    ),
    *values(
        "ministack.services.stepfunctions",
        "goes on with the executions that a stop cut off",
        "_executions",
    ),
)

_PATH: Final = "/_facematch/deployed"
_SECONDS: Final = 30
_RUNNING: Final = "RUNNING"
#: In an execution, and so in the snapshots: it was ended by a stop, and nobody has been told.
_UNTOLD: Final = "endedByRestart"


class Restarts:
    """Marks what a start finds running, and tells of it once the functions can record it.

    Parameters
    ----------
    stepfunctions
        The module; `PRIVATE_NAMES` lists what is used of it.
    """

    def __init__(self, stepfunctions: Any) -> None:  # noqa: ANN401 - a module
        self._sf = stepfunctions
        #: Writes all state to the disk, and returns whether that took it.
        self.write_state: Callable[[], bool] = lambda: True

    def install(self) -> None:
        """Put it in, before the emulator reads what was kept."""
        self._restore_state = self._sf._restore_state
        self._sf._restore_state = self.restore_state

    def restore_state(self, data: dict[str, Any] | None) -> None:
        """Read a snapshot, and mark what the emulator is about to end."""
        if data and data.get("executions"):
            for execution in data["executions"].all_values():
                if execution["status"] == _RUNNING:
                    execution[_UNTOLD] = True
        self._restore_state(data)

    def tell(self) -> None:
        """End each that is marked as the emulator ends a failed one: history, then event.

        The mark goes with it, so the next start tells only of what that one ends.
        """
        for execution in list(self._sf._executions.all_values()):
            if execution.pop(_UNTOLD, False):
                self._sf._fail_execution(execution, execution["error"], execution["cause"])
                Histories.pack(execution)

    def in_front_of(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """The application, with one more address: `say_deployed` asks it."""

        async def app_and_tell(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            if scope["type"] != "http" or scope["path"] != _PATH:
                await app(scope, receive, send)
                return
            await asyncio.to_thread(self.tell)
            # Nobody uploads before: a kill must not leave photographs in a bucket of no stack.
            written = await asyncio.to_thread(self.write_state)
            status = HTTPStatus.NO_CONTENT if written else HTTPStatus.INSUFFICIENT_STORAGE
            await Response(status_code=status)(scope, receive, send)

        return app_and_tell


def say_deployed(endpoint: str, key: AccessKey) -> None:
    """Let the emulator tell of what the last stop ended: from now on the functions can run."""
    key.ask(f"{endpoint}{_PATH}", method="POST", seconds=_SECONDS)
