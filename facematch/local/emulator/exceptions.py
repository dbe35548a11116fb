"""The class names of exceptions, which Retry and Catch match."""

from __future__ import annotations

import threading
from typing import Any, Final

from facematch.local.emulator.private_names import functions

PRIVATE_NAMES: Final = (
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
    """Give an error the name of the exception's class, as Lambda does."""
    invoke = lambda_runtime.Worker.invoke
    execute = lambda_svc._execute_function_warm
    last = threading.local()

    def invoke_and_remember(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        result: dict[str, Any] = invoke(self, *args, **kwargs)
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
