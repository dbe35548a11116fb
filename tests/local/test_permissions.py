"""Least privilege, proven: without each right of each function's role, its step visibly fails.

On a local cloud of its own that enforces the synthesised roles. docs/permissions.md lists the
rights; what is deployed has to be exactly that, and every right that can be enforced here has to
be in `PROOFS`, with the situation in which its function needs it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import boto3
import pytest
from botocore import UNSIGNED, xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core import iam_evaluator

from facematch.local.clients import local_client
from facematch.local.cloud import LocalCloud
from facematch.local.emulator.addresses import Loopback
from facematch.local.keys import AccessKeys
from facematch.local.rekognition.protocol import OPERATIONS
from facematch.local.state_folder import StateFolder
from functions.aws.events import ObjectCreated, Origin, created_message
from functions.aws.start_slots import KEY_NAME
from functions.matching.images import Removal, Subject, UploadedImage
from functions.matching.places import Place
from functions.matching.register import register_key
from functions.matching.reports import delivery_failure_key, failure_key, report_key
from tests.workflow.conftest import WAIT_SCALE, eventually, workflow_on
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.workflow.conftest import Workflow

DOCUMENT = (PROJECT / "docs" / "permissions.md").read_text()
#: Of every function: its log, and its traces. Nobody enforces them here.
OF_ALL = {
    *("logs:CreateLogStream", "logs:PutLogEvents"),
    *("xray:PutTraceSegments", "xray:PutTelemetryRecords"),
}
#: Used by an AWS service on the function's behalf, which the emulator does without asking.
ENFORCED_ON_AWS_ONLY = {
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"),
    *("kms:Decrypt", "kms:GenerateDataKey"),
}
SEARCH_FACES = ("rekognition:SearchFaces", "<collection>")
#: What a refusal looks like, in the words of each service and step.
REFUSED = re.compile(
    r"\(403\)|AccessDenied|AuthorizationError|InvalidS3ObjectException"
    r"|the SSM parameter \S+ cannot be read|stays in the queue"
)
#: What the same step says when it may do everything: also that an image is gone.
USUAL = re.compile(
    r"fine$|ImageRejected: (GONE|SUPERSEDED|SEVERAL_PEOPLE)"
    r"|Unavailable: the face \S+ cannot be found"
)


class Right(NamedTuple):
    """An action of a function's role on a resource, which is named as `readable` does."""

    function: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.function}: {self.action} on {self.resource}"


def readable(arn: str) -> str:
    """An ARN without region, account and the parts that are generated."""
    text = re.sub(r"^arn:aws:[a-z0-9-]*:[a-z0-9-]*:\d*:", "", arn)
    text = re.sub(r"(?i)FaceMatching-([a-z]+?)[0-9a-f]{8}-[0-9a-f]+", _construct, text)
    text = re.sub(r"key/[0-9a-f-]{36}", "<key>", text)
    return text.replace("collection/FaceMatching-local", "<collection>")


def _construct(found: re.Match[str]) -> str:
    return f"<{re.sub('^(intake|topics|failures)', '', found[1].lower())}>"


def documented() -> dict[Right, str]:
    """The rows of the document's tables, and how each right is proven."""
    rows = {}
    for section in DOCUMENT.split("\n## ")[1:]:
        function = section.split("\n", 1)[0].strip("` ")
        for action, resource, how in re.findall(
            r"^\| `([^`]+)` \| `([^`]+)` \|.*\| (\S+) \|$", section, re.MULTILINE
        ):
            rows[Right(function, action, resource)] = how
    return rows


def named(rights: Iterable[Right]) -> list[str]:
    return sorted(map(str, rights))


def listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


