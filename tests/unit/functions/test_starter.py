"""The starter: one execution for each uploaded object version, at a pace."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from time import sleep
from time import time as clock
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.aws import clients
from functions.aws.start_slots import SharedStartSlots
from functions.matching.images import UploadedImage
from functions.matching.pace import Occasion, Pace
from functions.matching.settings import FACES_COUNTED_EVERY
from tests.examples import examples
from tests.unit.cloud import (
    COLLECTION,
    IMAGES,
    PACE_TABLE,
    event_file,
    failed_messages,
    own_client,
    put_body,
    sqs_event,
)
from tests.unit.fake_rekognition import photograph
from tests.unit.functions.matching.test_pace import FakeTime
from tests.unit.strategies import json_values

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage as Image
    from tests.unit.cloud import Cloud

PHOTO = photograph(0)


def run(cloud: Cloud, *bodies: str) -> list[int]:
    """Positions of the messages that come again."""
    event = sqs_event(*bodies)
    return failed_messages(event, cloud.run("starter", event))


def started(cloud: Cloud) -> list[Image]:
    """The images of the executions, oldest first."""
    found = sorted(cloud.executions(), key=lambda execution: execution["startDate"])
    return [UploadedImage.from_payload(json.loads(execution["input"])) for execution in found]


@pytest.mark.parametrize(
    "key",
    [
        "images/Ann_Lee_0001.jpg",
        "images/Ann Lee+Bo 100%_1.jpg",
        "images/Zoë/王_1.jpg",
        "images/a\nb_1.jpg",
        "images/%41_1.jpg",
    ],
)
def test_an_upload_starts_an_execution_with_what_s3_says_of_it(cloud: Cloud, key: str) -> None:
    image = cloud.upload(key, PHOTO)
    assert run(cloud, put_body(image, eventTime="2020-01-01T00:00:00.000Z")) == []
    assert started(cloud) == [image]
    assert [execution["name"] for execution in cloud.executions()] == [image.execution_name]


def test_every_record_of_every_message_is_started(cloud: Cloud) -> None:
    images = [cloud.upload(f"images/Ann_{n}.jpg", PHOTO) for n in range(4)]
    assert run(cloud, put_body(*images[:3]), put_body(images[3])) == []
    assert started(cloud) == images


def test_the_version_that_was_uploaded_is_started_even_if_a_newer_one_is_there(
    cloud: Cloud,
) -> None:
    older = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.upload("images/Ann_1.jpg", photograph(90))
    run(cloud, put_body(older))
    assert started(cloud) == [older]


def test_without_versioning_the_object_is_known_by_its_etag(cloud: Cloud) -> None:
    cloud.s3.create_bucket(
        Bucket="unversioned", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    image = cloud.upload("images/Ann_1.jpg", PHOTO, bucket="unversioned")
    cloud.handler("starter", IMAGES_BUCKET="unversioned")
    assert run(cloud, put_body(image)) == []
    assert started(cloud) == [image]
    assert image.version_id is None


@pytest.mark.parametrize("name", ["sqs_s3_test_event.json", "sqs_s3_folder_marker.json"])
def test_what_is_no_new_image_is_ignored(cloud: Cloud, name: str) -> None:
    event = event_file(name)
    assert failed_messages(event, cloud.run("starter", event)) == []
    assert started(cloud) == []


def test_a_redelivered_event_has_the_same_name_and_the_same_bytes(cloud: Cloud) -> None:
    image = cloud.upload("images/Zoë_1.jpg", PHOTO)
    calls: list[dict[str, Any]] = []
    for time in ("2026-11-22T11:15:07.123Z", "2026-11-22T11:19:40.000Z"):
        cloud.overhear("StartExecution", calls)
        assert run(cloud, put_body(image, eventTime=time, awsRegion=time)) == []
    assert calls[0] == calls[1]
    assert len(started(cloud)) == 1


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED"])
def test_an_execution_that_exists_already_is_success(cloud: Cloud, status: str) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.end(cloud.start(image), status)
    assert run(cloud, put_body(image), put_body(image)) == []
    assert len(started(cloud)) == 1


def test_an_object_that_is_gone_is_started_all_the_same_dated_by_the_event(cloud: Cloud) -> None:
    event = event_file("sqs_s3_put.json")
    assert failed_messages(event, cloud.run("starter", event)) == []
    (image,) = started(cloud)
    assert image.key == "images/Ann_Lee_0001.jpg"
    assert image.version_id == "096fKKXTRTtl3on89fVO.nfljtsv6qko"
    assert image.last_modified == datetime(2026, 11, 22, 11, 15, 7, 123000, tzinfo=UTC)


def test_a_version_behind_a_delete_marker_is_started_too(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.s3.delete_object(Bucket=IMAGES, Key=image.key)
    assert run(cloud, put_body(image)) == []
    assert started(cloud) == [image]


def test_a_delete_marker_that_a_message_names_is_gone_too(cloud: Cloud) -> None:
    """S3 answers 405 to HeadObject of one, and not 404."""
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.fail_next("HeadObject", "405", status=405)
    assert run(cloud, put_body(image)) == []
    assert [found.digest for found in started(cloud)] == [image.digest]


@pytest.mark.parametrize("body", [r["body"] for r in event_file("sqs_malformed.json")["Records"]])
def test_a_message_that_is_not_understood_fails_alone(cloud: Cloud, body: str) -> None:
    images = [cloud.upload(f"images/Ann_{n}.jpg", PHOTO) for n in range(2)]
    assert run(cloud, put_body(images[0]), body, put_body(images[1])) == [1]
    assert started(cloud) == images


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("HeadObject", "503", 503),
        ("HeadObject", "403", 403),
        ("StartExecution", "ThrottlingException", 400),
        ("StartExecution", "StateMachineDoesNotExist", 400),
    ],
)
def test_a_message_for_which_a_service_failed_comes_again_and_is_started_then(
    cloud: Cloud, operation: str, code: str, status: int
) -> None:
    images = [cloud.upload(f"images/Ann_{n}.jpg", PHOTO) for n in range(2)]
    cloud.fail_next(operation, code, status=status)
    assert run(cloud, *map(put_body, images)) == [0]
    assert started(cloud) == images[1:]
    assert run(cloud, put_body(images[0])) == []
    assert set(started(cloud)) == set(images)


def test_a_service_that_does_not_answer_fails_only_its_message(cloud: Cloud) -> None:
    images = [cloud.upload(f"images/Ann_{n}.jpg", PHOTO) for n in range(2)]
    cloud.break_next("HeadObject", EndpointConnectionError(endpoint_url="https://s3"))
    assert run(cloud, *map(put_body, images)) == [0]
    assert started(cloud) == images[1:]


def test_when_every_message_fails_every_message_comes_again(cloud: Cloud) -> None:
    assert run(cloud, "no", "JSON", "at all") == [0, 1, 2]


@given(value=json_values, data=st.data())
@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_any_body_either_succeeds_or_comes_again(
    cloud: Cloud, value: Any, data: st.DataObject
) -> None:
    document = json.loads(event_file("sqs_s3_put.json")["Records"][0]["body"])
    described = document["Records"][0]
    places = [(document, "Records"), *((described, name) for name in described)]
    places += [(described["s3"], name) for name in described["s3"]]
    places += [(described["s3"]["object"], name) for name in described["s3"]["object"]]
    holder, name = data.draw(st.sampled_from(places))
    holder[name] = value
    for body in (json.dumps(value), json.dumps(document)):
        assert run(cloud, body) in ([], [0])


def test_executions_are_started_no_faster_than_the_pace_over_all_batches(cloud: Cloud) -> None:
    starter = cloud.handler("starter", STARTS_PER_SECOND="4")
    time = FakeTime()
    turns = SharedStartSlots(own_client("dynamodb"), PACE_TABLE)
    starter.pace = Pace(starter.settings.rate, turns, clock=time.clock, sleep=time.sleep)
    begin = time.now
    images = [cloud.upload(f"images/Ann_{n}.jpg", PHOTO) for n in range(7)]
    run(cloud, *map(put_body, images[:4]))
    assert time.now - begin == pytest.approx(3 / 4)
    run(cloud, *map(put_body, images[4:]))
    assert time.now - begin == pytest.approx(6 / 4)
    assert len(started(cloud)) == 7


def test_a_starter_that_is_new_goes_on_at_the_pace_of_the_one_before(cloud: Cloud) -> None:
    starter = cloud.handler("starter", STARTS_PER_SECOND="20")
    images = [cloud.upload(f"images/Ann_{n}.jpg", PHOTO) for n in range(4)]
    begin = datetime.now(UTC)
    for image in images:
        slots = SharedStartSlots(own_client("dynamodb"), PACE_TABLE)
        starter.pace = Pace(20, slots, clock=clock, sleep=sleep)
        run(cloud, put_body(image))
    assert (datetime.now(UTC) - begin).total_seconds() >= 3 / 20


def test_without_a_turn_nothing_is_started_and_the_message_comes_again(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.fail_next("UpdateItem", "ThrottlingException")
    assert run(cloud, put_body(image)) == [0]
    assert started(cloud) == []
    assert run(cloud, put_body(image)) == []
    assert started(cloud) == [image]


def test_a_log_line_about_one_message_does_not_name_the_image_of_another(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    event = sqs_event(put_body(image), "not JSON")
    cloud.run("starter", event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (started_line,) = [line for line in lines if line.get("message") == "execution started"]
    other_id = event["Records"][1]["messageId"]
    (other,) = [line for line in lines if line.get("message_id") == other_id]
    assert started_line["correlation_id"] == image.digest
    assert other.get("correlation_id") != image.digest


# --- How many faces there are ---


def sizes(capsys: pytest.CaptureFixture[str]) -> list[float]:
    """Each value of the metric of the collection's size that the log holds."""
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [value for line in lines for value in line.get("FacesInCollection", [])]


