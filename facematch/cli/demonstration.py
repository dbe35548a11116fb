"""What `facematch demo` does: a pile of photographs, the workflow, its result."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import typer
from PIL import Image, ImageOps

from facematch.cli import evidence as evidence_page
from facematch.cli.local import next_settings
from facematch.cli.matches import conflicts_table, tables_by_relation
from facematch.cli.terminal import (
    messages,
    output,
    progress,
    safe,
    show_left_out,
    show_names,
    table,
)
from facematch.errors import Unusable
from facematch.local.cloud import LocalCloud, reset
from facematch.local.kept_settings import KeptSettings
from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from facematch.operations.conflicts import Conflict, conflicts, mirrored_once
from facematch.operations.matches import RecordPair, matches
from facematch.operations.names import names_read
from facematch.operations.upload import (
    Uploader,
    not_uploaded_words,
    require_photographs,
    wait_for_outcomes,
)
from facematch.stack.deployment import Deployment, on_local_cloud
from facematch.stack.records import Records, digest_of
from facematch.text import command, local_command, shown
from functions.matching.notifications import percent
from functions.matching.places import Place
from functions.matching.reports import identity_of
from workflow.project import STATE_ROOT, private_folder
from workflow.synthesis import settings_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facematch.evidence.write import Written

_OWN_PHOTOGRAPHS: Final = STATE_ROOT / "demo" / "photographs"
_ROWS: Final = 30
_HORIZON: Final = 0.6
#: One man under his name in two spellings and under an invented one that has two record ids.
_LAYOUT: Final = {
    "Barack_Obama_0001.jpg": "obama.jpg",
    "Barack_Obama_0002.jpg": "obama3.jpg",
    "Barak_Obama_0001.jpg": "obama2.jpg",
    "2041_Max_Mustermann_0001.jpg": "obama_partial_face.jpg",
    "2077_Max_Mustermann_0001.jpg": "obama_partial_face2.jpg",
    "Joe_Biden_0001.jpg": "biden.jpg",
}
#: A photograph of the one man that is filed under the name of the other: one record, two faces.
_MISFILED: Final = ("Joe_Biden_0002.jpg", "obama2.jpg")
#: Where these names are: as by default, but digits in front of a name are a record id.
_OWN_NAMES: Final = r"(?:^|/)(?:(?P<id>[0-9]+)_)?(?P<name>[^/.][^/]*?)(?:_\d+)?(?:\.[^./]*)?\Z"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found.

    Attributes
    ----------
    records
        The report or failure record of each photograph.
    image_prefix
        Of their keys.
    """

    image_prefix: str
    records: list[dict[str, Any]]
    pairs: list[RecordPair]
    threshold: float
    conflicts: list[Conflict]
    page: Written


def lay_out(folder: Path) -> None:
    """Fill the folder: real photographs under several names, one without a face, one broken.

    What else lies there stays.
    """
    private_folder(STATE_ROOT)
    private_folder(folder)
    photographs = fetch_photographs()
    for name, source in _LAYOUT.items():
        shutil.copyfile(photographs[source], folder / name)
    name, source = _MISFILED
    with Image.open(photographs[source]) as photograph:
        ImageOps.mirror(photograph).save(folder / name, quality=95)
    _landscape().save(folder / "Empty_Landscape_0001.png")
    (folder / "Broken_File_0001.jpg").write_bytes(photographs["biden.jpg"].read_bytes()[:300])


def run(photographs: Path | None, names: str | None) -> DemoResult:
    """Run the workflow on the folder, or on the demo's own photographs, and show the result.

    It works on the local cloud and deletes nothing there. A local cloud that runs goes on running.

    Parameters
    ----------
    names
        The setting names_from; by default that of the last start, and for the demo's own
        photographs that of cdk.json.
    """
    home = StateFolder.default()
    if photographs is None:
        messages.print("Fetching official photographs of the White House from the package index")
        photographs = _OWN_PHOTOGRAPHS
        lay_out(photographs)
        names = names or _rule_of_own_names(home)
    photographs = photographs.resolve()
    require_photographs(photographs)
    with _deployed(home, {} if names is None else {"names_from": names}) as deployment:
        result = _process(deployment, photographs, home)
    show(result, home)
    return result


