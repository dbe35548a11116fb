"""The Rekognition endpoint: a real process, driven by boto3 and by clients that misbehave."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import botocore.session
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import ListShape, StructureShape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from facematch.local.rekognition.collections import CollectionFace, CollectionStore
from facematch.local.rekognition.faces import EMBEDDING_SIZE, Box
from facematch.local.rekognition.protocol import OPERATIONS, Call, RekognitionError, RequestReader
from facematch.local.rekognition.server import Endpoint
from facematch.local.rekognition.service import Rekognition
from facematch.local.rekognition.workers import FaceWorkers, S3Images
from tests.examples import examples
from tests.local.conftest import KEYS, KEYS_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.model import Shape
    from mypy_boto3_rekognition import RekognitionClient
    from mypy_boto3_rekognition.type_defs import ImageTypeDef, IndexFacesResponseTypeDef

BUCKET = "photographs"
SAME_MAN = ("obama.jpg", "obama2.jpg", "obama3.jpg")
OTHER_MAN = "biden.jpg"
#: As much of a signature as the endpoint looks at.
SIGNED = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEYS.user.id}/"}


# --- What the tests run against ---------------------------------------------------------------


@dataclass
class FakeS3:
    """An S3 that keeps versions, answers GetObject, and can fail on request."""

    objects: dict[str, dict[str, bytes]] = field(default_factory=dict)
    failing: bool = False
    claims_16_mb: frozenset[str] = frozenset({"endless.jpg"})
    url: str = ""

    def put(self, key: str, content: bytes) -> str:
        versions = self.objects.setdefault(key, {})
        versions[f"v{len(versions) + 1}"] = content
        return list(versions)[-1]

    def handler(self) -> type[BaseHTTPRequestHandler]:
        s3 = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                address = urlsplit(self.path)
                _, bucket, key = unquote(address.path).split("/", 2)
                version = parse_qs(address.query).get("versionId", [None])[0]
                versions = s3.objects.get(key, {}) if bucket == BUCKET else {}
                content = versions.get(version or next(reversed(versions), ""))
                if s3.failing:
                    self.answer(503, b"<Error><Code>SlowDown</Code></Error>")
                elif key in s3.claims_16_mb:
                    self.send_response(200)
                    self.send_header("Content-Length", str(16 * 1024 * 1024))
                    self.end_headers()  # and then nothing: who reads on waits in vain
                    self.close_connection = False
                elif content is None:
                    self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                else:
                    self.answer(200, content)

            def answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        return Handler


@dataclass
class Running:
    """One endpoint process."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def client(self, attempts: int = 1) -> RekognitionClient:
        return boto3.client(
            "rekognition",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEYS.user.id,
            aws_secret_access_key=KEYS.user.secret,
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                max_pool_connections=20,
                read_timeout=20,
            ),
        )

    def health(self) -> dict[str, Any]:
        health: dict[str, Any] = json.loads(KEYS.user.ask(f"{self.url}/health", seconds=10))
        return health

    def post(
        self, body: bytes, target: str | None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send any bytes; the answer must be AWS JSON, whatever they were."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        all_headers = {
            **SIGNED,
            "Content-Type": "application/x-amz-json-1.1",
            **(headers or {}),
        }
        if target is not None:
            all_headers["X-Amz-Target"] = target
        with contextlib.closing(connection):
            connection.request("POST", "/", body, all_headers)
            answer = connection.getresponse()
            parsed = json.loads(answer.read())
            assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
            uuid.UUID(answer.headers["x-amzn-RequestId"])  # raises when it is none
        if answer.status != 200:
            assert parsed["__type"]
            assert parsed["Message"]
        return answer.status, parsed

    def call(self, operation: str, parameters: object) -> tuple[int, dict[str, Any]]:
        body = json.dumps(parameters).encode()
        return self.post(body, f"RekognitionService.{operation}")


COMMAND = [sys.executable, "-m", "facematch.local.rekognition.server", "--keys", str(KEYS_FILE)]


def start(database: Path, s3: FakeS3) -> Running:
    log = database.with_suffix(".log")
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--s3-endpoint", s3.url, "--database", database, "--watch-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log.open("a"),
        text=True,
    )
    assert process.stdout is not None
    ready = process.stdout.readline()
    assert ready, log.read_text()
    return Running(process, ready.split()[-1].rstrip("."), log)


def stop(running: Running) -> int:
    assert running.process.stdin is not None
    running.process.stdin.close()
    return running.process.wait(timeout=15)


@pytest.fixture(scope="session")
def s3(photographs: dict[str, bytes]) -> Iterator[FakeS3]:
    fake = FakeS3()
    for name, content in photographs.items():
        fake.put(name, content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), fake.handler())
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory, s3: FakeS3) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("endpoint") / "faces.db", s3)
    yield running
    assert stop(running) == 0


@pytest.fixture
def own_endpoint(tmp_path: Path, s3: FakeS3) -> Iterator[Callable[[], Running]]:
    """Starts an endpoint that a test may kill, on the same database each time."""
    started: list[Running] = []

    def start_another() -> Running:
        started.append(start(tmp_path / "faces.db", s3))
        return started[-1]

    yield start_another
    for running in started:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def rekognition(endpoint: Running) -> RekognitionClient:
    return endpoint.client()


@pytest.fixture
def collection(rekognition: RekognitionClient) -> str:
    name = f"people-{uuid.uuid4()}"
    rekognition.create_collection(CollectionId=name)
    return name


