"""Errors that a person can act on: printed as a sentence, without a traceback."""

from __future__ import annotations

from typing import ClassVar


class Actionable(Exception):  # noqa: N818 - reads as what it is
    """What is wrong, with what, and what to do; `exit_code` is the command's."""

    exit_code: ClassVar[int] = 1


class Unusable(Actionable):
    """Wrong usage, or nothing to work on."""

    exit_code: ClassVar[int] = 2
