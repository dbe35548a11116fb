"""Removal step: an image left the bucket, so its faces and its records leave too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from functions.aws.buckets import ImagesBucket, OutputBucket
from functions.aws.clients import client
from functions.aws.collection import FaceCollection
from functions.aws.environment import from_environment
from functions.aws.register import FaceRegisters
from functions.matching.images import Removal
from functions.matching.settings import RemovalSettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.matching.register import Register

settings = from_environment(RemovalSettings)
s3 = client("s3")
images = ImagesBucket(s3)
output = OutputBucket(s3, settings.output_bucket)
registers = FaceRegisters(s3, settings.output_bucket)
collection = FaceCollection(client("rekognition"), settings.collection_id)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Take out what is not in the bucket any more; what is there again stays."""
    removal = Removal.from_payload(event["removal"])
    working_on(removal)
    current = images.version(removal.bucket, removal.key, None)

    def leaving(register: Register) -> Iterable[str]:
        if current is None:
            return register.entries
        return {removal.removed_digest} & register.entries.keys() - {current.digest}

    faces = registers.forget(
        removal, collection, leaving=leaving, delete_records=output.delete_report
    )
    output.delete_failure(removal)
    metrics.add_metric("FacesRemoved", MetricUnit.Count, faces)
    logger.info("removed", faces=faces, still_there=current is not None)
    return {"faces_removed": faces}
