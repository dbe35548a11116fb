"""The process of the emulator: what is put into MiniStack before it serves, and its server.

Run as ``python -m facematch.local.emulator.process``.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facematch.local.child_process import end_with_parent
from facematch.local.emulator.absence import hide_absence
from facematch.local.emulator.addresses import ACCOUNT, REGION, Loopback
from facematch.local.emulator.athena import Athena
from facematch.local.emulator.concurrency import bound_invocations, leave_messages_in_the_queue
from facematch.local.emulator.credentials import issue_admitted_keys
from facematch.local.emulator.disk import Disk, recover
from facematch.local.emulator.distributed_map import DistributedMap
from facematch.local.emulator.exceptions import name_exceptions
from facematch.local.emulator.expressions import Expressions
from facematch.local.emulator.forks import fork_functions, prepare_forks
from facematch.local.emulator.histories import Histories
from facematch.local.emulator.listings import Listings
from facematch.local.emulator.logged_failures import LoggedFailures
from facematch.local.emulator.private_names import functions, values
from facematch.local.emulator.redrive import Redrives
from facematch.local.emulator.rekognition import with_rekognition
from facematch.local.emulator.restarts import Restarts
from facematch.local.emulator.snapshots import Snapshots, end_damaged
from facematch.local.events import Events
from facematch.local.faults import FaultyFunctions, Injector
from facematch.local.keys import AccessKey, AccessKeys
from facematch.local.loopback_guard import guarded
from facematch.local.permissions import PolicyDesk

if TYPE_CHECKING:
    from collections.abc import Mapping


PRIVATE_NAMES: Final = (
    *values(
        "ministack.core.iam_evaluator", "every request comes from this machine", "_request_origin"
    ),
    *functions(
        "ministack.core.iam_evaluator",
        "what a caller of the Rekognition endpoint may do",
        {
            "enforce": (
                "access_key_id",
                "iam_action",
                "service",
                "region",
                "resource_arn",
                "service_context",
            ),
        },
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
    iam_evaluator._request_origin = Loopback()
    hide_absence(iam_actions, s3)
    fork_functions(lambda_runtime)
    issue_admitted_keys(functions_key, lambda_runtime, lambda_svc, iam, sts)
    if faults:
        faults.install(lambda_runtime)  # first: an error that is never told has no name
    name_exceptions(lambda_runtime, lambda_svc)
    bound_invocations(lambda_svc)
    Expressions(stepfunctions, Jsonata).install()
    redrives = Redrives(stepfunctions)
    redrives.install()
    Histories(stepfunctions).install(redrives)
    DistributedMap(stepfunctions, s3).install()
    Athena(athena, glue, s3, disk).install()
    Listings(s3).install()
    leave_messages_in_the_queue(lambda_svc, stepfunctions, redrives)
    restarts = Restarts(stepfunctions)
    restarts.install()
    return restarts


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
    parser.add_argument(
        "--rekognition", type=int, metavar="PORT", help="of our Rekognition endpoint, on 127.0.0.1"
    )
    parser.add_argument("--faults", nargs=2, type=Path, metavar=("PLAN", "LOG"))
    options = parser.parse_args(arguments)
    _require_own_environment(os.environ)
    end_with_parent()
    keys = AccessKeys.read(options.keys)
    prepare_forks()  # before the user's key is there, which no function may see
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
    listener = socket.socket(fileno=options.listener)
    _serve(listener, keys, restarts, faults, events, rekognition=options.rekognition)


def _require_own_environment(variables: Mapping[str, str]) -> None:
    if variables.get("BIND_HOST") != "127.0.0.1":
        sys.exit("The emulator is started by the local cloud, which binds it to 127.0.0.1.")


def _serve(
    listener: socket.socket,
    keys: AccessKeys,
    restarts: Restarts,
    faults: FaultyFunctions | None,
    events: Events,
    *,
    rekognition: int | None,
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
    if faults:
        app = faults.in_front_of(app)
    if rekognition is not None:  # its own faults are made there
        app = with_rekognition(app, rekognition)
    config = uvicorn.Config(
        guarded(app, keys),
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
