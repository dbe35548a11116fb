"""Every change of the emulator's S3 reaches the disk as a whole, or is refused and did not happen.

By itself the emulator changes its memory, tells of the upload, writes the object's files, and
answers 200 also when the disk took none of them. Here a change is prepared first: new files are
written beside the old ones. Only when all of them are there do they take their places, guided by a
journal when there are several, which the next start finishes if the process is killed meanwhile.
Then the change is told of, and answered. A change that cannot be prepared is undone in memory and
answered with an error that clients retry.

What is promised: after an answer, a process that is killed at any moment loses nothing of the
change. Not promised is a power failure: what the operating system has not written yet, of the last
half minute or so, is lost then. To wait for the disk takes 10 ms a file, as long as all the rest.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import itertools
import json
import logging
import os
import shutil
import sys
import threading
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from facematch.local.emulator.logged_failures import LoggedFailures
from facematch.local.emulator.private_names import functions, values
from facematch.local.free_space import shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import NoReturn

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.s3",
        "no change that is half on the disk",
        {
            "_dispatch": ("method", "bucket", "key", "headers", "body", "query_params"),
            "_error": ("code", "message", "status", "resource", "extra", "headers"),
            "_atomic_write": ("fpath", "data", "text"),
            "_remove_key_files": ("fpath",),
            "_delete_version_file": ("bucket_name", "key", "version_id"),
            "_version_disk_path": ("bucket", "key", "version_id", "account_id"),
            "_key_disk_path": ("base", "key"),
            "_encoded_key_name": ("key",),
            "_record_object_version": ("bucket_name", "key", "prior_obj", "obj", "data"),
            "_fire_s3_event_async": (
                "bucket_name",
                "key",
                "event_name",
                "size",
                "etag",
                "deletion_type",
                "version_id",
                "object_extra",
                "record_extra",
            ),
            "_get_object_data": ("bucket_name", "key", "version_id"),
            "_put_object": ("bucket_name", "key", "body", "headers"),
        },
    ),
    *values(
        "ministack.services.s3",
        "no change that is half on the disk",
        "_ENCODED_KEYS_DIR",
        "_bucket_notifications",
        "_buckets",
        "_completed_multipart_uploads",
        "_multipart_uploads",
        "_object_versions",
    ),
)

#: Below the folder of the buckets; the emulator would take it for one, so it goes before a start.
_STAGING: Final = ".staging"
_JOURNAL: Final = "journal"
#: Exit code of the emulator when a change was begun on the disk and could not be ended.
UNFINISHED: Final = 4
_ERROR: Final = 400
#: What the emulator keeps of a version beside its entry, by (bucket, key, version).
_OF_VERSIONS: Final = (
    *("_object_tags", "_object_acl", "_object_annotations"),
    *("_object_retention", "_object_legal_hold"),
)

logger = logging.getLogger("facematch.disk")


def recover(folder: Path) -> None:
    """Finish the change that was interrupted, and remove what was only prepared.

    Parameters
    ----------
    folder
        The emulator's, of all buckets. It has not read it yet.
    """
    staging = folder / _STAGING
    if staging.exists():
        _take_places(str(folder), _Journal.read(staging), again=True)
        shutil.rmtree(staging)


class Disk:
    """Makes each change of MiniStack's S3 whole.

    Parameters
    ----------
    s3
        The module; `PRIVATE_NAMES` lists what is used of it.

    Attributes
    ----------
    lock
        Held during a change: who reads objects in another thread holds it, too.
    heard
        Called with bucket and key after each change of an object.
    """

    def __init__(self, s3: Any) -> None:  # noqa: ANN401 - a module
        self._s3 = s3
        self._failures = LoggedFailures(s3.logger)
        self._thread = threading.local()
        self._journal = _Journal(Path(s3.DATA_DIR, _STAGING))
        self.lock = threading.RLock()
        self.heard: list[Callable[[str, str], None]] = []

    def install(self) -> None:
        """Put it in, before anything is served."""
        s3 = self._s3
        self._atomic_write = s3._atomic_write
        self._remove_key_files = s3._remove_key_files
        self._delete_version_file = s3._delete_version_file
        self._key_disk_path = s3._key_disk_path
        self._fire = s3._fire_s3_event_async
        self._record_version = s3._record_object_version
        self._put = s3._put_object
        self._dispatched = s3._dispatch
        self._get_data = s3._get_object_data
        s3._atomic_write = self.atomic_write
        s3._remove_key_files = self.remove_key_files
        s3._delete_version_file = self.delete_version_file
        s3._key_disk_path = self.key_disk_path
        s3._fire_s3_event_async = self.fire
        s3._record_object_version = self.record_version
        s3._put_object = self.put_object
        s3._dispatch = self.dispatch
        s3._get_object_data = self.get_data

    # What is asked of S3, whole.

    def dispatch(  # noqa: PLR0917 - as the emulator calls it
        self,
        method: str,
        bucket: str,
        key: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        """Answer any request."""
        s3 = self._s3
        given = (method, bucket, key, headers, body, query)
        if method in {"GET", "HEAD"}:
            return self._whole(self._dispatched, *given)
        starts_work = key and method in {"PUT", "POST"} and bucket in s3._bucket_notifications
        # Into the rest of the disk goes what becomes of the photographs that are there.
        if starts_work and (full := shortage(Path(s3.DATA_DIR).parent)):
            return self._refusal(f"{full}. Free up space, then repeat it")
        keys = [key] if key else []
        if "delete" in query and not key:
            keys = _keys_in(s3, body)
        return self._whole(
            self._dispatched, *given, bucket=bucket, keys=keys, upload=query.get("uploadId")
        )

    def put_object(self, bucket: str, key: str, body: bytes, headers: dict[str, str]) -> Any:  # noqa: ANN401
        """Store an object, as the emulator's other services do, without a request."""
        return self._whole(self._put, bucket, key, body, headers, bucket=bucket, keys=[key])

    def get_data(self, bucket: str, key: str, version_id: str | None = None) -> bytes | None:
        """Read an object for another service.

        Raises
        ------
        OSError
            When its file cannot be read: the emulator would call it empty.
        """
        with self.lock, self._failures.caught() as failures:
            data: bytes | None = self._get_data(bucket, key, version_id)
        if failures:
            raise failures[0]
        return data

    def _whole(
        self,
        carry_out: Callable[..., Any],
        *given: Any,
        bucket: str = "",
        keys: Iterable[str] = (),
        upload: list[str] | None = None,
    ) -> Any:  # noqa: ANN401
        if self._change is not None:  # a part of a larger change
            return carry_out(*given)
        with self.lock:
            change = _Change(self._s3, self._journal)
            change.remember(bucket, keys, upload)
            answer: Any = None
            with self._current(change), self._failures.caught() as failures:
                try:
                    answer = carry_out(*given)
                    if not failures and answer[0] < _ERROR:
                        change.take_place()
                except OSError as error:
                    failures.append(error)
                except BaseException:
                    change.undo()
                    raise
            if failures:
                change.undo()
                why = getattr(failures[0], "strerror", None) or type(failures[0]).__name__
                logger.warning("S3 refused a request that the disk refused: %s", why)
                return self._refusal(
                    f"The disk of the local cloud refused it ({why}), and nothing was changed. "
                    "Free up space, or look at the disk, then repeat it"
                )
            if answer[0] >= _ERROR:
                change.undo()
                return answer
        for changed_bucket, changed_key in change.changed:
            for hear in self.heard:
                hear(changed_bucket, changed_key)
        for tell in change.to_tell:
            tell()
        return answer

    def _refusal(self, why: str) -> Any:  # noqa: ANN401 - the emulator's response
        return self._s3._error("InternalError", why, 500)

    @property
    def _change(self) -> _Change | None:
        """The one that this thread makes."""
        return getattr(self._thread, "change", None)

    @contextlib.contextmanager
    def _current(self, change: _Change) -> Iterator[None]:
        self._thread.change = change
        try:
            yield
        finally:
            self._thread.change = None

    # What the emulator does meanwhile.

    def atomic_write(self, path: str, data: Any, *, text: bool = False) -> None:  # noqa: ANN401
        """Prepare a file."""
        if self._change is None:
            self._atomic_write(path, data, text=text)
        else:
            self._change.write(path, data.encode() if text else data)

    def remove_key_files(self, path: str | None) -> None:
        """Prepare the removal of an object's files."""
        if self._change is None:
            self._remove_key_files(path)
        elif path:
            self._change.remove(path)
            self._change.remove(f"{path}.meta.json")

    def delete_version_file(self, bucket: str, key: str, version: str) -> None:
        """Prepare the removal of an older version's file."""
        if self._change is None:
            self._delete_version_file(bucket, key, version)
        elif path := self._s3._version_disk_path(bucket, key, version):
            self._change.remove(path)

    def key_disk_path(self, base: str, key: str) -> str:
        """Choose a place where no folder is or comes to be, as the emulator means to.

        It forgets a key of which only a delete marker is left: a key below it would get a folder
        there, and neither a start nor the next version of the key could cope with that.
        """
        path: str = self._key_disk_path(base, key)
        if not path.endswith(f"/{key}") or _is_file(path):  # encoded, or there already
            return path
        root = path[: -len(key) - 1]
        parents = (path[:end] for end in range(len(root) + 1, len(path)) if path[end] == "/")
        if os.path.isdir(path) or any(self._has_marker(parent) for parent in parents):  # noqa: PTH112
            return f"{root}/{self._s3._ENCODED_KEYS_DIR}/{self._s3._encoded_key_name(key)}"
        return path

    def _has_marker(self, path: str) -> bool:
        """Tell whether a key has its description here, or gets it by the change being prepared."""
        described = f"{path}.meta.json"
        prepared = self._change is not None and self._change.prepares(described)
        return prepared or _is_file(described)

    def fire(self, *given: Any, **named: Any) -> None:
        """Tell of a change when it is on the disk."""
        if self._change is None:
            self._fire(*given, **named)
        else:
            self._change.to_tell.append(lambda: self._fire(*given, **named))

    def record_version(
        self,
        bucket: str,
        key: str,
        prior: dict[str, Any] | None,
        obj: dict[str, Any],
        data: bytes,
    ) -> Any:  # noqa: ANN401
        """Remember also an object of which the request did not tell: a form's, a replica."""
        if self._change is not None:
            self._change.remember_object(bucket, key, prior)
        return self._record_version(bucket, key, prior, obj, data)


