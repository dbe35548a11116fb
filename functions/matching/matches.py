"""Which look-alikes are evidence: the same face under another record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from functions.matching.faces import Match, SearchResult, SimilarPhotograph
from functions.matching.identity import identity_in
from functions.matching.keys import key_of

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from functions.matching.faces import FoundFace, LookAlikes

T = TypeVar("T")
Listed = TypeVar("Listed", Match, SimilarPhotograph)

#: Room for the matches of one image in a payload between states, which may have 256 KiB in all
#: (AWS Step Functions, Service quotas): the rest holds the image, up to 100 faces and the report.
#: Look-alikes of the same record get the room that matches leave.
MATCHES_LIMIT_BYTES: Final = 120_000
#: Look-alikes of the same record that are kept: to tell that a photograph has one, a few suffice.
LOOK_ALIKES_LIMIT: Final = 100


def evidence_among(
    found: Mapping[str, LookAlikes],
    *,
    own_key: str,
    names_from: re.Pattern[str],
    max_matches: int,
    searched_at: str,
) -> SearchResult:
    """Separate look-alikes of other records from those of the image's own record.

    The image itself, its other faces and other versions of its own key are never a match: they
    carry its own key.

    What does not fit is cut so that no record loses its place to another: the best face of each
    record is kept first, then the best of the rest. Otherwise somebody with upload rights could
    hide a record behind many copies of one photograph.

    Photographs of the image's own record that resemble it are listed too, one entry each. A record
    in which a photograph resembles no other may show two people.

    Parameters
    ----------
    found
        Look-alikes by the id of the searched face.
    own_key
        Key of the searched image, which carries a name.
    names_from
        Reads names and record ids from keys.
    max_matches
        Kept for each face.
    searched_at
        UTC, ISO 8601.
    """
    from functions.matching.names import relation  # noqa: PLC0415 - slow to load, for this only

    own = identity_in(own_key, names_from)
    others: list[Match] = []
    kept: list[Match] = []
    own_best: dict[str, float] = {}
    same_name = unattributed = 0
    for searched_face_id, look_alikes in found.items():
        of_face: list[Match] = []
        for face in look_alikes.faces:
            key = _key(face)
            if key == own_key:
                continue
            other = identity_in(key, names_from) if key else None
            if key is None or other is None:
                unattributed += 1
            elif own and other.record == own.record:
                same_name += 1
                own_best[key] = max(face.similarity, own_best.get(key, 0.0))
            else:
                of_face.append(
                    Match(
                        searched_face_id=searched_face_id,
                        face_id=face.face_id,
                        key=key,
                        name=other.name,
                        record=other.record,
                        relation=None,
                        similarity=face.similarity,
                        box=face.box,
                    )
                )
        others += of_face
        kept += [
            replace(match, relation=relation(own.name, match.name) if own else None)
            for match in _each_record_first(of_face)[:max_matches]
        ]
    fitting, room = _fitting(_each_record_first(kept), MATCHES_LIMIT_BYTES)
    listed = sorted(fitting, key=_best_first)
    own_best_first = sorted(own_best, key=lambda key: (-own_best[key], key))[:LOOK_ALIKES_LIMIT]
    similar, _ = _fitting(
        (SimilarPhotograph(key=key, similarity=own_best[key]) for key in own_best_first), room
    )
    records = {match.record for match in listed}
    left_out = [match for match in others if match.record not in records]
    # What a search did not return is no more similar than the least that it did.
    unseen = [
        min(face.similarity for face in look_alikes.faces)
        for look_alikes in found.values()
        if look_alikes.may_lack_some
    ]
    return SearchResult(
        matches=tuple(listed),
        left_out=len(others) - len(listed),
        names_left_out=len({match.record for match in left_out}),
        more_names_possible=bool(unseen),
        best_left_out_similarity=max([*(match.similarity for match in left_out), *unseen, 0.0]),
        same_name=same_name,
        look_alikes=tuple(similar),
        look_alikes_left_out=len(own_best) - len(similar),
        unattributed=unattributed,
        searched_at=searched_at,
    )


def each_first(best_first: Iterable[T], of: Callable[[T], Hashable]) -> list[T]:
    """The items with the first of each group in front, else in the order in which they came.

    Parameters
    ----------
    of
        The group of an item.
    """
    seen: set[Hashable] = set()
    first: list[T] = []
    rest: list[T] = []
    for item in best_first:
        group = of(item)
        (rest if group in seen else first).append(item)
        seen.add(group)
    return first + rest


def pair_id(face_id: str, other_face_id: str) -> str:
    """Id of a pair of faces, the same from both sides and in every repeat of a notification.

    Face ids are stable: Rekognition gives the same image with the same ExternalImageId the same
    id again. A subscriber who has seen a pair's id can drop the repeat.
    """
    text = json.dumps(sorted((face_id, other_face_id)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _each_record_first(matches: Iterable[Match]) -> list[Match]:
    return each_first(sorted(matches, key=_best_first), of=lambda match: match.record)


def _best_first(match: Match) -> tuple[float, str, str, str]:
    return -match.similarity, match.key, match.face_id, match.searched_face_id


def _key(face: FoundFace) -> str | None:
    try:
        return key_of(face.external_image_id) if face.external_image_id else None
    except ValueError:
        return None


def _fitting(best_first: Iterable[Listed], room: int) -> tuple[list[Listed], int]:
    """Return the first ones whose JSON fits into `room` bytes, and the bytes that are left."""
    fitting: list[Listed] = []
    for each in best_first:
        size = len(json.dumps(each.to_payload()))
        if size > room:
            break
        room -= size
        fitting.append(each)
    return fitting, room
