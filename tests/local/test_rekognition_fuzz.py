"""The Rekognition endpoint under requests that no client of AWS would send.

Whatever comes, it answers as AWS does or drops the connection: never a 500, no worker dies, no
face is lost, and the next good request is answered. `test_rekognition.py` sends any JSON and any
bytes; here are requests that are nearly right, on a collection that is there, so that what is
wrong gets past the first check.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import multiprocessing
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from facematch.images.limits import MAX_SCANS, TooCostlyError
from facematch.local.rekognition.collections import CollectionStore
from facematch.local.rekognition.faces import FaceEngine
from facematch.local.rekognition.protocol import Call, RekognitionError
from facematch.local.rekognition.service import Rekognition
from facematch.local.rekognition.workers import FaceWorkers, S3Images
from tests.crafted import with_scans
from tests.examples import examples
from tests.local.conftest import KEYS
from tests.local.test_rekognition import (
    BUCKET,
    SIGNED,
    FakeS3,
    Running,
    assert_in_model,
    start,
    stop,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mypy_boto3_rekognition import RekognitionClient

KEPT, FUZZED = "kept", "fuzzed"
SAME_MAN = ("obama.jpg", "obama2.jpg")
SLOW = [HealthCheck.too_slow]


@dataclass(frozen=True)
class Served:
    """An endpoint with two faces of one man in the collection that no request names."""

    running: Running
    face_ids: tuple[str, ...]
    workers: frozenset[int]

    def assert_unharmed(self) -> None:
        client = self.running.client()
        kept = client.list_faces(CollectionId=KEPT)["Faces"]
        assert tuple(face["FaceId"] for face in kept) == self.face_ids
        assert index(client, SAME_MAN[0]) == self.face_ids[0]
        found = client.search_faces(CollectionId=KEPT, FaceId=self.face_ids[0])["FaceMatches"]
        assert [match["Face"]["FaceId"] for match in found] == [self.face_ids[1]]
        assert set(self.running.health()["worker_process_ids"]) == self.workers
        log = self.running.log.read_text()
        assert "ERROR" not in log
        assert "Traceback" not in log
        assert "Secret" not in log


def index(client: RekognitionClient, name: str) -> str:
    (record,) = client.index_faces(
        CollectionId=KEPT,
        Image={"S3Object": {"Bucket": BUCKET, "Name": name}},
        ExternalImageId=name,
    )["FaceRecords"]
    return record["Face"]["FaceId"]


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, bytes]
) -> Iterator[Served]:
    s3 = FakeS3()
    for name in SAME_MAN:
        s3.put(name, photographs[name])
    s3.put("Secret_Text.jpg", b"not an image")
    server = ThreadingHTTPServer(("127.0.0.1", 0), s3.handler())
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    s3.url = f"http://127.0.0.1:{server.server_port}"
    running = start(tmp_path_factory.mktemp("fuzz") / "faces.db", s3)
    client = running.client()
    for name in (KEPT, FUZZED):
        client.create_collection(CollectionId=name)
    ids = [index(client, name) for name in SAME_MAN]
    workers = running.health()["worker_process_ids"]
    yield Served(running, tuple(ids), frozenset(workers))
    assert stop(running) == 0
    server.shutdown()
    server.server_close()


# --- Requests that are nearly right -----------------------------------------------------------


def encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


SMALL = base64.b64encode(encoded(Image.new("L", (80, 80)))).decode()
UNKNOWN = str(uuid.UUID(int=0))
SECRET = {"S3Object": {"Bucket": BUCKET, "Name": "Secret_Text.jpg", "Version": "v1"}}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("CreateCollection", {"CollectionId": "new", "Tags": {"Secret": "of a name"}}),
    ("DescribeCollection", {"CollectionId": FUZZED}),
    ("ListCollections", {"MaxResults": 1, "NextToken": "YWZ0ZXI6MQ=="}),
    ("DeleteCollection", {"CollectionId": "new"}),
    (
        "IndexFaces",
        {
            "CollectionId": FUZZED,
            "Image": {"Bytes": SMALL},
            "ExternalImageId": "Secret_Name",
            "DetectionAttributes": ["DEFAULT"],
            "MaxFaces": 1,
            "QualityFilter": "AUTO",
        },
    ),
    ("IndexFaces", {"CollectionId": FUZZED, "Image": SECRET, "ExternalImageId": "Secret_Name"}),
    (
        "SearchFaces",
        {"CollectionId": FUZZED, "FaceId": UNKNOWN, "MaxFaces": 5, "FaceMatchThreshold": 99.5},
    ),
    (
        "ListFaces",
        {
            "CollectionId": FUZZED,
            "MaxResults": 5,
            "NextToken": "YWZ0ZXI6MQ==",
            "FaceIds": [UNKNOWN, UNKNOWN],
        },
    ),
    ("DeleteFaces", {"CollectionId": FUZZED, "FaceIds": [UNKNOWN, str(uuid.UUID(int=1))]}),
]
#: Written where a value was: not all of it is JSON.
FRAGMENTS = [
    *(b"NaN", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"-0", b"-0.0", b"0x10", b"01", b"1."),
    *(b"2147483647", b"2147483648", b"-2147483649", b"9" * 400, b"9" * 5000, b"1." + b"0" * 5000),
    *(b"[" * 2000, b'{"a":' * 2000, b"[" * 500 + b"]" * 500, b'{"a":' * 500 + b"1" + b"}" * 500),
    *(
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\u0000"',
        b'"\\u00"',
        b'"\xff"',
        b'"\n"',
        b'"\xc0\x80"',
    ),
    *(
        b'"' + b"x" * 100_000 + b'"',
        b'"',
        b"''",
        b"",
        b"tru",
        b"true",
        b"null",
        b"{}",
        b"[]",
        b'""',
    ),
    *(b'["a"]', b"[null]", b"[[]]", b'{"": 1}', b'{"Bytes": ""}', b'{"S3Object": null}', b'"="'),
    *(b'"../../etc"', b'"a/b"', b'"%2e%2e"', b'"a\\r\\nX: y"', b'"\'; DROP TABLE faces; --"'),
    *(b'"YWZ0ZXI6OTk5OTk5OTk5OTk5OTk5OTk5"', b'"YWZ0ZXI6LTE="', b'"/9j/"', b'"\\ud83d\\ude00"'),
]
MARK = "\0here"


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to every value within, and to the whole."""
    yield path
    inner: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)
    for name, member in inner:
        yield from places(member, (*path, name))


