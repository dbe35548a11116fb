"""Report step: write what was found, and judge it by the notify threshold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from functions.aws.buckets import ImagesBucket, OutputBucket
from functions.aws.clients import client
from functions.aws.environment import from_environment
from functions.aws.parameters import NotifyThreshold
from functions.aws.register import FaceRegisters
from functions.matching.decisions import REOPENED_LIMIT, judgement, records_digest
from functions.matching.errors import ImageRejected, Reason
from functions.matching.faces import IndexedFaces, SearchResult
from functions.matching.identity import Identity, identity_in
from functions.matching.images import COPY_SIMILARITY, UploadedImage, is_first_attempt
from functions.matching.matches import each_first
from functions.matching.notifications import PAIRS_LIMIT, passing_matches
from functions.matching.reports import Outcome, Verdict, look_alike_rows, passes, report
from functions.matching.settings import ReportSettings
from functions.observability import logger, metrics, working_on

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.matching.faces import Match
    from functions.matching.register import KnownVersion

settings = from_environment(ReportSettings)
s3 = client("s3")
images = ImagesBucket(s3)
output = OutputBucket(s3, settings.output_bucket)
registers = FaceRegisters(s3, settings.output_bucket)
threshold = NotifyThreshold(
    client("ssm"),
    settings.notify_threshold_parameter,
    search_threshold=settings.search_threshold,
)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Write the report and the rows beside it; return what the Choice needs."""
    image = UploadedImage.from_payload(event["image"])
    working_on(image)
    # The index step has rejected keys without a name.
    own = identity_in(image.key, settings.names_from) or Identity("")
    searched = SearchResult.from_payload(event["search"])
    notify_threshold = threshold.value()
    notifying = [m for m in searched.matches if passes(m.similarity, notify_threshold)]
    others = dict.fromkeys(match.identity for match in notifying)
    indexed = IndexedFaces.from_payload(event["index"])
    known = known_versions(image, notifying)
    judged = judgement(
        notifying,
        output.decisions(own, others),
        own=image,
        versions={key: version.digest for key, version in known.items()},
    )
    prominent_faces = {key: version.prominent_faces for key, version in known.items()}
    written = report(
        image,
        indexed,
        searched,
        own=own,
        search_threshold=settings.search_threshold,
        notify_threshold=notify_threshold,
        execution_arn=event["execution_arn"],
        judged=judged,
        prominent_faces=prominent_faces,
    )
    first = is_first_attempt(
        image, event["execution_arn"], event.get("redrive_count"), now=datetime.now(UTC)
    )
    key = output.write_report(
        image, written, look_alike_rows(written, searched), replaces_nothing=first
    )
    require_not_deleted(image)
    verdict = Verdict(
        status=Outcome(written["status"]),
        best_similarity=written["best_similarity"],
        best_open_similarity=written["best_open_similarity"],
        notify_similarity=written["notify_similarity"],
        notify_threshold=written["notify_threshold"],
        above_threshold=written["above_threshold"],
        report_bucket=output.name,
        report_key=key,
        silenced=tuple(records_digest(own.record, other) for other in judged.quiet),
        reopened=judged.reopened[:REOPENED_LIMIT],
    )
    if verdict.above_threshold:
        verdict = replace(
            verdict,
            same_files=same_files(image, own, searched, verdict),
            prominent_faces={image.key: indexed.prominent_faces, **prominent_faces},
        )
    metrics.add_metric(f"Outcome{verdict.status.title().replace('_', '')}", MetricUnit.Count, 1)
    if judged.silenced:
        metrics.add_metric("PairsSilenced", MetricUnit.Count, len(judged.silenced))
    if judged.known:
        metrics.add_metric("PairsKnown", MetricUnit.Count, len(judged.known))
    if judged.reopened:
        metrics.add_metric("PairsReopened", MetricUnit.Count, len(judged.reopened))
    logger.info(
        "reported",
        status=verdict.status,
        above_threshold=verdict.above_threshold,
        silenced=len(judged.silenced),
        known=len(judged.known),
        reopened=len(judged.reopened),
    )
    return verdict.to_payload()


def known_versions(image: UploadedImage, matches: Iterable[Match]) -> dict[str, KnownVersion]:
    """Return the versions of the best other photographs, by their keys, as the registers know them.

    One request for each photograph, of at most as many as a notification lists.
    """
    faces: dict[str, str] = {}
    for match in each_first(matches, of=lambda match: match.record):
        faces.setdefault(match.key, match.face_id)
    found = {
        key: registers.of_key(image.bucket, key).version_with(face)
        for key, face in islice(faces.items(), PAIRS_LIMIT)
    }
    return {key: version for key, version in found.items() if version is not None}


def same_files(
    image: UploadedImage, own: Identity, searched: SearchResult, verdict: Verdict
) -> tuple[str, ...]:
    """Return the keys of the photographs in the notification that are the same file as the image.

    S3 is asked about a photograph only if its face is as similar as that of a copy.
    """
    listed = passing_matches(own, searched, verdict)[:PAIRS_LIMIT]
    keys = {match.key for match in listed if match.similarity >= COPY_SIMILARITY}
    return tuple(sorted(key for key in keys if images.is_same_file(image, key)))


def require_not_deleted(image: UploadedImage) -> None:
    """Take the report back if the image was deleted while it was on its way.

    The removal may have looked for a report before there was one. The report of a version that was
    overwritten stays: it says what was true of it.
    """
    if images.version(image.bucket, image.key, None) is None:
        output.delete_report(image.day, image.digest)
        raise ImageRejected(Reason.GONE, image.digest)
