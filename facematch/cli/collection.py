"""facematch collection: the faces against the images bucket."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from facematch.cli.exit_status import ExitStatus
from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import Listings, output, print_json, progress, safe
from facematch.operations.consistency import CollectionCheck, Disagreements

_SHOWN: Final = 20
collection_app = typer.Typer(
    help="The face collection against the images bucket.", no_args_is_help=True
)


@collection_app.command("check")
@on_stack
def check(
    *,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Take out faces without an image; index again what has lost its face or outcome.",
        ),
    ] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Compare the collection with the bucket: no face without an image, no image without its face.

    Exit code 1 when they disagree and --fix was not given.
    """
    deployment = where.deployment()
    with progress() as bars:
        checking = CollectionCheck(deployment, listed=Listings(bars))
        found = checking.compare()
    if fix and found.any:
        checking.mend(found)
    if as_json:
        document: dict[str, Any] = asdict(found)
        print_json({**document, "faceless": sorted(found.faceless), "mended": fix})
    else:
        _show(found, mended=fix)
    if found.any and not fix:
        raise typer.Exit(ExitStatus.FAILED)


def _show(found: Disagreements, *, mended: bool) -> None:
    output.print(
        f"{found.faces:,} faces: {len(found.orphans):,} without an image, and "
        f"{len(found.faceless):,} images without their face or outcome."
    )
    for what, keys in (
        ("a face without an image", list(found.orphans.values())),
        ("without its face or outcome", list(found.faceless)),
    ):
        for key in keys[:_SHOWN]:
            output.print(safe(f"  {what}: {key}"))
        if len(keys) > _SHOWN:
            output.print(f"  and {len(keys) - _SHOWN:,} more")
    if found.foreign:
        output.print(f"{found.foreign:,} were put in by something else, and are left alone.")
    if found.on_their_way:
        output.print(f"{found.on_their_way:,} are on their way, and were left out.")
    if found.any and mended:
        output.print(
            "Taken out, and sent through the queue again. Look once more when it is empty."
        )
    elif found.any:
        output.print("Mend it with --fix.")