def with_fragment(request: dict[str, Any], path: tuple[Any, ...], fragment: bytes) -> bytes:
    """The request as JSON, with the fragment where the path leads."""
    if not path:
        return fragment
    changed = json.loads(json.dumps(request))
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = MARK
    return json.dumps(changed).encode().replace(json.dumps(MARK).encode(), fragment)


@st.composite
def near_misses(draw: st.DrawFn) -> tuple[str, bytes]:
    """An operation, and a request for it with one or two things wrong."""
    operation, request = draw(st.sampled_from(REQUESTS))
    path = draw(st.sampled_from(list(places(request))))
    fragment = draw(st.sampled_from(FRAGMENTS) | st.binary(max_size=8))
    body = bytearray(with_fragment(request, path, fragment))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(body)))
        body[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return operation, bytes(body)


def test_a_request_that_is_nearly_right_is_carried_out_or_refused(served: Served) -> None:
    @settings(max_examples=examples(400), deadline=None, suppress_health_check=SLOW)
    @given(near_misses())
    def fuzz(case: tuple[str, bytes]) -> None:
        operation, body = case
        status, answer = served.running.post(body, f"RekognitionService.{operation}")
        assert status in {200, 400}
        assert_in_model(operation, answer if status == 200 else {})

    fuzz()
    served.assert_unharmed()


def test_every_fragment_as_a_part_of_an_image_is_read_or_refused(served: Served) -> None:
    """The parts of an image are what goes on to S3 and to the decoder."""
    for operation, request in REQUESTS:
        for path in places(request):
            for fragment in FRAGMENTS if path[:1] == ("Image",) else ():
                body = with_fragment(request, path, fragment)
                status, _ = served.running.post(body, f"RekognitionService.{operation}")
                assert status in {200, 400}, (path, fragment[:40])
    served.assert_unharmed()


@pytest.mark.parametrize(
    ("operation", "member", "count"),
    [
        ("DeleteFaces", b'"FaceIds": [' + b'"x",' * 1_900_000 + b'"x"]', "4097"),
        (
            "CreateCollection",
            b'"Tags": {' + b",".join(b'"%d;": ""' % n for n in range(400_000)) + b"}",
            "201",
        ),
    ],
)
def test_of_millions_of_members_no_more_are_looked_at_than_there_may_be(
    served: Served, operation: str, member: bytes, count: str
) -> None:
    body = b'{"CollectionId": "fuzzed", ' + member + b"}"
    status, answer = served.running.post(body, f"RekognitionService.{operation}")
    assert (status, answer["__type"]) == (400, "InvalidParameterException")
    assert answer["Message"].startswith(f"{count} validation errors detected")
    assert len(answer["Message"]) < 10_000


@pytest.mark.parametrize("size", [8 * 2**20, 8 * 2**20 + 1, 20 * 2**20])
def test_an_oversized_body_is_refused(served: Served, size: int) -> None:
    status, _ = served.running.post(b" " * size, "RekognitionService.ListCollections")
    assert status == 400
    served.assert_unharmed()


# --- HTTP -------------------------------------------------------------------------------------

TARGET = b"X-Amz-Target: RekognitionService.ListCollections"
KEY = b"Authorization: " + SIGNED["Authorization"].encode()


def exchange(served: Served, request: bytes) -> bytes:
    """What comes back until the connection is closed, by whomever."""
    address = urlsplit(served.running.url)
    assert address.hostname
    assert address.port
    answer = b""
    with (
        socket.create_connection((address.hostname, address.port), timeout=5) as connection,
        contextlib.suppress(ConnectionError, TimeoutError),
    ):
        connection.sendall(request)
        connection.settimeout(0.3)  # for the rest of a request that never comes, it waits
        while received := connection.recv(65_536):
            answer += received
    return answer


def request(*headers: bytes, line: bytes = b"POST / HTTP/1.1", body: bytes = b"{}") -> bytes:
    return b"\r\n".join([line, *headers, KEY, b"Connection: close", b"", body])


HOST = b"Host: 127.0.0.1"
GOOD = request(HOST, TARGET, b"Content-Length: 2")
LENGTHS = [
    *(b"0", b"1", b"2", b"3", b"02", b" 2 ", b"2, 2", b"2, 3", b"", b"-1", b"+2", b"2.0", b"1e1"),
    *(b"0x2", b"1_0", b"\xb2", b"two", b"9" * 18, b"9" * 400, b"2;a=b"),
]
ODD_REQUESTS = [
    *(request(HOST, TARGET, b"Content-Length: " + length) for length in LENGTHS),
    request(HOST, TARGET, b"Content-Length: 2", b"Content-Length: 3"),
    request(HOST, TARGET),
    request(HOST, b"Content-Length: 2"),
    request(HOST, TARGET, TARGET + b"x", b"Content-Length: 2"),
    request(HOST, b"X-Amz-Target: \xff\xfe", b"Content-Length: 2"),
    request(HOST, b"X-Amz-Target: RekognitionService.\xc4\xb0ndexFaces", b"Content-Length: 2"),
    request(TARGET, b"Content-Length: 2"),
    request(HOST, HOST, TARGET, b"Content-Length: 2"),
    request(HOST, TARGET, b"Content-Length: 2", b"Content-Encoding: gzip"),
    request(HOST, TARGET, b"Content-Length: 2", b"Content-Type: text/html; charset=\xff"),
    request(HOST, TARGET, b"Content-Length: 2", b"Expect: 100-continue"),
    request(HOST, TARGET, b"Content-Length: 2", b"Upgrade: websocket", b"Sec-WebSocket-Key: x"),
    request(HOST, TARGET, b"Content-Length: 2", b"Long: " + b"x" * 100_000),
    request(HOST, TARGET, b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
    request(HOST, TARGET, b"Transfer-Encoding: chunked", body=b"-2\r\n{}\r\n0\r\n\r\n"),
    request(HOST, TARGET, b"Transfer-Encoding: chunked", body=b"f" * 30 + b"\r\n{}"),
    request(HOST, TARGET, b"Transfer-Encoding: gzip, chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
    request(HOST, TARGET, b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    *(
        request(HOST, TARGET, b"Content-Length: 2", line=line)
        for line in (
            *(b"POST * HTTP/1.1", b"POST http://a/b HTTP/1.1", b"POST /%ff%00 HTTP/1.1"),
            *(b"POST /\xff HTTP/1.1", b"POST /../health HTTP/1.1", b"POST / HTTP/9.9"),
            *(b"POST / HTTP/1.0", b"CONNECT a:1 HTTP/1.1", b"HEAD / HTTP/1.1", b"POST", b"", b"\0"),
            b"POST /" + b"x" * 100_000 + b" HTTP/1.1",
        )
    ),
    GOOD + GOOD,
    GOOD[:-1],
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n" * 1000,
]


def assert_no_server_error(answer: bytes) -> None:
    assert b"HTTP/1.1 5" not in answer
    assert b"InternalServerError" not in answer
    assert not answer or answer.startswith(b"HTTP/1.1 ")


def test_odd_http_is_answered_or_dropped(served: Served) -> None:
    assert exchange(served, GOOD).startswith(b"HTTP/1.1 200 ")
    for odd in ODD_REQUESTS:
        assert_no_server_error(exchange(served, odd))
    served.assert_unharmed()


def test_http_with_any_bytes_in_it_is_answered_or_dropped(served: Served) -> None:
    @settings(max_examples=examples(100), deadline=None, suppress_health_check=SLOW)
    @given(place=st.integers(0, len(GOOD) - 1), length=st.integers(0, 3), put=st.binary(max_size=4))
    def fuzz(place: int, length: int, put: bytes) -> None:
        assert_no_server_error(exchange(served, GOOD[:place] + put + GOOD[place + length :]))

    fuzz()
    served.assert_unharmed()


# --- Files that cost more than they weigh -----------------------------------------------------


@pytest.mark.parametrize(("scans", "hidden"), [(30_000, False), (1200, True)])
def test_a_small_file_that_would_take_minutes_to_decode_is_refused(
    served: Served, scans: int, *, hidden: bool
) -> None:
    """Each scan costs a pass over all pixels: 30,000 of them are 430 KB and minutes of work."""
    image = {"Bytes": base64.b64encode(with_scans(scans, side=2000, hidden=hidden)).decode()}
    status, answer = served.running.call("IndexFaces", {"CollectionId": FUZZED, "Image": image})
    assert (status, answer["__type"]) == (400, "InvalidImageFormatException")
    assert answer["Message"] == "Request has invalid image format: more than 100 scans."
    served.assert_unharmed()


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[Callable[[bytes], dict[str, Any]]]:
    """IndexFaces by two workers that give an image one second of processor time."""
    store, workers = CollectionStore(tmp_path / "faces.db"), FaceWorkers(2, seconds=1)
    store.create(FUZZED)
    service = Rekognition(store, workers, S3Images("http://127.0.0.1:9", 1, KEYS.user))

    def index_faces(image: bytes) -> dict[str, Any]:
        parameters = {"CollectionId": FUZZED, "Image": {"Bytes": image}}
        return service.perform(Call("IndexFaces", parameters, {}))

    yield index_faces
    workers.close()
    store.close()


def test_images_that_take_too_long_are_refused_and_those_behind_them_are_not(
    hurried: Callable[[bytes], dict[str, Any]], photographs: dict[str, bytes]
) -> None:
    costly = [with_scans(scans, side=6000) for scans in (80, 81)]
    sentence = "decoding it takes more than 1 seconds of processor time"
    with ThreadPoolExecutor(20) as threads:
        # Each of them three times, as when nobody has waited for the first answer.
        refused = [threads.submit(hurried, image) for image in costly * 3]
        good = [threads.submit(hurried, photographs[name]) for name in SAME_MAN * 6]
        for answer in good:
            assert answer.result()["FaceRecords"]
        for answer in refused:
            with pytest.raises(RekognitionError, match="InvalidImageFormatException") as raised:
                answer.result()
            assert raised.value.status == 400
            assert sentence in raised.value.message


def test_an_image_that_took_too_long_takes_no_time_when_it_comes_again(
    hurried: Callable[[bytes], dict[str, Any]], photographs: dict[str, bytes]
) -> None:
    image = with_scans(80, side=6000)
    with pytest.raises(RekognitionError):
        hurried(image)
    hurried(photographs[SAME_MAN[0]])
    workers = multiprocessing.active_children()

    for _ in range(20):
        with pytest.raises(RekognitionError, match="InvalidImageFormatException"):
            hurried(image)

    assert multiprocessing.active_children() == workers


def test_only_the_scans_of_the_picture_itself_are_counted() -> None:
    engine = FaceEngine()
    picture = encoded(Image.new("RGB", (100, 100)), progressive=True)
    usual = picture.count(b"\xff\xda")
    scans = b"\xff\xda\0\x02" * (MAX_SCANS + 1)
    segment = b"\xff\xe5" + (2 + len(scans)).to_bytes(2) + scans
    film = bytes(70_000) + scans
    beside = picture[:2] + segment + picture[2:] + film  # and a segment as a thumbnail has
    assert engine.detect_and_embed(beside).faces == ()

    last = picture[picture.rindex(b"\xff\xda") : -2]
    most = picture[:-2] + last * (MAX_SCANS - usual)
    assert engine.detect_and_embed(most + picture[-2:]).faces == ()
    with pytest.raises(TooCostlyError, match="scans"):
        engine.detect_and_embed(most + last + picture[-2:])