class Stage:
    """The deployed workflow, and its functions one by one."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.iam = workflow.cloud.client("iam")
        self.client = workflow.cloud.client("lambda", read_timeout=90)
        self.functions = {
            function["Handler"].split(".")[1]: function
            for function in self.client.list_functions()["Functions"]
        }
        (self._mapping,) = self.client.list_event_source_mappings()["EventSourceMappings"]
        self._taking_messages = True

    # --- Roles --------------------------------------------------------------------------------

    def policies(self, function: str) -> dict[str, dict[str, Any]]:
        """The documents of the policies of a function's role, by their names."""
        role = self._role(function)
        return {
            name: self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        }

    def rights(self) -> set[Right]:
        """Each right of each function."""
        return {
            Right(function, action, readable(resource))
            for function in self.functions
            for document in self.policies(function).values()
            for statement in document["Statement"]
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }

    @contextmanager
    def without(self, right: Right) -> Iterator[None]:
        """Take exactly this right from the function's role."""
        before = self.policies(right.function)
        after = {name: _without(document, right) for name, document in before.items()}
        taken = [name for name in before if len(after[name]["Statement"]) < _size(before[name])]
        assert taken, f"{right.function} has no right to {right.action} on {right.resource}"
        try:
            self._put(right.function, after)
            yield
        finally:
            self._put(right.function, before)

    def _put(self, function: str, documents: dict[str, dict[str, Any]]) -> None:
        for name, document in documents.items():
            self.iam.put_role_policy(
                RoleName=self._role(function),
                PolicyName=name,
                PolicyDocument=json.dumps(document),
            )

    def _role(self, function: str) -> str:
        return str(self.functions[function]["Role"].rpartition("/")[2])

    # --- Steps --------------------------------------------------------------------------------

    def take_messages(self, *, yes: bool) -> None:
        """Let the starter have what is in the queue, or leave it there."""
        if yes == self._taking_messages:
            return
        if yes:  # what came meanwhile was not for it
            self.workflow.cloud.client("sqs").purge_queue(
                QueueUrl=self.workflow.deployment.outputs["QueueUrl"]
            )
        self.client.update_event_source_mapping(UUID=self._mapping["UUID"], Enabled=yes)
        self._taking_messages = yes

    def call(self, function: str, payload: dict[str, Any]) -> str:
        """Invoke a function; returns what it says, or its error and why."""
        answer = self.client.invoke(
            FunctionName=self.functions[function]["FunctionName"], Payload=json.dumps(payload)
        )
        said = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            return f"{said['errorType']}: {said['errorMessage']}"
        if said and said.get("batchItemFailures"):
            return "the message stays in the queue"
        return "fine"

    def start(self, body: str) -> str:
        """Give the starter one message."""
        record = {
            "messageId": "1",
            "receiptHandle": "1",
            "body": body,
            "attributes": {},
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": self._mapping["EventSourceArn"],
            "awsRegion": "us-east-1",
        }
        return self.call("starter", {"Records": [record]})

    def log(self, function: str) -> list[str]:
        """What the function has logged, line by line."""
        group = self.functions[function]["LoggingConfig"]["LogGroup"]
        events = self.workflow.cloud.client("logs").filter_log_events(logGroupName=group)["events"]
        return [line for event in events for line in event["message"].splitlines()]

    def anew(self, function: str) -> None:
        """Start a function anew, which forgets what it has read."""
        self.workflow.configure(
            self.functions[function]["FunctionName"].split("-")[1].split("Function")[0],
            FRESH=str(time.monotonic()),
        )

    # --- People -------------------------------------------------------------------------------

    @cached_property
    def ann(self) -> UploadedImage:
        """Reported, without a match."""
        return self._reported("Ann_Lee_0001.jpg", "biden.jpg")

    @cached_property
    def bea(self) -> UploadedImage:
        """Reported, with a match under another name and a look-alike under her own; notified."""
        self._reported("Abe_Roe_0001.jpg", "obama.jpg")
        self._reported("Bea_Roe_0002.jpg", "obama3.jpg")
        return self._reported("Bea_Roe_0001.jpg", "obama2.jpg")

    def _reported(self, key: str, photograph: str) -> UploadedImage:
        self.take_messages(yes=True)
        image = self.workflow.upload(key, self.workflow.photograph(photograph))
        assert self.workflow.finished(image)["status"] == "SUCCEEDED"
        self.take_messages(yes=False)
        return image

    @property
    def old(self) -> UploadedImage:
        """Overwritten since."""
        image = self.uploaded("obama.jpg")
        self.uploaded("biden.jpg", over=image)
        return image

    @property
    def gone(self) -> UploadedImage:
        """Of which nothing is there, and never was."""
        return dataclasses.replace(
            self.ann, key=f"{self.workflow.deployment.image_prefix}Nobody_0001.jpg"
        )

    @property
    def deleted(self) -> UploadedImage:
        """Deleted by its version, so that an older one has come back in its place."""
        image = self.uploaded("biden.jpg", over=self.uploaded("obama.jpg"))
        self.workflow.s3.delete_object(
            Bucket=image.bucket, Key=image.key, VersionId=image.version_id
        )
        return image

    def uploaded(self, photograph: str, *, over: UploadedImage | None = None) -> UploadedImage:
        """A version that no execution works on, of a new key or of the key of another version."""
        self.take_messages(yes=False)
        prefix = self.workflow.deployment.image_prefix
        key = over.key.removeprefix(prefix) if over else f"Key_{time.monotonic_ns()}.jpg"
        return self.workflow.upload(key, self.workflow.photograph(photograph))

    def indexed(self, photograph: str) -> UploadedImage:
        """Likewise, with its faces in the collection."""
        image = self.uploaded(photograph)
        assert self.call("index", {"image": image.to_payload()}) == "fine"
        return image

    def way(self, image: UploadedImage) -> dict[str, Any]:
        """What the steps of a version's execution were given, all together."""
        arn = self.workflow.arn(image)
        given: dict[str, Any] = {"execution_arn": arn}
        for event in self.workflow.history(arn):
            details = event.get("stateEnteredEventDetails", {})
            if details.get("name") != "IndexFaces":  # whose input is the image itself
                given |= json.loads(details.get("input", "{}"))
        return given

    @cached_property
    def failed_matching(self) -> str:
        """The ARN of an execution that failed for want of a right."""
        return self._failed("StateMachineArn", self.ann, Right("search", *SEARCH_FACES))

    @cached_property
    def failed_removal(self) -> str:
        """The ARN of a removal that failed for want of a right."""
        right = Right("removal", "s3:GetObject", "<images>/images/*")
        return self._failed("RemovalStateMachineArn", removal_of(self.ann), right)

    @cached_property
    def undelivered(self) -> UploadedImage:
        """Reported, with a match of which nobody was notified."""
        assert self.workflow.report(self.bea)["faces"]  # who looks like it
        return self.uploaded("obama3.jpg")

    @cached_property
    def failed_delivery(self) -> str:
        """The ARN of the execution that reported it and failed for want of a right."""
        right = Right("notify", "sns:Publish", "<matches>")
        return self._failed("StateMachineArn", self.undelivered, right)

    def _failed(self, machine: str, image: Subject, right: Right) -> str:
        with self.without(right):
            arn = self.workflow.stepfunctions.start_execution(
                stateMachineArn=self.workflow.deployment.outputs[machine],
                name=f"unlucky-{time.monotonic_ns()}",
                input=image.execution_input,
            )["executionArn"]
            assert self.workflow.ended(arn)["status"] == "FAILED"
        return str(arn)

    @contextmanager
    def between(self, function: str, key: str, then: Callable[[], object]) -> Iterator[None]:
        """Do something just after the function has written to the output bucket, or tried to."""
        running = self.workflow.cloud.running
        assert running
        path = f"/{self.output}/{key}"
        with S3Between(running.endpoint, path, then) as s3_url:
            self.workflow.configure(function, AWS_ENDPOINT_URL_S3=s3_url)
            try:
                yield
            finally:
                self.workflow.configure(function, AWS_ENDPOINT_URL_S3=running.endpoint)

    @property
    def output(self) -> str:
        """Name of the output bucket."""
        return self.workflow.deployment.outputs["OutputBucket"]


