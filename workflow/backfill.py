"""Backfill: sends what was in the images bucket before through the same queue as an upload."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.matching.places import Place
from workflow.acknowledge import acknowledge
from workflow.encryption import needed
from workflow.machine import LOG_AND_TRACE_ACTIONS, logged_machine

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sqs as sqs

#: Messages sent at a time. Each takes some 0.1 s, so a few hundred go out in a second: faster than
#: any pace drains the queue, and far below the quotas of Express workflows and of SQS.
_AT_ONCE: Final = 40

#: Of the two Maps; they stand in the ARNs of the children.
_LABELS: Final = ("Listing", "Inventory")

_RESULT_WRITER_V2: Final = "@aws-cdk/aws-stepfunctions:useDistributedMapResultWriterV2"

#: An item of ListObjectsV2. Its key is written as S3 writes it in an event, which the starter
#: undoes; there is no version in it, and the starter asks S3 for the current one.
_LISTED: Final = """{%% (
    $item := $states.context.Map.Item.Value;
    {
        "bucket": %(bucket)s,
        "key": $encodeUrlComponent($item.Key),
        "size": $item.Size,
        "eTag": $item.Etag,
        "again": $states.input.again = true
    }
) %%}"""

#: A line of an S3 inventory, whose columns are those that were asked for. Its key is URL-encoded
#: already (Amazon S3 User Guide, Amazon S3 Inventory list). An object's field that is undefined,
#: as a conditional without its second branch, is left out.
_INVENTORIED: Final = """{%
(
    $item := $states.context.Map.Item.Value;
    {
        "bucket": $item.Bucket,
        "key": $item.Key,
        "versionId": $item.VersionId != "" and $item.VersionId != "null" ? $item.VersionId,
        "size": $item.Size != "" ? $number($item.Size),
        "eTag": $item.ETag != "" ? $item.ETag,
        "isDeleteMarker": $lowercase($item.IsDeleteMarker) = "true",
        "again": $states.input.again = true
    }
) %}"""

#: An inventory may list a whole bucket, and delete markers; a listing has folder markers.
_IS_IMAGE: Final = """{%% (
    $key := $decodeUrlComponent($replace($states.input.key, "+", "%%20"));
    $prefix := %(prefix)s;
    $size := $exists($states.input.size) ? $number($states.input.size) : 0;
    $states.input.bucket = %(bucket)s
        and $substring($key, 0, $length($prefix)) = $prefix
        and $not($substring($key, -1) = "/" and $size = 0)
        and $not($states.input.isDeleteMarker = true)
) %%}"""

#: What S3 would have sent, with our mark beside it: functions/aws/events.py reads it.
_MESSAGE: Final = """{% $string({
    "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": $now(),
        "s3": {
            "bucket": {"name": $states.input.bucket},
            "object": {
                "key": $states.input.key,
                "size": $exists($states.input.size) ? $states.input.size : 0,
                "eTag": $exists($states.input.eTag)
                    ? $replace($states.input.eTag, "\\"", "") : "unknown",
                "versionId": $states.input.versionId
            }
        }
    }],
    "facematch": {"backfill": true, "again": $states.input.again}
}) %}"""


class Backfill(Construct):
    """A Distributed Map over the images bucket's listing, or over an inventory of it.

    One Express child for each object sends a message to the intake queue. So pace, identity and
    the rule for duplicates are those of an upload. Its input:

    - ``prefix``: of the keys; by default the image prefix.
    - ``inventory``: key of an S3 Inventory's ``manifest.json`` in the output bucket, below
      `Place.INVENTORIES`, instead of a prefix.
    - ``again``: true to process what has a report, too.

    A single message that cannot be sent, after its retries, fails the execution: Redrive then goes
    on with what was not sent.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        images: s3.IBucket,
        image_prefix: str,
        output: s3.Bucket,
        queue: sqs.IQueue,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.node.set_context(_RESULT_WRITER_V2, True)  # noqa: FBT003 - the CDK's signature
        self._images = images
        self._image_prefix = image_prefix
        self._output = output
        self._queue = queue
        self._key = key
        bucket = json.dumps(images.bucket_name)
        prefix = json.dumps(image_prefix)

        by_listing = self._map(
            "Listing",
            comment="Each object below the prefix, in its current version",
            reader=sfn.S3ObjectsItemReader(
                bucket=images,
                prefix=f"{{% $exists($states.input.prefix) ? $states.input.prefix : {prefix} %}}",
            ),
            selector=_LISTED % {"bucket": bucket},
        )
        by_inventory = self._map(
            "Inventory",
            comment="Each line of the inventory, with its version if the inventory has it",
            reader=sfn.S3ManifestItemReader(bucket=output, key="{% $states.input.inventory %}"),
            selector=_INVENTORIED,
        )
        which = sfn.Choice.jsonata(self, "WhichList", comment="Is there an inventory?")
        start = which.when(
            sfn.Condition.jsonata("{% $exists($states.input.inventory) %}"), by_inventory
        ).otherwise(by_listing)

        self._deliver_inventories()
        # An inventory lists keys, and so names: it stays no longer than somebody needs it.
        for rule, prefix in {
            "BackfillResults": Place.BACKFILL_RESULTS,
            "Inventories": Place.INVENTORIES,
        }.items():
            output.add_lifecycle_rule(id=rule, prefix=prefix, expiration=cdk.Duration.days(30))
        self.state_machine = self._state_machine(name, start)

    def _map(
        self, construct_id: str, *, comment: str, reader: sfn.IItemReader, selector: str
    ) -> sfn.DistributedMap:
        each = sfn.DistributedMap.jsonata(
            self,
            construct_id,
            comment=comment,
            label=construct_id,
            item_reader=reader,
            jsonata_item_selector=selector,
            map_execution_type=sfn.StateMachineType.EXPRESS,
            max_concurrency=_AT_ONCE,
            # Without a place for the results they would have to fit into 256 KiB, whatever the
            # state's Output makes of them (aws-cdk, #24799). Only "sent" and "left out" is kept,
            # no key.
            result_writer_v2=sfn.ResultWriterV2(
                bucket=self._output,
                prefix=Place.BACKFILL_RESULTS,
                writer_config=sfn.WriterConfig(
                    output_type=sfn.OutputType.JSONL, transformation=sfn.Transformation.COMPACT
                ),
            ),
            outputs="{% $states.input %}",
        )
        inside = Construct(self, f"Each{construct_id}")
        send = tasks.SqsSendMessage.jsonata(
            inside,
            "Send",
            state_name=f"SendOf{construct_id}",
            comment="What S3 would have sent",
            queue=self._queue,
            message_body=sfn.TaskInput.from_text(_MESSAGE),
            outputs="sent",
        )
        send.add_retry(
            errors=["States.TaskFailed"],
            interval=cdk.Duration.seconds(2),
            backoff_rate=2,
            max_attempts=6,
            max_delay=cdk.Duration.seconds(60),
            jitter_strategy=sfn.JitterType.FULL,
        )
        left_out = sfn.Pass.jsonata(
            inside, "LeftOut", state_name=f"LeftOutOf{construct_id}", outputs="left out"
        )
        bucket, prefix = json.dumps(self._images.bucket_name), json.dumps(self._image_prefix)
        is_image = sfn.Choice.jsonata(
            inside,
            "IsImage",
            state_name=f"IsImageOf{construct_id}",
            comment="Folder markers, delete markers and other people's objects are not",
        )
        is_image.when(
            sfn.Condition.jsonata(_IS_IMAGE % {"bucket": bucket, "prefix": prefix}), send
        ).otherwise(left_out)
        return each.item_processor(is_image)

    def _deliver_inventories(self) -> None:
        """Let S3 deliver inventories of the images bucket to where the state machine reads."""
        self._output.add_to_resource_policy(
            iam.PolicyStatement(
                sid="DeliverInventories",
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[self._output.arn_for_objects(f"{Place.INVENTORIES}*")],
                conditions={
                    "StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account},
                    "ArnLike": {"aws:SourceArn": self._images.bucket_arn},
                },
            )
        )

    def _state_machine(self, name: str, start: sfn.IChainable) -> sfn.StateMachine:
        machine = logged_machine(
            self,
            name=name,
            comment="Everything in the bucket through the queue, as if it were uploaded now",
            start=start,
            role=self._role(name),
            key=self._key,
            timeout=cdk.Duration.days(7),
        )
        # The CDK's own grants, which the role above does not take, but cdk-nag would read.
        machine.node.try_remove_child("DistributedMapPolicy")
        return machine

    def _role(self, name: str) -> iam.Role:
        """What a Distributed Map needs (AWS Step Functions Developer Guide, IAM policies)."""
        stack = cdk.Stack.of(self)
        # By their names, since the role comes before the state machine.
        machine, executions, *children = (
            stack.format_arn(
                service="states",
                resource=resource,
                resource_name=resource_name,
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for resource, resource_name in (
                ("stateMachine", name),
                ("execution", f"{name}:*"),
                *(("execution", f"{name}/{label}:*") for label in _LABELS),
            )
        )
        inventories = self._output.arn_for_objects(f"{Place.INVENTORIES}*")
        results = self._output.arn_for_objects(f"{Place.BACKFILL_RESULTS}*")
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description="Of the backfill's state machine",
        )
        for actions, resource in (
            (["s3:ListBucket"], self._images.bucket_arn),
            *((["states:RedriveExecution"], redriven) for redriven in children),
            (["s3:GetObject"], inventories),
            (["sqs:SendMessage"], self._queue.queue_arn),
            (["states:StartExecution"], machine),
            (["states:DescribeExecution", "states:StopExecution"], executions),
            (
                [
                    "s3:PutObject",
                    "s3:GetObject",
                    "s3:ListMultipartUploadParts",
                    "s3:AbortMultipartUpload",
                ],
                results,
            ),
            (list(LOG_AND_TRACE_ACTIONS), "*"),
            *(
                ((needed(["s3:PutObject", "sqs:SendMessage"]), self._key.key_arn),)
                if self._key
                else ()
            ),
        ):
            role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        output = stack.get_logical_id(self._output.node.default_child)  # type: ignore[arg-type] # an L2 bucket's child is its CfnBucket
        for rule, reason in (
            (
                f"<{output}.Arn>/{Place.INVENTORIES}*",
                "Any inventory that is delivered there: each has keys of its own.",
            ),
            (
                f"<{output}.Arn>/{Place.BACKFILL_RESULTS}*",
                "What came of each run is kept below it, in files that Step Functions names.",
            ),
            *(
                (
                    f"arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:{of}:*",
                    "Executions of the one state machine, and their children: their names are "
                    "not known before.",
                )
                for of in (name, *(f"{name}/{label}" for label in _LABELS))
            ),
            (
                "*",
                "Log delivery and X-Ray, which take no resource (AWS Step Functions Developer "
                "Guide, IAM policies for logging and for tracing).",
            ),
        ):
            acknowledge(role, rule=f"AwsSolutions-IAM5[Resource::{rule}]", reason=reason)
        return role
