"""The folder of an evaluation: page, plot, figures and the faces of the hardest pairs.

It holds biometric data: only its owner can read it. A folder that is not of an evaluation, or holds
something else too, is never replaced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Unusable
from facematch.evaluation.page import rendered
from facematch.evaluation.plot import drawn
from facematch.files.own_folders import Layout, OwnFolders
from facematch.images.cropping import cropper
from facematch.images.limits import DEADLINE_SECONDS
from facematch.images.workers import Workers
from workflow.project import STATE_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from facematch.evaluation.faces import Faces
    from facematch.evaluation.labels import Labelled

INDEX: Final = "index.html"
DOCUMENT: Final = "evaluation.json"
#: Keeps the faces out of a repository that the folder happens to lie in.
_IGNORE: Final = ".gitignore"
_FACES: Final = "faces"
_PLOTS: Final = {"light": "plot.svg", "dark": "plot-dark.svg"}
#: Pairs of each kind that are shown.
_SHOWN: Final = 24


class NotAnEvaluation(Unusable):
    """The folder holds something else; the text says what."""


_LAYOUT: Final = Layout(
    what="of an evaluation",
    marker=DOCUMENT,
    files=frozenset({INDEX, DOCUMENT, f".{DOCUMENT}.new", _IGNORE, *_PLOTS.values()}),
    folders={_FACES: re.compile(r"\d+\.jpg")},
    refuses_with=NotAnEvaluation,
)


def require_evaluation(folder: Path) -> None:
    """Refuse a folder that may not be replaced.

    Raises
    ------
    NotAnEvaluation
    """
    _own(folder, STATE_ROOT).insist(folder)


def write_folder(
    folder: Path,
    document: Mapping[str, Any],
    labelled: Labelled,
    faces: Faces,
    *,
    root: Path = STATE_ROOT,
) -> Path:
    """Write everything beside the folder, which then takes an older one's place.

    Parameters
    ----------
    root
        Where the register of what was written is kept.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    NotAnEvaluation
    """
    with _own(folder, root).replacing(folder, document) as new:
        (new / _IGNORE).write_text("*\n")
        for theme, file in _PLOTS.items():
            (new / file).write_text(drawn(document, theme=theme))
        pictures = _pictures(new, document, labelled, faces)
        page = rendered(document, pictures, _PLOTS)
        (new / INDEX).write_text(page, encoding="utf-8")
    return folder / INDEX


def _own(folder: Path, root: Path) -> OwnFolders:
    own = OwnFolders(root, _LAYOUT)
    if folder.is_relative_to(root):  # nobody else writes there, before there was a register too
        own.adopt(folder)
    return own


def _pictures(
    folder: Path, document: Mapping[str, Any], labelled: Labelled, faces: Faces
) -> dict[int, str]:
    """Cut out the faces of the hardest pairs: the files by the number of the face."""
    (folder / _FACES).mkdir(mode=0o700)
    people = document["people"]
    shown = [
        face
        for kind in ("most_similar_different", "least_similar_same")
        for pair in people[kind][:_SHOWN]
        for face in pair["faces"]
    ]
    files = {}
    workers = Workers(1, cropper, seconds=DEADLINE_SECONDS)
    try:
        for number in dict.fromkeys(shown):
            face = faces.faces[number]
            try:
                content = labelled.photographs[face.photograph].file.read()
                (picture,) = workers.run(content, [face.box]).faces
            except Exception:  # noqa: BLE001, S112 - the pair is shown in the figures only
                continue
            files[number] = f"{_FACES}/{number}.jpg"
            (folder / files[number]).write_bytes(picture)
    finally:
        workers.close()
    return files
