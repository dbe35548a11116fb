"""Messages that no S3 has sent: understood and carried through, or not understood. Nothing else."""

from __future__ import annotations

import json
import re
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from functions.aws.events import MessageNotUnderstood, ObjectCreated, changed_objects
from functions.matching.errors import ImageRejected, Reason
from functions.matching.failures import Failure, FailureStatus, failure_record
from functions.matching.images import Removal, Subject, UploadedImage, subject_of
from functions.matching.reports import failure_key, json_lines
from tests.examples import examples
from tests.unit.cloud import IMAGES, event_file, put_body
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.strategies import NAMES_FROM, json_values

if TYPE_CHECKING:
    from collections.abc import Iterator

PUT = json.loads(put_body(IMAGE))
DELETE = json.loads(event_file("sqs_s3_delete.json")["Records"][0]["body"])
EXECUTION_NAME = re.compile(r"[0-9A-Za-z_-]{1,74}")
FAILURE_KEY = re.compile(r"failures/dt=\d{4}-\d\d-\d\d/[0-9a-f]{32}\.json")

#: Any text that JSON can spell, halves of surrogate pairs included, which UTF-8 cannot.
spelled = st.text(st.characters(), max_size=20)
#: Written where a value was; not all of it is what Python's JSON would write, or is JSON at all.
fragments = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e999", "-1", "-0.0", "9" * 400, "9" * 5000, str(2**63), "1.5"),
        *("true", "null", "[]", "{}", '""', '"/"', '"images/"', '"\\u0000"', '"\\ud800"', "tru"),
        *('"images/%ED%A0%80.jpg"', '"images/%"', '"images/%zz"', '"images/+"', '"images/%00"'),
        *(f'"images/{"d" * 1018}"', f'"{"v" * 5000}"', '"images/\\ud83d.jpg"', '"images/../x"'),
        *('"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"2026-W01"', '"now"'),
        *("[" * 2000, '{"a":' * 2000, "[" * 500 + "]" * 500, '{"backfill": true, "again": 1}'),
    ]
)
values = fragments | (spelled | json_values).map(json.dumps)


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to every value within, and to the whole."""
    yield path
    if isinstance(value, dict):
        for name, member in value.items():
            yield from places(member, (*path, name))
    if isinstance(value, list):
        for number, member in enumerate(value):
            yield from places(member, (*path, number))


@st.composite
def nearly_events(draw: st.DrawFn) -> str:
    """What S3 sends of a new or of a removed object, with a value or two changed."""
    document: dict[str, Any] = draw(st.sampled_from([PUT, DELETE]))
    changed = json.loads(json.dumps({"root": document, "facematch": None}))
    if draw(st.booleans()):
        changed["root"]["facematch"] = {"backfill": True, "again": draw(st.booleans())}
    put: dict[str, str] = {}
    for path in draw(st.lists(st.sampled_from(list(places(document))), min_size=1, max_size=2)):
        holder = changed
        for name in ("root", *path)[:-1]:
            if not isinstance(holder, dict | list):  # replaced already
                break
            holder = holder[name]
        else:
            if isinstance(holder, dict | list):
                mark = f"<{len(put)}>"
                holder[("root", *path)[-1]] = mark
                put[json.dumps(mark)] = draw(values)
    body = json.dumps(changed["root"])
    for mark, value in put.items():
        body = body.replace(mark, value)
    return body


def carried_through(body: str) -> None:
    """What is understood has an outcome, even when S3 knows nothing of it and it is rejected."""
    understood: list[ObjectCreated | Removal] = []
    refused = None
    try:
        understood.extend(changed_objects(body, bucket=IMAGES, prefix="images/"))
    except MessageNotUnderstood as error:
        refused = error
    if refused is not None:  # it is logged
        assert "Ann_Lee" not in "".join(traceback.format_exception_only(refused))
        assert refused.__context__ is None or refused.__suppress_context__
    for found in understood:
        image = found if isinstance(found, Removal) else found.as_gone()
        assert image.bucket == IMAGES
        assert image.key.startswith("images/")
        assert len(image.key.encode()) <= 1024
        assert EXECUTION_NAME.fullmatch(image.execution_name)
        given_to_execution = image.execution_input
        assert len(given_to_execution) < 32_768
        again = subject_of(json.loads(given_to_execution))
        assert type(again) is type(image)
        assert again.execution_input == given_to_execution
        assert FAILURE_KEY.fullmatch(failure_key(image))
        (record,) = json_lines([rejected(again)]).decode().split("\n")[:-1]
        assert -(2**63) <= json.loads(record)["size"] < 2**63


def rejected(image: Subject) -> dict[str, Any]:
    cause = json.dumps({"errorMessage": str(ImageRejected(Reason.GONE, image.digest))})
    failure = Failure(
        status=FailureStatus.REJECTED,
        step="IndexFaces",
        error="ImageRejected",
        cause=cause,
        execution_arn="arn:aws:states:::execution",
        failed_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return failure_record(image, failure, names_from=NAMES_FROM)


@settings(max_examples=examples(400))
@given(body=nearly_events())
def test_an_event_with_wrong_values_is_carried_through_or_not_understood(body: str) -> None:
    carried_through(body)


@settings(max_examples=examples(200))
@given(body=st.text() | json_values.map(json.dumps) | fragments)
@example(body="")
@example(body="\ufeff{}")
@example(body='{"Records": [' + "[" * 900 + "]" * 900 + "]}")
@example(body='{"Records": [{}], "Records": [7]}')
def test_any_text_is_carried_through_or_not_understood(body: str) -> None:
    carried_through(body)


@given(
    place=st.integers(0, len(json.dumps(PUT))),
    length=st.integers(0, 9),
    put=st.text(max_size=3) | st.sampled_from(list('{}[]",:0%+/\\')),
)
def test_a_damaged_event_is_carried_through_or_not_understood(
    place: int, length: int, put: str
) -> None:
    body = json.dumps(PUT)
    carried_through(body[:place] + put + body[place + length :])


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("key", "images/" + "k" * 1018),
        ("key", "images/" + "é" * 509),
        ("key", "images/\ud800.jpg"),
        ("versionId", "v" * 1025),
        ("versionId", "\udc00"),
        ("eTag", "e" * 1025),
        ("size", -1),
        ("size", 2**63),
    ],
)
def test_what_s3_never_says_is_not_understood(member: str, value: object) -> None:
    event = json.loads(json.dumps(PUT))
    event["Records"][0]["s3"]["object"][member] = value
    with pytest.raises(MessageNotUnderstood):
        list(changed_objects(json.dumps(event), bucket=IMAGES, prefix="images/"))


def test_the_longest_key_and_the_largest_object_are_understood() -> None:
    event = json.loads(json.dumps(PUT))
    key = "images/" + "é" * 508 + "k"
    event["Records"][0]["s3"]["object"].update(key=key, size=50 * 2**40, versionId="v" * 1024)
    (found,) = changed_objects(json.dumps(event), bucket=IMAGES, prefix="images/")
    assert isinstance(found, ObjectCreated)
    assert (found.key, found.size) == (key, 50 * 2**40)


def test_only_an_empty_object_is_a_folder_marker() -> None:
    for size, keys in ((0, []), (1, ["images/Ann_Lee.jpg/"])):
        event = json.loads(json.dumps(PUT))
        event["Records"][0]["s3"]["object"].update(key="images/Ann_Lee.jpg/", size=size)
        found = changed_objects(json.dumps(event), bucket=IMAGES, prefix="images/")
        assert [one.key for one in found] == keys


def test_a_test_event_that_has_records_is_not_let_pass() -> None:
    body = json.dumps({"Event": "s3:TestEvent", **PUT})
    assert len(list(changed_objects(body, bucket=IMAGES, prefix="images/"))) == 1


# --- The input of an execution ---


@given(
    payload=json_values
    | st.dictionaries(
        st.sampled_from([*IMAGE.to_payload(), "removed"]), spelled | json_values, max_size=7
    ).map(lambda some: {**IMAGE.to_payload(), **some})
)
def test_an_executions_input_is_an_image_or_a_value_error(payload: Any) -> None:
    try:
        image = UploadedImage.from_payload(payload)
    except ValueError:
        return
    assert UploadedImage.from_payload(json.loads(image.execution_input)).digest == image.digest
    assert EXECUTION_NAME.fullmatch(image.execution_name)
