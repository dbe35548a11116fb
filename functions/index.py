"""Index step: add the faces of one uploaded image to the collection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from functions.aws.buckets import ImagesBucket, OutputBucket
from functions.aws.clients import client
from functions.aws.collection import FaceCollection
from functions.aws.environment import from_environment
from functions.aws.register import FaceRegisters
from functions.matching.errors import ImageRejected, Reason, Unavailable
from functions.matching.images import UploadedImage
from functions.matching.rejection import require_usable
from functions.matching.settings import IndexSettings
from functions.matching.subjects import MainSubject, SeveralFaces, people_shown
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.matching.faces import IndexedFaces
    from functions.matching.register import Register

settings = from_environment(IndexSettings)
s3 = client("s3")
images = ImagesBucket(s3)
output = OutputBucket(s3, settings.output_bucket)
registers = FaceRegisters(s3, settings.output_bucket)
collection = FaceCollection(client("rekognition"), settings.collection_id)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Index the image; no face in it is an outcome, not an error."""
    image = UploadedImage.from_payload(event["image"])
    working_on(image)
    try:
        require_usable(image, settings.names_from)
        images.require_current(image)
        began = time.time()
        indexed = collection.index(
            image, max_faces=settings.max_faces, quality_filter=settings.quality_filter
        )
    except ImageRejected as rejected:
        if rejected.reason not in {Reason.GONE, Reason.SUPERSEDED}:
            release_what_it_overwrites(image)
        if rejected.reason is Reason.NOT_JPEG_OR_PNG and images.is_cut_off(image):
            raise ImageRejected(Reason.CUT_OFF, image.digest) from None
        raise
    register, new = join(image, indexed, began)
    if not new:
        require_still_current(image)
    release_older_versions(image, register)
    metrics.add_metric("FacesIndexed", MetricUnit.Count, len(indexed.faces))
    logger.info("indexed", faces=len(indexed.faces), unindexed=len(indexed.unindexed))
    if settings.several_faces is SeveralFaces.REJECT:
        require_one_person(image, indexed)
    return indexed.to_payload()


def join(image: UploadedImage, indexed: IndexedFaces, began: float) -> tuple[Register, bool]:
    """Enter the version's faces; first end a removal that was stopped in the middle, if there is.

    Returns
    -------
    tuple of Register and bool
        The key's register, and whether it is new: then nobody has removed or overwritten the image
        unseen, and whoever does later finds its faces.

    Raises
    ------
    Unavailable
        When faces of the key were leaving: the image has to be indexed again.
    """
    try:
        return registers.join(image, indexed, indexed_after=began)
    except Unavailable:
        registers.finish_leaving(image, collection)
        raise


def require_still_current(image: UploadedImage) -> None:
    """Take the version's faces back out if it was deleted or overwritten while it was indexed.

    Who did that may have been here before the faces were entered, and not have found them.
    """
    try:
        images.require_current(image)
    except ImageRejected:
        registers.forget(image, collection, leaving=lambda _: [image.digest])
        raise


def require_one_person(image: UploadedImage, indexed: IndexedFaces) -> None:
    """Take the version's faces back out if none of them must be the named person's.

    The version may have a report from a time when the setting was `largest`. It is deleted, too.
    If this function is stopped in between, the register keeps the faces marked as leaving. The next
    attempt finishes their removal, indexes the image again, and ends here once more.
    """
    if indexed.subject is MainSubject.LARGEST_OF_SEVERAL:
        faces = registers.forget(
            image,
            collection,
            leaving=lambda _: [image.digest],
            delete_records=output.delete_report,
        )
        metrics.add_metric("FacesRemoved", MetricUnit.Count, faces)
        raise ImageRejected(
            Reason.SEVERAL_PEOPLE, image.digest, people_shown(indexed.prominent_faces)
        )


def release_what_it_overwrites(image: UploadedImage) -> None:
    """Take out the faces of what was under the key before an image that can have none itself."""
    known = registers.read(image)
    if known.entries:
        images.require_current(image)
        release_older_versions(image, known)


def release_older_versions(image: UploadedImage, known: Register) -> None:
    """Take out what older versions of the key have put in, but for what this one has too.

    Parameters
    ----------
    known
        The register as it was before the image was seen to be the current version: what joined it
        later may be newer, and stays.
    """
    older = {
        digest
        for digest, entry in known.entries.items()
        if digest != image.digest and entry.face_ids
    }
    if older:
        faces = registers.take_faces_out(image, collection, digests=older)
        metrics.add_metric("FacesRemoved", MetricUnit.Count, faces)
