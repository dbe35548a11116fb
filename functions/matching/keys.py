"""Keys and the ids made from them: ExternalImageId, digest, execution name.

This is the only place that knows how one is written as another.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote_plus

EXTERNAL_IMAGE_ID_LIMIT: Final = 255
EXECUTION_NAME_LIMIT: Final = 80

#: Of the execution for an object that was removed.
REMOVAL_SUFFIX: Final = "-d"
_REPLAY_SUFFIX_ROOM: Final = len(f"{REMOVAL_SUFFIX}-r9999")
_DIGEST_LENGTH: Final = 32
_SLUG_LIMIT: Final = EXECUTION_NAME_LIMIT - _DIGEST_LENGTH - 1 - _REPLAY_SUFFIX_ROOM

#: Each byte as `external_image_id` writes it. Looked up, since a search reads thousands of keys.
_READABLE: Final = tuple(
    "::" if text == "/" else text if re.match(r"[A-Za-z0-9_.\-]", text) else f":{ord(text):02X}"
    for text in map(chr, range(256))
)
_BASE64_MARK: Final = ":b"
_ESCAPE: Final = re.compile(r"::|:([0-9A-F]{2})")


def decoded_key(event_key: str) -> str:
    """The object's key, from the URL-encoded form in which an S3 event carries it.

    Raises
    ------
    UnicodeDecodeError
        When the bytes are not UTF-8, which no S3 key is.
    """
    return unquote_plus(event_key, encoding="utf-8", errors="strict")


def external_image_id(key: str) -> str | None:
    r"""The S3 key, written in the alphabet that Rekognition allows, and back by `key_of`.

    Rekognition accepts 1-255 of ``[a-zA-Z0-9_.\-:]`` (IndexFaces, ExternalImageId) and attaches
    the id to every face of the image, so a match carries its image's key and no table is needed
    to find it. A plain key stays readable: ``/`` becomes ``::`` and any other byte ``:XX`` in
    hexadecimal. Where that is longer, the key is written in URL-safe base64 behind ``:b``.

    Returns
    -------
    str or None
        None when neither form fits 255 characters.
    """
    raw = key.encode()
    readable = "".join(_READABLE[byte] for byte in raw)
    encoded = _BASE64_MARK + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    shorter = readable if len(readable) <= len(encoded) else encoded
    return shorter if raw and len(shorter) <= EXTERNAL_IMAGE_ID_LIMIT else None


def key_of(external_id: str) -> str:
    """The S3 key that `external_image_id` wrote.

    Raises
    ------
    ValueError
        When this project did not write it: the collection holds a face from elsewhere.
    """
    try:
        if external_id.startswith(_BASE64_MARK):
            encoded = external_id[len(_BASE64_MARK) :]
            key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        else:
            key = _ESCAPE.sub(_unescaped, external_id).encode("latin-1").decode()
    except ValueError:
        key = ""
    if not key or external_image_id(key) != external_id:
        raise ValueError("an ExternalImageId that was not written by this project")
    return key


def is_folder_marker(key: str, size: int) -> bool:
    """Whether an object is what consoles make to show an empty folder: nobody's photograph."""
    return key.endswith("/") and size == 0


def version_digest(bucket: str, key: str, version: str) -> str:
    """Digest of one object version: 32 hexadecimal characters (128 bits of SHA-256).

    It names the version's report, failure record and execution, and stands in logs and metrics
    where the key, which carries a person's name, must not.

    Parameters
    ----------
    bucket, key
        Where the object is.
    version
        Its versionId, or in a bucket without versioning its eTag.
    """
    text = json.dumps([bucket, key, version])
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


def execution_name(key: str, digest: str) -> str:
    """Name of the execution for a version: readable slug of the base name, then the digest.

    Step Functions allows 80 characters of ``0-9 A-Z a-z - _`` (StartExecution, name). The slug is
    cut so that the suffixes of a removal (``-d``) and of a replay (``-r1``) fit too; the digest
    alone makes it unique.
    """
    stem = PurePosixPath(key).stem
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^0-9A-Za-z_]+", "-", ascii_stem)[:_SLUG_LIMIT].strip("-")
    return f"{slug or 'image'}-{digest}"


def replay_name(name: str, attempt: int) -> str:
    """Name of a replay's execution: the version's own for attempt 0, then ``<name>-r<attempt>``."""
    return f"{name}-r{attempt}" if attempt else name


def next_attempt(name: str) -> str:
    """Name of the execution that is the next attempt after the one of this name."""
    first, _, attempt = name.rpartition("-r")
    if first and attempt.isdecimal():
        return replay_name(first, int(attempt) + 1)
    return replay_name(name, 1)


def _unescaped(found: re.Match[str]) -> str:
    return "/" if found[1] is None else chr(int(found[1], 16))
