"""Who reaches the services of a local cloud: neither strangers on the machine nor web pages."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import urllib.parse
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from facematch.local.keys import AccessKey, AccessKeys
from tests.page.chromium import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facematch.local.state_folder import Running
    from tests.workflow.conftest import Workflow

#: None of them is a key of this cloud. The emulator takes the first four for the account's root.
STRANGERS = {
    "no key": None,
    "an empty key": "",
    "test": "test",
    "an account's number": "000000000000",
    "a key of AWS": "AKIAIOSFODNN7EXAMPLE",
    "another cloud's key": AccessKey.random().id,
}
#: A page's wish: with a custom resource in it, a template runs code.
TEMPLATE = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
STACK = "from-a-page"


@pytest.fixture
def running(workflow: Workflow) -> Running:
    assert workflow.cloud.running
    return workflow.cloud.running


@pytest.fixture
def keys(workflow: Workflow) -> AccessKeys:
    return AccessKeys.read(workflow.cloud.home.keys)


def status_of(
    url: str, service: str, target: str | None, key: str | None, *, presigned: bool
) -> int:
    """The status of a harmless call, with a key where the header or the query has it."""
    credential = f"{key}/20260101/us-east-1/{service}/aws4_request"
    signature = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
    path = "/"
    headers: dict[str, str] = {}
    if target:
        headers |= {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    if key is not None and presigned:
        path += f"?X-Amz-Credential={urllib.parse.quote(credential, safe='')}"
    elif key is not None:
        headers["Authorization"] = signature
    address = urllib.parse.urlsplit(url).netloc
    with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
        connection.request("POST" if target else "GET", path, "{}" if target else None, headers)
        answer = connection.getresponse()
        answer.read()
    return answer.status


def statuses(running: Running, key: str | None) -> list[int]:
    """Of a call to each port, with the key in the header and with the key in the query."""
    rekognition = ("rekognition", "RekognitionService.ListCollections")
    calls = (
        (running.endpoint, "s3", None),  # which lists the buckets
        (running.endpoint, "ssm", "AmazonSSM.DescribeParameters"),
        (running.rekognition, *rekognition),
    )
    handed_on = status_of(running.endpoint, *rekognition, key, presigned=False)
    return [
        *(
            status_of(url, service, target, key, presigned=presigned)
            for url, service, target in calls
            for presigned in (False, True)
        ),
        handed_on,
    ]


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_reaches_no_service_on_either_port(running: Running, name: str) -> None:
    assert statuses(running, STRANGERS[name]) == [403] * 7


@pytest.mark.parametrize("whose", ["user", "functions"])
def test_a_key_of_this_cloud_reaches_every_service(
    running: Running, keys: AccessKeys, whose: str
) -> None:
    assert statuses(running, getattr(keys, whose).id) == [200] * 7


@pytest.mark.parametrize(
    "path",
    [
        *("/_ministack/health", "/health", "/_localstack/health", "/_ministack/config"),
        *("/_ministack/reset", "/_facematch/deployed", "/_facematch/refusal"),
        *("/_ministack/lambda-code/x", "/_ministack/cfn-response/x", "/%5fministack/reset"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS", "HEAD"])
def test_no_address_is_open_to_strangers(running: Running, path: str, method: str) -> None:
    for url in (running.endpoint, running.rekognition):
        address = urllib.parse.urlsplit(url).netloc
        with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
            connection.request(method, path)
            assert connection.getresponse().status == 403


def test_keys_that_the_cloud_issues_are_admitted(workflow: Workflow, running: Running) -> None:
    iam, sts = workflow.cloud.client("iam"), workflow.cloud.client("sts")
    iam.create_user(UserName="issued")
    user = iam.create_access_key(UserName="issued")["AccessKey"]
    session = sts.assume_role(
        RoleArn="arn:aws:iam::000000000000:role/issued", RoleSessionName="issued"
    )["Credentials"]

    for issued in (user, session):
        assert statuses(running, issued["AccessKeyId"]) == [200] * 7


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_works_with_a_key_of_this_cloud_only(
    workflow: Workflow, running: Running, keys: AccessKeys, version: str
) -> None:
    found = {"Bucket": workflow.deployment.output_bucket, "Key": "presigned"}
    workflow.s3.put_object(**found, Body=b"content")

    def answer(key: AccessKey) -> tuple[int, bytes]:
        client = client_of("s3", running.endpoint, key, signature_version=version)
        url = urllib.parse.urlsplit(client.generate_presigned_url("get_object", Params=found))
        with closing(http.client.HTTPConnection(url.netloc, timeout=10)) as connection:
            connection.request("GET", f"{url.path}?{url.query}")
            answered = connection.getresponse()
            return answered.status, answered.read()

    assert answer(keys.user) == (200, b"content")
    assert answer(AccessKey("test", "test"))[0] == 403
    assert answer(AccessKey.random())[0] == 403


def client_of(service: str, endpoint: str, key: AccessKey, **options: Any) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **options
        ),
    )


def test_a_large_upload_of_a_stranger_ends_with_the_reason(
    workflow: Workflow, running: Running
) -> None:
    """And not with a connection that breaks, after which a client tries again."""
    stranger = AccessKey("test", "test")
    target = {"Bucket": workflow.deployment.images_bucket, "Key": "images/Ann_Lee_0001.jpg"}
    with pytest.raises(ClientError, match="facematch local env"):
        client_of("s3", running.endpoint, stranger).put_object(**target, Body=b"x" * 14_000_000)
    image = {"Bytes": b"x" * 4_000_000}
    with pytest.raises(ClientError, match="facematch local env"):
        client_of("rekognition", running.rekognition, stranger).index_faces(
            CollectionId=workflow.deployment.outputs["CollectionId"], Image=image
        )


def answer_of(
    url: str, key: str, operation: str, parameters: object, *, content_length: int | None = None
) -> tuple[int, str | None, dict[str, Any]]:
    """Status, content type and content of a Rekognition call, without what is another each time."""
    body = json.dumps(parameters).encode()
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"RekognitionService.{operation}",
    }
    if content_length is not None:
        headers["Content-Length"] = str(content_length)
    address = urllib.parse.urlsplit(url).netloc
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
    assert answer.headers["x-amzn-RequestId"] == content.pop(
        "Logref", answer.headers["x-amzn-RequestId"]
    )
    return answer.status, answer.headers["Content-Type"], content


def test_rekognition_answers_at_the_emulators_address_as_at_its_own(
    workflow: Workflow, running: Running, keys: AccessKeys
) -> None:
    collection = workflow.deployment.outputs["CollectionId"]
    photograph = base64.b64encode(workflow.photograph("obama.jpg")).decode()
    large = base64.b64encode(bytes(9 * 1024 * 1024)).decode()
    calls: dict[tuple[str, int], dict[str, Any]] = {
        ("DescribeCollection", 200): {"CollectionId": collection},
        ("DetectFaces", 200): {"Image": {"Bytes": photograph}},
        ("DescribeCollection", 400): {"CollectionId": "nobody"},
        ("IndexFaces", 400): {"CollectionId": collection, "Image": {"Bytes": large}},
        ("StartProjectVersion", 400): {},
    }

    for (operation, status), parameters in calls.items():
        here, there = (
            answer_of(url, keys.user.id, operation, parameters)
            for url in (running.endpoint, running.rekognition)
        )
        assert here == there
        assert here[0] == status
    # A body that is announced to be endless is refused before it comes.
    endless = answer_of(running.endpoint, keys.user.id, "IndexFaces", {}, content_length=10**15)
    assert endless[2]["__type"] == "ImageTooLargeException"


def test_faces_that_are_indexed_at_one_address_are_found_at_the_other(
    workflow: Workflow, running: Running, keys: AccessKeys
) -> None:
    client = client_of("rekognition", running.endpoint, keys.user)
    own = client_of("rekognition", running.rekognition, keys.user)
    image = {"Bytes": workflow.photograph("obama.jpg")}
    client.create_collection(CollectionId="one-url")
    try:
        (indexed,) = client.index_faces(CollectionId="one-url", Image=image)["FaceRecords"]
        (listed,) = own.list_faces(CollectionId="one-url")["Faces"]
        assert listed["FaceId"] == indexed["Face"]["FaceId"]
        assert client.list_faces(CollectionId="one-url")["Faces"] == [listed]
    finally:
        client.delete_collection(CollectionId="one-url")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_faces(CollectionId="one-url")


@pytest.mark.parametrize("header", [("Origin", "https://example.org"), ("Host", "example.org")])
def test_a_page_in_a_browser_reaches_rekognition_at_no_address(
    running: Running, keys: AccessKeys, header: tuple[str, str]
) -> None:
    """Even one that knows the key."""
    name, value = header
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={keys.user.id}/",
        "X-Amz-Target": "RekognitionService.ListCollections",
        name: value,
    }
    for url in (running.endpoint, running.rekognition):
        address = urllib.parse.urlsplit(url).netloc
        with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
            connection.request("POST", "/", "{}", headers)
            answer = connection.getresponse()
            assert answer.status == 403
            assert b"not pages in a browser" in answer.read()


@pytest.fixture
def page(running: Running) -> Iterator[str]:
    """URL of a page of another program, which leads on to the emulator."""
    wish = urllib.parse.urlencode(
        {"Action": "CreateStack", "StackName": STACK, "TemplateBody": json.dumps(TEMPLATE)}
    )
    address = f"{running.endpoint}/?{wish}"

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", address)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_browser_that_is_redirected_to_the_emulator_creates_nothing(
    workflow: Workflow, page: str
) -> None:
    """A link from another program: the browser says "Sec-Fetch-Site: none", here too."""
    with chromium() as browser:
        answer = browser.new_page().goto(page)
        assert answer
        assert answer.request.redirected_from
        told = (answer.status, answer.text())

    assert told[0] == 403
    assert "not pages in a browser" in told[1]
    stacks = workflow.cloud.client("cloudformation").list_stacks()["StackSummaries"]
    assert STACK not in {stack["StackName"] for stack in stacks}
