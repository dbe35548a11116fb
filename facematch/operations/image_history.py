"""An image's whole history, and how a deployment stands: gathered, not yet printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Unusable
from facematch.operations.matches import Present
from facematch.operations.no_photographs import no_photographs
from facematch.stack.executions import Executions
from facematch.stack.objects import Bucket
from facematch.stack.records import Records, digest_of
from functions.matching.keys import is_folder_marker
from functions.matching.places import Place

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment
    from facematch.stack.executions import Described, Step
    from functions.matching.images import UploadedImage


#: Objects of one base name that an error names.
_NAMED: Final = 10


@dataclass(slots=True)
class ImageHistory:
    """Everything about one object version.

    Attributes
    ----------
    executions
        Each attempt, the first one first.
    steps
        Of the newest attempt.
    seen_by_others
        Match rows of other images that found this one.
    never_starts
        Why no execution is started for the object; None when one is.
    """

    image: UploadedImage | None
    executions: list[Described]
    steps: list[Step]
    report: dict[str, Any] | None
    failure: dict[str, Any] | None
    delivery_failure: dict[str, Any] | None
    seen_by_others: list[dict[str, Any]]
    never_starts: str | None


def image_history(deployment: Deployment, name_or_key: str) -> ImageHistory:
    """Tell the history of an execution (name or ARN), or of a key's current version.

    Raises
    ------
    Unusable
        When there is no such execution and no such object.
    """
    executions = Executions(deployment)
    described = executions.described(executions.arn(name_or_key))
    if described:
        image = described.image
        version_name = image.execution_name if image else described.name
    else:
        image = _current_version(deployment, name_or_key)
        version_name = image.execution_name
    attempts = list(executions.attempts(version_name))
    newest = attempts[-1] if attempts else None
    records = Records(deployment)
    return ImageHistory(
        image=image,
        executions=attempts,
        steps=executions.steps(newest.arn) if newest else [],
        report=_record(records, Place.REPORTS, image),
        failure=_record(records, Place.FAILURES, image),
        delivery_failure=_record(records, Place.DELIVERY_FAILURES, image),
        seen_by_others=_seen_by_others(deployment, records, image) if image else [],
        never_starts=_why_never(image, deployment.image_prefix) if image else None,
    )


def _why_never(image: UploadedImage, prefix: str) -> str | None:
    if not image.key.startswith(prefix):
        return f"its key is not below {prefix}. To have it indexed, copy it there"
    if is_folder_marker(image.key, image.size):
        return "it is a folder marker, which a console makes to show an empty folder"
    return None


def _seen_by_others(
    deployment: Deployment, records: Records, image: UploadedImage
) -> list[dict[str, Any]]:
    """Match rows of other images that found this one, as far as both are in the bucket now."""
    rows = [
        row
        for row in records.read(list(records.keys(Place.MATCHES)))
        if row["matched_key"] == image.key
    ]
    bucket = Bucket.images(deployment)
    found = map(bucket.current_version, {image.key, *(row["key"] for row in rows)})
    current = {version.key: version for version in found if version}
    return list(Present(deployment, current).shown(rows))


def _current_version(deployment: Deployment, key: str) -> UploadedImage:
    bucket = Bucket.images(deployment)
    for candidate in (key, deployment.image_prefix + key):
        if image := bucket.current_version(candidate):
            return image
    named = [
        image
        for image in bucket.current(deployment.image_prefix)
        if PurePosixPath(image.key).name == key
    ]
    if len(named) == 1:
        return named[0]
    if named:
        keys = ", ".join(image.key for image in named[:_NAMED])
        more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
        raise Unusable(
            f"{len(named):,} objects have the base name {key!r}: {keys}{more}. "
            "Name one of these keys instead."
        )
    if empty := no_photographs(deployment):
        raise Unusable(empty)
    raise Unusable(
        f"There is no execution named {key!r}, and no object of that key "
        f"or base name in {bucket.name} now. Find executions by a part of their name: "
        + deployment.command("executions", "--name", "PART")
    )


def _record(records: Records, place: Place, image: UploadedImage | None) -> dict[str, Any] | None:
    if image is None:
        return None
    keys = [key for key in records.keys(place, image.day) if digest_of(key) == image.digest]
    return next(records.read(keys), None)