def _without(document: dict[str, Any], right: Right) -> dict[str, Any]:
    """The policy, one statement for each action on each resource, without those of the right."""
    statements = [
        {**statement, "Action": action, "Resource": resource}
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if (action, readable(resource)) != (right.action, right.resource)
    ]
    return {**document, "Statement": statements}


def _size(document: dict[str, Any]) -> int:
    return sum(
        len(listed(statement["Action"])) * len(listed(statement["Resource"]))
        for statement in document["Statement"]
    )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = StateFolder(tmp_path_factory.mktemp("cloud"))
    with (
        LocalCloud(home, wait_scale=WAIT_SCALE, enforce_permissions=True) as cloud,
        workflow_on(cloud) as workflow,
    ):
        # Else there is no pace here, and nothing asks the table that keeps it.
        workflow.configure("Starter", STARTS_PER_SECOND="50")
        yield Stage(workflow)


# --- The situations in which a right is needed ------------------------------------------------

#: Takes a step, as often as it is called; what it says.
Step: TypeAlias = "Callable[[], str]"
#: Prepares what the step needs a right for.
Situation: TypeAlias = "Callable[[Stage], Step]"


def message(of: str, *, version: bool = False, origin: Origin = Origin.UPLOAD) -> Situation:
    """The starter gets a message about an image."""

    def prepare(stage: Stage) -> Step:
        image: UploadedImage = getattr(stage, of)
        body = created_message(
            ObjectCreated(
                bucket=image.bucket,
                key=image.key,
                version_id=image.version_id if version else None,
                etag=image.etag,
                size=image.size,
                event_time=image.last_modified,
                origin=origin,
            )
        )
        return lambda: stage.start(body)

    return prepare


def removal_message(stage: Stage) -> Step:
    """The starter hears that an object was deleted."""
    record = {
        "eventName": "ObjectRemoved:Delete",
        "eventTime": "2026-11-22T11:15:07.000Z",
        "s3": {
            "bucket": {"name": stage.gone.bucket},
            "object": {"key": stage.gone.key, "versionId": "v1", "sequencer": "01"},
        },
    }
    return lambda: stage.start(json.dumps({"Records": [record]}))


def counting_faces(stage: Stage) -> Step:
    """The starter gets a message, and nobody has counted the faces in the hour before."""
    start = message("ann")(stage)
    dynamodb = stage.workflow.cloud.client("dynamodb")
    count = {KEY_NAME: {"S": "counts of faces"}}
    told = 0

    def counted() -> str | None:
        for line in stage.log("starter")[told:]:
            if "faces of the collection were not counted" in line:
                return str(json.loads(line)["error"])
            if "FacesInCollection" in line:
                return "fine"
        return None

    def start_and_count() -> str:
        nonlocal told
        told = len(stage.log("starter"))
        dynamodb.delete_item(TableName=stage.workflow.deployment.outputs["PaceTable"], Key=count)
        stage.anew("starter")
        said = start()
        return eventually(counted) if said == "fine" else said

    return start_and_count


def indexing(of: str) -> Situation:
    """The index step gets an image, whose key it may know already."""

    def prepare(stage: Stage) -> Step:
        image: UploadedImage = getattr(stage, of)
        return lambda: stage.call("index", {"image": image.to_payload()})

    return prepare


