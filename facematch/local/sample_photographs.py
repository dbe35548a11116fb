"""Photographs for the demo and the tests, which the project does not carry itself.

The source distribution of the package face_recognition holds official photographs of the White
House (works of the United States government, by their Exif data): one man in five, another in
one. It is fetched from the package index that pip is set up for. Its digest is compared before
anything else is done with it, and nothing of it is built, run or installed.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING, Final

from facematch.errors import Actionable
from facematch.files.whole import write_whole
from facematch.local.package_index import NotFetched, fetch
from workflow.project import STATE_ROOT, private_folder

if TYPE_CHECKING:
    from pathlib import Path

_PROJECT: Final = "face_recognition"
_ARCHIVE: Final = "face_recognition-1.3.0.tar.gz"
#: As constraints/bench.txt has it.
_ARCHIVE_SHA256: Final = "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"
_FOLDER: Final = "face_recognition-1.3.0/tests/test_images/"
_PHOTOGRAPH_LIMIT: Final = 1 << 20
_SHA256: Final = {
    "biden.jpg": "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
    "obama.jpg": "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    "obama2.jpg": "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
    "obama3.jpg": "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    "obama_partial_face.jpg": "c2d1f09e7ef3042352b41e41286e6eb0522f64f88308be13886991b95db52117",
    "obama_partial_face2.jpg": "9a812347f97633542b8cd9992de22def11b74f79d82056bc3ee830f13878e028",
}


class PhotographsUnavailable(Actionable):
    """The photographs could not be fetched; the text says why and what to do."""


def fetch_photographs(cache: Path = STATE_ROOT / "photographs") -> dict[str, Path]:
    """The photographs by their file names, fetched once and checked each time.

    Raises
    ------
    PhotographsUnavailable
        When no index has them, or they are not what they should be.
    """
    if not all(_is_right(cache / name, digest) for name, digest in _SHA256.items()):
        private_folder(STATE_ROOT)
        cache.mkdir(parents=True, exist_ok=True)
        _extract(_fetched(), cache)
    for name, digest in _SHA256.items():
        if not _is_right(cache / name, digest):
            raise PhotographsUnavailable(
                f"{name} out of {_ARCHIVE} is not the photograph that it should be (sha256). "
                "Use photographs of your own: make demo PHOTOS=folder"
            )
    return {name: cache / name for name in _SHA256}


def _fetched() -> bytes:
    try:
        return fetch(_PROJECT, _ARCHIVE, _ARCHIVE_SHA256)
    except NotFetched as error:
        raise PhotographsUnavailable(
            f"The demo's photographs ({_ARCHIVE}) could not be fetched: {error}.\n"
            "Check the package index, or use photographs of your own: make demo PHOTOS=folder"
        ) from None


def _extract(archive: bytes, cache: Path) -> None:
    """Take out the photographs, and nothing else, each under a temporary name until it is whole."""
    names = {_FOLDER + name: name for name in _SHA256}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = names.get(member.name)
            if not name or not member.isreg() or member.size > _PHOTOGRAPH_LIMIT:
                continue
            if source := tar.extractfile(member):
                temporary = cache / f".{name}.{os.getpid()}"
                write_whole(cache / name, source.read(), temporary=temporary)


def _is_right(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
