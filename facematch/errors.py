"""Errors that a person can act on: printed as a sentence, without a traceback."""

from __future__ import annotations

from typing import Self


class Actionable(Exception):  # noqa: N818 - reads as what it is
    """What is wrong, with what, and what to do."""

    def about(self, what: str) -> Self:
        """The same, with what it was for in front."""
        return type(self)(f"{what}. {self}")


class Unusable(Actionable):
    """Wrong usage, or nothing to work on."""


def about_file(error: OSError) -> Actionable:
    """A file or folder of this machine that cannot be used; a full disk, too."""
    what = f"{error.filename}: " if error.filename else ""
    return Actionable(
        f"{what}{error.strerror or error}. Correct the rights, or free up space, then repeat the "
        "command."
    )
