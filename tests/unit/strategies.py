"""Hypothesis strategies for what the domain works on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from functions.matching.faces import (
    Box,
    Face,
    FoundFace,
    IndexedFaces,
    Match,
    SearchResult,
    UnindexedFace,
)
from functions.matching.identity import FROM_FILE, compiled_names_from
from functions.matching.images import UploadedImage
from functions.matching.keys import external_image_id

NAMES_FROM = compiled_names_from(FROM_FILE)

#: Any text that can be written in UTF-8, as an S3 key must be.
texts = st.text(st.characters(exclude_categories=["Cs"]))
awkward = st.text(st.sampled_from("aé\u0301 /.:_-%+0\n\x00\x7f\u2028\u202e\U0001f600"))


def s3_keys() -> st.SearchStrategy[str]:
    """Any S3 key: 1 to 1,024 bytes of UTF-8."""
    return (texts | awkward).filter(lambda key: 0 < len(key.encode()) <= 1024)


def usable_keys() -> st.SearchStrategy[str]:
    """Keys that fit into an ExternalImageId."""
    return s3_keys().filter(lambda key: external_image_id(key) is not None)


def moments() -> st.SearchStrategy[datetime]:
    """As precise as S3 is: milliseconds."""
    return st.datetimes(
        min_value=datetime(2006, 3, 14),  # noqa: DTZ001 - hypothesis wants it naive
        max_value=datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


def images(keys: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[UploadedImage]:
    return st.builds(
        UploadedImage,
        bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True),
        key=s3_keys() if keys is None else keys,
        version_id=st.none() | st.text("abcXYZ019._-", min_size=1, max_size=64),
        etag=st.from_regex(r"[0-9a-f]{32}(-[1-9][0-9]?)?", fullmatch=True),
        size=st.integers(0, 5 * 2**40),
        last_modified=moments(),
    )


ratios = st.floats(0, 1, width=32)
boxes = st.builds(Box, ratios, ratios, ratios, ratios)
similarities = st.floats(80, 100, width=32)
face_ids = st.uuids().map(str)

faces = st.builds(
    Face,
    face_id=face_ids,
    box=boxes,
    confidence=st.floats(0, 100, width=32),
    brightness=st.floats(0, 100, width=32),
    sharpness=st.floats(0, 100, width=32),
)
unindexed_faces = st.builds(
    UnindexedFace,
    st.lists(st.sampled_from(["LOW_SHARPNESS", "EXCEEDS_MAX_FACES"]), min_size=1).map(tuple),
    boxes,
)


def found_faces(external_ids: st.SearchStrategy[str | None]) -> st.SearchStrategy[FoundFace]:
    return st.builds(
        FoundFace,
        face_id=face_ids,
        external_image_id=external_ids,
        similarity=similarities,
        box=boxes,
    )


def matches(
    searched: st.SearchStrategy[str],
    *,
    keys: st.SearchStrategy[str] | None = None,
    names: st.SearchStrategy[str] = texts,
) -> st.SearchStrategy[Match]:
    return st.builds(
        Match,
        searched_face_id=searched,
        face_id=face_ids,
        key=s3_keys() if keys is None else keys,
        name=names,
        similarity=similarities,
        box=boxes,
    )


#: Any JSON value.
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def searches(draw: st.DrawFn) -> tuple[IndexedFaces, SearchResult]:
    """Faces of an image, and matches of these faces."""
    indexed = IndexedFaces(
        faces=tuple(draw(st.lists(faces, max_size=3, unique_by=lambda face: face.face_id))),
        unindexed=tuple(draw(st.lists(unindexed_faces, max_size=2))),
        face_model_version="7.0",
    )
    found: list[Match] = []
    if indexed.faces:
        searched = st.sampled_from([face.face_id for face in indexed.faces])
        found = draw(st.lists(matches(searched), max_size=8))
    names_left_out = draw(st.integers(0, 2)) if indexed.faces else 0
    more_names_possible = bool(indexed.faces) and draw(st.booleans())
    lacks_names = names_left_out > 0 or more_names_possible
    result = SearchResult(
        matches=tuple(sorted(found, key=lambda match: -match.similarity)),
        left_out=names_left_out + draw(st.integers(0, 5)),
        names_left_out=names_left_out,
        more_names_possible=more_names_possible,
        best_left_out_similarity=draw(similarities) if lacks_names else 0.0,
        same_name=draw(st.integers(0, 5)),
        unattributed=draw(st.integers(0, 5)),
        searched_at="2026-11-22T11:15:09.000Z",
    )
    return indexed, result
