"""Which key everything is under, whom the key admits, and whom queues and topics admit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import app as cdk_app
from tests.infrastructure.test_rights import RIGHTS, rights, role_of, role_of_machine
from tests.infrastructure.test_synthesis import context, findings, run_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infrastructure.conftest import Template

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
#: Of the stack's key, as the template refers to it.
OWN = {"own": "<Key961B73FD.Arn>", ARN: ARN}
DECRYPT = {("kms:Decrypt", "<key>")}
ENCRYPT = {*DECRYPT, ("kms:GenerateDataKey", "<key>")}
#: What each function needs of the key beside what it needs by default.
OF_THE_KEY = {
    "starter": DECRYPT,  # the queue's messages, the images, the pace table
    "index": ENCRYPT,  # the images, read by Rekognition with its rights; the registers
    "search": DECRYPT,  # the images
    "report": ENCRYPT,  # the images, the decisions; the reports and match rows
    "notify": set[tuple[str, str]](),  # the topic's key, which it may use by default, too
    "failure": ENCRYPT,  # the reports; the records, the queue of what it failed to record
    "removal": ENCRYPT,  # the images; the registers
}
PREFIX = "arn:<AWS::Partition>:{}:<AWS::Region>:<AWS::AccountId>:"
ALARMS = PREFIX.format("cloudwatch") + "alarm:FaceMatching-"
LOG_GROUPS = PREFIX.format("logs") + "log-group:"
THIS_ACCOUNT = {"aws:SourceAccount": "<AWS::AccountId>"}
ANY_BUCKET = {"aws:SourceArn": "arn:<AWS::Partition>:s3:::*"}

Statement = tuple[str, set[str], dict[str, Any]]
PUBLISHING: dict[str, Statement] = {
    # EventBridge sends neither aws:SourceAccount nor aws:SourceArn when it publishes.
    "EventsToTopics": (
        "events.amazonaws.com",
        {"kms:Decrypt", "kms:GenerateDataKey*"},
        {
            "ArnLike": {
                "kms:EncryptionContext:aws:sns:topicArn": PREFIX.format("sns") + "FaceMatching-*"
            }
        },
    ),
    "AlarmsToTopics": (
        "cloudwatch.amazonaws.com",
        {"kms:Decrypt", "kms:GenerateDataKey*"},
        {"StringEquals": THIS_ACCOUNT, "ArnLike": {"aws:SourceArn": f"{ALARMS}*"}},
    ),
}
STORING: dict[str, Statement] = {
    "LogGroups": (
        "logs.<AWS::Region>.amazonaws.com",
        {
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*",
            "kms:DescribeKey",
        },
        {
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": [
                    f"{LOG_GROUPS}FaceMatching-*",
                    f"{LOG_GROUPS}/aws/vendedlogs/states/FaceMatching",
                    f"{LOG_GROUPS}/aws/vendedlogs/states/FaceMatching-*",
                ]
            }
        },
    ),
    "EventsAndInventoriesOfBuckets": (
        "s3.amazonaws.com",
        {"kms:Decrypt", "kms:GenerateDataKey"},
        {"StringEquals": THIS_ACCOUNT, "ArnLike": ANY_BUCKET},
    ),
    "UndeliveredEventsOfRules": (
        "events.amazonaws.com",
        {"kms:Decrypt", "kms:GenerateDataKey"},
        {"ArnLike": {"aws:SourceArn": PREFIX.format("events") + "rule/*"}},
    ),
}


def readable(template: Template, value: Any) -> Any:
    """JSON of the template with its references as text."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in {"Ref", "Fn::GetAtt", "Fn::Join"}:
            return template.text(value)
        return {key: readable(template, inner) for key, inner in value.items()}
    return [readable(template, inner) for inner in value] if isinstance(value, list) else value


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def admitted(template: Template, statements: list[dict[str, Any]]) -> dict[str, Statement]:
    """Principal, actions and conditions of the statements that admit a service, by their names."""
    found = {}
    for statement in readable(template, statements):
        if statement["Effect"] == "Allow" and "Service" in statement["Principal"]:
            found[statement["Sid"]] = (
                statement["Principal"]["Service"],
                set(listed(statement["Action"])),
                statement.get("Condition", {}),
            )
    return found


