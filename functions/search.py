"""Search step: find the image's faces under other names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

import functions.matching.names  # noqa: F401 - loaded while the function starts
from functions.aws.buckets import ImagesBucket
from functions.aws.clients import client
from functions.aws.collection import FaceCollection, FaceNotFound
from functions.aws.environment import from_environment
from functions.matching.errors import Unavailable
from functions.matching.faces import IndexedFaces
from functions.matching.images import UploadedImage, timestamp
from functions.matching.matches import evidence_among
from functions.matching.settings import SearchSettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.matching.faces import LookAlikes

settings = from_environment(SearchSettings)
images = ImagesBucket(client("s3"))
collection = FaceCollection(client("rekognition"), settings.collection_id)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Search for every indexed face and keep what is evidence."""
    image = UploadedImage.from_payload(event["image"])
    working_on(image)
    indexed = IndexedFaces.from_payload(event["index"])
    searched = evidence_among(
        look_alikes(image, indexed),
        own_key=image.key,
        names_from=settings.names_from,
        max_matches=settings.max_matches,
        searched_at=timestamp(datetime.now(UTC)),
    )
    metrics.add_metric("MatchesFound", MetricUnit.Count, len(searched.matches))
    logger.info(
        "searched",
        matches=len(searched.matches),
        left_out=searched.left_out,
        same_name=searched.same_name,
        best_similarity=searched.best_similarity,
    )
    return searched.to_payload()


def look_alikes(image: UploadedImage, indexed: IndexedFaces) -> dict[str, LookAlikes]:
    """Of each indexed face, by its id.

    Raises
    ------
    ImageRejected
        When a face is not there any more, because the image was deleted or overwritten.
    Unavailable
        When a face is not there yet.
    """
    try:
        return {
            face.face_id: collection.look_alikes(
                face.face_id, search_threshold=settings.search_threshold
            )
            for face in indexed.faces
        }
    except FaceNotFound as error:
        images.require_current(image)
        raise Unavailable(str(error)) from None
