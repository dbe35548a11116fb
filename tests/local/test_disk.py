"""What the emulator's S3 answers is on the disk, and what it refuses did not happen."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ministack.services import s3

from facematch.local.emulator import disk as disks
from facematch.local.emulator.disk import Disk, recover
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSIONED, PLAIN = "images", "output"
#: One whose path is a folder of the next one's, one that no path can hold, one with odd characters.
KEYS: Final = ("a/b", "a/b/c", "a//", "a/ü &.jpg")
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
PATCHED = (
    *("_atomic_write", "_remove_key_files", "_delete_version_file", "_fire_s3_event_async"),
    *("_record_object_version", "_put_object", "_dispatch", "_get_object_data"),
    "_key_disk_path",
)


class Killed(BaseException):
    """The process is killed: it does nothing any more."""


@dataclass
class Filesystem:
    """The operations on files, of which some fail or are the last.

    Attributes
    ----------
    fails
        Told the operation and its number: raises what shall go wrong.
    """

    fails: Callable[[str, int], None] = field(default=lambda _what, _number: None)
    count: int = 0

    def __call__(self, what: str) -> None:
        self.count += 1
        self.fails(what, self.count)

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("mkdir", "replace", "unlink", "remove", "pwrite", "ftruncate"):
            patch.setattr(os, name, self._before(name, getattr(os, name)))
        opened = builtins.open

        def open_or_fail(path: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            if "w" not in mode:
                return opened(path, mode, *given, **named)
            self("open")
            return Written(opened(path, mode, *given, **named), self)

        patch.setattr(builtins, "open", open_or_fail)
        patch.setattr(io, "open", open_or_fail)
        patch.setattr(os, "open", self._before("open", os.open))
        fdopened = os.fdopen
        patch.setattr(os, "fdopen", lambda *given: Written(fdopened(*given), self))

    def _before(self, what: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def do_or_fail(*given: Any, **named: Any) -> Any:
            self(what)
            return do(*given, **named)

        return do_or_fail


class Written:
    """A file that takes the half of what is written when the disk is full."""

    def __init__(self, file: Any, filesystem: Filesystem) -> None:
        self._file = file
        self._filesystem = filesystem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        self._file.write(data[: len(data) // 2])
        self._filesystem("write")
        return len(data[: len(data) // 2]) + int(self._file.write(data[len(data) // 2 :]))


def full_from(first: int) -> Callable[[str, int], None]:
    """Let the disk take nothing more from one operation on."""

    def fails(what: str, number: int) -> None:
        if number >= first and what in {"mkdir", "open", "write", "pwrite"}:
            raise OSError(errno.ENOSPC, "No space left on device")

    return fails


def broken_at(one: int) -> Callable[[str, int], None]:
    """Let one operation fail, whatever it is."""

    def fails(_what: str, number: int) -> None:
        if number == one:
            raise OSError(errno.EIO, "Input/output error")

    return fails


def killed_at(first: int) -> Callable[[str, int], None]:
    """Kill the process before one operation."""

    def fails(_what: str, number: int) -> None:
        if number >= first:
            raise Killed

    return fails


class Emulator:
    """MiniStack's S3 with our changes, in this process, on a folder."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.told: list[tuple[Any, ...]] = []
        self._numbers = iter(range(10**9))
        folder.mkdir()
        for name in PATCHED:
            patch.setattr(s3, name, getattr(s3, name))
        patch.setattr(s3, "S3_PERSIST", True)
        patch.setattr(s3, "DATA_DIR", str(folder))
        patch.setattr(s3, "new_uuid", lambda: f"id-{next(self._numbers)}")
        patch.setattr(s3, "now_iso", lambda: "2026-11-28T10:00:00.000Z")
        patch.setattr(s3, "_fire_s3_event_async", lambda *given, **_: self.told.append(given))
        patch.setattr(disks, "_end", self._end)
        self._own = {name: getattr(s3, name) for name in PATCHED}
        Disk(s3).install()
        s3.reset()
        for bucket in (VERSIONED, PLAIN):
            assert self.ask("PUT", f"/{bucket}")[0] == 200
        versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        assert self.ask("PUT", f"/{VERSIONED}?versioning", versioning)[0] == 200

    @staticmethod
    def _end(_why: str) -> None:
        raise Killed

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Any:
        path, _, query = target.partition("?")
        parameters: dict[str, list[str]] = {}
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            parameters[name] = [value]
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = s3.handle_request(method, path, given, body, parameters)
        with pytest.raises(StopIteration) as answered:  # it awaits nothing, so it needs no loop
            request.send(None)
        return answered.value.value

    def restart(self) -> None:
        """End without a word, and start again: only the buckets' settings are in a snapshot."""
        kept = s3.get_state()
        s3.reset()
        for name, own in self._own.items():
            setattr(s3, name, own)
        Disk(s3).install()
        recover(self.folder)
        s3._load_persisted_data()
        s3.load_persisted_state(kept)

    def versions(self, bucket: str) -> list[dict[str, str]]:
        document = ET.fromstring(self.ask("GET", f"/{bucket}?versions&max-keys=1000")[2])
        return [
            {
                "kind": element.tag.removeprefix(NAMESPACE),
                **{child.tag.removeprefix(NAMESPACE): child.text or "" for child in element},
            }
            for element in document
            if element.tag in {f"{NAMESPACE}Version", f"{NAMESPACE}DeleteMarker"}
        ]

    def seen(self) -> dict[str, Any]:
        """Everything that a client can see; ids of versions by their place."""
        found: dict[str, Any] = {}
        for bucket in (VERSIONED, PLAIN):
            for key in KEYS:
                status, headers, body = self.ask("GET", f"/{bucket}/{key}")
                tags = self.ask("GET", f"/{bucket}/{key}?tagging")
                listed = [v for v in self.versions(bucket) if v["Key"] == key]
                ids = {version["VersionId"]: str(i) for i, version in enumerate(listed)}
                found[f"{bucket}/{key}"] = (
                    (status, body if status == 200 else b"", headers.get("ETag")),
                    (tags[0], tags[2] if tags[0] == 200 else b""),
                    [self._version(bucket, version, ids) for version in listed],
                )
            found[bucket] = self.ask("GET", f"/{bucket}?list-type=2")[2]
        return found

    def _version(self, bucket: str, version: dict[str, str], ids: dict[str, str]) -> Any:
        target = f"/{bucket}/{version['Key']}?versionId={version['VersionId']}"
        status, _, body = self.ask("GET", target)
        content = (status, body if status == 200 else b"")
        return {**version, "VersionId": ids[version["VersionId"]]}, content


