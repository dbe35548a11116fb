"""A photograph is searched for among all others, and nothing of it is stored."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facematch.cli import main as command_line
from facematch.cli import options
from facematch.images.cropping import scaled_down
from facematch.images.limits import admitted
from functions.matching.keys import external_image_id
from tests.unit.cloud import COLLECTION, deployment_of
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cloud import Cloud


@pytest.fixture
def people(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Three photographs of people, of which the second man is somewhat like the first."""
    for key, angle in (
        ("images/Ann_Lee_0001.jpg", 0),
        ("images/Ann_Lee_0002.jpg", 10),
        ("images/Bea_0001.jpg", 30),
    ):
        external_id = external_image_id(key) or ""
        cloud.rekognition.copy_faces(COLLECTION, external_id, angle=angle, count=2)
    # A second face of the first photograph, less alike.
    first = external_image_id("images/Ann_Lee_0001.jpg") or ""
    cloud.rekognition.copy_faces(COLLECTION, first, angle=25, count=1)
    deployment = deployment_of(
        cloud,
        make_client=lambda service: cloud.rekognition if service == "rekognition" else cloud.s3,
        CollectionId=COLLECTION,
    )
    monkeypatch.setattr(options.Where, "deployment", lambda _where: deployment)
    return cloud


def search(file: Path, *words: str) -> Any:
    return CliRunner().invoke(command_line.app, ["search", str(file), *words])


def found(file: Path, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(search(file, *words, "--json").stdout)
    return document


def test_each_photograph_is_listed_once_with_its_best_face(people: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "who.jpg"
    file.write_bytes(photograph(0))
    held = len(people.rekognition.collections[COLLECTION])

    document = found(file)

    assert [(each["key"], each["name"]) for each in document["lookalikes"]] == [
        ("images/Ann_Lee_0001.jpg", "Ann_Lee"),
        ("images/Ann_Lee_0002.jpg", "Ann_Lee"),
        ("images/Bea_0001.jpg", "Bea"),
    ]
    assert document["lookalikes"][0]["similarity"] == 100
    assert len(people.rekognition.collections[COLLECTION]) == held


def test_who_is_alike_is_told_with_the_record_id(people: Cloud, tmp_path: Path) -> None:  # noqa: ARG001
    outputs = options.Where.deployment(cast("options.Where", None)).outputs
    outputs["NamePattern"] = r"/(?P<name>[^/]+)_(?P<id>\d+)[.]jpg"
    file = tmp_path / "who.jpg"
    file.write_bytes(photograph(0))

    first = found(file)["lookalikes"][0]

    assert (first["name"], first["id"]) == ("Ann_Lee", "0001")
    assert "Ann_Lee (id 0001)" in search(file).stdout


def test_the_options_bound_the_list(people: Cloud, tmp_path: Path) -> None:  # noqa: ARG001
    file = tmp_path / "who.jpg"
    file.write_bytes(photograph(0))
    assert [each["name"] for each in found(file, "--min", "95")["lookalikes"]] == ["Ann_Lee"] * 2
    limited = found(file, "--max", "1")
    assert (len(limited["lookalikes"]), limited["left_out"]) == (1, 2)
    assert search(file, "--min", "0.8").exit_code == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (photograph(0, 90), "shows 2 faces. The largest was searched for"),
        (photograph(), "shows no face"),
        (photograph(blurred=2), "shows 2 faces, and none can be searched for"),
        (photograph(100), "Nobody is alike from 80 % up"),
        (b"GIF89a", "Rekognition refused the photograph (InvalidImageFormatException)"),
        (photograph(0, width=40), "at least 80 by 80 pixels"),
    ],
)
def test_what_was_searched_for_is_said(
    people: Cloud,  # noqa: ARG001
    tmp_path: Path,
    content: bytes,
    sentence: str,
) -> None:
    file = tmp_path / "who.jpg"
    file.write_bytes(content)
    done = search(file)
    assert sentence in done.output + str(done.exception or "")


def test_a_large_file_is_made_smaller_and_stays_upright() -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    written = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (2000, 3000, 3), dtype=np.uint8)
    noise[:, :1000] = 0
    Image.fromarray(noise).save(written, "JPEG", quality=98, exif=exif)
    assert len(written.getvalue()) > 5 * 2**20

    smaller = scaled_down(written.getvalue(), 1500)

    assert (admitted(smaller).width, admitted(smaller).height) == (1000, 1500)
    with Image.open(io.BytesIO(smaller)) as image:
        assert image.getpixel((500, 100)) == pytest.approx((0, 0, 0), abs=8)


def test_a_large_file_that_is_no_photograph_is_told_of(people: Cloud, tmp_path: Path) -> None:  # noqa: ARG001
    file = tmp_path / "film.mov"
    file.write_bytes(b"x" * (5 * 2**20 + 1))
    done = search(file)
    assert "has more than 5 MB and cannot be made smaller" in str(done.exception)
