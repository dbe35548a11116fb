"""Report step: write what was found, and judge it by the notify threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from functions.aws.buckets import OutputBucket
from functions.aws.clients import client
from functions.aws.parameters import NotifyThreshold
from functions.matching.faces import IndexedFaces, SearchResult
from functions.matching.images import UploadedImage
from functions.matching.keys import name_in
from functions.matching.reports import Outcome, Verdict, report
from functions.matching.settings import ReportSettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

settings = ReportSettings.from_environment()
output = OutputBucket(client("s3"), settings.output_bucket)
threshold = NotifyThreshold(
    client("ssm"),
    settings.notify_threshold_parameter,
    search_threshold=settings.search_threshold,
)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Write the report and its match rows; return what the Choice needs."""
    image = UploadedImage.from_payload(event["image"])
    working_on(image)
    written = report(
        image,
        IndexedFaces.from_payload(event["index"]),
        SearchResult.from_payload(event["search"]),
        name=name_in(image.key, settings.name_pattern) or "",
        search_threshold=settings.search_threshold,
        notify_threshold=threshold.value(),
        execution_arn=event["execution_arn"],
    )
    key = output.write_report(image, written)
    verdict = Verdict(
        status=Outcome(written["status"]),
        best_similarity=written["best_similarity"],
        notify_threshold=written["notify_threshold"],
        notified=written["notified"],
        report_bucket=output.name,
        report_key=key,
    )
    metrics.add_metric(f"Outcome{verdict.status.title().replace('_', '')}", MetricUnit.Count, 1)
    logger.info("reported", status=verdict.status, notified=verdict.notified)
    return verdict.to_payload()
