"""facematch upload: the photographs of a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from facematch.cli.exit_status import ExitStatus
from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import (
    duration,
    messages,
    output,
    print_json,
    progress,
    safe,
    show_left_out,
    show_names,
)
from facematch.operations.names import NamesRead, names_read
from facematch.operations.upload import (
    Outcomes,
    Plan,
    Uploader,
    not_uploaded_words,
    wait_for_outcomes,
)
from facematch.stack import deployment as deployments
from facematch.text import local_command, visible


@on_stack
def upload(
    folder: Annotated[Path, typer.Argument(exists=True)],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until each has an outcome.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how names are read, and upload nothing.")
    ] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Upload the photographs in FOLDER that the bucket does not hold yet.

    Keys are the paths below FOLDER. It can be stopped and repeated: what is there already with
    the same size and content is left alone, and starts nothing.
    """
    deployment = where.deployment()
    uploader = Uploader(deployment)
    with messages.status("comparing the folder with the bucket"):
        plan = uploader.plan(folder)
    show_left_out(plan.left_out)
    names = names_read(plan.keys, deployment.names_from)
    show_names(names, _remedy(deployment))
    if dry_run:
        if as_json:
            print_json({"would_upload": len(plan.new), **_document(plan, names)})
        else:
            output.print(
                f"{len(plan.new)} would be uploaded, {len(plan.unchanged)} are unchanged. "
                "Nothing was uploaded."
            )
        return
    if plan.not_compared:
        messages.print(
            safe(
                "Uploaded again, since S3 denies to say if it has changed: "
                f"{plan.not_compared[0].path}, and {len(plan.not_compared) - 1} more. Each is "
                "indexed and searched anew. To compare them you need s3:GetObjectVersion on the "
                "bucket and, where it is encrypted under a key, kms:Decrypt."
            )
        )
    outcomes = None
    with progress() as bars:
        task = bars.add_task("photographs uploaded", total=len(plan.new), visible=bool(plan.new))
        versions, errors = uploader.upload(plan.new, done=lambda _: bars.advance(task))
        if wait:
            versions += plan.unchanged
            waiting = bars.add_task("executions finished", total=len(versions))
            outcomes = wait_for_outcomes(
                deployment, versions, finished=lambda count: bars.update(waiting, completed=count)
            )
    for words in not_uploaded_words(errors):
        messages.print(safe(words, style="red"))
    _show_upload(
        plan,
        names,
        not_uploaded=len(errors),
        outcomes=outcomes,
        deployment=deployment,
        as_json=as_json,
    )
    if errors or (outcomes and (outcomes.failed or outcomes.undelivered)):
        raise typer.Exit(ExitStatus.FAILED)


def _remedy(deployment: deployments.Deployment) -> str:
    """Tell how to read other names, with a command to paste."""
    command = (
        f"{local_command('stop')} && {local_command('start', '-c', 'names_from=folder')}"
        if deployment.local
        else 'make deploy CONTEXT="-c names_from=folder"'
    )
    return (
        f"If each person has a folder, set that the folder is the name:\n  {command}\n"
        "Otherwise rename the photographs, or set names_from to a regular expression."
    )


def _document(plan: Plan, names: NamesRead) -> dict[str, Any]:
    """What JSON has of the plan."""
    return {
        "unchanged": len(plan.unchanged),
        "left_out": [
            {"path": visible(str(path)), "reason": why.name}
            for path, why in sorted(plan.left_out.items())
        ],
        "names": {
            "photographs": names.photographs,
            "names": names.names,
            "unnamed": names.unnamed,
            "examples": [{"key": key, "name": name} for key, name in names.examples],
            "doubts": {doubt.name: examples for doubt, examples in names.doubts.items()},
        },
    }


def _show_upload(
    plan: Plan,
    names: NamesRead,
    *,
    not_uploaded: int,
    outcomes: Outcomes | None,
    deployment: deployments.Deployment,
    as_json: bool,
) -> None:
    uploaded = len(plan.new) - not_uploaded
    if as_json:
        document = {
            "uploaded": uploaded,
            "not_uploaded": not_uploaded,
            **_document(plan, names),
            **(asdict(outcomes) if outcomes else {}),
        }
        print_json(document)
        return
    text = f"{uploaded} uploaded, {len(plan.unchanged)} unchanged"
    if not_uploaded:
        text += f", {not_uploaded} not uploaded (repeat the command to try again)"
    if outcomes:
        text += f"; {len(outcomes.reported)} have a report, "
        if outcomes.undelivered:
            text += f"of {len(outcomes.undelivered)} of them nobody was notified, "
        if outcomes.superseded:
            text += f"{len(outcomes.superseded)} gave way to a newer version, "
        text += f"{len(outcomes.rejected)} were rejected, {len(outcomes.failed)} failed"
    elif uploaded and deployment.pace:
        seconds = uploaded / deployment.pace
        text += f"; at {deployment.pace:.3g} a second, all are started within {duration(seconds)}"
    output.print(f"{text}.")
    if outcomes:
        _show_outcomes(outcomes, deployment)


def _show_outcomes(outcomes: Outcomes, deployment: deployments.Deployment) -> None:
    """What has no report, or nobody was notified of, why, and what to do about it."""
    for key in outcomes.superseded:
        output.print(
            safe(f"  gave way to a newer version of the same photograph (nothing to do): {key}")
        )
    for kind, keys in (
        ("rejected", outcomes.rejected),
        ("failed", outcomes.failed),
        ("has a match, but nobody was notified", outcomes.undelivered),
    ):
        for key in keys:
            output.print(safe(f"  {kind} ({outcomes.reasons[key]}): {key}"))
    if outcomes.rejected or outcomes.failed or outcomes.undelivered:
        output.say(f"What happened, and what to do: {deployment.command('failures')}")
    if outcomes.failed or outcomes.undelivered:
        output.say(f"Once the cause is fixed: {deployment.command('replay', '--all')}")
