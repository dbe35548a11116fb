"""A pile of photographs with many pairs under other names, the same for the same seed."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

from PIL import Image, ImageEnhance, ImageOps

from facematch.local.rekognition.faces import FaceEngine
from facematch.local.sample_photographs import fetch_photographs

if TYPE_CHECKING:
    from pathlib import Path

#: Keys below the image prefix, and bodies; a key that comes twice is overwritten.
Pile = list[tuple[str, bytes]]

#: One man and the other, as often; a pair of records is a pair of one man's.
_SOURCES = (
    *("biden.jpg", "obama.jpg", "biden.jpg", "obama2.jpg", "biden.jpg", "obama3.jpg"),
    *("biden.jpg", "obama_partial_face.jpg", "biden.jpg", "obama_partial_face2.jpg"),
)
_SIDE = 260
#: Side of a portrait, in sides of the face.
_ROOM = 2.0
_OF_A_NAME = 4
#: Of every so many keys one has nobody in it, one is no image, and one is overwritten.
_FACELESS_EVERY, _BROKEN_EVERY, _OVERWRITTEN_EVERY = 10, 30, 20
_PHOTOGRAPHS = {".jpg", ".jpeg", ".png"}


def made(images: int, seed: int) -> Pile:
    """Crops, flips, other light and other JPEG quality of six photographs, under many names."""
    rng = random.Random(seed)
    engine = FaceEngine()
    portraits = {
        name: _portrait(engine, path.read_bytes()) for name, path in fetch_photographs().items()
    }
    pile: Pile = []
    while len(pile) < images:
        number = len(pile)
        portrait = portraits[_SOURCES[number % len(_SOURCES)]]
        key = f"Person_{number % len(_SOURCES)}_{number // _OF_A_NAME:03}_{number:04}.jpg"
        if number % _FACELESS_EVERY == _FACELESS_EVERY - 1:
            pile.append((key, _jpeg(_landscape(rng), 80)))
        elif number % _BROKEN_EVERY == _BROKEN_EVERY - 2:
            pile.append((key, rng.randbytes(2000)))
        else:
            pile.append((key, _varied(portrait, rng)))
        if number % _OVERWRITTEN_EVERY == 1 and len(pile) < images:
            pile.append((key, _varied(portrait, rng)))
    return pile


def found(folder: Path, images: int) -> Pile:
    """The first so many photographs of a folder, every other one under a name made up.

    So that there are pairs also where everybody has one name.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PHOTOGRAPHS)[:images]
    return [
        (
            path.relative_to(folder).as_posix()
            if number % 2
            else f"Alias_{number // 10:03}_{number:04}{path.suffix}",
            path.read_bytes(),
        )
        for number, path in enumerate(paths)
    ]


def _portrait(engine: FaceEngine, photograph: bytes) -> Image.Image:
    """The largest face with room around it."""
    box = engine.detect_and_embed(photograph, max_faces=1).faces[0].box
    image = Image.open(io.BytesIO(photograph)).convert("RGB")
    x, y = (box.left + box.width / 2) * image.width, (box.top + box.height / 2) * image.height
    half = max(box.width * image.width, box.height * image.height) * _ROOM / 2
    return image.crop((int(x - half), int(y - half), int(x + half), int(y + half))).resize(
        (_SIDE, _SIDE)
    )


def _varied(portrait: Image.Image, rng: random.Random) -> bytes:
    left, top, right, bottom = (rng.uniform(0, 0.15) * _SIDE for _ in range(4))
    image = portrait.crop((int(left), int(top), int(_SIDE - right), int(_SIDE - bottom)))
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.6, 1.4))
    return _jpeg(image, rng.randint(55, 95))


def _landscape(rng: random.Random) -> Image.Image:
    return Image.linear_gradient("L").rotate(rng.uniform(0, 360)).resize((240, 180)).convert("RGB")


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