def index(
    client: RekognitionClient, collection: str, name: str, external_id: str | None = None
) -> IndexFacesResponseTypeDef:
    return client.index_faces(
        CollectionId=collection,
        Image={"S3Object": {"Bucket": BUCKET, "Name": name}},
        ExternalImageId=external_id or name,
    )


def index_one(
    client: RekognitionClient, collection: str, name: str, external_id: str | None = None
) -> str:
    (record,) = index(client, collection, name, external_id)["FaceRecords"]
    return record["Face"]["FaceId"]


@contextlib.contextmanager
def refused(code: str, status: int = 400, message: str = "") -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    answer = caught.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert message in answer["Error"]["Message"]


def jpeg(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "grey").save(buffer, "JPEG")
    return buffer.getvalue()


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process_id}/stat")  # a dead process may wait there for its burial
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until_dead(process_ids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(alive(process_id) for process_id in process_ids):
        assert time.monotonic() < deadline, "a process outlived its parent"
        time.sleep(0.05)


# --- Faces ------------------------------------------------------------------------------------


def test_photographs_of_one_man_find_each_other_and_not_another_man(
    rekognition: RekognitionClient, collection: str
) -> None:
    ids = {name: index_one(rekognition, collection, name) for name in (*SAME_MAN, OTHER_MAN)}
    for name in SAME_MAN:
        answer = rekognition.search_faces(CollectionId=collection, FaceId=ids[name])
        assert answer["SearchedFaceId"] == ids[name]
        matches = answer["FaceMatches"]
        assert {match["Face"]["ExternalImageId"] for match in matches} == {*SAME_MAN} - {name}
        assert all(match["Similarity"] >= 99 for match in matches)
        similarities = [match["Similarity"] for match in matches]
        assert similarities == sorted(similarities, reverse=True)
    of_other = rekognition.search_faces(CollectionId=collection, FaceId=ids[OTHER_MAN])
    assert of_other["FaceMatches"] == []


def test_a_search_keeps_to_threshold_and_maximum(
    rekognition: RekognitionClient, collection: str
) -> None:
    first, *_ = (index_one(rekognition, collection, name) for name in (*SAME_MAN, OTHER_MAN))
    everything = rekognition.search_faces(
        CollectionId=collection, FaceId=first, FaceMatchThreshold=0
    )["FaceMatches"]
    assert len(everything) == 3
    assert everything[-1]["Face"]["ExternalImageId"] == OTHER_MAN
    best = rekognition.search_faces(
        CollectionId=collection, FaceId=first, FaceMatchThreshold=0, MaxFaces=1
    )["FaceMatches"]
    assert best == everything[:1]


def two_people(photographs: dict[str, bytes]) -> ImageTypeDef:
    """A man, and another one beside him in half the size."""
    with (
        Image.open(io.BytesIO(photographs["obama.jpg"])) as large,
        Image.open(io.BytesIO(photographs[OTHER_MAN])) as other,
    ):
        small = other.resize((other.width * large.height // (2 * other.height), large.height // 2))
        both = Image.new("RGB", (large.width + small.width, large.height), "grey")
        both.paste(large, (0, 0))
        both.paste(small, (large.width, 0))
    written = io.BytesIO()
    both.save(written, "JPEG", quality=90)
    return {"Bytes": written.getvalue()}


def test_the_largest_face_of_a_photograph_is_searched_for_and_nothing_is_kept(
    rekognition: RekognitionClient, collection: str, photographs: dict[str, bytes]
) -> None:
    for name in (*SAME_MAN, OTHER_MAN):
        index_one(rekognition, collection, name)

    both = rekognition.search_faces_by_image(CollectionId=collection, Image=two_people(photographs))
    assert {m["Face"]["ExternalImageId"] for m in both["FaceMatches"]} == set(SAME_MAN)
    assert both["SearchedFaceBoundingBox"]["Left"] < 0.5
    other = rekognition.search_faces_by_image(
        CollectionId=collection,
        Image={"S3Object": {"Bucket": BUCKET, "Name": OTHER_MAN}},
        FaceMatchThreshold=0,
        MaxFaces=2,
    )
    first, second = other["FaceMatches"]
    assert first["Face"]["ExternalImageId"] == OTHER_MAN
    assert first["Similarity"] > 99.9 > second["Similarity"]
    assert rekognition.describe_collection(CollectionId=collection)["FaceCount"] == 4


def test_all_faces_of_a_photograph_are_detected_the_largest_first(
    rekognition: RekognitionClient, photographs: dict[str, bytes]
) -> None:
    both = rekognition.detect_faces(Image=two_people(photographs))["FaceDetails"]
    assert len(both) == 2
    assert both[0]["BoundingBox"]["Width"] > both[1]["BoundingBox"]["Width"]
    assert {"Confidence", "Landmarks", "Pose", "Quality"} <= both[0].keys()
    assert rekognition.detect_faces(Image={"Bytes": jpeg((200, 200))})["FaceDetails"] == []


def test_faces_of_two_photographs_are_compared(
    rekognition: RekognitionClient, photographs: dict[str, bytes]
) -> None:
    source: ImageTypeDef = {"Bytes": photographs["obama2.jpg"]}
    target = two_people(photographs)
    answer = rekognition.compare_faces(SourceImage=source, TargetImage=target)
    (match,) = answer["FaceMatches"]
    assert match["Similarity"] > 99
    assert match["Face"]["BoundingBox"]["Left"] < 0.5
    (unmatched,) = answer["UnmatchedFaces"]
    assert unmatched["BoundingBox"]["Left"] > 0.5
    everything = rekognition.compare_faces(
        SourceImage=source, TargetImage=target, SimilarityThreshold=0
    )
    similarities = [match["Similarity"] for match in everything["FaceMatches"]]
    assert len(similarities) == 2
    assert similarities == sorted(similarities, reverse=True)


def test_a_photograph_without_a_face_cannot_be_searched_for_or_compared(
    rekognition: RekognitionClient, collection: str, photographs: dict[str, bytes]
) -> None:
    nobody: ImageTypeDef = {"Bytes": jpeg((200, 200))}
    with refused("InvalidParameterException", message="There are no faces in the image"):
        rekognition.search_faces_by_image(CollectionId=collection, Image=nobody)
    with refused("InvalidParameterException"):
        rekognition.compare_faces(
            SourceImage=nobody, TargetImage={"Bytes": photographs["obama.jpg"]}
        )
    with refused("ResourceNotFoundException"):
        rekognition.search_faces_by_image(CollectionId="unknown", Image=nobody)


def test_the_same_image_under_the_same_id_is_one_face_and_under_another_id_another(
    rekognition: RekognitionClient, collection: str, photographs: dict[str, bytes]
) -> None:
    def count() -> int:
        return rekognition.describe_collection(CollectionId=collection)["FaceCount"]

    first = index_one(rekognition, collection, "obama.jpg", "one")
    assert index_one(rekognition, collection, "obama.jpg", "one") == first
    inline = rekognition.index_faces(
        CollectionId=collection,
        Image={"Bytes": photographs["obama.jpg"]},
        ExternalImageId="one",
    )
    assert inline["FaceRecords"][0]["Face"]["FaceId"] == first  # the bytes count, not the place
    assert count() == 1
    assert index_one(rekognition, collection, "obama.jpg", "two") != first
    assert count() == 2


def test_a_photograph_turned_by_exif_is_found_as_the_same_face(
    rekognition: RekognitionClient, collection: str, s3: FakeS3, photographs: dict[str, bytes]
) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    turned = io.BytesIO()
    with Image.open(io.BytesIO(photographs["obama.jpg"])) as upright:
        upright.transpose(Image.Transpose.ROTATE_90).save(turned, "JPEG", exif=exif, quality=95)
    s3.put("turned.jpg", turned.getvalue())
    straight = index_one(rekognition, collection, "obama.jpg")
    index_one(rekognition, collection, "turned.jpg")
    (match,) = rekognition.search_faces(CollectionId=collection, FaceId=straight)["FaceMatches"]
    assert match["Face"]["ExternalImageId"] == "turned.jpg"
    assert match["Similarity"] > 99.9


def test_a_face_is_described_as_rekognition_describes_it(
    endpoint: Running, collection: str
) -> None:
    status, answer = endpoint.call(
        "IndexFaces",
        {
            "CollectionId": collection,
            "Image": {"S3Object": {"Bucket": BUCKET, "Name": "obama.jpg"}},
            "DetectionAttributes": ["ALL"],
        },
    )
    assert status == 200
    (record,) = answer["FaceRecords"]
    assert "ExternalImageId" not in record["Face"]
    detail = record["FaceDetail"]
    assert record["Face"]["BoundingBox"] == detail["BoundingBox"]
    assert 80 < detail["Confidence"] <= 100
    assert 0 < detail["Quality"]["Brightness"] < 100
    assert 0 < detail["Quality"]["Sharpness"] < 100
    assert all(abs(detail["Pose"][axis]) < 20 for axis in ("Roll", "Yaw", "Pitch"))
    marks = {mark["Type"]: mark for mark in detail["Landmarks"]}
    assert set(marks) == {"eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"}
    assert marks["eyeLeft"]["X"] < marks["nose"]["X"] < marks["eyeRight"]["X"]


def test_faces_beyond_the_maximum_come_back_with_the_reason(
    rekognition: RekognitionClient, collection: str, s3: FakeS3, photographs: dict[str, bytes]
) -> None:
    with (
        Image.open(io.BytesIO(photographs["obama.jpg"])) as one,
        Image.open(io.BytesIO(photographs["biden.jpg"])) as other,
        io.BytesIO() as buffer,
    ):
        together = Image.new("RGB", (1900, 1300), "grey")
        together.paste(one, (0, 0))
        together.paste(other.resize((485, 1102)), (1100, 0))
        together.save(buffer, "PNG")
        s3.put("together.png", buffer.getvalue())
    answer = rekognition.index_faces(
        CollectionId=collection,
        Image={"S3Object": {"Bucket": BUCKET, "Name": "together.png"}},
        MaxFaces=1,
    )
    (record,) = answer["FaceRecords"]
    (unindexed,) = answer["UnindexedFaces"]
    assert record["FaceDetail"]["BoundingBox"]["Left"] < 0.5
    assert unindexed["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert unindexed["FaceDetail"]["BoundingBox"]["Left"] > 0.5
    both = index(rekognition, collection, "together.png")
    assert len({face["Face"]["ImageId"] for face in both["FaceRecords"]}) == 1
    assert len({face["Face"]["FaceId"] for face in both["FaceRecords"]}) == 2


@pytest.mark.parametrize(
    "key",
    [
        *("images/../up.jpg", "images//empty.jpg", "images/./same.jpg", "/leading.jpg"),
        *("images/Ann Lee+1.jpg", "images/100%41.jpg", "images/what?.jpg", "images/#1.jpg"),
        *("images/Bjørn_\N{GRINNING FACE}.jpg", "images/a~b'c(d)!*.jpg", "images/;@&=$,:.jpg"),
    ],
)
def test_an_object_is_read_by_its_own_key_whatever_stands_in_it(
    rekognition: RekognitionClient,
    collection: str,
    s3: FakeS3,
    photographs: dict[str, bytes],
    key: str,
) -> None:
    s3.put(key, photographs["obama.jpg"])

    answer = rekognition.index_faces(
        CollectionId=collection, Image={"S3Object": {"Bucket": BUCKET, "Name": key}}
    )

    assert len(answer["FaceRecords"]) == 1


def test_the_version_that_was_asked_for_is_indexed(
    rekognition: RekognitionClient, collection: str, s3: FakeS3, photographs: dict[str, bytes]
) -> None:
    old = s3.put("changing.jpg", photographs["obama.jpg"])
    s3.put("changing.jpg", photographs["biden.jpg"])
    known = index_one(rekognition, collection, "obama2.jpg")
    for version, same_man in ((old, True), (None, False)):
        place: Any = {"Bucket": BUCKET, "Name": "changing.jpg"}
        answer = rekognition.index_faces(
            CollectionId=collection,
            Image={"S3Object": {**place, **({"Version": version} if version else {})}},
        )
        (record,) = answer["FaceRecords"]
        matches = rekognition.search_faces(
            CollectionId=collection, FaceId=record["Face"]["FaceId"]
        )["FaceMatches"]
        assert (known in {match["Face"]["FaceId"] for match in matches}) is same_man


# --- Collections ------------------------------------------------------------------------------


def test_a_collection_lives_from_create_to_delete(rekognition: RekognitionClient) -> None:
    name = f"short-{uuid.uuid4()}"
    created = rekognition.create_collection(CollectionId=name, Tags={"team": "für alle / 1"})
    assert created["StatusCode"] == 200
    assert created["CollectionArn"].endswith(f":collection/{name}")
    with refused("ResourceAlreadyExistsException"):
        rekognition.create_collection(CollectionId=name)
    described = rekognition.describe_collection(CollectionId=name)
    assert described["FaceCount"] == 0
    assert described["CollectionARN"].startswith("arn:aws:rekognition:")
    assert abs(described["CreationTimestamp"].timestamp() - time.time()) < 60
    assert name in rekognition.list_collections()["CollectionIds"]
    assert rekognition.delete_collection(CollectionId=name)["StatusCode"] == 200
    with refused("ResourceNotFoundException", message=f"The collection id: {name} does not exist"):
        rekognition.describe_collection(CollectionId=name)


def test_pages_of_faces_and_collections_are_complete(
    rekognition: RekognitionClient, collection: str
) -> None:
    expected = {index_one(rekognition, collection, "obama.jpg", f"copy-{n}") for n in range(7)}
    pages = list(
        rekognition.get_paginator("list_faces").paginate(
            CollectionId=collection, PaginationConfig={"PageSize": 3}
        )
    )
    listed = [face["FaceId"] for page in pages for face in page["Faces"]]
    assert [len(page["Faces"]) for page in pages] == [3, 3, 1]
    assert sorted(listed) == sorted(expected)

    names = {f"page-{uuid.uuid4()}" for _ in range(4)}
    for name in names:
        rekognition.create_collection(CollectionId=name)
    found = [
        name
        for page in rekognition.get_paginator("list_collections").paginate(
            PaginationConfig={"PageSize": 2}
        )
        for name in page["CollectionIds"]
    ]
    assert names <= set(found)
    assert len(found) == len(set(found))


def test_deleted_faces_are_gone_and_unknown_ones_are_reported(
    rekognition: RekognitionClient, collection: str
) -> None:
    first = index_one(rekognition, collection, "obama.jpg")
    second = index_one(rekognition, collection, "obama2.jpg")
    unknown = str(uuid.uuid4())
    answer = rekognition.delete_faces(CollectionId=collection, FaceIds=[first, unknown, first])
    assert answer["DeletedFaces"] == [first]
    assert answer["UnsuccessfulFaceDeletions"] == [
        {"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}
    ]
    assert rekognition.search_faces(CollectionId=collection, FaceId=second)["FaceMatches"] == []
    listed = rekognition.list_faces(CollectionId=collection, FaceIds=[first, second])["Faces"]
    assert [face["FaceId"] for face in listed] == [second]


# --- Errors -----------------------------------------------------------------------------------


def test_what_cannot_be_read_from_s3_has_amazons_sentence(
    rekognition: RekognitionClient, collection: str
) -> None:
    sentence = (
        "Unable to get object metadata from S3. Check object key, region and/or access permissions."
    )
    for place in (
        {"Bucket": BUCKET, "Name": "nobody.jpg"},
        {"Bucket": "no-such-bucket", "Name": "obama.jpg"},
        {"Bucket": BUCKET, "Name": "obama.jpg", "Version": "never-was"},
        {"Bucket": "...", "Name": "obama.jpg"},
    ):
        with refused("InvalidS3ObjectException", message=sentence):
            rekognition.index_faces(CollectionId=collection, Image={"S3Object": place})  # type: ignore[typeddict-item]  # a plain dict of the right form


def test_trouble_with_s3_is_worth_a_retry(
    rekognition: RekognitionClient, collection: str, s3: FakeS3
) -> None:
    s3.failing = True
    try:
        with refused("InternalServerError", status=500):
            index(rekognition, collection, "obama.jpg")
    finally:
        s3.failing = False
    assert index(rekognition, collection, "obama.jpg")["FaceRecords"]


def test_images_beyond_the_limits_are_refused(
    endpoint: Running, rekognition: RekognitionClient, collection: str, s3: FakeS3
) -> None:
    padding = bytes(15 * 1024 * 1024)
    s3.put("large.jpg", jpeg((100, 100)) + padding)
    s3.put("just-right.jpg", (jpeg((100, 100)) + padding)[: 15 * 1024 * 1024])
    s3.put("small.jpg", jpeg((79, 100)))
    s3.put("text.jpg", b"not an image")
    with refused("ImageTooLargeException"):
        index(rekognition, collection, "large.jpg")
    start_time = time.monotonic()
    with refused("ImageTooLargeException"):
        index(rekognition, collection, "endless.jpg")  # told by its length, not by reading it
    assert time.monotonic() - start_time < 5
    assert index(rekognition, collection, "just-right.jpg")["FaceRecords"] == []
    with refused("InvalidParameterException", message="Request has invalid parameters"):
        index(rekognition, collection, "small.jpg")
    with refused("InvalidImageFormatException"):
        index(rekognition, collection, "text.jpg")
    for size in (5 * 1024 * 1024 + 1, 9 * 1024 * 1024):
        image = {"Bytes": base64.b64encode(bytes(size)).decode()}
        status, answer = endpoint.call("IndexFaces", {"CollectionId": collection, "Image": image})
        assert (status, answer["__type"]) == (400, "ImageTooLargeException")


def test_unknown_faces_collections_users_and_tokens_are_told_apart(
    rekognition: RekognitionClient, collection: str
) -> None:
    with refused("InvalidParameterException", message="faceId was not found in the collection."):
        rekognition.search_faces(CollectionId=collection, FaceId=str(uuid.uuid4()))
    with refused("ResourceNotFoundException", message="The collection id: nobody does not exist"):
        index(rekognition, "nobody", "obama.jpg")
    with refused("ResourceNotFoundException", message="user id"):
        rekognition.list_faces(CollectionId=collection, UserId="someone")
    with refused("InvalidPaginationTokenException"):
        rekognition.list_faces(CollectionId=collection, NextToken="made-up")


UUID = "00000000-0000-0000-0000-000000000000"
IMAGE = {"S3Object": {"Bucket": BUCKET, "Name": "obama.jpg"}}


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "message"),
    [
        ("DescribeCollection", {}, "InvalidParameter", "'collectionId' failed to satisfy"),
        ("DescribeCollection", {"CollectionId": None}, "InvalidParameter", "must not be null"),
        ("DescribeCollection", {"CollectionId": ""}, "InvalidParameter", "greater than or equal"),
        ("DescribeCollection", {"CollectionId": "x" * 256}, "InvalidParameter", "less than or"),
        ("DescribeCollection", {"CollectionId": "a b"}, "InvalidParameter", "regular expression"),
        ("DescribeCollection", {"CollectionId": "a\n"}, "InvalidParameter", "regular expression"),
        ("DescribeCollection", {"CollectionId": 5}, "Serialization", "NUMBER_VALUE"),
        ("DescribeCollection", {"CollectionId": "\ud800"}, "Serialization", "Unicode"),
        ("DescribeCollection", [], "Serialization", "list"),
        ("DescribeCollection", "text", "Serialization", "STRING_VALUE"),
        ("DescribeCollection", None, "Serialization", "NULL_VALUE"),
        ("CreateCollection", {"CollectionId": "x", "Tags": {"aws:x": "y"}}, "InvalidParameter", ""),
        ("ListCollections", {"MaxResults": -1}, "InvalidParameter", "'maxResults'"),
        ("ListCollections", {"MaxResults": 4097}, "InvalidParameter", "'maxResults'"),
        ("ListCollections", {"MaxResults": 10**30}, "Serialization", "Integer"),
        ("ListCollections", {"MaxResults": 1.5}, "Serialization", "Integer"),
        ("ListCollections", {"MaxResults": True}, "Serialization", "TRUE_VALUE"),
        ("SearchFaces", {"CollectionId": "c", "FaceId": "x"}, "InvalidParameter", "'faceId'"),
        (
            "SearchFaces",
            {"CollectionId": "c", "FaceId": UUID, "FaceMatchThreshold": 100.1},
            *("InvalidParameter", "'faceMatchThreshold'"),
        ),
        (
            "SearchFaces",
            {"CollectionId": "c", "FaceId": UUID, "FaceMatchThreshold": 10**400},
            *("Serialization", "Float"),
        ),
        (
            "SearchFaces",
            {"CollectionId": "c", "FaceId": UUID, "MaxFaces": 0},
            *("InvalidParameter", "'maxFaces'"),
        ),
        ("DeleteFaces", {"CollectionId": "c", "FaceIds": []}, "InvalidParameter", "'faceIds'"),
        (
            "DeleteFaces",
            {"CollectionId": "c", "FaceIds": [UUID] * 4097},
            *("InvalidParameter", "'faceIds'"),
        ),
        (
            "DeleteFaces",
            {"CollectionId": "c", "FaceIds": [UUID, None]},
            *("Serialization", "NULL_VALUE"),
        ),
        ("IndexFaces", {"CollectionId": "c"}, "InvalidParameter", "'image'"),
        ("IndexFaces", {"CollectionId": "c", "Image": []}, "Serialization", "list"),
        (
            "IndexFaces",
            {"CollectionId": "c", "Image": {"Bytes": "not base64!"}},
            *("Serialization", "Base64"),
        ),
        (
            "IndexFaces",
            {"CollectionId": "c", "Image": {"S3Object": {"Bucket": "b", "Name": "k"}}},
            *("InvalidParameter", "'image.s3Object.bucket'"),
        ),
        (
            "IndexFaces",
            {"CollectionId": "c", "Image": IMAGE, "ExternalImageId": "a b"},
            *("InvalidParameter", "'externalImageId'"),
        ),
        (
            "IndexFaces",
            {"CollectionId": "c", "Image": IMAGE, "QualityFilter": "BEST"},
            *("InvalidParameter", "enum value set"),
        ),
        (
            "IndexFaces",
            {"CollectionId": "c", "Image": IMAGE, "MaxFaces": 0, "ExternalImageId": ""},
            *("InvalidParameter", "3 validation errors detected"),
        ),
    ],
)
def test_a_request_that_breaks_the_model_is_refused(
    endpoint: Running, operation: str, parameters: object, code: str, message: str
) -> None:
    status, answer = endpoint.call(operation, parameters)
    assert (status, answer["__type"]) == (400, f"{code}Exception")
    assert message in answer["Message"]


@pytest.mark.parametrize(
    "image",
    [{}, {"S3Object": {}}, {"S3Object": {"Bucket": BUCKET}}, {**IMAGE, "Bytes": "/9j/"}],
)
def test_an_image_must_be_either_bytes_or_an_object(
    endpoint: Running, collection: str, image: object
) -> None:
    status, answer = endpoint.call("IndexFaces", {"CollectionId": collection, "Image": image})
    assert (status, answer["__type"]) == (400, "InvalidParameterException")


def test_members_that_the_model_does_not_know_are_ignored(
    endpoint: Running, collection: str
) -> None:
    parameters = {"CollectionId": collection, "Unknown": {"a": [1]}, "MaxResults": 2.0}
    assert endpoint.call("ListFaces", parameters)[0] == 200


@pytest.mark.parametrize(
    "target",
    [None, "", "IndexFaces", "RekognitionService.DetectLabels", "Other.IndexFaces", "x" * 5000],
)
def test_an_unknown_operation_is_refused(endpoint: Running, target: str | None) -> None:
    status, answer = endpoint.post(b"{}", target)
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_another_method_or_path_is_an_unknown_operation(endpoint: Running, method: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, "/some/where", headers=SIGNED)
        answer = connection.getresponse()
        assert answer.status == 400
        assert json.loads(answer.read())["__type"] == "UnknownOperationException"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"CollectionId": NaN}',
        b'{"MaxResults": Infinity}',
        b"[" * 200_000,
        b'{"x":' * 100_000,
        b'{"MaxResults": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json_is_refused(endpoint: Running, body: bytes) -> None:
    status, answer = endpoint.post(body, "RekognitionService.ListFaces")
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_a_body_without_end_is_refused_before_it_comes(endpoint: Running) -> None:
    headers = {"Content-Length": str(10**15)}
    status, answer = endpoint.post(b"", "RekognitionService.IndexFaces", headers)
    assert (status, answer["__type"]) == (400, "ImageTooLargeException")


def test_a_client_that_hangs_up_in_the_middle_disturbs_nobody(
    endpoint: Running, rekognition: RekognitionClient
) -> None:
    connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc, timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("Authorization", SIGNED["Authorization"])
    connection.putheader("X-Amz-Target", "RekognitionService.ListCollections")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"{")
    connection.close()
    assert "CollectionIds" in rekognition.list_collections()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    [
        *("CollectionId", "Image", "ExternalImageId", "DetectionAttributes", "MaxFaces", "Tags"),
        *("QualityFilter", "FaceId", "FaceIds", "FaceMatchThreshold", "MaxResults", "NextToken"),
        "UserId",
    ]
)
PLAUSIBLE = st.sampled_from(
    [
        *("nobody", UUID, [UUID], 1, 0, 80.5, IMAGE, {"Bytes": "/9j/"}, {"S3Object": {}}, "AUTO"),
        *(
            ["DEFAULT"],
            {"a": "b"},
            {"S3Object": {"Bucket": BUCKET, "Name": "\0/../ü"}},
            "YWZ0ZXI6MQ==",
        ),
    ]
)


