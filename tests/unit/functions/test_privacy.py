"""A person's name stands in no log line, no metric and no exception: there the digest stands."""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.aws.buckets import ImagesBucket
from functions.matching.errors import Reason
from functions.matching.keys import external_image_id
from functions.matching.reports import report_key
from tests.unit.cloud import COLLECTION, IMAGES, THRESHOLD_PARAMETER, put_body, sqs_event
from tests.unit.fake_rekognition import photograph
from tests.unit.functions.test_failure_step import caught, ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

KEY = "images/Zebulon Quixote/Zebulon_Quixote_0001.jpg"
LONG_KEY = f"images/Zebulon Quixote/{'é' * 200}_0001.jpg"
OTHER_KEY = "images/Wilhelmina_Xanthippe_0001.jpg"
SECRETS = ("zebulon", "quixote", "wilhelmina", "xanthippe", str(external_image_id(KEY)))
UNREACHABLE = EndpointConnectionError(
    endpoint_url=f"https://{IMAGES}.s3.eu-central-1.amazonaws.com/{KEY}"
)


@dataclass(frozen=True)
class Scenario:
    """A step's name, and what it is given after something has been arranged."""

    step: str
    event: Callable[[Cloud, UploadedImage], Any]

    def __repr__(self) -> str:
        return f"{self.step}: {self.event.__name__}"


SCENARIOS: list[Scenario] = []


def scenario(step: str) -> Callable[[Any], Any]:
    def register(event: Callable[[Cloud, UploadedImage], Any]) -> Any:
        SCENARIOS.append(Scenario(step, event))
        return event

    return register


# --- starter ---


@scenario("starter")
def success(_: Cloud, image: UploadedImage) -> Any:
    return sqs_event(put_body(image))


