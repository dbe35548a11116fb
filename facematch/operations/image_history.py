"""An image's whole history, and how a deployment stands: gathered, not yet printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Unusable
from facematch.operations.matches import Present
from facematch.operations.no_photographs import no_photographs
from facematch.operations.query import literal
from facematch.stack import athena
from facematch.stack.athena import QueryFailed
from facematch.stack.executions import Executions
from facematch.stack.objects import Bucket
from facematch.stack.records import Records
from functions.matching.images import COPY_SIMILARITY
from functions.matching.keys import is_folder_marker
from functions.matching.places import Place
from functions.matching.reports import record_key

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
        Match rows of other images that found this one, with `same_file` in each.
    same_files
        Keys of photographs that the report lists and that are the same file now, byte for byte.
    not_asked
        Why `seen_by_others` is not known; None when it is.
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
    same_files: list[str]
    not_asked: str | None
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
    not_asked, seen_by_others = None, list[dict[str, Any]]()
    try:
        seen_by_others = _seen_by_others(deployment, records, image) if image else []
    except (QueryFailed, Unusable) as error:
        not_asked = str(error)
    report = _record(records, Place.REPORTS, image)
    return ImageHistory(
        image=image,
        executions=attempts,
        steps=executions.steps(newest.arn) if newest else [],
        report=report,
        failure=_record(records, Place.FAILURES, image),
        delivery_failure=_record(records, Place.DELIVERY_FAILURES, image),
        seen_by_others=seen_by_others,
        same_files=_same_files(deployment, image, report) if image and report else [],
        not_asked=not_asked,
        never_starts=_why_never(image, deployment.image_prefix) if image else None,
    )


def _why_never(image: UploadedImage, prefix: str) -> str | None:
    if not image.key.startswith(prefix):
        return f"its key is not below {prefix}. To have it indexed, copy it there"
    if is_folder_marker(image.key, image.size):
        return "it is a folder marker, which a console makes to show an empty folder"
    return None


def _same_files(deployment: Deployment, image: UploadedImage, report: dict[str, Any]) -> list[str]:
    matches = [match for face in report["faces"] for match in face["matches"]]
    keys = {match["key"] for match in matches if match["similarity"] >= COPY_SIMILARITY}
    others = map(Bucket.images(deployment).current_version, sorted(keys))
    return [other.key for other in others if other and image.is_same_file_as(other)]


def _seen_by_others(
    deployment: Deployment, records: Records, image: UploadedImage
) -> list[dict[str, Any]]:
    """Return match rows of other images that found this one, as far as both are in the bucket now.

    Athena knows in which records these rows are, and only those are read. It remembers a query and
    its parameters for 45 days, so it is asked for the faces, whose ids name nobody.

    Raises
    ------
    QueryFailed, Unusable
        When Athena cannot be asked.
    """
    bucket = Bucket.images(deployment)
    current = bucket.current_version(image.key)
    if current is None:
        return []
    present = Present(deployment, {image.key: current})
    faces = present.faces(image.key)
    column, wanted = (
        ("matched_key", [image.key]) if faces is None else ("matched_face_id", sorted(faces))
    )
    if not wanted:
        return []
    places = ", ".join("?" for _ in wanted)
    found = athena.run(
        deployment,
        f"SELECT DISTINCT dt, digest FROM matches WHERE {column} IN ({places})",  # noqa: S608 - no value is in it
        [literal("varchar", each) for each in wanted],
    )
    keys = sorted(record_key(Place.MATCHES, str(dt), str(digest)) for dt, digest in found.rows)
    rows = [row for row in records.read(keys) if row["matched_key"] == image.key]
    others = map(bucket.current_version, {row["key"] for row in rows})
    present.current.update({other.key: other for other in others if other})
    return list(present.shown(rows))


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
    return next(records.read([record_key(place, image.day, image.digest)]), None)