@settings(max_examples=examples(250), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    operation=st.sampled_from(OPERATIONS),
    parameters=st.dictionaries(MEMBERS, PLAUSIBLE | JSON, max_size=6) | JSON,
)
def test_whatever_json_comes_the_answer_is_one_of_aws(
    endpoint: Running, operation: str, parameters: object
) -> None:
    status, answer = endpoint.call(operation, parameters)
    assert status in {200, 400}
    assert_in_model(operation, answer if status == 200 else {})


@settings(max_examples=examples(150), deadline=None)
@given(
    body=st.binary(max_size=300),
    target=st.sampled_from([f"RekognitionService.{name}" for name in OPERATIONS])
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
)
def test_whatever_bytes_come_the_answer_is_one_of_aws(
    endpoint: Running, body: bytes, target: str
) -> None:
    assert endpoint.post(body, target)[0] in {200, 400}


MODEL = botocore.session.get_session().get_service_model("rekognition")


def assert_in_model(operation: str, answer: dict[str, Any]) -> None:
    """Every member of the answer is one that botocore's model of the operation knows."""

    def walk(shape: Shape, value: Any) -> None:
        if isinstance(shape, StructureShape):
            for name, member in value.items():
                assert name in shape.members, f"{shape.name} has no {name}"
                walk(shape.members[name], member)
        elif isinstance(shape, ListShape):
            for member in value:
                walk(shape.member, member)

    output = MODEL.operation_model(operation).output_shape
    assert output is not None
    walk(output, answer)


