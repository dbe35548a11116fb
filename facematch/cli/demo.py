"""facematch demo: the whole workflow on this machine, on real photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facematch.errors import Unusable
from functions.matching.identity import compiled_names_from


def demo(
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            exists=True,
            help="A folder of your own photographs, named after people (Ann_Lee_0001.jpg).",
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(
            "--names", help="Where names are: file, folder, or a regular expression (names_from)."
        ),
    ] = None,
) -> None:
    """Run the whole workflow on this machine, on real photographs, and show what it found.

    The photographs go to the local cloud (facematch ... --local), and stay there.
    """
    from facematch.cli import demonstration  # noqa: PLC0415 - needs the local cloud's packages

    demonstration.run(photos, None if names is None else _checked(names))


def _checked(names: str) -> str:
    try:
        return compiled_names_from(names).pattern
    except ValueError as error:
        raise Unusable(f"--names: {error}. Give file, folder or such an expression.") from None
