"""Writes an evidence page: what is shown, its pictures, its index.html."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from facematch.evidence.collect import collect
from facematch.evidence.folders import INDEX, EvidenceFolders
from facematch.evidence.page import render
from facematch.evidence.pictures import Missing, make_pictures
from facematch.operations.matches import SEARCH_AGAIN, spellings
from functions.matching.identity import Identity, id_in, record_of_photograph
from functions.matching.images import SAME_FILE, SAME_FILE_MEANS, timestamp
from functions.matching.names import relation
from functions.matching.relations import RELATIONS
from functions.matching.subjects import SEVERAL_PEOPLE_MEANS, people_shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from facematch.evidence.collect import Evidence
    from facematch.evidence.pictures import Pictures
    from facematch.stack.deployment import Deployment
    from functions.matching.faces import Box
    from functions.matching.relations import Relation


_SCHEMA: Final = 1
#: Photographs whose reports leave names out; the query left_out lists all of them.
_LACKING_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes
    ----------
    missing
        How many photographs have no picture, by the reason.
    left_out_command
        Lists the photographs whose pairs may be missing.
    """

    index: Path
    evidence: Evidence
    missing: Counter[Missing]
    left_out_command: str


def write_page(
    folders: EvidenceFolders,
    deployment: Deployment,
    folder: Path,
    *,
    minimum: float,
    limit: int,
    decisions_command: str,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Written:
    """Write the page, beside the folder first; an older page there is replaced at the end.

    Parameters
    ----------
    minimum
        Lowest similarity of a match, %.
    limit
        How many matches are shown at most: the best ones.
    decisions_command
        Reads decisions back that were made on the page.
    progress
        Told how many photographs are done, and of how many.

    Raises
    ------
    NotAPage
        When something else is in the folder.
    Actionable
        When it cannot be written, or another command is writing a page.
    """
    folder = folder.expanduser().resolve()
    about = {
        "stack": deployment.stack_name,
        "local": deployment.local,
        "written_at": timestamp(datetime.now(UTC)),
    }
    with folders.replacing(folder, about) as new:
        threshold = deployment.notify_threshold()
        evidence = collect(deployment, minimum=minimum, limit=limit)
        counts = {
            "matches": len(evidence.matches),
            "photographs": len(evidence.photographs),
            "faces": len(evidence.faces),
        }
        folders.mark(new, {**about, "counts": counts})
        pictures = make_pictures(deployment, evidence, new, progress=progress)
        document = {
            "schema": _SCHEMA,
            **about,
            "folder": str(folder),
            "delete_command": folders.delete_command(folder),
            "decisions_command": decisions_command,
            **_shown(
                evidence,
                pictures,
                threshold,
                search_again=deployment.command("backfill", "--again", "--prefix", "KEY"),
            ),
        }
        (new / INDEX).write_text(render(document), encoding="utf-8")
    missing = Counter(made.missing for made in pictures if made.missing)
    return Written(folder / INDEX, evidence, missing, deployment.command("query", "left_out"))


def _shown(
    evidence: Evidence, pictures: list[Pictures], notify_threshold: float, *, search_again: str
) -> dict[str, Any]:
    """What the page shows, as it expects it."""
    numbered = {(face.face_id, face.photograph) for face in evidence.faces}
    lowest = min((similarity for *_, similarity in evidence.matches), default=notify_threshold)
    return {
        "threshold": notify_threshold,
        "lowest": lowest,
        "left_out": evidence.left_out,
        "best_left_out": evidence.best_left_out,
        "pairs_left_out": evidence.pairs_left_out,
        "lacking": {
            "photographs": len(evidence.lacking),
            "remedy": f"{SEARCH_AGAIN} {search_again}",
            "worst": [
                {"key": key, "words": evidence.lacking[key].words}
                for key in sorted(
                    evidence.lacking, key=lambda key: (-evidence.lacking[key].counted, key)
                )[:_LACKING_SHOWN]
            ],
        },
        "several_people_means": SEVERAL_PEOPLE_MEANS,
        "same_file": {"says": SAME_FILE, "means": SAME_FILE_MEANS},
        "counts": evidence.counts,
        "days": evidence.days,
        "failures": evidence.failures,
        "photographs": [
            {
                "key": photograph.key,
                "name": photograph.name,
                "record": photograph.record,
                "version": photograph.version,
                "uploaded": photograph.uploaded,
                "content": photograph.content,
                "people": people_shown(len(photograph.people)) if photograph.people else "",
                "others": [
                    _sides(face.box)
                    for face in photograph.people
                    if (face.face_id, number) not in numbered
                ],
                "file": made.file,
                "width": made.size[0],
                "height": made.size[1],
            }
            for number, (photograph, made) in enumerate(
                zip(evidence.photographs, pictures, strict=True)
            )
        ],
        "faces": [
            {
                "id": face.face_id,
                "photograph": face.photograph,
                "box": _sides(face.box),
                "file": pictures[face.photograph].faces.get(number),
            }
            for number, face in enumerate(evidence.faces)
        ],
        "matches": evidence.matches,
        "records": _labels(evidence),
        "relations": _relations(evidence),
        "relation_words": RELATIONS,
        "decisions": evidence.decisions,
        "conflicts": [
            {
                "record": photograph.record,
                "photograph": record_of_photograph(photograph.key),
                "faces": [conflict.face, conflict.other_face],
                "photographs": conflict.photographs,
            }
            for conflict in evidence.conflicts
            for photograph in [evidence.photographs[evidence.faces[conflict.face].photograph]]
        ],
        "conflicts_left_out": evidence.conflicts_left_out,
    }


def _sides(box: Box) -> list[float]:
    return [box.left, box.top, box.width, box.height]


def _labels(evidence: Evidence) -> dict[str, str]:
    """Return what each record is called on the page, by its key."""
    names: dict[str, set[str]] = {}
    for photograph in evidence.photographs:
        names.setdefault(photograph.record, set()).add(photograph.name)
    return {
        record: str(Identity(spellings(written), id_in(record)))
        for record, written in names.items()
    }


def _relations(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return how the names of each pair relate: the two records as in its matches, and the label.

    The best match comes first, and its names count.
    """
    found: dict[tuple[str, str], Relation] = {}
    for one, other, _ in evidence.matches:
        a, b = (evidence.photographs[evidence.faces[face].photograph] for face in (one, other))
        if (a.record, b.record) not in found:
            found[a.record, b.record] = relation(a.name, b.name)
    return [(one, other, label) for (one, other), label in found.items()]