def test_every_answer_keeps_to_the_model(endpoint: Running, collection: str) -> None:
    def call(operation: str, **parameters: object) -> dict[str, Any]:
        status, answer = endpoint.call(operation, {"CollectionId": collection, **parameters})
        assert status == 200
        assert_in_model(operation, answer)
        return answer

    first, *_ = (
        call("IndexFaces", Image={"S3Object": {"Bucket": BUCKET, "Name": name}}, MaxFaces=1)
        for name in SAME_MAN
    )
    face = first["FaceRecords"][0]["Face"]["FaceId"]
    assert len(call("SearchFaces", FaceId=face)["FaceMatches"]) == 2
    image = {"S3Object": {"Bucket": BUCKET, "Name": SAME_MAN[0]}}
    assert len(call("SearchFacesByImage", Image=image)["FaceMatches"]) == 3
    assert len(call("DetectFaces", Image=image)["FaceDetails"]) == 1
    assert len(call("CompareFaces", SourceImage=image, TargetImage=image)["FaceMatches"]) == 1
    assert "NextToken" in call("ListFaces", MaxResults=1)
    call("ListCollections", MaxResults=1)
    call("DescribeCollection")
    call("DeleteFaces", FaceIds=[face, UUID])
    call("DeleteCollection")


def test_every_pattern_of_the_model_can_be_checked() -> None:
    reader = RequestReader()
    tags = {"CollectionId": "x", "Tags": {"Größe 1": "a/b=c@d"}}
    assert reader.read("CreateCollection", json.dumps(tags).encode()) == tags
    for bad in ("semi;colon", "aws:reserved"):
        with pytest.raises(RekognitionError, match="InvalidParameter"):
            reader.read(
                "CreateCollection", json.dumps({"CollectionId": "x", "Tags": {bad: ""}}).encode()
            )


