"""How well, and how fast, variants of the face engine tell people apart.

Run by hand on a folder of photographs named after people (`Ann_Lee_0001.jpg`):

    python -m tests.benchmarks.engine_variants FOLDER [--same FILE] [--variants A,B] [--harm X,Y]
    python -m tests.benchmarks.engine_variants FOLDER --sizes [--variants A,B]
    python -m tests.benchmarks.engine_variants FOLDER --filters [--same FILE]

Each photograph is compared with every other one, as it is and harmed in the ways of `HARMS` (one
of a pair is harmed, the other one not). Faces that are not found match nobody. Printed are, for
each variant, the share of the pairs of one person that are accepted where 1 in 1,000 pairs of
different people is (TMR), the distance between the two kinds of pairs in standard deviations (d'),
the difference of both to the first variant, with a 95 % interval of a bootstrap over the people,
and the processor time for an image, taken in turns on one thread.

With `--sizes` the photographs are laid into a large picture instead, with faces from 40 pixels to
more than its height, and counted is how many are found.

With `--filters` the photographs are made worse step by step. Printed are the share of faces that
each quality filter puts aside, and, for those that it keeps and puts aside, the share of the
pairs of one person (the other photograph as it is) that are missed at a similarity of 80; then
how many pairs of different people, harmed alike, reach 80 and 99.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from facematch.local import faces
from facematch.local.faces import (
    Face,
    FaceEngine,
    Floats,
    Pixels,
    Points,
    Pyramid,
    QualityFilter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_RESAMPLES = 200
_FALSE_MATCH_RATE = 1e-3
_COSINE_80, _COSINE_99 = 0.4, 0.51


@contextlib.contextmanager
def changed(name: str, value: object) -> Iterator[None]:
    """The engine's module with another value for one of its names."""
    usual = getattr(faces, name)
    setattr(faces, name, value)
    try:
        yield
    finally:
        setattr(faces, name, usual)


class Before(FaceEngine):
    """Two sizes for every picture larger than 320 pixels, and one look at each face."""

    def _detect(self, pyramid: Pyramid) -> list[Floats]:
        image = pyramid[0]
        longest = max(image.shape[:2])
        found = []
        for side in sorted({min(longest, 800), min(longest, 320)}):
            size = (round(image.shape[1] * side / longest), round(image.shape[0] * side / longest))
            shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            rows = self._rows(shrunk.astype(np.uint8, copy=False))
            rows[:, :14] *= longest / side
            found.append(rows[rows[:, 14] >= 0.75])
        rows = np.concatenate(found)
        boxes = [(float(x), float(y), float(w), float(h)) for x, y, w, h in rows[:, :4]]
        kept = cv2.dnn.NMSBoxes(boxes, [float(score) for score in rows[:, 14]], 0.75, 0.3)
        return sorted((rows[i] for i in kept), key=lambda row: -float(row[2] * row[3]))

    def _look_again(self, pyramid: Pyramid, landmarks: Points) -> Points:
        with changed("_MOST_LOOKS", 0):
            return super()._look_again(pyramid, landmarks)


class NoMoreLooks(FaceEngine):
    """Aligned by the landmarks as first found."""

    def _look_again(self, pyramid: Pyramid, landmarks: Points) -> Points:
        with changed("_MOST_LOOKS", 0):
            return super()._look_again(pyramid, landmarks)


class OneMoreLook(FaceEngine):
    """A leaning face is looked at once more, not until it stands upright."""

    def _look_again(self, pyramid: Pyramid, landmarks: Points) -> Points:
        with changed("_MOST_LOOKS", 1):
            return super()._look_again(pyramid, landmarks)


class AlwaysAnotherLook(FaceEngine):
    """Upright faces are looked at again, too."""

    def _look_again(self, pyramid: Pyramid, landmarks: Points) -> Points:
        with changed("_MOST_LOOKS", 1), changed("_UPRIGHT", -1.0):
            return super()._look_again(pyramid, landmarks)


class Mirrored(FaceEngine):
    """Flip averaging: the vector of the face and of its mirror image, added."""

    def _embed(self, aligned: Pixels) -> tuple[Floats, float]:
        vector, length = super()._embed(aligned)
        total = vector + super()._embed(np.ascontiguousarray(aligned[:, ::-1]))[0]
        return total / np.float32(np.linalg.norm(total)), length


class Equalised(FaceEngine):
    """Contrast made even (CLAHE) before embedding."""

    def _embed(self, aligned: Pixels) -> tuple[Floats, float]:
        lab = cv2.cvtColor(aligned, cv2.COLOR_BGR2LAB)
        lab[:, :, 0] = cv2.createCLAHE(2.0, (4, 4)).apply(lab[:, :, 0])
        return super()._embed(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR).astype(np.uint8, copy=False))


