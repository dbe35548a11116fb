"""Photographs to measure with, as many as are asked for, the same for the same seed.

They are a folder's, or made from the demo's. When more are asked for than there are, variations
of them are made: cropped by a few per cent, in other light, with another JPEG quality, each under
a name of its person. Every object key is unique, and the order is shuffled, so that a person's
photographs do not come one after the other.

One person in ten (at least one) leads a double life: every second photograph of theirs carries
another name. So about a tenth of the images match under another name, besides what matches in the
folder by itself. The demo's photographs show two people only, so that each search finds about half
of all faces, nearly all under the same name: the cost of an image grows with their number, as it
does not with photographs of many people.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageEnhance, ImageOps

from facematch.files.photographs import listed
from facematch.local.rekognition.faces import FaceEngine
from facematch.local.sample_photographs import fetch_photographs
from functions.matching.identity import FROM_FILE, compiled_names_from, name_in
from tests.chaos.photographs import _portrait

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

PHOTOGRAPHS: Final = {".jpg", ".jpeg", ".png"}
DOUBLE_LIVES: Final = 0.1
_OTHER_NAME: Final = "_Alias"
_MOST_CROPPED: Final = 0.06
_NAMES_FROM: Final = compiled_names_from(FROM_FILE)
_WARM: Final = 12


@dataclass(frozen=True)
class Source:
    """A photograph that is there, under which name, and whose it is."""

    name: str
    person: str
    suffix: str
    body: bytes


@dataclass(frozen=True)
class Pile:
    """Photographs on disk.

    Attributes
    ----------
    folder
        What is uploaded.
    people
        Who is on each photograph, by its path, in the order of the upload.
    names
        Under which name, likewise.
    sources
        How many different photographs there are; the others are variations of them.
    described
        Where they are from, for the conditions.
    """

    folder: Path
    people: dict[Path, str]
    names: dict[Path, str]
    sources: int
    described: str

    @property
    def matching_share(self) -> float:
        """The share of images whose person is also there under another name."""
        names: dict[str, set[str]] = {}
        for path, person in self.people.items():
            names.setdefault(person, set()).add(self.names[path])
        several = sum(len(names[person]) > 1 for person in self.people.values())
        return several / len(self.people)

    def facts(self) -> dict[str, object]:
        """What a reader needs to know of them."""
        return {
            "photographs": self.described,
            "sources": self.sources,
            "people": len(set(self.people.values())),
            "matching_share": self.matching_share,
        }


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every measurement with photographs has."""
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="photographs with names in their file names; without it they are made of the demo's",
    )
    parser.add_argument(
        "--aliases",
        type=Path,
        metavar="FILE",
        help="CSV with the columns name_a and name_b: names that are known to be one person's",
    )
    parser.add_argument("--seed", type=int, default=1)


def sources(photos: Path | None, aliases: Path | None = None) -> list[Source]:
    """The photographs of a folder, or portraits of the demo's six."""
    if photos is None:
        engine = FaceEngine()
        found = []
        for name, path in fetch_photographs().items():
            buffer = io.BytesIO()
            _portrait(engine, path.read_bytes()).save(buffer, "JPEG", quality=95)
            # obama2.jpg, obama_partial_face.jpg: one man each way.
            person = "Biden" if name.startswith("biden") else "Obama"
            found.append(Source(person, person, ".jpg", buffer.getvalue()))
        return found
    files = [file for file in listed(photos).files if file.path.suffix.lower() in PHOTOGRAPHS]
    if not files:
        raise SystemExit(f"There is no photograph (JPEG, PNG) in {photos}. Name another folder.")
    people = same_people(aliases)
    return [
        Source(name, people.get(name, name), file.path.suffix.lower(), file.read())
        for file in files
        for name in [name_in(file.path.name, _NAMES_FROM) or "Unnamed"]
    ]


def same_people(aliases: Path | None) -> dict[str, str]:
    """Each name that is listed, and the name that stands for its person."""
    people: dict[str, str] = {}
    if aliases is None:
        return people
    with aliases.open(newline="") as file:
        for row in csv.DictReader(file):
            one, other = (people.setdefault(name, name) for name in (row["name_a"], row["name_b"]))
            for name, person in people.items():
                if person == other:
                    people[name] = one
    return people


def laid(found: list[Source], images: int, folder: Path, *, seed: int, described: str) -> Pile:
    """Write so many photographs into an empty folder."""
    rng = random.Random(seed)
    chosen = [found[number % len(found)] for number in range(images)]
    nth: Counter[str] = Counter()
    double = double_lives({source.person for source in found}, seed)
    planned: list[tuple[Source, str, bool]] = []
    for number, source in enumerate(chosen):
        other = source.person in double and nth[source.person] % 2
        nth[source.person] += 1
        name = source.name + (_OTHER_NAME if other else "")
        planned.append((source, name, number >= len(found)))
    rng.shuffle(planned)
    people: dict[Path, str] = {}
    names: dict[Path, str] = {}
    for number, (source, name, is_variation) in enumerate(planned):
        suffix = ".jpg" if is_variation else source.suffix
        path = folder / f"{number:06}" / f"{name}_{number:06}{suffix}"
        path.parent.mkdir(parents=True)
        path.write_bytes(varied(source.body, rng) if is_variation else source.body)
        people[path], names[path] = source.person, name
    return Pile(folder, people, names, min(images, len(found)), described)


def described(photos: Path | None) -> str:
    """Where they are from, without a path of this machine."""
    return "a folder of the user's" if photos else "made of the demo's six photographs"


def double_lives(people: set[str], seed: int) -> set[str]:
    """Who has two names: always the same for a seed."""
    ordered = sorted(people, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    return set(ordered[: max(1, round(DOUBLE_LIVES * len(ordered)))])


def varied(body: bytes, rng: random.Random) -> bytes:
    """The photograph cropped a little, in other light, written anew."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(body))).convert("RGB")
    left, right = (round(rng.uniform(0, _MOST_CROPPED) * image.width) for _ in range(2))
    top, bottom = (round(rng.uniform(0, _MOST_CROPPED) * image.height) for _ in range(2))
    image = image.crop((left, top, image.width - right, image.height - bottom))
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.15))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.randint(75, 95))
    return buffer.getvalue()


def lay_warm_up(found: list[Source], folder: Path, *, seed: int) -> None:
    """A few photographs that make every step of the workflow run once.

    Two names of somebody who has two anyway, so that the step that notifies runs; and a file that
    is no image, so that the one that records failures does.
    """
    double = double_lives({source.person for source in found}, seed)
    source = next(source for source in found if source.person in double)
    files: Mapping[str, bytes] = {
        "warm_up_0000.jpg": b"\xff\xd8\xff no photograph",
        **{
            f"{source.name}{_OTHER_NAME if number % 2 else ''}_{number:04}.jpg": varied(
                source.body, random.Random(number)
            )
            for number in range(1, _WARM)
        },
    }
    below = folder / "warm-up"
    below.mkdir(parents=True)
    for name, content in files.items():
        (below / name).write_bytes(content)
