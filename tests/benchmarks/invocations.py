"""What one invocation of a warm handler computes: CPU time, waiting left out.

    python -m tests.benchmarks.invocations [--functions FOLDER] [--invocations 200] [--found 3]

Each handler is invoked again and again in one process, as in one Lambda environment. A process of
its own answers its calls on 127.0.0.1 as AWS would, over HTTP without TLS, so that everything a
call costs is counted: putting the request together, signing it, sending it, reading the answer.
The peak memory is that of all handlers together.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import multiprocessing
import os
import statistics
import sys
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.environment import ENVIRONMENT, IMAGES, REGION, peak_mib

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.queues import Queue

PROJECT: Final = Path(__file__).parents[2]
_KEY: Final = "images/Ann_Lee_0001.jpg"
_BOX: Final = {"Left": 0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4}
_FACE: Final = {"FaceId": "0f0", "BoundingBox": _BOX, "ImageId": "0a0", "Confidence": 99.9}
_DETAIL: Final = {
    "BoundingBox": _BOX,
    "Confidence": 99.9,
    "Landmarks": [{"Type": "eyeLeft", "X": 0.1, "Y": 0.1}] * 5,
    "Pose": {"Roll": 1.0, "Yaw": 1.0, "Pitch": 1.0},
    "Quality": {"Brightness": 50.0, "Sharpness": 50.0},
}
_ANSWERS: Final[dict[str, Any]] = {
    "IndexFaces": {
        "FaceRecords": [{"Face": _FACE, "FaceDetail": _DETAIL}],
        "FaceModelVersion": "7.0",
        "UnindexedFaces": [],
    },
    "GetParameter": {"Parameter": {"Value": "99"}},
    "StartExecution": {"executionArn": "arn", "startDate": 1.0},
    "UpdateItem": {"Attributes": {"next_turn": {"N": "1"}}},
}
_PUBLISHED: Final = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    b"<MessageId>1</MessageId></PublishResult></PublishResponse>"
)
_WARM_UP: Final = 20
_AT_ONCE: Final = 10


class Services(BaseHTTPRequestHandler):
    """Answers as S3, Rekognition, Step Functions, DynamoDB, SSM and SNS would, always well."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        # No report of the version, and no record of a failure.
        self._answer(404 if "/output-" in self.path else 200, size=20_000)

    def do_GET(self) -> None:
        if "/decisions/" in self.path:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, b'{"faces_left_at": 0, "versions": {}}')

    def do_PUT(self) -> None:
        self._read()
        self._answer(200)

    def do_DELETE(self) -> None:
        self._answer(204)

    def do_POST(self) -> None:
        body = self._read()
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if operation:
            self._answer(200, json.dumps(_ANSWERS[operation]).encode())
        else:
            assert b"Action=Publish" in body
            self._answer(200, _PUBLISHED)

    def handle_expect_100(self) -> bool:
        """At once: nothing waits in the buffer until the body has come."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: bytes = b"", *, size: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.send_header("ETag", '"abc"')
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 11:15:07 GMT")
        self.send_header("x-amz-version-id", "v1")
        self.end_headers()
        self.wfile.write(body)


def _serve(port: Queue[int], found: int) -> None:
    """Answer, SearchFaces with so many look-alikes of another name."""
    _ANSWERS["SearchFaces"] = {
        "FaceModelVersion": "7.0",
        "FaceMatches": [
            {
                "Similarity": 99.9 - number / found,
                "Face": {**_FACE, "ExternalImageId": f"images::Bob_Ray_{number:04}.jpg"},
            }
            for number in range(found)
        ],
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Services)
    port.put(server.server_port)
    server.serve_forever()


class _Context:
    function_name = "FaceMatching-Function"
    memory_limit_in_mb = 256
    invoked_function_arn = f"arn:aws:lambda:{REGION}:123456789012:function:FaceMatching"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"


def events() -> Mapping[str, Any]:
    """An event for each handler: a new image of one face, with one match that notifies."""
    images = importlib.import_module("functions.matching.images")
    image = images.UploadedImage(
        bucket=IMAGES,
        key=_KEY,
        version_id="v1",
        etag="abc",
        size=20_000,
        last_modified=datetime.now(UTC),
    )
    payload = image.to_payload()
    execution = f"arn:aws:states:{REGION}:123456789012:execution:F:{image.execution_name}"
    step = {"image": payload, "execution_arn": execution, "redrive_count": 0}
    message = json.loads((PROJECT / "tests" / "events" / "sqs_s3_put.json").read_text())
    body = json.loads(message["Records"][0]["body"])
    body["Records"][0]["s3"]["bucket"]["name"] = IMAGES
    message["Records"][0]["body"] = json.dumps(body)
    rejected = {"Error": "ImageRejected", "Cause": '{"errorMessage": "TOO_LARGE 0"}'}
    # What the steps answer is filled in as they are invoked.
    return {
        "starter": message,
        "index": step,
        "search": step,
        "report": step,
        "notify": step,
        "failure": {**step, "step": "IndexFaces", "error": rejected},
        "removal": {"removal": {**payload, "removed": True}},
    }


def cpu_ms(invocations: int) -> dict[str, float]:
    """Median CPU time of an invocation of each handler, milliseconds."""
    found = {}
    answers: dict[str, Any] = {}
    for name, event in events().items():
        module = importlib.import_module(f"functions.{name}")
        module.logger.registered_handler.stream = io.StringIO()
        with redirect_stdout(io.StringIO()):  # metrics

            def invoke(
                module: Any = module, event: Any = {**event, **answers} if answers else event
            ) -> Any:
                return module.handler(event, _Context())

            answers[name] = json.loads(json.dumps(invoke()))
            for _ in range(_WARM_UP):
                invoke()
            times = []
            for _ in range(max(1, invocations // _AT_ONCE)):
                began = time.process_time()
                for _ in range(_AT_ONCE):
                    invoke()
                times.append((time.process_time() - began) / _AT_ONCE * 1000)
        found[name] = statistics.median(times)
    return found


def main() -> None:
    """Print milliseconds and memory, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--functions", type=Path, default=PROJECT, help="folder that holds them")
    parser.add_argument("--invocations", type=int, default=200)
    parser.add_argument("--found", type=int, default=3, help="look-alikes of each face")
    options = parser.parse_args()
    sys.path.insert(0, str(options.functions))
    context = multiprocessing.get_context("spawn")
    port: Queue[int] = context.Queue()
    server = context.Process(target=_serve, args=(port, options.found), daemon=True)
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{port.get()}"
        # As fast as it can: a starter would wait for its turns.
        local = {"AWS_ENDPOINT_URL": endpoint, "FACEMATCH_LOCAL": "1", "STARTS_PER_SECOND": "1e6"}
        os.environ.update({**ENVIRONMENT, **local})
        print(json.dumps({"cpu_ms": cpu_ms(options.invocations), "peak_mib": peak_mib()}))
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