@scenario("starter")
def duplicate(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.end(cloud.start(image), "SUCCEEDED")
    return sqs_event(put_body(image))


@scenario("starter")
def object_gone(_: Cloud, image: UploadedImage) -> Any:
    return sqs_event(put_body(replace(image, version_id="none")))


@scenario("starter")
def unusable_key(cloud: Cloud, _: UploadedImage) -> Any:
    return sqs_event(put_body(cloud.upload(LONG_KEY, b"x")))


@scenario("starter")
def another_bucket(_: Cloud, image: UploadedImage) -> Any:
    return sqs_event(put_body(replace(image, bucket="zebulons-bucket")))


@scenario("starter")
def another_prefix(_: Cloud, image: UploadedImage) -> Any:
    return sqs_event(put_body(replace(image, key=f"elsewhere/{KEY}")))


@scenario("starter")
def malformed(_: Cloud, image: UploadedImage) -> Any:
    body = put_body(image)
    return sqs_event(
        body[:-9],
        put_body(image, eventTime="Zebulon"),
        put_body(image, s3={"bucket": KEY}),
        body.replace(str(image.size), '"Zebulon"'),
        body.replace("images/", "images/%FF"),
    )


@scenario("starter")
def s3_throttled(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.fail_next("HeadObject", "SlowDown", status=503, message=KEY)
    return sqs_event(put_body(image))


@scenario("starter")
def s3_unreachable(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.break_next("HeadObject", UNREACHABLE)
    return sqs_event(put_body(image))


@scenario("starter")
def start_throttled(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.fail_next("StartExecution", "ThrottlingException", message=image.execution_name)
    return sqs_event(put_body(image))


@scenario("starter")
def start_refused(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.fail_next("StartExecution", "InvalidName", message=image.execution_name)
    return sqs_event(put_body(image))


# --- index ---


def index_event(image: UploadedImage) -> Any:
    return {"image": image.to_payload()}


@scenario("index")
def indexed(_: Cloud, image: UploadedImage) -> Any:
    return index_event(image)


UPLOADS = {
    "no_face": (KEY, photograph()),
    "not_an_image": (KEY, b"Zebulon Quixote"),
    "empty": (KEY, b""),
    "too_small": (KEY, photograph(0, width=10)),
    "key_too_long": (LONG_KEY, photograph(0)),
    "unnamed": ("images/Zebulon Quixote/.jpg", photograph(0)),
}


def uploaded(name: str) -> Callable[[Cloud, UploadedImage], Any]:
    def event(cloud: Cloud, _: UploadedImage) -> Any:
        return index_event(cloud.upload(*UPLOADS[name]))

    event.__name__ = name
    return event


for upload in UPLOADS:
    scenario("index")(uploaded(upload))


@scenario("index")
def too_large(_: Cloud, image: UploadedImage) -> Any:
    return index_event(replace(image, size=2**30))


@scenario("index")
def superseded(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.upload(KEY, photograph(90))
    return index_event(image)


@scenario("index")
def gone(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.s3.delete_object(Bucket=IMAGES, Key=KEY)
    return index_event(image)


@scenario("index")
def throttled(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.rekognition.fail_next("ThrottlingException", message="Rate exceeded")
    return index_event(image)


@scenario("index")
def forbidden(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.fail_next("HeadObject", "403", status=403, message="Forbidden")
    return index_event(image)


@scenario("index")
def unreadable(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.rekognition.fail_next("InvalidS3ObjectException", message="Unable to get object metadata")
    return index_event(image)


@scenario("index")
def unreachable(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.break_next("HeadObject", UNREACHABLE)
    return index_event(image)


@scenario("index")
def malformed_payload(_: Cloud, image: UploadedImage) -> Any:
    return {"image": {**image.to_payload(), "lastModified": None}}


# --- search ---


def search_event(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.index(cloud.upload(OTHER_KEY, photograph(3)))
    return {"image": image.to_payload(), "index": cloud.index(image)}


@scenario("search")
def matched(cloud: Cloud, image: UploadedImage) -> Any:
    return search_event(cloud, image)


@scenario("search")
def not_findable(cloud: Cloud, image: UploadedImage) -> Any:
    event = search_event(cloud, image)
    cloud.rekognition.collections[COLLECTION].clear()
    return event


@scenario("search")
def search_throttled(cloud: Cloud, image: UploadedImage) -> Any:
    event = search_event(cloud, image)
    cloud.rekognition.fail_next("ProvisionedThroughputExceededException", message="Exceeded")
    return event


# --- report ---


def report_event(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.index(cloud.upload(OTHER_KEY, photograph(3)))
    return cloud.report_event(image)


@scenario("report")
def reported(cloud: Cloud, image: UploadedImage) -> Any:
    return report_event(cloud, image)


@scenario("report")
def threshold_impossible(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.set_threshold("0.99")
    return report_event(cloud, image)


@scenario("report")
def threshold_missing(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.ssm.delete_parameter(Name=THRESHOLD_PARAMETER)
    return report_event(cloud, image)


@scenario("report")
def output_throttled(cloud: Cloud, image: UploadedImage) -> Any:
    event = report_event(cloud, image)
    cloud.fail_next("PutObject", "SlowDown", status=503)
    return event


@scenario("report")
def output_forbidden(cloud: Cloud, image: UploadedImage) -> Any:
    event = report_event(cloud, image)
    resource = f"arn:aws:s3:::facematch-output/{report_key(image)}"
    cloud.fail_next("PutObject", "AccessDenied", status=403, message=f"not authorized: {resource}")
    return event


# --- notify ---


def notify_event(cloud: Cloud, image: UploadedImage) -> Any:
    event = report_event(cloud, image)
    return {**event, "report": cloud.run("report", event)}


@scenario("notify")
def notified(cloud: Cloud, image: UploadedImage) -> Any:
    return notify_event(cloud, image)


@scenario("notify")
def sns_throttled(cloud: Cloud, image: UploadedImage) -> Any:
    event = notify_event(cloud, image)
    cloud.fail_next("Publish", "Throttled", status=429)
    return event


@scenario("notify")
def topic_missing(cloud: Cloud, image: UploadedImage) -> Any:
    event = notify_event(cloud, image)
    cloud.sns.delete_topic(TopicArn=cloud.topic_arn)
    return event


# --- failure ---


@scenario("failure")
def rejected(cloud: Cloud, image: UploadedImage) -> Any:
    return caught(cloud, image, Reason.GONE)


@scenario("failure")
def failed(cloud: Cloud, image: UploadedImage) -> Any:
    arn = cloud.start(image)
    cloud.passed_through("IndexFaces", "SearchFaces")
    cloud.end(arn, "FAILED", "KeyError", json.dumps({"errorMessage": KEY}))
    return ended(arn)


@scenario("failure")
def report_stands(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.write(report_key(image), {"status": "UNIQUE"})
    return caught(cloud, image, Reason.SUPERSEDED)


@scenario("failure")
def redriven(cloud: Cloud, image: UploadedImage) -> Any:
    return ended(cloud.start(image))


@scenario("failure")
def execution_unknown(cloud: Cloud, image: UploadedImage) -> Any:
    return ended(cloud.execution_arn(image))


@scenario("failure")
def description_throttled(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.fail_next("DescribeExecution", "ThrottlingException", message="Rate exceeded")
    return ended(cloud.start(image))


@scenario("failure")
def description_forbidden(cloud: Cloud, image: UploadedImage) -> Any:
    arn = cloud.start(image)
    denied = f"is not authorized to perform: states:DescribeExecution on resource: {arn}"
    cloud.fail_next("DescribeExecution", "AccessDeniedException", message=denied)
    return ended(arn)


@scenario("failure")
def history_forbidden(cloud: Cloud, image: UploadedImage) -> Any:
    arn = cloud.start(image)
    cloud.end(arn, "ABORTED")
    denied = f"is not authorized to perform: states:GetExecutionHistory on resource: {arn}"
    cloud.fail_next("GetExecutionHistory", "AccessDeniedException", message=denied)
    return ended(arn)


@scenario("failure")
def failure_unreachable(cloud: Cloud, image: UploadedImage) -> Any:
    cloud.break_next("PutObject", UNREACHABLE)
    return caught(cloud, image, Reason.GONE)


def test_every_step_is_among_the_scenarios() -> None:
    assert {one.step for one in SCENARIOS} == {
        *("starter", "index", "search", "report", "notify", "failure"),
    }


@pytest.mark.parametrize("one", SCENARIOS, ids=repr)
def test_neither_a_name_nor_a_key_is_logged_measured_or_raised(
    cloud: Cloud,
    one: Scenario,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    image = cloud.upload(KEY, photograph(0))
    event = one.event(cloud, image)
    capsys.readouterr()
    caplog.clear()
    raised = ""
    try:
        cloud.run(one.step, event)
    except Exception as error:  # noqa: BLE001 - whatever it is, Lambda writes it to the log
        raised = "".join(traceback.format_exception(error))
    out, err = capsys.readouterr()
    records = "\n".join(str(record.__dict__) for record in caplog.records)
    written = f"{out}\n{err}\n{caplog.text}\n{records}\n{raised}".lower()
    assert written.strip()
    assert [secret for secret in SECRETS if secret.lower() in written] == []


@pytest.mark.parametrize(
    ("step", "event"), [("starter", success), ("index", indexed), ("failure", rejected)]
)
def test_the_digest_is_the_correlation_id_of_what_is_logged(
    cloud: Cloud, step: str, event: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    image = ImagesBucket(cloud.s3).version(IMAGES, cloud.upload(KEY, photograph(0)).key, None)
    assert image
    given = event(cloud, image)
    capsys.readouterr()
    cloud.run(step, given)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = [line for line in lines if "message" in line]
    assert logged
    assert {line["correlation_id"] for line in logged} == {image.digest}
