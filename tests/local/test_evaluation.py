"""The two roads to the faces: the engine here, and Rekognition; on real photographs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image
from typer.testing import CliRunner

from facematch.cli.exit_status import Interrupted
from facematch.cli.main import app
from facematch.errors import Unusable
from facematch.evaluation import aws
from facematch.evaluation.aws import beforehand, found_by_rekognition
from facematch.evaluation.faces import found_by_engine
from facematch.evaluation.folder import DOCUMENT, INDEX
from facematch.evaluation.labels import labelled_photographs
from facematch.local.rekognition.faces import QualityFilter
from facematch.planning.prices import cost_of_calls
from facematch.stack import temporary_collection
from facematch.stack.deployment import clients_on_aws
from facematch.stack.temporary_collection import TemporaryCollection
from functions.matching.identity import FROM_FILE, compiled_names_from
from tests.crafted import with_scans
from tests.local.conftest import KEYS, KEYS_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from facematch.evaluation.faces import Faces
    from facematch.evaluation.labels import Labelled

COMMAND = [
    *(sys.executable, "-m", "facematch.local.rekognition.server", "--port", "0", "--workers", "1"),
    *("--s3-endpoint", "http://127.0.0.1:9", "--watch-stdin"),
    *("--keys", str(KEYS_FILE)),
]
REFUSED = {
    "Broken_1.jpg": "NOT_JPEG_OR_PNG",
    "Empty_1.png": "NO_FACE",
    "Tiny_1.png": "TOO_SMALL",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, bytes]) -> Path:
    """One man under two names, another man, and photographs without a usable face."""
    made = tmp_path_factory.mktemp("labelled")
    for name, source in (
        ("Ann_1.jpg", "obama.jpg"),
        ("Ann_2.jpg", "obama2.jpg"),
        ("Bea_1.jpg", "obama3.jpg"),
        ("Joe_1.jpg", "biden.jpg"),
    ):
        (made / name).write_bytes(photographs[source])
    # The same picture, stored anew: a copy byte for byte would take no part.
    (made / "Joe_2.jpg").write_bytes(photographs["biden.jpg"] + b"\0")
    (made / "Broken_1.jpg").write_bytes(photographs["biden.jpg"][:300])
    Image.new("RGB", (400, 300), "grey").save(made / "Empty_1.png")
    Image.new("RGB", (40, 300), "grey").save(made / "Tiny_1.png")
    return made


@pytest.fixture(scope="module")
def labelled(folder: Path) -> Labelled:
    return labelled_photographs(folder, compiled_names_from(FROM_FILE))


def by_engine(labelled: Labelled, max_faces: int = 1) -> Faces:
    return found_by_engine(
        labelled.photographs,
        max_faces=max_faces,
        quality_filter=QualityFilter.AUTO,
        processes=1,
        done=lambda: None,
    )


@pytest.fixture(scope="module")
def here(labelled: Labelled) -> Faces:
    return by_engine(labelled)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = tmp_path_factory.mktemp("evaluation") / "faces.db"
    process = subprocess.Popen(
        [*COMMAND, "--database", database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    yield process.stdout.readline().split()[-1].rstrip(".")
    process.stdin.close()
    process.wait(timeout=15)


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of the endpoint, as the command makes it: AWS is where the environment says."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.user.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.user.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(aws, "_SETTLE", 0.0)
    return clients_on_aws(profile=None, region=None)("rekognition")


def by_aws(
    client: Any, labelled: Labelled, progress: Callable[[str, int, int], object] | None = None
) -> Faces:
    return found_by_rekognition(
        TemporaryCollection(client),
        labelled.photographs,
        max_faces=1,
        quality_filter="AUTO",
        progress=progress or (lambda *_: None),
    )


def similarities(faces: Faces) -> np.ndarray:
    everything = np.arange(len(faces.faces))
    scores = faces.comparison.between(everything, everything)
    upper = np.triu_indices(len(everything), 1)
    return np.array([faces.comparison.similarity(float(score)) for score in scores[upper]])


def test_the_engine_finds_one_face_of_each_photograph_or_says_why_not(
    labelled: Labelled, here: Faces
) -> None:
    keys = [photograph.key for photograph in labelled.photographs]
    assert {keys[number]: why for number, why in here.refused.items()} == REFUSED
    assert [keys[face.photograph] for face in here.faces] == [k for k in keys if k not in REFUSED]
    for face in here.faces:
        assert 0 <= face.box.left < face.box.left + face.box.width <= 1


def test_a_photograph_that_takes_too_long_is_refused_and_the_next_one_is_not(
    tmp_path: Path, photographs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facematch.evaluation.faces.DEADLINE_SECONDS", 1)
    (tmp_path / "Ann_1.jpg").write_bytes(with_scans(90, side=6000))
    (tmp_path / "Bea_1.jpg").write_bytes(photographs["obama.jpg"])
    labelled = labelled_photographs(tmp_path, compiled_names_from(FROM_FILE))

    found = by_engine(labelled)

    assert found.refused == {0: "NOT_JPEG_OR_PNG"}
    assert [face.photograph for face in found.faces] == [1]


def test_rekognition_gives_the_same_similarities_and_reasons_as_the_engine(
    labelled: Labelled, here: Faces, client: Any
) -> None:
    there = by_aws(client, labelled)

    assert there.refused == here.refused
    assert [face.photograph for face in there.faces] == [face.photograph for face in here.faces]
    for one, other in zip(there.faces, here.faces, strict=True):
        assert one.box.left == pytest.approx(other.box.left, abs=1e-4)
    assert similarities(there) == pytest.approx(similarities(here), abs=1e-3)
    assert (similarities(there) > 99).sum() == 4  # three of one man, two of the other
    assert there.face_model_version == here.face_model_version
    assert client.list_collections()["CollectionIds"] == []


def test_the_collection_is_deleted_after_an_error_and_when_interrupted(
    labelled: Labelled, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def interrupt(what: str, done: int, _of: int) -> None:
        seen.append(client.list_collections()["CollectionIds"])
        if what == "faces searched for" and done == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        by_aws(client, labelled, interrupt)
    assert all(len(found) == 1 for found in seen)
    assert seen[0][0].startswith("facematch-evaluation-")
    assert client.list_collections()["CollectionIds"] == []

    # No face was ever added: the service refuses the search.
    monkeypatch.setattr(
        TemporaryCollection,
        "look_alikes",
        lambda collection, _: client.search_faces(
            CollectionId=collection._id, FaceId="00000000-0000-0000-0000-000000000000"
        ),
    )
    with pytest.raises(ClientError, match="SearchFaces"):
        by_aws(client, labelled)
    assert client.list_collections()["CollectionIds"] == []


def test_a_pair_that_one_search_did_not_return_counts_by_the_other_and_else_as_below(
    labelled: Labelled, here: Faces, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary_collection, "MOST_LOOK_ALIKES", 1)

    there = by_aws(client, labelled)

    everything = np.arange(len(there.faces))
    matrix = there.comparison.between(everything, everything)
    assert (matrix == matrix.T).all()
    seen = similarities(there) > 0
    assert 2 <= seen.sum() <= 4  # the best one of each face
    assert similarities(there)[seen] == pytest.approx(similarities(here)[seen], abs=1e-3)


def test_what_is_too_large_to_send_is_not_sent_and_counted(
    labelled: Labelled, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = max(labelled.photographs, key=lambda p: p.file.path.stat().st_size)
    monkeypatch.setattr(aws, "IMAGE_LIMIT", largest.file.path.stat().st_size - 1)

    found = by_aws(client, replace(labelled, photographs=(largest, labelled.photographs[0])))

    assert found.refused == {0: "MORE_THAN_5_MB"}
    assert len(found.faces) == 1


def test_before_it_begins_calls_money_and_what_is_not_seen_are_said() -> None:
    (said,) = beforehand(
        1000, max_faces=1, region="us-east-1", cost_of_calls=partial(cost_of_calls, "us-east-1")
    )
    assert "2,000 calls" in said
    assert "2.00 USD" in said
    said, unseen = beforehand(
        5000,
        max_faces=1,
        region="eu-nowhere-1",
        cost_of_calls=partial(cost_of_calls, "eu-nowhere-1"),
    )
    assert "35 minutes" in said  # 10,000 calls at 4.8 a second
    assert "4,096 most similar" in unseen


def invoke(folder: Path, *options: str, answer: str = "") -> Any:
    return CliRunner().invoke(app, ["evaluate", str(folder), *options], input=answer)


def test_the_command_measures_shows_and_writes(folder: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.csv"
    same.write_text("name_a,name_b\nAnn,Bea\n")
    published = tmp_path / "docs" / "accuracy.json"

    result = invoke(
        folder,
        *("--same", str(same), "--to", str(tmp_path / "page"), "--output", str(published)),
        *("--data-set", "presidents", "--processes", "1"),
    )

    assert result.exit_code == 0, result.output
    assert "presidents: 5 faces of 2 people, 4 pairs of one person" in result.stdout
    assert "Ann_1.jpg" in result.stdout
    document = json.loads((tmp_path / "page" / DOCUMENT).read_text())
    assert (tmp_path / "page" / INDEX).is_file()
    (at_99,) = [row for row in document["thresholds"] if row["threshold"] == 99]
    assert at_99["true_match_rate"]["count"] == 4
    assert at_99["false_match_rate"]["count"] == 0
    assert at_99["false_as_named"]["count"] == 2
    figures = json.loads(published.read_text())
    assert figures["thresholds"] == document["thresholds"]
    assert figures["conditions"]["command"] == (
        "facematch evaluate DIR --same FILE --data-set presidents"
    )
    assert str(tmp_path) not in published.read_text()


def test_a_folder_without_a_usable_face_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "grey").save(tmp_path / "Ann_1.png")
    result = invoke(tmp_path, "--to", str(tmp_path / "page"), "--processes", "1")
    assert isinstance(result.exception, Unusable)
    assert "(NO_FACE)" in str(result.exception)


def test_with_aws_the_command_asks_first_and_then_measures_the_same(
    folder: Path, tmp_path: Path, client: Any
) -> None:
    refused = invoke(folder, "--aws", "--to", str(tmp_path / "page"), answer="n\n")
    assert refused.exit_code == 1
    assert "At most 16 calls" in refused.stderr
    assert not (tmp_path / "page").exists()

    result = invoke(folder, "--aws", "--to", str(tmp_path / "page"), "--json", "--yes")

    document = json.loads(result.stdout)
    assert document["conditions"]["engine"] == "Amazon Rekognition, us-east-1"
    assert document["conditions"]["command"] == "facematch evaluate DIR --aws"
    assert all(entry["reference"] is None for entry in document["expected"])
    (at_99,) = [row for row in document["thresholds"] if row["threshold"] == 99]
    assert at_99["true_match_rate"]["count"] == 2
    assert client.list_collections()["CollectionIds"] == []
