"""facematch audit: whether every image has exactly one outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import typer

from facematch.cli.exit_status import ExitStatus
from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import Listings, json_text, messages, output, progress, safe
from facematch.errors import Unusable
from facematch.operations.audit import Audit, Auditor, QueueHoldsMessages
from facematch.operations.ledger import Found, Ledger
from facematch.stack.deployment import Deployment
from functions.matching.images import timestamp

_MEANING: Final = {
    Found.REPORTED: "have a report",
    Found.UNDELIVERED: "have a report, but nobody was notified of the match: {replay}",
    Found.REJECTED: "rejected: the image is at fault, and its failure record says why",
    Found.FAILED: "failed, timed out or aborted, with a failure record: {replay}",
    Found.RUNNING: "have an execution that runs",
    Found.WAITING: "wait in the queue, or may",
    Found.DELETED: "were deleted or overwritten, and have no records any more",
    Found.REPLAY: "have an execution that ended without a record: {replay}, or, where it "
    "succeeded, {check}",
    Found.MISSING: "have neither record nor execution: {audit}",
}


@on_stack
def audit(
    *,
    prefix: Annotated[
        str | None, typer.Option(help="Only keys that begin so; with the image prefix.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Send what is missing through the queue again.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Do so although the queue holds messages.")
    ] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Compare the images bucket with the outcomes, and name every version without one.

    Exit code 1 when one is missing, and --fix, if given, could not send it again.
    """
    if force and not fix:
        raise Unusable("--force says how to --fix. Add --fix, or leave --force out.")
    deployment = where.deployment()
    with Ledger(deployment.images_bucket) as ledger:
        if not audited(deployment, ledger, prefix=prefix, fix=fix, force=force, as_json=as_json):
            raise typer.Exit(ExitStatus.FAILED)


def audited(
    deployment: Deployment,
    ledger: Ledger,
    *,
    prefix: str | None = None,
    fix: bool = False,
    force: bool = False,
    as_json: bool = False,
    s3_tells_within: timedelta | None = None,
) -> bool:
    """Audit, show it, fix what can be fixed; whether nothing is left to do.

    Raises
    ------
    QueueHoldsMessages
        When there is something to fix, and that may wait in the queue.
    """
    auditor = Auditor(deployment, prefix=prefix, s3_tells_within=s3_tells_within)
    with progress() as bars:
        result = auditor.run(ledger, listed=Listings(bars))
    missing = result.counts[Found.MISSING]
    if not as_json:
        _show(deployment, result)
        if result.counts[Found.UNDELIVERED]:
            why, again = deployment.command("failures"), deployment.command("replay", "--all")
            output.say(f"Why nobody was notified: {why}")
            output.say(f"Once the cause is fixed: {again}")
    errors: list[str] = []
    fixing = fix and missing > 0
    if fixing:
        if result.queues.queued and not force:
            raise QueueHoldsMessages(
                f"The queue holds {result.queues.queued} messages, and what is missing may be on "
                "its way. Nothing was sent. Repeat the command when the queue is empty, or add "
                "--force: a version that has an execution or a report then starts nothing."
            )
        with progress() as bars:
            task = bars.add_task("messages sent", total=missing)
            errors = auditor.send(
                result.listed(Found.MISSING), sent=lambda more: bars.advance(task, more)
            )
    sent = missing - len(errors) if fixing else 0
    if as_json:
        _print_json(result, sent=sent)
    for error in errors:
        messages.print(safe(f"not sent: {error}", style="red"))
    if fixing and not as_json:
        output.print(f"{sent} were sent through the queue again. Audit once more when it is empty.")
    return result.lacking == sent


def _show(deployment: Deployment, result: Audit) -> None:
    output.print(
        safe(f"{result.versions:,} object versions below {result.prefix or 'the whole bucket'}")
    )
    commands = {
        "replay": deployment.command("replay", "--all"),
        "check": deployment.command("collection", "check", "--fix"),
        "audit": deployment.command("audit", "--fix"),
    }
    for found, number in result.counts.items():
        if number or found in {Found.REPORTED, Found.MISSING}:
            meaning = _MEANING[found] if number else _MEANING[found].partition(": ")[0]
            output.say(f"  {number:>10,}  {meaning.format(**commands)}")
    queues = result.queues
    if result.counts[Found.WAITING]:
        since = timestamp(queues.waiting_since)
        output.say(
            f"Those that were uploaded after {since} and have neither record nor execution count "
            f"as waiting: {queues.why}."
        )
    if queues.dead_letters:
        output.say(
            f"Dead letters: {queues.dead_letters}. Their versions, if they name any, count as "
            f"missing: {deployment.command('replay', '--dead-letters')}"
        )
    for found in (Found.MISSING, Found.REPLAY):
        for image in result.listed(found):
            output.say(f"{found}: {image.key} (version {image.version_id or image.etag})")


def _print_json(result: Audit, *, sent: int) -> None:
    """Print one document, without having all its keys in memory."""
    head = {
        "prefix": result.prefix,
        "versions": result.versions,
        **{str(found): number for found, number in result.counts.items()},
        "queued": result.queues.queued,
        "waiting_since": timestamp(result.queues.waiting_since),
        "dead_letters": result.queues.dead_letters,
        "sent": sent,
    }
    print(json_text(head)[:-1])
    for found in (Found.MISSING, Found.REPLAY):
        print(f', "{found}_versions": [')
        separator = ""
        for image in result.listed(found):
            print(separator, json_text({"key": image.key, "version_id": image.version_id}))
            separator = ","
        print("]")
    print("}")
