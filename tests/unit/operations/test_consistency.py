"""Collection check: what it says of the faces while others index, overwrite and delete."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from facematch.operations.consistency import CollectionCheck, Disagreements
from facematch.stack.executions import Executions
from facematch.stack.records import Records
from functions.aws.events import ObjectCreated, Origin, changed_objects
from functions.matching.images import Removal
from functions.matching.keys import external_image_id
from functions.matching.register import register_key
from functions.matching.reports import failure_key, report_key
from tests.unit.cloud import COLLECTION, IMAGES, OUTPUT, deployment_of, own_client
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

KEY = "images/Ann_1.jpg"
OTHER = "images/Bea_1.jpg"


@pytest.fixture
def check(cloud: Cloud) -> CollectionCheck:
    deployment = deployment_of(
        cloud,
        make_client=lambda service: (
            {"rekognition": cloud.rekognition}.get(service) or own_client(service)
        ),
        CollectionId=COLLECTION,
        MaxFaces="1",
        RemovalStateMachineArn=cloud.removal_state_machine_arn,
        QueueUrl=cloud.sqs.create_queue(QueueName="QueueUrl")["QueueUrl"],
    )
    return CollectionCheck(deployment)


def process(cloud: Cloud, image: UploadedImage) -> set[str]:
    """Index, search and report the image, as its execution does; the ids of its faces."""
    event = cloud.report_event(image)
    cloud.run("report", event)
    return {face["face_id"] for face in event["index"]["faces"]}


def processed(cloud: Cloud, angle: float, key: str = KEY) -> UploadedImage:
    """A photograph whose execution has succeeded."""
    image = cloud.upload(key, photograph(angle))
    process(cloud, image)
    cloud.end(cloud.start(image), "SUCCEEDED")
    return image


def lose_faces(cloud: Cloud) -> None:
    cloud.rekognition.collections[COLLECTION].clear()


def when_faces_are_listed(
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> None:
    """Do something right before or after the collection is listed, each time."""
    list_faces = cloud.rekognition.list_faces

    def listed(**request: Any) -> Any:
        before()
        answer = list_faces(**request)
        after()
        return answer

    monkeypatch.setattr(cloud.rekognition, "list_faces", listed)


def sent(cloud: Cloud) -> list[tuple[str, str | None, Origin]]:
    url = cloud.sqs.get_queue_url(QueueName="QueueUrl")["QueueUrl"]
    read = []
    for message in cloud.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
        "Messages", []
    ):
        (created,) = changed_objects(message["Body"], bucket=IMAGES, prefix="images/")
        assert isinstance(created, ObjectCreated)
        read.append((created.key, created.version_id, created.origin))
    return read


def test_what_agrees_is_in_order(cloud: Cloud, check: CollectionCheck) -> None:
    processed(cloud, 0)
    processed(cloud, 90, OTHER)

    assert check.compare() == Disagreements(faces=2)


def test_a_lost_face_and_an_orphan_are_named_and_mended(
    cloud: Cloud, check: CollectionCheck
) -> None:
    lost = processed(cloud, 0)
    lose_faces(cloud)
    gone = processed(cloud, 90, OTHER)
    cloud.s3.delete_object(Bucket=IMAGES, Key=gone.key)

    found = check.compare()
    check.mend(found)

    assert list(found.faceless) == [lost.key]
    assert list(found.orphans.values()) == [gone.key]
    assert not cloud.rekognition.collections[COLLECTION]
    assert sent(cloud) == [(lost.key, lost.version_id, Origin.AGAIN)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_image_that_is_indexed_while_the_faces_are_listed_has_its_face(
    cloud: Cloud, check: CollectionCheck, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    when_faces_are_listed(cloud, monkeypatch, **{when: lambda: processed(cloud, 0)})

    assert not check.compare().any


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("angle", [0, 90])
def test_an_image_that_is_overwritten_while_the_faces_are_listed_is_left_alone(
    cloud: Cloud, check: CollectionCheck, monkeypatch: pytest.MonkeyPatch, angle: float, when: str
) -> None:
    """Each time they are listed, so that it is left for a later check."""
    monkeypatch.setattr("functions.matching.register._CLOCKS_APART", 0)
    processed(cloud, 0)
    when_faces_are_listed(cloud, monkeypatch, **{when: lambda: processed(cloud, angle)})

    found = check.compare()

    assert not found.any
    assert found.on_their_way == 1


def test_an_image_that_is_overwritten_once_while_the_faces_are_listed_is_looked_at_again(
    cloud: Cloud, check: CollectionCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed(cloud, 0)
    angles = iter([90])
    when_faces_are_listed(
        cloud, monkeypatch, after=lambda: [processed(cloud, angle) for angle in angles]
    )

    assert check.compare() == Disagreements(faces=1)


def test_of_what_agrees_no_register_and_no_report_is_read(
    cloud: Cloud, check: CollectionCheck
) -> None:
    for number in range(5):
        processed(cloud, 10 * number, f"images/P{number}_1.jpg")
    process(cloud, cloud.upload("images/Landscape_1.jpg", photograph()))
    cloud.upload("images/Waiting_1.jpg", photograph(85))
    lost = processed(cloud, 90)
    cloud.rekognition.collections[COLLECTION].popitem()
    read: list[str] = []
    body = Records.body

    def heard(records: Records, key: str) -> Any:
        read.append(key)
        return body(records, key)

    with patch.object(Records, "body", heard):
        found = check.compare()

    assert found == Disagreements(faces=5, faceless={KEY: lost})
    assert set(read) == {register_key(IMAGES, KEY), report_key(lost), failure_key(lost)}


def test_a_face_of_another_version_than_the_current_one_is_an_orphan(
    cloud: Cloud, check: CollectionCheck
) -> None:
    """As many faces as there should be, and the wrong one."""
    image = processed(cloud, 0)
    lose_faces(cloud)
    wrong = external_image_id(KEY) or ""
    cloud.rekognition.copy_faces(COLLECTION, wrong, angle=90, count=1)

    found = check.compare()

    assert list(found.orphans.values()) == [KEY]
    assert found.faceless == {KEY: image}


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_version_whose_replay_runs_is_left_alone(
    cloud: Cloud, check: CollectionCheck, forgotten: bool
) -> None:
    image = cloud.upload(KEY, photograph(0))
    process(cloud, image)
    lose_faces(cloud)
    if not forgotten:
        cloud.end(cloud.start(image), "SUCCEEDED")
    again = cloud.stepfunctions.start_execution(
        stateMachineArn=cloud.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )["executionArn"]

    assert check.compare() == Disagreements(on_their_way=1)
    cloud.end(again, "SUCCEEDED")
    assert list(check.compare().faceless) == [KEY]


def test_the_faces_before_a_version_that_waits_in_the_queue_are_left_alone(
    cloud: Cloud, check: CollectionCheck
) -> None:
    processed(cloud, 0)
    waiting = cloud.upload(KEY, photograph(90))

    assert check.compare() == Disagreements(faces=1, on_their_way=1)
    cloud.write(failure_key(waiting), {"digest": waiting.digest, "status": "REJECTED"})
    assert list(check.compare().orphans.values()) == [KEY]


def test_a_version_whose_execution_ends_while_it_is_asked_about_keeps_its_face(
    cloud: Cloud, check: CollectionCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same bytes as the version before, and so with the same face."""
    processed(cloud, 0)
    image = cloud.upload(KEY, photograph(0))
    statuses = Executions.statuses

    def ends(executions: Executions, asked: str) -> Iterator[str]:
        process(cloud, image)
        return statuses(executions, asked)

    monkeypatch.setattr(Executions, "statuses", ends)

    assert check.compare() == Disagreements(faces=1, on_their_way=1)