def test_a_guard_can_refuse_a_call_before_it_is_carried_out(tmp_path: Path) -> None:
    store = CollectionStore(tmp_path / "faces.db")
    seen: list[Call] = []

    def throttle(call: Call) -> None:
        seen.append(call)
        raise RekognitionError("ProvisionedThroughputExceededException", "Rate exceeded")

    service = Rekognition(store, FaceWorkers(1), S3Images("http://127.0.0.1:9", 1, KEYS.user))
    guarded = Endpoint(service, indexing_limit=1, guards=[throttle])
    with pytest.raises(RekognitionError, match="ProvisionedThroughput"):
        guarded._perform("CreateCollection", b'{"CollectionId": "x"}', {"authorization": "me"})
    assert seen == [Call("CreateCollection", {"CollectionId": "x"}, {"authorization": "me"})]
    assert store.list_collections(limit=1).items == []
    store.close()


# --- The process ------------------------------------------------------------------------------


def test_health_counts_what_was_done(endpoint: Running, collection: str) -> None:
    before = endpoint.health()
    client = endpoint.client()
    searched = index_one(client, collection, "obama.jpg")
    client.search_faces(CollectionId=collection, FaceId=searched)
    after = endpoint.health()
    assert after["status"] == "ok"
    assert after["indexed_images"] == before["indexed_images"] + 1
    assert after["searches"] == before["searches"] + 1
    assert after["faces"] == before["faces"] + 1
    assert after["engine_seconds"] > before["engine_seconds"]


