"""The synthesised template, deployed to a local cloud of its own, once for these tests."""

from __future__ import annotations

import io
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from PIL import Image

from facematch.local.cloud import LocalCloud
from facematch.local.sample_photographs import fetch_photographs
from facematch.local.state_folder import StateFolder
from facematch.stack.deployment import Deployment, on_local_cloud
from facematch.stack.records import Records
from functions.matching.images import UploadedImage
from functions.matching.places import Place
from tests.workflow.faults import FaultyRekognition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: The waits of Settle and between retries, in parts of their real length.
WAIT_SCALE = 0.02
PATIENCE_SECONDS = 40

T = TypeVar("T")


@dataclass
class Workflow:
    """What the tests do with the deployed workflow, in their words."""

    cloud: LocalCloud
    deployment: Deployment
    rekognition: FaultyRekognition
    photographs: dict[str, Path]
    s3: Any = field(init=False)
    stepfunctions: Any = field(init=False)

    def __post_init__(self) -> None:
        self.s3 = self.cloud.client("s3", max_pool_connections=32)
        self.stepfunctions = self.cloud.client("stepfunctions")

    def photograph(self, name: str) -> bytes:
        return self.photographs[name].read_bytes()

    def two_people(self, name: str, other: str) -> bytes:
        """Return a photograph that shows two others side by side, the second one smaller."""
        sides = [Image.open(self.photographs[each]).convert("RGB") for each in (name, other)]
        heights = (800, 760)
        sides = [
            side.resize((side.width * height // side.height, height))
            for side, height in zip(sides, heights, strict=True)
        ]
        both = Image.new("RGB", (sum(side.width for side in sides), max(heights)))
        both.paste(sides[0], (0, 0))
        both.paste(sides[1], (sides[0].width, 0))
        buffer = io.BytesIO()
        both.save(buffer, "JPEG", quality=92)
        return buffer.getvalue()

    def upload(self, key: str, body: bytes) -> UploadedImage:
        """Put an object below the image prefix and tell what the starter will call it."""
        bucket = self.deployment.images_bucket
        full_key = self.deployment.image_prefix + key
        version = self.s3.put_object(Bucket=bucket, Key=full_key, Body=body)["VersionId"]
        return self.image(full_key, version)

    def image(self, key: str, version: str) -> UploadedImage:
        bucket = self.deployment.images_bucket
        head = self.s3.head_object(Bucket=bucket, Key=key, VersionId=version)
        return UploadedImage(
            bucket=bucket,
            key=key,
            version_id=version,
            etag=head["ETag"].strip('"'),
            size=head["ContentLength"],
            last_modified=head["LastModified"],
        )

    def arn(self, image: UploadedImage) -> str:
        executions = self.deployment.state_machine_arn.replace(":stateMachine:", ":execution:")
        return f"{executions}:{image.execution_name}"

    def executions_of(self, image: UploadedImage) -> list[dict[str, Any]]:
        pages = self.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=self.deployment.state_machine_arn
        )
        return [
            execution
            for page in pages
            for execution in page["executions"]
            if image.digest in execution["name"]
        ]

    def ended(self, execution_arn: str) -> dict[str, Any]:
        """The execution, once it has ended."""
        unknown = self.stepfunctions.exceptions.ExecutionDoesNotExist

        def look() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = self.stepfunctions.describe_execution(
                    executionArn=execution_arn
                )
            except unknown:
                return None
            return found if found["status"] != "RUNNING" else None

        return eventually(look)

    def finished(self, image: UploadedImage) -> dict[str, Any]:
        return self.ended(self.arn(image))

    def history(self, execution_arn: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.stepfunctions.get_execution_history(
            executionArn=execution_arn
        )["events"]
        return events

    def states(self, execution_arn: str) -> list[str]:
        """The states that the execution entered, in order."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history(execution_arn)
            if "stateEnteredEventDetails" in event
        ]

    def records(self, kind: str, image: UploadedImage) -> list[dict[str, Any]]:
        records = Records(self.deployment)
        keys = [key for key in records.keys(Place(f"{kind}/"), image.day) if image.digest in key]
        return list(records.read(keys))

    def report(self, image: UploadedImage) -> dict[str, Any]:
        (report,) = self.records("reports", image)
        return report

    def failure(self, image: UploadedImage) -> dict[str, Any]:
        """The version's failure record, once it is there."""
        return eventually(lambda: next(iter(self.records("failures", image)), None))

    def function(self, part: str) -> str:
        listed = self.cloud.client("lambda").list_functions()["Functions"]
        names = [function["FunctionName"] for function in listed]
        (found,) = [name for name in names if f"{part}Function" in name]
        return str(found)

    def configure(self, part: str, **variables: str) -> None:
        """Change variables of a function's environment, which also starts it anew."""
        client = self.cloud.client("lambda")
        name = self.function(part)
        now = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**now, **variables}}
        )

    def set_notify_threshold(self, value: str) -> None:
        """Set the SSM parameter, and start the report function anew, whose cache knows the old."""
        self.cloud.client("ssm").put_parameter(
            Name=self.deployment.outputs["NotifyThresholdParameter"],
            Value=value,
            Type="String",
            Overwrite=True,
        )
        self.configure("Report", FRESH=str(time.monotonic()))

    def subscribed(self, topic_output: str) -> Callable[[], list[dict[str, Any]]]:
        """Subscribe a queue to a topic; what is returned reads what has arrived so far."""
        sqs, sns = self.cloud.client("sqs"), self.cloud.client("sns")
        queue = sqs.create_queue(QueueName=f"subscriber-{time.monotonic_ns()}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        admitted = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [admitted]})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=self.deployment.outputs[topic_output], Protocol="sqs", Endpoint=arn)
        received: list[dict[str, Any]] = []

        def read() -> list[dict[str, Any]]:
            while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
                "Messages"
            ):
                for message in messages:
                    received.append(json.loads(message["Body"]))
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return received

        return read