class _Change:
    """One change: what was before, and what is prepared."""

    def __init__(self, s3: Any, journal: _Journal) -> None:  # noqa: ANN401 - a module
        self._s3 = s3
        self._journal = journal
        self._numbers = itertools.count()
        #: The prepared file by the place that it takes, below the folder; None: what is there goes.
        self._steps: dict[str, str | None] = {}
        self._objects: dict[tuple[str, str], _Before] = {}
        self._new_bucket = ""
        self._upload: tuple[str, Any] | None = None
        self.to_tell: list[Callable[[], None]] = []

    @property
    def changed(self) -> Iterable[tuple[str, str]]:
        """Bucket and key of what may have changed."""
        return self._objects

    def remember(self, bucket: str, keys: Iterable[str], upload: list[str] | None) -> None:
        """Keep what a request may change."""
        s3 = self._s3
        record = s3._buckets.get(bucket)
        if bucket and record is None:
            self._new_bucket = bucket
        for key in keys if record else ():
            self.remember_object(bucket, key, record["objects"].get(key))
        for upload_id in upload or ():
            self._upload = (upload_id, s3._multipart_uploads.get(upload_id))

    def remember_object(self, bucket: str, key: str, current: dict[str, Any] | None) -> None:
        """Keep an object as it is, with all its versions, unless that was done already."""
        if (bucket, key) not in self._objects:
            self._objects[bucket, key] = _Before(self._s3, bucket, key, current)

    def write(self, path: str, data: bytes) -> None:
        """Prepare the file that takes the place."""
        staged = f"{_STAGING}/{next(self._numbers)}"
        self._journal.open()
        with open(f"{self._journal.root}/{staged}", "wb", buffering=0) as file:  # noqa: PTH123
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
        self._step(path, staged)

    def prepares(self, path: str) -> bool:
        """Tell whether a file will be there."""
        return self._steps.get(self._place(path)) is not None

    def remove(self, path: str) -> None:
        """Prepare the removal of a file, if there is one."""
        if _is_file(path):
            self._step(path, None)

    def _step(self, path: str, staged: str | None) -> None:
        place = self._place(path)
        self._steps.pop(place, None)
        self._steps[place] = staged

    def _place(self, path: str) -> str:
        return path.removeprefix(f"{self._journal.root}/")

    def take_place(self) -> None:
        """Put what is prepared into its places.

        Raises
        ------
        OSError
            When nothing of it could be done.
        """
        if len(self._steps) <= 1:
            _take_places(self._journal.root, self._steps)
            return
        try:
            self._journal.write(self._steps)
        except OSError:
            # To remove needs no room: on a full disk it must not be refused for the journal's.
            if any(self._steps.values()):
                raise
        try:
            _take_places(self._journal.root, self._steps)
            self._journal.empty()
        except OSError as error:
            _end(f"{error.filename}: {error.strerror}. A change of S3 is left half done")

    def undo(self) -> None:
        """Make everything in memory what it was, and drop what was prepared."""
        s3 = self._s3
        for before in self._objects.values():
            before.restore()
        if self._new_bucket:
            s3._buckets.pop(self._new_bucket, None)
        if self._upload:
            upload_id, upload = self._upload
            s3._completed_multipart_uploads.pop(upload_id, None)
            if upload is not None:
                s3._multipart_uploads[upload_id] = upload
        for staged in self._steps.values():
            if staged:
                with contextlib.suppress(OSError):  # the next start removes it
                    os.unlink(f"{self._journal.root}/{staged}")  # noqa: PTH108


