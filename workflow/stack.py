"""The stack: composes the constructs and grants, and reads like the picture of the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_rekognition as rekognition
from aws_cdk import aws_ssm as ssm

from functions.matching.places import Place
from functions.matching.settings import SIMILARITY_PATTERN
from workflow.alarms import Alarms
from workflow.analytics import Analytics
from workflow.backfill import Backfill
from workflow.bucket import data_bucket, removal_policy
from workflow.changes import recorded_text
from workflow.dashboard import OperatorsDashboard
from workflow.encryption import data_key
from workflow.failures import Failures
from workflow.function import FunctionCode
from workflow.intake import Intake
from workflow.matching import Matching
from workflow.outputs import Output
from workflow.removal import Removals
from workflow.steps import Steps, allow_records, exactly
from workflow.topics import Topics

if TYPE_CHECKING:
    from constructs import Construct

    from workflow.settings import Settings


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
        self._code = FunctionCode(self, "Code", powertools_version=settings.powertools_version)

        self.collection = self._collection()
        self.threshold = self._notify_threshold()
        self._key = data_key(self, settings)
        self.output = data_bucket(
            self, "Output", key=self._key, retain_data=settings.retain_data, versioned=False
        )
        for place, days in (
            (Place.REPORTS, settings.report_expiration_days),
            (Place.MATCHES, settings.report_expiration_days),
            (Place.LOOK_ALIKES, settings.report_expiration_days),
            (Place.DELIVERY_FAILURES, settings.report_expiration_days),
            (Place.FAILURES, settings.failure_expiration_days),
        ):
            if days:
                self.output.add_lifecycle_rule(
                    id=place.kind.title(), prefix=place, expiration=cdk.Duration.days(days)
                )
        self.topics = Topics(
            self,
            "Topics",
            key=self._key,
            notification_email=settings.notification_email,
            mailed_relations=settings.mailed_relations,
            alarm_email=settings.alarm_email,
        )
        self.intake = Intake(self, "Intake", code=self._code, settings=settings, key=self._key)

        self.steps = steps = Steps(
            scope=self,
            code=self._code,
            settings=settings,
            collection=self.collection,
            output=self.output,
            threshold=self.threshold,
            topics=self.topics,
            intake=self.intake,
            key=self._key,
        )
        self.matching = Matching(
            self,
            "Matching",
            name=settings.stack_name,
            steps=steps,
            settle_seconds=settings.settle_seconds,
            traced_percent=settings.traced_percent,
            key=self._key,
        )
        self.removals = Removals(
            self,
            "Removals",
            name=f"{settings.stack_name}-removal",
            removal=steps.removal,
            key=self._key,
        )
        self.intake.start(
            matching=self.matching.state_machine, removals=self.removals.state_machine
        )
        self._skip_reported()
        self._count_faces()
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
            failure=steps.failure,
            topic=self.topics.failures,
            key=self._key,
        )
        functions = [
            self.intake.starter,
            *(steps.index, steps.search, steps.report),
            *(steps.notify, steps.failure, steps.removal),
        ]
        self.alarms = Alarms(
            self,
            "Alarms",
            topic=self.topics.alarms,
            intake=self.intake,
            state_machine=self.matching.state_machine,
            failures=self.failures,
            failure=steps.failure,
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
            records_since=settings.records_since,
        )
        self._outputs()

    def _skip_reported(self) -> None:
        """Let the starter see which versions have a report: a backfill skips them."""
        starter = self.intake.starter
        starter.function.add_environment("OUTPUT_BUCKET", self.output.bucket_name)
        allow_records(self.output, starter, "s3:GetObject", Place.REPORTS)
        starter.allow("s3:ListBucket", on=[self.output.bucket_arn])  # 404, not 403, if absent

    def _count_faces(self) -> None:
        """Let the starter see how full the collection is."""
        starter = self.intake.starter
        starter.function.add_environment("COLLECTION_ID", self.collection.collection_id)
        starter.allow("rekognition:DescribeCollection", on=[self.collection.attr_arn])

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
            string_value=exactly(self._settings.notify_threshold),
            allowed_pattern=SIMILARITY_PATTERN,
            description="Lowest similarity, in %, that notifies. Not 0.99, but 99.",
        )

    def _outputs(self) -> None:
        """Everything that the command line needs of a deployed stack."""
        outputs = {
            Output.IMAGES_BUCKET: self.intake.images.bucket_name,
            Output.IMAGE_PREFIX: self._settings.image_prefix or "/",
            Output.NAME_PATTERN: self._settings.names_pattern,
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
            Output.SETTINGS: recorded_text(self._settings),
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value)
