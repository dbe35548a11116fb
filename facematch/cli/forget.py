"""facematch forget: delete everything about a person or a photograph."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Annotated, Final

import typer
from rich.table import Table

from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, safe
from facematch.errors import Actionable, Unusable
from facematch.evidence import folders
from facematch.operations import forget as operation
from facematch.operations.forget import KINDS, Forgetting, Found, Person
from facematch.stack.deployment import Deployment
from functions.matching.images import UploadedImage
from functions.matching.notifications import printable

_ROUNDS: Final = 3
#: Things of one kind that a dry run lists on a terminal.
_LISTED: Final = 100
_WOULD: Final = "What would be deleted"


@on_stack
def forget(
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the person, as the keys carry it.")
    ] = None,
    record_id: Annotated[
        str | None, typer.Option("--id", help="Record id of the person, as the keys carry it.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Of one photograph.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Delete everything about a person, or about one photograph, wherever it is kept.

    All versions of the photographs, faces, reports, what other people's reports say of them,
    failure records, decisions, dead letters, results of queries, evidence pages on this machine.
    Says what AWS keeps and for how long. Safe to interrupt and to repeat.
    """
    person = _person(name, record_id, key)
    deployment = where.deployment()
    forgetting = Forgetting(deployment, person, folders.EvidenceFolders())
    with messages.status("looking for everything about them"):
        found = forgetting.find()
    waiting = forgetting.queued()
    if not found.is_about_them() and not dry_run:
        # Perhaps only for the moment: the command may have been interrupted, or told to come again.
        found, waiting = _looked_again(forgetting, [])
    if found.is_about_them():
        if dry_run or not (yes or as_json):
            _show(
                found.counts(),
                _WOULD,
                waiting,
                again=len(found.cut),
                as_json=as_json,
                listed=found.names(),
            )
    else:
        if as_json:
            _show(found.counts(), _WOULD, waiting, again=0, as_json=True)
        raise (
            _not_finished(deployment, waiting)
            if waiting
            else _nowhere(person, forgetting.namesakes)
        )
    if forgetting.namesakes and not as_json:
        messages.say(
            "Not meant: records with a record id that have that name, since each may be another "
            f"person ({_namesakes(forgetting.namesakes)}). Forget one of them by its id: --id ID."
        )
    if dry_run:
        if not as_json:
            _list(found)
        return
    if not (yes or as_json):
        typer.confirm("Delete all of it, for ever?", abort=True)
    _delete_all(deployment, forgetting, found, as_json=as_json)


def _person(name: str | None, record_id: str | None, key: str | None) -> Person:
    if sum(given is not None for given in (name, record_id, key)) != 1:
        raise Unusable(
            "Say who is to be forgotten: --name NAME, --id ID for a record with a record id, or "
            "--key KEY for one photograph."
        )
    if name is not None:
        return Person.named(name)
    return Person(None, key) if record_id is None else Person.with_id(record_id)


def _looked_again(forgetting: Forgetting, images: Iterable[UploadedImage]) -> tuple[Found, int]:
    """What there is when all that may write about them has ended; how many messages wait still."""
    deadline = time.monotonic() + operation.QUEUE_PATIENCE_SECONDS
    while True:
        with messages.status("waiting for messages in the queue, which may be about them"):
            forgetting.wait_for_queue(deadline)
        with messages.status("waiting for executions that may write about them"):
            forgetting.wait_until_quiet(images)
        with messages.status("looking again"):
            found = forgetting.find()
        # S3 tells of a deletion after a moment, and so perhaps after the queue was found empty.
        waiting = forgetting.queued()
        if found.is_about_them() or not waiting or time.monotonic() > deadline:
            return found, waiting


def _delete_all(
    deployment: Deployment, forgetting: Forgetting, found: Found, *, as_json: bool
) -> None:
    deleted: Counter[str] = Counter()
    images: list[UploadedImage] = []
    for _ in range(_ROUNDS):
        images += found.images
        with messages.status("deleting"):
            deleted += forgetting.delete(found)
        found, waiting = _looked_again(forgetting, images)
        if not found.is_about_them():
            break
    else:
        raise Actionable(
            "Something still writes about them: is somebody uploading their photographs? Stop "
            f"that, and repeat the command. Left: {_in_words(found.counts())}."
        )
    line = forgetting.write_audit_line(deleted)
    _show(deleted, "Deleted", waiting, again=len(forgetting.searched_again), as_json=as_json)
    if not as_json:
        _show_what_is_kept(forgetting, found, images, line)
    if forgetting.pages_left:
        raise Actionable(
            "Evidence pages, which may show anybody, are left; all else that was found is deleted. "
            "Delete them too:\n  "
            + "\n  ".join(forgetting.pages_left.values())
            + (f"\nAnd {_not_finished(deployment, waiting)}" if waiting else "")
        )
    if waiting:
        raise _not_finished(deployment, waiting)