def eventually(look: Callable[[], T | None], patience: float = PATIENCE_SECONDS) -> T:
    """What `look` finds, as soon as it finds something; fails when it takes too long."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    pytest.fail(f"nothing within {patience} s")


@contextmanager
def workflow_on(cloud: LocalCloud) -> Iterator[Workflow]:
    """The workflow that a local cloud has deployed."""
    running = cloud.running
    assert running
    with FaultyRekognition(running.rekognition) as rekognition:
        made = Workflow(
            cloud=cloud,
            deployment=on_local_cloud(running, cloud.home),
            rekognition=rekognition,
            photographs=fetch_photographs(),
        )
        for part in ("Index", "Search"):
            made.configure(part, AWS_ENDPOINT_URL_REKOGNITION=rekognition.url)
        yield made


@pytest.fixture(scope="session")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    home = StateFolder(tmp_path_factory.mktemp("cloud"))
    with LocalCloud(home, wait_scale=WAIT_SCALE) as cloud, workflow_on(cloud) as made:
        yield made


@pytest.fixture(autouse=True)
def _usual_threshold_and_no_faults(workflow: Workflow) -> Iterator[None]:
    """Leave no fault, no image and no face behind: each test has its own people."""
    yield
    workflow.rekognition.fail_next(0, "")
    workflow.rekognition.indexed_late = 0.0
    collection = workflow.deployment.outputs["CollectionId"]
    rekognition = workflow.cloud.client("rekognition")
    bucket = workflow.deployment.images_bucket
    versions = workflow.s3.list_object_versions(Bucket=bucket)
    for item in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
        workflow.s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    faces = [face["FaceId"] for face in rekognition.list_faces(CollectionId=collection)["Faces"]]
    if faces:
        rekognition.delete_faces(CollectionId=collection, FaceIds=faces)


@pytest.fixture
def faceless() -> bytes:
    """A picture with nobody in it."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((320, 240)).save(buffer, "PNG")
    return buffer.getvalue()