def test_wrong_requests_are_logged_without_names(
    endpoint: Running, rekognition: RekognitionClient, collection: str, s3: FakeS3
) -> None:
    s3.put("Secret_Name.jpg", b"no image")
    with refused("InvalidImageFormatException"):
        index(rekognition, collection, "Secret_Name.jpg", "Secret_Person")
    with refused("InvalidS3ObjectException"):
        index(rekognition, collection, "Secret_Gone.jpg", "Secret_Person")
    endpoint.call("IndexFaces", {"CollectionId": collection, "ExternalImageId": "Secret Person"})
    log = endpoint.log.read_text()
    assert "IndexFaces: InvalidImageFormatException" in log
    assert "IndexFaces: InvalidS3ObjectException" in log
    assert "IndexFaces: InvalidParameterException" in log
    assert "Secret" not in log


def test_faces_survive_a_kill_and_the_workers_do_not(
    own_endpoint: Callable[[], Running],
) -> None:
    first = own_endpoint()
    client = first.client()
    client.create_collection(CollectionId="people")
    answered = [index_one(client, "people", name) for name in SAME_MAN]
    workers = first.health()["worker_process_ids"]
    assert len(workers) == 2
    assert all(alive(worker) for worker in workers)

    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    wait_until_dead(workers)

    again = own_endpoint().client()
    listed = again.list_faces(CollectionId="people")["Faces"]
    assert [face["FaceId"] for face in listed] == answered
    found = again.search_faces(CollectionId="people", FaceId=answered[0])["FaceMatches"]
    assert {match["Face"]["FaceId"] for match in found} == set(answered[1:])


