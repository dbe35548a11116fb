"""Starter: one execution for each uploaded object version, no faster than the pace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from functions.aws.buckets import ImagesBucket, OutputBucket
from functions.aws.clients import client
from functions.aws.collection import FaceCollection
from functions.aws.environment import from_environment
from functions.aws.events import MessageNotUnderstood, Origin, changed_objects
from functions.aws.executions import Executions
from functions.aws.start_slots import SharedStartSlots
from functions.matching.images import Removal
from functions.matching.pace import Occasion, Pace
from functions.matching.settings import FACES_COUNTED_EVERY, StarterSettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.aws.events import ObjectCreated

settings = from_environment(StarterSettings)
s3 = client("s3")
images = ImagesBucket(s3)
output = OutputBucket(s3, settings.output_bucket)
executions = Executions(client("stepfunctions"))
dynamodb = client("dynamodb")
slots = SharedStartSlots(dynamodb, settings.pace_table)
pace = Pace(settings.rate, slots, clock=time.time, sleep=time.sleep)
counts = SharedStartSlots(dynamodb, settings.pace_table, line="counts of faces")
counting_faces = Occasion(FACES_COUNTED_EVERY, counts, clock=time.time)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Start the executions of a batch; a message that fails, fails alone."""
    answer = process_partial_response(
        event=event, record_handler=start_executions, processor=processor, context=context
    )
    count_faces()
    return answer


def start_executions(record: SQSRecord) -> None:
    """Start an execution for each object that one message tells of, new or removed."""
    logger.set_correlation_id(None)  # the one before was another image
    try:
        for changed in changed_objects(
            record.body, bucket=settings.images_bucket, prefix=settings.image_prefix
        ):
            if isinstance(changed, Removal):
                start_removal(changed)
            else:
                start_matching(changed)
    except MessageNotUnderstood as error:
        metrics.add_metric("MessagesNotUnderstood", MetricUnit.Count, 1)
        logger.error(
            "message not understood; it ends as a dead letter: facematch replay --dead-letters",
            message_id=record.message_id,
            why=str(error),
        )
        raise
    except Exception as error:
        metrics.add_metric("StartsFailed", MetricUnit.Count, 1)
        logger.warning(
            "no execution started; the message will come again",
            message_id=record.message_id,
            error=type(error).__name__,
        )
        raise


def start_matching(created: ObjectCreated) -> None:
    """Start the execution of a new object version, wherever its message came from."""
    image = images.version(created.bucket, created.key, created.version_id) or created.as_gone()
    working_on(image)
    if created.origin is Origin.BACKFILL and output.has_report(image):
        metrics.add_metric("AlreadyReported", MetricUnit.Count, 1)
        logger.info("has a report already")
        return
    pace.wait()
    begin = executions.start_again if created.origin is Origin.AGAIN else executions.start
    count_start(started=begin(image, settings.state_machine_arn))


def start_removal(removal: Removal) -> None:
    """Start the execution that takes a removed object's faces and report out."""
    working_on(removal)
    pace.wait(settings.turns_of_a_removal)
    count_start(started=executions.start(removal, settings.removal_state_machine_arn))


def count_start(*, started: bool) -> None:
    """Count a start, or the event that came again."""
    metrics.add_metric("ExecutionsStarted" if started else "DuplicateEvents", MetricUnit.Count, 1)
    logger.info("execution started" if started else "has an execution already")


def count_faces() -> None:
    """Measure the collection's size, at most once an hour over all starters."""
    try:
        if counting_faces.is_now():
            # Made here, since hardly any instance of this function ever needs the client.
            collection = FaceCollection(client("rekognition"), settings.collection_id)
            metrics.add_metric("FacesInCollection", MetricUnit.Count, collection.size())
    except Exception as error:  # noqa: BLE001 - the photographs are started, and stay so
        logger.set_correlation_id(None)  # the one before was an image
        logger.warning(
            "the faces of the collection were not counted; the next count is due in an hour",
            error=type(error).__name__,
        )