@dataclass(frozen=True)
class Step:
    """A request that changes something."""

    kind: str
    bucket: str
    key: str
    other: str
    body: bytes

    def prepare(self, emulator: Emulator) -> Callable[[], Any]:  # noqa: PLR0911 - one for each kind
        """What goes before it, and the request itself."""
        place = f"/{self.bucket}/{self.key}"
        match self.kind:
            case "put":
                return lambda: emulator.ask("PUT", place, self.body)
            case "put with tags":
                tags = {"x_amz_tagging": f"a={len(self.body)}"}
                return lambda: emulator.ask("PUT", place, self.body, **tags)
            case "tag":
                tagging = (
                    b"<Tagging><TagSet><Tag><Key>t</Key><Value>%d</Value></Tag></TagSet></Tagging>"
                )
                body = tagging % len(self.body)
                return lambda: emulator.ask("PUT", f"{place}?tagging", body)
            case "untag":
                return lambda: emulator.ask("DELETE", f"{place}?tagging")
            case "delete":
                return lambda: emulator.ask("DELETE", place)
            case "delete a version":
                versions = [v for v in emulator.versions(self.bucket) if v["Key"] == self.key]
                if not versions:
                    return lambda: (204, {}, b"")
                chosen = versions[len(self.body) % len(versions)]["VersionId"]
                return lambda: emulator.ask("DELETE", f"{place}?versionId={chosen}")
            case "delete many":
                named = "".join(
                    f"<Object><Key>{key.replace('&', '&amp;')}</Key></Object>"
                    for key in (self.key, self.other)
                )
                body = f"<Delete>{named}</Delete>".encode()
                return lambda: emulator.ask("POST", f"/{self.bucket}?delete", body)
            case "copy":
                source = quote(f"/{VERSIONED}/{self.other}")
                return lambda: emulator.ask("PUT", place, x_amz_copy_source=source)
            case _:
                return self._multipart(emulator, place)

    def _multipart(self, emulator: Emulator, place: str) -> Callable[[], Any]:
        answer = ET.fromstring(emulator.ask("POST", f"{place}?uploads")[2])
        upload = answer.findtext(f"{NAMESPACE}UploadId")
        emulator.ask("PUT", f"{place}?partNumber=1&uploadId={upload}", self.body)
        body = (
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part>"
            b"</CompleteMultipartUpload>"
        )
        return lambda: emulator.ask("POST", f"{place}?uploadId={upload}", body)


