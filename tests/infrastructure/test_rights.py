"""Who may do what: one role a function, each right named here, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infrastructure.conftest import Template

IMAGES = "<IntakeImages13CC7F5D.Arn>"
OUTPUT = "<OutputAB65CDDE.Arn>"
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
READ_CURRENT_IMAGES = {
    ("s3:GetObject", f"{IMAGES}/images/*"),
    ("s3:ListBucket", IMAGES),
}
REGISTERS = {
    ("s3:GetObject", f"{OUTPUT}/indexed/*"),
    ("s3:PutObject", f"{OUTPUT}/indexed/*"),
    ("s3:ListBucket", OUTPUT),
}
READ_IMAGES = {
    ("s3:GetObject", f"{IMAGES}/images/*"),
    ("s3:GetObjectVersion", f"{IMAGES}/images/*"),
    ("s3:ListBucket", IMAGES),
    ("s3:ListBucketVersions", IMAGES),
}
RIGHTS = {
    "starter": READ_IMAGES
    | {
        ("states:StartExecution", "<state machine>"),
        ("states:StartExecution", "<removals>"),
        ("dynamodb:UpdateItem", "<pace>"),
        ("rekognition:DescribeCollection", "<Collection.Arn>"),
        ("s3:GetObject", f"{OUTPUT}/reports/*"),
        ("s3:ListBucket", OUTPUT),
        ("sqs:ReceiveMessage", "<queue>"),
        ("sqs:DeleteMessage", "<queue>"),
        ("sqs:GetQueueAttributes", "<queue>"),
    },
    "index": READ_IMAGES
    | REGISTERS
    | {
        ("rekognition:IndexFaces", "<Collection.Arn>"),
        ("rekognition:DeleteFaces", "<Collection.Arn>"),
    },
    "search": READ_IMAGES | {("rekognition:SearchFaces", "<Collection.Arn>")},
    "removal": READ_CURRENT_IMAGES
    | REGISTERS
    | {
        ("rekognition:DeleteFaces", "<Collection.Arn>"),
        ("s3:DeleteObject", f"{OUTPUT}/reports/*"),
        ("s3:DeleteObject", f"{OUTPUT}/matches/*"),
        ("s3:DeleteObject", f"{OUTPUT}/look_alikes/*"),
        ("s3:DeleteObject", f"{OUTPUT}/failures/*"),
        ("s3:DeleteObject", f"{OUTPUT}/delivery_failures/*"),
    },
    "report": READ_CURRENT_IMAGES
    | {
        ("s3:DeleteObject", f"{OUTPUT}/reports/*"),
        ("s3:PutObject", f"{OUTPUT}/reports/*"),
        ("s3:PutObject", f"{OUTPUT}/matches/*"),
        ("s3:PutObject", f"{OUTPUT}/look_alikes/*"),
        ("s3:DeleteObject", f"{OUTPUT}/matches/*"),
        ("s3:DeleteObject", f"{OUTPUT}/look_alikes/*"),
        ("s3:DeleteObject", f"{OUTPUT}/failures/*"),
        ("s3:DeleteObject", f"{OUTPUT}/delivery_failures/*"),
        ("s3:GetObject", f"{OUTPUT}/decisions/*"),
        ("s3:GetObject", f"{OUTPUT}/indexed/*"),
        ("s3:ListBucket", OUTPUT),
        ("ssm:GetParameter", "<parameter>"),
    },
    "notify": {
        ("sns:Publish", "<matches>"),
        ("kms:Decrypt", "<key>"),
        ("kms:GenerateDataKey", "<key>"),
        ("s3:DeleteObject", f"{OUTPUT}/delivery_failures/*"),
    },
    "failure": {
        ("s3:PutObject", f"{OUTPUT}/failures/*"),
        ("s3:DeleteObject", f"{OUTPUT}/failures/*"),
        ("s3:PutObject", f"{OUTPUT}/delivery_failures/*"),
        ("s3:DeleteObject", f"{OUTPUT}/delivery_failures/*"),
        ("s3:GetObject", f"{OUTPUT}/reports/*"),
        ("s3:ListBucket", OUTPUT),
        ("states:DescribeExecution", "<executions>"),
        ("states:GetExecutionHistory", "<executions>"),
        ("states:DescribeExecution", "<executions of removals>"),
        ("states:GetExecutionHistory", "<executions of removals>"),
        ("sqs:SendMessage", "<undelivered>"),
    },
}


#: By a state machine; the backfill's, which calls none, is in test_backfill.py.
CALLED = {
    "Matching": {"index", "search", "report", "notify", "failure"},
    "Removals": {"removal"},
}
#: Neither log delivery nor X-Ray has a resource to name.
LOG_DELIVERY_AND_TRACES = {
    ("logs:CreateLogDelivery", "*"),
    ("logs:GetLogDelivery", "*"),
    ("logs:UpdateLogDelivery", "*"),
    ("logs:DeleteLogDelivery", "*"),
    ("logs:ListLogDeliveries", "*"),
    ("logs:PutResourcePolicy", "*"),
    ("logs:DescribeResourcePolicies", "*"),
    ("logs:DescribeLogGroups", "*"),
    ("xray:PutTraceSegments", "*"),
    ("xray:PutTelemetryRecords", "*"),
    ("xray:GetSamplingRules", "*"),
    ("xray:GetSamplingTargets", "*"),
}


def rights(template: Template, role: str) -> set[tuple[str, str]]:
    """Action and resource of each right of the role."""
    aliases = {
        "MatchingStateMachine": "<state machine>",
        "IntakeQueue": "<queue>",
        "<RemovalsStateMachine": "<removals>",
        ":execution:FaceMatching:*": "<executions>",
        ":execution:FaceMatching-removal:*": "<executions of removals>",
        "parameter<NotifyThreshold": "<parameter>",
        "<TopicsMatches": "<matches>",
        "<TopicsKey": "<key>",
        "<FailuresUndelivered": "<undelivered>",
        "<IntakePace": "<pace>",
    }
    found = set()
    for statement in template.statements(role):
        assert statement["Effect"] == "Allow"
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                text = template.text(resource)
                text = next((alias for part, alias in aliases.items() if part in text), text)
                found.add((action, text))
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_of(template: Template, module: str) -> str:
    role: str = template.function(module)["Role"]["Fn::GetAtt"][0]
    return role


def role_of_machine(template: Template, part: str) -> str:
    machine = template.properties("AWS::StepFunctions::StateMachine", part)
    role: str = machine["RoleArn"]["Fn::GetAtt"][0]
    return role


@pytest.mark.parametrize("module", RIGHTS)
def test_a_function_has_exactly_these_rights(template: Template, module: str) -> None:
    found = rights(template, role_of(template, module))

    logs = {right for right in found if right[0] in LOGS}
    traces = {right for right in found if right[0] in TRACES}
    assert found - logs - traces == RIGHTS[module]
    assert {action for action, _ in logs} == LOGS
    assert all(resource.startswith("<") and "Logs" in resource for _, resource in logs)
    assert traces == {(action, "*") for action in TRACES}


def test_only_a_stack_that_rejects_photographs_of_several_people_lets_its_index_step_delete_reports(
    template: Template, synthesise: Callable[..., Template]
) -> None:
    rejecting = synthesise(several_faces="reject")

    more = rights(rejecting, role_of(rejecting, "index")) - rights(
        template, role_of(template, "index")
    )

    assert {right for right in more if right[0] not in LOGS} == {
        ("s3:DeleteObject", f"{OUTPUT}/{kind}/*")
        for kind in ("reports", "matches", "look_alikes", "delivery_failures")
    }


def test_every_function_has_a_role_of_its_own_without_managed_policies(template: Template) -> None:
    roles = [role_of(template, module) for module in RIGHTS]

    assert len(set(roles)) == len(template.of_type("AWS::Lambda::Function")) == len(RIGHTS)
    for role in template.of_type("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]


@pytest.mark.parametrize("machine", CALLED)
def test_a_state_machine_calls_these_functions_and_no_version_of_them(
    template: Template, machine: str
) -> None:
    called = {
        ("lambda:InvokeFunction", f"<{name}.Arn>")
        for name, function in template.of_type("AWS::Lambda::Function").items()
        if function["Properties"]["Handler"].split(".")[1] in CALLED[machine]
    }

    assert len(called) == len(CALLED[machine])
    assert rights(template, role_of_machine(template, machine)) == called | LOG_DELIVERY_AND_TRACES


def test_every_role_is_of_a_function_or_of_a_state_machine(template: Template) -> None:
    roles = {role_of(template, module) for module in RIGHTS} | {
        role_of_machine(template, machine) for machine in (*CALLED, "Backfill")
    }

    assert set(template.of_type("AWS::IAM::Role")) == roles


def test_no_right_has_a_wildcard_in_its_action(template: Template) -> None:
    for policy in template.of_type("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert not any("*" in str(action) for action in _listed(statement["Action"]))


def test_only_s3_of_this_account_may_fill_the_queue(template: Template) -> None:
    policy = template.properties("AWS::SQS::QueuePolicy", "IntakeQueuePolicy")
    (allowed,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    assert allowed["Action"] == "sqs:SendMessage"
    assert allowed["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_the_topics_key_admits_the_services_that_publish(template: Template) -> None:
    statements = template.properties("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    admitted = {
        service
        for statement in statements
        for service in _listed(statement["Principal"].get("Service", []))
        if {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(_listed(statement["Action"]))
    }

    assert admitted == {"events.amazonaws.com", "cloudwatch.amazonaws.com"}
    for topic in template.of_type("AWS::SNS::Topic").values():
        assert "TopicsKey" in template.text(topic["Properties"]["KmsMasterKeyId"])
