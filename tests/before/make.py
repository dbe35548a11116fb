"""Make the stack from before: what commit c3e239b wrote, in the folder of that name.

People have records, pages, exports and local clouds of that commit. Later commits write others, so
this runs on that commit only, and its result is kept. Tracebacks and the list of evidence pages
name the folder in which it runs, and the Python. Neither path may name a person or a machine::

    git worktree add --detach /opt/face-matching c3e239b
    cp -r tests/before /opt/face-matching/tests/
    cd /opt/face-matching
    make setup PYTHON=/opt/python3.11/bin/python3.11
    .venv/bin/python -m tests.before.make FOLDER

The project's own code writes everything. The workflow runs on a local cloud, and the photographs
are drawings in which its face engine finds faces. Only the emulator's private key, which the
project does not use, is left out.
"""

from __future__ import annotations

import functools
import io
import json
import lzma
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from facematch.deployment import Deployment
from facematch.executions import Executions
from facematch.local.home import STATE_ROOT, Home
from facematch.toolkit import PROJECT, synthesised
from PIL import Image
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner

from facematch.cli import app
from facematch.evidence import page
from facematch.local.cloud import LocalCloud
from functions.matching.images import UploadedImage, timestamp
from functions.matching.keys import external_image_id
from tests.before.drawn import jpeg, person
from tests.page.conftest import FLAGS, decide, exported
from tests.workflow.conftest import WAIT_SCALE, Workflow, eventually
from tests.workflow.faults import FaultyRekognition
from tests.workflow.test_audit import lose_messages, messages_in, starter_paused

if TYPE_CHECKING:
    from collections.abc import Callable

COMMIT: Final = "c3e239b"
_SOURCES: Final = ("app.py", "cdk.json", "facematch", "functions", "workflow")
_PLACE: Final = Path("/opt/face-matching")
_PRIVATE: Final = ("cognito-rsa-key.pem", "cognito-rsa-key.pem.lock")
_NO_CHARTS: Final = "window.vegaEmbed = async () => ({});"

#: People who do not resemble each other, but for the last two: 95 %.
ALMA, BRUNO, CLEO, DORA, EMIL, FRIDA, GEORG, HANS, HANSI = (
    *(861, 170, 580, 1131, 1330, 314, 815),
    *(1094, 610),
)