def indexing_over_another(stage: Stage) -> Step:
    """An image was overwritten by one with another face: the old face leaves."""
    newer = stage.uploaded("biden.jpg", over=stage.indexed("obama.jpg"))
    return lambda: stage.call("index", {"image": newer.to_payload()})


def step(function: str, of: str) -> Situation:
    """A step of a matched image, on the way of its execution."""

    def prepare(stage: Stage) -> Step:
        given = stage.way(getattr(stage, of))
        return lambda: stage.call(function, given)

    return prepare


def reporting_of_a_deleted_image(stage: Stage) -> Step:
    """The image left the bucket while it was on its way: its report does not stay."""
    given = {**stage.way(stage.bea), "image": stage.gone.to_payload()}
    return lambda: stage.call("report", given)


def reporting_anew(stage: Stage) -> Step:
    """The report step starts, and knows no threshold."""
    given = stage.way(stage.bea)

    def report() -> str:
        stage.anew("report")
        return stage.call("report", given)

    return report


def searching_for_a_face_that_is_not_there(of: str) -> Situation:
    """A face is not there: not yet, or because its image left the bucket."""

    def prepare(stage: Stage) -> Step:
        given = stage.way(stage.bea)
        face = {**given["index"]["faces"][0], "face_id": "00000000-0000-4000-8000-000000000000"}
        image: UploadedImage = getattr(stage, of)
        given |= {"index": {**given["index"], "faces": [face]}, "image": image.to_payload()}
        return lambda: stage.call("search", given)

    return prepare


def removal_of_an_indexed_image(stage: Stage) -> Step:
    """An image that has faces in the collection and records was deleted."""
    image = stage.indexed("obama.jpg")
    stage.workflow.s3.delete_object(Bucket=image.bucket, Key=image.key)
    removal = removal_of(image)
    return lambda: stage.call("removal", {"removal": removal.to_payload()})


def removal_of_what_is_there_again(stage: Stage) -> Step:
    """A key has an object again by the time that its removal runs."""
    removal = removal_of(stage.bea)
    return lambda: stage.call("removal", {"removal": removal.to_payload()})


def removal_of_what_was_never_indexed(stage: Stage) -> Step:
    """A key that has neither an object nor a register, before its removal leaves one."""

    def remove() -> str:
        key = f"images/Never_There_{uuid.uuid4()}.jpg"
        removal = dataclasses.replace(removal_of(stage.gone), key=key)
        return stage.call("removal", {"removal": removal.to_payload()})

    return remove


def removal_of(image: UploadedImage) -> Removal:
    return Removal(
        bucket=image.bucket,
        key=image.key,
        version_id="the-delete-marker",
        sequencer="01",
        removed_at=image.last_modified,
    )


def rejection(of: str) -> Situation:
    """The state machine hands a rejected image to the failure function."""

    def prepare(stage: Stage) -> Step:
        image: UploadedImage = getattr(stage, of)
        event = _rejection(image)
        return lambda: stage.call("failure", event)

    return prepare


def _rejection(image: UploadedImage) -> dict[str, Any]:
    return {
        "image": image.to_payload(),
        "step": "IndexFaces",
        "error": {"Error": "ImageRejected", "Cause": '{"errorMessage": "GONE"}'},
        "execution_arn": "arn",
    }


def rejection_that_a_report_overtakes(stage: Stage) -> Step:
    """A replay reports the image just when its failure was written: the record is taken back."""
    image = stage.gone
    report = {"Bucket": stage.output, "Key": report_key(image)}

    def overtaken() -> str:
        s3 = stage.workflow.s3
        try:
            with stage.between(
                "Failure", failure_key(image), lambda: s3.put_object(**report, Body=b"{}")
            ):
                return stage.call("failure", _rejection(image))
        finally:
            s3.delete_object(**report)

    return overtaken


def failed_delivery_that_a_replay_overtakes(stage: Stage) -> Step:
    """Another execution reports the image just when its failure was written."""
    tell = failure_of("failed_delivery")(stage)
    image, s3 = stage.undelivered, stage.workflow.s3
    report = {"Bucket": stage.output, "Key": report_key(image)}
    body = s3.get_object(**report)["Body"].read()
    anew = body.replace(stage.failed_delivery.encode(), b"arn of another")

    def overtaken() -> str:
        s3.put_object(**report, Body=body)
        with stage.between(
            "Failure", delivery_failure_key(image), lambda: s3.put_object(**report, Body=anew)
        ):
            return tell()

    return overtaken


def indexing_of_a_key_that_is_forgotten(stage: Stage) -> Step:
    """A key's register is there for the first write, and was deleted before it is read."""
    image = stage.bea
    key = register_key(image.bucket, image.key)
    body = stage.workflow.s3.get_object(Bucket=stage.output, Key=key)["Body"].read()

    def index() -> str:
        s3 = stage.workflow.s3
        s3.put_object(Bucket=stage.output, Key=key, Body=body)
        with stage.between("Index", key, lambda: s3.delete_object(Bucket=stage.output, Key=key)):
            return stage.call("index", {"image": image.to_payload()})

    return index


