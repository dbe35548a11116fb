"""What a handler meets at its edges: AWS services by moto, Rekognition by its fake."""

from __future__ import annotations

import importlib
import json
import sys
import uuid
import warnings
from collections import defaultdict, deque
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote_plus

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.stepfunctions.models import stepfunctions_backends

from facematch.stack.deployment import Deployment
from functions.aws import clients
from functions.aws.buckets import ImagesBucket
from functions.aws.start_slots import KEY_NAME
from functions.matching.failures import Failure, FailureStatus, failure_record
from functions.matching.identity import FROM_FILE, compiled_names_from
from functions.matching.keys import replay_name
from functions.matching.reports import (
    delivery_failure_key,
    failure_key,
    look_alikes_key,
    matches_key,
    report_key,
)
from tests.unit.fake_athena import FakeAthena
from tests.unit.fake_rekognition import FakeRekognition

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from functions.matching.images import UploadedImage

EVENTS = Path(__file__).parents[1] / "events"
REGION = "eu-central-1"
ACCOUNT = "123456789012"
IMAGES = "facematch-images"
OUTPUT = "facematch-output"
COLLECTION = "FaceMatching-collection"
THRESHOLD_PARAMETER = "/FaceMatching/notify-threshold"
PACE_TABLE = "FaceMatching-pace"


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function of its invocation."""

    function_name: str = "FaceMatching-Function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:123456789012:function:FaceMatching"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"


def event_file(name: str) -> Any:
    """A real event, from the folder of them."""
    return json.loads((EVENTS / name).read_text())


def sqs_event(*bodies: str) -> dict[str, Any]:
    """A batch of messages with these bodies, in the envelope that Lambda gives them."""
    envelope = event_file("sqs_s3_put.json")["Records"][0]
    return {
        "Records": [{**envelope, "messageId": str(uuid.uuid4()), "body": body} for body in bodies]
    }


def put_body(*images: UploadedImage, **changes: Any) -> str:
    """What S3 says in a message when these objects have been put."""
    records = []
    for image in images:
        record = deepcopy(json.loads(event_file("sqs_s3_put.json")["Records"][0]["body"]))
        described = record["Records"][0]
        described["s3"]["bucket"]["name"] = image.bucket
        described["s3"]["object"].update(
            key=quote_plus(image.key, safe="/"),
            size=image.size,
            eTag=image.etag,
            versionId=image.version_id,
        )
        if image.version_id is None:
            del described["s3"]["object"]["versionId"]
        records.append({**described, **changes})
    return json.dumps({"Records": records})


def failed_messages(event: dict[str, Any], answer: dict[str, Any]) -> list[int]:
    """Positions in the batch of the messages that a handler gave back."""
    ids = [record["messageId"] for record in event["Records"]]
    return sorted(ids.index(item["itemIdentifier"]) for item in answer["batchItemFailures"])


def _response(status: int) -> AWSResponse:
    return AWSResponse("", status, HTTPHeaders(), None)


@cache
def own_client(service: str) -> Any:
    """A client of the tests themselves; made once, since that takes longer than a whole test."""
    return boto3.client(service)  # type: ignore[call-overload] # any service


#: Of the handlers; made once, for the same reason.
_handlers_clients: dict[str, Any] = {}


def _interfere(**call: Any) -> Any:
    return Cloud.current.before_call(**call)


class Cloud:
    """A deployed stack's resources, and the handlers that work on them.

    The clients here are for arranging and looking; the handlers have their own.
    """

    current: ClassVar[Cloud]

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Cloud.current = self
        self._monkeypatch = monkeypatch
        self._make: Any = clients.session.create_client
        self._interference: defaultdict[str, deque[Callable[[dict[str, Any]], Any]]]
        self._interference = defaultdict(deque)
        self._history: list[dict[str, Any]] = []
        self._handlers: dict[str, Any] = {}
        self.s3 = own_client("s3")
        self.sqs = own_client("sqs")
        self.sns = own_client("sns")
        self.ssm = own_client("ssm")
        self.stepfunctions = own_client("stepfunctions")
        self.rekognition = FakeRekognition(self.s3, own_client("rekognition"), {COLLECTION: {}})
        self.athena = FakeAthena(self.s3, OUTPUT)
        for bucket in (IMAGES, OUTPUT):
            self.s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        own_client("dynamodb").create_table(
            TableName=PACE_TABLE,
            KeySchema=[{"AttributeName": KEY_NAME, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": KEY_NAME, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.version_bucket("Enabled")
        self.set_threshold("99")
        self.topic_arn: str = self.sns.create_topic(Name="Matches")["TopicArn"]
        self.state_machine_arn, self.removal_state_machine_arn = (
            str(
                self.stepfunctions.create_state_machine(
                    name=name,
                    definition='{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}',
                    roleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}",
                )["stateMachineArn"]
            )
            for name in ("FaceMatching", "FaceMatching-removal")
        )
        monkeypatch.setattr(clients.session, "create_client", self._client)
        environment = {
            "IMAGES_BUCKET": IMAGES,
            "IMAGE_PREFIX": "images/",
            "STATE_MACHINE_ARN": self.state_machine_arn,
            "REMOVAL_STATE_MACHINE_ARN": self.removal_state_machine_arn,
            "STARTS_PER_SECOND": "1000",
            "PACE_TABLE": PACE_TABLE,
            "MAX_FACES": "1",
            "SEVERAL_FACES": "largest",
            "COLLECTION_ID": COLLECTION,
            "QUALITY_FILTER": "AUTO",
            "NAMES_FROM": FROM_FILE,
            "SEARCH_THRESHOLD": "80",
            "MAX_MATCHES": "100",
            "OUTPUT_BUCKET": OUTPUT,
            "NOTIFY_THRESHOLD_PARAMETER": THRESHOLD_PARAMETER,
            "MATCHES_TOPIC_ARN": self.topic_arn,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    # --- Handlers ---

    def handler(self, module: str, **environment: str) -> Any:
        """The module of a handler, imported for this cloud; once, as in one Lambda worker."""
        if module not in self._handlers:
            for name, value in environment.items():
                self._monkeypatch.setenv(name, value)
            self.forget_handlers()
            self._handlers[module] = importlib.import_module(f"functions.{module}")
        loaded = self._handlers[module]
        loaded.logger.registered_handler.stream = sys.stdout  # the one that is captured now
        return loaded

    def run(self, module: str, event: Any) -> Any:
        """Invoke a handler; JSON goes in and comes out, as between Lambda and Step Functions."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No application metrics to publish")
            answer = self.handler(module).handler(json.loads(json.dumps(event)), Context())
        return json.loads(json.dumps(answer))

    def forget_handlers(self) -> None:
        """Let the next import read the environment anew."""
        for name in (
            "starter",
            "index",
            "search",
            "report",
            "notify",
            "failure",
            "removal",
            "observability",
        ):
            sys.modules.pop(f"functions.{name}", None)

    def _client(self, service: str, **options: Any) -> Any:
        if service == "rekognition":
            return self.rekognition
        if service not in _handlers_clients:
            made = self._make(service, **options)
            made.meta.events.register_first("before-call", _interfere)
            _handlers_clients[service] = made
        return _handlers_clients[service]

    # --- What goes wrong or happens meanwhile ---

    def fail_next(
        self,
        operation: str,
        code: str,
        *,
        status: int = 400,
        times: int = 1,
        message: str = "",
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Let the handlers' next calls of an operation fail, after something has happened."""
        answer = (
            _response(status),
            {
                "Error": {"Code": code, "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": status},
            },
        )

        def fail(_: dict[str, Any]) -> Any:
            meanwhile()
            return answer

        self._interference[operation].extend([fail] * times)

    def break_next(self, operation: str, error: Exception, *, times: int = 1) -> None:
        """Let the handlers' next calls of an operation end without an answer."""

        def fail(_: dict[str, Any]) -> None:
            raise error

        self._interference[operation].extend([fail] * times)

    def meanwhile(self, operation: str, action: Callable[[], object]) -> None:
        """Do something right before a handler's next call of an operation."""

        def act(_: dict[str, Any]) -> None:
            action()

        self._interference[operation].append(act)

    def overhear(self, operation: str, heard: list[dict[str, Any]]) -> None:
        """Write down the body of a handler's next call of an operation, which goes on."""
        self._interference[operation].append(lambda call: heard.append(json.loads(call["body"])))

    def before_call(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        if model.name == "GetExecutionHistory" and self._history:
            return self._history_page(json.loads(params["body"]))
        waiting = self._interference[model.name]
        return waiting.popleft()(params) if waiting else None

    # --- Images ---

    def version_bucket(self, status: str) -> None:
        self.s3.put_bucket_versioning(Bucket=IMAGES, VersioningConfiguration={"Status": status})

    def upload(self, key: str, content: bytes, bucket: str = IMAGES) -> UploadedImage:
        """Put an object; the image as S3 describes it."""
        self.s3.put_object(Bucket=bucket, Key=key, Body=content)
        image = ImagesBucket(self.s3).version(bucket, key, None)
        assert image
        return image

    def index(self, image: UploadedImage) -> Any:
        """What the index step says of the image."""
        return self.run("index", {"image": image.to_payload()})

    def search(self, image: UploadedImage, indexed: Any) -> Any:
        """What the search step says of the image."""
        return self.run("search", {"image": image.to_payload(), "index": indexed})

    def report_event(self, image: UploadedImage) -> dict[str, Any]:
        """Index and search the image: what the report step is given."""
        indexed = self.index(image)
        return {
            "image": image.to_payload(),
            "index": indexed,
            "search": self.search(image, indexed),
            "execution_arn": self.execution_arn(image),
        }

    # --- What has been written ---

    def records(self, key: str) -> list[dict[str, Any]] | None:
        """The lines of an object in the output bucket; None when it is not there."""
        try:
            body = self.s3.get_object(Bucket=OUTPUT, Key=key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        return [json.loads(line) for line in body.splitlines()]

    def report(self, image: UploadedImage) -> dict[str, Any] | None:
        found = self.records(report_key(image))
        return found[0] if found else None

    def rows(self, image: UploadedImage) -> list[dict[str, Any]]:
        return self.records(matches_key(image)) or []

    def look_alikes(self, image: UploadedImage) -> list[dict[str, Any]]:
        return self.records(look_alikes_key(image)) or []

    def failure(self, image: UploadedImage) -> dict[str, Any] | None:
        found = self.records(failure_key(image))
        return found[0] if found else None

    def delivery_failure(self, image: UploadedImage) -> dict[str, Any] | None:
        found = self.records(delivery_failure_key(image))
        return found[0] if found else None

    def write(self, key: str, *records: dict[str, Any]) -> None:
        body = "".join(json.dumps(record) + "\n" for record in records)
        self.s3.put_object(Bucket=OUTPUT, Key=key, Body=body.encode())

    def fail(self, image: UploadedImage, *, error: str, cause: str) -> None:
        """Write the failure record of an image whose index step failed."""
        failure = Failure(
            status=FailureStatus.FAILED,
            step="IndexFaces",
            error=error,
            cause=cause,
            execution_arn="arn",
            failed_at=image.last_modified,
        )
        pattern = compiled_names_from(FROM_FILE)
        self.write(failure_key(image), failure_record(image, failure, names_from=pattern))

    # --- Step Functions, SSM ---

    def set_threshold(self, value: str) -> None:
        self.ssm.put_parameter(Name=THRESHOLD_PARAMETER, Value=value, Type="String", Overwrite=True)

    def execution_arn(self, image: UploadedImage) -> str:
        machine = self.state_machine_arn.replace(":stateMachine:", ":execution:")
        return f"{machine}:{image.execution_name}"

    def executions(self) -> list[dict[str, Any]]:
        """Every execution, with its input."""
        pages = self.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=self.state_machine_arn
        )
        return [
            self.stepfunctions.describe_execution(executionArn=execution["executionArn"])
            for page in pages
            for execution in page["executions"]
        ]

    def start(self, image: UploadedImage, *, replay: int = 0) -> str:
        """Start the image's execution, as the starter does, or a replay of it; its ARN."""
        started = self.stepfunctions.start_execution(
            stateMachineArn=self.state_machine_arn,
            name=replay_name(image.execution_name, replay),
            input=image.execution_input,
        )
        return str(started["executionArn"])

    def end(
        self, execution_arn: str, status: str, error: str | None = None, cause: str | None = None
    ) -> None:
        """End an execution, which moto does not execute by itself."""
        backend = stepfunctions_backends[ACCOUNT][REGION]
        execution = backend.describe_execution(execution_arn)
        execution.status = status
        execution.error = error
        execution.cause = cause

    def passed_through(self, *states: str) -> None:
        """Let executions have entered these states, the last of which they never left."""
        self._history = [{"type": "ExecutionStarted"}]
        for state in states:
            details = {"name": state, "input": "{}"}
            self._history += [
                {"type": "TaskStateEntered", "stateEnteredEventDetails": details},
                {"type": "TaskScheduled"},
                {"type": "TaskSucceeded"},
                {"type": "TaskStateExited", "stateExitedEventDetails": details},
            ]
        self._history[-2:] = [{"type": "TaskFailed"}, {"type": "ExecutionFailed"}]

    def _history_page(self, request: dict[str, Any]) -> tuple[AWSResponse, dict[str, Any]]:
        events = self._history[::-1] if request.get("reverseOrder") else self._history
        start = int(request.get("nextToken", 0))
        page: dict[str, Any] = {"events": events[start : start + 2]}
        if start + 2 < len(events):
            page["nextToken"] = str(start + 2)
        return _response(200), page


def deployment_of(
    cloud: Cloud, *, make_client: Callable[[str], Any] = own_client, **outputs: str
) -> Deployment:
    """The stack whose resources the cloud holds, as the command line knows it.

    Parameters
    ----------
    outputs
        More of the stack's outputs than all have.
    """
    return Deployment(
        stack_name="FaceMatching",
        local=False,
        outputs={
            "ImagesBucket": IMAGES,
            "ImagePrefix": "images/",
            "NamePattern": compiled_names_from(FROM_FILE).pattern,
            "OutputBucket": OUTPUT,
            "StateMachineArn": cloud.state_machine_arn,
            "RemovalStateMachineArn": cloud.removal_state_machine_arn,
            "NotifyThresholdParameter": THRESHOLD_PARAMETER,
            "AnalyticsWorkgroup": "FaceMatching",
            "AnalyticsDatabase": "facematching",
            **outputs,
        },
        make_client=lambda service: cloud.athena if service == "athena" else make_client(service),
    )
