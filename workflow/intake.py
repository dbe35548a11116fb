"""Intake: the images bucket, the queue behind it, and the starter that drains it at a pace."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from functions.aws.start_slots import KEY_NAME
from functions.matching.settings import (
    MESSAGES_KEPT,
    OTHER_REGIONS_QUOTA,
    REKOGNITION_QUOTA,
    paced,
    turns_of_a_removal,
)
from workflow.acknowledge import acknowledge
from workflow.bucket import data_bucket
from workflow.encryption import queue_encryption
from workflow.function import Function
from workflow.region import by_region

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_stepfunctions as sfn

    from workflow.function import FunctionCode
    from workflow.settings import Settings

#: What a starter needs for one start: HeadObject, its turn and StartExecution, one after the
#: other. An estimate, 0.1 s, and as much again to spare: with too few starters they could not keep
#: the rate, while one more waits for its turn and costs cents (docs/pace.md).
_SECONDS_A_START: Final = 0.2
#: Expiry by a lifecycle is an event of its own (Amazon S3 User Guide, Event types).
_EVENTS: Final = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
#: Lambda allows no smaller MaximumConcurrency of an SQS event source.
_FEWEST_STARTERS: Final = 2
_LARGEST_BATCH: Final = 10
#: Seconds that a batch should take at most, since its messages are gone for longer if it fails.
_BATCH_SECONDS: Final = 60
_LAMBDA_LONGEST_TIMEOUT: Final = 900


class Intake(Construct):
    """Photographs come in here; each new object version is a message in the queue.

    After StartExecution nothing limits the fan-out, so the queue is the buffer and the starter
    is the tap.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: FunctionCode,
        settings: Settings,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._key = key
        self.retention = cdk.Duration.days(MESSAGES_KEPT.days)
        draining = _Draining(settings)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=queue_encryption(key),
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=queue_encryption(key),
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=self.retention,
            # At least six times the function's timeout, and at least five receives, before a
            # message counts as poison (AWS Lambda Developer Guide, Using Lambda with Amazon SQS).
            visibility_timeout=cdk.Duration.seconds(6 * draining.timeout),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=5),
        )
        self.images = data_bucket(
            self, "Images", key=key, retain_data=settings.retain_data, versioned=True
        )
        if settings.image_expiration_days:
            self.images.add_lifecycle_rule(
                id="Photographs",
                prefix=settings.image_prefix or None,
                expiration=cdk.Duration.days(settings.image_expiration_days),
            )
        self._notify_queue()
        self.pace = self._pace_table()
        self.starter = Function(
            self,
            "Starter",
            code=code,
            module="starter",
            description="Starts one execution for each uploaded object version, at a pace",
            key=key,
            timeout=cdk.Duration.seconds(draining.timeout),
            # Traced where the upload is; a trace of its own would tell its duration, as its metric
            # does, and decide for the execution, which a setting decides.
            tracing=lambda_.Tracing.PASS_THROUGH,
            environment={
                "IMAGES_BUCKET": self.images.bucket_name,
                "IMAGE_PREFIX": settings.image_prefix,
                "STARTS_PER_SECOND": f"{settings.starts_per_second or 'auto'}",
                "PACE_TABLE": self.pace.table_name,
                "MAX_FACES": str(settings.max_faces),
            },
        )
        self.starter.allow("dynamodb:UpdateItem", on=[self.pace.table_arn])
        # No batching window: a lone upload starts at once, and under a burst batches are full
        # without waiting. The visibility timeout would have to grow by it.
        self.starter.function.add_event_source_mapping(
            "Queue",
            event_source_arn=self.queue.queue_arn,
            batch_size=draining.batch_size,
            max_concurrency=by_region(
                self, fast=draining.starters_where_fast, elsewhere=draining.starters_elsewhere
            ),
            report_batch_item_failures=True,
        )
        # What Lambda's poller needs (AWSLambdaSQSQueueExecutionRole); the CDK would grant more.
        self.starter.allow(
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            on=[self.queue.queue_arn],
        )
        self.grant_read_images(self.starter)

    def start(self, *, matching: sfn.StateMachine, removals: sfn.StateMachine) -> None:
        """Let the starter start an execution for each new object, and for each that left."""
        for variable, machine in (
            ("STATE_MACHINE_ARN", matching),
            ("REMOVAL_STATE_MACHINE_ARN", removals),
        ):
            self.starter.function.add_environment(variable, machine.state_machine_arn)
            self.starter.allow("states:StartExecution", on=[machine.state_machine_arn])

    def grant_read_images(self, function: Function, *, older_versions: bool = True) -> None:
        """Let a function read images, or only what is current.

        Without s3:ListBucket S3 answers 403 for an object that is gone, and not 404
        (Amazon S3 API Reference, HeadObject). For a version that is named, s3:ListBucketVersions
        is the right that says so; the reference is silent about it, and nobody has seen it on AWS.
        Neither can be limited to the prefix: the condition key s3:prefix is absent from a request
        for an object.
        """
        images = self.images.arn_for_objects(f"{self._settings.image_prefix}*")
        function.allow("s3:GetObject", on=[images])
        function.allow("s3:ListBucket", on=[self.images.bucket_arn])
        if older_versions:
            function.allow("s3:GetObjectVersion", on=[images])
            function.allow("s3:ListBucketVersions", on=[self.images.bucket_arn])
        acknowledge(
            function.role,
            rule=f"AwsSolutions-IAM5[Resource::<{_logical_id(self.images)}.Arn>/"
            f"{self._settings.image_prefix}*]",
            reason="Any image below the prefix: that is what the function is for.",
        )

    def _pace_table(self) -> dynamodb.Table:
        """Two items: when all starters together start next, and when they count the faces next."""
        table = dynamodb.Table(
            self,
            "Pace",
            partition_key=dynamodb.Attribute(name=KEY_NAME, type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if self._key else None,
            encryption_key=self._key,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(
            table,
            rule="AwsSolutions-DDB3",
            reason="There is nothing to recover: it holds two times, which are over soon.",
        )
        return table

    def _notify_queue(self) -> None:
        """Tell the queue of each object that came or left, without an L2's custom resource.

        The queue's policy must exist before the bucket is created, since S3 tries it out with a
        test event; and it cannot name the bucket, whose name is generated after it, and cut in a
        way that is not documented. So it admits any bucket of this account; the starter refuses
        messages that are about another one.
        """
        stack = cdk.Stack.of(self)
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sqs:SendMessage"],
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                resources=[self.queue.queue_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:s3:::*"},
                },
            )
        )
        bucket = self.images.node.default_child
        assert isinstance(bucket, s3.CfnBucket)  # noqa: S101 - tells mypy what an L2 bucket has
        prefix = s3.CfnBucket.FilterRuleProperty(name="prefix", value=self._settings.image_prefix)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(
                    event=event,
                    queue=self.queue.queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(rules=[prefix])
                    )
                    if self._settings.image_prefix
                    else None,
                )
                for event in _EVENTS
            ]
        )
        bucket.node.add_dependency(self.queue.node.find_child("Policy"))