def kill_workers(running: Running, count: int) -> None:
    """Kill some of the workers that there are, once there are any."""
    deadline = time.monotonic() + 10
    while not (workers := running.health()["worker_process_ids"]):
        assert time.monotonic() < deadline, "the workers were not replaced"
        time.sleep(0.05)
    for worker in workers[:count]:
        with contextlib.suppress(ProcessLookupError):  # the pool ends the others itself
            os.kill(worker, signal.SIGKILL)
    wait_until_dead(workers[:count])


def test_killed_workers_cost_a_retry_at_most(own_endpoint: Callable[[], Running]) -> None:
    running = own_endpoint()
    client = running.client(attempts=5)
    client.create_collection(CollectionId="people")
    with ThreadPoolExecutor(8) as threads:
        names = [f"copy-{number}" for number in range(60)]
        indexing = [
            threads.submit(index_one, client, "people", "obama.jpg", name) for name in names
        ]
        for _ in range(2):
            time.sleep(0.3)
            kill_workers(running, 1)
        ids = {done.result() for done in indexing}
    assert len(ids) == 60
    assert client.describe_collection(CollectionId="people")["FaceCount"] == 60

    kill_workers(running, 2)
    without_retries = running.client()
    with contextlib.suppress(without_retries.exceptions.InternalServerError):
        index_one(without_retries, "people", "biden.jpg")
    assert index_one(without_retries, "people", "biden.jpg") not in ids
    log = running.log.read_text()
    assert "copy-" not in log