STEPS = st.builds(
    Step,
    kind=st.sampled_from(
        [
            *("put", "put", "put with tags", "tag", "untag", "delete", "delete a version"),
            *("delete many", "copy", "multipart"),
        ]
    ),
    bucket=st.sampled_from([VERSIONED, VERSIONED, PLAIN]),
    key=st.sampled_from(KEYS),
    other=st.sampled_from(KEYS),
    body=st.binary(max_size=8),
)
FAULTS = st.tuples(st.sampled_from([full_from, broken_at]), st.integers(1, 12))


@pytest.fixture
def make(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], contextlib.AbstractContextManager[tuple[Emulator, Any]]]]:
    """Make an emulator that runs, and a context in which its operations on files fail."""

    @contextlib.contextmanager
    def made() -> Iterator[tuple[Emulator, Any]]:
        with pytest.MonkeyPatch.context() as patch:
            emulator = Emulator(tmp_path_factory.mktemp("s3") / "data", patch)
            try:
                yield emulator, failing
            finally:
                s3.reset()

    yield made
    s3.reset()


@contextlib.contextmanager
def failing(fails: Callable[[str, int], None]) -> Iterator[Filesystem]:
    with pytest.MonkeyPatch.context() as patch:
        filesystem = Filesystem(fails)
        filesystem.patch(patch)
        yield filesystem


def put(kind: str = "put", body: bytes = b"1", key: str = KEYS[0], bucket: str = VERSIONED) -> Step:
    return Step(kind, bucket, key, KEYS[1], body)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(STEPS, st.none() | FAULTS), min_size=1, max_size=8))
@example(steps=[(put(), None), (put(body=b"22"), (full_from, 4))])
@example(steps=[(put(), None), (put(body=b"22"), None), (put("delete"), (broken_at, 3))])
@example(steps=[(put(), None), (put(body=b"22"), None), (put("delete a version"), (full_from, 1))])
@example(steps=[(put("multipart"), (full_from, 1))])
@example(
    steps=[
        *[(put(), None), (put("delete"), None), (put(key=KEYS[1]), None)],
        *[(put(body=b"22"), None), (put("delete", key=KEYS[1]), (full_from, 2))],
    ]
)
def test_a_refused_change_did_not_happen_and_an_answered_one_survives(
    make: Callable[[], Any], steps: list[tuple[Step, Any]]
) -> None:
    with make() as (emulator, failing):
        for step, fault in steps:
            request = step.prepare(emulator)
            before, told = emulator.seen(), len(emulator.told)
            status = 0
            if fault is None:
                status = request()[0]
            else:
                kind, number = fault
                with failing(kind(number)), contextlib.suppress(Killed):
                    status = request()[0]
            if not status:  # it ended by itself in the middle of it, with a journal
                emulator.restart()
            now = emulator.seen()
            if status >= 400:
                assert now == before
                assert len(emulator.told) == told
                if fault and status == 500:  # as a client does, when there is room again
                    assert request()[0] < 300
                    now = emulator.seen()
            if status and step.kind in {"put", "put with tags", "multipart"}:
                assert len(emulator.told) == told + 1
                assert now[f"{step.bucket}/{step.key}"][0][1] == step.body
            emulator.restart()

            assert emulator.seen() == now


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=5), last=STEPS, number=st.integers(1, 20))
@example(steps=[put()], last=put(body=b"22"), number=6)
@example(steps=[put(bucket=PLAIN)], last=put(bucket=PLAIN, body=b"22"), number=9)
@example(steps=[put(), put(body=b"22")], last=put("delete a version"), number=4)
@example(
    steps=[
        Step(kind="put", bucket="images", key="a//", other="a/b", body=b""),
        Step(kind="put", bucket="output", key="a/b", other="a/b", body=b""),
        Step(kind="delete many", bucket="images", key="a/b", other="a/b/c", body=b""),
    ],
    last=Step(kind="put", bucket="images", key="a/b", other="a/b", body=b""),
    number=1,
)
def test_a_change_that_is_killed_happened_as_a_whole_or_not_at_all(
    make: Callable[[], Any], steps: list[Step], last: Step, number: int
) -> None:
    with make() as (emulator, _):
        for step in [*steps, last]:
            step.prepare(emulator)()
        after = emulator.seen()
    with make() as (emulator, failing):
        for step in steps:
            step.prepare(emulator)()
        before = emulator.seen()
        request = last.prepare(emulator)
        with failing(killed_at(number)), contextlib.suppress(Killed):
            request()
        emulator.restart()

        assert emulator.seen() in (before, after)
        assert not (emulator.folder / ".staging").exists()


