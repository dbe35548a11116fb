"""The document of an evaluation, its folder and its page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import stat
from contextlib import nullcontext
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from facematch.evaluation.folder import DOCUMENT, INDEX, NotAnEvaluation, write_folder
from facematch.evaluation.labels import Persons
from facematch.evaluation.measure import SHOWN, THRESHOLDS, Asked, measured, published
from facematch.evaluation.reference import Reference
from facematch.evaluation.scores import Cosines, score_of
from facematch.evaluation.wording import expected_rows, group_rows, sentences, threshold_rows
from facematch.local.rekognition.faces import similarity
from tests.unit.labelled import faces_with, labelled

if TYPE_CHECKING:
    from pathlib import Path

    from facematch.evaluation.faces import Faces
    from facematch.evaluation.labels import Labelled

ASKED = Asked(wanted=(0.5, 1e-6), faces=(1000,))
CONDITIONS: dict[str, Any] = {"data_set": "made up", "date": "2026-01-02"}

#: Ann twice, Bea once and, as Beatrice, again; Cy; and Dan, who has no face.
KEYS = ("Ann_1.jpg", "Ann_2.jpg", "Bea_1.jpg", "Beatrice_1.jpg", "Cy_1.jpg", "Dan_1.jpg")
MATRIX: list[list[float]] = [
    [0, 99.95, 20, 95, 2],
    [99.95, 0, 10, 10, 2],
    [20, 10, 0, 98.5, 2],
    [95, 10, 98.5, 0, 2],
    [2, 2, 2, 2, 0],
]
SAME = Persons([("Bea", "Beatrice"), ("Bea", "Nobody")])


def small(*, persons: Persons = SAME, asked: Asked = ASKED, **more: Any) -> dict[str, Any]:
    faces = faces_with(MATRIX, refused={5: "NO_FACE"})
    return measured(labelled(*KEYS), faces, persons, asked, conditions=CONDITIONS, **more)


def row(document: dict[str, Any], threshold: float) -> dict[str, Any]:
    (found,) = [row for row in document["thresholds"] if row["threshold"] == threshold]
    return dict(found)


def test_names_of_one_person_are_no_false_matches_and_what_they_would_be_is_said() -> None:
    document = small()

    assert document["sample"] == {
        "faces": 5,
        "names": 4,
        "people": 3,
        "same_person_pairs": 2,
        "different_person_pairs": 8,
        "different_person_name_pairs": 5,
        "same_person_name_pairs": 1,
    }
    at_90, at_98, at_99 = (row(document, threshold) for threshold in (90.0, 98.0, 99.0))
    assert at_90["false_match_rate"]["count"] == at_90["wrong_name_pairs"] == 1
    assert at_90["false_as_named"] == {"count": 2, "of": 9, "rate": 2 / 9}
    assert at_98["false_match_rate"]["count"] == 0
    assert (at_98["false_as_named"]["count"], at_98["missed_name_pairs"]) == (1, 0)
    assert (at_99["false_as_named"]["count"], at_99["missed_name_pairs"]) == (0, 1)
    assert at_99["true_match_rate"]["count"] == 1

    without = row(small(persons=Persons()), 98.0)
    assert without["false_match_rate"]["count"] == 1
    assert without["true_match_rate"]["of"] == 1


def test_photographs_that_take_no_part_are_counted_by_reason() -> None:
    photographs = replace(labelled(*KEYS), unnamed=("_1.jpg",))
    faces = faces_with(MATRIX, refused={5: "NO_FACE"})
    document = measured(photographs, faces, SAME, ASKED, conditions=CONDITIONS)

    found = document["photographs"]
    assert (found["found"], found["unnamed"], found["enrolled"]) == (7, 1, 5)
    assert found["refused"] == {"NO_FACE": 1}
    assert found["failure_to_enrol"]["rate"] == pytest.approx(1 / 6, abs=1e-4)
    assert document["people"]["refused"] == [{"key": "Dan_1.jpg", "reason": "NO_FACE"}]
    assert "5 of 7 photographs take part. 1 have no usable face" in sentences(document)[0]


def test_rates_are_given_without_the_photographs_of_several_people_too() -> None:
    faces = replace(faces_with(MATRIX, refused={5: "NO_FACE"}), several=frozenset({0}))
    document = measured(labelled(*KEYS), faces, SAME, ASKED, conditions=CONDITIONS)

    without = document["single_subject"]
    assert (without["photographs_of_several"], without["faces"]) == (1, 4)
    assert (without["same_person_pairs"], without["different_person_pairs"]) == (1, 5)
    # The only false match at 90 % is of the photograph with several people.
    assert row(document, 90.0)["false_match_rate"]["count"] == 1
    assert row(without, 90.0)["false_match_rate"]["count"] == 0
    assert row(without, 90.0)["true_match_rate"]["count"] == 1


def test_without_photographs_of_several_people_there_is_no_second_table() -> None:
    assert small()["single_subject"] is None


def test_a_wanted_rate_that_the_sample_is_too_small_for_says_so() -> None:
    half, millionth = small()["best_thresholds"]

    assert half["false_match_rate"]["rate"] <= 0.5
    assert half["threshold"] < 20
    # Three people make one pair of people that is independent of others.
    assert (half["enough"], half["remark"][:9]) == (False, "too small")
    assert millionth["false_match_rate"]["count"] == 0
    assert 95 < millionth["threshold"] < 95.01
    assert (millionth["enough"], millionth["remark"][:9]) == (False, "too small")


def test_wrong_pairs_are_foretold_by_the_interval_where_no_error_was_seen() -> None:
    document = small(asked=Asked(wanted=(), faces=(10, 1000)))

    (first, *_, last) = document["expected"]
    assert (first["faces"], first["pairs"], last["pairs"]) == (10, 45, 499_500)
    assert first["measured"] is None
    assert first["high"] == 45 * row(document, 99.0)["false_match_rate"]["high"]
    head, rows = expected_rows(document)
    assert head[-1] == "Wrong name pairs, by this sample"  # nothing is known of another engine
    assert rows[0][3].startswith("at most ")


def engine_faces(version: str) -> Faces:
    vectors = np.eye(3, 128, dtype=np.float32)
    return replace(
        faces_with([[0, 0, 0]] * 3),
        comparison=Cosines(vectors, similarity),
        face_model_version=version,
    )


def test_the_reference_curve_stands_beside_it_for_the_model_that_it_was_measured_with() -> None:
    photographs = labelled("Ann_1.jpg", "Bea_1.jpg", "Cy_1.jpg")
    faces = engine_faces(Reference.read().face_model_version)
    document = measured(photographs, faces, Persons(), ASKED, conditions=CONDITIONS)

    at_99, _, at_9999 = (entry["reference"] for entry in document["expected"])
    assert at_99 == {"wrong": pytest.approx(5, rel=0.1), "at_most": False}
    assert at_9999 == {"wrong": pytest.approx(0.4995), "at_most": True}

    other = measured(photographs, engine_faces("other"), Persons(), ASKED, conditions=CONDITIONS)
    assert all(entry["reference"] is None for entry in other["expected"])


def test_the_reference_curve_goes_through_its_points_both_ways() -> None:
    reference = Reference.read()
    for cosine, rate in reference.points:
        assert reference.rate(cosine)[0] == pytest.approx(rate)
        assert not reference.rate(cosine)[1]
        assert reference.cosine(rate) == pytest.approx(cosine)
    for rate in (7e-3, 3e-5, 2e-6):
        between = reference.cosine(rate)
        assert between is not None
        assert reference.rate(between)[0] == pytest.approx(rate)
    assert reference.cosine(1e-7) is None
    assert reference.cosine(0.5) == reference.points[0][0]
    assert reference.rate(0.1) == (1.0, True)
    # docs of the engine: 99 % is about 1 of 100,000.
    assert reference.rate(score_of(99, similarity, (-1, 1)))[0] == pytest.approx(1e-5, rel=0.1)


def two_groups(*, alike: float) -> tuple[Labelled, Faces, dict[str, str]]:
    """60 people in two groups with two photographs each; in one of them all are as alike."""
    keys = [f"{group}{n:02}_{i}.jpg" for group in "ab" for n in range(30) for i in (1, 2)]
    matrix = np.full((120, 120), 1.0)
    matrix[60:, 60:] = alike
    for person in range(60):
        matrix[2 * person : 2 * person + 2, 2 * person : 2 * person + 2] = 99.5
    groups = {f"{group}{n:02}": group for group in "ab" for n in range(30)}
    photographs = labelled(*keys)
    named = tuple(replace(p, name=p.key[:3]) for p in photographs.photographs)
    return replace(photographs, photographs=named), faces_with(matrix.tolist()), groups


def by_group(
    photographs: Labelled, faces: Faces, groups: dict[str, str], persons: Persons | None = None
) -> dict[str, Any]:
    asked = replace(ASKED, groups=groups)
    return measured(photographs, faces, persons or Persons(), asked, conditions=CONDITIONS)


def test_groups_that_differ_are_warned_of_and_those_that_do_not_are_not() -> None:
    photographs, faces, groups = two_groups(alike=96)
    document = by_group(photographs, faces, groups)

    a, b = document["groups"]["groups"]
    rates = {
        group["group"]: [
            found["false_match_rate"]["count"]
            for found in group["thresholds"]
            if found["threshold"] == 95
        ]
        for group in (a, b)
    }
    assert rates == {"a": [0], "b": [30 * 29 // 2 * 4]}
    assert a["different_person_pairs"] == b["different_person_pairs"]
    (warning,) = document["warnings"]
    assert "false match rates of the groups 'a' and 'b' differ" in warning
    assert "80, 90, 95 %" in warning

    photographs, faces, groups = two_groups(alike=1)
    assert by_group(photographs, faces, groups)["warnings"] == []


def test_a_small_group_and_faces_without_group_are_said() -> None:
    photographs, faces, groups = two_groups(alike=1)
    del groups["a00"]
    document = by_group(photographs, faces, groups)

    assert document["warnings"] == [
        "Group 'a' has 29 people with a usable face, fewer than 30: its rates say little."
    ]
    assert document["groups"]["faces_without_group"] == 2


def test_a_group_whose_people_have_one_photograph_each_has_no_true_match_rate_to_speak_of() -> None:
    photographs, faces, groups = two_groups(alike=1)
    # The second photographs of b00 to b09 are somebody's else, in no group.
    named = tuple(
        replace(p, name=f"other{p.key}") if re.fullmatch(r"b0._2\.jpg", p.key) else p
        for p in photographs.photographs
    )
    document = by_group(replace(photographs, photographs=named), faces, groups)

    assert document["warnings"] == [
        "Group 'b' has 20 people with several photographs, fewer than 30: its true match rate says "
        "little."
    ]


def test_other_names_of_a_person_are_in_the_persons_group() -> None:
    photographs, faces, groups = two_groups(alike=1)
    del groups["a00"]
    # One that stands in the file of groups under a name that is on no photograph.
    groups["Adam"] = groups.pop("a02")
    persons = Persons([("a00", "a01"), ("Adam", "a02")])
    document = by_group(photographs, faces, groups, persons)

    a, b = document["groups"]["groups"]
    assert (a["faces"], b["faces"]) == (60, 60)
    assert document["groups"]["faces_without_group"] == 0


def test_a_group_whose_faces_are_not_found_is_warned_of() -> None:
    photographs, _, groups = two_groups(alike=1)
    refused = dict.fromkeys(range(61, 120, 2), "NO_FACE")  # every second one of b
    kept = [n for n in range(120) if n not in refused]
    fewer = faces_with([[0.0] * len(kept)] * len(kept), refused=refused)
    fewer = replace(
        fewer, faces=tuple(replace(f, photograph=n) for f, n in zip(fewer.faces, kept, strict=True))
    )
    document = by_group(photographs, fewer, groups)

    a, b = document["groups"]["groups"]
    assert (a["failure_to_enrol"]["count"], b["failure_to_enrol"]["count"]) == (0, 30)
    assert any(
        "without a usable face of the groups 'a' and 'b' differ" in warning
        for warning in document["warnings"]
    )
    head, rows = group_rows(document)
    shares = {row[0]: row[head.index("No usable face")][:6] for row in rows}
    assert shares == {"a": "0.00% ", "b": "50.00%"}


def test_copies_of_one_person_are_no_evidence_and_those_of_two_are_pointed_out(
    tmp_path: Path,
) -> None:
    keys = ("Ann_1.jpg", "Ann_2.jpg", "Bea_1.jpg", "Bee_1.jpg", "Cy_1.jpg", "Dan_1.jpg")
    photographs = labelled(*keys, folder=tmp_path)
    contents = ("ann", "ann", "bea", "bea", "cyd", "cyd")  # of one length
    for photograph, content in zip(photographs.photographs, contents, strict=True):
        photograph.file.path.write_text(content)
    faces = faces_with([[99.99] * 6] * 6)
    groups = dict.fromkeys(("Ann", "Bea", "Cy", "Dan"), "all")
    document = by_group(photographs, faces, groups, Persons([("Bea", "Bee")]))

    found = document["photographs"]
    assert (found["found"], found["enrolled"]) == (6, 4)
    assert (found["copies"], found["shared"]) == (2, 1)
    assert found["failure_to_enrol"]["of"] == 4
    assert document["sample"]["faces"] == 4
    # Nobody has two photographs, and no two names of one person are left.
    assert document["sample"]["same_person_pairs"] == 0
    assert document["sample"]["same_person_name_pairs"] == 0
    assert row(document, 99.0)["false_match_rate"]["count"] == 6
    assert document["groups"]["groups"][0]["faces"] == 4
    assert document["people"]["copies"] == [
        {"key": "Ann_2.jpg", "of": "Ann_1.jpg"},
        {"key": "Bee_1.jpg", "of": "Bea_1.jpg"},
    ]
    assert document["people"]["shared"] == [["Cy_1.jpg", "Dan_1.jpg"]]
    assert document["people"]["unknown_names"] == []
    said = " ".join(sentences(document))
    assert "of another photograph of the same person: 2." in said
    assert "under several people's names: 1." in said
    assert "copy of Ann_1.jpg" in write_folder(
        tmp_path / "page", document, photographs, faces, root=tmp_path / "state"
    ).read_text(encoding="utf-8")


def test_bystanders_under_the_photographs_name_are_pointed_out() -> None:
    document = small()
    assert not any("bystanders" in sentence for sentence in sentences(document))
    document["conditions"]["max_faces"] = 3
    assert any("bystanders" in sentence for sentence in sentences(document))


def test_what_is_published_names_nobody() -> None:
    document = small(asked=replace(ASKED, groups={"Ann": "1", "Bea": "2", "Beatrice": "2"}))

    text = json.dumps(published(document))

    assert document["people"]["unknown_names"] == ["Nobody"]
    assert not re.search("Ann|Bea|Cy|Dan|Nobody", text)
    assert json.loads(text)["thresholds"] == document["thresholds"]


def test_the_table_shows_the_documents_rows() -> None:
    document = small()
    head, rows = threshold_rows(document)

    assert [cells[0] for cells in rows] == [f"{t:g}" for t in THRESHOLDS if t in SHOWN]
    at_99 = dict(zip(head, rows[[cells[0] for cells in rows].index("99")], strict=True))
    assert at_99["Missed name pairs"] == "1 of 1"
    assert at_99["True match rate"].startswith("50.00% (")
    assert at_99["False match rate"].startswith("0 (below ")


def test_one_person_alone_has_a_document_too(tmp_path: Path) -> None:
    photographs = labelled("Ann_1.jpg", "Ann_2.jpg")
    faces = faces_with([[0, 90], [90, 0]])
    document = measured(photographs, faces, Persons(), ASKED, conditions=CONDITIONS)

    index = write_folder(tmp_path / "page", document, photographs, faces, root=tmp_path / "state")

    assert "no pairs" in index.read_text()


# --- The folder and the page ------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\u202e&\"'"


class Reader(HTMLParser):
    """Tags, their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[dict[str, Any], Labelled, Faces]:
    """A name that would be a script, and photographs of which one cannot be read."""
    photographs = labelled("Ann_1.jpg", "Ann_2.jpg", "Bea_1.jpg", "Cy_1.jpg", folder=tmp_path)
    named = tuple(
        replace(p, name=HOSTILE if p.name == "Bea" else p.name) for p in photographs.photographs
    )
    photographs = replace(photographs, photographs=named, unnamed=(f"{HOSTILE}.jpg",))
    for photograph, colour in zip(named[:3], ("grey", "red", "blue"), strict=True):
        Image.new("RGB", (200, 100), colour).save(photograph.file.path, "JPEG")
    named[3].file.path.write_bytes(b"broken")
    faces = faces_with([[0, 60, 90, 80], [60, 0, 10, 10], [90, 10, 0, 70], [80, 10, 70, 0]])
    document = measured(
        photographs,
        faces,
        Persons([("Ann", HOSTILE)]),
        replace(ASKED, groups={HOSTILE: HOSTILE, "Ann": HOSTILE, "Cy": "other"}),
        conditions={**CONDITIONS, "data_set": HOSTILE},
    )
    return document, photographs, faces


