"""A stand-in between the functions and the Rekognition endpoint that fails on demand."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class FaultyRekognition:
    """Passes requests on, except for the next so many, which it answers with an error."""

    def __init__(self, target: str) -> None:
        self._lock = threading.Lock()
        self._to_fail = 0
        self._code = ""
        self._operation: str | None = None
        #: How long the answers of IndexFaces are held back, seconds: the faces are there already.
        self.indexed_late = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                operation = self.headers.get("X-Amz-Target", "").partition(".")[2]
                code = outer._fault(operation)
                if code:
                    self._answer(400, json.dumps({"__type": code, "message": "as told"}).encode())
                    return
                request = urllib.request.Request(target, data=body, headers=dict(self.headers))
                try:
                    with urllib.request.urlopen(request, timeout=30) as answer:
                        content = answer.read()
                        if operation == "IndexFaces":
                            time.sleep(outer.indexed_late)
                        self._answer(answer.status, content)
                except urllib.error.HTTPError as error:
                    self._answer(error.code, error.read())

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail_next(self, count: int, code: str, operation: str | None = None) -> None:
        """Answer the next `count` requests (of one operation) with the error `code`."""
        with self._lock:
            self._to_fail, self._code, self._operation = count, code, operation

    def _fault(self, operation: str) -> str:
        with self._lock:
            if self._to_fail == 0 or self._operation not in {None, operation}:
                return ""
            self._to_fail -= 1
            return self._code