class Maker(Workflow):
    """The workflow, and what the story below does with it."""

    def add(self, key: str, body: bytes) -> UploadedImage:
        """Upload a photograph, and wait until its execution has ended."""
        image = self.upload(key, body)
        self.finished(image)
        return image

    def delete(self, image: UploadedImage, version: str | None = None) -> dict[str, Any]:
        """Delete a photograph, or one version of it; wait until its faces have left."""
        which = {"VersionId": version} if version else {}
        deleted: dict[str, Any] = self.s3.delete_object(Bucket=image.bucket, Key=image.key, **which)
        self.settle()
        return deleted

    def settle(self) -> None:
        """Wait until nothing waits or runs, at three looks in a row."""
        running = Executions(self.deployment)
        for _ in range(3):
            eventually(
                lambda: (
                    True
                    if not messages_in(self, "QueueUrl")
                    and not list(running.listed(statuses=("RUNNING",)))
                    else None
                )
            )
            time.sleep(0.5)

    def command(self, *arguments: str) -> str:
        """Run a command of the command line."""
        done = CliRunner().invoke(app, [*arguments, "--local"])
        if done.exit_code:
            raise RuntimeError(f"{arguments}: {done.output}") from done.exception
        return done.stdout

    def decide(self, *decisions: tuple[str, str, str, str]) -> None:
        """Import decisions as the evidence page exports them, on all the evidence that there is."""
        pairs = json.loads(self.command("matches", "--min", "0", "--json"))
        best = {(pair["name_a"], pair["name_b"]): pair["similarity"] for pair in pairs}
        rows = []
        for name, other, decision, note in decisions:
            names = sorted((name, other))
            rows.append(
                {
                    "name_a": names[0],
                    "name_b": names[1],
                    "decision": decision,
                    "note": note,
                    "decided_by": "Rita Müller-Lüdenscheidt",
                    "decided_at": timestamp(datetime.now(UTC)),
                    "similarity": best[names[0], names[1]],
                    "face_ids": self._faces_of(names),
                }
            )
        document = {
            "schema": 1,
            "stack": self.deployment.stack_name,
            "exported_at": timestamp(datetime.now(UTC)),
            "decisions": rows,
        }
        exported = self.cloud.home.folder.parent / "decisions.json"
        exported.write_text(json.dumps(document, ensure_ascii=False))
        self.command("decisions", "import", str(exported))

    def _faces_of(self, names: list[str]) -> list[str]:
        rows = self._read("matches")
        return sorted(
            {
                face
                for row in rows
                if sorted((row["name"], row["matched_name"])) == names
                for face in (row["face_id"], row["matched_face_id"])
            }
        )

    def _read(self, kind: str) -> list[dict[str, Any]]:
        bucket = self.deployment.output_bucket
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=f"{kind}/").get("Contents", [])
        bodies = [self.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"] for item in listed]
        return [json.loads(line) for body in bodies for line in body.read().splitlines()]


@functools.cache
def picture(number: int, light: float = 1.0) -> bytes:
    """One drawn person."""
    return jpeg(person(number), light=light)


def group(number: int, other: int) -> bytes:
    """Two drawn people, the first one larger."""
    both = Image.new("RGB", (280, 160), (90, 90, 90))
    both.paste(person(number))
    both.paste(person(other).resize((120, 120)), (160, 0))
    return jpeg(both)


def nobody(shade: int) -> bytes:
    """A picture with nobody in it."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((160, 120)).rotate(shade).save(buffer, "PNG")
    return buffer.getvalue()


def huge() -> bytes:
    """A small file that says it is a picture of 400 million pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def tiny() -> bytes:
    """A picture that is too small."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def matches_and_decisions(maker: Maker) -> None:
    """Names that are one person, each kind of decision, and names that are not."""
    zoe, aloysius, juergen = "Zoë Ångström", "Aloysius_Mbeki", "Jürgen & Söhne"
    maker.add(f"{zoe}_0001.jpg", picture(ALMA))
    maker.add(f"{zoe}_0002.jpg", picture(ALMA, 0.9))
    maker.add(f"Archiv 1/{aloysius}_0001.jpg", picture(ALMA, 0.95))
    maker.add(f"Archiv 1/{juergen}_0007.jpg", picture(ALMA, 1.05))
    formula, hostile = "=1+1 O'Nuñez", 'Ida; "II", <b>Roe'
    maker.add(f"{formula}_0001.jpg", picture(BRUNO))
    foreign(maker, "employee/4711", picture(BRUNO, 0.9))
    maker.add(f"{hostile}_0001.jpg", picture(BRUNO, 0.95))
    leo, bo = "Лев Толмачёв", "Bo%2BLee+Co"
    maker.add(f"{leo}_0001.jpg", picture(CLEO))
    maker.add(f"{bo}_0001.jpg", picture(CLEO, 0.95))
    # Of three matches two are left out, since this user keeps one a face.
    maker.configure("Search", MAX_MATCHES="1")
    maker.add(f"Archiv 1/{aloysius}_0002.jpg", picture(ALMA, 1.1))
    maker.configure("Search", MAX_MATCHES="100")
    maker.add("Mina 100%_0001.jpg", picture(HANS))
    maker.add("Ana-María del Río_0001.jpg", picture(HANSI))
    maker.decide(
        (zoe, aloysius, "SAME_PERSON", "married 2024; both passports seen"),
        (zoe, juergen, "UNSURE", "=HYPERLINK(\"x\") <script>alert('1')</script>"),
        (aloysius, juergen, "SAME_PERSON", ""),
        (formula, hostile, "DIFFERENT_PEOPLE", "Zwillinge, Ausweise gesehen"),
        (leo, bo, "DIFFERENT_PEOPLE", ""),
    )
    maker.decide((aloysius, juergen, "UNDECIDED", "taken back"))
    maker.add(f"{bo}_0002.jpg", picture(CLEO, 0.9))  # which opens the pair again
    # Searched again, and silenced by the decision.
    maker.command("backfill", "--again", "--prefix", f"images/{formula}")
    maker.settle()


def foreign(maker: Maker, external_id: str, photograph: bytes) -> None:
    """A face in the collection that no execution has put there."""
    maker.cloud.client("rekognition").index_faces(
        CollectionId=maker.deployment.outputs["CollectionId"],
        Image={"Bytes": photograph},
        ExternalImageId=external_id.replace("/", ":"),
        MaxFaces=1,
    )


def versions_and_removals(maker: Maker) -> None:
    """Photographs that are overwritten, deleted, come back; a person who is forgotten."""
    maker.add("Ottilie Über_0001.jpg", picture(DORA))
    maker.add("Paul_Plain_0001.jpg", group(DORA, GEORG))
    maker.decide(("Ottilie Über", "Paul_Plain", "SAME_PERSON", "before she was overwritten"))
    gustav = maker.add("Gustav Gone_0001.jpg", picture(EMIL))
    maker.add("Ottilie Über_0001.jpg", picture(EMIL, 0.95))
    maker.add("Quentin Q._0001.jpg", picture(DORA, 0.95))
    maker.delete(gustav)
    hanna = maker.add("Hanna Hidden_0001.jpg", picture(FRIDA))
    maker.delete(hanna, hanna.version_id)
    wanda = maker.add("Wanda Wieder_0001.jpg", picture(FRIDA, 0.95))
    marker = maker.delete(wanda)
    maker.delete(wanda, marker["VersionId"])  # she is back, and her face is not
    maker.add("Vera Vergessen_0001.jpg", picture(FRIDA, 0.9))
    maker.add("Solo Única_0001.jpg", picture(FRIDA))
    maker.command("forget", "--name", "Vera Vergessen", "--yes")
    foreign(maker, external_image_id("images/Otto Orphan_0001.jpg") or "", picture(EMIL, 0.9))


def images_at_fault(maker: Maker) -> None:
    """Each reason for a rejection."""
    maker.add("Empty Landscape_0001.png", nobody(0))
    for key, body in {
        "Broken Bill_0001.jpg": b"not a photograph",
        "Huge Hugo_0001.png": huge(),
        "Tiny Tim_0001.png": tiny(),
        ".jpg": picture(EMIL),
        f"{'Straße der Überlänge/' * 9}Lang_0001.jpg": picture(EMIL),
    }.items():
        maker.add(key, body)
    maker.upload("Twice Tom_0001.png", nobody(90))  # superseded
    maker.upload("Twice Tom_0001.png", nobody(180))
    flo = maker.upload("Fleeting Flo_0001.jpg", picture(EMIL))
    maker.delete(flo)
    with starter_paused(maker):
        maker.upload("Before The Queue_0001.jpg", picture(EMIL, 1.05))
        lose_messages(maker)
    record = {"eventSource": "aws:s3", "s3": {"object": {"key": "images/Mina+100%25.jpg"}}}
    for message in ({"Event": "s3:TestEvent", "Service": "Amazon S3"}, {"Records": [record]}):
        maker.cloud.client("sqs").send_message(
            QueueUrl=maker.deployment.outputs["DeadLetterQueueUrl"], MessageBody=json.dumps(message)
        )


def failed_executions(maker: Maker) -> UploadedImage:
    """Executions that failed at each step, and one that was stopped; it will have timed out."""

    def failed(key: str, body: bytes, code: str, operation: str) -> None:
        maker.rekognition.fail_next(10_000, code, operation)
        maker.failure(maker.add(key, body))
        maker.rekognition.fail_next(0, "")

    failed("Ferdi Fast_0001.jpg", picture(GEORG), "ThrottlingException", "IndexFaces")
    failed("Fiona F._0001.jpg", picture(GEORG, 0.95), "AccessDeniedException", "SearchFaces")
    rita = maker.add("Rita Removed_0001.jpg", picture(EMIL, 1.1))
    maker.rekognition.fail_next(10_000, "AccessDeniedException", "DeleteFaces")
    maker.delete(rita)
    maker.rekognition.fail_next(0, "")
    topic = maker.deployment.outputs["MatchesTopicArn"]
    maker.configure("Notify", MATCHES_TOPIC_ARN=f"{topic}-which-was-deleted")
    maker.add("Fritz Untold_0001.jpg", picture(GEORG, 0.9))
    maker.configure("Notify", MATCHES_TOPIC_ARN=topic)
    stopped = []
    maker.rekognition.indexed_late = 2.0
    for key, shade in (("Abel Aborted_0001.png", 30), ("Tilda Timeout_0001.png", 60)):
        image = maker.upload(key, nobody(shade))
        stop(maker, image)
        maker.failure(image)
        stopped.append(image)
    return stopped[-1]


def stop(maker: Maker, image: UploadedImage) -> None:
    """Stop an execution at its first step."""
    eventually(lambda: Executions(maker.deployment).described(maker.arn(image)))
    maker.stepfunctions.stop_execution(executionArn=maker.arn(image), cause="")


def running_at_the_end(maker: Maker) -> None:
    """Leave an execution running, which the stop of the local cloud ends."""
    maker.rekognition.indexed_late = 60.0
    rosa = maker.upload("Rosa Restart_0001.png", nobody(120))
    eventually(lambda: Executions(maker.deployment).described(maker.arn(rosa)))
    time.sleep(1)


def timed_out(home: Home, image: UploadedImage) -> None:
    """Make an execution one that timed out, which the emulator knows no way to."""
    file = home.state / "services" / "stepfunctions.json"
    state = json.loads(file.read_text())
    (execution,) = (
        execution
        for execution in state["payload"]["executions"]["data"].values()
        if execution["name"] == image.execution_name
    )
    execution["status"] = "TIMED_OUT"
    file.write_text(json.dumps(state))


def record_timeout(maker: Maker, image: UploadedImage) -> None:
    """Tell the failure function of it, as EventBridge would."""
    event = {
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "detail": {
            "executionArn": maker.arn(image),
            "status": "TIMED_OUT",
            "stopDate": int(time.time() * 1000),
        },
    }
    maker.cloud.client("lambda").invoke(
        FunctionName=maker.function("Failure"), Payload=json.dumps(event).encode()
    )


def run(home: Home, story: Callable[[Maker], Any]) -> tuple[Any, Deployment]:
    """Run a part of the story on the local cloud."""
    with (
        LocalCloud(home, wait_scale=WAIT_SCALE) as cloud,
        FaultyRekognition(cloud.running.rekognition if cloud.running else "") as rekognition,
    ):
        assert cloud.running
        stacks = cloud.client("cloudformation").describe_stacks(StackName=cloud.running.stack_name)
        maker = Maker(
            cloud=cloud,
            deployment=Deployment(
                stack_name=cloud.running.stack_name,
                local=True,
                outputs={o["OutputKey"]: o["OutputValue"] for o in stacks["Stacks"][0]["Outputs"]},
                make_client=cloud.client,
            ),
            rekognition=rekognition,
            photographs={},
        )
        return story(maker), maker.deployment


def first_story(maker: Maker) -> UploadedImage:
    """Everything up to the stop in the middle of an execution."""
    through_faults(maker, maker.rekognition.url)
    matches_and_decisions(maker)
    versions_and_removals(maker)
    images_at_fault(maker)
    maker.settle()
    late = failed_executions(maker)
    running_at_the_end(maker)
    return late


def through_faults(maker: Maker, url: str) -> None:
    """Let the functions reach Rekognition there."""
    for part in ("Index", "Search", "Removal"):
        maker.configure(part, AWS_ENDPOINT_URL_REKOGNITION=url)


def second_story(maker: Maker, *, late: UploadedImage, folder: Path) -> None:
    """What the restart has ended is recorded; people look at it, decide, and export."""
    assert maker.cloud.running
    through_faults(maker, maker.cloud.running.rekognition)
    record_timeout(maker, late)
    maker.settle()
    maker.command("query", "pairs")
    maker.cloud.client("ssm").put_parameter(
        Name=maker.deployment.outputs["NotifyThresholdParameter"], Value="98.5", Overwrite=True
    )
    # The charting library is megabytes, and so would be pictures of everybody.
    with patch(f"{page.render.__module__}.chart_library", lambda: _NO_CHARTS):
        whole = STATE_ROOT / "whole page"
        maker.command("dashboard", "--to", str(whole))
        decided_in_a_browser(whole / "index.html", folder)
        maker.command("dashboard", "--delete", "--to", str(whole))
        maker.command("dashboard", "--limit", "1")


def decided_in_a_browser(index: Path, folder: Path) -> None:
    """Decide three pairs on the page; keep both exports, and what the browser keeps."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        opened = browser.new_page()
        opened.goto(index.as_uri())
        decide(opened, "s", "d", "u")
        for kind in ("JSON", "CSV"):
            text = exported(opened, f"Export {kind}")
            (folder / f"decisions.{kind.lower()}").write_text(text, newline="")
        kept = opened.evaluate("JSON.stringify(localStorage)")
        (folder / "browser.json").write_text(kept + "\n")
        browser.close()


def evaluated() -> None:
    """An evaluation of drawn people."""
    folder = STATE_ROOT / "people"
    folder.mkdir()
    for name, who in {"Alma A._1": ALMA, "Alma A._2": ALMA, "Brünö_1": BRUNO}.items():
        (folder / f"{name}.jpg").write_bytes(picture(who, 0.9 if name.endswith("2") else 1.0))
    CliRunner().invoke(app, ["evaluate", str(folder)], catch_exceptions=False)


def keep(deployment: Deployment, home: Home, folder: Path) -> None:
    """Put what is on disk into the fixture: records as they are, the rest in an archive."""
    output = home.state / "s3" / "000000000000" / deployment.output_bucket
    records = {
        path: folder / "records" / path.relative_to(output)
        for path in sorted(output.rglob("*.json"))
        if not path.name.endswith(".meta.json")
    }
    for path, kept in records.items():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, kept)
    files = [
        *home.state.rglob("*"),
        *(home.folder / "dashboard").rglob("*"),
        *(STATE_ROOT / "evaluation").rglob("*"),
        STATE_ROOT / "dashboards.json",
    ]
    with tarfile.open(folder / "state.tar.xz", "w:xz", preset=9) as archive:
        for path in sorted(files):
            if path.is_file() and path.name not in _PRIVATE and path not in records:
                archive.add(path, path.relative_to(STATE_ROOT).as_posix(), filter=_anonymous)
    (template,) = synthesised().glob("*.template.json")
    (folder / "template.json.xz").write_bytes(lzma.compress(template.read_bytes(), preset=9))
    shutil.copyfile(PROJECT / "cdk.json", folder / "cdk.json")
    (folder / "outputs.json").write_text(json.dumps(deployment.outputs, indent=2) + "\n")


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def main() -> None:
    """Make it, within one day: the tests shift that day to yesterday."""
    folder = Path(sys.argv[1]).resolve()
    if (
        PROJECT != _PLACE
        or subprocess.run(
            ["git", "diff", "--quiet", COMMIT, "--", *_SOURCES], cwd=PROJECT, check=False
        ).returncode
    ):
        sys.exit(f"This is for commit {COMMIT} in {_PLACE}: see the beginning of this file.")
    began = datetime.now(UTC)
    home = Home.default()
    late, deployment = run(home, first_story)
    timed_out(home, late)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(home, functools.partial(second_story, late=late, folder=folder))
    evaluated()
    keep(deployment, home, folder)
    ended = datetime.now(UTC) + timedelta(seconds=1)
    if began.date() != ended.date():
        sys.exit("It is midnight (UTC): make it again.")
    made = {"commit": COMMIT, "began": timestamp(began), "ended": timestamp(ended)}
    (folder / "made.json").write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