def test_the_page_shows_hostile_names_as_text_and_runs_nothing(
    hostile: tuple[dict[str, Any], Labelled, Faces], tmp_path: Path
) -> None:
    index = write_folder(tmp_path / "page", *hostile, root=tmp_path / "state")

    page = Reader(index.read_text(encoding="utf-8"))
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in page.text
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "link", "form", "a", "base"}
    attributes = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in attributes if name.startswith("on")} | (attributes & {"style"})
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv")) or ""
    style = re.search(r"<style>(.*?)</style>", index.read_text(), re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "This folder holds biometric data" in page.text


def test_every_picture_of_the_page_is_beside_it_and_what_has_none_is_left_out(
    hostile: tuple[dict[str, Any], Labelled, Faces], tmp_path: Path
) -> None:
    index = write_folder(tmp_path / "page", *hostile, root=tmp_path / "state")

    page = Reader(index.read_text(encoding="utf-8"))
    files = [a["src"] for t, a in page.tags if t == "img"]
    files += [a["srcset"] for t, a in page.tags if t == "source"]
    assert len([file for file in files if file and file.startswith("faces/")]) >= 4
    for file in files:
        assert file
        assert (index.parent / file).is_file()
    assert "<svg" in (index.parent / "plot.svg").read_text()
    written = {path.name for path in (index.parent / "faces").iterdir()}
    assert written == {"0.jpg", "1.jpg", "2.jpg"}


def test_the_folder_is_its_owners_alone_and_replaces_only_another_evaluation(
    hostile: tuple[dict[str, Any], Labelled, Faces], tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    write_folder(folder, *hostile, root=tmp_path / "state")
    document, photographs, _ = hostile
    photographs.photographs[2].file.path.unlink()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"

    write_folder(folder, *hostile, root=tmp_path / "state")

    assert {path.name for path in (folder / "faces").iterdir()} == {"0.jpg", "1.jpg"}
    assert json.loads((folder / DOCUMENT).read_text()).items() >= document.items()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".page")]

    for mine in (folder / "mine.txt", folder / "faces" / "7.jpg"):
        mine.touch()
        with pytest.raises(NotAnEvaluation, match=rf"{mine.name}', which was not written there"):
            write_folder(folder, *hostile, root=tmp_path / "state")
        assert (folder / INDEX).exists()
        mine.unlink()
    (folder / DOCUMENT).write_text("{}")
    with pytest.raises(NotAnEvaluation, match="was not written by this installation"):
        write_folder(folder, *hostile, root=tmp_path / "state")
    assert (folder / INDEX).exists()
    with pytest.raises(NotAnEvaluation, match="is not of an evaluation"):
        write_folder(tmp_path, *hostile, root=tmp_path / "state")
    with pytest.raises(NotAnEvaluation, match="is a file"):
        write_folder(folder / INDEX, *hostile, root=tmp_path / "state")


@pytest.mark.parametrize("own", [True, False])
def test_an_evaluation_from_before_the_register_is_replaced_where_nobody_else_writes(
    hostile: tuple[dict[str, Any], Labelled, Faces], tmp_path: Path, own: bool
) -> None:
    root = tmp_path / "state"
    folder = (root if own else tmp_path) / "evaluation"
    write_folder(folder, *hostile, root=root)
    shutil.rmtree(root / "written")

    with nullcontext() if own else pytest.raises(NotAnEvaluation):
        write_folder(folder, *hostile, root=root)

    assert (folder / INDEX).exists()
