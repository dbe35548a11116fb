"""Hostile and broken input, from the upload to its one visible outcome.

What Rekognition takes and refuses follows the Amazon Rekognition Developer Guide, "Guidelines and
quotas": JPEG and PNG, up to 15 MB, sides of 80 pixels and more, faces of 40 pixels in an image of
up to 1920 x 1080; and of the API Reference (IndexFaces) that EXIF orientation is applied and that
MaxFaces keeps the largest. AWS says nothing of colour modes, truncated files, animation and
decompression bombs: there the table says what the local endpoint does.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any
from unicodedata import normalize
from urllib.parse import quote_plus

import numpy as np
import pytest
from PIL import Image

from functions.matching.identity import record_of_name
from tests.crafted import STORED, with_scans
from tests.workflow.conftest import eventually
from tests.workflow.test_audit import starter_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

#: Outcomes of an image in which the one man's face is to be found; which of the two reports it
#: gets depends on who was indexed before it.
FOUND = frozenset({"MATCHED", "UNIQUE"})
NO_FACE = frozenset({"NO_FACE"})
NOTHING: frozenset[str] = frozenset()
"""No outcome, on purpose: not an image of ours."""


# --- Pictures ---------------------------------------------------------------------------------


class Pictures:
    """The one man's face, low in the left of a picture, in every kind of file."""

    def __init__(self, photographs: dict[str, bytes]) -> None:
        with Image.open(io.BytesIO(photographs["obama.jpg"])) as whole:
            self.face = whole.convert("RGB").crop((270, 0, 910, 640)).resize((320, 320))
        with Image.open(io.BytesIO(photographs["biden.jpg"])) as whole:
            self.other = whole.convert("RGB").crop((380, 120, 780, 600)).resize((150, 180))

    def plain(self) -> bytes:
        return encoded(self.face, "JPEG", quality=92)

    def as_file(self, file_format: str, mode: str = "RGB", **options: object) -> bytes:
        return encoded(self.face.convert(mode), file_format, **options)

    def sixteen_bits(self) -> bytes:
        grey = np.asarray(self.face.convert("L")).astype(np.uint16) * 257
        return encoded(Image.fromarray(grey), "PNG")

    def animated(self) -> bytes:
        other = [Image.new("RGB", self.face.size, colour) for colour in ("red", "blue")]
        return encoded(self.face, "PNG", save_all=True, append_images=other, duration=100)

    def turned(self, orientation: int) -> bytes:
        """Stored turned or mirrored, with the EXIF tag that tells how to turn it back."""
        exif = Image.Exif()
        exif[0x112] = orientation
        stored = self.face
        if orientation in STORED:
            stored = stored.transpose(STORED[orientation])
        return encoded(stored, "JPEG", quality=95, exif=exif)

    def tiny_face(self) -> bytes:
        canvas = Image.new("RGB", (320, 320), "grey")
        canvas.paste(self.face.resize((54, 54)), (100, 100))  # the face is 20 pixels wide
        return encoded(canvas, "PNG")

    def crowd(self) -> bytes:
        canvas = Image.new("RGB", (1500, 1080), "grey")
        for place in range(60):
            canvas.paste(self.other, (place % 10 * 150, place // 10 * 180))
        return encoded(canvas, "JPEG", quality=92)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def blank(width: int, height: int) -> bytes:
    return encoded(Image.new("RGB", (width, height), "grey"), "PNG")


def bomb() -> bytes:
    """A PNG file of a kilobyte that claims 2.5 billion pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)


# --- The table --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An object, and what is to become of it.

    Attributes
    ----------
    key
        Below the image prefix.
    outcome
        Statuses of the report that it may get, or the reason for which it is rejected.
    name
        The person's, where the key has one that is not plain.
    tamper
        Done to the object between its event and its execution.
    """

    key: str
    body: Callable[[Pictures], bytes] = Pictures.plain
    outcome: frozenset[str] | str = FOUND
    name: str = ""
    tamper: Callable[[Workflow, UploadedImage], object] = lambda _workflow, _image: None


def deleted(workflow: Workflow, image: UploadedImage) -> None:
    workflow.s3.delete_object(Bucket=image.bucket, Key=image.key, VersionId=image.version_id)


def marked_as_deleted(workflow: Workflow, image: UploadedImage) -> None:
    workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)


def overwritten(workflow: Workflow, image: UploadedImage) -> None:
    workflow.s3.put_object(Bucket=image.bucket, Key=image.key, Body=b"newer")


UNUSABLE_FILES = {
    "an empty file": Upload(key="F1.jpg", body=lambda _: b"", outcome="CUT_OFF"),
    "a text": Upload(key="F2.jpg", body=lambda _: b"Ann Lee", outcome="NOT_JPEG_OR_PNG"),
    "half a JPEG": Upload(key="F3.jpg", body=lambda p: p.plain()[:5000], outcome="CUT_OFF"),
    "half a PNG": Upload(key="F4.png", body=lambda p: p.as_file("PNG")[:50_000], outcome="CUT_OFF"),
    "a GIF": Upload(key="F5.gif", body=lambda p: p.as_file("GIF"), outcome="NOT_JPEG_OR_PNG"),
    "a WebP": Upload(key="F6.webp", body=lambda p: p.as_file("WEBP"), outcome="NOT_JPEG_OR_PNG"),
    "a HEIC": Upload(key="F7.heic", body=lambda _: HEIC, outcome="NOT_JPEG_OR_PNG"),
    "a BMP": Upload(key="F8.bmp", body=lambda p: p.as_file("BMP"), outcome="NOT_JPEG_OR_PNG"),
    "a TIFF": Upload(key="F9.tif", body=lambda p: p.as_file("TIFF"), outcome="NOT_JPEG_OR_PNG"),
    "a GIF named .jpg": Upload(
        key="F10.jpg", body=lambda p: p.as_file("GIF"), outcome="NOT_JPEG_OR_PNG"
    ),
    "a JPEG of 506 scans": Upload(
        key="F11.jpg", body=lambda _: with_scans(500), outcome="NOT_JPEG_OR_PNG"
    ),
    "a JPEG that hides 2000 scans": Upload(
        key="F18.jpg", body=lambda _: with_scans(2000, hidden=True), outcome="NOT_JPEG_OR_PNG"
    ),
    "1 x 1 pixel": Upload(key="F12.png", body=lambda _: blank(1, 1), outcome="TOO_SMALL"),
    "79 x 79 pixels": Upload(key="F13.png", body=lambda _: blank(79, 79), outcome="TOO_SMALL"),
    "80 x 80 pixels": Upload(key="F14.png", body=lambda _: blank(80, 80), outcome=NO_FACE),
    "16 MB": Upload(
        key="F15.jpg", body=lambda p: p.plain() + bytes(16 * 2**20), outcome="TOO_LARGE"
    ),
    "a decompression bomb": Upload(key="F16.png", body=lambda _: bomb(), outcome="TOO_LARGE"),
    "a face of 20 pixels": Upload(key="F17.png", body=Pictures.tiny_face, outcome=NO_FACE),
}
USABLE_FILES = {
    "a CMYK JPEG": Upload(key="G1.jpg", body=lambda p: p.as_file("JPEG", "CMYK")),
    "a grey JPEG": Upload(key="G2.jpg", body=lambda p: p.as_file("JPEG", "L")),
    "a progressive JPEG": Upload(key="G3.jpg", body=lambda p: p.as_file("JPEG", progressive=True)),
    "a 16-bit PNG": Upload(key="G4.png", body=Pictures.sixteen_bits),
    "a palette PNG": Upload(key="G5.png", body=lambda p: p.as_file("PNG", "P")),
    "a transparent PNG": Upload(key="G6.png", body=lambda p: p.as_file("PNG", "RGBA")),
    "an animated PNG": Upload(key="G7.png", body=Pictures.animated),
    "a PNG named .jpg": Upload(key="G8.jpg", body=lambda p: p.as_file("PNG")),
    "a JPEG named .gif": Upload(key="G9.gif"),
    "a JPEG without an extension": Upload(key="G10"),
}
TURNED = {
    f"EXIF orientation {way}": Upload(key=f"E{way}.jpg", body=lambda p, way=way: p.turned(way))  # type: ignore[misc] # bound now
    for way in range(1, 9)
}
KEYS = {
    "spaces": Upload(key=" Ann  Lee _0001.jpg", name=" Ann  Lee "),
    "a plus": Upload(key="Ann+Lee_0001.jpg", name="Ann+Lee"),
    "a percent": Upload(key="100% Ann_0001.jpg", name="100% Ann"),
    "an escape": Upload(key="Ann%20Lee%2B_0001.jpg", name="Ann%20Lee%2B"),
    "quotes and markup": Upload(
        key='O\'Ann "B" <b>&amp;`$(x)`{%s}\\_0001.jpg', name='O\'Ann "B" <b>&amp;`$(x)`{%s}\\'
    ),
    "a newline": Upload(key="Ann\nLee\r\n_0001.jpg", name="Ann\nLee\r\n"),
    "a line separator": Upload(key="Ann\u2028Lee_0001.jpg", name="Ann\u2028Lee"),
    "a terminal's control": Upload(key="Ann\x1b[31mRed_0001.jpg", name="Ann\x1b[31mRed"),
    "an emoji": Upload(key="Ann \U0001f600_0001.jpg", name="Ann \U0001f600"),
    "right-to-left text": Upload(key="دانا כהן_0001.jpg", name="دانا כהן"),
    "a right-to-left override": Upload(key="Ann\u202egpj_0001.jpg", name="Ann\u202egpj"),
    "a composed accent": Upload(key=normalize("NFC", "Zoë_0001.jpg"), name="Zoë"),
    "a decomposed accent": Upload(key=normalize("NFD", "Zoë_0001.jpg"), name="Zoë"),
    "another letter that looks the same": Upload(key="Zоë_0001.jpg", name="Zоë"),  # noqa: RUF001
    "a name that is the beginning": Upload(key="Ann_0001.jpg", name="Ann"),
    "of another": Upload(key="Annabel_0001.jpg", name="Annabel"),
    "in small letters": Upload(key="annabel_0001.jpg", name="annabel"),
    "dots that lead up": Upload(key="../../Up_0001.jpg", name="Up"),
    "dots within": Upload(key="./a/../b//Within_0001.jpg", name="Within"),
    "dots as the name": Upload(key="people/...", outcome="UNNAMED"),
    "a leading slash": Upload(key="/Leading_0001.jpg", name="Leading"),
    "a trailing slash": Upload(key="Trailing_0001.jpg/", outcome="UNNAMED"),
    "a folder marker": Upload(key="folder/", body=lambda _: b"", outcome=NOTHING),
    "only an extension": Upload(key=".jpg", outcome="UNNAMED"),
    "only blanks": Upload(key="people/ \u2003_0001.jpg", outcome="UNNAMED"),
    "only digits": Upload(key="_0001.jpg", name="_0001"),
    "255 characters as an id": Upload(key="L" * 243 + ".jpg", name="L" * 243),
    "256 characters as an id": Upload(key="L" * 244 + ".jpg", outcome="KEY_UNUSABLE"),
    "1,024 bytes": Upload(key=("d" * 99 + "/") * 10 + "Ann_Lee_00001.jpg", outcome="KEY_UNUSABLE"),
    "1,024 bytes of emoji": Upload(key="\U0001f600" * 254 + "L", outcome="KEY_UNUSABLE"),
}
TAMPERED = {
    "a deleted version": Upload(key="T1.jpg", outcome="GONE", tamper=deleted),
    "a deleted object": Upload(key="T2.jpg", outcome="GONE", tamper=marked_as_deleted),
    "an overwritten object": Upload(key="T3.jpg", outcome="SUPERSEDED", tamper=overwritten),
}
CROWD = {"60 faces": Upload(key="Crowd.jpg", body=Pictures.crowd)}
ALL = {**UNUSABLE_FILES, **USABLE_FILES, **TURNED, **KEYS, **TAMPERED, **CROWD}


@dataclass
class Ending:
    """All that is to be seen of one uploaded version."""

    image: UploadedImage
    executions: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    matches: list[dict[str, Any]]


@pytest.fixture(scope="module")
def endings(workflow: Workflow) -> dict[str, Ending]:
    """Upload everything at once, wait for every execution, and read all that was written."""
    pictures = Pictures({name: workflow.photograph(name) for name in workflow.photographs})

    def upload(case: Upload) -> UploadedImage:
        return workflow.upload(case.key, case.body(pictures))

    with starter_paused(workflow), ThreadPoolExecutor(4) as pool:
        images = dict(zip(ALL, pool.map(upload, ALL.values()), strict=True))
        for what, case in ALL.items():
            case.tamper(workflow, images[what])
    awaited = [images[what].digest for what, case in ALL.items() if case.outcome is not NOTHING]

    def settled() -> bool | None:
        ended = " ".join(e["name"] for e in all_executions(workflow) if e["status"] != "RUNNING")
        return (all(digest in ended for digest in awaited) and queue_is_empty(workflow)) or None

    with what_is_missing_fails_its_own_test():
        eventually(settled, patience=60)
    executions = all_executions(workflow)
    records = [list(all_records(workflow, kind)) for kind in ("reports", "failures", "matches")]
    return {
        what: Ending(
            image,
            [execution for execution in executions if image.digest in execution["name"]],
            *([record for record in kind if record["digest"] == image.digest] for kind in records),
        )
        for what, image in images.items()
    }


def what_is_missing_fails_its_own_test() -> suppress:
    """Waits for a table's rows, but not for longer than patience has it."""
    return suppress(pytest.fail.Exception)


def all_records(workflow: Workflow, kind: str) -> Iterator[dict[str, Any]]:
    listed = workflow.s3.get_paginator("list_objects_v2").paginate(
        Bucket=workflow.deployment.output_bucket, Prefix=f"{kind}/"
    )
    for page in listed:
        for item in page.get("Contents", []):
            body = workflow.s3.get_object(
                Bucket=workflow.deployment.output_bucket, Key=item["Key"]
            )["Body"].read()
            yield from (json.loads(line) for line in body.splitlines())


def all_executions(workflow: Workflow) -> list[dict[str, Any]]:
    pages = workflow.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=workflow.deployment.state_machine_arn
    )
    return [execution for page in pages for execution in page["executions"]]