def _not_finished(deployment: Deployment, waiting: int) -> Actionable:
    return Actionable(
        f"not finished: the queue holds messages ({waiting:,}), and one may be about a photograph "
        "of this person; repeat the command when the queue is empty: "
        + deployment.command("status")
    )


def _namesakes(ids: Collection[str]) -> str:
    """Return the record ids of other records that have the name, for a sentence."""
    listed = ", ".join(printable(one) for one in sorted(ids)[:_LISTED])
    return listed + (f" and {len(ids) - _LISTED:,} more" if len(ids) > _LISTED else "")


def _nowhere(person: Person, namesakes: Collection[str]) -> Actionable:
    """Say that nothing is about the person, which a wrong spelling explains as well."""
    if namesakes:
        return Actionable(
            f"No record without a record id has the name {person.value!r}, so nothing was deleted. "
            f"Records with an id have it ({_namesakes(namesakes)}); each may be another person. "
            "Give the id of the record that is meant: --id ID."
        )
    what, where = {
        "name": (f"the name {person.value!r}", "as the key of a photograph carries it"),
        "id": (f"the record id {person.value!r}", "as the key of a photograph carries it"),
        "key": (f"the key {person.value!r}", "whole, with its prefix"),
    }[person.kind]
    return Actionable(
        f"No photograph, face, record, decision or dead letter has {what}, so nothing was deleted. "
        f"Either everything about it was deleted before, or it is spelled differently: give it "
        f"{where}."
    )


def _list(found: Found) -> None:
    """List what would be deleted, each thing on a line."""
    for kind, names in found.names().items():
        if names:
            output.print(f"{KINDS[kind]}:", style="bold")
        for name in names[:_LISTED]:
            output.say(f"  {name}")
        if len(names) > _LISTED:
            output.print(f"  and {len(names) - _LISTED:,} more; --json lists all")


def _show_what_is_kept(
    forgetting: Forgetting, found: Found, images: Iterable[UploadedImage], line: str
) -> None:
    count, until = forgetting.histories(images)
    output.print(safe(f"Written down, without the name: {line}"))
    output.print("What AWS keeps:")
    for sentence in (
        f"Step Functions keeps {count} executions, with the key in their input and name"
        + (f", until {until:%Y-%m-%d} at the latest." if until else "."),
        "The removals of the photographs are executions too, and kept for 90 days.",
        "A message about a removal stays in the queue until it is processed.",
        "Executions of other people's photographs keep what they found, and so the name and the "
        "key, in their output and history, for 90 days after they ended. One that failed after it "
        "had found them writes them into its report again when it is replayed (by command "
        "or by Redrive in the console): repeat this command after that.",
        "QuickSight, if there is a dashboard, shows imported data until its next refresh, the "
        "next night; refresh the data sets to be done at once.",
        "Notifications that were sent stay where they were received.",
        *(
            [f"{found.unread_letters} dead letters hold no key that can be read, and stay."]
            if found.unread_letters
            else []
        ),
        *(
            f"{folder} held an evidence page once, and holds none now. If it was moved, or its "
            "disk is not attached, delete it there."
            for folder in sorted(forgetting.pages_gone)
        ),
    ):
        output.print(safe(f"  {sentence}"))


def _show(
    counts: dict[str, int] | Counter[str],
    title: str,
    waiting: int,
    *,
    again: int,
    as_json: bool,
    listed: dict[str, list[str]] | None = None,
) -> None:
    """Show how many there are of each kind.

    Parameters
    ----------
    again
        How many photographs of other people are searched again.
    listed
        The things themselves, for JSON.
    """
    if as_json:
        shown = {kind: counts.get(kind, 0) for kind in KINDS}
        things = {} if listed is None else {"listed": listed}
        print_json({**shown, "searched_again": again, "queue_messages": waiting, **things})
        return
    table = Table(title=title, title_justify="left", show_header=False)
    for kind, words in KINDS.items():
        table.add_row(f"{counts.get(kind, 0):,}", words)
    output.print(table)
    if again:
        output.print(
            f"{again:,} reports of other people left matches out. Their photographs are searched "
            "again, since one of these may take the place of a match that goes."
        )


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {KINDS[kind]}" for kind, count in counts.items() if count)
