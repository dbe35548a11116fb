"""Forgetting a person who is known in every way that the product knows people."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from facematch.evidence.folders import EvidenceFolders
from facematch.operations.forget import Forgetting, Person
from facematch.stack.athena import run
from functions.matching.keys import external_image_id
from functions.matching.places import Place
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

NAME = "Una Füred"


@pytest.fixture
def forgotten(workflow: Workflow, tmp_path: Path) -> Forgetting:
    # As a Mac writes the name: decomposed.
    return Forgetting(
        workflow.deployment, Person.named("Una Fu\u0308red"), EvidenceFolders(tmp_path)
    )


def everything(workflow: Workflow) -> str:
    """All keys and contents of both buckets and of the collection, as one text."""
    parts: list[str] = []
    for bucket in (workflow.deployment.images_bucket, workflow.deployment.output_bucket):
        listed = workflow.s3.list_object_versions(Bucket=bucket)
        items = listed.get("Versions", []) + listed.get("DeleteMarkers", [])
        parts += [item["Key"] for item in items]
        if bucket == workflow.deployment.output_bucket:
            for item in listed.get("Versions", []):
                body = workflow.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                parts.append(body.decode(errors="replace"))
    faces = workflow.cloud.client("rekognition").list_faces(
        CollectionId=workflow.deployment.outputs["CollectionId"]
    )
    parts += [face["ExternalImageId"] for face in faces["Faces"]]
    return "\n".join(parts)


def upload(workflow: Workflow, key: str, photograph: str) -> UploadedImage:
    image = workflow.upload(key, workflow.photograph(photograph))
    workflow.finished(image)
    return image


def decide(workflow: Workflow, one: str, other: str) -> None:
    decision = {"name_a": one, "name_b": other, "face_ids": ["f"], "decision": "UNSURE"}
    workflow.s3.put_object(
        Bucket=workflow.deployment.output_bucket,
        Key=f"decisions/{one[:1]}{other[:1]}.json",
        Body=json.dumps(decision).encode(),
    )


def test_everything_about_a_person_goes_and_nothing_about_others(
    workflow: Workflow, forgotten: Forgetting
) -> None:
    other = upload(workflow, "Vic_Stays_0001.jpg", "obama.jpg")
    upload(workflow, f"{NAME}_0001.jpg", "obama2.jpg")
    upload(workflow, f"{NAME}_0001.jpg", "obama3.jpg")  # another version
    third = upload(workflow, "Wes_Stays_0001.jpg", "obama_partial_face.jpg")
    broken = workflow.upload(f"{NAME}_0002.jpg", b"not a photograph")
    workflow.failure(broken)
    namesake = upload(workflow, f"{NAME} Junior_0001.jpg", "biden.jpg")
    decide(workflow, NAME, "Vic_Stays")
    decide(workflow, "Vic_Stays", "Wes_Stays")
    mentioned = [row["matched_name"] for row in workflow.records("matches", third)]
    assert sorted(mentioned) == sorted([NAME, "Vic_Stays"])
    others_own = workflow.report(other)

    found = forgotten.find()
    assert len(found.versions) == 3
    assert found.mentions
    deleted = forgotten.delete(found)
    forgotten.wait_until_quiet(found.images)

    left = eventually(lambda: _without(NAME, everything(workflow)))
    assert f"{NAME} Junior_0001.jpg" in left
    assert workflow.report(namesake)["name"] == f"{NAME} Junior"
    assert workflow.report(other) == others_own
    corrected = workflow.report(third)
    (row,) = workflow.records("matches", third)
    assert row["matched_name"] == "Vic_Stays"
    assert corrected["status"] == "MATCHED"
    assert corrected["other_name_matches"] == 1
    assert corrected["best_similarity"] == row["similarity"]
    assert "decisions/VW.json" in left
    assert deleted["versions"] == 3
    assert not forgotten.find().is_about_them()

    line = forgotten.write_audit_line(deleted)
    assert line.startswith(Place.FORGOTTEN)
    assert _without(NAME, everything(workflow))
    workflow.s3.delete_object(Bucket=workflow.deployment.output_bucket, Key="decisions/VW.json")


def _without(name: str, text: str) -> str | None:
    """The text, once the person, apart from the namesake, is not in it."""
    rest = text.replace(f"{name} Junior", "")
    return None if name in rest or "Una_F" in rest or "Una F" in rest else text


def test_no_query_leaves_a_copy_of_what_is_forgotten(workflow: Workflow, tmp_path: Path) -> None:
    upload(workflow, "Tia_Gone_0001.jpg", "obama.jpg")
    forgetting = Forgetting(
        workflow.deployment, Person.named("Tia_Gone"), EvidenceFolders(tmp_path)
    )

    def copied() -> bool:
        copies = workflow.cloud.home.state.glob("tmp/athena-*/**/rows.json")
        return any(b"Tia_Gone" in copy.read_bytes() for copy in copies)

    run(workflow.deployment, "SELECT * FROM reports")
    assert copied()  # for the next query
    forgetting.delete(forgetting.find())

    assert not copied()


#: Executions, which keep their input and output as those on AWS do for 90 days.
HISTORIES = "services/stepfunctions.json"


def test_no_file_of_the_local_cloud_names_who_is_forgotten_apart_from_executions(
    workflow: Workflow, tmp_path: Path
) -> None:
    name = "Nuña Vanished"
    long = "ñ" * 60 + f"/{name}_0001.jpg"
    images = [
        upload(workflow, key, photograph)
        for key, photograph in ((f"{name}_0001.jpg", "obama.jpg"), (long, "obama2.jpg"))
    ]
    forms = {form.encode() for image in images for form in _written(image.key)}
    forms |= {form.encode() for form in _written(name)}

    def files() -> set[str]:
        state = workflow.cloud.home.state
        paths = [path for path in state.rglob("*") if "ministack-lambda" not in str(path)]
        return {
            str(path.relative_to(state))
            for path in paths
            for text in [str(path).encode() + (path.read_bytes() if path.is_file() else b"")]
            if any(form in text for form in forms)
        }

    assert {"faces.sqlite", "faces.sqlite-wal"} & files()
    forgetting = Forgetting(workflow.deployment, Person.named(name), EvidenceFolders(tmp_path))
    forgetting.delete(forgetting.find())
    forgetting.wait_until_quiet(images)

    eventually(lambda: files() <= {HISTORIES} or None)


def _written(text: str) -> list[str]:
    """A text in every form in which a file may have it."""
    return [
        *(text, unicodedata.normalize("NFD", text), json.dumps(text)[1:-1]),
        *(quote(text), quote_plus(text), external_image_id(text) or text),
    ]


def test_one_photograph_is_forgotten_and_the_others_of_the_person_stay(
    workflow: Workflow, tmp_path: Path
) -> None:
    first = upload(workflow, "Xia_One_0001.jpg", "obama.jpg")
    second = upload(workflow, "Xia_One_0002.jpg", "obama2.jpg")
    forgetting = Forgetting(workflow.deployment, Person(None, first.key), EvidenceFolders(tmp_path))

    forgetting.delete(forgetting.find())
    forgetting.wait_until_quiet([first])

    assert workflow.records("reports", first) == []
    assert workflow.report(second)
    assert not forgetting.find().is_about_them()


def test_dead_letters_about_the_person_go_and_those_about_a_namesake_stay(
    workflow: Workflow, tmp_path: Path
) -> None:
    sqs = workflow.cloud.client("sqs")
    queue = workflow.deployment.outputs["DeadLetterQueueUrl"]

    def letter(key: str) -> str:
        return json.dumps({"Records": [{"s3": {"object": {"key": key}}}]})

    sqs.purge_queue(QueueUrl=queue)  # of what other tests have left
    bodies = [letter("images/Yan%2BOne_1.jpg"), letter("images/Yan%2BOneida_1.jpg"), "Yan+One"]
    for body in bodies:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    forgetting = Forgetting(workflow.deployment, Person.named("Yan+One"), EvidenceFolders(tmp_path))

    found = forgetting.find()
    assert (len(found.dead_letters), found.unread_letters) == (1, 1)
    forgetting.delete(found)

    left: list[Any] = []
    while received := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        left += [message["Body"] for message in received]
        for message in received:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert sorted(left) == sorted(bodies[1:])


def test_a_key_that_xml_cannot_hold_is_listed_and_forgotten(
    workflow: Workflow, tmp_path: Path
) -> None:
    key = f"{workflow.deployment.image_prefix}Zoe/\x1b[31mred_0001.jpg"
    bucket = workflow.deployment.images_bucket
    versions = []
    for body in (b"first", b"second"):
        image = workflow.upload(key.removeprefix(workflow.deployment.image_prefix), body)
        workflow.failure(image)
        versions.append(image.version_id)
    pages = workflow.s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=key, PaginationConfig={"PageSize": 1}
    )
    listed = [(item["Key"], item["VersionId"]) for page in pages for item in page["Versions"]]
    assert sorted(listed) == sorted((key, version) for version in versions)

    forgetting = Forgetting(workflow.deployment, Person(None, key), EvidenceFolders(tmp_path))
    found = forgetting.find()
    assert forgetting.delete(found)["versions"] == 2
    forgetting.wait_until_quiet(found.images)

    assert workflow.s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []) == []
    assert not forgetting.find().is_about_them()