def queue_is_empty(workflow: Workflow, output: str = "QueueUrl") -> bool:
    attributes = workflow.cloud.client("sqs").get_queue_attributes(
        QueueUrl=workflow.deployment.outputs[output], AttributeNames=["All"]
    )["Attributes"]
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return all(attributes[name] == "0" for name in names)


def all_matches(endings: dict[str, Ending]) -> list[dict[str, Any]]:
    return [match for ending in endings.values() for match in ending.matches]


@pytest.mark.parametrize("what", ALL)
def test_every_upload_ends_in_exactly_one_outcome(endings: dict[str, Ending], what: str) -> None:
    case, ending = ALL[what], endings[what]
    if case.outcome is NOTHING:
        assert (ending.executions, ending.reports, ending.failures) == ([], [], [])
        return
    assert len(ending.executions) == 1
    assert len(ending.reports + ending.failures) == 1
    (execution,), (record,) = ending.executions, ending.reports + ending.failures
    assert record["key"] == ending.image.key
    if isinstance(case.outcome, str):
        assert execution["status"] == "FAILED"
        assert (record["status"], record["reason"]) == ("REJECTED", case.outcome)
        assert record["message"].startswith(ending.image.uri)
        assert record["replay"] == "NONE"
        assert record["remedy"]
    else:
        assert execution["status"] == "SUCCEEDED"
        assert record["status"] in case.outcome
        assert record["name"] == (case.name or record["name"])


