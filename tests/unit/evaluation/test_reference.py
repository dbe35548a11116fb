"""The reference curve that an evaluation measures, and the data file that is made of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.errors import Unusable
from facematch.evaluation import scores
from facematch.evaluation.labels import Persons
from facematch.evaluation.measure import Asked, measured
from facematch.evaluation.reference import DATA, Reference, data_file
from facematch.evaluation.scores import Cosines
from facematch.local.rekognition.faces import FACE_MODEL_VERSION, similarity
from tests.unit.labelled import crowd, faces_with, labelled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from facematch.evaluation.faces import Faces
    from facematch.evaluation.labels import Labelled

ASKED = Asked(wanted=(), faces=(), curve=True)
CONDITIONS: dict[str, Any] = {"data_set": "made up", "command": "facematch evaluate DIR"}
#: Pairs of faces with a known cosine; every other pair has 0.
STRANGERS = [0.31] * 30 + [0.41] * 15 + [0.51] * 5
TWINS = [0.45] * 8 + [0.25] * 6


def with_vectors(vectors: np.ndarray) -> Faces:
    return replace(
        faces_with([[0.0] * len(vectors)] * len(vectors)),
        comparison=Cosines(vectors.astype(np.float32), similarity),
        face_model_version=FACE_MODEL_VERSION,
    )


def in_pairs(cosines: Sequence[float]) -> np.ndarray:
    """Two vectors for each cosine, in a plane that is theirs alone."""
    vectors = np.zeros((2 * len(cosines), 128))
    for pair, cosine in enumerate(cosines):
        vectors[2 * pair, 2 * pair] = 1
        vectors[2 * pair + 1, 2 * pair : 2 * pair + 2] = cosine, math.sqrt(1 - cosine**2)
    return vectors


def keys() -> list[str]:
    different = [f"{side}{pair}x_1.jpg" for pair in range(len(STRANGERS)) for side in "ab"]
    return different + [f"c{pair}x_{side}.jpg" for pair in range(len(TWINS)) for side in (1, 2)]


def known() -> tuple[Labelled, Faces]:
    return labelled(*keys()), with_vectors(in_pairs([*STRANGERS, *TWINS]))


def curve_of(
    photographs: Labelled, faces: Faces, persons: Persons | None = None
) -> list[dict[str, Any]]:
    document = measured(photographs, faces, persons or Persons(), ASKED, conditions=CONDITIONS)
    return list(document["curve"])


def of_crowd() -> dict[str, Any]:
    comparison, labels = crowd(people=60, seed=4)
    photographs = labelled(*(f"p{n}x_{i}.jpg" for i, n in enumerate(labels.names)))
    found = with_vectors(comparison._vectors)
    return measured(photographs, found, Persons(), ASKED, conditions=CONDITIONS)


def test_known_rates_come_out() -> None:
    rows = {row["cosine"]: row for row in curve_of(*known())}

    false = {cosine: row["false_match_rate"]["count"] for cosine, row in rows.items()}
    assert [false[c] for c in (0.2, 0.3, 0.32, 0.4, 0.42, 0.5, 0.52)] == [50, 50, 20, 20, 5, 5, 0]
    assert rows[0.3]["false_match_rate"]["of"] == 128 * 127 // 2 - 14
    true = {cosine: row["true_match_rate"]["count"] for cosine, row in rows.items()}
    assert [true[c] for c in (0.2, 0.24, 0.26, 0.44, 0.46)] == [14, 14, 8, 8, 0]


def test_the_file_that_is_written_is_read_as_the_reference_curve(tmp_path: Path) -> None:
    document = measured(*known(), Persons(), ASKED, conditions=CONDITIONS)
    file = tmp_path / "reference.json"
    file.write_text(json.dumps(data_file(document)))

    read = Reference.read(file)

    pairs = 128 * 127 // 2 - 14
    # Of equal rates the highest cosine stands, and 5 false matches are too few for a point.
    assert [cosine for cosine, _ in read.points] == [0.3, 0.4]
    assert [rate * pairs for _, rate in read.points] == pytest.approx([50, 20], rel=1e-3)
    assert read.rate(0.4) == (read.points[1][1], False)
    assert read.rate(0.42) == (read.lowest_rate, True)
    assert read.cosine(read.points[0][1]) == 0.3
    assert read.face_model_version == FACE_MODEL_VERSION
    assert read.data_set == "made up: 128 photographs of 114 people"
    assert read.source == "measured by facematch evaluate DIR"
    assert read.caveat.startswith("its lowest rate rests on 20 false matches and may lie between")
    assert read.true_matches == (
        "57.1% of 14 pairs of one person at a false match rate of 0.002465"
    )


def test_the_products_own_curve_has_the_same_form() -> None:
    document = measured(*known(), Persons(), ASKED, conditions=CONDITIONS)
    own = json.loads(DATA.read_text())

    made = data_file(document)

    assert own.keys() <= made.keys()
    for name in ("false_matches", "true_matches"):
        one, other = ([part] if isinstance(part := of[name], dict) else part for of in (own, made))
        assert one[0].keys() <= other[0].keys()


def test_the_curve_falls(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    file.write_text(json.dumps(data_file(of_crowd())))
    points = Reference.read(file).points
    assert len(points) > 10
    assert all(low < high and r > s for (low, r), (high, s) in pairwise(points))


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_the_size_of_a_block_does_not_change_the_curve(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = of_crowd()["curve"]
    monkeypatch.setattr(scores, "_ROWS", rows)

    assert of_crowd()["curve"] == usual


def test_names_of_one_person_are_no_strangers() -> None:
    rows = {row["cosine"]: row for row in curve_of(*known(), Persons([("a0x", "b0x")]))}

    assert rows[0.3]["false_match_rate"]["count"] == 49
    assert rows[0.3]["true_match_rate"]["of"] == 15


def test_nothing_is_measured_that_was_not_asked_for() -> None:
    asked = replace(ASKED, curve=False)
    assert measured(*known(), Persons(), asked, conditions=CONDITIONS)["curve"] is None


@pytest.mark.parametrize(
    ("names", "vectors"),
    [
        (["Ann_1.jpg", "Ann_2.jpg"], in_pairs([0.5])),  # nobody else
        (["Ann_1.jpg", "Bea_1.jpg"], in_pairs([0.5])),  # too few false matches
        (keys()[:100], in_pairs(STRANGERS)),  # nobody twice
    ],
)
def test_a_sample_that_makes_no_curve_is_refused(names: list[str], vectors: np.ndarray) -> None:
    photographs, faces = labelled(*names), with_vectors(vectors)
    document = measured(photographs, faces, Persons(), ASKED, conditions=CONDITIONS)

    with pytest.raises(Unusable, match="Name a folder with more photographs") as refused:
        data_file(document)

    assert f"people: {len(photographs.names)}," in str(refused.value)


# --- The command ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs on which an engine that needs no pictures finds the known faces."""
    vectors = dict(zip(keys(), in_pairs([*STRANGERS, *TWINS]), strict=True))

    def found(photographs: Sequence[Any], **_: object) -> Faces:
        return with_vectors(np.array([vectors[photograph.key] for photograph in photographs]))

    monkeypatch.setattr("facematch.evaluation.faces.found_by_engine", found)
    made = tmp_path / "people"
    made.mkdir()
    for key in keys():
        (made / key).write_bytes(b"\xff\xd8\xff" + key.encode())
    return made


