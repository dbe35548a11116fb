"""The notification of a match: for people to read, for programs to act on."""

from __future__ import annotations

import json
import math
import shlex
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.matching.decisions import NewEvidence, records_digest
from functions.matching.images import SAME_FILE, SAME_FILE_MEANS
from functions.matching.matches import each_first, pair_id
from functions.matching.relations import RELATIONS, known
from functions.matching.subjects import (
    SEVERAL_PEOPLE_MEANS,
    MainSubject,
    people_shown,
    subject_of_pair,
)

if TYPE_CHECKING:
    from functions.matching.decisions import Reopened
    from functions.matching.faces import Match, SearchResult
    from functions.matching.identity import Identity
    from functions.matching.images import UploadedImage
    from functions.matching.reports import Verdict

#: SNS: a subject has fewer than 100 characters, no line breaks, no control characters
#: (Amazon SNS API Reference, Publish).
SUBJECT_LIMIT: Final = 99
#: A message lists that many pairs, the best of each name first; the report has the rest. With keys
#: that fit an ExternalImageId this stays far below the 256 KiB that SNS takes.
PAIRS_LIMIT: Final = 20
_NAME_LIMIT: Final = 36
#: In the attribute `relation`: the report leaves records out, and nobody knows how they relate.
LEFT_OUT: Final = "LEFT_OUT"
_ATTRIBUTE_NAMES_LIMIT: Final = 10