def delete(cloud: Cloud, image: UploadedImage, *, version: bool = False) -> str:
    """Delete the object, or the one version for ever, and let its removal run; the marker."""
    which = {"VersionId": image.version_id} if version else {}
    answer = cloud.s3.delete_object(Bucket=IMAGES, Key=image.key, **which)
    removal = Removal(
        bucket=IMAGES,
        key=image.key,
        version_id=answer["VersionId"],
        sequencer="1",
        removed_at=image.last_modified,
    )
    cloud.run("removal", {"removal": removal.to_payload()})
    return str(answer["VersionId"])


@pytest.mark.parametrize("content", [photograph(0), photograph()], ids=["face", "no face"])
def test_a_photograph_whose_delete_marker_is_deleted_is_processed_again(
    cloud: Cloud, check: CollectionCheck, content: bytes
) -> None:
    image = cloud.upload(KEY, content)
    process(cloud, image)
    cloud.end(cloud.start(image), "SUCCEEDED")
    marker = delete(cloud, image)
    assert not check.compare().any
    cloud.s3.delete_object(Bucket=IMAGES, Key=KEY, VersionId=marker)

    found = check.compare()
    check.mend(found)

    assert list(found.faceless) == [KEY]
    assert sent(cloud) == [(KEY, image.version_id, Origin.AGAIN)]
    time.sleep(0.3)  # more than clocks may be apart; until then a retry would index it
    process(cloud, image)
    assert not check.compare().any


