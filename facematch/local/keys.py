"""The access keys of one local cloud: who knows one of them is admitted, nobody else is.

They are made at random for each local cloud and kept in a file that only its owner can read. The
emulator itself is no lock: it takes the key ``test``, any twelve digits and a missing key for the
account's root, and checks no signature of root's. `facematch.local.loopback_guard` stands in front
of it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
import tempfile
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

from facematch.errors import Actionable
from facematch.text import local_command

#: Of randomness in an access key id, which is the secret on loopback: nobody checks signatures.
_RANDOM_BYTES: Final = 16
#: A proxy that the environment names would be told the key.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NoAccessKeysError(Actionable):
    """The file of the access keys cannot be read; the text says which file and what to do."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key as AWS clients have it; neither part shows up when it is printed."""

    id: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        """Make a key that nobody can guess."""
        letters = base64.b32encode(secrets.token_bytes(_RANDOM_BYTES)).decode().rstrip("=")
        return cls(f"LOCAL{letters}", secrets.token_urlsafe(30))

    def ask(self, url: str, *, seconds: float, method: str = "GET") -> bytes:
        """Ask an address of this local cloud that is none of AWS's, and return the answer.

        Raises
        ------
        OSError
            When it does not answer, or refuses.
        """
        # As much of a signature as the front looks at.
        header = {"Authorization": f"AWS4-HMAC-SHA256 Credential={self.id}/"}
        request = urllib.request.Request(url, method=method, headers=header)  # noqa: S310 - ours
        with _DIRECT.open(request, timeout=seconds) as answer:
            content: bytes = answer.read()
        return content


@dataclass(frozen=True, slots=True)
class AccessKeys:
    """The two keys that a local cloud admits.

    Attributes
    ----------
    user
        The key of the person who started it, and of the processes that it consists of.
    functions
        The key of the functions' workers. Under enforced permissions each key that the emulator
        issues, to a function's role or to a user, is this one's id with more characters behind it.
    """

    user: AccessKey
    functions: AccessKey

    @classmethod
    def kept_in(cls, file: Path) -> Self:
        """Read the keys, or make new ones: nothing else that is kept depends on them.

        New ones are made when there are none, when the file is damaged, and when somebody else
        could have read or written it.
        """
        if _is_private(file):
            try:
                return cls.read(file)
            except NoAccessKeysError:
                pass
        keys = cls(AccessKey.random(), AccessKey.random())
        # Readable by its owner only from its first moment.
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as made:
            json.dump(asdict(keys), made)
        Path(made.name).replace(file)
        return keys

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the keys of a local cloud that has been started.

        Raises
        ------
        NoAccessKeysError
            When there are none. What the file holds is not shown.
        """
        try:
            kept = json.loads(file.read_text())
            return cls(AccessKey(**kept["user"]), AccessKey(**kept["functions"]))
        except (OSError, ValueError, TypeError, KeyError):
            raise NoAccessKeysError(
                f"The access keys of the local cloud cannot be read from {file}. Make new ones: "
                f"{local_command('stop')} && {local_command('start')}"
            ) from None


def _is_private(file: Path) -> bool:
    try:
        found = file.lstat()
    except FileNotFoundError:
        return False
    others = stat.S_IRWXG | stat.S_IRWXO
    return found.st_uid == os.getuid() and not found.st_mode & others
