"""Room on the disk of a local cloud, and when there is too little of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: Kept free of photographs, bytes: for what becomes of those that are there (faces, reports, the
#: history of each execution), and for two states of the services side by side.
RESERVE: Final = 200_000_000
#: What a photograph needs beside its own size, bytes: its records, history and vectors.
BESIDE_A_PHOTOGRAPH: Final = 64_000
_MEGABYTE: Final = 1_000_000


def shortage(folder: Path, wanted: int = 0) -> str | None:
    """Tell that the disk has no room for more photographs; None when it has.

    Parameters
    ----------
    folder
        On the disk; it exists.
    wanted
        Bytes that are about to be written there.
    """
    free = shutil.disk_usage(folder).free
    if free - wanted >= RESERVE:
        return None
    more = f" and {wanted / _MEGABYTE:,.1f} MB more are needed" if wanted else ""
    return (
        f"The disk of {folder} has {free / _MEGABYTE:,.0f} MB free{more}; the local cloud takes no "
        f"photographs below {RESERVE / _MEGABYTE:,.0f} MB"
    )
