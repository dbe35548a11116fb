"""Names of the stack's outputs: everything that the command line needs of a deployed stack."""

from __future__ import annotations

from enum import StrEnum


class Output(StrEnum):
    """An output of the stack, by its name in CloudFormation."""

    IMAGES_BUCKET = "ImagesBucket"
    IMAGE_PREFIX = "ImagePrefix"
    NAME_PATTERN = "NamePattern"
    MAX_FACES = "MaxFaces"
    STARTS_PER_SECOND = "StartsPerSecond"
    OUTPUT_BUCKET = "OutputBucket"
    STATE_MACHINE = "StateMachineArn"
    REMOVAL_STATE_MACHINE = "RemovalStateMachineArn"
    BACKFILL_STATE_MACHINE = "BackfillStateMachineArn"
    QUEUE = "QueueUrl"
    DEAD_LETTER_QUEUE = "DeadLetterQueueUrl"
    COLLECTION = "CollectionId"
    MATCHES_TOPIC = "MatchesTopicArn"
    FAILURES_TOPIC = "FailuresTopicArn"
    ALARM_TOPIC = "AlarmTopicArn"
    PACE_TABLE = "PaceTable"
    NOTIFY_THRESHOLD = "NotifyThresholdParameter"
    ANALYTICS_DATABASE = "AnalyticsDatabase"
    ANALYTICS_WORKGROUP = "AnalyticsWorkgroup"
    SETTINGS = "Settings"