def test_a_face_is_found_at_its_place_however_exif_turns_the_photograph(
    endings: dict[str, Ending],
) -> None:
    boxes = {}
    for what in TURNED:
        (report,) = endings[what].reports
        (face,) = report["faces"]
        boxes[what] = [face["box"][side] for side in ("left", "top", "width", "height")]
    upright = boxes["EXIF orientation 1"]
    middle = (upright[0] + upright[2] / 2, upright[1] + upright[3] / 2)
    assert middle == pytest.approx((0.35, 0.40), abs=0.05)  # off the middle on both axes
    for what, box in boxes.items():
        assert box == pytest.approx(upright, abs=0.03), what


def test_of_60_faces_the_largest_is_indexed_and_the_others_are_counted(
    endings: dict[str, Ending],
) -> None:
    (report,) = endings["60 faces"].reports
    assert report["faces_in_image"] == 60
    assert len(report["faces"]) == 1  # max_faces
    reasons = Counter(reason for face in report["unindexed_faces"] for reason in face["reasons"])
    assert reasons == {"EXCEEDS_MAX_FACES": 59}


def test_a_face_that_is_too_small_is_told_in_the_report(endings: dict[str, Ending]) -> None:
    (report,) = endings["a face of 20 pixels"].reports
    assert (report["faces_in_image"], report["faces"]) == (1, [])
    assert report["unindexed_faces"][0]["reasons"] == ["SMALL_BOUNDING_BOX"]


