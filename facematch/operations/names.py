"""How names are read from the keys of photographs, and what is doubtful about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from functions.matching.identity import identity_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from functions.matching.identity import Identity

_EXAMPLES: Final = 3
#: Fewer photographs than this say nothing about names.
_FEW: Final = 3
_DATE: Final = r"(?:19|20)\d\d[-_. ]?[01]\d[-_. ]?[0-3]\d"
#: Names that cameras, phones and programs give to files, of which `names_from` may have cut off
#: the number.
_MACHINE_NAME: Final = re.compile(
    rf"""
      (?:IMG|DSC[NF]?|PXL|MVIMG|GOPR|DJI|VID|FB_IMG|WP|CIMG|PICT|KIMG|HPIM)
      (?:[-_ ]*\d[-_ \w.~()]*)?
    | _?DSC\d* | P[\dA-C]\d{{5,6}} | _?MG_?\d*
    | (?:Screen[ _-]?shot|Screen[ ]Capture|Bildschirmfoto|Capture|WhatsApp[ ]Image|signal|received
        |image|img|photo|picture|pic|scan|untitled|unnamed|download|file|frame)
      (?:[-_ .(]*(?:{_DATE}|\d).*)?
    | {_DATE}(?:[-_ .T]+.*)?
    | \d+
    | [0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}
    | (?=[a-f]*\d)[0-9a-f]{{16,}}
    """,
    re.IGNORECASE | re.VERBOSE,
)
#: What a program adds to the name of a copy.
_COPY: Final = re.compile(r".* ?\(\d+\)|.*(?: - | )copy(?: \d+| \(\d+\))?", re.IGNORECASE)


class Doubt(StrEnum):
    """Why names may not be what a person means by them."""

    ONE_NAME = "all photographs have the same name, so that no pair of names can be found"
    ALL_DIFFERENT = (
        "each photograph has a name of its own, which is right only if each shows another record"
    )
    OF_A_MACHINE = "some names look like those that a camera or a program gives to files"


@dataclass(frozen=True, slots=True)
class NamesRead:
    """How names were read.

    Attributes
    ----------
    unnamed
        Photographs from whose keys no name is read.
    examples
        Keys and the names read from them.
    doubts
        What is doubtful, each with names as examples.
    """

    photographs: int
    names: int
    unnamed: int
    examples: tuple[tuple[str, str], ...]
    doubts: dict[Doubt, tuple[str, ...]]


def names_read(keys: Iterable[str], pattern: re.Pattern[str]) -> NamesRead:
    """Read the names from the keys, as the workflow does, and look for doubts."""
    read = [(key, identity_in(key, pattern)) for key in keys]
    named = [(key, shown) for key, shown in read if shown]
    first: dict[str, tuple[str, Identity]] = {}
    for key, shown in named:
        first.setdefault(shown.record, (key, shown))
    doubts: dict[Doubt, tuple[str, ...]] = {}
    names = tuple(shown.name for _, shown in first.values())
    if len(named) >= _FEW and len(names) == 1:
        doubts[Doubt.ONE_NAME] = names
    elif len(named) >= _FEW and len(names) == len(named):
        doubts[Doubt.ALL_DIFFERENT] = names[:_EXAMPLES]
    if suspects := tuple(name for name in names if is_of_a_machine(name)):
        doubts[Doubt.OF_A_MACHINE] = suspects[:_EXAMPLES]
    return NamesRead(
        photographs=len(read),
        names=len(names),
        unnamed=len(read) - len(named),
        examples=tuple((key, str(shown)) for key, shown in first.values())[:_EXAMPLES],
        doubts=doubts,
    )


def is_of_a_machine(name: str) -> bool:
    """Tell whether a camera or a program may have given the name to a file or to its copy."""
    return bool(_MACHINE_NAME.fullmatch(name) or _COPY.fullmatch(name))


def words(found: NamesRead, remedy: str) -> list[str]:
    """Return sentences about the names, and `remedy` where there is a doubt."""
    told = [f"Names: {_count(found.names, 'name')} on {_count(found.photographs, 'photograph')}."]
    told += [f"  {key} shows {name}" for key, name in found.examples]
    if found.unnamed:
        told.append(f"No name is read from the keys of {_count(found.unnamed, 'photograph')}.")
    for doubt, examples in found.doubts.items():
        told.append(f"Check the names: {doubt} ({', '.join(examples)}).")
    if found.unnamed or found.doubts:
        told += remedy.splitlines()
    return told


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)
