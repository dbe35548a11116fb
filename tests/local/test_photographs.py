"""The demo's photographs: what a package index serves is compared first, and nothing of it runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from facematch.local import package_index
from facematch.local import sample_photographs as photographs
from facematch.local.sample_photographs import PhotographsUnavailable, fetch_photographs
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARCHIVE = photographs._ARCHIVE
FOLDER = photographs._FOLDER
ENDLESS = "/endless/"
PICTURES = {"Ann.jpg": b"Ann's picture", "Bo.jpg": b"Bo's picture"}


def sdist(*, setup: str = "", **pictures: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        files = {
            "face_recognition-1.3.0/setup.py": setup.encode(),
            "face_recognition-1.3.0/PKG-INFO": b"Name: face_recognition\nVersion: 1.3.0\n",
            **{FOLDER + name.replace("_", "."): content for name, content in pictures.items()},
        }
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return written.getvalue()


GENUINE = sdist(Ann_jpg=PICTURES["Ann.jpg"], Bo_jpg=PICTURES["Bo.jpg"])


class Index:
    """A package index in a folder, as PEP 503 has it, and served on the loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = folder / "simple" / "face-recognition" / "index.html"
        self.page.parent.mkdir(parents=True)
        handler = partial(_Quiet, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def offer(self, content: bytes) -> None:
        """Offer the archive, with the digest that it has."""
        (self.folder / ARCHIVE).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        self.page.write_text(
            f'<!DOCTYPE html><a href="../../{ARCHIVE}#sha256={digest}">{ARCHIVE}</a>'
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.startswith(ENDLESS):
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # nobody reads on
            while True:
                self.wfile.write(bytes(1 << 16))


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Index]]:
    """Two indexes, of which pip knows the first; nothing of this machine's settings."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    made = [Index(tmp_path / name) for name in ("one", "other")]
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_INDEX_URL", made[0].url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield made
    for index in made:
        index.close()


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the test's own archive were the one that is expected."""
    monkeypatch.setattr(photographs, "_ARCHIVE_SHA256", hashlib.sha256(GENUINE).hexdigest())
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in PICTURES.items()}
    monkeypatch.setattr(photographs, "_SHA256", digests)


def contents(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir()}


@pytest.mark.parametrize("build_isolation", ["0", "1"])
def test_what_is_not_the_expected_file_is_refused_before_anything_of_it_runs(
    indexes: list[Index], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_isolation: str
) -> None:
    ran = tmp_path / "ran"
    setup = f"""
import pathlib
pathlib.Path({str(ran)!r}).touch()
from setuptools import setup
setup(name="face_recognition", version="1.3.0")
"""
    indexes[0].offer(sdist(setup=setup, Ann_jpg=PICTURES["Ann.jpg"], Bo_jpg=PICTURES["Bo.jpg"]))
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", build_isolation)

    with pytest.raises(PhotographsUnavailable) as raised:
        fetch_photographs(tmp_path / "cache")

    assert not ran.exists()
    assert "another file (sha256" in str(raised.value)
    assert "make demo PHOTOS=folder" in str(raised.value)
    assert contents(tmp_path / "cache") == {}


@pytest.mark.usefixtures("pinned")
def test_the_photographs_are_fetched_and_nothing_else_once(
    indexes: list[Index], tmp_path: Path
) -> None:
    indexes[0].offer(GENUINE)

    found = fetch_photographs(tmp_path / "cache")

    assert found == {name: tmp_path / "cache" / name for name in PICTURES}
    assert contents(tmp_path / "cache") == PICTURES
    indexes[0].close()
    assert fetch_photographs(tmp_path / "cache") == found  # offline


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("setting", ["PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"])
def test_another_index_has_the_right_file(
    indexes: list[Index], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    indexes[0].offer(sdist(Ann_jpg=b"somebody else"))
    indexes[1].offer(GENUINE)
    place = indexes[1].url if setting == "PIP_EXTRA_INDEX_URL" else indexes[1].folder
    monkeypatch.setenv(setting, str(place))

    fetch_photographs(tmp_path / "cache")

    assert contents(tmp_path / "cache") == PICTURES


def test_an_index_without_the_file_and_no_index_at_all_are_told(
    indexes: list[Index], tmp_path: Path
) -> None:
    with pytest.raises(PhotographsUnavailable, match="no index that pip is set up for has it"):
        fetch_photographs(tmp_path / "cache")
    indexes[0].close()
    with pytest.raises(PhotographsUnavailable, match="could not be fetched"):
        fetch_photographs(tmp_path / "cache")


def test_a_file_without_end_is_not_read_for_ever(indexes: list[Index]) -> None:
    indexes[0].page.write_text(f'<!DOCTYPE html><a href="{ENDLESS}{ARCHIVE}">{ARCHIVE}</a>')
    said: list[str] = []

    def fetch() -> None:
        with pytest.raises(package_index.NotFetched) as raised:
            package_index.fetch("face_recognition", ARCHIVE, "0" * 64)
        said.append(str(raised.value))

    fetching = threading.Thread(target=fetch, daemon=True)
    fetching.start()
    fetching.join(timeout=60)

    assert ["another file" in text for text in said] == [True]


@pytest.mark.usefixtures("pinned")
def test_only_plain_files_of_the_expected_names_and_size_are_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the digest says: a second door behind the first."""
    outside, cache = tmp_path / "outside", tmp_path / "cache"
    outside.write_bytes(PICTURES["Ann.jpg"])
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, kind, target in (
            ("Ann.jpg", tarfile.SYMTYPE, str(outside)),
            ("Bo.jpg", tarfile.LNKTYPE, FOLDER + "Ann.jpg"),
        ):
            link = tarfile.TarInfo(FOLDER + name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
        for name in ("../../escaped.jpg", "Ann.jpg"):
            member = tarfile.TarInfo(name)
            member.size = len(PICTURES["Ann.jpg"])
            tar.addfile(member, io.BytesIO(PICTURES["Ann.jpg"]))
        large = tarfile.TarInfo(FOLDER + "Bo.jpg")
        large.size = photographs._PHOTOGRAPH_LIMIT + 1
        tar.addfile(large, io.BytesIO(bytes(large.size)))
    monkeypatch.setattr(photographs, "fetch", lambda *_: written.getvalue())

    with pytest.raises(PhotographsUnavailable, match=r"Ann\.jpg .* is not the photograph"):
        fetch_photographs(cache)

    assert contents(cache) == {}
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "cache"}


def test_the_digest_is_the_one_that_the_benchmarks_install_with() -> None:
    (pins,) = re.findall(
        r"^face-recognition==1\.3\.0((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$",
        (PROJECT / "constraints" / "bench.txt").read_text(),
        re.MULTILINE,
    )
    assert photographs._ARCHIVE_SHA256 in pins


def test_pips_private_names_are_as_they_were() -> None:
    """The same are used on every pip that a supported Python brings along."""
    done = subprocess.run(
        [sys.executable, "-m", "facematch.local.package_index", "face_recognition", "nothing", "0"],
        cwd=PROJECT,
        env={**os.environ, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "no index that pip is set up for has it"
