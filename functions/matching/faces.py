"""Faces as the collection knows them, and what an image's search found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from functions.matching.identity import Identity, id_in, record_of_name
from functions.matching.subjects import main_subject, prominent_faces

if TYPE_CHECKING:
    from functions.matching.subjects import MainSubject


@dataclass(frozen=True, slots=True)
class Box:
    """Where a face is: ratios of the image's width and height, as Rekognition gives them."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Face:
    """A face that was added to the collection.

    Attributes
    ----------
    confidence
        That it is a face, %.
    brightness, sharpness
        Quality of the picture of it, 0-100.
    """

    face_id: str
    box: Box
    confidence: float
    brightness: float
    sharpness: float

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote."""
        return cls(**{**payload, "box": Box(**payload["box"])})

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class UnindexedFace:
    """A face that was seen and not added, with Rekognition's reasons, as EXCEEDS_MAX_FACES."""

    reasons: tuple[str, ...]
    box: Box


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexedFaces:
    """What indexing one image gave. No face at all is an outcome, not an error."""

    faces: tuple[Face, ...]
    unindexed: tuple[UnindexedFace, ...]
    face_model_version: str

    @property
    def prominent_faces(self) -> int:
        """How many faces may be the one that is meant."""
        return prominent_faces(
            [face.box.width for face in self.faces], [face.box.width for face in self.unindexed]
        )

    @property
    def subject(self) -> MainSubject | None:
        """Whether the indexed face must be the named person's; None if the image shows no face."""
        return main_subject(self.prominent_faces)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote."""
        return cls(
            faces=tuple(Face.from_payload(face) for face in payload["faces"]),
            unindexed=tuple(
                UnindexedFace(tuple(face["reasons"]), Box(**face["box"]))
                for face in payload["unindexed"]
            ),
            face_model_version=payload["face_model_version"],
        )

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "faces": [face.to_payload() for face in self.faces],
            "unindexed": [
                {"reasons": list(face.reasons), "box": asdict(face.box)} for face in self.unindexed
            ],
            "face_model_version": self.face_model_version,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFace:
    """A look-alike as the collection returned it, before anybody asked whose it is."""

    face_id: str
    external_image_id: str | None
    similarity: float
    box: Box


@dataclass(frozen=True, kw_only=True, slots=True)
class LookAlikes:
    """What one search of the collection returned.

    Attributes
    ----------
    faces
        The look-alikes.
    may_lack_some
        Whether the collection returned as many faces as it ever does. There may be more, none of
        them more similar than the least similar of these.
    """

    faces: tuple[FoundFace, ...]
    may_lack_some: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A look-alike that shows another record.

    Attributes
    ----------
    searched_face_id
        The image's own face.
    face_id, key, box
        The other face, its image, and where it is in that image.
    name, record
        The name that the key carries, and the record key; by default that of the name alone.
    relation
        How the names of the two records relate; None if nobody has compared them.
    similarity
        Of the two faces, %.
    """

    searched_face_id: str
    face_id: str
    key: str
    name: str
    similarity: float
    box: Box
    record: str = ""
    relation: str | None = None

    def __post_init__(self) -> None:
        """Before there were record keys, a payload had none."""
        if not self.record:
            object.__setattr__(self, "record", record_of_name(self.name))

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote."""
        return cls(**{**payload, "box": Box(**payload["box"])})

    @property
    def identity(self) -> Identity:
        """Who the other photograph shows."""
        return Identity(self.name, id_in(self.record))

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarPhotograph:
    """Another photograph of the image's own record that resembles it.

    Attributes
    ----------
    similarity
        Of the most similar pair of faces in the two photographs, %.
    """

    key: str
    similarity: float

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote."""
        return cls(**payload)

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


class NamesLeftOut(NamedTuple):
    """How many records look like a photograph and are not listed in its report.

    Attributes
    ----------
    more_possible
        Whether `counted` is a lower bound.
    """

    counted: int
    more_possible: bool

    @property
    def any(self) -> bool:
        """Whether there is one, or may be one."""
        return self.counted > 0 or self.more_possible

    @property
    def words(self) -> str:
        """For people, after the photograph or its name."""
        if not self.counted:
            return "may look like more records than its report lists"
        least = "at least " if self.more_possible else ""
        records = "record" if self.counted == 1 else "records"
        return f"looks like {least}{self.counted:,} more {records} than its report lists"


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """What searching for all of an image's faces found.

    Attributes
    ----------
    matches
        Of other records, best first.
    left_out
        How many more there were, beyond `max_matches` a face and the limit in bytes.
    names_left_out
        How many records were found of which `matches` has no face.
    more_names_possible
        Whether `names_left_out` is a lower bound: the collection returned as many look-alikes as
        it ever does, so it may hold faces of more records.
    best_left_out_similarity
        No face of a record that was left out is more similar than this, %; 0 when none was.
    same_name
        How many faces of other images of the image's own record look like it.
    look_alikes
        These images, best first.
    look_alikes_left_out
        How many more of them there were, beyond `LOOK_ALIKES_LIMIT` and the limit in bytes.
    unattributed
        How many look-alikes carry no name: put into the collection by something else, or under
        a key from which `names_from` reads none.
    searched_at
        UTC, ISO 8601.
    """

    matches: tuple[Match, ...]
    left_out: int
    same_name: int
    unattributed: int
    searched_at: str
    names_left_out: int = 0
    more_names_possible: bool = False
    best_left_out_similarity: float = 0.0
    look_alikes: tuple[SimilarPhotograph, ...] = ()
    look_alikes_left_out: int = 0
    best_similarity: float = field(init=False)

    def __post_init__(self) -> None:
        """Zero when there is no match, so that the state machine always compares numbers."""
        best = max((match.similarity for match in self.matches), default=0.0)
        object.__setattr__(self, "best_similarity", best)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote."""
        # A search of an earlier version kept the best faces and counted no names.
        names_unknown = payload["left_out"] > 0
        return cls(
            matches=tuple(Match.from_payload(match) for match in payload["matches"]),
            left_out=payload["left_out"],
            names_left_out=payload.get("names_left_out", 0),
            more_names_possible=payload.get("more_names_possible", names_unknown),
            best_left_out_similarity=payload.get(
                "best_left_out_similarity", payload["best_similarity"] if names_unknown else 0.0
            ),
            same_name=payload["same_name"],
            look_alikes=tuple(
                SimilarPhotograph.from_payload(each) for each in payload.get("look_alikes", ())
            ),
            # A search of an earlier version counted faces, and kept no photograph.
            look_alikes_left_out=payload.get("look_alikes_left_out", payload["same_name"]),
            unattributed=payload["unattributed"],
            searched_at=payload["searched_at"],
        )

    @property
    def lacking(self) -> NamesLeftOut:
        """The names of which `matches` has no face."""
        return NamesLeftOut(self.names_left_out, self.more_names_possible)

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "matches": [match.to_payload() for match in self.matches],
            "left_out": self.left_out,
            "names_left_out": self.names_left_out,
            "more_names_possible": self.more_names_possible,
            "best_left_out_similarity": self.best_left_out_similarity,
            "same_name": self.same_name,
            "look_alikes": [each.to_payload() for each in self.look_alikes],
            "look_alikes_left_out": self.look_alikes_left_out,
            "unattributed": self.unattributed,
            "searched_at": self.searched_at,
            "best_similarity": self.best_similarity,
        }