def test_the_end_of_the_standard_input_stops_everything(
    own_endpoint: Callable[[], Running],
) -> None:
    running = own_endpoint()
    workers = running.health()["worker_process_ids"]
    assert stop(running) == 0
    wait_until_dead(workers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_good_order(
    own_endpoint: Callable[[], Running], number: signal.Signals
) -> None:
    running = own_endpoint()
    workers = running.health()["worker_process_ids"]
    running.process.send_signal(number)
    assert running.process.wait(timeout=15) == 0
    wait_until_dead(workers)
    assert "Traceback" not in running.log.read_text()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


def test_a_port_in_use_is_told_in_a_sentence(endpoint: Running, tmp_path: Path) -> None:
    port = str(urlsplit(endpoint.url).port)
    database = str(tmp_path / "faces.db")
    ended = run("--port", port, "--s3-endpoint", "http://127.0.0.1:4566", "--database", database)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert f"127.0.0.1:{port} cannot be used" in ended.stderr


def test_a_database_in_use_is_told_in_a_sentence(endpoint: Running, tmp_path: Path) -> None:
    held = CollectionStore(tmp_path / "held.db")
    (tmp_path / "text.db").write_text("This is no database. " * 100)
    for name in ("held.db", "text.db"):
        ended = run(
            *("--port", "0", "--s3-endpoint", endpoint.url),
            *("--database", str(tmp_path / name)),
        )
        assert ended.returncode == 1
        assert len(ended.stderr.splitlines()) == 1
        assert "cannot be used" in ended.stderr
    held.close()


def test_faces_of_another_model_are_told_in_a_sentence(endpoint: Running, tmp_path: Path) -> None:
    database = tmp_path / "faces.db"
    store = CollectionStore(database, face_model_version="sface-of-old")
    store.create("people")
    face = CollectionFace("id", "image", None, Box(0.1, 0.2, 0.3, 0.4), 99.0)
    store.add("people", [face], [np.ones(EMBEDDING_SIZE, np.float32)])
    store.close()

    ended = run("--port", "0", "--s3-endpoint", endpoint.url, "--database", str(database))

    assert ended.returncode == 1
    assert "sface-of-old" in ended.stderr
    assert "facematch local reset" in ended.stderr


@pytest.mark.parametrize(
    "address",
    [
        *("https://s3.amazonaws.com", "http://0.0.0.0:4566", "http://10.0.0.1:4566", "4566", ""),
        *("http://127.0.0.1@s3.amazonaws.com", "file:///tmp", "http://[::1", "http://localhost.io"),
    ],
)
def test_an_s3_beyond_this_machine_is_refused(address: str, tmp_path: Path) -> None:
    database = tmp_path / "faces.db"
    ended = run("--port", "0", "--s3-endpoint", address, "--database", str(database))
    assert ended.returncode == 2
    assert "never from AWS" in ended.stderr
    assert not database.exists()


def test_an_s3_must_be_named(tmp_path: Path) -> None:
    ended = run("--port", "0", "--database", str(tmp_path / "faces.db"))
    assert ended.returncode == 2
    assert "--s3-endpoint" in ended.stderr


def test_nobody_outside_this_machine_is_answered(endpoint: Running) -> None:
    listening = urlsplit(endpoint.url)
    assert listening.hostname == "127.0.0.1"
    # Linux has all of 127.0.0.0/8, and a server on every address would answer here too.
    connection = http.client.HTTPConnection("127.0.0.2", listening.port, timeout=3)
    unreachable = pytest.raises((ConnectionRefusedError, TimeoutError))
    with contextlib.closing(connection), unreachable:
        connection.request("GET", "/health")
