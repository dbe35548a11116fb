"""Drawn people: pictures in which the face engine finds a face, and nobody is to be seen."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable

Color = tuple[int, int, int]

_SIDE = 160
#: The picture is drawn larger and shrunk: so lines have soft edges.
_FINER = 3
_UNIT = _SIDE * _FINER / 100
_HAIR: list[Color] = [(15, 12, 10), (90, 55, 25), (200, 170, 90), (150, 60, 20), (170, 170, 170)]
_WHITE, _BLACK = (235, 232, 228), (8, 8, 8)


def person(number: int) -> Image.Image:
    """Draw one person, the same for the same number."""
    return _Person(random.Random(number)).drawn()


def jpeg(picture: Image.Image, *, light: float = 1.0) -> bytes:
    """Encode a picture, lit more or less."""
    buffer = io.BytesIO()
    picture.point(lambda value: min(255, int(value * light))).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


class _Person:
    """Proportions and colours by chance; lengths are in hundredths of the picture's side."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._span = chance.uniform
        fair = chance.random()
        self._skin = _mixed((70, 45, 35), (245, 215, 200), fair)
        self._hair = chance.choice(_HAIR)
        self._width, self._height = self._span(19, 31), self._span(28, 36)
        self._eyes, self._apart = self._span(41, 49), self._span(8, 14)
        self._nose, self._nostrils = self._span(56, 66), self._span(2.5, 7)
        self._mouth = self._nose + self._span(7, 13)
        ground = (self._color(60, 220), self._color(60, 220), self._color(60, 220))
        self._picture = Image.new("RGB", (_SIDE * _FINER,) * 2, ground)

    def drawn(self) -> Image.Image:
        self._draw_head()
        self._shade(self._darkened(0.4), self._draw_shadows, blur=1.5)
        if self._chance.random() < 0.4:
            self._shade(self._hair, self._draw_beard, blur=1.2)
        for side in (-1, 1):
            self._draw_eye(side)
        if self._chance.random() < 0.35:
            self._draw_glasses()
        self._draw_mouth()
        return self._picture.resize((_SIDE, _SIDE)).filter(ImageFilter.GaussianBlur(0.5))

    @property
    def _pen(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self._picture)

    def _color(self, low: int, high: int) -> int:
        return self._chance.randint(low, high)

    def _darkened(self, share: float) -> Color:
        return _mixed((0, 0, 0), self._skin, share)

    def _draw_head(self) -> None:
        pen, width, height = self._pen, self._width, self._height
        style = self._chance.choice(["bald", "short", "long", "cap"])
        if style == "long":
            pen.rounded_rectangle(_around(50, 55, width + 7, 43), 25 * _UNIT, self._hair)
        if style in {"short", "long"}:
            pen.ellipse(_around(50, 44, width + 5, height + 5), self._hair)
        pen.rectangle(_around(50, 85, 10, 15), self._darkened(0.75))
        pen.ellipse(_around(50, 50, width, height), self._skin)
        if style == "cap":
            pen.pieslice(_around(50, 36, width + 2, 24), 180, 360, self._hair)

    def _draw_shadows(self, pen: ImageDraw.ImageDraw) -> None:
        depth = self._color(30, 150)
        for side in (-1, 1):
            pen.ellipse(_around(50 + side * self._apart, self._eyes, 6, 5), depth)
            pen.ellipse(_around(50 + side * self._width, 52, 5, 22), 120)
        pen.ellipse(_around(50, self._nose, self._nostrils, 2), 140)
        lit = self._chance.choice((-1, 1))
        bridge = [(50 + lit, self._eyes), (50 + 3 * lit, self._nose), (50 + lit / 2, self._nose)]
        pen.polygon([(x * _UNIT, y * _UNIT) for x, y in bridge], self._color(40, 160))
        if self._chance.random() < 0.4:
            pen.rectangle(_around(75 if lit > 0 else 25, 50, 25, 50), self._color(30, 120))

    def _draw_beard(self, pen: ImageDraw.ImageDraw) -> None:
        from_ear = self._chance.choice([10, 20, 30])
        face = _around(50, 50, self._width, self._height)
        pen.chord(face, from_ear, 180 - from_ear, self._color(150, 255))

    def _draw_eye(self, side: int) -> None:
        # Both eyes are drawn with the same chances, so the same ones are asked for again.
        state = self._chance.getstate()
        pen, x, y = self._pen, 50 + side * self._apart, self._eyes
        half, open_by = self._span(3.5, 5.8), self._span(1.2, 3.6)
        brow, above, tilt = self._span(0.8, 5.2), self._span(4.5, 8.5), self._span(-2.5, 2.5)
        iris = (self._color(20, 140), self._color(20, 140), self._color(20, 140))
        pen.ellipse(_around(x, y, half, open_by), _WHITE)
        pen.ellipse(_around(x, y, min(open_by, 2.3), min(open_by, 2.3)), iris)
        pen.ellipse(_around(x, y, 1, 1), _BLACK)
        lid = _around(x, y + 0.7, half + 0.4, open_by + 1.3)
        pen.arc(lid, 190, 350, (40, 25, 20), int(0.9 * _UNIT))
        line = [(x - side * 5.5, y - above + tilt), (x, y - above - 1), (x + side * 6, y - above)]
        points = [(across * _UNIT, down * _UNIT) for across, down in line]
        pen.line(points, self._hair, max(1, int(brow * _UNIT)), joint="curve")
        nostril = _around(50 + side * self._nostrils / 2, self._nose, 0.9, 0.65)
        pen.ellipse(nostril, self._darkened(0.3))
        if side < 0:
            self._chance.setstate(state)

    def _draw_glasses(self) -> None:
        pen, thick = self._pen, int(self._span(0.6, 1.4) * _UNIT)
        radius = self._chance.choice([1, 3, 5]) * _UNIT
        for side in (-1, 1):
            glass = _around(50 + side * self._apart, self._eyes + 0.5, 7.5, 5.5)
            pen.rounded_rectangle(glass, radius, outline=_BLACK, width=thick)
        bridge = _around(50, self._eyes, max(0.0, self._apart - 7.5), 0)
        pen.line(bridge, _BLACK, thick)

    def _draw_mouth(self) -> None:
        pen, half, thick = self._pen, self._span(5, 13), self._span(0.8, 3.6)
        lips = (self._color(120, 210), self._color(50, 120), self._color(50, 120))
        if self._chance.random() < 0.3:
            pen.chord(_around(50, self._mouth - 3, half + 2, 3), 180, 360, self._hair)
        pen.ellipse(_around(50, self._mouth, half, thick), lips)
        smile = self._span(-2, 2.5)
        between = _around(50, self._mouth, half, abs(smile) + 0.5)
        angles = (15, 165) if smile > 0 else (195, 345)
        pen.arc(between, *angles, (60, 20, 20), int(0.8 * _UNIT))

    def _shade(
        self, color: Color, draw: Callable[[ImageDraw.ImageDraw], None], *, blur: float
    ) -> None:
        """Lay a colour over the picture, as dense as what is drawn is bright."""
        mask = Image.new("L", self._picture.size, 0)
        draw(ImageDraw.Draw(mask))
        soft = mask.filter(ImageFilter.GaussianBlur(blur * _UNIT))
        layer = Image.new("RGB", self._picture.size, color)
        self._picture = Image.composite(layer, self._picture, soft)


def _around(x: float, y: float, half_width: float, half_height: float) -> tuple[float, ...]:
    """The box of that size around a point, in pixels."""
    sides = (x - half_width, y - half_height, x + half_width, y + half_height)
    return tuple(side * _UNIT for side in sides)


def _mixed(one: Color, other: Color, share: float) -> Color:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
