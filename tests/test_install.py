"""Where packages come from: ``make setup`` obeys pip's settings, whichever program installs.

An index on loopback holds uv itself and one tiny package; a proxy stands for the world, and nobody
may ask it.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[1]
CONSTRAINTS = PROJECT / "constraints"

_spec = importlib.util.spec_from_file_location("install", PROJECT / ".ci" / "install.py")
assert _spec is not None
assert _spec.loader is not None
install = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(install)


@dataclass
class Server:
    """A package index, or a proxy that has nothing; it remembers who asked for what."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def programs(self) -> set[str]:
        return {program for program, path in self.asked if "tiny" in path}

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}/simple"


@pytest.fixture
def serve() -> Iterator[Any]:
    running: list[ThreadingHTTPServer] = []

    def start(server: Server) -> Server:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                agent = re.split(r"[/ ]", self.headers.get("User-Agent", ""))[0]
                server.asked.append((agent, self.path))
                body = server.files.get(self.path.removeprefix("/files/"))
                if body is None:
                    name = self.path.removeprefix("/simple/").strip("/")
                    links = [f for f in server.files if f.startswith(f"{name}-")]
                    body = "".join(f'<a href="/files/{f}">{f}</a>' for f in links).encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def do_CONNECT(self) -> None:
                self.do_GET()

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.port = http.server_address[1]
        threading.Thread(target=http.serve_forever, daemon=True).start()
        running.append(http)
        return server

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The installed uv, and a package with one module."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv is not None
    folder = tmp_path_factory.mktemp("wheels")
    return dict(
        [
            wheel(
                folder,
                "uv",
                version("uv"),
                {f"uv-{version('uv')}.data/scripts/uv": Path(uv).read_bytes()},
            ),
            wheel(folder, "tiny", "1.0", {"tiny.py": b""}),
        ]
    )


def wheel(folder: Path, name: str, number: str, files: dict[str, bytes]) -> tuple[str, bytes]:
    info = f"{name}-{number}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{name}-{number}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, data)
    return path.name, path.read_bytes()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class Checkout:
    """A folder with what the installation needs, whose constraints name the wheels' hashes."""

    folder: Path
    world: Server

    def install(self, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
        proxy = f"http://127.0.0.1:{self.world.port}"
        return subprocess.run(
            [sys.executable, ".ci/install.py", "bench"],
            cwd=self.folder,
            env={
                **kept,
                **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy),
                **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), proxy),
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                "UV_NO_CACHE": "1",
                "PIP_NO_CACHE_DIR": "1",
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_RETRIES": "0",
                **settings,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def installed(self) -> bool:
        return any(self.folder.glob(".venv-bench/lib/*/site-packages/tiny.py"))


@pytest.fixture
def world(serve: Any) -> Server:
    server: Server = serve(Server())
    return server


@pytest.fixture
def checkout(tmp_path: Path, wheels: dict[str, bytes], world: Server) -> Checkout:
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci" / "install.py", tmp_path / ".ci")
    (tmp_path / "constraints").mkdir()
    for file, name in (("uv", "uv"), ("bench", "tiny")):
        ((wheel_name, data),) = [item for item in wheels.items() if item[0].startswith(name)]
        pinned = (
            f"{name}=={wheel_name.split('-')[1]} --hash=sha256:{hashlib.sha256(data).hexdigest()}"
        )
        (tmp_path / "constraints" / f"{file}.txt").write_text(pinned + "\n")
    return Checkout(tmp_path, world)


def test_uv_asks_the_private_index_and_nobody_else(
    checkout: Checkout, world: Server, serve: Any, wheels: dict[str, bytes]
) -> None:
    index = serve(Server(wheels))
    other = serve(Server(wheels))

    done = checkout.install(PIP_INDEX_URL=index.url(), UV_DEFAULT_INDEX=other.url())

    assert done.returncode == 0, done.stderr
    assert checkout.installed
    assert index.programs == {"uv"}
    assert other.asked == world.asked == []


def test_uv_finds_the_version_in_whichever_index_has_it(
    checkout: Checkout, world: Server, serve: Any, wheels: dict[str, bytes], tmp_path: Path
) -> None:
    older = dict([wheel(tmp_path, "tiny", "0.9", {"tiny.py": b""})])
    main, further = serve(Server(wheels)), serve(Server(older))

    done = checkout.install(PIP_INDEX_URL=main.url(), PIP_EXTRA_INDEX_URL=further.url())

    assert (done.returncode, done.stderr) == (0, "")
    assert checkout.installed
    assert world.asked == []