def test_one_face_is_found_in_every_file_and_under_every_name_but_its_own(
    endings: dict[str, Ending],
) -> None:
    """Whichever key is hostile, the searched one or the found one, it comes back exactly."""
    names = {}
    for what in {**USABLE_FILES, **TURNED, **KEYS}:
        for report in endings[what].reports:
            names[report["key"]] = report["name"]
    expected = {
        frozenset((one, other))
        for one, other in combinations(names, 2)
        if record_of_name(names[one]) != record_of_name(names[other])
    }
    matches = all_matches(endings)
    found = {frozenset((match["key"], match["matched_key"])) for match in matches}
    assert found == expected
    for match in matches:
        assert match["matched_name"] == names[match["matched_key"]]


def test_two_ways_of_writing_an_accent_are_one_person_and_two_look_alike_letters_are_two(
    endings: dict[str, Ending],
) -> None:
    pairs = {frozenset((match["key"], match["matched_key"])) for match in all_matches(endings)}

    def paired(one: str, other: str) -> bool:
        return frozenset((endings[one].image.key, endings[other].image.key)) in pairs

    assert endings["a composed accent"].image.key != endings["a decomposed accent"].image.key
    assert not paired("a composed accent", "a decomposed accent")
    assert paired("a composed accent", "another letter that looks the same")
    assert paired("a name that is the beginning", "of another")
    assert paired("of another", "in small letters")