def keys(template: Template) -> dict[str, set[str]]:
    """The keys of everything that has a key, by its kind."""
    where: dict[str, Callable[[dict[str, Any]], Any]] = {
        "AWS::S3::Bucket": lambda p: p["BucketEncryption"]["ServerSideEncryptionConfiguration"][0][
            "ServerSideEncryptionByDefault"
        ].get("KMSMasterKeyID", "none"),
        "AWS::SQS::Queue": lambda p: p.get("KmsMasterKeyId", "none"),
        "AWS::SNS::Topic": lambda p: p["KmsMasterKeyId"],
        "AWS::Logs::LogGroup": lambda p: p.get("KmsKeyId", "none"),
        "AWS::DynamoDB::Table": lambda p: p.get("SSESpecification", {}).get(
            "KMSMasterKeyId", "none"
        ),
        "AWS::Athena::WorkGroup": lambda p: p["WorkGroupConfiguration"]["ResultConfiguration"][
            "EncryptionConfiguration"
        ].get("KmsKey", "none"),
    }
    return {
        kind: {template.text(key(r["Properties"])) for r in template.of_type(kind).values()}
        for kind, key in where.items()
    }


def test_by_default_only_the_topics_have_a_key_of_the_stacks(template: Template) -> None:
    found = keys(template)

    assert found.pop("AWS::SNS::Topic") == {"<TopicsKey64CE8550.Arn>"}
    assert set().union(*found.values()) == {"none"}
    assert len(template.of_type("AWS::KMS::Key")) == 1
    for queue in template.of_type("AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("key", OWN)
def test_everything_is_under_the_one_key(synthesise: Callable[..., Template], key: str) -> None:
    template = synthesise(encryption_key=key)

    assert set().union(*keys(template).values()) == {OWN[key]}
    assert set(template.of_type("AWS::KMS::Key")) == ({"Key961B73FD"} if key == "own" else set())
    for bucket in template.of_type("AWS::S3::Bucket").values():
        # Otherwise each object costs a call of KMS, to write it and to read it.
        (rule,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"] is True
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


@pytest.mark.parametrize(
    ("retain_data", "policy"), [("true", "RetainExceptOnCreate"), ("false", "Delete")]
)
def test_the_key_rotates_and_stays_where_the_buckets_stay(
    synthesise: Callable[..., Template], retain_data: str, policy: str
) -> None:
    template = synthesise(encryption_key="own", retain_data=retain_data)
    (key,) = template.of_type("AWS::KMS::Key").values()

    assert key["Properties"]["EnableKeyRotation"] is True
    kept = {key["DeletionPolicy"]}
    kept |= {bucket["DeletionPolicy"] for bucket in template.of_type("AWS::S3::Bucket").values()}
    assert kept == {policy}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, PUBLISHING), ({"encryption_key": "own"}, {**STORING, **PUBLISHING})],
    ids=["aws", "own"],
)
def test_the_key_admits_these_services_under_these_conditions(
    synthesise: Callable[..., Template], settings: dict[str, Any], expected: dict[str, Statement]
) -> None:
    template = synthesise(**settings)
    statements = template.properties("AWS::KMS::Key")["KeyPolicy"]["Statement"]

    assert admitted(template, statements) == expected
    (account,) = [s for s in statements if "Service" not in s["Principal"]]
    root = "arn:<AWS::Partition>:iam::<AWS::AccountId>:root"
    assert readable(template, account["Principal"]) == {"AWS": root}
    assert len(statements) == len(expected) + 1


@pytest.mark.parametrize("key", OWN)
@pytest.mark.parametrize("module", OF_THE_KEY)
def test_a_function_gets_just_what_it_needs_of_the_key(
    synthesise: Callable[..., Template], module: str, key: str
) -> None:
    template = synthesise(encryption_key=key)
    found = {
        (action, "<key>" if resource == OWN[key] else resource)
        for action, resource in rights(template, role_of(template, module))
        if not action.startswith(("logs:", "xray:"))
    }

    assert found == RIGHTS[module] | OF_THE_KEY[module]


