"""Notify step: tell of a match that reached the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from functions.aws.buckets import OutputBucket
from functions.aws.clients import client
from functions.aws.environment import from_environment
from functions.aws.topics import MatchesTopic
from functions.matching.faces import SearchResult
from functions.matching.failures import Lacking
from functions.matching.identity import Identity, identity_in
from functions.matching.images import UploadedImage
from functions.matching.notifications import notification
from functions.matching.reports import Verdict
from functions.matching.settings import NotifySettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

settings = from_environment(NotifySettings)
topic = MatchesTopic(client("sns"), settings.matches_topic_arn)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Publish one message for the execution, and remove the record of an attempt that failed."""
    image = UploadedImage.from_payload(event["image"])
    working_on(image)
    message_id = topic.publish(
        notification(
            image,
            identity_in(image.key, settings.names_from) or Identity(""),
            SearchResult.from_payload(event["search"]),
            Verdict.from_payload(event["report"]),
            execution_arn=event["execution_arn"],
        )
    )
    # The report step has removed what earlier executions left, so only a redrive can meet a record.
    # Nearly no notification is one, and a cold start pays for each client: it is made here.
    if event.get("redrive_count") != 0:
        output = OutputBucket(client("s3"), settings.output_bucket)
        output.delete_failure(image, Lacking.DELIVERY)
    metrics.add_metric("Notifications", MetricUnit.Count, 1)
    logger.info("notified", message_id=message_id)
    return {"message_id": message_id}