def run(folder: Path, *options: str) -> Any:
    where = ("--to", str(folder.parent / "page"))
    return CliRunner().invoke(app, ["evaluate", str(folder), *where, *options])


def test_the_command_writes_the_curve_with_the_aliases_of_the_file(folder: Path) -> None:
    same = folder.parent / "same.csv"
    same.write_text("name_a,name_b\na0x,b0x\na1x,b1x\n")
    file = folder.parent / "new" / "reference.json"

    result = run(folder, "--same", str(same), "--data-set", "ours", "--reference", str(file))

    assert result.exit_code == 0, result.output
    written = json.loads(file.read_text())
    assert written["false_matches"][0]["count"] == 48
    assert (written["photographs"], written["people"]) == (128, 112)
    assert written["pairs_of_different_people"] == 128 * 127 // 2 - 16
    assert written["source"] == (
        "measured by facematch evaluate DIR --same FILE --reference FILE --data-set ours"
    )
    assert Reference.read(file).lowest_rate == written["false_matches"][-1]["rate"]
    assert f"{file}: the reference curve, 2 points" in result.stderr


def test_one_person_alone_makes_no_curve_and_leaves_the_file(folder: Path) -> None:
    for photograph in folder.iterdir():
        if not photograph.name.startswith("c0x"):
            photograph.unlink()
    file = folder.parent / "reference.json"
    file.write_text("the curve from before")

    result = run(folder, "--reference", str(file))

    assert isinstance(result.exception, Unusable)
    assert "people: 1, pairs of different people: 0" in str(result.exception)
    assert file.read_text() == "the curve from before"


def test_rekognition_has_no_cosines(folder: Path) -> None:
    result = run(folder, "--aws", "--reference", str(folder.parent / "reference.json"))

    assert isinstance(result.exception, Unusable)
    assert "--reference measures the local engine" in str(result.exception)
