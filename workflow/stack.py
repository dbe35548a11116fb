"""The stack: composes the constructs and grants, and reads like the picture of the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_rekognition as rekognition
from aws_cdk import aws_ssm as ssm

from workflow.acknowledge import acknowledge
from workflow.alarms import Alarms
from workflow.analytics import Analytics
from workflow.backfill import Backfill
from workflow.bucket import data_bucket, removal_policy
from workflow.dashboard import OperatorsDashboard
from workflow.encryption import data_key
from workflow.failures import Failures
from workflow.function import MEMORY, Function, FunctionCode
from workflow.intake import Intake
from workflow.matching import Matching
from workflow.outputs import Output
from workflow.removal import Removals
from workflow.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from workflow.settings import Settings

_STEP_TIMEOUT = cdk.Duration.seconds(60)
#: MB of functions that are called seldom, and so are cold. A cold start is computing: twice the
#: memory takes half the time, for nearly the same price (docs/cold-start.md).
_MEMORY_WHEN_COLD = 512


class FaceMatchingStack(cdk.Stack):
    """Images bucket → queue → starter → state machine → reports and notifications."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=settings.stack_name,
            description="Finds the same person under different names in photographs",
        )
        self._settings = settings
        self._code = FunctionCode(self, "Code")

        self.collection = self._collection()
        self.threshold = self._notify_threshold()
        self._key = data_key(self, settings)
        self.output = data_bucket(
            self, "Output", key=self._key, retain_data=settings.retain_data, versioned=False
        )
        for kind, days in (
            ("reports", settings.report_expiration_days),
            ("matches", settings.report_expiration_days),
            ("delivery_failures", settings.report_expiration_days),
            ("failures", settings.failure_expiration_days),
        ):
            if days:
                self.output.add_lifecycle_rule(
                    id=kind.title(), prefix=f"{kind}/", expiration=cdk.Duration.days(days)
                )
        self.topics = Topics(
            self,
            "Topics",
            key=self._key,
            notification_email=settings.notification_email,
            alarm_email=settings.alarm_email,
        )
        self.intake = Intake(self, "Intake", code=self._code, settings=settings, key=self._key)

        index, search, report = self._index(), self._search(), self._report()
        notify, failure, removal = self._notify(), self._failure(), self._removal()
        self.matching = Matching(
            self,
            "Matching",
            name=settings.stack_name,
            index=index,
            search=search,
            report=report,
            notify=notify,
            failure=failure,
            settle_seconds=settings.settle_seconds,
            traced_percent=settings.traced_percent,
            key=self._key,
        )
        self.removals = Removals(
            self,
            "Removals",
            name=f"{settings.stack_name}-removal",
            removal=removal,
            key=self._key,
        )
        self.intake.start(
            matching=self.matching.state_machine, removals=self.removals.state_machine
        )
        self._skip_reported()
        self.backfill = Backfill(
            self,
            "Backfill",
            name=f"{settings.stack_name}-backfill",
            images=self.intake.images,
            image_prefix=settings.image_prefix,
            output=self.output,
            queue=self.intake.queue,
            key=self._key,
        )
        self.failures = Failures(
            self,
            "Failures",
            state_machines=[self.matching.state_machine, self.removals.state_machine],
            failure=failure,
            topic=self.topics.failures,
            key=self._key,
        )
        functions = [self.intake.starter, index, search, report, notify, failure, removal]
        self.alarms = Alarms(
            self,
            "Alarms",
            topic=self.topics.alarms,
            intake=self.intake,
            state_machine=self.matching.state_machine,
            failures=self.failures,
            failure=failure,
            functions=functions,
            matches=self.topics.matches,
        )
        self.dashboard = OperatorsDashboard(
            self,
            "Dashboard",
            intake=self.intake,
            state_machine=self.matching.state_machine,
            failures=self.failures,
            functions={function.module: function for function in functions},
            alarms=self.alarms,
        )
        self.analytics = Analytics(
            self,
            "Analytics",
            stack_name=settings.stack_name,
            output=self.output,
            key=self._key,
        )
        self._outputs()

    def _skip_reported(self) -> None:
        """Let the starter see which versions have a report: a backfill skips them."""
        starter = self.intake.starter
        starter.function.add_environment("OUTPUT_BUCKET", self.output.bucket_name)
        self._allow_records(starter, "s3:GetObject", "reports")
        starter.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent

    def _index(self) -> Function:
        index = self._function(
            "Index",
            "index",
            "Adds the faces of one uploaded image to the collection",
            {
                "COLLECTION_ID": self.collection.collection_id,
                "OUTPUT_BUCKET": self.output.bucket_name,
                "MAX_FACES": str(self._settings.max_faces),
                "QUALITY_FILTER": self._settings.quality_filter,
                "NAME_PATTERN": self._settings.name_pattern,
            },
        )
        # Rekognition reads the image with the rights of whoever calls IndexFaces.
        self.intake.grant_read_images(index)
        index.allow(
            "rekognition:IndexFaces", "rekognition:DeleteFaces", on=[self.collection.attr_arn]
        )
        self._allow_registers(index)
        return index

    def _search(self) -> Function:
        search = self._function(
            "Search",
            "search",
            "Finds an image's faces under other names",
            {
                "COLLECTION_ID": self.collection.collection_id,
                "SEARCH_THRESHOLD": _exactly(self._settings.search_threshold),
                "MAX_MATCHES": str(self._settings.max_matches),
                "NAME_PATTERN": self._settings.name_pattern,
            },
        )
        search.allow("rekognition:SearchFaces", on=[self.collection.attr_arn])
        self.intake.grant_read_images(search)
        return search

    def _report(self) -> Function:
        report = self._function(
            "Report",
            "report",
            "Writes an image's report and judges it by the notify threshold",
            {
                "OUTPUT_BUCKET": self.output.bucket_name,
                "SEARCH_THRESHOLD": _exactly(self._settings.search_threshold),
                "NOTIFY_THRESHOLD_PARAMETER": self.threshold.parameter_name,
                "NAME_PATTERN": self._settings.name_pattern,
            },
        )
        self._allow_records(report, "s3:PutObject", "reports", "matches")
        self._allow_records(
            report, "s3:DeleteObject", "reports", "matches", "failures", "delivery_failures"
        )
        self._allow_records(report, "s3:GetObject", "decisions")
        report.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent
        report.allow("ssm:GetParameter", on=[self.threshold.parameter_arn])
        self.intake.grant_read_images(report, older_versions=False)
        return report

    def _notify(self) -> Function:
        notify = self._function(
            "Notify",
            "notify",
            "Tells of a match that passed the threshold",
            {
                "MATCHES_TOPIC_ARN": self.topics.matches.topic_arn,
                "OUTPUT_BUCKET": self.output.bucket_name,
                "NAME_PATTERN": self._settings.name_pattern,
            },
            memory=_MEMORY_WHEN_COLD,
        )
        notify.allow("sns:Publish", on=[self.topics.matches.topic_arn])
        notify.allow("kms:Decrypt", "kms:GenerateDataKey", on=[self.topics.key.key_arn])
        self._allow_records(notify, "s3:DeleteObject", "delivery_failures")
        return notify

    def _removal(self) -> Function:
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
        self._allow_records(
            removal, "s3:DeleteObject", "reports", "matches", "failures", "delivery_failures"
        )
        return removal

    def _failure(self) -> Function:
        failure = self._function(
            "Failure",
            "failure",
            "Records a version that lacks its outcome, or the notification of its match",
            {
                "OUTPUT_BUCKET": self.output.bucket_name,
                "NAME_PATTERN": self._settings.name_pattern,
            },
            memory=_MEMORY_WHEN_COLD,
        )
        self._allow_records(failure, "s3:PutObject", "failures", "delivery_failures")
        self._allow_records(failure, "s3:DeleteObject", "failures", "delivery_failures")
        self._allow_records(failure, "s3:GetObject", "reports")
        failure.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent
        for machine in (self._settings.stack_name, f"{self._settings.stack_name}-removal"):
            executions = self.format_arn(
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
            self,
            construct_id,
            code=self._code,
            module=module,
            description=description,
            environment=environment,
            key=self._key,
            timeout=_STEP_TIMEOUT,
            memory=memory,
        )

    def _allow_registers(self, function: Function) -> None:
        """Let a function change the registers of the keys, by conditional writes."""
        self._allow_records(function, "s3:GetObject", "indexed")
        self._allow_records(function, "s3:PutObject", "indexed")
        function.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent

    def _allow_records(self, function: Function, action: str, *kinds: str) -> None:
        function.allow(action, on=[self.output.arn_for_objects(f"{kind}/*") for kind in kinds])
        bucket = self.get_logical_id(self.output.node.default_child)  # type: ignore[arg-type] # an L2 bucket's child is its CfnBucket
        for kind in kinds:
            acknowledge(
                function.role,
                rule=f"AwsSolutions-IAM5[Resource::<{bucket}.Arn>/{kind}/*]",
                reason="Any record of this kind: each image has its own, named after its digest.",
            )

    def _collection(self) -> rekognition.CfnCollection:
        """The face collection; its id carries the stack's id, so no retained one is in the way."""
        unique = cdk.Fn.select(2, cdk.Fn.split("/", self.stack_id))
        collection = rekognition.CfnCollection(
            self, "Collection", collection_id=f"{self._settings.stack_name}-{unique}"
        )
        collection.apply_removal_policy(removal_policy(retain_data=self._settings.retain_data))
        return collection

    def _notify_threshold(self) -> ssm.StringParameter:
        return ssm.StringParameter(
            self,
            "NotifyThreshold",
            parameter_name=f"/{self._settings.stack_name}/notify-threshold",
            string_value=_exactly(self._settings.notify_threshold),
            allowed_pattern=r"^([1-9][0-9]?(\.[0-9]+)?|100(\.0+)?)$",
            description="Lowest similarity, in %, that notifies. Not 0.99, but 99.",
        )

    def _outputs(self) -> None:
        """Everything that the command line needs of a deployed stack."""
        outputs = {
            Output.IMAGES_BUCKET: self.intake.images.bucket_name,
            Output.IMAGE_PREFIX: self._settings.image_prefix or "/",
            Output.NAME_PATTERN: self._settings.name_pattern,
            Output.MAX_FACES: str(self._settings.max_faces),
            Output.STARTS_PER_SECOND: f"{self._settings.starts_per_second or 'auto'}",
            Output.OUTPUT_BUCKET: self.output.bucket_name,
            Output.STATE_MACHINE: self.matching.state_machine.state_machine_arn,
            Output.REMOVAL_STATE_MACHINE: self.removals.state_machine.state_machine_arn,
            Output.BACKFILL_STATE_MACHINE: self.backfill.state_machine.state_machine_arn,
            Output.QUEUE: self.intake.queue.queue_url,
            Output.DEAD_LETTER_QUEUE: self.intake.dead_letters.queue_url,
            Output.COLLECTION: self.collection.collection_id,
            Output.MATCHES_TOPIC: self.topics.matches.topic_arn,
            Output.FAILURES_TOPIC: self.topics.failures.topic_arn,
            Output.ALARM_TOPIC: self.topics.alarms.topic_arn,
            Output.PACE_TABLE: self.intake.pace.table_name,
            Output.NOTIFY_THRESHOLD: self.threshold.parameter_name,
            Output.ANALYTICS_DATABASE: self.analytics.database.ref,
            Output.ANALYTICS_WORKGROUP: self.analytics.workgroup.ref,
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value)


def _exactly(number: float) -> str:
    """As text, with every digit that was given: 99.99996 is not 100."""
    return f"{number:.15g}"