class _Journal:
    """Tells what a change that has begun to take its places is about to do.

    It is one file that stays open: to make one for each change would take as long as the rest.

    Attributes
    ----------
    root
        Folder of all buckets, below which every place is, as the emulator spells it.
    """

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._file: IO[bytes] | None = None
        self.root = os.path.realpath(staging.parent)

    @staticmethod
    def read(staging: Path) -> dict[str, str | None]:
        """Read what was begun and not ended; nothing of an entry that is not whole."""
        try:
            written = (staging / _JOURNAL).read_bytes()
        except FileNotFoundError:
            return {}
        checksum, _, text = written.partition(b" ")
        if checksum != _checksum(text):
            return {}
        steps: dict[str, str | None] = json.loads(text)
        return steps

    def open(self) -> int:
        """Open it, and make the folder for prepared files with it."""
        if self._file is None:
            self._staging.mkdir(mode=0o700, exist_ok=True)
            self._file = open(self._staging / _JOURNAL, "wb", buffering=0)  # noqa: PTH123, SIM115
        return self._file.fileno()

    def write(self, steps: dict[str, str | None]) -> None:
        """Tell what is about to be done."""
        text = json.dumps(steps).encode()
        entry = _checksum(text) + b" " + text
        if os.pwrite(self.open(), entry, 0) < len(entry):
            self.empty()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def empty(self) -> None:
        """Tell that it is done."""
        os.ftruncate(self.open(), 0)


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


