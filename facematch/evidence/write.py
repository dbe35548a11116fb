"""Writes the evidence page's folder, replaces an older one, and deletes it.

The folder holds biometric data: only its owner can read it, each one that was written is on a
list, and nothing but the files that were written is ever replaced or deleted.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Actionable
from facematch.operations.matches import SEARCH_AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from facematch.evidence.collect import Evidence
    from facematch.evidence.pictures import Pictures


_SCHEMA: Final = 1
#: Photographs whose reports leave names out; the query left_out lists all of them.
_LACKING_SHOWN: Final = 100


def _shown(evidence: Evidence, pictures: list[Pictures], notify_threshold: float) -> dict[str, Any]:
    """What the page shows, as it expects it."""
    lowest = min((similarity for *_, similarity in evidence.matches), default=notify_threshold)
    return {
        "threshold": notify_threshold,
        "lowest": lowest,
        "left_out": evidence.left_out,
        "best_left_out": evidence.best_left_out,
        "pairs_left_out": evidence.pairs_left_out,
        "lacking": {
            "photographs": len(evidence.lacking),
            "remedy": f"{SEARCH_AGAIN} facematch backfill --again --prefix KEY",
            "worst": [
                {"key": key, "words": evidence.lacking[key].words}
                for key in sorted(
                    evidence.lacking, key=lambda key: (-evidence.lacking[key].counted, key)
                )[:_LACKING_SHOWN]
            ],
        },
        "counts": evidence.counts,
        "days": evidence.days,
        "failures": evidence.failures,
        "photographs": [
            {
                "key": photograph.key,
                "name": photograph.name,
                "uploaded": photograph.uploaded,
                "file": made.file,
                "width": made.size[0],
                "height": made.size[1],
            }
            for photograph, made in zip(evidence.photographs, pictures, strict=True)
        ],
        "faces": [
            {
                "id": face.face_id,
                "photograph": face.photograph,
                "box": [face.box.left, face.box.top, face.box.width, face.box.height],
                "file": pictures[face.photograph].faces.get(number),
            }
            for number, face in enumerate(evidence.faces)
        ],
        "matches": evidence.matches,
        "decisions": evidence.decisions,
    }


@contextlib.contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    """Say which folder could not be written, without a traceback."""
    try:
        yield
    except OSError as error:
        raise Actionable(
            f"{folder} cannot be written or deleted: {error.strerror or error} "
            f"({error.filename or folder}). Mend that (rights, room on the disk), or name another "
            "folder with --to."
        ) from None