def test_a_photograph_whose_next_version_is_deleted_is_processed_again(
    cloud: Cloud, check: CollectionCheck
) -> None:
    first = processed(cloud, 0)
    second = processed(cloud, 90)
    assert not check.compare().any
    delete(cloud, second, version=True)

    found = check.compare()
    check.mend(found)

    assert cloud.report(first)
    assert found == Disagreements(faceless={KEY: first})
    assert sent(cloud) == [(KEY, first.version_id, Origin.AGAIN)]


def test_a_photograph_that_comes_back_is_left_alone_while_it_is_processed_again(
    cloud: Cloud, check: CollectionCheck
) -> None:
    image = processed(cloud, 0)
    marker = delete(cloud, image)
    cloud.s3.delete_object(Bucket=IMAGES, Key=KEY, VersionId=marker)
    cloud.stepfunctions.start_execution(
        stateMachineArn=cloud.state_machine_arn,
        name=f"{image.execution_name}-r1",
        input=image.execution_input,
    )

    assert check.compare() == Disagreements(on_their_way=1)


def test_a_photograph_that_has_lost_its_report_is_processed_again(
    cloud: Cloud, check: CollectionCheck
) -> None:
    image = processed(cloud, 0)
    cloud.s3.delete_object(Bucket=OUTPUT, Key=report_key(image))

    assert check.compare() == Disagreements(faces=1, faceless={KEY: image})


@pytest.mark.parametrize("content", [photograph(0), photograph()], ids=["face", "no face"])
def test_a_photograph_that_is_deleted_after_it_was_listed_has_not_come_back(
    cloud: Cloud, check: CollectionCheck, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    image = cloud.upload(KEY, content)
    process(cloud, image)
    cloud.end(cloud.start(image), "SUCCEEDED")
    cloud.s3.delete_object(Bucket=OUTPUT, Key=report_key(image))  # so that it is looked at
    came_back = CollectionCheck._came_back

    def deleted(check: CollectionCheck, *listed: Any) -> set[str]:
        delete(cloud, image)
        return came_back(check, *listed)

    monkeypatch.setattr(CollectionCheck, "_came_back", deleted)

    assert not check.compare().any


def test_an_image_without_a_face_or_with_an_error_has_lost_nothing(
    cloud: Cloud, check: CollectionCheck
) -> None:
    process(cloud, cloud.upload(KEY, photograph()))
    rejected = cloud.upload(OTHER, b"no photograph")
    cloud.write(failure_key(rejected), {"digest": rejected.digest, "status": "REJECTED"})

    assert check.compare() == Disagreements()


def test_an_image_without_a_face_whose_execution_ends_meanwhile_has_lost_nothing(
    cloud: Cloud, check: CollectionCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = cloud.upload(KEY, photograph())
    indexed = cloud.report_event(image)
    execution = cloud.start(image)
    statuses = Executions.statuses

    def ends(executions: Executions, asked: str) -> Iterator[str]:
        cloud.run("report", indexed)
        cloud.end(execution, "SUCCEEDED")
        return statuses(executions, asked)

    monkeypatch.setattr(Executions, "statuses", ends)

    assert not check.compare().any