@pytest.mark.parametrize(
    ("machine", "expected"), [("Matching", set()), ("Removals", set()), ("Backfill", ENCRYPT)]
)
def test_a_state_machine_gets_just_what_it_needs_of_the_key(
    synthesise: Callable[..., Template],
    template: Template,
    machine: str,
    expected: set[tuple[str, str]],
) -> None:
    own = synthesise(encryption_key="own")
    found = rights(own, role_of_machine(own, machine))

    found = {(action, resource.replace(OWN["own"], "<key>")) for action, resource in found}
    assert found == rights(template, role_of_machine(template, machine)) | expected


def test_the_statements_for_a_given_key_are_those_of_the_stacks_own(
    synthesise: Callable[..., Template], tmp_path: Path
) -> None:
    done = run_app(tmp_path, CDK_CONTEXT_JSON=json.dumps({**context(), "encryption_key": ARN}))
    assert done.returncode == 0, done.stderr
    note, printed = done.stderr.split("\n", 1)
    account, *services = json.loads(printed)

    own = synthesise(encryption_key="own")
    policy = own.properties("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    there = json.dumps([s for s in readable(own, policy) if "Service" in s["Principal"]])
    for pseudo, value in (
        ("<AWS::Partition>", "aws"),
        ("<AWS::Region>", "eu-central-1"),
        ("<AWS::AccountId>", "111122223333"),
    ):
        there = there.replace(pseudo, value)
    assert services == json.loads(there)
    # Without it no role's policy about the key would count; and no kms:* is asked for.
    assert account["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    assert "kms:*" not in account["Action"]
    assert {"kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"} <= set(account["Action"])
    assert ARN in note
    assert list(tmp_path.glob("*.template.json"))


@pytest.mark.parametrize("key", OWN)
def test_cdk_nag_finds_nothing_under_a_key_either(tmp_path: Path, key: str) -> None:
    app = cdk_app.app(context={**context(), "encryption_key": key}, outdir=str(tmp_path))

    assert findings(tmp_path, app) == []


def test_queues_and_topics_admit_these_services_and_refuse_plain_http(template: Template) -> None:
    (rule,) = template.of_type("AWS::Events::Rule")
    alarms = {f"{ALARMS}{name}" for name in _alarm_names(template)}
    send, publish = {"sqs:SendMessage"}, {"sns:Publish"}
    expected: dict[str, list[Statement]] = {
        "IntakeQueue": [
            (
                "s3.amazonaws.com",
                send,
                {"StringEquals": THIS_ACCOUNT, "ArnLike": ANY_BUCKET},
            )
        ],
        "IntakeDeadLetters": [],
        "FailuresUndelivered": [
            ("events.amazonaws.com", send, {"ArnEquals": {"aws:SourceArn": f"<{rule}.Arn>"}})
        ],
        "TopicsMatches": [],
        "TopicsFailures": [("events.amazonaws.com", publish, {})],
        "TopicsAlarms": [
            (
                "cloudwatch.amazonaws.com",
                publish,
                {"StringEquals": THIS_ACCOUNT, "ArnEquals": {"aws:SourceArn": sorted(alarms)}},
            )
        ],
    }
    policies = {
        **template.of_type("AWS::SQS::QueuePolicy"),
        **template.of_type("AWS::SNS::TopicPolicy"),
    }

    assert len(policies) == len(expected)
    for name, policy in policies.items():
        statements = readable(template, policy["Properties"]["PolicyDocument"]["Statement"])
        (denied,) = [s for s in statements if s["Effect"] == "Deny"]
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        allowed = [s for s in statements if s["Effect"] == "Allow"]
        for statement in allowed:
            arns = statement.get("Condition", {}).get("ArnEquals", {})
            if isinstance(arns.get("aws:SourceArn"), list):
                arns["aws:SourceArn"].sort()
        assert [
            (s["Principal"]["Service"], set(listed(s["Action"])), s.get("Condition", {}))
            for s in allowed
        ] == expected[name.split("Policy")[0]]


def _alarm_names(template: Template) -> list[str]:
    return [
        alarm["Properties"]["AlarmName"].removeprefix("FaceMatching-")
        for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
    ]
