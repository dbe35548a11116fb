"""Labelled photographs: who is on which, as the keys and two files of the user say."""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facematch.errors import Unusable
from facematch.files.photographs import left_out_words, listed
from facematch.text import visible
from functions.matching.identity import identity_in

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from facematch.files.photographs import FolderFile, LeftOut


class LabelError(Unusable):
    """The photographs or a file about them cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file.

    Attributes
    ----------
    key
        Its path below the folder.
    name
        What its record is called: the same for all photographs of the record, with the record id
        if it has one.
    """

    key: str
    file: FolderFile
    name: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """The photographs of a folder.

    Attributes
    ----------
    unnamed
        The keys in which no name was found.
    left_out
        What is no photograph and what was not followed or read, by the paths below the folder.
    """

    photographs: tuple[Photograph, ...]
    unnamed: tuple[str, ...]
    left_out: Mapping[Path, LeftOut] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Of all of them."""
        return frozenset(photograph.name for photograph in self.photographs)


def labelled_photographs(folder: Path, pattern: re.Pattern[str]) -> Labelled:
    """The JPEG and PNG files below the folder, in the order of their keys; hidden ones are not.

    Raises
    ------
    LabelError
        When none has a name.
    Unusable
        When the folder cannot be listed.
    """
    found = listed(folder)
    left_out = {path.relative_to(folder): why for path, why in found.left_out.items()}
    photographs, unnamed = [], []
    called: dict[str, str] = {}
    for file in found.files:
        key = visible(file.key)
        # A path that is not UTF-8 can be no key, and so has no name.
        shown = identity_in(key, pattern) if key == file.key else None
        if shown:
            name = called.setdefault(shown.record, str(shown))
            photographs.append(Photograph(key, file, name))
        else:
            unnamed.append(key)
    if not photographs:
        raise LabelError(
            f"{folder} holds no photograph (JPEG, PNG) with a name that {pattern.pattern!r} finds. "
            f"{''.join(f'Left out: {words}. ' for words in left_out_words(left_out))}"
            "Name another folder, or another pattern with --names-from."
        )
    return Labelled(tuple(photographs), tuple(unnamed), left_out)


class Persons:
    """Which names are one person's: the pairs that a file lists, connected transitively."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._above: dict[str, str] = {}
        for name_a, name_b in pairs:
            one, other = sorted((self.person(name_a), self.person(name_b)))
            if one != other:
                self._above[other] = one

    def person(self, name: str) -> str:
        """One of the person's names, the same for each of them."""
        while name in self._above:
            name = self._above[name]
        return name

    @property
    def names(self) -> frozenset[str]:
        """That the file lists, as far as they are joined with another."""
        return frozenset(self._above) | frozenset(self._above.values())


@dataclass(frozen=True, slots=True)
class Copies:
    """Photographs that are another one, byte for byte: numbers of both.

    Attributes
    ----------
    first
        Of the same person: the first one, by each of its copies.
    shared
        Each group of the first ones of different people.
    """

    first: Mapping[int, int]
    shared: tuple[tuple[int, ...], ...]


def copies_among(photographs: Sequence[Photograph], persons: Persons) -> Copies:
    """Find the copies. A file that cannot be read is nobody's."""
    by_size: dict[int, list[int]] = defaultdict(list)
    for number, photograph in enumerate(photographs):
        try:
            by_size[photograph.file.path.lstat().st_size].append(number)
        except OSError:
            continue
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for numbers in by_size.values():
        for number in numbers if len(numbers) > 1 else ():
            try:
                with photographs[number].file.open() as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
            except OSError:
                continue
            by_content[digest].append(number)
    first: dict[int, int] = {}
    shared = []
    for numbers in by_content.values():
        firsts: dict[str, int] = {}
        for number in numbers:
            person = persons.person(photographs[number].name)
            if firsts.setdefault(person, number) != number:
                first[number] = firsts[person]
        if len(firsts) > 1:
            shared.append(tuple(firsts.values()))
    return Copies(first, tuple(sorted(shared)))


def read_persons(path: Path) -> Persons:
    """A CSV file with the columns name_a and name_b; other columns are notes.

    Raises
    ------
    LabelError
    """
    return Persons((row["name_a"], row["name_b"]) for row in _rows(path, ("name_a", "name_b")))


def read_groups(path: Path, persons: Persons) -> Mapping[str, str]:
    """The group by the name, out of a CSV file with the columns name and group.

    Raises
    ------
    LabelError
        Also when a person is in two groups.
    """
    groups: dict[str, str] = {}
    members: dict[str, set[str]] = defaultdict(set)
    for row in _rows(path, ("name", "group")):
        members[persons.person(row["name"])].add(row["group"])
        groups[row["name"]] = row["group"]
    for person, found in members.items():
        if len(found) > 1:
            one, other = sorted(found)[:2]
            raise LabelError(
                f"{path} puts {person!r} into two groups, {one!r} and {other!r}. Give each person, "
                "whatever the name, one group."
            )
    return groups


def _rows(path: Path, columns: tuple[str, str]) -> list[dict[str, str]]:
    """Lines of a CSV file, names normalised as those in keys are."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not text in UTF-8. Write it as CSV in UTF-8.") from None
    read = csv.DictReader(text.splitlines())
    if missing := [column for column in columns if column not in (read.fieldnames or ())]:
        raise LabelError(
            f"{path} has no column {missing[0]!r}. Write {','.join(columns)} as its first line."
        )
    rows = []
    for row in read:
        values = {
            column: unicodedata.normalize("NFC", (row[column] or "").strip()) for column in columns
        }
        if empty := [column for column in columns if not values[column]]:
            raise LabelError(
                f"{path}, line {read.line_num}: {empty[0]!r} is empty. Write both "
                f"{' and '.join(columns)}."
            )
        rows.append(values)
    return rows
