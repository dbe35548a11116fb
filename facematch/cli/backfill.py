"""facematch backfill: images that were in the bucket before the stack was."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, progress, safe
from facematch.errors import Unusable
from facematch.operations.backfill import Backfiller, BackfillFailed, NothingListed, Preview, Run
from facematch.operations.ledger import image_prefix
from facematch.stack.deployment import Deployment
from functions.matching.settings import MESSAGES_KEPT


@on_stack
def backfill(
    *,
    prefix: Annotated[
        str | None, typer.Option(help="Only keys that begin so; with the image prefix.")
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(help="s3://.../manifest.json of an S3 Inventory, in place of a listing."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what has a report: it is processed again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count objects, and those with a report.")
    ] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Send what is in the images bucket already through the workflow, as if it were uploaded.

    What has a report is skipped. A listing finds each object's current version; an inventory may
    list older ones too.
    """
    deployment = where.deployment()
    if dry_run:
        if inventory:
            raise Unusable("--dry-run counts by listing the bucket: leave --inventory out.")
        previewed(deployment, prefix=prefix, again=again, as_json=as_json)
    else:
        backfilled(deployment, prefix=prefix, inventory=inventory, again=again, as_json=as_json)


def previewed(
    deployment: Deployment, *, prefix: str | None = None, again: bool = False, as_json: bool = False
) -> Preview:
    """Say what a backfill would find.

    Raises
    ------
    NothingListed
        When there is no object.
    """
    with progress() as bars:
        task = bars.add_task("objects and reports listed", total=None)
        found = Backfiller(deployment).preview(prefix, listed=lambda more: bars.advance(task, more))
    if as_json:
        print_json(asdict(found))
    if not found.objects:
        raise _nothing(deployment, found.prefix)
    if as_json:
        return found
    starts = found.objects if again else found.objects - found.reported
    output.print(
        safe(
            f"{found.objects:,} objects below {found.prefix or 'the whole bucket'}, of which "
            f"{found.reported:,} have a report{' and would be processed again' if again else ''}."
        )
    )
    if not deployment.local:
        takes = timedelta(seconds=round(starts / deployment.starts_per_second))
        output.print(
            f"{starts:,} executions at {deployment.starts_per_second:g} a second take {takes}."
        )
        if takes > MESSAGES_KEPT:
            output.print(
                f"The queue keeps a message for {MESSAGES_KEPT.days} days: go by smaller prefixes."
            )
    return found


def backfilled(
    deployment: Deployment,
    *,
    prefix: str | None = None,
    inventory: str | None = None,
    again: bool = False,
    as_json: bool = False,
) -> Run:
    """Backfill, and say how many objects were sent.

    Raises
    ------
    NothingListed
        When the listing or the inventory was empty.
    BackfillFailed
        When not every object was sent.
    """
    backfiller = Backfiller(deployment)
    arn = backfiller.start(prefix=prefix, inventory=inventory, again=again)
    messages.say(f"It goes on without this command too: {arn}")
    with progress() as bars:
        task = bars.add_task("objects sent to the queue", total=None)
        run = backfiller.follow(
            arn, seen=lambda done, total: bars.update(task, completed=done, total=total or None)
        )
    if as_json:
        print_json(asdict(run))
    if run.status != "SUCCEEDED":
        raise BackfillFailed(
            f"The backfill ended {run.status} after {run.gone_through:,} of {run.listed:,} objects "
            f"({run.error or 'no error'}: {run.cause or 'no cause'}). Remove the cause, then "
            f"redrive {arn}, which goes on with what was not sent; or repeat the command: what "
            "was sent already starts nothing new."
        )
    if not run.listed:
        raise _nothing(deployment, inventory or image_prefix(deployment, prefix))
    if not as_json:
        output.say(
            f"{run.gone_through:,} objects were sent to the queue (folder markers and delete "
            "markers are left out)."
            + ("" if again else " Those that have a report will be skipped there.")
        )
    return run


def _nothing(deployment: Deployment, where: str) -> NothingListed:
    return NothingListed(
        f"{where if where.startswith('s3://') else f's3://{deployment.images_bucket}/{where}'} "
        "lists no object: nothing was sent. Upload photographs first "
        f"({deployment.command('upload', 'FOLDER')}), or give another --prefix or --inventory."
    )
