"""Which look-alikes are evidence: the same person under another name."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from functions.matching.faces import FoundFace, Match, SearchResult
from functions.matching.keys import key_of, name_in

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping, Sequence

#: Room for the matches of one image in a payload between states, which may have 256 KiB in all
#: (AWS Step Functions, Service quotas): the rest holds the image, up to 100 faces and the report.
MATCHES_LIMIT_BYTES: Final = 120_000


def judged(
    found: Mapping[str, Sequence[FoundFace]],
    *,
    own_key: str,
    name_pattern: re.Pattern[str],
    max_matches: int,
    searched_at: str,
) -> SearchResult:
    """Separate look-alikes under other names from those under the image's own.

    The image itself, its other faces and other versions of its own key are never a match: they
    carry its own key.

    Parameters
    ----------
    found
        Look-alikes by the id of the searched face.
    own_key
        Key of the searched image, which carries a name.
    max_matches
        Kept for each face, best first.
    searched_at
        UTC, ISO 8601.
    """
    own_name = name_in(own_key, name_pattern)
    kept: list[Match] = []
    left_out = same_name = unattributed = 0
    for searched_face_id, look_alikes in found.items():
        others: list[Match] = []
        for face in look_alikes:
            key = _key(face)
            if key == own_key:
                continue
            name = name_in(key, name_pattern) if key else None
            if key is None or name is None:
                unattributed += 1
            elif name == own_name:
                same_name += 1
            else:
                others.append(
                    Match(
                        searched_face_id=searched_face_id,
                        face_id=face.face_id,
                        key=key,
                        name=name,
                        similarity=face.similarity,
                        box=face.box,
                    )
                )
        others.sort(key=_best_first)
        kept += others[:max_matches]
        left_out += len(others[max_matches:])
    kept.sort(key=_best_first)
    fitting = list(_fitting(kept))
    return SearchResult(
        matches=tuple(fitting),
        left_out=left_out + len(kept) - len(fitting),
        same_name=same_name,
        unattributed=unattributed,
        searched_at=searched_at,
    )


def pair_id(face_id: str, other_face_id: str) -> str:
    """Id of a pair of faces, the same from both sides and in every repeat of a notification.

    Face ids are stable: Rekognition gives the same image with the same ExternalImageId the same
    id again. A subscriber who has seen a pair's id can drop the repeat.
    """
    text = json.dumps(sorted((face_id, other_face_id)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _best_first(match: Match) -> tuple[float, str, str]:
    return -match.similarity, match.key, match.face_id


def _key(face: FoundFace) -> str | None:
    try:
        return key_of(face.external_image_id) if face.external_image_id else None
    except ValueError:
        return None


def _fitting(matches: Iterable[Match]) -> Iterable[Match]:
    room = MATCHES_LIMIT_BYTES
    for match in matches:
        room -= len(json.dumps(match.to_payload()))
        if room < 0:
            return
        yield match