def test_a_kill_while_a_killed_change_is_finished_is_finished_by_the_next_start(
    make: Callable[[], Any],
) -> None:
    outcomes = set()
    for first in range(1, 26):
        for second in range(1, 8):
            with make() as (emulator, failing):
                put().prepare(emulator)()
                before = emulator.seen()
                with failing(killed_at(first)), contextlib.suppress(Killed):
                    put(body=b"22").prepare(emulator)()
                with failing(killed_at(second)), contextlib.suppress(Killed):
                    recover(emulator.folder)
                emulator.restart()

                found = emulator.seen()
                assert found == before or found[f"{VERSIONED}/{KEYS[0]}"][0][1] == b"22"
                assert len(found[f"{VERSIONED}/{KEYS[0]}"][2]) == 1 + (found != before)
                outcomes.add(found == before)
    assert outcomes == {True, False}


def test_an_object_that_cannot_be_read_is_an_error_and_not_empty(make: Callable[[], Any]) -> None:
    with make() as (emulator, _):
        put(body=b"photograph", bucket=PLAIN).prepare(emulator)()
        (file,) = [
            path
            for path in emulator.folder.rglob("*")
            if path.is_file() and path.read_bytes() == b"photograph"
        ]
        file.unlink()

        assert emulator.ask("GET", f"/{PLAIN}/{KEYS[0]}")[0] == 500
        with pytest.raises(OSError, match="No such file"):
            s3._get_object_data(PLAIN, KEYS[0])


def test_a_request_that_is_wrong_changes_nothing(make: Callable[[], Any]) -> None:
    """MiniStack stores an object before it finds too many tags for it."""
    with make() as (emulator, _):
        put().prepare(emulator)()
        before = emulator.seen()
        tags = "&".join(f"{number}=x" for number in range(11))

        assert emulator.ask("PUT", f"/{VERSIONED}/{KEYS[0]}", b"22", x_amz_tagging=tags)[0] == 400
        assert emulator.seen() == before


def test_the_log_names_no_key_of_what_was_refused(
    make: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with make() as (emulator, failing), failing(full_from(1)):
        assert put(key="a/Ann_Lee.jpg").prepare(emulator)()[0] == 500

    assert "No space left on device" in caplog.text
    assert "Ann_Lee" not in caplog.text


def test_photographs_are_refused_before_the_disk_is_full_and_what_becomes_of_them_is_not(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with make() as (emulator, _):
        monkeypatch.setattr(s3, "_bucket_notifications", {VERSIONED: "<a/>"})
        put().prepare(emulator)()
        monkeypatch.setattr("facematch.local.free_space.RESERVE", 10**18)

        status, _, body = put(body=b"22").prepare(emulator)()

        assert status == 500
        assert b"InternalError" in body
        assert b"takes no photographs" in body
        assert put("delete").prepare(emulator)()[0] == 204
        assert put(bucket=PLAIN).prepare(emulator)()[0] == 200
