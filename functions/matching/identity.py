"""Who a photograph shows, as its key says: a name, and a record id where the key carries one."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from functions.matching.normal import normalised

#: Base name of the file without its extension and without a trailing ``_<digits>``, as the
#: Labeled Faces in the Wild data set names its files: ``images/x/Ann_Lee_0003.jpg`` → ``Ann_Lee``.
_FILE: Final = r"(?:^|/)(?P<name>[^/.][^/]*?)(?:_\d+)?(?:\.[^./]*)?\Z"
_FOLDER: Final = r"(?:[^/]*/)*(?P<name>[^/]+)/[^/]*\Z"
#: Values of the setting `names_from` that are no regular expression.
FROM_FILE: Final = "file"
FROM_FOLDER: Final = "folder"

_BY_ID: Final = "id:"
_BY_NAME: Final = "name:"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a photograph shows.

    Attributes
    ----------
    name
        As it is written in the key, except that it is NFC-normalised.
    id
        Customer, case or document number; None if the key carries none.
    """

    name: str
    id: str | None = None

    @property
    def record(self) -> str:
        """Return the record key: two photographs show the same record if their keys are equal.

        It comes from one photograph alone, so that "the same record" is transitive. Names are
        compared whole, never by substring: "Ann" is not "Annabel".
        """
        return record_of_name(self.name) if self.id is None else record_of_id(self.id)

    def __str__(self) -> str:
        return self.name if self.id is None else f"{self.name} (id {self.id})"


def record_of_name(name: str) -> str:
    """Return the record key of a name that has no record id."""
    return f"{_BY_NAME}{normalised(name)}"


def record_of_id(record_id: str) -> str:
    """Return the record key of a record id, in which underscores stay."""
    return f"{_BY_ID}{_visible(record_id)}"


def record_of_photograph(key: str) -> str:
    """Return what stands for a photograph in a decision whether its record is the right one."""
    return f"photograph:{key}"


def id_in(record: str) -> str | None:
    """Return the record id in a record key; None if the record has only a name."""
    return record.removeprefix(_BY_ID) if record.startswith(_BY_ID) else None


def compiled_names_from(text: str, *, image_prefix: str = "images/") -> re.Pattern[str]:
    """Compile the setting `names_from`: ``file``, ``folder``, or a regular expression.

    Parameters
    ----------
    image_prefix
        Folders below it are names; it is none itself.

    Raises
    ------
    ValueError
        If it is not a regular expression, or has no group ``name``.
    """
    rules = {FROM_FILE: _FILE, FROM_FOLDER: rf"\A(?!{re.escape(image_prefix)}[^/]*\Z){_FOLDER}"}
    try:
        compiled = re.compile(rules.get(text, text))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    if "name" not in compiled.groupindex:
        raise ValueError(f"{text!r} has no group named 'name', as in (?P<name>...)")
    return compiled


def identity_in(key: str, names_from: re.Pattern[str]) -> Identity | None:
    """Return who the photograph of this key shows; None if the key carries no visible name.

    NFC makes the two ways of writing "é" one name (Unicode Standard Annex #15). A group ``id`` that
    is empty, or holds nothing visible, is no id.
    """
    found = names_from.search(key)
    name = unicodedata.normalize("NFC", found["name"] or "") if found else ""
    if found is None or not normalised(name):
        return None
    record_id = found["id"] if "id" in names_from.groupindex else None
    return Identity(name, _visible(record_id or "") or None)


def name_in(key: str, names_from: re.Pattern[str]) -> str | None:
    """Return the name that the key carries, for people; records are compared by their keys."""
    found = identity_in(key, names_from)
    return found.name if found else None


def _visible(record_id: str) -> str:
    return "_".join(normalised(part) for part in record_id.split("_"))
