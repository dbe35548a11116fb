"""The folder of an evaluation: page, plot, figures and the faces of the hardest pairs.

It holds biometric data: only its owner can read it. A folder that is not of an evaluation, or holds
something else too, is never replaced.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Unusable
from facematch.evaluation.page import rendered
from facematch.evaluation.plot import drawn
from facematch.images.cropping import cropper
from facematch.images.limits import DEADLINE_SECONDS
from facematch.images.workers import Workers

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
_OURS: Final = frozenset({INDEX, DOCUMENT, _IGNORE, _FACES, *_PLOTS.values()})
#: Pairs of each kind that are shown.
_SHOWN: Final = 24


class NotAnEvaluation(Unusable):
    """The folder holds something else; the text says what."""


def insist_on_evaluation(folder: Path) -> None:
    """Refuse a folder that may not be replaced.

    Raises
    ------
    NotAnEvaluation
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotAnEvaluation(f"{folder} is a file, not a folder. Name a folder with --to.")
    found = {path.name for path in folder.iterdir()}
    if found and DOCUMENT not in found:
        raise NotAnEvaluation(
            f"{folder} is not of an evaluation: there is no {DOCUMENT} in it. Nothing was changed. "
            "Name another folder with --to."
        )
    if other := sorted(found - _OURS):
        raise NotAnEvaluation(
            f"{folder} holds {other[0]!r}, which is not of an evaluation and would be deleted. "
            "Move it away, or name another folder with --to."
        )


def write_folder(
    folder: Path, document: Mapping[str, Any], labelled: Labelled, faces: Faces
) -> Path:
    """Write everything beside the folder, which then takes an older one's place.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    NotAnEvaluation
    """
    insist_on_evaluation(folder)
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    try:
        (beside / _IGNORE).write_text("*\n")
        (beside / DOCUMENT).write_text(json.dumps(document, indent=2))
        for theme, file in _PLOTS.items():
            (beside / file).write_text(drawn(document, theme=theme))
        pictures = _pictures(beside, document, labelled, faces)
        page = rendered(document, pictures, _PLOTS)
        (beside / INDEX).write_text(page, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder / INDEX


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
                content = labelled.photographs[face.photograph].path.read_bytes()
                (picture,) = workers.run(content, [face.box]).faces
            except Exception:  # noqa: BLE001, S112 - the pair is shown in the figures only
                continue
            files[number] = f"{_FACES}/{number}.jpg"
            (folder / files[number]).write_bytes(picture)
    finally:
        workers.close()
    return files
