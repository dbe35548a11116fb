"""Photographs that are deleted and overwritten, on their way through the deployed workflow."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from facematch.operations.consistency import CollectionCheck
from facematch.operations.replay import Replayer, Selection
from facematch.stack.executions import Execution
from functions.matching.keys import key_of
from tests.workflow.conftest import eventually

if TYPE_CHECKING:
    from tests.workflow.conftest import Workflow


def face_ids(workflow: Workflow) -> set[str]:
    listed = workflow.cloud.client("rekognition").list_faces(
        CollectionId=workflow.deployment.outputs["CollectionId"]
    )
    return {face["FaceId"] for face in listed["Faces"]}


def removals(workflow: Workflow, key: str, status: str) -> list[dict[str, Any]]:
    """Executions for what was removed of the key, or of all keys whose file names begin so."""
    name = key.rpartition("/")[2].partition(".")[0]
    pages = workflow.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=workflow.deployment.removal_state_machine_arn, statusFilter=status
    )
    return [e for page in pages for e in page["executions"] if e["name"].startswith(name)]


def test_a_deleted_photograph_takes_its_face_and_report_with_it(workflow: Workflow) -> None:
    kept = workflow.upload("Kim_Stay_0001.jpg", workflow.photograph("obama2.jpg"))
    workflow.finished(kept)
    image = workflow.upload("Lea_Gone_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)
    assert len(face_ids(workflow)) == 2
    assert workflow.records("matches", image)

    workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)

    (execution,) = eventually(lambda: removals(workflow, image.key, "SUCCEEDED") or None)
    assert Execution.listed(execution).of_removal
    assert len(face_ids(workflow)) == 1
    assert workflow.records("reports", image) == workflow.records("matches", image) == []
    assert workflow.records("reports", kept)


def test_an_overwritten_photograph_leaves_only_the_face_of_the_new_one(workflow: Workflow) -> None:
    first = workflow.upload("Max_Over_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(first)
    before = face_ids(workflow)
    second = workflow.upload("Max_Over_0001.jpg", workflow.photograph("biden.jpg"))
    assert workflow.finished(second)["status"] == "SUCCEEDED"

    assert len(face_ids(workflow)) == 1
    assert face_ids(workflow).isdisjoint(before)
    assert workflow.records("reports", first)


def test_photographs_that_come_and_go_all_the_time_leave_no_face_behind(
    workflow: Workflow,
) -> None:
    """Each is deleted at any moment of its way, and some are uploaded again.

    Answers of IndexFaces come late, so that whole removals fit into an index step; not more
    photographs are on their way than there are index steps at the same time.
    """
    workflow.rekognition.indexed_late = 1.0

    def come_and_go(number: int) -> int:
        """How often it was deleted."""
        deleted = 0
        chance = random.Random(number)
        for _ in range(chance.choice((1, 1, 2))):
            photograph = workflow.photograph(chance.choice(("obama.jpg", "biden.jpg")))
            image = workflow.upload(f"Ned_Turn_{number:04}.jpg", photograph)
            time.sleep(chance.uniform(0.2, 1.2))
            if chance.random() < 0.7:
                workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)
                deleted += 1
            workflow.finished(image)
        return deleted

    with ThreadPoolExecutor(4) as pool:
        deleted = sum(pool.map(come_and_go, range(16)))
    eventually(lambda: len(removals(workflow, "Ned_Turn", "SUCCEEDED")) == deleted or None)

    listed = workflow.s3.list_objects_v2(
        Bucket=workflow.deployment.images_bucket, Prefix="images/Ned_Turn_"
    )
    faces = workflow.cloud.client("rekognition").list_faces(
        CollectionId=workflow.deployment.outputs["CollectionId"]
    )["Faces"]
    keys = sorted(key_of(face["ExternalImageId"]) for face in faces)
    there = [item["Key"] for item in listed["Contents"]]
    assert [key for key in keys if "Ned_Turn_" in key] == sorted(there)
    assert 0 < len(there) < 16


def test_a_removal_that_failed_is_replayed(workflow: Workflow) -> None:
    image = workflow.upload("Nia_Late_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)
    workflow.configure("Removal", COLLECTION_ID="no-such-collection")
    try:
        workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)
        (failed,) = eventually(lambda: removals(workflow, image.key, "FAILED") or None)
    finally:
        collection = workflow.deployment.outputs["CollectionId"]
        workflow.configure("Removal", COLLECTION_ID=collection)
    assert face_ids(workflow)

    replayer = Replayer(workflow.deployment)
    plan = replayer.plan(Selection(names=(failed["name"],)))
    (result,) = replayer.run(plan, done=lambda _: None)

    assert result.succeeded
    assert face_ids(workflow) == set()
    assert workflow.records("reports", image) == []


def test_a_replay_does_not_bring_a_deleted_photograph_back(workflow: Workflow) -> None:
    image = workflow.upload("Qi_Back_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)
    workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)
    eventually(lambda: removals(workflow, image.key, "SUCCEEDED") or None)

    # The version is still there behind its delete marker, and can be read by its id.
    again = workflow.stepfunctions.start_execution(
        stateMachineArn=workflow.deployment.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )["executionArn"]

    assert workflow.ended(again)["cause"].startswith("GONE: ")
    assert face_ids(workflow) == set()
    assert workflow.records("reports", image) == []


def test_the_collection_is_checked_against_the_bucket_and_mended(workflow: Workflow) -> None:
    check = CollectionCheck(workflow.deployment)
    image = workflow.upload("Ora_Lost_0001.jpg", workflow.photograph("obama.jpg"))
    workflow.finished(image)
    assert not check.compare().any
    (face_id,) = face_ids(workflow)
    rekognition = workflow.cloud.client("rekognition")
    collection = workflow.deployment.outputs["CollectionId"]
    rekognition.delete_faces(CollectionId=collection, FaceIds=[face_id])
    stray = workflow.photograph("biden.jpg")
    for external_id in ("images::Pia_Stray_0001.jpg", "somebody elses".replace(" ", ":x")):
        rekognition.index_faces(
            CollectionId=collection, Image={"Bytes": stray}, ExternalImageId=external_id
        )

    found = check.compare()
    assert list(found.faceless) == [image.key]
    assert list(found.orphans.values()) == ["images/Pia_Stray_0001.jpg"]
    assert found.foreign == 1
    check.mend(found)

    # What is on its way is left alone, so that nothing to mend does not mean that it has arrived.
    eventually(lambda: face_id in face_ids(workflow) or None)
    eventually(lambda: None if check.compare().any else True)
    assert len(face_ids(workflow)) == 2
