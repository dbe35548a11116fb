"""What a difference from the emulator declares of the private names that it uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PrivateName:
    """Something of MiniStack that is not its public interface.

    Attributes
    ----------
    module, name
        Where it is.
    parameters
        Of a function, in order; None for what is no function.
    use
        What it is needed for.
    """

    module: str
    name: str
    parameters: tuple[str, ...] | None
    use: str


def functions(
    module: str, use: str, parameters: Mapping[str, tuple[str, ...]]
) -> tuple[PrivateName, ...]:
    """Declare functions of one module, by name."""
    return tuple(PrivateName(module, name, each, use) for name, each in parameters.items())


def values(module: str, use: str, *names: str) -> tuple[PrivateName, ...]:
    """Declare what a module holds beside its functions."""
    return tuple(PrivateName(module, name, None, use) for name in names)