class S3Between:
    """Passes requests on to S3, and does something after the first write of a certain object."""

    def __init__(self, target: str, path: str, then: Callable[[], object]) -> None:
        to_do = [then]

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
                request = urllib.request.Request(
                    target + self.path, data=body or None, headers=headers, method=self.command
                )
                try:
                    with urllib.request.urlopen(request, timeout=30) as answer:
                        self.done()
                        self.answer(answer.status, answer.headers, answer.read())
                except urllib.error.HTTPError as error:
                    self.done()
                    self.answer(error.code, error.headers, error.read())

            do_GET = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815 - as the base class has it

            def done(self) -> None:
                written = self.command == "PUT" and urllib.parse.unquote(self.path) == path
                if written and to_do:
                    to_do.pop()()

            def answer(self, status: int, headers: Any, body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in {"connection", "date", "server", "transfer-encoding"}:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def failure_of(execution: str) -> Situation:
    """EventBridge tells of an execution that failed."""

    def prepare(stage: Stage) -> Step:
        event = {"detail": {"executionArn": getattr(stage, execution), "stopDate": 1795346171250}}
        return lambda: stage.call("failure", event)

    return prepare


PROOFS: dict[Right, Situation] = {
    Right(*right.split(" ")): situation
    for right, situation in {
        "starter s3:GetObject <images>/images/*": message("ann"),
        "starter s3:GetObjectVersion <images>/images/*": message("ann", version=True),
        "starter s3:ListBucket <images>": message("gone"),
        "starter s3:ListBucketVersions <images>": message("deleted", version=True),
        "starter s3:GetObject <output>/reports/*": message("ann", origin=Origin.BACKFILL),
        "starter s3:ListBucket <output>": message("gone", origin=Origin.BACKFILL),
        "starter dynamodb:UpdateItem table/<pace>": message("ann"),
        "starter rekognition:DescribeCollection <collection>": counting_faces,
        "starter states:StartExecution stateMachine:FaceMatching": message("ann"),
        "starter states:StartExecution stateMachine:FaceMatching-removal": removal_message,
        "index s3:GetObject <images>/images/*": indexing("bea"),
        "index s3:GetObjectVersion <images>/images/*": indexing("bea"),
        "index s3:ListBucket <images>": indexing("gone"),
        "index s3:ListBucketVersions <images>": indexing("deleted"),
        "index rekognition:IndexFaces <collection>": indexing("bea"),
        "index rekognition:DeleteFaces <collection>": indexing_over_another,
        "index s3:GetObject <output>/indexed/*": indexing("bea"),
        "index s3:PutObject <output>/indexed/*": indexing("bea"),
        "index s3:ListBucket <output>": indexing_of_a_key_that_is_forgotten,
        " ".join(("search", *SEARCH_FACES)): step("search", "bea"),
        "search s3:GetObject <images>/images/*": searching_for_a_face_that_is_not_there("bea"),
        "search s3:GetObjectVersion <images>/images/*": (
            searching_for_a_face_that_is_not_there("old")
        ),
        "search s3:ListBucket <images>": searching_for_a_face_that_is_not_there("gone"),
        "search s3:ListBucketVersions <images>": (
            searching_for_a_face_that_is_not_there("deleted")
        ),
        "report s3:PutObject <output>/reports/*": step("report", "bea"),
        "report s3:PutObject <output>/matches/*": step("report", "bea"),
        "report s3:DeleteObject <output>/matches/*": step("report", "ann"),
        "report s3:PutObject <output>/look_alikes/*": step("report", "bea"),
        "report s3:DeleteObject <output>/look_alikes/*": step("report", "ann"),
        "report s3:DeleteObject <output>/failures/*": step("report", "bea"),
        "report s3:DeleteObject <output>/delivery_failures/*": step("report", "bea"),
        "report s3:DeleteObject <output>/reports/*": reporting_of_a_deleted_image,
        "report s3:GetObject <output>/decisions/*": step("report", "bea"),
        "report s3:GetObject <output>/indexed/*": step("report", "bea"),
        "report s3:ListBucket <output>": step("report", "bea"),
        "report s3:GetObject <images>/images/*": step("report", "bea"),
        "report s3:ListBucket <images>": reporting_of_a_deleted_image,
        "report ssm:GetParameter parameter/FaceMatching/notify-threshold": reporting_anew,
        "notify sns:Publish <matches>": step("notify", "bea"),
        "notify s3:DeleteObject <output>/delivery_failures/*": step("notify", "bea"),
        "removal s3:GetObject <images>/images/*": removal_of_what_is_there_again,
        "removal s3:ListBucket <images>": removal_of_an_indexed_image,
        "removal rekognition:DeleteFaces <collection>": removal_of_an_indexed_image,
        "removal s3:GetObject <output>/indexed/*": removal_of_an_indexed_image,
        "removal s3:PutObject <output>/indexed/*": removal_of_an_indexed_image,
        "removal s3:ListBucket <output>": removal_of_what_was_never_indexed,
        "removal s3:DeleteObject <output>/reports/*": removal_of_an_indexed_image,
        "removal s3:DeleteObject <output>/matches/*": removal_of_an_indexed_image,
        "removal s3:DeleteObject <output>/look_alikes/*": removal_of_an_indexed_image,
        "removal s3:DeleteObject <output>/failures/*": removal_of_an_indexed_image,
        "removal s3:DeleteObject <output>/delivery_failures/*": removal_of_an_indexed_image,
        "failure s3:PutObject <output>/failures/*": rejection("gone"),
        "failure s3:DeleteObject <output>/failures/*": rejection_that_a_report_overtakes,
        "failure s3:PutObject <output>/delivery_failures/*": failure_of("failed_delivery"),
        "failure s3:DeleteObject <output>/delivery_failures/*": (
            failed_delivery_that_a_replay_overtakes
        ),
        "failure s3:GetObject <output>/reports/*": rejection("ann"),
        "failure s3:ListBucket <output>": rejection("gone"),
        "failure states:DescribeExecution execution:FaceMatching:*": failure_of("failed_matching"),
        "failure states:GetExecutionHistory execution:FaceMatching:*": failure_of(
            "failed_matching"
        ),
        "failure states:DescribeExecution execution:FaceMatching-removal:*": (
            failure_of("failed_removal")
        ),
        "failure states:GetExecutionHistory execution:FaceMatching-removal:*": (
            failure_of("failed_removal")
        ),
    }.items()
}


# --- The tests --------------------------------------------------------------------------------


def test_every_right_of_every_function_is_listed_and_none_that_is_not_there(stage: Stage) -> None:
    deployed = {right for right in stage.rights() if right.action not in OF_ALL}

    assert named(deployed - documented().keys()) == []
    assert named(documented().keys() - deployed) == []


def test_every_right_that_can_be_enforced_here_is_proven_by_taking_it_away() -> None:
    rights = documented()

    proven = {right for right, how in rights.items() if how == "removed"}
    assert named(proven - PROOFS.keys()) == []
    assert named(PROOFS.keys() - proven) == []
    assert {right.action for right in rights.keys() - proven} == ENFORCED_ON_AWS_ONLY
    assert not {right.action for right in proven} & ENFORCED_ON_AWS_ONLY


def retried(take_the_step: Step) -> str:
    """What the step says at last; the state machine, too, takes one again that is Unavailable."""
    said = take_the_step()
    for _ in range(2):
        if not USUAL.match(said):
            time.sleep(0.5)
            said = take_the_step()
    return said


@pytest.mark.parametrize("right", PROOFS, ids=str)
def test_a_step_fails_without_a_right_that_it_has_and_succeeds_with_it(
    stage: Stage, right: Right
) -> None:
    stage.take_messages(yes=False)
    take_the_step = PROOFS[right](stage)

    with stage.without(right):
        refused = take_the_step()
    usual = retried(take_the_step)

    assert REFUSED.search(refused), refused
    assert USUAL.match(usual), usual


REPORT_PLACES = (Place.REPORTS, Place.MATCHES, Place.LOOK_ALIKES, Place.DELIVERY_FAILURES)


@pytest.mark.parametrize("missing", REPORT_PLACES)
def test_a_photograph_of_several_people_is_not_rejected_without_a_right_to_delete_its_report(
    stage: Stage, missing: Place
) -> None:
    """The roles here are those of `several_faces=largest`: the other setting's rights are added."""
    stage.take_messages(yes=False)
    role = stage.functions["index"]["Role"].rpartition("/")[2]

    def allow(*places: Place) -> None:
        resources = [f"arn:aws:s3:::{stage.output}/{place}*" for place in places]
        statement = {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": resources}
        stage.iam.put_role_policy(
            RoleName=role,
            PolicyName="rejecting",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )

    key = f"Two_{time.monotonic_ns()}.jpg"
    image = stage.workflow.upload(key, stage.workflow.two_people("obama.jpg", "biden.jpg"))
    stage.workflow.configure("Index", SEVERAL_FACES="reject")
    try:
        allow(*(place for place in REPORT_PLACES if place is not missing))
        refused = stage.call("index", {"image": image.to_payload()})
        allow(*REPORT_PLACES)
        usual = retried(lambda: stage.call("index", {"image": image.to_payload()}))
    finally:
        stage.workflow.configure("Index", SEVERAL_FACES="largest")
        stage.iam.delete_role_policy(RoleName=role, PolicyName="rejecting")

    assert REFUSED.search(refused), refused
    assert usual.startswith("ImageRejected: SEVERAL_PEOPLE"), usual


def test_an_image_goes_its_whole_way_with_the_synthesised_roles(stage: Stage) -> None:
    workflow = stage.workflow
    notifications = workflow.subscribed("MatchesTopicArn")
    assert workflow.report(stage.bea)["above_threshold"]
    stage.take_messages(yes=True)

    # A copy: the report step asks S3 about the photograph that it is a copy of.
    image = workflow.upload("Cyd_Moe_0001.jpg", workflow.photograph("obama.jpg"))

    assert workflow.finished(image)["status"] == "SUCCEEDED"
    assert workflow.states(workflow.arn(image))[-1] == "NotifyMatch"
    report = workflow.report(image)
    assert (report["status"], report["above_threshold"]) == ("MATCHED", True)
    rows = workflow.records("matches", image)
    assert {"Abe_Roe", "Bea_Roe"} <= {row["matched_name"] for row in rows}
    (message,) = eventually(lambda: notifications() or None)
    assert "Cyd_Moe looks like" in message["Subject"]
    pairs = json.loads(message["Message"])["pairs"]
    assert [pair["other_name"] for pair in pairs if pair["same_file"]] == ["Abe_Roe"]


def test_an_image_is_rejected_and_a_removed_one_leaves_with_the_synthesised_roles(
    stage: Stage,
) -> None:
    workflow = stage.workflow
    stage.take_messages(yes=True)
    broken = workflow.upload("Dan_Fox_0001.jpg", b"not an image")
    removed = workflow.upload("Eve_Gray_0001.jpg", workflow.photograph("biden.jpg"))

    assert workflow.finished(broken)["error"] == "ImageRejected"
    assert workflow.failure(broken)["status"] == "REJECTED"
    assert workflow.finished(removed)["status"] == "SUCCEEDED"
    marker = workflow.s3.delete_object(Bucket=removed.bucket, Key=removed.key)["VersionId"]
    removal = dataclasses.replace(removal_of(removed), version_id=marker)
    machine = workflow.deployment.outputs["RemovalStateMachineArn"]
    executions = machine.replace(":stateMachine:", ":execution:")
    ended = workflow.ended(f"{executions}:{removal.execution_name}")
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]) == {"faces_removed": 1}
    assert workflow.records("reports", removed) == []


