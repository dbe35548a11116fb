"""Messages that are not S3's own: there and back, and what the starter does about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.aws.events import (
    MessageNotUnderstood,
    ObjectCreated,
    Origin,
    changed_objects,
    created_message,
)
from tests.unit.cloud import IMAGES, failed_messages, sqs_event
from tests.unit.fake_rekognition import photograph
from tests.unit.strategies import images, json_values, moments, s3_keys

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

PHOTO = photograph(0)

objects = st.builds(
    ObjectCreated,
    bucket=st.just(IMAGES),
    key=s3_keys().filter(lambda key: not key.endswith("/")).map(lambda key: f"images/{key}"),
    version_id=st.none() | st.text("abcXYZ019._-", min_size=1, max_size=64),
    etag=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    size=st.integers(0, 5 * 2**40),
    event_time=moments(),
    origin=st.sampled_from(Origin),
)


@given(created=objects)
def test_a_message_is_read_as_it_was_written(created: ObjectCreated) -> None:
    body = created_message(created)
    assert list(changed_objects(body, bucket=IMAGES, prefix="images/")) == [created]
    assert body.isascii()  # SQS refuses some characters


@given(image=images(st.just("images/Ann.jpg")))
def test_what_s3_sends_bears_no_mark(image: UploadedImage) -> None:
    upload = ObjectCreated(
        bucket=image.bucket,
        key=image.key,
        version_id=image.version_id,
        etag=image.etag,
        size=image.size,
        event_time=image.last_modified,
    )
    assert "facematch" not in json.loads(created_message(upload))


@given(mark=json_values.filter(lambda value: value is not None))
def test_a_mark_that_is_not_a_backfills_is_not_understood(mark: Any) -> None:
    message = {**json.loads(backfill_body("images/Ann.jpg")), "facematch": mark}
    with pytest.raises(MessageNotUnderstood):
        list(changed_objects(json.dumps(message), bucket=IMAGES, prefix="images/"))


def backfill_body(key: str, *, again: bool = False, version_id: str | None = None) -> str:
    image = {"key": key, "size": 5, "eTag": "abc"} | (
        {"versionId": version_id} if version_id else {}
    )
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-22T11:15:07.000Z",
        "s3": {"bucket": {"name": IMAGES}, "object": image},
    }
    return json.dumps({"Records": [record], "facematch": {"backfill": True, "again": again}})


def run(cloud: Cloud, *bodies: str) -> list[int]:
    event = sqs_event(*bodies)
    return failed_messages(event, cloud.run("starter", event))


def names(cloud: Cloud) -> list[str]:
    return sorted(execution["name"] for execution in cloud.executions())


def report_on(cloud: Cloud, image: UploadedImage) -> None:
    cloud.write(f"reports/dt={image.day}/{image.digest}.json", {"status": "UNIQUE"})


def test_a_backfill_without_a_version_starts_what_an_upload_starts(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    assert run(cloud, backfill_body(image.key)) == []
    (execution,) = cloud.executions()
    assert (execution["name"], execution["input"]) == (image.execution_name, image.execution_input)


def test_a_backfill_skips_what_has_a_report(cloud: Cloud) -> None:
    reported = cloud.upload("images/Ann_1.jpg", PHOTO)
    other = cloud.upload("images/Bea_1.jpg", PHOTO)
    report_on(cloud, reported)
    assert run(cloud, backfill_body(reported.key), backfill_body(other.key)) == []
    assert names(cloud) == [other.execution_name]


def test_a_report_on_another_version_does_not_count(cloud: Cloud) -> None:
    older = cloud.upload("images/Ann_1.jpg", PHOTO)
    report_on(cloud, older)
    newer = cloud.upload("images/Ann_1.jpg", photograph(90))
    run(cloud, backfill_body(newer.key))
    assert names(cloud) == [newer.execution_name]


def test_again_takes_the_first_free_replays_name(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    report_on(cloud, image)
    for _ in range(3):
        for execution in cloud.executions():
            cloud.end(execution["executionArn"], "SUCCEEDED")
        assert run(cloud, backfill_body(image.key, again=True)) == []
    name = image.execution_name
    assert names(cloud) == [name, f"{name}-r1", f"{name}-r2"]
    assert {execution["input"] for execution in cloud.executions()} == {image.execution_input}


def test_a_replays_name_fits_however_long_the_key(cloud: Cloud) -> None:
    image = cloud.upload(f"images/{'x' * 200}_1.jpg", PHOTO)
    cloud.end(cloud.start(image), "FAILED")
    assert run(cloud, backfill_body(image.key, again=True)) == []
    assert max(map(len, names(cloud))) <= 80


def test_without_again_an_execution_that_exists_is_enough(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.end(cloud.start(image), "FAILED")
    assert run(cloud, backfill_body(image.key)) == []
    assert names(cloud) == [image.execution_name]


def test_when_every_replays_name_is_taken_the_message_comes_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.handler("starter")
    monkeypatch.setattr("functions.aws.executions._MOST_REPLAYS", 1)
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    for _ in range(2):
        for execution in cloud.executions():
            cloud.end(execution["executionArn"], "FAILED")
        assert run(cloud, backfill_body(image.key, again=True)) == []
    for execution in cloud.executions():
        cloud.end(execution["executionArn"], "FAILED")
    assert run(cloud, backfill_body(image.key, again=True)) == [0]


def test_when_the_output_bucket_does_not_answer_the_message_comes_again(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.meanwhile("HeadObject", lambda: None)  # of the image
    cloud.fail_next("HeadObject", "503", status=503)
    assert run(cloud, backfill_body(image.key)) == [0]
    assert names(cloud) == []
