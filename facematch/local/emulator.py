"""The emulator of AWS (MiniStack), and every private name of it that we touch.

Run as a process of its own: ``python -m facematch.local.emulator``. MiniStack is pinned exactly;
a contract test for each private name below fails loudly when an upgrade changes it
(tests/local/test_emulator.py), so that another version, or another emulator, can take its place
by changing this module alone.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.local.athena import Athena
from facematch.local.disk import Disk, recover
from facematch.local.distributed_map import DistributedMap
from facematch.local.events import Events
from facematch.local.expressions import Expressions
from facematch.local.failures import LoggedFailures
from facematch.local.faults import FaultyFunctions, Injector
from facematch.local.front import guarded
from facematch.local.histories import Histories
from facematch.local.keys import AccessKey, AccessKeys
from facematch.local.listings import Listings
from facematch.local.parent import end_with_parent
from facematch.local.permissions import PolicyDesk
from facematch.local.redrive import Redrives
from facematch.local.restarts import Restarts
from facematch.local.snapshots import Snapshots, end_damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"

#: How many invocations of a function run at the same time: each is a process of about 55 MB.
#: The index function waits for the face engine most of the time, so it gets more.
SLOTS: Final = {"Index": 4}
SLOTS_OTHERWISE: Final = 1
#: No message is taken from the queue while so many executions run: the rest waits in the queue,
#: as on AWS, and not as threads of the emulator. Most of these are in the state Settle.
MOST_RUNNING_EXECUTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class PrivateName:
    """Something of MiniStack that is not its public interface.

    Attributes
    ----------
    module, name
        Where it is.
    parameters
        Of the function, in order.
    use
        What it is needed for.
    """

    module: str
    name: str
    parameters: tuple[str, ...]
    use: str


PRIVATE_NAMES: Final = (
    PrivateName(
        "ministack.core.lambda_runtime",
        "Worker.invoke",
        (
            *("self", "event", "request_id", "trace_id", "depth", "durable"),
            "invoked_function_arn",
        ),
        "reads the traceback of an exception",
    ),
    *(
        PrivateName(module, name, parameters, "every access key that is issued is admitted")
        for module, name, parameters in (
            ("ministack.core.lambda_runtime", "execution_credentials", ("config",)),
            ("ministack.services.lambda_svc", "execution_credentials", ("config",)),
            ("ministack.services.iam", "_gen_access_key_id", ()),
            ("ministack.services.sts", "_gen_session_access_key", ()),
        )
    ),
    PrivateName(
        "ministack.services.lambda_svc",
        "_execute_function_warm",
        ("func", "event", "request_id"),
        "gives an error the exception's class name, which Retry and Catch match",
    ),
    PrivateName(
        "ministack.services.lambda_svc",
        "_execute_function_dispatch",
        ("func", "config", "event", "request_id", "started"),
        "bounds how many invocations of a function run at the same time",
    ),
    PrivateName(
        "ministack.services.lambda_svc",
        "_sqs_esm_concurrency",
        ("esm", "func_rec", "config", "queue"),
        "leaves messages in the queue while many executions run",
    ),
    PrivateName(
        "ministack.services.stepfunctions",
        "_run_execution",
        ("exec_arn",),
        "counts the executions that run, and keeps the definition that each started with",
    ),
    PrivateName(
        "ministack.services.stepfunctions",
        "_evaluate_jsonata",
        ("expression", "raw_input", "ctx", "result", "error_output"),
        "remembers parsed expressions",
    ),
    PrivateName("jsonata.jsonata", "Jsonata.get_parser", (), "remembers parsed expressions"),
    PrivateName(
        "jsonata.parser",
        "Parser.parse",
        ("self", "jsonata", "regex_engine"),
        "remembers parsed expressions",
    ),
    *(
        PrivateName("ministack.services.stepfunctions", name, parameters, "RedriveExecution")
        for name, parameters in {
            "handle_request": ("method", "path", "headers", "body", "query_params"),
            "get_state": (),
            "_restore_state": ("data",),
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
        }.items()
    ),
    *(
        PrivateName("ministack.services.stepfunctions", name, parameters, "Distributed Map")
        for name, parameters in {
            "_run_distributed_map": (
                *("state_def", "raw_input", "effective", "iterator", "execution", "ctx"),
            ),
            "_read_map_items": ("reader", "effective", "ctx"),
            "_state_query_language": ("state_def", "ctx"),
            "_apply_jsonata_template": ("value", "raw_input", "ctx", "result", "error_output"),
            "_apply_jsonata_output": (
                *("state_def", "raw_input", "ctx", "result", "error_output", "default"),
            ),
            "_list_map_runs": ("data",),
            "_ExecutionError": ("error", "cause"),
        }.items()
    ),
    PrivateName(
        "ministack.services.s3",
        "_get_object_data",
        ("bucket_name", "key", "version_id"),
        "reads an inventory for a Distributed Map, and records for Athena",
    ),
    PrivateName(
        "ministack.services.s3",
        "_put_object",
        ("bucket_name", "key", "body", "headers"),
        "writes the results of Athena",
    ),
    *(
        PrivateName("ministack.services.s3", name, parameters, "no change that is half on the disk")
        for name, parameters in {
            "_dispatch": ("method", "bucket", "key", "headers", "body", "query_params"),
            "_error": ("code", "message", "status", "resource", "extra", "headers"),
            "_atomic_write": ("fpath", "data", "text"),
            "_remove_key_files": ("fpath",),
            "_delete_version_file": ("bucket_name", "key", "version_id"),
            "_version_disk_path": ("bucket", "key", "version_id", "account_id"),
            "_key_disk_path": ("base", "key"),
            "_encoded_key_name": ("key",),
            "_record_object_version": ("bucket_name", "key", "prior_obj", "obj", "data"),
            "_fire_s3_event_async": (
                *("bucket_name", "key", "event_name", "size", "etag", "deletion_type"),
                *("version_id", "object_extra", "record_extra"),
            ),
        }.items()
    ),
    *(
        PrivateName("ministack.services.s3", name, parameters, "keys that XML cannot hold")
        for name, parameters in {
            "_list_object_versions": ("bucket_name", "query_params"),
            "_xml_body": ("root",),
            "_qp": ("params", "key", "default"),
            "_url_encode": ("value",),
        }.items()
    ),
    *(
        PrivateName("ministack.services.athena", name, parameters, "Athena on our own catalog")
        for name, parameters in {
            "_start_query_execution": ("data",),
            "_parse_ddl": ("query",),
            "_execute_query": ("query_id", "query", "database", "ddl", "catalog"),
            "_run_duckdb": ("query", "database", "catalog"),
            "_save_query_results": ("query_id",),
            "get_state": (),
        }.items()
    ),
    PrivateName(
        "ministack.app",
        "_build_persistence_save_dict",
        (),
        "snapshots, so that a crash loses little",
    ),
    PrivateName("ministack.core.persistence", "save_state", ("service", "data"), "snapshots"),
    PrivateName("ministack.app", "save_all", ("services",), "the last snapshot"),
    *(
        PrivateName("ministack.app", name, parameters, "no start without what was kept")
        for name, parameters in {
            "_load_persisted_state": (),
            "load_state": ("service",),
            "_get_module": ("name",),
        }.items()
    ),
    PrivateName(
        "ministack.core.iam_evaluator",
        "enforce",
        ("access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"),
        "what a caller of the Rekognition endpoint may do",
    ),
    PrivateName(
        "ministack.core.iam_actions",
        "s3_additional_checks",
        ("method", "path", "headers", "body", "query_params"),
        "tells only who may list a bucket that an object is not there",
    ),
)


def install(functions_key: AccessKey, faults: FaultyFunctions | None = None) -> Restarts:
    """Put our differences into MiniStack, before it serves anything.

    Parameters
    ----------
    functions_key
        The access key of the functions' workers.
    faults
        Made on purpose: a test's.

    Returns
    -------
    Restarts
        To be put in front of what is served.
    """
    # They read the environment at import, and the S3 its objects.
    from jsonata.jsonata import Jsonata  # noqa: PLC0415 - MiniStack's own engine
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime  # noqa: PLC0415
    from ministack.services import (  # noqa: PLC0415
        athena,
        glue,
        iam,
        lambda_svc,
        stepfunctions,
        sts,
    )

    with LoggedFailures(logging.getLogger("s3")).caught() as unread:
        from ministack.services import s3  # noqa: PLC0415
    if unread:  # it would go on without the objects that come after
        end_damaged(f"{s3.DATA_DIR} cannot be read: {unread[0]}")
    disk = Disk(s3)
    disk.install()
    iam_evaluator._request_origin = _Loopback()
    _hide_absence(iam_actions, s3)
    _issue_admitted_keys(functions_key, lambda_runtime, lambda_svc, iam, sts)
    if faults:
        faults.install(lambda_runtime)  # first: an error that is never told has no name
    _name_exceptions(lambda_runtime, lambda_svc)
    _bound_invocations(lambda_svc)
    Expressions(stepfunctions, Jsonata).install()
    redrives = Redrives(stepfunctions)
    redrives.install()
    Histories(stepfunctions).install(redrives)
    DistributedMap(stepfunctions, s3).install()
    Athena(athena, glue, s3, disk).install()
    Listings(s3).install()
    _leave_messages_in_the_queue(lambda_svc, stepfunctions, redrives)
    restarts = Restarts(stepfunctions)
    restarts.install()
    return restarts


class _Loopback:
    """Where every request comes from: this machine. Plain http counts as TLS on the way.

    So the policies that deny whatever comes without TLS stay as they are, and are kept.
    """

    def get(self) -> tuple[str, bool]:
        """The address, and whether the transport is secure."""
        return "127.0.0.1", True

    def set(self, origin: tuple[str, bool]) -> None:
        """Stay as it is, whatever a request says."""


def _issue_admitted_keys(
    key: AccessKey,
    lambda_runtime: Any,  # noqa: ANN401 - a module
    lambda_svc: Any,  # noqa: ANN401
    iam: Any,  # noqa: ANN401
    sts: Any,  # noqa: ANN401
) -> None:
    """Give the functions' workers their key, and begin each access key that is issued with it.

    Under enforced permissions an access key says who calls: the role of a function, or a user. By
    itself the emulator derives a function's from public names, and gives all functions the
    account's number when it enforces nothing.
    """
    credentials = lambda_runtime.execution_credentials

    def of_this_cloud(config: dict[str, Any]) -> dict[str, str]:
        given: dict[str, str] = credentials(config)
        session = sts._sessions.get(given["AWS_ACCESS_KEY_ID"])
        if session is None:
            return {
                **given,
                "AWS_ACCESS_KEY_ID": key.id,
                "AWS_SECRET_ACCESS_KEY": key.secret,
            }
        admitted = key.id + given["AWS_ACCESS_KEY_ID"]
        sts._sessions[admitted] = session
        return {**given, "AWS_ACCESS_KEY_ID": admitted}

    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = of_this_cloud
    user_key, session_key = iam._gen_access_key_id, sts._gen_session_access_key
    iam._gen_access_key_id = lambda: key.id + user_key()
    sts._gen_session_access_key = lambda: key.id + session_key()


def _hide_absence(iam_actions: Any, s3: Any) -> None:  # noqa: ANN401 - modules
    """Answer 403 for an object that is not there, unless the caller may list the bucket.

    As S3 does (Amazon S3 API Reference, GetObject and HeadObject). For a version that is not there
    the caller has to be allowed to list versions, which is the stricter reading of the reference.
    """
    additional_checks = iam_actions.s3_additional_checks

    def checks_and_listing(
        method: str, path: str, headers: object, body: bytes, query_params: dict[str, Any]
    ) -> list[tuple[str, str]]:
        checks: list[tuple[str, str]] = additional_checks(method, path, headers, body, query_params)
        bucket, _, key = path.lstrip("/").partition("/")
        if method in {"GET", "HEAD"} and key and not query_params.keys() - {"versionId"}:
            (version,) = query_params.get("versionId", [None])
            if s3._get_object_data(bucket, key, version) is None:
                action = "s3:ListBucketVersions" if version else "s3:ListBucket"
                checks.append((action, f"arn:aws:s3:::{bucket}"))
        return checks

    iam_actions.s3_additional_checks = checks_and_listing


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


def _name_exceptions(lambda_runtime: Any, lambda_svc: Any) -> None:  # noqa: ANN401 - modules
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


def _bound_invocations(lambda_svc: Any) -> None:  # noqa: ANN401
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


def _leave_messages_in_the_queue(
    lambda_svc: Any,  # noqa: ANN401
    stepfunctions: Any,  # noqa: ANN401
    redrives: Any = None,  # noqa: ANN401
) -> None:
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


def environment(
    *, port: int, state: Path, wait_scale: float = 1.0, enforce_permissions: bool = False
) -> dict[str, str]:
    """The environment of the emulator's process, and so of the functions'.

    Nothing of the user's own AWS configuration is passed on.

    Parameters
    ----------
    port
        On 127.0.0.1.
    state
        Folder in which everything is kept.
    wait_scale
        Shortens the waits between retries, for tests.
    enforce_permissions
        Refuse what a function's role, or the policy of a queue, topic or bucket, does not allow.
    """
    kept = (
        *("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "OPENBLAS_CORETYPE"),
        "PYTHONDONTWRITEBYTECODE",
    )
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Else each search wakes threads that compete with the face workers for the cores.
        "OPENBLAS_NUM_THREADS": "1",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "GATEWAY_PORT": str(port),
        "DOCKER_HOST": "unix:///nonexistent",
        # MiniStack's own listeners beside its port, which would be open on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true" if enforce_permissions else "false",
        "LAMBDA_ACCOUNT_CONCURRENCY": "0",  # waiting for a slot must not count as throttling
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "SFN_WAIT_SCALE": f"{wait_scale:g}",
        "TMPDIR": str(state / "tmp"),
        "PYTHONUNBUFFERED": "1",
    }


def main(arguments: list[str] | None = None) -> None:
    """Serve until the parent closes our standard input, or SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--listener", type=int, required=True, metavar="FILE_DESCRIPTOR")
    parser.add_argument("--keys", type=Path, required=True, help="the file of the access keys")
    parser.add_argument("--events", type=Path, required=True, help="where news are written down")
    parser.add_argument("--faults", nargs=2, type=Path, metavar=("PLAN", "LOG"))
    options = parser.parse_args(arguments)
    _insist_on_own_environment(os.environ)
    end_with_parent()
    keys = AccessKeys.read(options.keys)
    # Whom the emulator takes for the account's root; it verifies presigned URLs with the secret.
    os.environ["AWS_ACCESS_KEY_ID"] = keys.user.id
    os.environ["AWS_SECRET_ACCESS_KEY"] = keys.user.secret
    # The collector goes through all that is remembered, which grows with each execution; 700
    # objects, as Python has it, are made by a request or two.
    gc.set_threshold(50_000, 20, 50)
    injector = Injector.told(options.faults)
    faults = FaultyFunctions(injector) if injector else None
    recover(Path(os.environ["S3_DATA_DIR"]))
    restarts = install(keys.functions, faults)
    events = Events(options.events)
    _serve(socket.socket(fileno=options.listener), keys, restarts, faults, events)


def _insist_on_own_environment(variables: Mapping[str, str]) -> None:
    if variables.get("BIND_HOST") != "127.0.0.1":
        sys.exit("The emulator is started by the local cloud, which binds it to 127.0.0.1.")


def _serve(
    listener: socket.socket,
    keys: AccessKeys,
    restarts: Restarts,
    faults: FaultyFunctions | None,
    events: Events,
) -> None:
    import uvicorn  # noqa: PLC0415 - after MiniStack's own preparations
    from ministack import app as ministack  # noqa: PLC0415
    from ministack.core import iam_evaluator, persistence  # noqa: PLC0415

    snapshots = Snapshots(ministack, persistence, events)
    snapshots.start()
    restarts.write_state = snapshots.write
    desk = PolicyDesk(snapshots.app, iam_evaluator.enforce, region=REGION)
    # Not Hypercorn, under which MiniStack starts by itself: httptools and uvloop read and write
    # requests in less processor time than h11, which is written in Python.
    app = restarts.in_front_of(desk.app)
    config = uvicorn.Config(
        guarded(faults.in_front_of(app) if faults else app, keys),
        interface="asgi3",
        proxy_headers=False,
        lifespan="on",  # which restores and saves what is kept
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,  # MiniStack writes its own
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
