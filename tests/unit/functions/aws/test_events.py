"""S3 events in SQS messages and Step Functions events, as the domain reads them."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.aws.ended import ExecutionEnded
from functions.aws.events import (
    MessageNotUnderstood,
    ObjectCreated,
    changed_objects,
)
from tests.unit.cloud import IMAGES, event_file, put_body
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.strategies import images, json_values, s3_keys

MALFORMED = [record["body"] for record in event_file("sqs_malformed.json")["Records"]]


def bodies(name: str) -> list[str]:
    return [record["body"] for record in event_file(name)["Records"]]


def created(body: str, prefix: str = "images/") -> list[ObjectCreated]:
    changed = changed_objects(body, bucket=IMAGES, prefix=prefix)
    return [one for one in changed if isinstance(one, ObjectCreated)]


def test_a_put_is_read() -> None:
    (body,) = bodies("sqs_s3_put.json")
    assert created(body) == [
        ObjectCreated(
            bucket=IMAGES,
            key="images/Ann_Lee_0001.jpg",
            version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko",
            etag="d41d8cd98f00b204e9800998ecf8427e",
            size=184320,
            event_time=datetime(2026, 11, 22, 11, 15, 7, 123000, tzinfo=UTC),
        )
    ]


def test_a_multipart_upload_is_a_new_object_too() -> None:
    (body,) = bodies("sqs_s3_multipart_upload.json")
    (found,) = created(body)
    assert found.key == "images/Ann_Lee_0002.jpg"
    assert found.etag.endswith("-2")


def test_an_encoded_key_is_decoded() -> None:
    (body,) = bodies("sqs_s3_encoded_key.json")
    assert [found.key for found in created(body)] == ["images/Zoë & Ann/100% Müller+1_0001.jpg"]


@pytest.mark.parametrize("name", ["sqs_s3_test_event.json", "sqs_s3_folder_marker.json"])
def test_what_is_no_new_image_is_nothing_to_do(name: str) -> None:
    assert [created(body) for body in bodies(name)] == [[] for _ in bodies(name)]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: body[-60:])
def test_what_is_no_event_of_ours_is_not_understood(body: str) -> None:
    with pytest.raises(MessageNotUnderstood) as raised:
        created(body)
    assert "Ann_Lee" not in str(raised.value)


def test_deeply_nested_json_is_not_understood() -> None:
    with pytest.raises(MessageNotUnderstood):
        created("[" * 100_000)


@given(keys=st.lists(s3_keys().filter(lambda key: not key.endswith("/")), max_size=4))
def test_every_record_of_an_event_is_read_with_its_key(keys: list[str]) -> None:
    put = [_image(f"images/{key}") for key in keys] or [IMAGE]
    assert [found.key for found in created(put_body(*put))] == [image.key for image in put]


@given(image=images(st.just("elsewhere/Ann.jpg") | st.just("Ann.jpg")))
def test_without_a_prefix_every_key_is_ours(image: Any) -> None:
    found = list(changed_objects(put_body(image), bucket=image.bucket, prefix=""))
    assert [one.key for one in found] == [image.key]


@given(data=st.data(), value=json_values)
def test_an_event_with_anything_in_it_is_read_or_not_understood(
    data: st.DataObject, value: Any
) -> None:
    document = _with(json.loads(put_body(IMAGE)), data, value)
    try:
        found = created(json.dumps(document))
    except MessageNotUnderstood:
        return
    for one in found:
        assert one.bucket == IMAGES
        assert one.key.startswith("images/")
        assert one.as_gone().digest


def _image(key: str) -> Any:
    return type(IMAGE)(**{**{f: getattr(IMAGE, f) for f in IMAGE.__slots__}, "key": key})


def _with(document: Any, data: st.DataObject, value: Any) -> Any:
    """The document with `value` in a place of it that hypothesis chooses."""
    changed = {"root": deepcopy(document)}
    holder: Any = changed
    name: Any = "root"
    while isinstance(holder[name], dict | list) and data.draw(st.integers(0, 9)):
        holder = holder[name]
        name = data.draw(
            st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder)))
        )
    holder[name] = value
    return changed["root"]


@pytest.mark.parametrize(
    "name", ["states_failed.json", "states_timed_out.json", "states_aborted.json"]
)
def test_the_end_of_an_execution_is_read(name: str) -> None:
    event = event_file(name)
    ended = ExecutionEnded.from_event(event)
    assert ended.execution_arn == event["resources"][0]
    assert ended.ended_at == datetime(2026, 11, 22, 11, 16, 11, 250000, tzinfo=UTC)
