"""The stack from before, as make.py kept it, and how to restore it to a folder.

What is read from here is byte for byte what commit c3e239b wrote. What is restored is the same, one
day old: every date and time is shifted by whole days, so that no test depends on when it runs.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import lzma
import re
import socket
import tarfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent / "c3e239b"
KINDS: Final = ("reports", "matches", "failures", "decisions", "indexed", "forgotten")
_RECORDS: Final = FOLDER / "records"
_MADE: Final = json.loads((FOLDER / "made.json").read_text())
_BEGAN, _ENDED = (datetime.fromisoformat(_MADE[name]) for name in ("began", "ended"))
#: Where it was made: the list of evidence pages names it.
_PLACE: Final = "/opt/face-matching/.facematch"
_EPOCH: Final = re.compile(r"(?<![\w.])(\d{10})(\d{3})?(?![\d\w])")
_PACKED: Final = re.compile(r'(\{"__packed_history__": ")([^"]+)(")')
#: Below the range from which systems give ports, and above those that other local clouds choose.
_PORTS: Final = range(20_000, 30_000, 2)


def records(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key in the output bucket and content of each line of the records of a kind."""
    for path in sorted((_RECORDS / kind).rglob("*.json")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield path.relative_to(_RECORDS).as_posix(), json.loads(line)


def document(name: str) -> Any:
    """A JSON file of the fixture."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def template() -> dict[str, Any]:
    """The template that was deployed, as it was synthesised."""
    found: dict[str, Any] = json.loads(lzma.decompress((FOLDER / "template.json.xz").read_bytes()))
    return found


def in_archive(name: str) -> bytes:
    """A file of the archive, by its path below .facematch."""
    with tarfile.open(FOLDER / "state.tar.xz") as archive:
        file = archive.extractfile(name)
        assert file
        return file.read()


def service_state(service: str) -> dict[str, Any]:
    """What the emulator kept of a service."""
    found: dict[str, Any] = json.loads(in_archive(f"local/state/services/{service}.json"))
    return dict(found["payload"])


def day() -> str:
    """The day on which everything happened, after the shift."""
    return (_BEGAN + _shift()).date().isoformat()


def shifted(text: str) -> str:
    """A text of the fixture with its dates and times one day before today's."""
    moved = _shift()

    def epoch(found: re.Match[str]) -> str:
        moment = datetime.fromtimestamp(int(found[1]), UTC)
        if not _BEGAN - timedelta(seconds=1) <= moment <= _ENDED:
            return found[0]
        return f"{int((moment + moved).timestamp())}{found[2] or ''}"

    def packed(found: re.Match[str]) -> str:
        events = shifted(zlib.decompress(base64.b64decode(found[2])).decode())
        return found[1] + base64.b64encode(zlib.compress(events.encode(), 1)).decode() + found[3]

    text = _PACKED.sub(packed, text)
    return _EPOCH.sub(epoch, text.replace(_BEGAN.date().isoformat(), day()))


def restore(root: Path) -> Path:
    """Lay everything out below `root`, as it lay below .facematch; the local cloud's folder."""
    with tarfile.open(FOLDER / "state.tar.xz") as archive:
        for member in archive.getmembers():
            path = root / member.name.replace(_BEGAN.date().isoformat(), day())
            path.parent.mkdir(parents=True, exist_ok=True)
            file = archive.extractfile(member)
            assert file
            path.write_bytes(file.read())
    home = root / "local"
    _restore_records(home / "state" / "s3" / "000000000000")
    old = json.loads((home / "state" / "ports.json").read_text())
    new = _free_ports()
    for path in (home / "state").rglob("*.json"):
        if path.parent.name == "services" or path.name.endswith(".meta.json"):
            text = shifted(path.read_text(encoding="utf-8"))
            for port, instead in zip(old, new, strict=True):
                text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{instead}")
            path.write_text(text, encoding="utf-8")
    (home / "state" / "ports.json").write_text(json.dumps(new))
    pages = root / "dashboards.json"
    pages.write_text(pages.read_text().replace(_PLACE, str(root)))
    return home


def _restore_records(buckets: Path) -> None:
    bucket = buckets / document("outputs.json")["OutputBucket"]
    for path in _RECORDS.rglob("*.json"):
        name = path.relative_to(_RECORDS).as_posix().replace(_BEGAN.date().isoformat(), day())
        content = shifted(path.read_text(encoding="utf-8")).encode()
        (bucket / name).write_bytes(content)
        about = bucket / f"{name}.meta.json"
        meta = json.loads(about.read_text())
        meta["etag"] = f'"{hashlib.md5(content).hexdigest()}"'
        meta["checksums"] = {"CRC32": base64.b64encode(zlib.crc32(content).to_bytes(4)).decode()}
        about.write_text(json.dumps(meta))


@functools.cache
def _shift() -> timedelta:
    """By how much, the same for a whole run of the tests."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return yesterday - _BEGAN.date()


def _free_ports() -> list[int]:
    """Two ports that nobody uses, and that the state will name."""
    for first in _PORTS:
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", first))
                other.bind(("127.0.0.1", first + 1))
            except OSError:
                continue
            return [first, first + 1]
    raise AssertionError("no port is free")