def _rule_of_own_names(home: StateFolder) -> str:
    """Return how the names of the demo's own photographs are read.

    A local cloud that reads names as cdk.json says keeps doing so: a record id is then a part of
    the name.
    """
    usual = settings_with({}).names_from
    return usual if KeptSettings.of(home).recorded.get("names_from") == usual else _OWN_NAMES


@contextmanager
def _deployed(home: StateFolder, given: Mapping[str, str]) -> Iterator[Deployment]:
    """Yield the deployment on the local cloud, which is started unless it runs."""
    kept = KeptSettings.of(home)
    misread = [c for c in kept.changes_to(kept.with_given(given)) if c.name in given]
    running = home.running()
    if running:
        if misread:
            raise Unusable(
                f"The local cloud in {home.folder} reads names by another rule. Stop it, and run "
                f"the command again: {local_command('stop')}"
            )
        messages.print(f"The local cloud runs already: {running.endpoint}")
        yield on_local_cloud(running, home)
        return
    if misread:
        _begin_anew(home)
    settings = next_settings(home, given)
    with (
        messages.status("local cloud") as status,
        LocalCloud(
            home,
            overrides=settings.given,
            say=lambda text: status.update(f"local cloud: {text}"),
        ) as cloud,
    ):
        status.stop()
        started = cloud.running
        assert started is not None  # noqa: S101 - it has just been started
        messages.print(
            "The local cloud runs the same CloudFormation template and functions as on AWS: "
            f"{started.endpoint}"
        )
        yield on_local_cloud(started, home)


def _begin_anew(home: StateFolder) -> None:
    """Empty the local cloud, in which names were read by another rule, if a person agrees.

    Photographs that are there keep the names that were read when they were uploaded.
    """
    what = f"The local cloud in {home.folder} holds records whose names were read by another rule."
    if not sys.stdin.isatty():
        raise Unusable(
            f"{what} Nothing was changed. Delete everything in it, then run the command again: "
            + local_command("reset", "--yes")
        )
    typer.confirm(shown(f"{what} Delete everything in it, and begin anew?"), abort=True)
    evidence_page.delete_local_page(home)
    reset(home)


def _process(deployment: Deployment, folder: Path, home: StateFolder) -> DemoResult:
    uploader = Uploader(deployment)
    plan = uploader.plan(folder)
    show_left_out(plan.left_out)
    again = shlex.join(["make", "demo", f"PHOTOS={folder}", "NAMES=folder"])
    show_names(
        names_read(plan.keys, deployment.names_from),
        f"If each person has a folder, say so:\n  {again}\nOtherwise rename the photographs.",
    )
    if plan.unchanged:
        messages.print(f"{len(plan.unchanged):,} photographs are there already, unchanged.")
    count = len(plan.new) + len(plan.unchanged)
    with progress() as bars:
        uploading = bars.add_task(
            "photographs uploaded", total=len(plan.new), visible=bool(plan.new)
        )
        executing = bars.add_task("executions finished", total=count)
        versions, errors = uploader.upload(plan.new, done=lambda _: bars.advance(uploading))
        versions += plan.unchanged
        wait_for_outcomes(
            deployment, versions, finished=lambda done: bars.update(executing, completed=done)
        )
    for words in not_uploaded_words(errors):
        messages.print(safe(words, style="red"))
    records = Records(deployment)
    threshold = deployment.notify_threshold()
    digests = {version.digest for version in versions}
    return DemoResult(
        image_prefix=deployment.image_prefix,
        records=list(
            records.read(
                [
                    key
                    for place in (Place.REPORTS, Place.FAILURES)
                    for key in records.keys(place)
                    if digest_of(key) in digests
                ]
            )
        ),
        pairs=matches(deployment, minimum=threshold),
        threshold=threshold,
        conflicts=mirrored_once(conflicts(deployment)),
        page=evidence_page.write_page(deployment, evidence_page.local_folder(home)),
    )


