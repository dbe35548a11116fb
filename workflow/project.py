"""The checkout, and its folder for everything that is written without being told where.

Photographs of people, their faces and their names lie in that folder: it is closed to other users.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
#: Everything that a command writes without being told where.
STATE_ROOT: Final = PROJECT / ".facematch"
_OTHERS: Final = 0o077


def private_folder(folder: Path) -> Path:
    """Make the folder if it is missing, close it to other users, and return it.

    Raises
    ------
    OSError
        When it cannot be made, or belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & _OTHERS:
        folder.chmod(0o700)
    return folder
