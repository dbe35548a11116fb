"""facematch demo: the whole workflow on this machine, on real photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            exists=True,
            help="A folder of your own photographs, named after people (Ann_Lee_0001.jpg).",
        ),
    ] = None,
) -> None:
    """Run the whole workflow on this machine, on real photographs, and show what it found."""
    from facematch.cli import demonstration  # noqa: PLC0415 - needs the local cloud's packages

    demonstration.run(photos)
