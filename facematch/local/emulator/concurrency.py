"""How much runs at the same time: invocations of a function, and executions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from facematch.local.emulator.private_names import functions, values

if TYPE_CHECKING:
    from collections.abc import Callable

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.lambda_svc",
        "bounds how many invocations of a function run at the same time",
        {
            "_execute_function_dispatch": ("func", "config", "event", "request_id", "started"),
        },
    ),
    *functions(
        "ministack.services.lambda_svc",
        "leaves messages in the queue while many executions run",
        {
            "_sqs_esm_concurrency": ("esm", "func_rec", "config", "queue"),
        },
    ),
    *values(
        "ministack.services.lambda_svc",
        "leaves messages in the queue while many executions run",
        "_esm_wake",
    ),
    *functions(
        "ministack.services.stepfunctions",
        "counts the executions that run",
        {
            "_run_execution": ("exec_arn",),
        },
    ),
)


#: How many invocations of a function run at the same time: each is a process of about 55 MB.
#: The index function waits for the face engine most of the time, so it gets more.
SLOTS: Final = {"Index": 4}
SLOTS_OTHERWISE: Final = 1
#: No message is taken from the queue while so many executions run: the rest waits in the queue,
#: as on AWS, and not as threads of the emulator. Most of these are in the state Settle.
MOST_RUNNING_EXECUTIONS: Final = 64


def bound_invocations(lambda_svc: Any) -> None:  # noqa: ANN401 - a module
    """Let an invocation wait for a free process of its function, rather than start one more.

    A rate alone is not stable on one machine: any slowdown starts more processes, which slow it
    down further.
    """
    dispatch = lambda_svc._execute_function_dispatch
    lock = threading.Lock()
    slots: dict[str, threading.Semaphore] = {}

    def wait_and_dispatch(
        func: Any,  # noqa: ANN401
        config: dict[str, Any],
        event: Any,  # noqa: ANN401
        request_id: str,
        started: float,
    ) -> dict[str, Any]:
        name = config.get("FunctionName", "")
        with lock:
            slot = slots.setdefault(name, threading.Semaphore(slots_of(name)))
        with slot:
            result: dict[str, Any] = dispatch(func, config, event, request_id, started)
            return result

    lambda_svc._execute_function_dispatch = wait_and_dispatch


def slots_of(function_name: str) -> int:
    """How many invocations of a function may run at the same time."""
    found = [count for part, count in SLOTS.items() if f"-{part}Function" in function_name]
    return found[0] if found else SLOTS_OTHERWISE


def leave_messages_in_the_queue(
    lambda_svc: Any,  # noqa: ANN401
    stepfunctions: Any,  # noqa: ANN401
    redrives: Any = None,  # noqa: ANN401
) -> None:
    """Take no message from the queue while many executions run."""
    concurrency = lambda_svc._sqs_esm_concurrency
    lock = threading.Lock()
    running = 0

    def concurrency_while_few_run(*args: Any, **kwargs: Any) -> int:
        if running >= MOST_RUNNING_EXECUTIONS:
            return 0
        allowed: int = concurrency(*args, **kwargs)
        return allowed

    def counted(run: Callable[[str], None]) -> Callable[[str], None]:
        def run_and_count(exec_arn: str) -> None:
            nonlocal running
            with lock:
                running += 1
            try:
                run(exec_arn)
            finally:
                with lock:
                    running -= 1
                lambda_svc._esm_wake.set()  # the poller looks again at once

        return run_and_count

    lambda_svc._sqs_esm_concurrency = concurrency_while_few_run
    stepfunctions._run_execution = counted(stepfunctions._run_execution)
    if redrives is not None:
        redrives.resume = counted(redrives.resume)
