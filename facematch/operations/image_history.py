"""An image's whole history, and how a deployment stands: gathered, not yet printed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from facematch.errors import Unusable
from facematch.operations.no_photographs import no_photographs
from facematch.operations.query import literal
from facematch.stack import athena
from facematch.stack.athena import QueryFailed
from facematch.stack.deployment import PARALLEL
from facematch.stack.executions import Executions
from facematch.stack.objects import Bucket
from facematch.stack.records import Records
from functions.matching.images import COPY_SIMILARITY
from functions.matching.keys import is_folder_marker
from functions.matching.places import Place
from functions.matching.reports import record_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facematch.stack.deployment import Deployment
    from facematch.stack.executions import Described, Step
    from functions.matching.images import UploadedImage


#: Objects of one base name that an error names.
_NAMED: Final = 10
#: Other photographs that S3 is asked about, the most similar ones: one request for each.
_LOOKED_UP: Final = 10
#: Match rows that are read: with their header, what Athena answers at once (Amazon Athena API
#: Reference, GetQueryResults).
_ROWS: Final = 999


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
        Match rows of other images that found this one, with `same_file` in each, best first.
    not_looked_up
        How many less similar photographs may have found this one, too.
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
    not_looked_up: int
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
    report, failure, delivery_failure = _records(records, image)
    not_asked = None
    others = Others([], [], 0)
    if image:
        try:
            rows = _found_by(deployment, records, image)
        except (QueryFailed, Unusable) as error:
            rows, not_asked = [], str(error)
        others = _others(deployment, image, rows, report)
    return ImageHistory(
        image=image,
        executions=attempts,
        steps=executions.steps(newest.arn) if newest else [],
        report=report,
        failure=failure,
        delivery_failure=delivery_failure,
        seen_by_others=others.rows,
        not_looked_up=others.not_looked_up,
        same_files=others.same_files,
        not_asked=not_asked,
        never_starts=_why_never(image, deployment.image_prefix) if image else None,
    )


def _why_never(image: UploadedImage, prefix: str) -> str | None:
    if not image.key.startswith(prefix):
        return f"its key is not below {prefix}. To have it indexed, copy it there"
    if is_folder_marker(image.key, image.size):
        return "it is a folder marker, which a console makes to show an empty folder"
    return None


class Others(NamedTuple):
    """What the other photographs are to one, as `ImageHistory` has it."""

    rows: list[dict[str, Any]]
    same_files: list[str]
    not_looked_up: int


def _others(
    deployment: Deployment,
    image: UploadedImage,
    rows: list[dict[str, Any]],
    report: dict[str, Any] | None,
) -> Others:
    """Keep what is true of the photographs that are in the bucket now.

    A row is evidence if it is about the newest version of the other photograph, and this one is not
    newer than that search.
    """
    matches = [match for face in (report or {"faces": []})["faces"] for match in face["matches"]]
    copies = [match for match in matches if match["similarity"] >= COPY_SIMILARITY]
    best_first = sorted(
        [(row["similarity"], row["key"]) for row in rows]
        + [(match["similarity"], match["key"]) for match in copies],
        reverse=True,
    )
    keys = list(dict.fromkeys(key for _, key in best_first))
    current = _current_versions(deployment, keys[:_LOOKED_UP])
    same = {key for key, other in current.items() if image.is_same_file_as(other)}
    return Others(
        [
            {**row, "same_file": row["key"] in same}
            for row in rows
            if row["key"] in current
            and current[row["key"]].version_id == row["version_id"]
            and image.last_modified <= datetime.fromisoformat(row["searched_at"])
        ],
        sorted(same & {match["key"] for match in copies}),
        len({row["key"] for row in rows} - set(keys[:_LOOKED_UP])),
    )


def _current_versions(deployment: Deployment, keys: Iterable[str]) -> dict[str, UploadedImage]:
    bucket = Bucket.images(deployment)
    with ThreadPoolExecutor(PARALLEL) as pool:
        return {found.key: found for found in pool.map(bucket.current_version, keys) if found}


def _found_by(
    deployment: Deployment, records: Records, image: UploadedImage
) -> list[dict[str, Any]]:
    """Return the match rows that name the image, if it is the current version, best first.

    Athena remembers a query and its parameters for 45 days, so it is asked for the faces, whose ids
    name nobody. A row knows the face that was found, and not the version. The key's register knows
    the faces of each version. A key from a time without registers has none, and Athena is asked for
    the key.

    Raises
    ------
    QueryFailed, Unusable
        When Athena cannot be asked.
    """
    if not Bucket.images(deployment).is_current(image):
        return []
    entries = records.register(image).entries
    entry = entries.get(image.digest)
    faces = sorted(entry.face_ids) if entry and not entry.leaving else []
    column, wanted = ("matched_face_id", faces) if entries else ("matched_key", [image.key])
    if not wanted:
        return []
    places = ", ".join("?" for _ in wanted)
    found = athena.run(
        deployment,
        f"SELECT * FROM matches WHERE {column} IN ({places})"  # noqa: S608 - no value is in it
        f" ORDER BY similarity DESC, key LIMIT {_ROWS}",
        [literal("varchar", each) for each in wanted],
    )
    return [row for row in found.by_column() if row["matched_key"] == image.key]


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


def _records(records: Records, image: UploadedImage | None) -> list[dict[str, Any] | None]:
    """Read the report, the failure and the failed delivery of a version, as far as there are."""
    places = (Place.REPORTS, Place.FAILURES, Place.DELIVERY_FAILURES)
    if image is None:
        return [None for _ in places]
    keys = (record_key(place, image.day, image.digest) for place in places)
    return [next(iter(record.lines), None) for record in records.read_each(keys)]
