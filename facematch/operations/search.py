"""Who is on a photograph that is not in the bucket: a search that stores nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from facematch.errors import Unusable
from facematch.images.cropping import scaled_down
from facematch.images.limits import UnusableImageError
from facematch.stack.faces import search_photograph
from facematch.text import visible
from functions.matching.identity import identity_in

if TYPE_CHECKING:
    from pathlib import Path

    from facematch.stack.deployment import Deployment
    from functions.matching.faces import Box

#: An image that is sent along may have 5 MB (Amazon Rekognition Developer Guide, Guidelines and
#: quotas).
_MOST_BYTES: Final = 5 * 2**20
#: Pixels of the longer side, once a photograph has to be made smaller.
_SIDE: Final = 2560


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A photograph of the collection that shows a face like the one searched for.

    Attributes
    ----------
    name, id
        Name and record id that are read from the key; None if there is none in it.
    similarity
        Of its best face, %.
    """

    key: str
    name: str | None
    id: str | None
    similarity: float


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found.

    Attributes
    ----------
    faces
        How many the photograph shows.
    box
        Of the face that was searched for, the largest; None if none could be.
    scaled_down
        The file was too large to be sent as it is.
    lookalikes
        Best first.
    left_out
        How many more there are.
    """

    faces: int
    box: Box | None
    scaled_down: bool
    lookalikes: list[Lookalike]
    left_out: int


def search(deployment: Deployment, photograph: Path, *, minimum: float, most: int) -> Searched:
    """Search the face collection for the largest face of a photograph.

    Parameters
    ----------
    minimum
        Lowest similarity, %.
    most
        Photographs to list.

    Raises
    ------
    Unusable
        If the file is no photograph that can be used.
    """
    content, smaller = _sendable(photograph)
    found = search_photograph(deployment, content, minimum=minimum)
    best: dict[str, float] = {}
    for face in found.alike:
        if face.key is not None:
            best[face.key] = max(face.similarity, best.get(face.key, 0.0))
    keys = sorted(best, key=lambda key: (-best[key], key))
    shown = {key: identity_in(key, deployment.names_from) for key in keys[:most]}
    return Searched(
        faces=found.faces,
        box=found.box,
        scaled_down=smaller,
        lookalikes=[
            Lookalike(key, one.name if one else None, one.id if one else None, best[key])
            for key, one in shown.items()
        ],
        left_out=max(0, len(keys) - most),
    )


def _sendable(photograph: Path) -> tuple[bytes, bool]:
    """Read the file; make it smaller if it is too large to be sent along."""
    content = photograph.read_bytes()
    if len(content) <= _MOST_BYTES:
        return content, False
    try:
        return scaled_down(content, _SIDE), True
    except UnusableImageError as error:
        why = str(error).rstrip(".")
        raise Unusable(
            f"{visible(str(photograph))} has more than 5 MB and cannot be made smaller ({why}). "
            "Give a smaller JPEG or PNG file."
        ) from None
