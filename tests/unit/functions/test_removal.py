"""An image that leaves the bucket takes its faces and its report with it, whatever happens when."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.aws.events import changed_objects
from functions.matching.errors import ImageRejected, Unavailable
from functions.matching.images import Removal, subject_of
from functions.matching.keys import EXECUTION_NAME_LIMIT, replay_name
from functions.matching.register import Register, register_key
from functions.matching.reports import delivery_failure_key, failure_key
from tests.unit.cloud import (
    COLLECTION,
    IMAGES,
    OUTPUT,
    PACE_TABLE,
    event_file,
    failed_messages,
    own_client,
    sqs_event,
)
from tests.unit.fake_rekognition import photograph
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.strategies import images

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

KEY = "images/Ann_1.jpg"
FAMILIES = (
    *("ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"),
    *("LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated"),
)


def faces(cloud: Cloud) -> set[str]:
    return set(cloud.rekognition.collections[COLLECTION])


def process(cloud: Cloud, image: UploadedImage) -> set[str]:
    """Index, search and report the image; the ids of its faces."""
    event = cloud.report_event(image)
    cloud.run("report", event)
    return {face["face_id"] for face in event["index"]["faces"]}


def removal_of(key: str = KEY, version_id: str | None = "marker", sequencer: str = "1") -> Removal:
    return Removal(
        bucket=IMAGES,
        key=key,
        version_id=version_id,
        sequencer=sequencer,
        removed_at=IMAGE.last_modified,
    )


def delete(cloud: Cloud, key: str = KEY, version_id: str | None = None) -> Removal:
    """Delete the object, or one version for ever; what S3 then tells of."""
    version = {"VersionId": version_id} if version_id else {}
    answer = cloud.s3.delete_object(Bucket=IMAGES, Key=key, **version)
    return removal_of(key, answer.get("VersionId", version_id))


def remove(cloud: Cloud, removal: Removal) -> int:
    answer = cloud.run("removal", {"removal": removal.to_payload()})
    return int(answer["faces_removed"])


# --- Events and executions ---


@pytest.mark.parametrize("family", FAMILIES)
def test_a_removal_is_read_out_of_each_event_that_tells_of_one(family: str) -> None:
    body = json.loads(event_file("sqs_s3_delete.json")["Records"][0]["body"])
    body["Records"][0]["eventName"] = family
    (removal,) = changed_objects(json.dumps(body), bucket=IMAGES, prefix="images/")
    assert isinstance(removal, Removal)
    assert removal.key == "images/Ann_Lee_0001.jpg"
    assert removal.version_id == "096fKKXTRTtl3on89fVO.nfljtsv6qko"


def test_each_removal_starts_one_execution_of_the_removals_state_machine(cloud: Cloud) -> None:
    event = event_file("sqs_s3_delete.json")
    for _ in range(2):
        assert failed_messages(event, cloud.run("starter", event)) == []

    listed = cloud.stepfunctions.list_executions(stateMachineArn=cloud.removal_state_machine_arn)
    # All of them tell of the same version of the same key.
    (execution,) = listed["executions"]
    assert execution["name"].endswith("-d")
    assert cloud.executions() == []
    described = cloud.stepfunctions.describe_execution(executionArn=execution["executionArn"])
    assert isinstance(subject_of(json.loads(described["input"])), Removal)


def test_a_removal_takes_as_many_turns_as_the_quota_of_deletefaces_is_smaller(
    cloud: Cloud,
) -> None:
    began = time.time()
    cloud.run("starter", event_file("sqs_s3_delete.json"))
    table = own_client("dynamodb").scan(TableName=PACE_TABLE)
    (line,) = [item for item in table["Items"] if item["line"]["S"] == "starts"]
    # At 1,000 starts a second, where faces can be deleted 4.8 times a second.
    assert float(line["next_turn"]["N"]) - began >= 3 / 4.8


def test_a_removal_outside_the_prefix_is_not_understood(cloud: Cloud) -> None:
    body = json.loads(event_file("sqs_s3_delete.json")["Records"][0]["body"])
    body["Records"][0]["s3"]["object"]["key"] = "elsewhere/Ann.jpg"
    event = sqs_event(json.dumps(body))
    assert failed_messages(event, cloud.run("starter", event)) == [0]


@given(image=images())
def test_a_removal_has_a_name_of_its_own_that_a_replay_fits_into(image: UploadedImage) -> None:
    removal = Removal.from_payload({**image.to_payload(), "removed": True})
    assert removal.digest != image.digest
    assert removal.removed_digest == image.digest or image.version_id is None
    assert len(replay_name(removal.execution_name, 9999)) <= EXECUTION_NAME_LIMIT
    assert subject_of(json.loads(removal.execution_input)) == removal


# --- What leaves ---


def test_a_deleted_image_takes_its_faces_report_and_rows_with_it(cloud: Cloud) -> None:
    other = cloud.upload("images/Bo_1.jpg", photograph(3))
    kept = process(cloud, other)
    image = cloud.upload(KEY, photograph(0))
    same = process(cloud, cloud.upload("images/Ann_2.jpg", photograph(1)))
    own = process(cloud, image)
    assert faces(cloud) == kept | same | own
    assert cloud.rows(image)
    assert cloud.look_alikes(image)

    assert remove(cloud, delete(cloud)) == 1

    assert faces(cloud) == kept | same
    assert (cloud.report(image), cloud.rows(image), cloud.look_alikes(image)) == (None, [], [])
    assert cloud.report(other)


def test_removing_again_changes_nothing(cloud: Cloud) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    removal = delete(cloud)
    remove(cloud, removal)
    assert remove(cloud, removal) == 0


def test_all_versions_go_with_the_object_though_their_faces_differ(cloud: Cloud) -> None:
    first = cloud.upload(KEY, photograph(0))
    process(cloud, first)
    second = cloud.upload(KEY, photograph(90))
    process(cloud, second)
    remove(cloud, delete(cloud))
    assert faces(cloud) == set()
    assert cloud.report(first) is None
    assert cloud.report(second) is None


def test_the_record_of_a_notification_that_failed_leaves_with_its_report(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    process(cloud, image)
    cloud.write(delivery_failure_key(image), {"status": "FAILED"})
    remove(cloud, delete(cloud))
    assert (cloud.report(image), cloud.delivery_failure(image)) == (None, None)


def test_what_was_uploaded_again_meanwhile_stays(cloud: Cloud) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    removal = delete(cloud)
    again = cloud.upload(KEY, photograph(0))
    own = process(cloud, again)
    remove(cloud, removal)
    assert faces(cloud) == own
    assert cloud.report(again)


def test_a_forged_removal_takes_nothing_out_that_is_there(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    own = process(cloud, image)
    assert remove(cloud, removal_of(version_id=image.version_id)) == 0
    assert faces(cloud) == own
    assert cloud.report(image)


def test_an_older_version_that_is_deleted_for_ever_takes_only_its_own_report(cloud: Cloud) -> None:
    first = cloud.upload(KEY, photograph(0))
    process(cloud, first)
    second = cloud.upload(KEY, photograph(90))
    own = process(cloud, second)
    remove(cloud, delete(cloud, version_id=first.version_id))
    assert faces(cloud) == own
    assert cloud.report(first) is None
    assert cloud.report(second)


def test_the_failure_record_of_a_removal_goes_when_it_succeeds(cloud: Cloud) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    removal = delete(cloud)
    cloud.write(failure_key(removal), {"status": "FAILED"})
    remove(cloud, removal)
    assert cloud.records(failure_key(removal)) is None


# --- Overwriting ---


def test_faces_that_a_new_version_does_not_have_leave_and_the_old_report_stays(
    cloud: Cloud,
) -> None:
    first = cloud.upload(KEY, photograph(0))
    process(cloud, first)
    own = process(cloud, cloud.upload(KEY, photograph(90)))
    assert faces(cloud) == own
    assert cloud.report(first)


def test_the_same_bytes_again_keep_their_face(cloud: Cloud) -> None:
    before = process(cloud, cloud.upload(KEY, photograph(0)))
    after = process(cloud, cloud.upload(KEY, photograph(0)))
    assert before == after == faces(cloud)
    process(cloud, cloud.upload(KEY, photograph(90)))
    assert faces(cloud).isdisjoint(before)


@pytest.mark.parametrize("content", [b"no photograph", bytes(15 * 1024 * 1024 + 1)])
def test_what_is_no_photograph_leaves_no_face_of_what_it_overwrites(
    cloud: Cloud, content: bytes
) -> None:
    photographed = cloud.upload(KEY, photograph(0))
    process(cloud, photographed)

    with pytest.raises(ImageRejected, match=r"NOT_JPEG_OR_PNG|TOO_LARGE"):
        cloud.index(cloud.upload(KEY, content))

    assert faces(cloud) == set()
    assert cloud.report(photographed)


# --- Races ---


@pytest.mark.parametrize("content", [b"no photograph", photograph(90)])
@pytest.mark.parametrize("looks", [1, 2])
def test_faces_of_a_newer_version_are_never_taken_for_those_of_an_older(
    cloud: Cloud, content: bytes, looks: int
) -> None:
    """The newer one goes its whole way before or after the older one's last look at the bucket."""
    process(cloud, cloud.upload(KEY, photograph(0)))
    image = cloud.upload(KEY, content)
    own: set[str] = set()

    def overwrite() -> None:
        own.update(process(cloud, cloud.upload(KEY, photograph(180))))

    # The first look is before IndexFaces; what follows the second is the register's change.
    cloud.meanwhile("HeadObject", lambda: None)
    if looks == 1:
        cloud.meanwhile("HeadObject", overwrite)
    else:
        cloud.meanwhile("HeadObject", lambda: cloud.meanwhile("GetObject", overwrite))

    with contextlib.suppress(ImageRejected):
        cloud.index(image)

    assert own <= faces(cloud)
    assert own


