"""Data for the page, made up: names, matches and drawn pictures in which nobody is to be seen."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from functions.matching.identity import record_of_name, record_of_photograph
from functions.matching.images import SAME_FILE, SAME_FILE_MEANS
from functions.matching.names import relation
from functions.matching.relations import RELATIONS
from functions.matching.subjects import SEVERAL_PEOPLE_MEANS, people_shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WRITTEN_AT = datetime(2026, 11, 22, 14, tzinfo=UTC)
_FIRST = ["Ann", "Carlos", "Dmitri", "Élodie", "Farah", "Hana", "Iñigo", "Jun", "Kwame", "Łucja"]
_LAST = ["Abara", "Berg", "Castillo", "Dvořák", "Eriksen", "García", "Ito", "Kovač", "Lee"]


def document(**changes: Any) -> dict[str, Any]:
    """A page's data with nothing in it, but for the changes."""
    empty = {
        "schema": 1,
        "stack": "FaceMatching",
        "local": True,
        "written_at": "2026-11-22T14:00:00Z",
        "folder": "/home/ann/.facematch/dashboards/FaceMatching",
        "delete_command": "facematch evidence --delete --local",
        "decisions_command": "facematch decisions import FILE --local",
        "threshold": 99.0,
        "lowest": 80.0,
        "left_out": 0,
        "best_left_out": 0.0,
        "pairs_left_out": 0,
        "same_file": {"says": SAME_FILE, "means": SAME_FILE_MEANS},
        "several_people_means": SEVERAL_PEOPLE_MEANS,
        "lacking": {"photographs": 0, "remedy": "Search again.", "worst": []},
        "counts": dict.fromkeys(
            (
                "images",
                "faces",
                "MATCHED",
                "UNIQUE",
                "NO_FACE",
                "REJECTED",
                "FAILED",
                "TIMED_OUT",
                "ABORTED",
            ),
            0,
        ),
        "days": [],
        "failures": [],
        "photographs": [],
        "faces": [],
        "matches": [],
        "records": {},
        "relations": [],
        "relation_words": RELATIONS,
        "decisions": [],
        "conflicts": [],
        "conflicts_left_out": 0,
    }
    return empty | changes


def with_matches(
    matches: list[tuple[str, str, float]],
    *,
    alone: Sequence[tuple[str, str, int]] = (),
    people: Mapping[str, int] = MappingProxyType({}),
    pictures: bool = True,
    **changes: Any,
) -> dict[str, Any]:
    """Data out of matches of photographs.

    A photograph is written as its name, or as name and number: `Ann` is `Ann#1`. The same
    photograph in two matches is one photograph with one face.

    Parameters
    ----------
    alone
        Photographs that stand alone in their record, each with the best other one, and with how
        many the record has.
    people
        How many a photograph shows, if several.
    """
    photographs: list[dict[str, Any]] = []
    faces: list[dict[str, Any]] = []
    index: dict[str, int] = {}

    def face(photograph: str) -> int:
        if photograph not in index:
            name, _, count = photograph.partition("#")
            index[photograph] = len(faces)
            digest = hashlib.sha256(photograph.encode("utf-8", "surrogatepass")).hexdigest()[:24]
            uploaded = WRITTEN_AT - timedelta(days=1, minutes=len(faces))
            photographs.append(
                {
                    "key": f"images/{name}_{int(count or 1):04}.jpg",
                    "name": name,
                    "record": record_of_name(name),
                    "version": digest,
                    "uploaded": uploaded.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "file": f"photographs/{digest}.jpg" if pictures else None,
                    "content": None,
                    "people": people_shown(people[photograph]) if photograph in people else "",
                    "others": [
                        [0.05 + 0.1 * other, 0.3, 0.25, 0.4]
                        for other in range(people.get(photograph, 1) - 1)
                    ],
                    "width": 320,
                    "height": 240,
                }
            )
            faces.append(
                {
                    "id": f"face-{digest}",
                    "photograph": len(photographs) - 1,
                    "box": [0.35, 0.2, 0.3, 0.5],
                    "file": f"faces/{digest}.jpg" if pictures else None,
                }
            )
        return index[photograph]

    rows: list[tuple[int, int, float]] = []
    for one, other, similarity in sorted(matches, key=lambda match: -match[2]):
        low, high = sorted(
            (one, other), key=lambda photograph: record_of_name(photograph.partition("#")[0])
        )
        rows.append((face(low), face(high), similarity))
    conflicts = [
        {
            "record": photographs[shown]["record"],
            "photograph": record_of_photograph(photographs[shown]["key"]),
            "faces": [shown, face(other)],
            "photographs": count,
        }
        for lonely, other, count in alone
        for shown in [face(lonely)]
    ]
    counts = document()["counts"] | {
        "images": len(photographs),
        "faces": len(faces),
        "MATCHED": len(photographs),
    }
    shown = [photographs[each["photograph"]] for each in faces]
    relations = {
        (shown[one]["record"], shown[other]["record"]): relation(
            shown[one]["name"], shown[other]["name"]
        )
        for one, other, _ in rows
    }
    found = {
        "counts": counts,
        "photographs": photographs,
        "faces": faces,
        "matches": rows,
        "records": {each["record"]: each["name"] for each in photographs},
        "relations": [(*records, label) for records, label in relations.items()],
        "conflicts": conflicts,
    }
    return document(**found | changes)