class NoPyramid(FaceEngine):
    """Aligned out of the full picture, however large the face."""

    def detect_and_embed(self, *arguments: object, **options: object) -> faces.AnalysedImage:
        usual = faces._cut
        with changed("_cut", lambda pyramid, move, side: usual(pyramid[:1], move, side)):
            return super().detect_and_embed(*arguments, **options)  # type: ignore[arg-type]


VARIANTS: dict[str, type[FaceEngine]] = {
    "before": Before,
    "now": FaceEngine,
    "no-more-looks": NoMoreLooks,
    "one-more-look": OneMoreLook,
    "always-another-look": AlwaysAnotherLook,
    "mirrored": Mirrored,
    "equalised": Equalised,
    "no-pyramid": NoPyramid,
}


def _resized(image: Image.Image, factor: float) -> Image.Image:
    size = (max(80, round(image.width * factor)), max(80, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _noisy(image: Image.Image, sigma: float) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = np.random.default_rng(1).normal(0, sigma, pixels.shape[:2])
    return Image.fromarray((pixels + noise[:, :, None]).clip(0, 255).astype(np.uint8))


def _covered(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    covered = image.copy()
    left, top, right, bottom = (
        int(v * side) for v, side in zip(box, (image.width, image.height) * 2, strict=True)
    )
    covered.paste((128, 128, 128), (left, top, right, bottom))
    return covered


def _cropped(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    sides = (image.width, image.height) * 2
    left, top, right, bottom = (int(v * side) for v, side in zip(box, sides, strict=True))
    return image.crop((left, top, right, bottom))


def _brightness(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


# Boxes and factors fit photographs of 250 x 250 pixels with a face of 95 in their middle.
HARMS: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "none": (lambda image: image, 95),
    "face of 60 px": (lambda image: _resized(image, 60 / 95), 92),
    "face of 40 px": (lambda image: _resized(image, 40 / 95), 92),
    "blur 2 px": (lambda image: image.filter(ImageFilter.GaussianBlur(2)), 92),
    "blur 3 px": (lambda image: image.filter(ImageFilter.GaussianBlur(3)), 92),
    "dark 0.3": (lambda image: _brightness(image, 0.3), 92),
    "dark 0.12": (lambda image: _brightness(image, 0.12), 92),
    "bright 2.2": (lambda image: _brightness(image, 2.2), 92),
    "low contrast": (lambda image: ImageEnhance.Contrast(image).enhance(0.3), 92),
    "JPEG 40": (lambda image: image, 40),
    "JPEG 20": (lambda image: image, 20),
    "noise 20": (lambda image: _noisy(image, 20), 92),
    "leaning 15": (lambda image: image.rotate(15, Image.Resampling.BICUBIC), 92),
    "leaning -30": (lambda image: image.rotate(-30, Image.Resampling.BICUBIC), 92),
    "2500 px": (lambda image: _resized(image, 10), 92),
    "2500 px noise 40": (lambda image: _noisy(_resized(image, 10), 40), 92),
    "close crop": (lambda image: _cropped(image, (0.32, 0.25, 0.69, 0.75)), 92),
    "half cut off": (lambda image: _cropped(image, (0.4, 0.08, 1, 1)), 92),
    "mouth covered": (lambda image: _covered(image, (0.27, 0.58, 0.73, 0.82)), 92),
    "side covered": (lambda image: _covered(image, (0.27, 0.21, 0.44, 0.8)), 92),
}


_EYES = (0.27, 0.25, 0.73, 0.5)
STEPS: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "none": HARMS["none"],
    **{
        f"blur {radius} px": (
            partial(lambda r, i: i.filter(ImageFilter.GaussianBlur(r)), radius),
            92,
        )
        for radius in (1, 2, 3, 4, 5, 6)
    },
    **{
        f"brightness {factor}": (partial(lambda f, i: _brightness(i, f), factor), 92)
        for factor in (0.3, 0.15, 0.1, 0.07, 0.05, 1.5, 2.2, 3)
    },
    **{
        f"contrast {factor}": (
            partial(lambda f, i: ImageEnhance.Contrast(i).enhance(f), factor),
            92,
        )
        for factor in (0.3, 0.15, 0.08)
    },
    **{f"noise {sigma}": (partial(lambda s, i: _noisy(i, s), sigma), 92) for sigma in (10, 20, 35)},
    **{f"JPEG {quality}": (lambda image: image, quality) for quality in (20, 10, 5)},
    **{name: HARMS[name] for name in ("face of 60 px", "leaning -30", "mouth covered")},
    **{name: HARMS[name] for name in ("side covered", "close crop", "half cut off")},
    "eyes covered": (lambda image: _covered(image, _EYES), 92),
}


def harmed(path: Path, harm: str) -> bytes:
    """The photograph as a JPEG file."""
    if harm == "none":
        return path.read_bytes()
    change, quality = (HARMS | STEPS)[harm]
    buffer = io.BytesIO()
    change(Image.open(path).convert("RGB")).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def people(paths: list[Path], same: Path | None) -> NDArray[np.intp]:
    """A number for each photograph's person; `same` has two names of one person in a line."""
    alias: dict[str, str] = {}
    if same is not None:
        with same.open(newline="") as lines:
            for row in list(csv.reader(lines))[1:]:
                alias[row[0]] = alias.get(row[1], row[1])
    names = [re.sub(r"_\d+$", "", path.stem) for path in paths]
    numbers: NDArray[np.intp] = np.unique(
        [alias.get(name, name) for name in names], return_inverse=True
    )[1]
    return numbers


def main_face(found: tuple[Face, ...]) -> Face | None:
    """The one nearest to the middle of the picture."""
    centred = [face for face in found if face.embedding is not None]

    def aside(face: Face) -> float:
        box = face.box
        return abs(box.left + box.width / 2 - 0.5) + abs(box.top + box.height / 2 - 0.5)

    return min(centred, key=aside, default=None)


class Pairs:
    """Scores of pairs, and the statistics of any resampling of the people."""

    def __init__(self, clean: Floats, other: Floats, who: NDArray[np.intp]) -> None:
        first, second = np.nonzero(~np.eye(len(who), dtype=bool))
        scores = np.nan_to_num((clean @ other.T)[first, second], nan=-1.0)
        order = np.argsort(-scores)
        self._scores, self._first, self._second = (
            scores[order],
            who[first[order]],
            who[second[order]],
        )
        self._same = self._first == self._second

    def statistics(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """TMR and d', each person counted by a weight."""
        weight = weights[self._first] * np.where(self._same, 1, weights[self._second])
        same, different = weight * self._same, weight * ~self._same
        accepted = np.cumsum(different) <= _FALSE_MATCH_RATE * different.sum()
        found = self._scores > -1
        moments = []
        for kind in (same * found, different * found):
            mean = np.average(self._scores, weights=kind)
            moments.append((mean, np.average((self._scores - mean) ** 2, weights=kind)))
        (near, near_variance), (far, far_variance) = moments
        d_prime = (near - far) / ((near_variance + far_variance) / 2) ** 0.5
        return np.array([(same * accepted).sum() / same.sum(), d_prime])


def find_sizes(paths: list[Path], engines: dict[str, FaceEngine]) -> None:
    """How many faces of each width are found in a picture of 1920 x 1280 pixels."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(40, 200, (12, 18, 3)).astype(np.uint8)
    backdrop = Image.fromarray(coarse).resize((1920, 1280), Image.Resampling.BICUBIC)
    for width in (40, 48, 60, 80, 150, 300, 700, 1100):
        seconds, hits = dict.fromkeys(engines, 0.0), dict.fromkeys(engines, 0)
        for path in paths:
            portrait = _resized(Image.open(path).convert("RGB"), width / 95)
            picture = backdrop.copy()
            picture.paste(portrait, (960 - portrait.width // 2, 640 - portrait.height // 2))
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=92)
            for name, engine in engines.items():
                start = time.process_time()
                found = engine.detect_and_embed(buffer.getvalue(), max_faces=1).faces
                seconds[name] += time.process_time() - start
                boxes = [face.box for face in found]
                hits[name] += any(
                    box.left < 0.5 < box.left + box.width
                    and box.top < 0.5 < box.top + box.height
                    and 0.6 < 1920 * box.width / width < 1.7
                    for box in boxes
                )
        for name in engines:
            print(
                f"{width:5} px {name:15} found {hits[name] / len(paths):.2f}  "
                f"{1000 * seconds[name] / len(paths):5.1f} ms",
                flush=True,
            )


def try_filters(paths: list[Path], who: NDArray[np.intp]) -> None:
    """What the quality filters keep and put aside, and what each would have done."""
    engine = FaceEngine()
    filters = [QualityFilter.AUTO, QualityFilter.MEDIUM, QualityFilter.HIGH]
    clean: Floats | None = None
    missed, aside, strangers = [], [], []
    for harm in STEPS:
        vectors = np.full((len(paths), faces.EMBEDDING_SIZE), np.nan, np.float32)
        put_aside = np.zeros((len(filters), len(paths)), bool)
        for number, path in enumerate(paths):
            content = harmed(path, harm)
            if face := main_face(engine.detect_and_embed(content, max_faces=5).faces):
                vectors[number] = face.embedding
                for kind, quality_filter in enumerate(filters):
                    found = engine.detect_and_embed(
                        content, max_faces=5, quality_filter=quality_filter
                    )
                    same = [other for other in found.faces if other.box == face.box]
                    put_aside[kind, number] = same[0].embedding is None
        clean = vectors if clean is None else clean
        likeness = vectors @ clean.T
        mates = (who[:, None] == who) & ~np.eye(len(who), dtype=bool) & ~np.isnan(likeness)
        usable = mates.any(axis=1)
        rate = np.array(
            [np.mean(likeness[i][mates[i]] < _COSINE_80) for i in np.flatnonzero(usable)]
        )
        seen = ~np.isnan(vectors[:, 0])
        strange = np.triu(who[:, None] != who, 1) & seen[:, None] & seen
        first, second = np.nonzero(strange)
        strangers.append(
            np.vstack(
                [
                    np.einsum("ij,ij->i", vectors[first], vectors[second]),
                    ~(put_aside[:, first] | put_aside[:, second]),
                ]
            )
        )
        missed.append(rate)
        aside.append(put_aside[:, usable])
        shares = "  ".join(
            f"{quality_filter} {share:.2f}"
            for quality_filter, share in zip(filters, put_aside[:, seen].mean(axis=1), strict=True)
        )
        print(f"{harm:16} found {seen.mean():.2f}  missed {rate.mean():.2f}  put aside: {shares}")
    missing, gone = np.concatenate(missed), np.concatenate(aside, axis=1)
    pairs = np.concatenate(strangers, axis=1)
    for kind, label in enumerate(["no filter", *filters]):
        out = gone[kind - 1] if kind else np.zeros(len(missing), bool)
        scores = pairs[0][pairs[kind].astype(bool)] if kind else pairs[0]
        of_aside = f"{missing[out].mean():.3f}" if out.any() else "-"
        print(
            f"{label:9} keeps {1 - out.mean():.3f}  missed of kept {missing[~out].mean():.3f}  "
            f"of put aside {of_aside}  strangers at 80: {(scores > _COSINE_80).mean():.6f}  "
            f"at 99: {(scores > _COSINE_99).mean():.6f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--same", type=Path, help="CSV: two names of one person in each line")
    parser.add_argument("--variants", default="before,now")
    parser.add_argument("--harm", default=",".join(HARMS))
    parser.add_argument("--sizes", action="store_true", help="count the faces found, by size")
    parser.add_argument("--filters", action="store_true", help="try the quality filters")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    paths = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in (".jpg", ".png"))
    who = people(paths, options.same)
    engines = {name: VARIANTS[name]() for name in options.variants.split(",")}
    print(f"{len(paths)} photographs, {who.max() + 1} people")
    if options.filters:
        try_filters(paths, who)
        return
    if options.sizes:
        find_sizes(paths[::8], engines)
        return
    rng = np.random.default_rng(1)
    draws = [
        np.bincount(rng.integers(0, who.max() + 1, who.max() + 1), minlength=who.max() + 1)
        for _ in range(_RESAMPLES)
    ]
    clean: dict[str, Floats] = {}
    for harm in options.harm.split(","):
        vectors = {
            name: np.full((len(paths), faces.EMBEDDING_SIZE), np.nan, np.float32)
            for name in engines
        }
        seconds = dict.fromkeys(engines, 0.0)
        for number, path in enumerate(paths):
            content = harmed(path, harm)
            for name, engine in engines.items():
                start = time.process_time()
                found = engine.detect_and_embed(content, max_faces=1 if harm == "none" else 5)
                seconds[name] += time.process_time() - start
                if face := main_face(found.faces):
                    vectors[name][number] = face.embedding
        first = None
        for name in engines:
            clean.setdefault(name, vectors[name])
            pairs = Pairs(clean[name], vectors[name], who)
            values = pairs.statistics(np.ones(who.max() + 1))
            resampled = np.array([pairs.statistics(draw.astype(float)) for draw in draws])
            first = first or (values, resampled)
            low, high = np.percentile(resampled - first[1], [2.5, 97.5], axis=0)
            difference = values - first[0]
            missed = int(np.isnan(vectors[name][:, 0]).sum())
            print(
                f"{harm:17} {name:15} missed {missed:3}  "
                f"TMR {values[0]:.3f} {difference[0]:+.3f} [{low[0]:+.3f}, {high[0]:+.3f}]  "
                f"d' {values[1]:.2f} {difference[1]:+.2f} [{low[1]:+.2f}, {high[1]:+.2f}]  "
                f"{1000 * seconds[name] / len(paths):5.1f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
