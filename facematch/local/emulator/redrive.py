"""RedriveExecution for the emulator, which has none.

As AWS documents it (AWS Step Functions Developer Guide, Redriving executions; API Reference,
RedriveExecution): the same execution goes on at the state in which it ended, under the same ARN,
with the definition that it was started with; states that had succeeded are not run again; retry
counters begin anew. A Fail state is entered again and fails again.

Parallel and Map states are left out: redriving an execution that ended inside one is refused.
"""

from __future__ import annotations

import contextvars
import datetime as dt
import hashlib
import json
import threading
from typing import Any, Final

from facematch.local.emulator.private_names import functions, values

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.stepfunctions",
        "RedriveExecution",
        {
            "handle_request": ("method", "path", "headers", "body", "query_params"),
            "get_state": (),
            "_restore_state": ("data",),
            "_run_execution": ("exec_arn",),
            "_describe_execution": ("data",),
            "_describe_state_machine_for_execution": ("data",),
            "_list_executions": ("data",),
            "_finalize_response": ("response",),
            "_add_event": ("execution", "event_type", "details"),
            "_emit_execution_status_event": ("execution",),
            "_fail_execution": ("execution", "error", "cause"),
            "_fail_state_error": ("state_def", "raw_input", "ctx"),
            "_execute_task": ("state_def", "raw_input", "execution", "ctx"),
            "_execute_pass": ("state_def", "raw_input", "ctx"),
            "_execute_choice": ("state_def", "raw_input", "ctx"),
            "_execute_wait": ("state_def", "raw_input", "ctx"),
            "_apply_input_path": ("state_def", "data", "ctx"),
            "_apply_output_path": ("state_def", "data", "ctx"),
            "_ExecutionError": ("error", "cause"),
        },
    ),
    *values(
        "ministack.services.stepfunctions", "RedriveExecution", "_executions", "_state_machines"
    ),
)

_ENDED_BADLY: Final = ("FAILED", "ABORTED", "TIMED_OUT")
_REDRIVABLE_DAYS: Final = 14
_MOST_EVENTS: Final = 24_999
_WITH_EXECUTION: Final = ("Task", "Parallel", "Map")


