"""Which look-alikes are evidence, and how many of them are kept."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.faces import Box, FoundFace, LookAlikes, SearchResult
from functions.matching.identity import compiled_names_from, name_in
from functions.matching.keys import external_image_id
from functions.matching.matches import (
    LOOK_ALIKES_LIMIT,
    MATCHES_LIMIT_BYTES,
    evidence_among,
    pair_id,
)
from tests.unit.strategies import NAMES_FROM, face_ids, found_faces

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


#: Under seven names, so that a few matches do not hold them all.
OTHER_NAMES = tuple(f"images/{name}_{n}.jpg" for name in "BCDEFGH" for n in (1, 2))

others_found = st.dictionaries(
    face_ids,
    st.lists(found_faces(st.sampled_from([external_image_id(key) for key in OTHER_NAMES]))),
    max_size=3,
)


def judge(
    found: dict[str, list[FoundFace]],
    *,
    own_key: str = OWN,
    max_matches: int = 100,
    may_lack_some: bool = False,
) -> SearchResult:
    return evidence_among(
        {
            searched: LookAlikes(faces=tuple(faces), may_lack_some=may_lack_some)
            for searched, faces in found.items()
        },
        own_key=own_key,
        names_from=NAMES_FROM,
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
        assert match.name == name_in(match.key, NAMES_FROM) != "Ann_Lee"


def name_of(face: FoundFace) -> str | None:
    keys = {external_image_id(key): key for key in (*KEYS, *OTHER_NAMES)}
    return name_in(keys[face.external_image_id], NAMES_FROM)


@given(found=others_found, max_matches=st.integers(1, 9))
def test_the_best_face_of_each_name_is_kept_before_a_second_of_any_then_the_best_of_the_rest(
    found: dict[str, list[FoundFace]], max_matches: int
) -> None:
    result = judge(found, max_matches=max_matches)
    similarities = [match.similarity for match in result.matches]
    assert similarities == sorted(similarities, reverse=True)
    for searched, faces in found.items():
        best: dict[str | None, float] = {}
        rest: list[float] = []
        for face in sorted(faces, key=lambda face: -face.similarity):
            if name_of(face) in best:
                rest.append(face.similarity)
            else:
                best[name_of(face)] = face.similarity
        wanted = (list(best.values()) + rest)[:max_matches]
        kept = [match for match in result.matches if match.searched_face_id == searched]
        assert sorted(match.similarity for match in kept) == sorted(wanted)
        assert len({match.name for match in kept}) == min(max_matches, len(best))


@given(found=others_found, max_matches=st.integers(1, 9), room=st.integers(0, 2000))
def test_no_name_is_cut_by_its_bytes_while_another_has_two_faces(
    found: dict[str, list[FoundFace]], max_matches: int, room: int
) -> None:
    with patch("functions.matching.matches.MATCHES_LIMIT_BYTES", room):
        result = judge(found, max_matches=max_matches)
    assert sum(len(json.dumps(match.to_payload())) for match in result.matches) <= room
    names = [match.name for match in result.matches]
    by_face = judge(found, max_matches=max_matches)
    if {match.name for match in by_face.matches} - set(names):
        assert len(names) == len(set(names))


@given(found=others_found, max_matches=st.integers(1, 9))
def test_names_left_out_are_counted_with_the_best_of_their_similarities(
    found: dict[str, list[FoundFace]], max_matches: int
) -> None:
    result = judge(found, max_matches=max_matches)
    kept = {match.name for match in result.matches}
    lacking = [face for faces in found.values() for face in faces if name_of(face) not in kept]
    assert result.names_left_out == len({name_of(face) for face in lacking})
    assert result.best_left_out_similarity == max((face.similarity for face in lacking), default=0)
    assert result.lacking.any is bool(lacking)
    assert result.more_names_possible is False


@given(found=others_found)
def test_a_search_that_may_lack_faces_says_so_and_how_similar_they_can_be(
    found: dict[str, list[FoundFace]],
) -> None:
    full = {searched: faces for searched, faces in found.items() if faces}
    result = judge(full, may_lack_some=True)
    least = [min(face.similarity for face in faces) for faces in full.values()]
    assert result.names_left_out == 0
    assert result.lacking.any is result.more_names_possible is bool(full)
    assert result.best_left_out_similarity == max(least, default=0.0)


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


def test_a_search_of_an_earlier_version_does_not_claim_that_it_left_no_name_out() -> None:
    payload = judge({"mine": [found_face("images/Bo_1.jpg", 97.0)]}).to_payload()
    for field in ("names_left_out", "more_names_possible", "best_left_out_similarity"):
        del payload[field]

    complete = SearchResult.from_payload({**payload, "left_out": 0})
    cut = SearchResult.from_payload({**payload, "left_out": 3})

    assert (complete.lacking.any, complete.best_left_out_similarity) == (False, 0)
    assert (cut.names_left_out, cut.more_names_possible) == (0, True)
    assert cut.best_left_out_similarity == 97.0


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


@given(found=all_found, limit=st.integers(0, 3), room=st.integers(0, 1000))
def test_photographs_of_the_own_record_are_kept_best_first_within_the_limits(
    found: dict[str, list[FoundFace]], limit: int, room: int
) -> None:
    by_id = {external_image_id(key): key for key in KEYS}
    best: dict[str, float] = {}
    for face in kinds(found)["same"]:
        key = by_id[face.external_image_id]
        best[key] = max(face.similarity, best.get(key, 0))
    with (
        patch("functions.matching.matches.LOOK_ALIKES_LIMIT", limit),
        patch("functions.matching.matches.MATCHES_LIMIT_BYTES", room),
    ):
        result = judge(found)
    kept = result.look_alikes
    assert {each.key: each.similarity for each in kept}.items() <= best.items()
    assert [each.similarity for each in kept] == sorted(best.values(), reverse=True)[: len(kept)]
    assert len(kept) == len({each.key for each in kept}) <= limit
    assert len(kept) + result.look_alikes_left_out == len(best)
    payload = result.to_payload()
    listed = [*payload["matches"], *payload["look_alikes"]]
    assert sum(len(json.dumps(each)) for each in listed) <= room


@given(found=all_found)
def test_matches_lose_no_room_to_photographs_of_the_own_record(
    found: dict[str, list[FoundFace]],
) -> None:
    same = {face.face_id for face in kinds(found)["same"]}
    others = {
        searched: [face for face in faces if face.face_id not in same]
        for searched, faces in found.items()
    }
    with patch("functions.matching.matches.MATCHES_LIMIT_BYTES", 600):
        assert judge(found).matches == judge(others).matches


def test_a_search_of_an_earlier_version_does_not_claim_that_it_kept_look_alikes() -> None:
    payload = judge({"mine": [found_face("images/Ann_Lee_0002.jpg")]}).to_payload()
    for field in ("look_alikes", "look_alikes_left_out"):
        del payload[field]

    result = SearchResult.from_payload(payload)

    assert (result.look_alikes, result.look_alikes_left_out) == ((), 1)


def test_a_hundred_photographs_of_the_own_record_are_kept_and_the_rest_is_counted() -> None:
    found = [
        found_face(f"images/Ann_Lee_1{n:04}.jpg", 80 + n / 100, f"face-{n}") for n in range(130)
    ]
    result = judge({"mine": found})
    assert (len(result.look_alikes), result.look_alikes_left_out) == (LOOK_ALIKES_LIMIT, 30)
    assert result.look_alikes[0].key == "images/Ann_Lee_10129.jpg"


@given(one=face_ids, other=face_ids)
def test_a_pair_has_the_same_id_from_both_sides(one: str, other: str) -> None:
    assert pair_id(one, other) == pair_id(other, one)


@given(pairs=st.tuples(face_ids, face_ids, face_ids, face_ids))
def test_another_pair_has_another_id(pairs: tuple[str, str, str, str]) -> None:
    a, b, c, d = pairs
    assert (pair_id(a, b) == pair_id(c, d)) is ({a, b} == {c, d})


def test_records_are_told_apart_by_their_ids_and_not_by_their_names() -> None:
    pattern = compiled_names_from(
        r"(?:^|/)(?:(?P<id>[0-9]+)_)?(?P<name>[^/]+?)(?:_\d+)?[.][^./]+\Z"
    )
    keys = ("7_Ann_Lee_0002.jpg", "7_Anne_Lee_0001.jpg", "07_Ann_Lee_0001.jpg", "Ann_Lee_0001.jpg")
    faces = tuple(
        FoundFace(face_id=key, external_image_id=external_image_id(key), similarity=99.0, box=BOX)
        for key in keys
    )

    result = evidence_among(
        {"searched": LookAlikes(faces=faces)},
        own_key="7_Ann_Lee_0001.jpg",
        names_from=pattern,
        max_matches=100,
        searched_at="2026-11-22T11:15:07.000Z",
    )

    assert result.same_name == 2
    assert {(match.record, match.relation) for match in result.matches} == {
        ("id:07", "SAME_NAME"),
        ("name:Ann Lee", "SAME_NAME"),
    }
