"""Index step: add the faces of one uploaded image to the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from functions.aws.buckets import ImagesBucket
from functions.aws.clients import client
from functions.aws.collection import FaceCollection
from functions.matching.images import UploadedImage
from functions.matching.rejection import insist_on_usable
from functions.matching.settings import IndexSettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

settings = IndexSettings.from_environment()
images = ImagesBucket(client("s3"))
collection = FaceCollection(client("rekognition"), settings.collection_id)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Index the image; no face in it is an outcome, not an error."""
    image = UploadedImage.from_payload(event["image"])
    working_on(image)
    insist_on_usable(image, settings.name_pattern)
    images.insist_on_current(image)
    indexed = collection.index(
        image, max_faces=settings.max_faces, quality_filter=settings.quality_filter
    )
    metrics.add_metric("FacesIndexed", MetricUnit.Count, len(indexed.faces))
    logger.info("indexed", faces=len(indexed.faces), unindexed=len(indexed.unindexed))
    return indexed.to_payload()