def test_an_image_deleted_while_it_is_indexed_takes_its_faces_back_out(cloud: Cloud) -> None:
    """Its removal was here before the faces were entered, and has not found them."""
    image = cloud.upload(KEY, photograph(0))
    cloud.meanwhile("PutObject", lambda: remove(cloud, delete(cloud)))
    with pytest.raises(ImageRejected, match="GONE"):
        cloud.index(image)
    assert faces(cloud) == set()


def test_a_removal_finds_the_faces_of_an_image_deleted_while_it_was_indexed(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    removals: list[Removal] = []
    cloud.meanwhile("PutObject", lambda: removals.append(delete(cloud)))
    cloud.index(image)
    remove(cloud, *removals)
    assert faces(cloud) == set()


def test_a_register_that_is_forgotten_between_look_and_write_is_read_again(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    cloud.index(image)
    removal = delete(cloud)
    register = register_key(IMAGES, KEY)

    def forget() -> None:
        cloud.s3.delete_object(Bucket=OUTPUT, Key=register)

    # What S3 answers to If-Match where nothing is (Amazon S3 User Guide, Conditional writes).
    cloud.fail_next("PutObject", "NoSuchKey", status=404, meanwhile=forget)
    remove(cloud, removal)

    written = json.loads(cloud.s3.get_object(Bucket=OUTPUT, Key=register)["Body"].read())
    assert Register.from_record(written).entries == {}


@pytest.mark.parametrize(
    ("code", "status"), [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409)]
)
def test_a_register_that_somebody_else_changes_at_the_same_moment_is_read_again(
    cloud: Cloud, code: str, status: int
) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    image = cloud.upload(KEY, photograph(90))
    for _ in range(2):  # the write that expects no register, and the one that has read it
        cloud.fail_next("PutObject", code, status=status)
    own = {face["face_id"] for face in cloud.index(image)["faces"]}
    assert faces(cloud) == own


def test_a_deleted_version_is_noticed_though_a_newer_one_is_there(cloud: Cloud) -> None:
    """The newer one may be no photograph, so that nobody else takes the older one's faces out."""
    image = cloud.upload(KEY, photograph(0))

    def overwrite_and_delete() -> None:
        cloud.upload(KEY, b"no photograph")
        remove(cloud, delete(cloud, version_id=image.version_id))

    cloud.meanwhile("PutObject", overwrite_and_delete)
    with pytest.raises(ImageRejected, match="GONE"):
        cloud.index(image)
    assert faces(cloud) == set()


def test_an_image_overwritten_while_it_is_indexed_leaves_when_the_newer_comes(
    cloud: Cloud,
) -> None:
    image = cloud.upload(KEY, photograph(0))
    newer: list[UploadedImage] = []
    cloud.meanwhile("PutObject", lambda: newer.append(cloud.upload(KEY, photograph(90))))
    older_faces = process(cloud, image)
    own = process(cloud, *newer)
    assert (faces(cloud), own & older_faces) == (own, set())


def test_an_image_overwritten_while_it_is_indexed_leaves_the_faces_of_the_newer(
    cloud: Cloud,
) -> None:
    image = cloud.upload(KEY, photograph(0))
    own: set[str] = set()
    cloud.meanwhile(
        "PutObject", lambda: own.update(process(cloud, cloud.upload(KEY, photograph(90))))
    )
    with pytest.raises(ImageRejected, match="SUPERSEDED"):
        cloud.index(image)
    assert faces(cloud) == own != set()


def test_an_image_deleted_before_it_is_searched_is_gone_and_not_waited_for(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    indexed = cloud.index(image)
    remove(cloud, delete(cloud))
    with pytest.raises(ImageRejected, match="GONE"):
        cloud.search(image, indexed)


def test_a_report_that_comes_after_the_removal_is_taken_back(cloud: Cloud) -> None:
    cloud.index(cloud.upload("images/Bo_1.jpg", photograph(3)))
    image = cloud.upload(KEY, photograph(0))
    event = cloud.report_event(image)
    remove(cloud, delete(cloud))
    with pytest.raises(ImageRejected, match="GONE"):
        cloud.run("report", event)
    assert (cloud.report(image), cloud.rows(image)) == (None, [])


@pytest.mark.parametrize("when", ["PutObject", "GetObject"])
def test_a_removal_in_the_middle_of_indexing_the_same_bytes_again_costs_no_face(
    cloud: Cloud, when: str
) -> None:
    """The same bytes get the face id that the removal is about to delete."""
    process(cloud, cloud.upload(KEY, photograph(0)))
    removal = delete(cloud)
    again = cloud.upload(KEY, photograph(0))
    # Between the new version's IndexFaces and its entry in the register, the whole removal.
    cloud.meanwhile(when, lambda: _as_if_not_there(cloud, removal))
    with pytest.raises(Unavailable, match="removed just now"):
        cloud.index(again)
    _an_hour_later(cloud)
    own = process(cloud, again)
    assert faces(cloud) == own


def _as_if_not_there(cloud: Cloud, removal: Removal) -> None:
    """Run a removal that asked S3 for the key just before it was uploaded again."""
    handler = cloud.handler("removal")
    seen = handler.images.version
    handler.images.version = lambda *_: None
    try:
        remove(cloud, removal)
    finally:
        handler.images.version = seen


def _an_hour_later(cloud: Cloud) -> None:
    key = register_key(IMAGES, KEY)
    (record,) = cloud.records(key) or []
    cloud.write(key, {**record, "faces_left_at": record["faces_left_at"] - 3600})


def test_a_removal_that_was_stopped_is_ended_by_the_next_version_which_is_indexed_again(
    cloud: Cloud,
) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    removal = delete(cloud)
    cloud.rekognition.fail_next("ThrottlingException")
    with pytest.raises(Unavailable):
        remove(cloud, removal)
    again = cloud.upload(KEY, photograph(0))
    with pytest.raises(Unavailable, match="removed just now"):
        cloud.index(again)
    _an_hour_later(cloud)
    own = process(cloud, again)
    assert faces(cloud) == own


def test_a_removal_that_was_stopped_in_the_middle_is_completed_by_its_repeat(cloud: Cloud) -> None:
    image = cloud.upload(KEY, photograph(0))
    process(cloud, image)
    removal = delete(cloud)
    cloud.fail_next("DeleteObject", "503", status=503)
    with pytest.raises(Unavailable):
        remove(cloud, removal)
    assert faces(cloud) == set()
    assert cloud.report(image)
    remove(cloud, removal)
    assert cloud.report(image) is None
    (record,) = cloud.records(register_key(IMAGES, KEY)) or []
    assert record["versions"] == {}


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_throttled_rekognition_leaves_the_removal_to_be_tried_again(
    cloud: Cloud, code: str
) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    removal = delete(cloud)
    cloud.rekognition.fail_next(code)
    with pytest.raises(Unavailable):
        remove(cloud, removal)
    assert remove(cloud, removal) == 1


def test_a_face_that_cannot_be_deleted_is_no_success(cloud: Cloud) -> None:
    (face_id,) = process(cloud, cloud.upload(KEY, photograph(0)))
    removal = delete(cloud)
    cloud.rekognition.held[face_id] = "ASSOCIATED_TO_AN_EXISTING_USER"
    with pytest.raises(Unavailable, match="ASSOCIATED_TO_AN_EXISTING_USER"):
        remove(cloud, removal)
    cloud.rekognition.held.clear()
    assert remove(cloud, removal) == 1


def test_a_face_that_is_gone_already_is_no_trouble(cloud: Cloud) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    cloud.rekognition.collections[COLLECTION].clear()
    assert remove(cloud, delete(cloud)) == 0


# --- The register ---


@given(
    entries=st.dictionaries(
        st.sampled_from("abcd"),
        st.tuples(st.lists(st.sampled_from(["1", "2", "3"]), unique=True), st.booleans()),
    )
)
def test_no_face_leaves_that_a_version_which_stays_has_too(
    entries: dict[str, tuple[list[str], bool]],
) -> None:
    record = {
        "faces_left_at": 0,
        "versions": {
            digest: {"day": "2026-11-22", "face_ids": ids, "leaving": leaving}
            for digest, (ids, leaving) in entries.items()
        },
    }
    register = Register.from_record(record)
    assert Register.from_record(register.to_record()) == register
    leaving = set(register.leaving_faces())
    staying = {i for ids, leaves in entries.values() if not leaves for i in ids}
    assert leaving.isdisjoint(staying)
    assert leaving | staying == {i for ids, _ in entries.values() for i in ids}
    after = register.without_leaving(forget=set(), left_at=1.0)
    assert {i for entry in after.entries.values() for i in entry.face_ids} == staying


def test_the_register_names_nobody(cloud: Cloud) -> None:
    process(cloud, cloud.upload(KEY, photograph(0)))
    key = register_key(IMAGES, KEY)
    assert "Ann" not in key + json.dumps(cloud.records(key))
