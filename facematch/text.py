"""Texts from outside, made fit to be shown."""

from __future__ import annotations

from functions.matching.notifications import printable


def visible(text: str) -> str:
    """What the file system or a shell gave us; a byte that is not UTF-8 is shown as its number."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def shown(text: str) -> str:
    """The text without anything that controls a terminal; its lines stay lines."""
    return "\n".join(map(printable, text.split("\n")))