def test_an_execution_fails_at_the_step_that_lacks_a_right_and_goes_on_when_it_has_it(
    stage: Stage,
) -> None:
    workflow = stage.workflow
    stage.take_messages(yes=True)
    with stage.without(Right("search", *SEARCH_FACES)):
        image = workflow.upload("Fay_Hill_0001.jpg", workflow.photograph("biden.jpg"))
        ended = workflow.finished(image)

    assert ended["status"] == "FAILED"
    assert "AccessDenied" in ended["cause"]
    assert workflow.states(ended["executionArn"])[-1] == "SearchFaces"
    failure = workflow.failure(image)  # which EventBridge tells of
    assert (failure["status"], failure["step"]) == ("FAILED", "SearchFaces")
    workflow.stepfunctions.redrive_execution(executionArn=ended["executionArn"])
    assert eventually(lambda: workflow.records("reports", image) or None)
    assert workflow.finished(image)["status"] == "SUCCEEDED"


def test_a_message_that_may_not_be_started_comes_again(stage: Stage) -> None:
    workflow = stage.workflow
    stage.take_messages(yes=True)
    workflow.cloud.client("sqs").set_queue_attributes(
        QueueUrl=workflow.deployment.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "2"}
    )

    def refusal() -> str | None:
        lines = stage.log("starter")
        told = (line for line in lines if "no execution started" in line and image.digest in line)
        return next(told, None)

    start = Right("starter", "states:StartExecution", "stateMachine:FaceMatching")
    with stage.without(start):
        image = workflow.upload("Gus_Ives_0001.jpg", workflow.photograph("biden.jpg"))
        assert eventually(refusal)
        assert workflow.executions_of(image) == []

    assert workflow.finished(image)["status"] == "SUCCEEDED"