def large(
    *, photographs: int, matches: int, pictures: bool = True, seed: int = 4
) -> dict[str, Any]:
    """Many names and matches: a few people under several names, and strangers who look alike."""
    chance = random.Random(seed)
    names = [
        f"{chance.choice(_FIRST)}_{chance.choice(_LAST)}_{number}"
        for number in range(photographs // 2)
    ]
    shots = [f"{name}#{number}" for name in names for number in (1, 2)]
    found: dict[tuple[str, str], float] = {}
    while len(found) < matches:
        one, other = sorted(chance.sample(shots, 2))
        if one.partition("#")[0] != other.partition("#")[0]:
            found[one, other] = round(100 - min(20, chance.expovariate(0.45)), 4)
    data = with_matches(
        [(*pair, similarity) for pair, similarity in found.items()], pictures=pictures
    )
    days: list[dict[str, Any]] = [
        {
            "day": f"{WRITTEN_AT - timedelta(days=29 - day):%Y-%m-%d}",
            "MATCHED": chance.randrange(40, 120),
            "UNIQUE": chance.randrange(30, 90),
            "NO_FACE": chance.randrange(0, 14),
            "REJECTED": chance.randrange(0, 9),
            "FAILED": chance.choice((0, 0, 0, 2)),
        }
        for day in range(30)
    ]
    failures = [
        {"reason": "NOT_JPEG_OR_PNG", "status": "REJECTED", "images": 61},
        {"reason": "TOO_SMALL", "status": "REJECTED", "images": 23},
        {"reason": "UNNAMED", "status": "REJECTED", "images": 9},
        {"reason": "States.Timeout", "status": "FAILED", "images": 6},
    ]
    totals = {kind: sum(day[kind] for day in days) for kind in days[0] if kind != "day"}
    counts = data["counts"] | totals | {"images": sum(totals.values())}
    return data | {"days": days, "failures": failures, "counts": counts}


def draw_pictures(data: dict[str, Any], folder: Path) -> None:
    """The pictures that the data names: coloured ovals."""
    for kind in ("photographs", "faces"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for item in data[kind]:
            if item["file"] is not None:
                _oval(item["file"], (320, 240) if kind == "photographs" else (192, 192)).save(
                    folder / item["file"], quality=70
                )


def _oval(seed: str, size: tuple[int, int]) -> Image.Image:
    chance = random.Random(seed.partition("/")[2])
    ground, hair, skin = (
        tuple(chance.randrange(low, low + 80) for _ in range(3)) for low in (90, 20, 150)
    )
    picture = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(picture)
    if size[0] == size[1]:
        pen.ellipse((34, 14, 158, 150), fill=hair)
        pen.ellipse((44, 34, 148, 180), fill=skin)
    else:
        pen.ellipse((108, 36, 212, 140), fill=hair)
        pen.ellipse((112, 48, 208, 168), fill=skin)
    return picture
