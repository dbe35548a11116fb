"""Which faces each version of a key has put into the collection, so that they can leave it again.

Rekognition cannot list the faces of an image. The register of a key is one small object, changed
by conditional writes only: that write decides between an index step and a removal that work on
the same key at the same time. Without it, one could delete a face that the other has just been
given, since the same bytes under the same key always have the same face id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from functions.matching.errors import Unavailable
from functions.matching.keys import version_digest
from functions.matching.places import Place
from functions.matching.subjects import main_subject

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from functions.matching.faces import IndexedFaces
    from functions.matching.images import UploadedImage
    from functions.matching.subjects import MainSubject

SCHEMA_VERSION: Final = 1
#: How far the clocks of two function instances may be apart, seconds: far more than they are.
_CLOCKS_APART: Final = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One version of the key.

    Attributes
    ----------
    day
        Of the upload: the partition of the version's records.
    face_ids
        In the collection.
    leaving
        Whether somebody is deleting its faces just now.
    prominent_faces
        How many faces of the photograph may be the one that is meant; None if an earlier version
        of the workflow entered it, which did not count them.
    """

    day: str
    face_ids: tuple[str, ...]
    leaving: bool = False
    prominent_faces: int | None = None

    @property
    def subject(self) -> MainSubject | None:
        """Whether its indexed face must be the named person's; None if nobody knows."""
        return main_subject(self.prominent_faces or 0)


class KnownVersion(NamedTuple):
    """A version of another photograph, as its register describes it.

    Attributes
    ----------
    prominent_faces
        As in `Entry`.
    """

    digest: str
    prominent_faces: int | None = None


@dataclass(frozen=True, slots=True)
class Register:
    """The versions of one key, by their digests. Neither key nor name stands in it.

    Attributes
    ----------
    faces_left_at
        When faces of the key left the collection for the last time, seconds since 1970; 0: never.
    """

    entries: Mapping[str, Entry]
    faces_left_at: float = 0.0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` wrote."""
        return cls(
            {
                digest: Entry(
                    day=entry["day"],
                    face_ids=tuple(entry["face_ids"]),
                    leaving=entry["leaving"],
                    prominent_faces=entry.get("prominent_faces"),
                )
                for digest, entry in record["versions"].items()
            },
            record["faces_left_at"],
        )

    def to_record(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "faces_left_at": self.faces_left_at,
            "versions": {
                digest: {
                    "day": entry.day,
                    "face_ids": list(entry.face_ids),
                    "leaving": entry.leaving,
                    "prominent_faces": entry.prominent_faces,
                }
                for digest, entry in self.entries.items()
            },
        }

    def joined_by(
        self, image: UploadedImage, indexed: IndexedFaces, *, indexed_after: float
    ) -> Register:
        """The register with this version and the faces that it has just been given.

        Parameters
        ----------
        indexed_after
            When indexing began, seconds since 1970.

        Raises
        ------
        Unavailable
            When faces of this key are leaving, or have left since: they may be among those that
            the version has just been given. It has to be indexed again.
        """
        leaving = any(entry.leaving for entry in self.entries.values())
        if leaving or self.faces_left_at + _CLOCKS_APART > indexed_after:
            raise Unavailable("faces of the same key are being removed just now")
        entry = Entry(
            day=image.day,
            face_ids=tuple(face.face_id for face in indexed.faces),
            prominent_faces=indexed.prominent_faces,
        )
        return replace(self, entries={**self.entries, image.digest: entry})

    def with_leaving(self, digests: Collection[str]) -> Register:
        """The register with these versions' faces on their way out."""
        return replace(
            self,
            entries={
                digest: replace(entry, leaving=entry.leaving or digest in digests)
                for digest, entry in self.entries.items()
            },
        )

    def version_with(self, face_id: str) -> KnownVersion | None:
        """Return the version that put the face in; None if it is not entered."""
        return next(
            (
                KnownVersion(digest, entry.prominent_faces)
                for digest, entry in self.entries.items()
                if face_id in entry.face_ids
            ),
            None,
        )

    def leaving_faces(self) -> tuple[str, ...]:
        """Faces of leaving versions that no version which stays has too."""
        stay = {i for e in self.entries.values() if not e.leaving for i in e.face_ids}
        leave = {i for e in self.entries.values() if e.leaving for i in e.face_ids}
        return tuple(sorted(leave - stay))

    def without_leaving(self, *, forget: Collection[str], left_at: float) -> Register:
        """The register after the leaving faces have left.

        Parameters
        ----------
        forget
            Versions that leave altogether; the others stay known, without faces, until they are
            removed from the bucket: only the register knows where their records are.
        left_at
            When the faces had left, seconds since 1970.
        """
        return replace(
            self,
            faces_left_at=left_at if self.leaving_faces() else self.faces_left_at,
            entries={
                digest: replace(entry, face_ids=(), leaving=False) if entry.leaving else entry
                for digest, entry in self.entries.items()
                if not (entry.leaving and digest in forget)
            },
        )


def register_key(bucket: str, key: str) -> str:
    """Of the key's register in the output bucket."""
    return f"{Place.REGISTERS}{version_digest(bucket, key, 'register')}.json"