def test_the_size_of_the_collection_is_measured_once_an_hour_over_all_starters(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.rekognition.copy_faces(COLLECTION, "a-face", angle=0, count=7)
    time = FakeTime()

    def start(*, instance: str) -> list[float]:
        starter = cloud.handler("starter")
        starter.counting_faces = occasions[instance]
        run(cloud, put_body(cloud.upload("images/Ann_1.jpg", PHOTO)))
        return sizes(capsys)

    occasions = {
        name: Occasion(
            FACES_COUNTED_EVERY,
            SharedStartSlots(own_client("dynamodb"), PACE_TABLE, line="counts"),
            clock=time.clock,
        )
        for name in ("one", "another")
    }
    assert [start(instance="one"), start(instance="another"), start(instance="one")] == [
        [7],
        [],
        [],
    ]
    time.now += 3600
    cloud.rekognition.copy_faces(COLLECTION, "another-face", angle=0, count=1)
    assert [start(instance=name) for name in ("another", "one")] == [[8], []]


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ThrottlingException", "ResourceNotFoundException"]
)
def test_photographs_are_started_whether_or_not_the_faces_can_be_counted(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.rekognition.fail_next(code)
    assert run(cloud, put_body(image)) == []
    assert started(cloud) == [image]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (warning,) = [line for line in lines if line.get("level") == "WARNING"]
    assert "were not counted" in warning["message"]
    assert image.digest not in json.dumps(warning)


def test_a_table_that_fails_keeps_the_faces_from_being_counted_and_nothing_else(
    cloud: Cloud,
) -> None:
    image = cloud.upload("images/Ann_1.jpg", PHOTO)
    cloud.handler("starter", STARTS_PER_SECOND="inf")  # so the count's turn is the only write
    cloud.fail_next("UpdateItem", "ThrottlingException", times=2)
    assert run(cloud, put_body(image)) == []
    assert started(cloud) == [image]


def test_a_starter_makes_no_client_of_rekognition_before_it_counts(cloud: Cloud) -> None:
    made = []
    real = cloud._client

    def recorded(service: str, **options: Any) -> Any:
        made.append(service)
        return real(service, **options)

    cloud._monkeypatch.setattr(clients.session, "create_client", recorded)
    cloud.handler("starter")
    assert "rekognition" not in made
    run(cloud, put_body(cloud.upload("images/Ann_1.jpg", PHOTO)))
    assert made.count("rekognition") == 1
    run(cloud, put_body(cloud.upload("images/Ann_2.jpg", PHOTO)))
    assert made.count("rekognition") == 1
