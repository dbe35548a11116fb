"""Which rights commands use, and which the README says that they need."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Final

from workflow.project import PROJECT

#: IAM's name of a service, where it is not botocore's.
_SERVICES: Final = {"stepfunctions": "states", "sfn": "states"}
#: The action that an operation needs, where it has another name (Service Authorization Reference).
_ACTIONS: Final = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:HeadObject": "s3:GetObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
#: Actions that every command needs, or that need no right.
_ALWAYS: Final = {"cloudformation:DescribeStacks", "sts:GetCallerIdentity"}
_BY_ATHENA: Final = dict.fromkeys(
    (
        *("glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"),
        *("s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject", "s3:PutObject"),
    ),
    "Athena uses it with the caller's rights",
)
_STOPPED: Final = {"athena:StopQueryExecution": "of a query that somebody interrupts"}
_BY_ATHENA_ALONE: Final = {
    action: why
    for action, why in (_BY_ATHENA | _STOPPED).items()
    if action not in {"s3:ListBucket", "s3:GetObject"}
}
#: Granted actions that no command uses on the local cloud, and why.
UNSEEN: Final[dict[str, dict[str, str]]] = {
    "status": dict.fromkeys(
        ("cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricData"),
        "the local cloud has no metrics",
    )
    | {"s3:GetObject": "of failures, which a query counts here"},
    "upload": {
        "s3:GetObject": "what the wait reads of a failure; here nothing fails",
        "s3:GetObjectVersion": "objects encrypted under a key, whose eTag is not of their bytes",
        "states:DescribeExecution": "asked of what is slow to end",
    },
    "audit": {"sqs:SendMessage": "the session finds nothing to send when it fixes"},
    "backfill": {"s3:GetObject": "reads the manifest of an inventory"},
    "forget": {
        action: why
        for action, why in (_BY_ATHENA | _STOPPED).items()
        if action not in {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
    }
    | {
        "sqs:DeleteMessage": "of a person's dead letters, of which there are none here",
        "sqs:SendMessage": "of photographs that have to be searched again, of which there are none",
    },
    "query": _BY_ATHENA | _STOPPED,
    **dict.fromkeys(("matches", "failures"), _BY_ATHENA | _STOPPED),
    "evidence": _BY_ATHENA_ALONE,
    "collection check": _BY_ATHENA_ALONE,
    "show": {a: why for a, why in _BY_ATHENA.items() if a != "s3:GetObject"} | _STOPPED,
    "replay": {
        "sqs:StartMessageMoveTask": "the emulator lacks it",
        "sqs:SendMessage": "StartMessageMoveTask uses it with the caller's rights",
        "sqs:DeleteMessage": "likewise",
        "states:GetExecutionHistory": "of the option --step",
    },
    "evaluate": dict.fromkeys(
        (
            *("rekognition:CreateCollection", "rekognition:DeleteCollection"),
            *("rekognition:IndexFaces", "rekognition:SearchFaces"),
        ),
        "of the option --aws, which asks the real Rekognition",
    ),
    "destroy": {
        "s3:DeleteBucket": "of a bucket that was kept; here the stack's own are deleted with it",
        "rekognition:DescribeCollection": "the local stack has no collection of CloudFormation's",
        "rekognition:DeleteCollection": "likewise",
        "kms:ScheduleKeyDeletion": "of a key of the stack's own",
    },
}
#: Actions that a command uses on a local cloud only, and why.
ONLY_HERE: Final[dict[str, dict[str, str]]] = {
    "status": dict.fromkeys(
        ("athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"),
        "counts what metrics count on AWS",
    )
}
#: With a version's id these need a right of their own, and no other.
_OF_A_VERSION: Final = {"s3:GetObject", "s3:DeleteObject"}

#: Actions by the command that used them.
USED: defaultdict[str, set[str]] = defaultdict(set)


def note(command: str, model: Any, params: dict[str, Any]) -> None:
    """Remember the rights that one call needs."""
    service = model.service_model.service_name
    operation = f"{_SERVICES.get(service, service)}:{model.name}"
    action = _ACTIONS.get(operation, operation)
    deleted = params.get("Delete", {}).get("Objects", [params])
    named = {action + ("Version" if "VersionId" in each else "") for each in deleted}
    needed = named if action in _OF_A_VERSION else {action}
    name = command if command.startswith("collection") else command.split(maxsplit=1)[0]
    USED[name] |= needed - _ALWAYS


def granted() -> dict[str, set[str]]:
    """The actions that the README's table names for each command, whatever its options."""
    table = (PROJECT / "README.md").read_text().split("| to | actions |\n")[1].split("\n\n")[0]
    found: defaultdict[str, set[str]] = defaultdict(set)
    for line in table.splitlines()[1:]:
        to, actions = line.strip("| ").split(" | ", 1)
        for command in re.findall(r"`facematch (collection check|[a-z]+)", to):
            found[command] |= _actions(actions)
            for other in re.findall(r"as for `([a-z]+)`", actions):
                found[command] |= found[other]
    return found


def _actions(text: str) -> set[str]:
    """The actions that a cell names; a service stands for all that follow it."""
    found, service = set(), ""
    for named, action in re.findall(r"`(?:([a-z0-9]+):)?([A-Z][A-Za-z]+)`", text):
        service = named or service
        found.add(f"{service}:{action}")
    return found
