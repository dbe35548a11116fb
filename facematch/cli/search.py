"""facematch search: who is on a photograph, without storing it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facematch.cli.empty import show_if_no_photographs
from facematch.cli.options import AsJson, Where, on_stack, similarity_or_all
from facematch.cli.terminal import messages, output, print_json, safe, table
from functions.matching.identity import Identity
from functions.matching.notifications import percent


@on_stack
def search(
    photo: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="PHOTO")],
    *,
    most: Annotated[int, typer.Option("--max", min=1, help="Photographs to list.")] = 20,
    minimum: Annotated[
        float,
        typer.Option(
            "--min", parser=similarity_or_all, metavar="PERCENT", help="Lowest similarity, %."
        ),
    ] = 80,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Search for the person on PHOTO among all photographs. Nothing is stored.

    If PHOTO shows several people, the largest face is searched for.
    """
    from facematch.operations.search import search as searched_for  # noqa: PLC0415 - needs the extra `page`

    deployment = where.deployment()
    with messages.status("searching"):
        found = searched_for(deployment, photo, minimum=minimum, most=most)
    if as_json:
        print_json(asdict(found), indent=2)
        return
    if found.scaled_down:
        messages.print("The file has more than 5 MB, so a smaller copy was searched for.")
    if found.box is None:
        output.print(
            "The photograph shows no face."
            if not found.faces
            else f"The photograph shows {found.faces} faces, and none can be searched for."
        )
        return
    if found.faces > 1:
        centre = found.box.left + found.box.width / 2, found.box.top + found.box.height / 2
        output.print(
            f"The photograph shows {found.faces} faces. The largest was searched for; its centre "
            f"is at {centre[0]:.0%} of the width and {centre[1]:.0%} of the height. To search for "
            "another, crop the photograph."
        )
    if found.lookalikes:
        rows = [
            (
                percent(each.similarity),
                safe(str(Identity(each.name, each.id)) if each.name else ""),
                safe(each.key),
            )
            for each in found.lookalikes
        ]
        head = ("Similarity", "Name", "Photograph")
        output.print(table(head, rows, numbers=head[:1]))
        if found.left_out:
            output.print(f"{found.left_out:,} more: --max")
        output.print("Candidates for a person's judgement, not a verdict.")
    else:
        output.print(f"Nobody is alike from {minimum:g} % up.")
        show_if_no_photographs(deployment)
