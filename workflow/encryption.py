"""Encryption: under which key data lies, whom the key admits, and what its users need.

The setting `encryption_key` chooses: AWS's own keys, one key of the stack, or a key that is given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

from workflow.bucket import removal_policy
from workflow.settings import ENCRYPTED_BY_AWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from constructs import Construct

    from workflow.settings import Settings

_READ: Final = ("kms:Decrypt",)
_WRITE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
#: What an action needs of the key that its data is under. Whoever writes needs kms:Decrypt, too:
#: SQS checks a new data key with it (Amazon SQS Developer Guide, Key management), and S3 decrypts
#: its Bucket Key and the parts of a multipart upload (Amazon S3 User Guide, Using SSE-KMS).
#: DynamoDB decrypts the table's key with its caller's rights, to read and to write (AWS KMS
#: Developer Guide, How Amazon DynamoDB uses AWS KMS).
_NEEDED: Final = {
    "s3:GetObject": _READ,
    "s3:PutObject": _WRITE,
    "sqs:ReceiveMessage": _READ,
    "sqs:SendMessage": _WRITE,
    "dynamodb:UpdateItem": _READ,
}


def needed(actions: Iterable[str]) -> list[str]:
    """What actions need of the key that their data is under."""
    return sorted({right for action in actions for right in _NEEDED.get(action, ())})


def data_key(scope: Construct, settings: Settings) -> kms.IKey | None:
    """The key of buckets, queues, topics, logs and the rest; None when AWS's keys do.

    It stays where the buckets stay: without it, what is in them could never be read again.
    """
    if settings.encryption_key == ENCRYPTED_BY_AWS:
        return None
    if settings.encrypted_by_given_key:
        return kms.Key.from_key_arn(scope, "Key", settings.encryption_key)
    place = Place.of(scope)
    key = kms.Key(
        scope,
        "Key",
        description=f"Data of {place.stack_name}",
        enable_key_rotation=True,
        removal_policy=removal_policy(retain_data=settings.retain_data),
    )
    for statement in (*storing_services(place), *publishing_services(place)):
        key.add_to_resource_policy(statement)
    return key


def queue_encryption(key: kms.IKey | None) -> sqs.QueueEncryption:
    """How a queue is encrypted that may have a key."""
    return sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a stack is, and its name: what the ARNs of its resources begin with.

    A key's policy cannot refer to what is encrypted under the key, which comes after it.
    CloudFormation begins the names that it generates with the stack's (AWS CloudFormation
    Reference, Ref); but where a name may have 64 characters or less it is cut, in a way that is
    not documented, so no statement here relies on the names of buckets and rules.
    """

    partition: str
    region: str
    account: str
    stack_name: str

    @classmethod
    def of(cls, scope: Construct) -> Self:
        """Of the stack of a construct."""
        stack = cdk.Stack.of(scope)
        return cls(
            partition=stack.partition,
            region=stack.region,
            account=stack.account,
            stack_name=stack.stack_name,
        )

    @classmethod
    def of_key(cls, key_arn: str, stack_name: str) -> Self:
        """Of a stack in the account and region of a key."""
        _, partition, _, region, account, _ = key_arn.split(":", 5)
        return cls(partition=partition, region=region, account=account, stack_name=stack_name)

    def arn(self, service: str, resource: str) -> str:
        """An ARN of a service in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def storing_services(place: Place) -> list[iam.PolicyStatement]:
    """Let AWS services store under the key what they keep or deliver for this stack."""
    return [
        _statement(
            # Log delivery of Step Functions needs nothing of its own: CloudWatch Logs encrypts.
            "LogGroups",
            iam.ServicePrincipal(f"logs.{place.region}.amazonaws.com"),
            (
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:DescribeKey",
            ),
            {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": [
                        place.arn("logs", f"log-group:{place.stack_name}-*"),
                        place.arn("logs", f"log-group:/aws/vendedlogs/states/{place.stack_name}"),
                        place.arn("logs", f"log-group:/aws/vendedlogs/states/{place.stack_name}-*"),
                    ]
                }
            },
        ),
        _statement(
            # kms:Decrypt is for the queue only: S3 needs it for no inventory.
            "EventsAndInventoriesOfBuckets",
            iam.ServicePrincipal("s3.amazonaws.com"),
            _WRITE,
            {
                "StringEquals": {"aws:SourceAccount": place.account},
                "ArnLike": {"aws:SourceArn": f"arn:{place.partition}:s3:::*"},
            },
        ),
        _statement(
            "UndeliveredEventsOfRules",
            iam.ServicePrincipal("events.amazonaws.com"),
            _WRITE,
            {"ArnLike": {"aws:SourceArn": place.arn("events", "rule/*")}},
        ),
    ]


def publishing_services(place: Place) -> list[iam.PolicyStatement]:
    """Let EventBridge and CloudWatch publish to topics under the key."""
    publish = ("kms:Decrypt", "kms:GenerateDataKey*")
    topics = place.arn("sns", f"{place.stack_name}-*")
    return [
        # Conditions on aws:SourceAccount and aws:SourceArn are "not supported for
        # EventBridge-to-encrypted topics" (Amazon SNS Developer Guide, Key management): with one
        # of them no event would arrive. The topic is what SNS encrypts for.
        _statement(
            "EventsToTopics",
            iam.ServicePrincipal("events.amazonaws.com"),
            publish,
            {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": topics}},
        ),
        _statement(
            "AlarmsToTopics",
            iam.ServicePrincipal("cloudwatch.amazonaws.com"),
            publish,
            {
                "StringEquals": {"aws:SourceAccount": place.account},
                "ArnLike": {
                    "aws:SourceArn": place.arn("cloudwatch", f"alarm:{place.stack_name}-*")
                },
            },
        ),
    ]


def statements_to_add(key_arn: str, stack_name: str) -> str:
    """The statements that the policy of a given key needs, as JSON: the stack cannot add them."""
    place = Place.of_key(key_arn, stack_name)
    # What the roles of the stack, people, and whoever deploys have in policies of their own.
    account = _statement(
        "PoliciesOfTheAccount",
        iam.ArnPrincipal(f"arn:{place.partition}:iam::{place.account}:root"),
        (
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*",
            "kms:DescribeKey",
            "kms:CreateGrant",
        ),
    )
    statements = [account, *storing_services(place), *publishing_services(place)]
    resolved = cdk.Stack(cdk.App()).resolve([one.to_statement_json() for one in statements])
    return json.dumps(resolved, indent=2)


def _statement(
    sid: str,
    principal: iam.IPrincipal,
    actions: Sequence[str],
    conditions: dict[str, object] | None = None,
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        principals=[principal],
        actions=list(actions),
        resources=["*"],  # in a key's policy: the key
        conditions=conditions,
    )