_NEW_EVIDENCE: Final = {
    NewEvidence.HIGHER_SIMILARITY: "a higher similarity",
    NewEvidence.NEW_PHOTOGRAPH: "a photograph that was not there",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """One message: the subject, the text for e-mail, the JSON for everything else.

    `attributes` are for filter policies: numbers, texts and lists of texts. `relation` lists how
    the names relate in the pairs, and `subject` whether the faces must be the named people's.
    """

    subject: str
    text: str
    document: str
    attributes: dict[str, float | str | list[str]]


def passing_matches(own: Identity, searched: SearchResult, verdict: Verdict) -> list[Match]:
    """Return the matches that are worth a notification, the best of each record first.

    A message lists the first `PAIRS_LIMIT`.
    """
    return each_first(
        (
            match
            for match in searched.matches
            if match.similarity >= verdict.notify_threshold
            and records_digest(own.record, match.record) not in verdict.silenced
        ),
        of=lambda match: match.record,
    )


def notification(
    image: UploadedImage,
    own: Identity,
    searched: SearchResult,
    verdict: Verdict,
    *,
    execution_arn: str,
) -> Notification:
    """The notification for an image with a record above the threshold, listed or left out."""
    passing = passing_matches(own, searched, verdict)
    best: dict[str, Match] = {}
    for match in passing:
        best.setdefault(match.record, match)
    others = list(best.values())
    names = list(dict.fromkeys(match.name for match in others))
    document = {
        "schema_version": 1,
        "event": "match",
        "digest": image.digest,
        "name": own.name,
        "record": own.record,
        "other_names": names[:PAIRS_LIMIT],
        "best_similarity": verdict.best_open_similarity,
        "notify_threshold": verdict.notify_threshold,
        "image": image.to_payload(),
        "pairs": [_pair(image, match, verdict) for match in passing[:PAIRS_LIMIT]],
        "pairs_in_report": len(passing),
        "names_left_out": searched.names_left_out,
        "more_names_possible": searched.more_names_possible,
        "best_left_out_similarity": searched.best_left_out_similarity,
        "reopened": [_reopened(pair) for pair in verdict.reopened],
        "report": {"bucket": verdict.report_bucket, "key": verdict.report_key},
        "execution_arn": execution_arn,
    }
    listed = [printable(other) for other in names[:_ATTRIBUTE_NAMES_LIMIT]]
    return Notification(
        subject=_subject(own, others, searched, verdict),
        text=_text(image, own, passing, searched, verdict, execution_arn=execution_arn),
        document=json.dumps(document),  # ASCII: SQS refuses some characters, and may subscribe
        attributes={
            "event": "match",
            "best_similarity": verdict.notify_similarity,
            "name": printable(own.name),
            "relation": _relations(passing, searched),
            "subject": _subjects(image, passing, searched, verdict),
            **({"other_names": listed} if listed else {}),
        },
    )


def _relations(passing: list[Match], searched: SearchResult) -> list[str]:
    """Return each relation of a listed pair once, and `LEFT_OUT` if pairs may be missing."""
    found = {known(match.relation) for match in passing}
    left_out = [LEFT_OUT] if searched.lacking.any else []
    return [*(relation for relation in RELATIONS if relation in found), *left_out]


def _subjects(
    image: UploadedImage, passing: list[Match], searched: SearchResult, verdict: Verdict
) -> list[str]:
    """Return each subject of a pair once, and `LEFT_OUT` if pairs may be missing."""
    found = {_subject_of_pair(image, match, verdict) for match in passing}
    left_out = [LEFT_OUT] if searched.lacking.any else []
    return [*(subject for subject in MainSubject if subject in found), *left_out]


def _subject_of_pair(image: UploadedImage, match: Match, verdict: Verdict) -> MainSubject:
    return subject_of_pair(*map(verdict.prominent_faces.get, (image.key, match.key)))


def _people(key: str, verdict: Verdict, indent: str = "") -> list[str]:
    """Return a line about a photograph that shows several people; none about another one."""
    count = verdict.prominent_faces.get(key) or 0
    return [f"{indent}{people_shown(count)}"] if count > 1 else []


def _subject(own: Identity, others: list[Match], searched: SearchResult, verdict: Verdict) -> str:
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        best = f"{percent(verdict.best_open_similarity)}, {RELATIONS[known(others[0].relation)]}"
        looks = f"looks like {_short(str(others[0].identity))}{more}"
    else:
        best, looks = percent(verdict.notify_similarity), searched.lacking.words
    return f"{best}: {_short(str(own))} {looks}"[:SUBJECT_LIMIT]


def _text(
    image: UploadedImage,
    own: Identity,
    passing: list[Match],
    searched: SearchResult,
    verdict: Verdict,
    *,
    execution_arn: str,
) -> str:
    name = printable(str(own))
    looks = "looks" if passing or searched.names_left_out else "may look"
    lines = [
        f"A face in a photograph of {name} {looks} like one of another record.",
        "",
        f"Photograph: {printable(image.uri)}",
        f"Uploaded:   {image.last_modified:%Y-%m-%d %H:%M:%S} UTC",
        *_people(image.key, verdict, "            "),
        "",
    ]
    for match in passing[:PAIRS_LIMIT]:
        lines += [
            f"{percent(match.similarity):>7}  {printable(str(match.identity))}: "
            f"{RELATIONS[known(match.relation)]}",
            f"         s3://{image.bucket}/{printable(match.key)}",
            *([f"         {SAME_FILE}"] if match.key in verdict.same_files else []),
            *_people(match.key, verdict, "         "),
        ]
    if len(passing) > PAIRS_LIMIT:
        lines.append(f"         and {len(passing) - PAIRS_LIMIT} more: see the report")
    if verdict.same_files:
        lines += ["", SAME_FILE_MEANS]
    listed = passing[:PAIRS_LIMIT]
    if any(_people(key, verdict) for key in (image.key, *(match.key for match in listed))):
        lines += ["", SEVERAL_PEOPLE_MEANS]
    if searched.lacking.any:
        lines += [
            *([""] if passing else []),
            f"The photograph {searched.lacking.words}, by "
            f"{percent(searched.best_left_out_similarity)} at most.",
            "To see them, raise the setting max_matches or search_threshold, or remove copies of "
            "one photograph. Then search again:",
            f"  facematch backfill --again --prefix {shlex.quote(printable(image.key))}",
        ]
    for pair in verdict.reopened:
        lines += [
            "",
            f"{name} and {printable(str(pair.identity))} were decided to be different people "
            f"({printable(pair.decided_by)}, {pair.decided_at[:10]}, at "
            f"{percent(pair.similarity)}).",
            "The pair is open again, because there is "
            + " and ".join(_NEW_EVIDENCE[why] for why in pair.why)
            + " since.",
        ]
    lines += [
        "",
        f"Report:     s3://{verdict.report_bucket}/{verdict.report_key}",
        f"Execution:  {execution_arn}",
        f"Threshold:  {percent(verdict.notify_threshold)}",
        "",
        "A similarity is not a proof. Compare the photographs before anything is decided about "
        "a person.",
    ]
    return "\n".join(lines) + "\n"


def _pair(image: UploadedImage, match: Match, verdict: Verdict) -> dict[str, Any]:
    return {
        "pair_id": pair_id(match.searched_face_id, match.face_id),
        "similarity": match.similarity,
        "face_id": match.searched_face_id,
        "other_name": match.name,
        "other_record": match.record,
        "relation": known(match.relation),
        "other_key": match.key,
        "other_face_id": match.face_id,
        "same_file": match.key in verdict.same_files,
        "subject": _subject_of_pair(image, match, verdict),
        "prominent_faces": verdict.prominent_faces.get(image.key),
        "other_prominent_faces": verdict.prominent_faces.get(match.key),
    }


def _reopened(pair: Reopened) -> dict[str, Any]:
    return {
        "other_name": pair.name,
        "other_record": pair.record,
        "why": pair.why,
        "decided_by": pair.decided_by,
        "decided_at": pair.decided_at,
        "decided_similarity": pair.similarity,
    }


def _short(name: str) -> str:
    clean = printable(name)
    return clean if len(clean) <= _NAME_LIMIT else clean[: _NAME_LIMIT - 1] + "…"


def printable(text: str) -> str:
    """The text on one line: controls, line breaks and direction marks become spaces.

    A key comes from outside; in a subject or a terminal it must not be able to forge a line.
    """
    return "".join(
        " "
        if unicodedata.category(character) in {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}
        else character
        for character in text
    )


def percent(similarity: float) -> str:
    """Cut, never rounded up, to two places: what is not 99 must not read as 99."""
    hundredths = math.floor(similarity * 100 + 1e-9)  # 80.74 * 100 is 8073.999...
    return f"{hundredths / 100:.2f} %"
