"""facematch show: the whole history of one image."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from facematch.cli.links import colored, show_links
from facematch.cli.options import AsJson, Where, on_stack
from facematch.cli.terminal import messages, output, print_json, safe
from facematch.operations.image_history import ImageHistory, image_history
from facematch.operations.matches import SEARCH_AGAIN
from facematch.stack.deployment import Deployment
from facematch.stack.executions import Described
from functions.matching.failures import Replay, error_message
from functions.matching.identity import Identity, identity_in
from functions.matching.notifications import percent
from functions.matching.reports import identity_of, is_above_threshold, names_left_out
from functions.matching.subjects import MainSubject, people_shown

#: Of a notification.
_FAILED: Final = "failed"


@on_stack
def show(
    what: Annotated[str, typer.Argument(metavar="EXECUTION|KEY")],
    *,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Tell an image's whole history: event, steps, faces, matches from both sides, failure."""
    deployment = where.deployment()
    with messages.status("reading"):
        told = image_history(deployment, what)
    if as_json:
        document = asdict(told)
        document["image"] = told.image.to_payload() if told.image else None
        print_json(document, default=str)
        return
    output.print(Group(*_told(deployment, told)))
    for arn in _replayable(told):
        again = deployment.command("replay", arn.rpartition(":")[2])
        output.say(f"Once the cause is fixed: {again}")
    for execution in told.executions[-1:]:
        show_links(deployment, execution.arn)


def _replayable(told: ImageHistory) -> set[str]:
    """ARNs of the executions whose replay repairs what failed."""
    records = [record for record in (told.failure, told.delivery_failure) if record]
    arns = {r["execution_arn"] for r in records if r["replay"] == Replay.REDRIVE}
    if told.report and _delivery(told.report, told.executions) == _FAILED:
        arns.add(told.report["execution_arn"])
    return arns


def _identity(told: ImageHistory, pattern: re.Pattern[str]) -> Identity | None:
    """Return who was read from the key when the outcome was written, or would be read now."""
    record = told.report or told.failure
    if record:
        return identity_of(record)
    return identity_in(told.image.key, pattern) if told.image else None


def _told(deployment: Deployment, told: ImageHistory) -> list[Any]:
    parts: list[Any] = []
    if told.image:
        image = told.image
        parts.append(safe(f"{image.uri}", "bold"))
        parts.append(
            safe(
                f"uploaded {image.last_modified:%Y-%m-%d %H:%M:%S} UTC, {image.size:,} bytes, "
                f"version {image.version_id}, digest {image.digest}"
            )
        )
    shown = _identity(told, deployment.names_from) or "none: the key carries no name"
    parts.append(Text("name ").append(safe(str(shown), "bold")))
    for execution in told.executions:
        line = Text("execution ").append(safe(execution.name)).append(" ")
        line.append(colored(execution.status))
        if execution.redrives:
            line.append(f", redriven {execution.redrives} times")
        parts.append(line)
    if told.steps:
        parts.append(_steps_table(told))
    if told.report:
        parts += _told_report(deployment, told)
    parts += _told_others(deployment, told)
    for failure in (told.failure, told.delivery_failure):
        if failure:
            parts += _told_failure(failure)
    if not told.executions and not told.report and not told.failure:
        never = told.never_starts
        waits = "no outcome yet: it waits in the queue, or its message was lost"
        parts.append(safe(f"never processed: {never}" if never else waits))
    return parts


def _told_others(deployment: Deployment, told: ImageHistory) -> list[Text]:
    lines = [
        Text(f"  seen from {percent(row['similarity'])} ").append(
            _photograph(
                str(identity_of(row)),
                row["key"],
                is_copy=row["same_file"],
                people=row.get("prominent_faces"),
            )
        )
        for row in told.seen_by_others
    ]
    if told.not_looked_up:
        lines.append(Text(f"  and up to {told.not_looked_up:,} less similar ones. See all pairs:"))
        lines.append(safe(f"    {deployment.command('evidence')}"))
    if told.not_asked:
        why = f"  which photographs found this one is not known: {told.not_asked}"
        lines.append(safe(why, "yellow"))
    return lines