def test_what_denies_plain_http_admits_the_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iam_evaluator, "_request_origin", Loopback())
    nobody_by_http = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}

    iam_evaluator.pin_request_origin("127.0.0.1", secure_transport=False)
    request = iam_evaluator.EvalContext("arn", "User", "1", "s3:GetObject", "*", "us-east-1")

    policy = {"Statement": [nobody_by_http, everybody]}
    assert iam_evaluator.evaluate_resource_policy(policy, request).decision == "Allow"


# --- Whom the Rekognition endpoint lets in ----------------------------------------------------


@pytest.fixture(params=["rekognition", "endpoint"])
def rekognition_url(stage: Stage, request: pytest.FixtureRequest) -> str:
    """Its own address, or that of the emulator, which hands its calls on."""
    return str(getattr(stage.workflow.cloud.running, request.param))


@pytest.fixture
def user(stage: Stage, rekognition_url: str) -> Iterator[Callable[..., Any]]:
    """A user of the account; called with rights (action, resource), it gives them and a client."""
    name = f"user-{time.monotonic_ns()}"
    stage.iam.create_user(UserName=name)
    key = stage.iam.create_access_key(UserName=name)["AccessKey"]

    def client_with(*rights: tuple[str, str]) -> Any:
        if rights:
            statements = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in rights]
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            stage.iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
        return rekognition_client(rekognition_url, key["AccessKeyId"], key["SecretAccessKey"])

    yield client_with
    stage.iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])


