"""Exceptions of a handler: their class names, which Retry and Catch match, and what they end.

On AWS the execution environment goes on after an exception. MiniStack ends the function's process,
and the next one takes 0.5 s of CPU to start, for each photograph that is refused.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from facematch.local.emulator.private_names import functions, values

PRIVATE_NAMES: Final = (
    *values(
        "ministack.core.lambda_runtime",
        "tells an exception without ending the function's process",
        "_PYTHON_WORKER_SCRIPT",
    ),
    *functions(
        "ministack.core.lambda_runtime",
        "reads the traceback of an exception",
        {
            "Worker.invoke": (
                "self",
                "event",
                "request_id",
                "trace_id",
                "depth",
                "durable",
                "invoked_function_arn",
            ),
        },
    ),
    *functions(
        "ministack.services.lambda_svc",
        "gives an error the exception's class name",
        {
            "_execute_function_warm": ("func", "event", "request_id"),
        },
    ),
)

#: How a function's process tells an exception, and how it does so that it is left running.
_TOLD: Final = '{"status": "error", "error": str(e), "trace": '
_LEFT_RUNNING: Final = _TOLD.replace('"status": "error"', '"status": "ok"')


def error_name(trace: str, message: str) -> str | None:
    """The exception's class name out of a formatted traceback, or None when it has none.

    The last line of a traceback is ``module.Class: message``, or ``module.Class`` when there is
    no message; the message may itself have many lines.
    """
    text = trace.rstrip("\n")
    if message and text.endswith(f": {message}"):
        text = text[: -len(message) - 2]
    elif message:
        return None
    qualified = text.rpartition("\n")[2]
    name = qualified.rpartition(".")[2]
    return name if name.isidentifier() else None


def name_exceptions(lambda_runtime: Any, lambda_svc: Any) -> None:  # noqa: ANN401 - modules
    """Give an error the name of the exception's class, and keep the process, as Lambda does."""
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(
        _TOLD, _LEFT_RUNNING
    )
    invoke = lambda_runtime.Worker.invoke
    execute = lambda_svc._execute_function_warm
    last = threading.local()

    def invoke_and_remember(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        result: dict[str, Any] = invoke(self, *args, **kwargs)
        if "trace" in result:
            result["status"] = "error"
        last.error = error_name(result.get("trace") or "", str(result.get("error") or ""))
        last.trace = (result.get("trace") or "").splitlines()
        return result

    def execute_and_name(func: Any, event: Any, request_id: str) -> dict[str, Any]:  # noqa: ANN401
        last.error = None
        result: dict[str, Any] = execute(func, event, request_id)
        body = result.get("body")
        if (
            result.get("error")
            and isinstance(body, dict)
            and body.get("errorType") == "Runtime.HandlerError"
        ):
            if last.error:
                body["errorType"] = last.error
                body["stackTrace"] = last.trace[1:-1]
            elif body.get("errorMessage") == "Worker process died":
                # What Lambda says when a function's process exits (Runtime.ExitError).
                body["errorType"] = "Runtime.ExitError"
        return result

    lambda_runtime.Worker.invoke = invoke_and_remember
    lambda_svc._execute_function_warm = execute_and_name