def _photograph(name: str, key: str, *, is_copy: bool, people: int | None) -> Text:
    line = safe(f"{name}  {key}").append(", the same file" if is_copy else "")
    if people and people > 1:
        line.append(f", {people_shown(people)}", style="yellow")
    return line


def _told_failure(failure: dict[str, Any]) -> list[Text]:
    lines = [Text("failure ", style="red").append(safe(failure["message"]))]
    # The sentence about a rejection has everything that its cause has.
    if failure["cause"] and not failure["cause"].startswith(failure["reason"]):
        lines.append(Text("  cause: ").append(safe(error_message(failure["cause"]))))
    lines.append(Text("  what to do: ").append(safe(failure["remedy"])))
    return lines


def _told_report(deployment: Deployment, told: ImageHistory) -> list[Text]:
    report = told.report or {}
    line = Text(f"report {report['status']}, searched {report['searched_at']}, notification: ")
    lines = [line.append(_delivery(report, told.executions))]
    for face in report["faces"]:
        lines.append(
            Text(f"  face at {_place(face['box'])}, confidence {face['confidence']:.0f} %")
        )
        lines += [
            Text(f"    matches {percent(match['similarity'])} ").append(
                _photograph(
                    str(identity_of(match)),
                    match["key"],
                    is_copy=match["key"] in told.same_files,
                    people=match.get("prominent_faces"),
                )
            )
            for match in face["matches"]
        ]
    for face in report["unindexed_faces"]:
        reasons = ", ".join(face["reasons"])
        setting = "max_faces" if face["reasons"] == ["EXCEEDS_MAX_FACES"] else "quality_filter"
        lines.append(
            safe(f"  face at {_place(face['box'])}, not searched: {reasons} (setting {setting})")
        )
    if report.get("subject") == MainSubject.LARGEST_OF_SEVERAL:
        shows = people_shown(report["prominent_faces"])
        lines.append(Text(f"  {shows}: the one that its key names may be another", style="yellow"))
    if not report["faces_in_image"]:
        lines.append(Text("  Rekognition saw no face in the image"))
    if report["matches_left_out"]:
        lines.append(Text(f"  and {report['matches_left_out']} more matches, left out"))
    lacking = names_left_out(report)
    if lacking.any:
        best = report.get("best_left_out_similarity")
        bound = f", by {percent(best)} at most" if best else ""
        lines.append(Text(f"  the photograph {lacking.words}{bound}", style="yellow"))
        lines.append(Text("  what to do: ").append(SEARCH_AGAIN))
        lines.append(
            safe(f"    {deployment.command('backfill', '--again', '--prefix', report['key'])}")
        )
    return lines


def _place(box: dict[str, float]) -> str:
    return f"{box['left']:.2f}, {box['top']:.2f} ({box['width']:.2f} x {box['height']:.2f})"


def _delivery(report: dict[str, Any], executions: list[Described]) -> str:
    """What became of the notification of the report's match."""
    if not is_above_threshold(report):
        return "not due, below the threshold"
    for execution in executions:
        if execution.arn == report["execution_arn"]:
            return {"SUCCEEDED": "made", "RUNNING": "on its way"}.get(execution.status, _FAILED)
    return "unknown, since Step Functions has forgotten the execution"


def _steps_table(told: ImageHistory) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for column in ("Step", "Entered (UTC)", "Seconds", "Failed attempts"):
        table.add_column(column)
    for step in told.steps:
        table.add_row(
            step.name,
            f"{step.entered.astimezone(UTC):%H:%M:%S.%f}"[:-3],
            "" if step.seconds is None else f"{step.seconds:.3f}",
            safe(", ".join(step.errors)),
        )
    return table
