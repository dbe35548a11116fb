"""More look-alikes than a report lists: no name is hidden behind another, and none silently."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from PIL import Image

from facematch.evidence.folders import EvidenceFolders
from facematch.operations.forget import Forgetting, Person
from functions.matching.keys import external_image_id
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

#: More than the 100 matches that a report lists of a face.
COPIES = 105


def small(workflow: Workflow) -> bytes:
    """A photograph in a size in which its face is found fast, since there are many copies."""
    buffer = io.BytesIO()
    with Image.open(workflow.photographs["obama.jpg"]) as photograph:
        photograph.thumbnail((400, 400))
        photograph.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def upload_copies(workflow: Workflow, keys: Iterable[str]) -> None:
    """Upload copies of one photograph that differ in their bytes, and wait for their outcomes."""
    body = small(workflow)

    def upload(numbered: tuple[int, str]) -> UploadedImage:
        number, key = numbered
        return workflow.upload(key, body + number.to_bytes(4, "big"))  # behind the picture's end

    with ThreadPoolExecutor(4) as pool:
        for image in pool.map(upload, enumerate(keys)):
            assert workflow.finished(image)["status"] == "SUCCEEDED"


def index_copies(workflow: Workflow, keys: Iterable[str]) -> None:
    """Put the faces of copies into the collection, without an execution for each of them."""
    rekognition, body = workflow.cloud.client("rekognition"), small(workflow)
    for key in keys:
        rekognition.index_faces(
            CollectionId=workflow.deployment.outputs["CollectionId"],
            Image={"Bytes": body},
            ExternalImageId=external_image_id(workflow.deployment.image_prefix + key),
        )


def message_about(image: UploadedImage, notifications: Any) -> dict[str, Any]:
    """The notification of one image, once it has arrived."""

    def look() -> dict[str, Any] | None:
        documents = (json.loads(message["Message"]) for message in notifications())
        return next((made for made in documents if made["digest"] == image.digest), None)

    return eventually(look)


def searched_again(workflow: Workflow, before: dict[str, Any], image: UploadedImage) -> Any:
    """The report, once another search has written it; until then it is not UNIQUE."""

    def look() -> dict[str, Any] | None:
        report = workflow.report(image)
        if report["searched_at"] != before["searched_at"]:
            return report
        assert report["status"] == "MATCHED"
        return None

    return eventually(look)


def test_many_copies_under_one_name_hide_no_other_name(workflow: Workflow, tmp_path: Path) -> None:
    notifications = workflow.subscribed("MatchesTopicArn")
    workflow.finished(workflow.upload("Rea_Real_0001.jpg", workflow.photograph("obama2.jpg")))
    upload_copies(workflow, (f"Dee_Decoy_{number:04}.jpg" for number in range(COPIES)))

    image = workflow.upload("Xia_Dee_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)

    report = workflow.report(image)
    names = [row["matched_name"] for row in workflow.records("matches", image)]
    assert sorted(names) == ["Dee_Decoy"] * 99 + ["Rea_Real"]
    assert (report["matches_left_out"], report["names_left_out"]) == (COPIES - 99, 0)
    told = message_about(image, notifications)
    assert told["other_names"] == ["Dee_Decoy", "Rea_Real"]
    assert {pair["other_name"] for pair in told["pairs"]} == {"Dee_Decoy", "Rea_Real"}

    forgetting = Forgetting(
        workflow.deployment, Person.named("Dee_Decoy"), EvidenceFolders(tmp_path)
    )
    forgetting.delete(forgetting.find())

    after = searched_again(workflow, report, image)
    assert after["execution_arn"].endswith(f"{image.execution_name}-r1")
    (row,) = workflow.records("matches", image)
    assert row["matched_name"] == "Rea_Real"
    assert (after["status"], after["matches_left_out"]) == ("MATCHED", 0)


def test_more_names_than_a_report_lists_are_counted_and_told(
    workflow: Workflow, tmp_path: Path
) -> None:
    notifications = workflow.subscribed("MatchesTopicArn")
    index_copies(workflow, (f"Decoy{number:03}_0001.jpg" for number in range(COPIES)))

    image = workflow.upload("Xia_Dee_0001.jpg", workflow.photograph("obama2.jpg"))
    execution = workflow.finished(image)

    assert "NotifyMatch" in workflow.states(execution["executionArn"])
    report = workflow.report(image)
    assert (report["status"], report["above_threshold"]) == ("MATCHED", True)
    assert (report["names_left_out"], report["more_names_possible"]) == (COPIES - 100, False)
    assert report["best_left_out_similarity"] >= 99
    rows = workflow.records("matches", image)
    assert len({row["matched_name"] for row in rows}) == len(rows) == 100
    assert {row["names_left_out"] for row in rows} == {COPIES - 100}
    assert message_about(image, notifications)["names_left_out"] == COPIES - 100

    name = rows[0]["matched_name"]
    forgetting = Forgetting(workflow.deployment, Person.named(name), EvidenceFolders(tmp_path))
    forgetting.delete(forgetting.find())

    after = searched_again(workflow, report, image)
    listed = {row["matched_name"] for row in workflow.records("matches", image)}
    assert (len(listed), after["names_left_out"]) == (100, COPIES - 101)
    assert name not in listed