def test_uv_finds_files_without_an_index(
    checkout: Checkout, world: Server, wheels: dict[str, bytes], tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name, data in wheels.items():
        (files / name).write_bytes(data)

    done = checkout.install(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(files))

    assert (done.returncode, done.stderr) == (0, "")
    assert checkout.installed
    assert world.asked == []


def test_a_constraint_that_forbids_the_pinned_version_is_obeyed(
    checkout: Checkout, serve: Any, wheels: dict[str, bytes], tmp_path: Path
) -> None:
    index = serve(Server(wheels))
    constraint = tmp_path / "older.txt"
    constraint.write_text("other<3\n")
    assert checkout.install(PIP_INDEX_URL=index.url(), PIP_CONSTRAINT=str(constraint)).stderr == ""
    shutil.rmtree(checkout.folder / ".venv-bench")

    constraint.write_text("tiny<1\n")
    done = checkout.install(PIP_INDEX_URL=index.url(), PIP_CONSTRAINT=str(constraint))

    assert done.returncode != 0
    assert not checkout.installed


def test_with_a_setting_that_uv_lacks_pip_installs(
    checkout: Checkout, world: Server, serve: Any, wheels: dict[str, bytes]
) -> None:
    index = serve(Server(wheels))

    done = checkout.install(PIP_INDEX_URL=index.url(), PIP_ONLY_BINARY="secret-name")

    assert done.returncode == 0, done.stderr
    assert "only-binary" in done.stderr
    assert "secret-name" not in done.stderr
    assert checkout.installed
    assert index.programs == {"pip"}
    assert world.asked == []


def test_a_file_with_another_hash_is_refused_by_uv_and_by_pip_and_no_password_is_shown(
    checkout: Checkout, serve: Any, wheels: dict[str, bytes], tmp_path: Path
) -> None:
    other = dict([wheel(tmp_path, "tiny", "1.0", {"tiny.py": b"print('not the one')"})])
    index = serve(Server({**wheels, **other}))

    done = checkout.install(PIP_INDEX_URL=index.url("ann:s3cret@"))

    assert done.returncode != 0
    assert not checkout.installed
    assert index.programs == {"uv", "pip"}
    assert "Hash mismatch" in done.stderr  # uv's words
    assert "DO NOT MATCH THE HASHES" in done.stderr  # pip's
    assert "s3cret" not in done.stdout + done.stderr


def test_a_uv_with_another_hash_is_not_run(
    checkout: Checkout, serve: Any, wheels: dict[str, bytes], tmp_path: Path
) -> None:
    script = f"uv-{version('uv')}.data/scripts/uv"
    marker = tmp_path / "ran"
    files = {script: f"#!/bin/sh\ntouch {marker}\n".encode()}
    index = serve(Server({**wheels, **dict([wheel(tmp_path, "uv", version("uv"), files)])}))

    checkout.install(PIP_INDEX_URL=index.url())

    assert not marker.exists()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"index-url": "https://a/simple"}, {"UV_DEFAULT_INDEX": "https://a/simple"}),
        (
            {"extra-index-url": "https://a\nfile:///b"},
            {"UV_INDEX": "https://a file:///b", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"find-links": "/a /b"}, {"UV_FIND_LINKS": "/a,/b"}),
        ({"trusted-host": "a b:8080"}, {"UV_INSECURE_HOST": "a b:8080"}),
        ({"constraint": "/a.txt /b.txt"}, {"UV_CONSTRAINT": "/a.txt /b.txt"}),
        ({"cert": "/a.pem"}, {"SSL_CERT_FILE": "/a.pem"}),
        ({"cert": "/"}, {"SSL_CERT_DIR": "/"}),
        ({"client-cert": "/a.pem"}, {"SSL_CLIENT_CERT": "/a.pem"}),
        ({"proxy": "http://a:3128"}, {"ALL_PROXY": "http://a:3128"}),
        ({"no-cache-dir": "true"}, {"UV_NO_CACHE": "1"}),
        ({"timeout": "60", "quiet": "1"}, {}),
    ],
)
def test_settings_of_pip_become_those_of_uv(
    settings: dict[str, str], expected: dict[str, str]
) -> None:
    assert install.translated(settings) == (expected, [])


@pytest.mark.parametrize("option", ["only-binary", "user", "pypi-url", "a-future-option"])
def test_a_setting_that_nobody_knows_is_not_for_uv(option: str) -> None:
    with pytest.raises(install.UvUnusableError, match=option):
        install.translated({option: "1"})


def test_the_nearer_setting_counts_and_empty_ones_do_not() -> None:
    listing = "\n".join(
        [
            ":env:.cert=''",
            ":env:.find-links='/near'",
            "download.index-url='https://elsewhere'",
            "global.cert='/global.pem'",
            "global.find-links='/far'",
            "global.index-url='https://far'",
            "install.index-url='https://user:p=w@near'",
        ]
    )
    assert install.pip_settings(listing) == {
        "cert": "/global.pem",
        "find-links": "/near",
        "index-url": "https://user:p=w@near",
    }


@pytest.mark.parametrize("name", ["bench", "demo", "test", "uv"])
def test_each_pinned_package_has_its_hashes_and_no_address(name: str) -> None:
    text = (CONSTRAINTS / f"{name}.txt").read_text()
    requirements = re.sub(r"\\\n", "", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    assert requirements
    for requirement in requirements:
        assert re.fullmatch(r"[\w.-]+==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+", requirement)
    assert "://" not in text


def test_the_set_for_the_tests_holds_that_for_the_demo() -> None:
    demo, test = ((CONSTRAINTS / f"{name}.txt").read_text() for name in ("demo", "test"))
    pinned = re.compile(r"(?m)^[\w.-]+==\S+")
    assert set(pinned.findall(demo)) < set(pinned.findall(test))