class _Draining:
    """How the queue is drained.

    Attributes
    ----------
    starters_where_fast, starters_elsewhere
        At a time: as many as keep the rate of the region. More would take the concurrency of a
        small account from the steps (AWS Lambda Developer Guide, Quotas: new accounts have less).
    batch_size, timeout
        Messages in a batch, and the seconds that a starter gets for one. The starters share the
        turns, so each message waits for those of all the others, and at worst all of them are
        removals, which take several turns each. As much again to spare, and half a minute for
        services that are slow.
    """

    def __init__(self, settings: Settings) -> None:
        rates = [
            settings.starts_per_second or paced(quota, settings.max_faces)
            for quota in (max(REKOGNITION_QUOTA.values()), OTHER_REGIONS_QUOTA)
        ]
        starters = [max(_FEWEST_STARTERS, math.ceil(_SECONDS_A_START * rate)) for rate in rates]
        self.starters_where_fast, self.starters_elsewhere = starters
        slowest = max(
            count * turns_of_a_removal(rate) / rate
            for count, rate in zip(starters, rates, strict=True)
        )
        self.batch_size = max(1, min(_LARGEST_BATCH, int(_BATCH_SECONDS / slowest)))
        self.timeout = min(_LAMBDA_LONGEST_TIMEOUT, 30 + int(2 * self.batch_size * slowest))


def _logical_id(bucket: s3.Bucket) -> str:
    child = bucket.node.default_child
    assert isinstance(child, s3.CfnBucket)  # noqa: S101
    return str(cdk.Stack.of(bucket).resolve(child.logical_id))