def rekognition_client(url: str, key: str, secret: str) -> Any:
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def code_of(call: Callable[..., object], **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return str(refused.value.response["Error"]["Code"])


COLLECTION = "FaceMatching-local"
FACE = "00000000-0000-4000-8000-000000000000"
CALLS: dict[str, dict[str, Any]] = {
    "CreateCollection": {"CollectionId": "another"},
    "DescribeCollection": {"CollectionId": COLLECTION},
    "ListCollections": {},
    "DeleteCollection": {"CollectionId": COLLECTION},
    "IndexFaces": {"CollectionId": COLLECTION, "Image": {"Bytes": b"-"}},
    "SearchFaces": {"CollectionId": COLLECTION, "FaceId": FACE},
    "ListFaces": {"CollectionId": COLLECTION},
    "DeleteFaces": {"CollectionId": COLLECTION, "FaceIds": [FACE]},
    "SearchFacesByImage": {"CollectionId": COLLECTION, "Image": {"Bytes": b"-"}},
    "DetectFaces": {"Image": {"Bytes": b"-"}},
    "CompareFaces": {"SourceImage": {"Bytes": b"-"}, "TargetImage": {"Bytes": b"-"}},
}


def test_no_operation_is_open_to_a_caller_without_rights(user: Callable[..., Any]) -> None:
    client = user()

    refused = {name: code_of(getattr(client, xform_name(name)), **CALLS[name]) for name in CALLS}

    assert refused == dict.fromkeys(OPERATIONS, "AccessDeniedException")


def test_a_right_is_for_one_operation_on_one_collection(user: Callable[..., Any]) -> None:
    arn = "arn:aws:rekognition:us-east-1:000000000000:collection/"
    client = user(("rekognition:ListFaces", arn + COLLECTION))

    assert "Faces" in client.list_faces(CollectionId=COLLECTION)
    assert code_of(client.list_faces, CollectionId="another") == "AccessDeniedException"
    assert code_of(client.describe_collection, CollectionId=COLLECTION) == "AccessDeniedException"


def test_an_image_is_read_with_the_callers_right_to_that_version(
    stage: Stage, user: Callable[..., Any]
) -> None:
    image = stage.ann
    client = user(
        ("rekognition:IndexFaces", "*"), ("s3:GetObject", f"arn:aws:s3:::{image.bucket}/*")
    )
    current = {"S3Object": {"Bucket": image.bucket, "Name": image.key}}
    version = {"S3Object": {**current["S3Object"], "Version": image.version_id}}
    index = {"CollectionId": COLLECTION, "ExternalImageId": "read-by-a-user"}

    assert client.index_faces(**index, Image=current)["FaceRecords"]
    assert code_of(client.index_faces, **index, Image=version) == "InvalidS3ObjectException"


@pytest.mark.parametrize("denied", ["SourceImage", "TargetImage"])
def test_each_of_two_images_is_read_with_the_callers_right_to_it(
    stage: Stage, user: Callable[..., Any], denied: str
) -> None:
    image = stage.ann
    client = user(
        ("rekognition:CompareFaces", "*"), ("s3:GetObject", f"arn:aws:s3:::{image.bucket}/*")
    )
    current = {"S3Object": {"Bucket": image.bucket, "Name": image.key}}
    version = {"S3Object": {**current["S3Object"], "Version": image.version_id}}
    images = {"SourceImage": current, "TargetImage": current}

    assert client.compare_faces(**images)["FaceMatches"]
    assert code_of(client.compare_faces, **{**images, denied: version}) == (
        "InvalidS3ObjectException"
    )


def test_a_function_has_the_rights_of_its_role_at_the_emulators_address(stage: Stage) -> None:
    running = stage.workflow.cloud.running
    assert running
    take_the_step = PROOFS[Right("search", *SEARCH_FACES)](stage)
    stage.workflow.configure("Search", AWS_ENDPOINT_URL_REKOGNITION=running.endpoint)
    try:
        with stage.without(Right("search", *SEARCH_FACES)):
            refused = take_the_step()
        usual = retried(take_the_step)
    finally:
        stage.workflow.configure("Search", AWS_ENDPOINT_URL_REKOGNITION=running.rekognition)

    assert "AccessDenied" in refused, refused
    assert USUAL.match(usual), usual


def test_the_functions_key_by_itself_is_nobodys(stage: Stage, rekognition_url: str) -> None:
    """It opens the front to the keys that begin with it; it must not be the account's root."""
    cloud = stage.workflow.cloud
    assert cloud.running
    key = AccessKeys.read(cloud.home.keys).functions
    ssm = local_client(cloud.running, key, "ssm")

    assert code_of(ssm.describe_parameters) == "UnrecognizedClientException"
    rekognition = rekognition_client(rekognition_url, key.id, key.secret)
    assert code_of(rekognition.list_collections) == "UnrecognizedClientException"


def test_nobody_is_let_in_with_an_unknown_key_or_without_one(rekognition_url: str) -> None:
    stranger = rekognition_client(rekognition_url, "AKIAIOSFODNN7EXAMPLE", "secret")
    nobody = boto3.client(
        "rekognition",
        endpoint_url=stranger.meta.endpoint_url,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED),
    )

    assert code_of(stranger.list_collections) == "UnrecognizedClientException"
    assert code_of(nobody.list_collections) == "MissingAuthenticationTokenException"
