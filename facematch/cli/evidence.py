"""The command that writes the evidence page, and deletes it."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from facematch.cli.empty import show_if_no_photographs
from facematch.cli.exit_status import ExitStatus
from facematch.cli.options import (
    Where,
    on_stack,
    require_local_name,
    require_no_place,
    similarity_or_all,
)
from facematch.cli.terminal import messages, output, progress
from facematch.local.state_folder import StateFolder
from facematch.stack.deployment import Deployment

if TYPE_CHECKING:
    from facematch.evidence.folders import EvidenceFolders
    from facematch.evidence.write import Written

#: Matches on the page: more than a person looks through, and few enough to answer at once.
LIMIT: Final = 10_000


@on_stack
def evidence(
    *,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="The folder; by default one below .facematch for each stack."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    minimum: Annotated[
        float,
        typer.Option(
            "--min", parser=similarity_or_all, metavar="PERCENT", help="Lowest similarity, %."
        ),
    ] = 0,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Most matches that are shown, the best.")
    ] = LIMIT,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the page.")] = False,
    where: Where,
) -> None:
    """Write the evidence page: a folder with an index.html that opens from disk, offline.

    It shows pairs of records with their faces side by side, and photographs that resemble no other
    one of their record; it takes decisions. It holds biometric data: only you can read the folder.
    `--delete` deletes it, without asking AWS: without `--to` every page of stacks of that name that
    lies in its default folder.
    """
    from facematch.evidence.folders import EvidenceFolders  # noqa: PLC0415 - needs the extra `page`

    folders = EvidenceFolders()
    if delete:
        if where.local:
            require_no_place(profile=where.profile, region=where.region)
        _delete(folders, [to] if to else _default_folders(folders, where))
        return
    deployment = where.deployment()
    folder = to or default_folder(folders, deployment)
    written = write_page(deployment, folder, minimum=minimum, limit=limit)
    show(written)
    if not written.evidence.photographs:
        show_if_no_photographs(deployment)
    if open_it:
        webbrowser.open(written.index.as_uri())


def write_page(
    deployment: Deployment, folder: Path, *, minimum: float = 0, limit: int = LIMIT
) -> Written:
    """Write the page and show how far it is."""
    from facematch.evidence import write  # noqa: PLC0415 - needs the extra `page`
    from facematch.evidence.folders import EvidenceFolders  # noqa: PLC0415 - as above

    with progress() as bars:
        task = bars.add_task("reading the records", total=None)
        return write.write_page(
            EvidenceFolders(),
            deployment,
            folder,
            minimum=minimum,
            limit=limit,
            decisions_command=deployment.command("decisions", "import", "FILE"),
            progress=lambda done, total: bars.update(
                task, description="photographs cropped", completed=done, total=total
            ),
        )


def default_folder(folders: EvidenceFolders, deployment: Deployment) -> Path:
    """Where the page of a deployment is written unless another folder is named."""
    if deployment.local:
        return local_folder(StateFolder.default())
    return folders.default_folder(deployment)


def local_folder(home: StateFolder) -> Path:
    """Return the folder of a local cloud's evidence page."""
    return home.folder / "dashboard"


def delete_local_page(home: StateFolder) -> None:
    """Delete the page of a local cloud; what else stands in its place is left and named."""
    from facematch.evidence.folders import EvidenceFolders, NotAPage  # noqa: PLC0415 - needs the extra `page`

    try:
        deleted = EvidenceFolders().delete(local_folder(home))
    except NotAPage as error:
        messages.say(str(error))
        return
    if deleted.left:
        messages.say(deleted.left_words())


def show(written: Written) -> None:
    """Say what was written, what has no picture and why, and where it is."""
    evidence = written.evidence
    output.print(
        f"{len(evidence.matches):,} matches between {evidence.photographs_matched:,} photographs"
        + (
            f"; {evidence.left_out:,} more matches are left out (--limit)"
            if evidence.left_out
            else ""
        )
        + (
            f", and with them {evidence.pairs_left_out:,} pairs of records"
            if evidence.pairs_left_out
            else ""
        )
        + "."
    )
    if evidence.conflicts:
        output.print(
            f"Conflicts, photographs that resemble no other one of their record: "
            f"{len(evidence.conflicts):,}"
            + (
                f"; {evidence.conflicts_left_out:,} more are left out (--limit)"
                if evidence.conflicts_left_out
                else ""
            )
            + "."
        )
    if evidence.lacking:
        output.say(
            f"Pairs may be missing: {len(evidence.lacking):,} photographs look like more names "
            f"than their reports list ({written.left_out_command})."
        )
    for why, count in written.missing.most_common():
        output.print(f"{count:,} photographs are shown without a picture: {why}.")
    output.say(written.index.as_uri())


def _default_folders(folders: EvidenceFolders, where: Where) -> list[Path]:
    if where.local:
        folder = local_folder(StateFolder.default())
        for page in folders.listed():
            if page["folder"] == str(folder):
                require_local_name(where.stack, page["stack"])
        return [folder]
    return folders.in_default_folders(where.stack)


def _delete(folders: EvidenceFolders, pages_in: list[Path]) -> None:
    found = [folders.delete(folder) for folder in pages_in]
    pages = [page for deleted in found for page in deleted.pages]
    for folder in pages:
        output.say(f"Deleted: {folder}")
    if not pages:
        messages.print("There is no evidence page here. Name its folder with --to.")
    left = [deleted.left_words() for deleted in found if deleted.left]
    for words in left:
        messages.say(words)
    if left:
        raise typer.Exit(ExitStatus.FAILED)