def test_an_image_that_rekognition_may_not_read_waits_at_its_step_for_a_redrive(
    workflow: Workflow,
) -> None:
    """S3 told the starter of the object, so it is there: a permission is missing, or a key."""
    workflow.rekognition.fail_next(100, "InvalidS3ObjectException", "IndexFaces")
    pictures = Pictures({name: workflow.photograph(name) for name in workflow.photographs})

    image = workflow.upload("Locked_0001.jpg", pictures.plain())
    execution = workflow.finished(image)

    assert (execution["status"], execution["error"]) == ("FAILED", "InvalidS3ObjectException")
    failure = workflow.failure(image)
    assert (failure["step"], failure["replay"]) == ("IndexFaces", "REDRIVE")
    assert "permission" in failure["remedy"]


# --- Messages ---------------------------------------------------------------------------------

OTHER_BUCKET = "somebody-elses"
SQS_LIMIT = 256 * 1024


def event(bucket: str, key: str, /, **described: object) -> dict[str, Any]:
    """What S3 says of a new object, with something in it changed."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-22T11:15:07.123Z",
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 1024, "eTag": "d41d8cd98f00b204", **described},
        },
    }


def message(*records: object, **beside: object) -> str:
    return json.dumps({"Records": records, **beside})


def padded(text: str, *, size: int = SQS_LIMIT) -> str:
    return text[:-1] + " " * (size - len(text)) + text[-1]


FORGED: dict[str, Callable[[str], str]] = {
    "a text": lambda _: "Ann_Lee_0001.jpg",
    "another kind of JSON": lambda _: "[1, 2]",
    "no records": lambda _: message(),
    "half an event": lambda ours: message(event(ours, "images/M.jpg"))[:-9],
    "an event of nothing": lambda _: message({"eventName": "ObjectCreated:Put", "s3": None}),
    "a record that is none": lambda _: message(7),
    "a key that is no text": lambda ours: message(event(ours, "", key={"a": 1})),
    "a key that is not UTF-8": lambda ours: message(event(ours, "images/%FF.jpg")),
    "a key that UTF-8 cannot write": lambda ours: message(event(ours, "images/\ud800.jpg")),
    "a key that is longer than S3's": lambda ours: message(event(ours, "images/" + "M" * 1018)),
    "a size beyond every number": lambda ours: message(event(ours, "images/M.jpg", size=10**30)),
    "a size below zero": lambda ours: message(event(ours, "images/M.jpg", size=-1)),
    "an event of another bucket": lambda _: message(event(OTHER_BUCKET, "images/M.jpg")),
    "an event of the output bucket": lambda ours: message(event(f"{ours}-output", "images/M.jpg")),
    "a key outside of the prefix": lambda ours: message(event(ours, "M.jpg")),
    "a key that only climbs into it": lambda ours: message(event(ours, "x/../images/M.jpg")),
    "a forged mark": lambda ours: message(event(ours, "images/M.jpg"), facematch={"again": 1}),
    "a test event with records": lambda _: message(
        event(OTHER_BUCKET, "images/M.jpg"), Event="s3:TestEvent"
    ),
    "256 KiB of JSON": lambda _: padded(json.dumps({"Records": [{}]})),
    "256 KiB of brackets": lambda _: "[" * SQS_LIMIT,
}


@dataclass
class Delivered:
    dead: Counter[str]
    started: set[str]


@pytest.fixture(scope="module")
def delivered(workflow: Workflow) -> Delivered:
    """Send every forged message, and collect the dead letters and what was started meanwhile."""
    sqs, outputs = workflow.cloud.client("sqs"), workflow.deployment.outputs
    ours = workflow.deployment.images_bucket
    workflow.s3.create_bucket(Bucket=OTHER_BUCKET)
    workflow.s3.put_object(Bucket=OTHER_BUCKET, Key="images/M.jpg", Body=b"not yours")
    before = {execution["name"] for execution in all_executions(workflow)}
    eventually(lambda: queue_is_empty(workflow) or None)
    sqs.purge_queue(QueueUrl=outputs["DeadLetterQueueUrl"])  # of what other tests have left
    sqs.set_queue_attributes(QueueUrl=outputs["QueueUrl"], Attributes={"VisibilityTimeout": "1"})
    try:
        for forge in FORGED.values():
            sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody=forge(ours))
        dead: Counter[str] = Counter()

        def collect() -> bool | None:
            received = sqs.receive_message(
                QueueUrl=outputs["DeadLetterQueueUrl"], MaxNumberOfMessages=10
            )
            for letter in received.get("Messages", []):
                dead[letter["Body"]] += 1
                sqs.delete_message(
                    QueueUrl=outputs["DeadLetterQueueUrl"], ReceiptHandle=letter["ReceiptHandle"]
                )
            arrived = dead.total() >= len(FORGED) and queue_is_empty(workflow)
            return arrived or None

        with what_is_missing_fails_its_own_test():
            eventually(collect)
    finally:
        sqs.set_queue_attributes(
            QueueUrl=outputs["QueueUrl"], Attributes={"VisibilityTimeout": "30"}
        )
    after = {execution["name"] for execution in all_executions(workflow)}
    return Delivered(dead, after - before)


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_message_becomes_a_dead_letter_as_it_was(
    workflow: Workflow, delivered: Delivered, what: str
) -> None:
    assert delivered.dead[FORGED[what](workflow.deployment.images_bucket)] == 1


def test_no_forged_message_starts_anything(delivered: Delivered) -> None:
    assert delivered.started == set()


def test_an_event_of_256_kib_is_read_and_one_of_an_object_that_never_was_is_rejected(
    workflow: Workflow,
) -> None:
    pictures = Pictures({name: workflow.photograph(name) for name in workflow.photographs})
    with starter_paused(workflow):
        image = workflow.upload("Large_0001.jpg", pictures.plain())
        sqs, queue = workflow.cloud.client("sqs"), workflow.deployment.outputs["QueueUrl"]
        real = event(
            image.bucket, quote_plus(image.key), eTag=image.etag, versionId=image.version_id
        )
        invented = event(image.bucket, "images/Never_0001.jpg", versionId="never")
        sqs.send_message(QueueUrl=queue, MessageBody=padded(message(real, invented)))

    assert workflow.finished(image)["status"] == "SUCCEEDED"
    never = eventually(
        lambda: next(
            (e for e in all_executions(workflow) if e["name"].startswith("Never_0001-")), None
        )
    )
    assert workflow.ended(never["executionArn"])["error"] == "ImageRejected"
    failures = [f for f in all_records(workflow, "failures") if "Never_0001" in f["key"]]
    assert [failure["reason"] for failure in failures] == ["GONE"]
    assert len(workflow.executions_of(image)) == 1


def test_a_forged_removal_takes_nothing_of_an_image_that_is_there(workflow: Workflow) -> None:
    pictures = Pictures({name: workflow.photograph(name) for name in workflow.photographs})
    image = workflow.upload("Kept_0001.jpg", pictures.plain())
    workflow.finished(image)
    report, faces = workflow.report(image), faces_of(workflow)
    assert len(faces) == 1

    for kind, version in (
        ("ObjectRemoved:Delete", {"versionId": image.version_id}),
        ("ObjectRemoved:DeleteMarkerCreated", {"versionId": "no-such-marker"}),
        ("LifecycleExpiration:Delete", {}),
    ):
        removed = event(image.bucket, quote_plus(image.key), sequencer="FF", **version)
        workflow.cloud.client("sqs").send_message(
            QueueUrl=workflow.deployment.outputs["QueueUrl"],
            MessageBody=message({**removed, "eventName": kind}),
        )

    def removals() -> list[dict[str, Any]] | None:
        listed = workflow.stepfunctions.list_executions(
            stateMachineArn=workflow.deployment.removal_state_machine_arn
        )["executions"]
        ended = [
            execution
            for execution in listed
            if execution["name"].startswith("Kept_0001-") and execution["status"] != "RUNNING"
        ]
        return ended if len(ended) == 3 else None

    assert {execution["status"] for execution in eventually(removals)} == {"SUCCEEDED"}
    assert faces_of(workflow) == faces
    assert workflow.report(image) == report


def faces_of(workflow: Workflow) -> list[str]:
    collection = workflow.deployment.outputs["CollectionId"]
    faces = workflow.cloud.client("rekognition").list_faces(CollectionId=collection)["Faces"]
    return sorted(face["FaceId"] for face in faces)


@pytest.fixture(autouse=True, scope="module")
def _no_bucket_left(workflow: Workflow) -> Iterator[None]:
    yield
    if any(b["Name"] == OTHER_BUCKET for b in workflow.s3.list_buckets()["Buckets"]):
        workflow.s3.delete_object(Bucket=OTHER_BUCKET, Key="images/M.jpg")
        workflow.s3.delete_bucket(Bucket=OTHER_BUCKET)