class _Before:
    """An object as it was: the current one, its versions, and what is kept of them."""

    def __init__(self, s3: Any, bucket: str, key: str, current: dict[str, Any] | None) -> None:  # noqa: ANN401
        self._s3 = s3
        self._place = (bucket, key)
        self._current = copy.copy(current)
        versions = s3._object_versions.get(self._place)
        self._versions = None if versions is None else [dict(version) for version in versions]
        self._kept = {
            (store, version): copy.deepcopy(getattr(s3, store)[bucket, key, version])
            for store in _OF_VERSIONS
            for version in self._ids()
            if (bucket, key, version) in getattr(s3, store)
        }

    def _ids(self) -> set[str | None]:
        versions = self._s3._object_versions.get(self._place) or ()
        return {None, "null", *(version["version_id"] for version in versions)}

    def restore(self) -> None:
        """Make it what it was."""
        s3 = self._s3
        bucket, key = self._place
        for store in _OF_VERSIONS:
            for version in self._ids():
                getattr(s3, store).pop((bucket, key, version), None)
        for (store, version), value in self._kept.items():
            getattr(s3, store)[bucket, key, version] = value
        if self._versions is None:
            s3._object_versions.pop(self._place, None)
        else:
            s3._object_versions[self._place] = self._versions
        record = s3._buckets.get(bucket)
        if record is None:
            return
        if self._current is None:
            record["objects"].pop(key, None)
        else:
            record["objects"][key] = self._current


def _take_places(root: str, steps: dict[str, str | None], *, again: bool = False) -> None:
    """Do what is prepared; `again`: some of it may be done already."""
    for place, staged in steps.items():
        if staged is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{root}/{place}")  # noqa: PTH108 - the emulator's own paths are texts
        elif not again or _is_file(f"{root}/{staged}"):
            os.replace(f"{root}/{staged}", f"{root}/{place}")  # noqa: PTH105


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - the emulator's own paths are texts


def _keys_in(s3: Any, body: bytes) -> list[str]:  # noqa: ANN401 - a module
    """The keys that DeleteObjects names."""
    try:
        document = s3.fromstring(body)
    except Exception:  # noqa: BLE001 - of the parser, for any content: S3 refuses it
        return []
    return [element.text for element in document.iter() if element.tag.endswith("Key")]


def _end(why: str) -> NoReturn:
    """End at once: the next start finishes what the journal tells."""
    print(why, file=sys.stderr, flush=True)
    os._exit(UNFINISHED)