def show(result: DemoResult, home: StateFolder) -> None:
    """Print the tables, and where to look next."""
    rows = sorted(result.records, key=_best_first)
    head = ("Photograph", "Name", "Outcome", "The same face also as", "Similarity")
    cells = [
        (
            record["key"].removeprefix(result.image_prefix),
            str(identity_of(record) or ""),
            *_row(record),
        )
        for record in rows[:_ROWS]
    ]
    output.print()
    output.print(table(head, cells, numbers=head[-1:], title=f"{len(rows)} photographs"))
    if len(rows) > _ROWS:
        output.print(f"... and {len(rows) - _ROWS} more.")
    if result.pairs:
        output.print()
        output.print(
            f"Pairs of records from {result.threshold:g} % up: candidates for a person's judgement."
        )
        for pairs in tables_by_relation(result.pairs[:_ROWS]):
            output.print()
            output.print(pairs)
    else:
        output.print(f"No pair of records from {result.threshold:g} % up.")
    if result.conflicts:
        output.print()
        output.print(
            "One record, two faces: a photograph that resembles no other one of its record."
        )
        output.print(conflicts_table(result.conflicts[:_ROWS]))
    _show_next(rows, home)
    _show_page(result.page)


def _show_next(rows: list[dict[str, Any]], home: StateFolder) -> None:
    example = next((row for row in rows if row["status"] == "MATCHED"), rows[0] if rows else None)
    lines = ["", "Where to look next"]
    if not home.running():
        lines += [f"  {local_command('start')}", "      start this local cloud again"]
    nexts = {
        ("matches", "--min", "80"): "every pair that is reported",
        ("matches", "--conflicts"): "records with two faces",
        ("upload", "FOLDER", "--wait"): "add your own",
        ("status",): "what waits, runs, has finished, has failed",
    }
    if example:
        nexts["show", example["key"]] = "the whole history of a photograph"
    for words, meaning in nexts.items():
        lines += [f"  {command(*words, '--local', local=True)}", f"      {meaning}"]
    lines += [f"  {local_command('differences')}", "      what differs from AWS"]
    lines += ["  make demo PHOTOS=FOLDER", "      the same on your own folder"]
    for line in lines:
        output.say(line)


def _show_page(page: Written) -> None:
    output.print()
    output.print("The evidence page: faces side by side, for your judgement. Open it in a browser:")
    evidence_page.show(page)


def _row(record: dict[str, Any]) -> list[Any]:
    status = record["status"]
    if "faces" not in record:
        why = f"{record['message'].partition(' ')[2]} {record['remedy']}"
        return [safe(status, "red"), safe(why, "dim"), ""]
    found = {
        str(identity_of(match)): match["similarity"]
        for face in record["faces"]
        for match in reversed(face["matches"])
    }
    style = {"MATCHED": "bold yellow", "NO_FACE": "cyan"}.get(status, "green")
    names = ", ".join(sorted(found, key=lambda name: -found[name]))
    best = percent(record["best_similarity"]) if found else ""
    return [safe(status, style), names, best]


def _best_first(record: dict[str, Any]) -> tuple[int, float, str]:
    order = {"MATCHED": 0, "UNIQUE": 1, "NO_FACE": 2}
    return order.get(record["status"], 3), -record.get("best_similarity", 0.0), record["key"]


def _landscape() -> Image.Image:
    """A meadow under a sky, and nobody in it."""
    height, width = 360, 480
    shade = np.linspace(0.0, 1.0, height)[:, None] * np.ones((1, width))
    sky = np.stack([120 + 80 * shade, 170 + 50 * shade, 235 + 10 * shade], axis=-1)
    grass = np.stack([70 + 30 * shade, 150 - 60 * shade, 60 + 10 * shade], axis=-1)
    horizon = (shade > _HORIZON)[:, :, None]
    return Image.fromarray(np.where(horizon, grass, sky).astype(np.uint8))
