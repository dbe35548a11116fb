"""The environment that Lambda gives a function."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from functions.matching.settings import FunctionSettings

T = TypeVar("T", bound="FunctionSettings")


def from_environment(settings: type[T]) -> T:
    """Read a function's settings.

    Raises
    ------
    ValueError
        Naming the variable, when it is missing or not of its type.
    """
    return settings.read(os.environ)
