"""Which look-alikes are evidence, and how many of them are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.faces import Box, FoundFace, SearchResult
from functions.matching.keys import external_image_id, name_in
from functions.matching.matches import MATCHES_LIMIT_BYTES, judged, pair_id

from .strategies import NAME_PATTERN, face_ids, found_faces

OWN = "images/Ann_Lee_0001.jpg"
BOX = Box(0.1, 0.2, 0.3, 0.4)
KEYS = (
    OWN,
    "images/Ann_Lee_0002.jpg",
    "images/elsewhere/Ann_Lee_0001.jpg",
    "images/Ann_0001.jpg",
    "images/Ann_Lee_Smith_0001.jpg",
    "images/ann_lee_0001.jpg",
    "images/Bo_0001.jpg",
    "images/.jpg",
)
FOREIGN_IDS = (None, "somebody:else", "a b")

all_found = st.dictionaries(
    face_ids,
    st.lists(
        found_faces(st.sampled_from([external_image_id(key) for key in KEYS] + [*FOREIGN_IDS])),
        max_size=12,
    ),
    max_size=4,
)


def judge(found: Any, *, own_key: str = OWN, max_matches: int = 100) -> SearchResult:
    return judged(
        found,
        own_key=own_key,
        name_pattern=NAME_PATTERN,
        max_matches=max_matches,
        searched_at="2026-11-22T11:15:07.000Z",
    )


def found_face(key: str | None, similarity: float = 99.0, face_id: str = "other") -> FoundFace:
    external_id = external_image_id(key) if key else None
    return FoundFace(face_id=face_id, external_image_id=external_id, similarity=similarity, box=BOX)


def kinds(found: dict[str, list[FoundFace]]) -> dict[str, list[FoundFace]]:
    """The found faces, sorted by what they are, in the simplest way."""
    by_id = {external_image_id(key): key for key in KEYS}
    sorted_out: dict[str, list[FoundFace]] = {"own": [], "same": [], "other": [], "unknown": []}
    for face in (face for faces in found.values() for face in faces):
        key = by_id.get(face.external_image_id)
        if key is None or key == "images/.jpg":
            kind = "unknown"
        elif key == OWN:
            kind = "own"
        else:
            kind = "same" if "Ann_Lee_000" in key else "other"
        sorted_out[kind].append(face)
    return sorted_out


@given(found=all_found, max_matches=st.integers(1, 5))
def test_every_found_face_is_counted_exactly_once(
    found: dict[str, list[FoundFace]], max_matches: int
) -> None:
    result = judge(found, max_matches=max_matches)
    expected = kinds(found)
    assert len(result.matches) + result.left_out == len(expected["other"])
    assert result.same_name == len(expected["same"])
    assert result.unattributed == len(expected["unknown"])


@given(found=all_found)
def test_a_match_is_never_the_image_itself_nor_its_own_name(
    found: dict[str, list[FoundFace]],
) -> None:
    for match in judge(found).matches:
        assert match.key != OWN
        assert match.name == name_in(match.key, NAME_PATTERN) != "Ann_Lee"


@given(found=all_found, max_matches=st.integers(1, 5))
def test_the_best_matches_of_each_face_are_kept_best_first(
    found: dict[str, list[FoundFace]], max_matches: int
) -> None:
    result = judge(found, max_matches=max_matches)
    similarities = [match.similarity for match in result.matches]
    assert similarities == sorted(similarities, reverse=True)
    for searched, faces in found.items():
        others = sorted((f.similarity for f in kinds({searched: faces})["other"]), reverse=True)
        kept = [m.similarity for m in result.matches if m.searched_face_id == searched]
        assert kept == others[:max_matches]


@given(found=all_found)
def test_the_best_similarity_is_a_number_even_without_a_match(
    found: dict[str, list[FoundFace]],
) -> None:
    result = judge(found)
    others = [face.similarity for face in kinds(found)["other"]]
    assert result.best_similarity == max(others, default=0.0)
    assert isinstance(result.best_similarity, float)


@given(found=all_found, seed=st.randoms(use_true_random=False))
def test_the_order_in_which_faces_are_found_changes_nothing(
    found: dict[str, list[FoundFace]], seed: Any
) -> None:
    shuffled = {searched: seed.sample(faces, len(faces)) for searched, faces in found.items()}
    assert judge(shuffled).to_payload() == judge(found).to_payload()


@given(found=all_found)
def test_a_result_comes_back_from_its_payload(found: dict[str, list[FoundFace]]) -> None:
    result = judge(found)
    assert SearchResult.from_payload(json.loads(json.dumps(result.to_payload()))) == result


def test_ann_is_not_annabel() -> None:
    result = judge({"mine": [found_face("images/Annabel_0001.jpg")]}, own_key="images/Ann_0001.jpg")
    assert [match.name for match in result.matches] == ["Annabel"]


def test_both_ways_of_writing_an_accent_are_the_same_person() -> None:
    result = judge(
        {"mine": [found_face("images/Zoe\u0308_0001.jpg")]}, own_key="images/Zo\u00eb_0002.jpg"
    )
    assert not result.matches
    assert result.same_name == 1


@pytest.mark.parametrize("count", [30, 400])
def test_what_does_not_fit_by_its_bytes_is_left_out_and_counted(count: int) -> None:
    found = [
        found_face(f"images/{n:03}{'é' * 85}.jpg", 80 + n / 100, f"face-{n}") for n in range(count)
    ]
    result = judge({"mine": found}, max_matches=1000)
    written = json.dumps([match.to_payload() for match in result.matches])
    assert len(result.matches) + result.left_out == count
    assert (result.left_out > 0) is (count > 100)
    assert len(written) <= MATCHES_LIMIT_BYTES + 2 * len(result.matches)
    best = sorted((face.similarity for face in found), reverse=True)
    assert [match.similarity for match in result.matches] == best[: len(result.matches)]


@given(one=face_ids, other=face_ids)
def test_a_pair_has_the_same_id_from_both_sides(one: str, other: str) -> None:
    assert pair_id(one, other) == pair_id(other, one)


@given(pairs=st.tuples(face_ids, face_ids, face_ids, face_ids))
def test_another_pair_has_another_id(pairs: tuple[str, str, str, str]) -> None:
    a, b, c, d = pairs
    assert (pair_id(a, b) == pair_id(c, d)) is ({a, b} == {c, d})
