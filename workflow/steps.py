"""The functions of the state machines, each with the rights that it needs and no other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import aws_cdk as cdk

from functions.matching.places import Place
from functions.matching.subjects import SeveralFaces
from workflow.acknowledge import acknowledge
from workflow.function import MEMORY, Function, FunctionCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_rekognition as rekognition
    from aws_cdk import aws_s3 as s3
    from aws_cdk import aws_ssm as ssm
    from constructs import Construct

    from workflow.intake import Intake
    from workflow.settings import Settings
    from workflow.topics import Topics

_STEP_TIMEOUT = cdk.Duration.seconds(60)
#: MB of functions that are called seldom, and so are cold. A cold start is computing: twice the
#: memory takes half the time, for nearly the same price (docs/cold-start.md).
_MEMORY_WHEN_COLD = 512


@dataclass(frozen=True, kw_only=True)
class Steps:
    """One function for each step, with its role."""

    scope: Construct
    code: FunctionCode
    settings: Settings
    collection: rekognition.CfnCollection
    output: s3.Bucket
    threshold: ssm.StringParameter
    topics: Topics
    intake: Intake
    key: kms.IKey | None

    @cached_property
    def index(self) -> Function:
        """The step IndexFaces."""
        index = self._function(
            "Index",
            "index",
            "Adds the faces of one uploaded image to the collection",
            {
                "COLLECTION_ID": self.collection.collection_id,
                "OUTPUT_BUCKET": self.output.bucket_name,
                "MAX_FACES": str(self.settings.max_faces),
                "SEVERAL_FACES": self.settings.several_faces,
                "QUALITY_FILTER": self.settings.quality_filter,
                "NAMES_FROM": self.settings.names_pattern,
            },
        )
        # Rekognition reads the image with the rights of whoever calls IndexFaces.
        self.intake.grant_read_images(index)
        index.allow(
            "rekognition:IndexFaces", "rekognition:DeleteFaces", on=[self.collection.attr_arn]
        )
        self._allow_registers(index)
        if self.settings.several_faces == SeveralFaces.REJECT:
            allow_records(
                self.output,
                index,
                "s3:DeleteObject",
                Place.REPORTS,
                Place.MATCHES,
                Place.LOOK_ALIKES,
                Place.DELIVERY_FAILURES,
            )
        return index

    @cached_property
    def search(self) -> Function:
        """The step SearchFaces."""
        search = self._function(
            "Search",
            "search",
            "Finds an image's faces under other names",
            {
                "COLLECTION_ID": self.collection.collection_id,
                "SEARCH_THRESHOLD": exactly(self.settings.search_threshold),
                "MAX_MATCHES": str(self.settings.max_matches),
                "NAMES_FROM": self.settings.names_pattern,
            },
        )
        search.allow("rekognition:SearchFaces", on=[self.collection.attr_arn])
        self.intake.grant_read_images(search)
        return search

    @cached_property
    def report(self) -> Function:
        """The step WriteReport."""
        report = self._function(
            "Report",
            "report",
            "Writes an image's report and judges it by the notify threshold",
            {
                "OUTPUT_BUCKET": self.output.bucket_name,
                "SEARCH_THRESHOLD": exactly(self.settings.search_threshold),
                "NOTIFY_THRESHOLD_PARAMETER": self.threshold.parameter_name,
                "NAMES_FROM": self.settings.names_pattern,
            },
        )
        rows = (Place.MATCHES, Place.LOOK_ALIKES)
        allow_records(self.output, report, "s3:PutObject", Place.REPORTS, *rows)
        allow_records(
            self.output,
            report,
            "s3:DeleteObject",
            Place.REPORTS,
            *rows,
            Place.FAILURES,
            Place.DELIVERY_FAILURES,
        )
        allow_records(self.output, report, "s3:GetObject", Place.DECISIONS, Place.REGISTERS)
        report.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent
        report.allow("ssm:GetParameter", on=[self.threshold.parameter_arn])
        self.intake.grant_read_images(report, older_versions=False)
        return report

    @cached_property
    def notify(self) -> Function:
        """The step NotifyMatch."""
        notify = self._function(
            "Notify",
            "notify",
            "Tells of a match that passed the threshold",
            {
                "MATCHES_TOPIC_ARN": self.topics.matches.topic_arn,
                "OUTPUT_BUCKET": self.output.bucket_name,
                "NAMES_FROM": self.settings.names_pattern,
            },
            memory=_MEMORY_WHEN_COLD,
        )
        notify.allow("sns:Publish", on=[self.topics.matches.topic_arn])
        notify.allow("kms:Decrypt", "kms:GenerateDataKey", on=[self.topics.key.key_arn])
        allow_records(self.output, notify, "s3:DeleteObject", Place.DELIVERY_FAILURES)
        return notify

    @cached_property
    def removal(self) -> Function:
        """The step RemoveFaces."""
        removal = self._function(
            "Removal",
            "removal",
            "Takes the faces and the report of a removed image out",
            {
                "COLLECTION_ID": self.collection.collection_id,
                "OUTPUT_BUCKET": self.output.bucket_name,
            },
            memory=_MEMORY_WHEN_COLD,
        )
        self.intake.grant_read_images(removal, older_versions=False)
        removal.allow("rekognition:DeleteFaces", on=[self.collection.attr_arn])
        self._allow_registers(removal)
        allow_records(
            self.output,
            removal,
            "s3:DeleteObject",
            Place.REPORTS,
            Place.MATCHES,
            Place.LOOK_ALIKES,
            Place.FAILURES,
            Place.DELIVERY_FAILURES,
        )
        return removal

    @cached_property
    def failure(self) -> Function:
        """The step RecordFailure, which EventBridge calls, too."""
        failure = self._function(
            "Failure",
            "failure",
            "Records a version that lacks its outcome, or the notification of its match",
            {
                "OUTPUT_BUCKET": self.output.bucket_name,
                "NAMES_FROM": self.settings.names_pattern,
            },
            memory=_MEMORY_WHEN_COLD,
        )
        allow_records(self.output, failure, "s3:PutObject", Place.FAILURES, Place.DELIVERY_FAILURES)
        allow_records(
            self.output, failure, "s3:DeleteObject", Place.FAILURES, Place.DELIVERY_FAILURES
        )
        allow_records(self.output, failure, "s3:GetObject", Place.REPORTS)
        failure.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent
        for machine in (self.settings.stack_name, f"{self.settings.stack_name}-removal"):
            executions = cdk.Stack.of(self.output).format_arn(
                service="states",
                resource="execution",
                resource_name=f"{machine}:*",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            failure.allow("states:DescribeExecution", "states:GetExecutionHistory", on=[executions])
            acknowledge(
                failure.role,
                rule="AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:"
                f"<AWS::AccountId>:execution:{machine}:*]",
                reason="Any execution of the one state machine: their names are not known before.",
            )
        return failure

    def _function(
        self,
        construct_id: str,
        module: str,
        description: str,
        environment: Mapping[str, str],
        *,
        memory: int = MEMORY,
    ) -> Function:
        return Function(
            self.scope,
            construct_id,
            code=self.code,
            module=module,
            description=description,
            environment=environment,
            key=self.key,
            timeout=_STEP_TIMEOUT,
            memory=memory,
        )

    def _allow_registers(self, function: Function) -> None:
        """Let a function change the registers of the keys, by conditional writes."""
        allow_records(self.output, function, "s3:GetObject", Place.REGISTERS)
        allow_records(self.output, function, "s3:PutObject", Place.REGISTERS)
        function.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent


def allow_records(output: s3.Bucket, function: Function, action: str, *places: Place) -> None:
    """Let a function do one thing with the objects in these places of the output bucket."""
    function.allow(action, on=[output.arn_for_objects(f"{place}*") for place in places])
    bucket = cdk.Stack.of(output).get_logical_id(output.node.default_child)  # type: ignore[arg-type] # an L2 bucket's child is its CfnBucket
    for place in places:
        acknowledge(
            function.role,
            rule=f"AwsSolutions-IAM5[Resource::<{bucket}.Arn>/{place}*]",
            reason="Any record of this kind: each image has its own, named after its digest.",
        )


def exactly(number: float) -> str:
    """As text, with every digit that was given: 99.99996 is not 100."""
    return f"{number:.15g}"