class Redrives:
    """Adds RedriveExecution to MiniStack's module of Step Functions.

    Parameters
    ----------
    stepfunctions
        The module; `PRIVATE_NAMES` lists what is used of it.
    """

    def __init__(self, stepfunctions: Any) -> None:  # noqa: ANN401 - a module
        self._sf = stepfunctions
        self._lock = threading.Lock()
        #: Definitions that executions have started with, by digest: most share one.
        self._definitions: dict[str, str] = {}
        self._given: dict[tuple[str, str], str] = {}

    def install(self) -> None:
        """Put it in, before anything is served."""
        sf = self._sf
        self._handle_request = sf.handle_request
        self._describe_execution = sf._describe_execution
        self._describe_machine = sf._describe_state_machine_for_execution
        self._list_executions = sf._list_executions
        self._emit = sf._emit_execution_status_event
        self._run = sf._run_execution
        self._get_state = sf.get_state
        self._restore_state = sf._restore_state
        sf.handle_request = self.handle_request
        sf._describe_execution = self.describe_execution
        sf._describe_state_machine_for_execution = self.describe_machine
        sf._list_executions = self.list_executions
        sf._run_execution = self.run
        sf.get_state = self.get_state
        sf._restore_state = self.restore_state

    # What is kept of an execution beyond what the emulator keeps itself.

    def run(self, execution_arn: str) -> None:
        """Run an execution from its start, and remember with which definition."""
        execution = self._sf._executions.get(execution_arn)
        machine = execution and self._sf._state_machines.get(execution["stateMachineArn"])
        if machine:
            digest = hashlib.sha256(machine["definition"].encode()).hexdigest()
            self._definitions[digest] = machine["definition"]
            execution["definitionDigest"] = digest
        self._run(execution_arn)

    def get_state(self) -> dict[str, Any]:
        """What is written at a snapshot."""
        return {**self._get_state(), "definitions": dict(self._definitions)}

    def restore_state(self, data: dict[str, Any]) -> None:
        """Read a snapshot."""
        self._definitions.update((data or {}).get("definitions", {}))
        self._restore_state(data)

    # The API.

    async def handle_request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
    ) -> Any:  # noqa: ANN401 - the emulator's response
        """Answer RedriveExecution; the emulator answers everything else."""
        if headers.get("x-amz-target", "").rpartition(".")[2] == "RedriveExecution":
            return self._sf._finalize_response(self.redrive(json.loads(body or b"{}")))
        return await self._handle_request(method, path, headers, body, query)

    def redrive(self, request: dict[str, Any]) -> Any:  # noqa: ANN401
        """RedriveExecution: idempotent by its client token."""
        sf = self._sf
        arn = str(request.get("executionArn", ""))
        token = (arn, str(request.get("clientToken") or ""))
        with self._lock:
            execution = sf._executions.get(arn)
            if execution is None:
                return sf.error_response_json(
                    "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400
                )
            if token[1] and token in self._given:
                return sf.json_response({"redriveDate": self._given[token]})
            refusal = self.refusal(execution)
            if refusal:
                return sf.error_response_json("ExecutionNotRedrivable", refusal, 400)
            now = sf.now_iso()
            # A copy: a thread of the run that was aborted may still sleep in a retry. It keeps
            # the old one, and what it does is seen by nobody.
            execution = {**execution, "events": list(execution["events"])}
            execution.update(
                status="RUNNING",
                stopDate=None,
                output=None,
                error=None,
                cause=None,
                redriveCount=execution.get("redriveCount", 0) + 1,
                redriveDate=now,
            )
            sf._executions[arn] = execution
            self._given[token] = now
        sf._add_event(
            execution,
            "ExecutionRedriven",
            {"executionRedrivenEventDetails": {"redriveCount": execution["redriveCount"]}},
        )
        sf._emit_execution_status_event(execution)
        threading.Thread(
            target=contextvars.copy_context().run, args=(self.resume, arn), daemon=True
        ).start()
        return sf.json_response({"redriveDate": now})

    def refusal(self, execution: dict[str, Any]) -> str | None:
        """Why the execution cannot be redriven; None when it can."""
        if execution["status"] not in _ENDED_BADLY:
            return f"Execution is {execution['status']} and cannot be redriven"
        stopped = dt.datetime.fromisoformat(execution["stopDate"])
        age = dt.datetime.now(dt.UTC) - stopped
        if age > dt.timedelta(days=_REDRIVABLE_DAYS):
            return f"Execution is {execution['status']} and redrivable period has expired"
        if len(execution["events"]) >= _MOST_EVENTS:
            return "Execution history event limit exceeded"
        where = self._where(execution)
        if where and self._definition(execution)["States"][where[0]]["Type"] in {"Parallel", "Map"}:
            return (
                f"The local cloud cannot redrive an execution that ended in {where[0]}: resuming "
                "Parallel and Map states is left out. Start a new execution instead"
            )
        return None

    def describe_execution(self, request: dict[str, Any]) -> Any:  # noqa: ANN401
        """DescribeExecution, with the redrive's fields."""
        answer = self._describe_execution(request)
        execution = self._sf._executions.get(request.get("executionArn"))
        if execution is None:
            return answer
        return self._sf.json_response({**json.loads(answer[2]), **self._fields(execution)})

    def list_executions(self, request: dict[str, Any]) -> Any:  # noqa: ANN401
        """ListExecutions, with the redrive's count and date."""
        answer = self._list_executions(request)
        document = json.loads(answer[2])
        for item in document.get("executions", []):
            execution = self._sf._executions.get(item["executionArn"]) or {}
            item["redriveCount"] = execution.get("redriveCount", 0)
            if execution.get("redriveDate"):
                item["redriveDate"] = execution["redriveDate"]
        return answer if answer[0] != 200 else self._sf.json_response(document)  # noqa: PLR2004

    def describe_machine(self, request: dict[str, Any]) -> Any:  # noqa: ANN401
        """DescribeStateMachineForExecution: the definition that the execution started with."""
        answer = self._describe_machine(request)
        execution = self._sf._executions.get(request.get("executionArn")) or {}
        started_with = self._definitions.get(execution.get("definitionDigest", ""))
        if answer[0] != 200 or started_with is None:  # noqa: PLR2004
            return answer
        return self._sf.json_response({**json.loads(answer[2]), "definition": started_with})

    def _fields(self, execution: dict[str, Any]) -> dict[str, Any]:
        refusal = self.refusal(execution)
        fields: dict[str, Any] = {
            "redriveCount": execution.get("redriveCount", 0),
            "redriveStatus": "NOT_REDRIVABLE" if refusal else "REDRIVABLE",
        }
        if refusal:
            fields["redriveStatusReason"] = refusal
        if execution.get("redriveDate"):
            fields["redriveDate"] = execution["redriveDate"]
        return fields

    # Going on.

    def resume(self, execution_arn: str) -> None:
        """Run the execution from the state in which it ended."""
        sf = self._sf
        execution = sf._executions[execution_arn]
        definition = self._definition(execution)
        machine = sf._state_machines.get(execution["stateMachineArn"]) or {}
        where = self._where(execution)
        if where is None:
            where = (definition["StartAt"], json.loads(execution["input"]))
        context = {
            "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
            "Execution": {
                "Id": execution_arn,
                "Input": json.loads(execution["input"]),
                "Name": execution["name"],
                "RoleArn": machine.get("roleArn"),
                "StartTime": execution["startDate"],
                "RedriveCount": execution["redriveCount"],
                "RedriveTime": execution["redriveDate"],
            },
            "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine.get("name")},
            "variables": {},
        }
        try:
            self._walk(execution, definition["States"], *where, context)
        except sf._ExecutionError as error:
            sf._fail_execution(execution, error.error, error.cause)
        except Exception as error:
            sf.logger.exception("a redriven execution failed")
            sf._fail_execution(execution, "States.Runtime", str(error))

    def _walk(
        self,
        execution: dict[str, Any],
        states: dict[str, Any],
        name: str,
        value: Any,  # noqa: ANN401 - any JSON
        context: dict[str, Any],
    ) -> None:
        sf = self._sf
        current: str | None = name
        entered_before = any("stateEnteredEventDetails" in e for e in execution["events"])
        while current and execution["status"] == "RUNNING":
            state = states[current]
            kind = state["Type"]
            context["State"] = {"Name": current, "EnteredTime": sf.now_iso(), "RetryCount": 0}
            # The state that failed was entered already; a Fail state is entered again.
            if not entered_before or kind == "Fail":
                entered = {"name": current, "input": json.dumps(value)}
                sf._add_event(
                    execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered}
                )
            entered_before = False
            if kind == "Fail":
                raise sf._ExecutionError(*sf._fail_state_error(state, value, context))
            following: str | None = None
            if kind == "Succeed":
                value = self._succeeded(state, value, context)
            else:
                execute = getattr(sf, f"_execute_{kind.lower()}")
                arguments = (execution, context) if kind in _WITH_EXECUTION else (context,)
                value, following = execute(state, value, *arguments)
            left = {"name": current, "output": json.dumps(value)}
            sf._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": left})
            current = following
        if execution["status"] == "RUNNING":
            execution.update(status="SUCCEEDED", output=json.dumps(value), stopDate=sf.now_iso())
            output = {"output": execution["output"]}
            sf._add_event(
                execution, "ExecutionSucceeded", {"executionSucceededEventDetails": output}
            )
            sf._emit_execution_status_event(execution)

    def _succeeded(self, state: dict[str, Any], value: Any, context: dict[str, Any]) -> Any:  # noqa: ANN401
        sf = self._sf
        return sf._apply_output_path(state, sf._apply_input_path(state, value, context), context)

    def _definition(self, execution: dict[str, Any]) -> dict[str, Any]:
        text = self._definitions.get(execution.get("definitionDigest", ""))
        if text is None:
            text = self._sf._state_machines[execution["stateMachineArn"]]["definition"]
        definition: dict[str, Any] = json.loads(text)
        return definition

    @staticmethod
    def _where(execution: dict[str, Any]) -> tuple[str, Any] | None:
        """Name and input of the state that was entered last; None when none was."""
        for event in reversed(execution["events"]):
            if entered := event.get("stateEnteredEventDetails"):
                return entered["name"], json.loads(entered["input"])
        return None
