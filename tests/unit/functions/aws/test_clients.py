"""Clients: what may succeed later, and that a local cloud never reaches the real AWS."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore.handlers
import botocore.utils
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.session import get_session

from functions.aws import clients
from functions.aws.clients import availability, client
from functions.matching.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICES = ("s3", "stepfunctions", "rekognition", "ssm", "sns")
LOOPBACK = ("http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566")
FOREIGN = (
    "https://rekognition.eu-central-1.amazonaws.com",
    "http://10.0.0.1:4566",
    "http://127.0.0.1.example.com",
    "http://127.0.0.1@example.com",
    "127.0.0.1:4566",
)


@pytest.fixture
def _on_the_local_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMATCH_LOCAL", "1")
    session = get_session()  # reads the environment anew
    # What it reads of the services from files is the same for all.
    session.register_component("data_loader", clients.session.get_component("data_loader"))
    monkeypatch.setattr(clients, "session", session)


local = pytest.mark.usefixtures("_on_the_local_cloud")


def client_or_refusal(service: str) -> str | None:
    """The host that a client would call; None when it is refused."""
    try:
        endpoint: str = client(service).meta.endpoint_url
    except (RuntimeError, ValueError):
        return None
    return urlsplit(endpoint).hostname


@local
@pytest.mark.parametrize("service", SERVICES)
def test_without_an_endpoint_the_local_cloud_has_no_client(service: str) -> None:
    with pytest.raises(RuntimeError, match="refusing"):
        client(service)


@local
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("endpoint", FOREIGN)
def test_a_foreign_endpoint_is_refused_on_the_local_cloud(
    service: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises((RuntimeError, ValueError)):
        client(service)


@local
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("endpoint", LOOPBACK)
def test_an_endpoint_on_this_machine_is_called_on_the_local_cloud(
    service: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert client(service).meta.endpoint_url == endpoint


#: How botocore spells the variable for one service: after its id, not after its boto3 name.
OWN_VARIABLES = {"stepfunctions": ("AWS_ENDPOINT_URL_SFN", "AWS_ENDPOINT_URL_STEPFUNCTIONS")}


@local
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("own", "common"),
    [(LOOPBACK[0], None), (FOREIGN[0], LOOPBACK[0]), (LOOPBACK[0], FOREIGN[0])],
)
def test_no_mixture_of_endpoints_leads_to_the_real_aws(
    service: str, own: str, common: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if common:
        monkeypatch.setenv("AWS_ENDPOINT_URL", common)
    for variable in OWN_VARIABLES.get(service, (f"AWS_ENDPOINT_URL_{service.upper()}",)):
        with monkeypatch.context() as one_variable:
            one_variable.setenv(variable, own)
            assert client_or_refusal(service) in {"127.0.0.1", None}


@local
@pytest.mark.parametrize("service", SERVICES)
def test_endpoints_that_botocore_is_told_to_ignore_are_no_protection(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", LOOPBACK[0])
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert client_or_refusal(service) in {"127.0.0.1", None}


def test_on_aws_clients_call_aws() -> None:
    assert client("rekognition").meta.endpoint_url.endswith(".amazonaws.com")


def _error(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "IndexFaces")


@pytest.mark.parametrize(
    "error",
    [
        _error("ProvisionedThroughputExceededException", 400),
        _error("ThrottlingException", 400),
        _error("TooManyRequestsException", 429),
        _error("InternalServerError", 500),
        _error("503", 503),
        _error("SlowDown", 503),
        ReadTimeoutError(endpoint_url="https://x"),
        ConnectTimeoutError(endpoint_url="https://x"),
        EndpointConnectionError(endpoint_url="https://x"),
    ],
    ids=repr,
)
def test_what_may_succeed_later_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable), availability():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        _error("AccessDeniedException", 400),
        _error("403", 403),
        _error("404", 404),
        _error("InvalidParameterException", 400),
        _error("InvalidImageFormatException", 400),
        _error("ResourceNotFoundException", 400),
        NoCredentialsError(),
        KeyError("Face"),
    ],
    ids=repr,
)
def test_what_retrying_does_not_mend_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, availability():
        raise error
    assert raised.value is error


def _sent(made: Any, operation: str, body: bytes, call: Callable[[], object]) -> Any:
    """The one request of a call, which is answered here."""
    sent: list[Any] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> Any:
        sent.append(request)
        answered: Any = AWSResponse(request.url, 200, HTTPHeaders(), None)
        answered._content = body
        return answered

    made.meta.events.register_first(f"before-send.*.{operation}", answer)
    call()
    (request,) = sent
    return request


def test_a_record_is_written_without_asking_first_whether_it_may_be() -> None:
    s3 = client("s3")

    request = _sent(
        s3,
        "PutObject",
        b"",
        lambda: s3.put_object(Bucket="facematch-output", Key="reports/1.json", Body=b"{}"),
    )

    assert "Expect" not in request.headers
    assert b"{}" in request.body.read()  # among its checksum


def test_a_botocore_without_what_is_not_documented_costs_speed_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lambda brings botocore along, and may change its version under a deployed function."""
    names = {
        botocore.handlers: ("add_expect_header", "add_recursion_detection_header"),
        botocore.utils: ("parse_timestamp",),
    }
    with monkeypatch.context() as another:
        for module, gone in names.items():
            for name in gone:
                another.delattr(module, name)
        file = importlib.util.find_spec("functions.aws.clients")
        assert file
        assert file.loader
        without = importlib.util.module_from_spec(file)
        file.loader.exec_module(without)

    for service in SERVICES:
        made = without.client(service)
        assert made.meta.service_model.service_name == service
    assert without.session.get_component("response_parser_factory")


# --- Traces ---

ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"
RECORDED = f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1"


def _trace_told(
    service: str, trace: str | None, monkeypatch: pytest.MonkeyPatch, operation: str, **asked: str
) -> str | None:
    """The trace id in the header of a call that a function makes, as bytes or text."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "Starter")
    if trace is None:
        monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    else:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    made = client(service)
    method = getattr(made, xform_name(operation))
    told = _sent(made, operation, b"{}", lambda: method(**asked)).headers.get("X-Amzn-Trace-Id")
    return told.decode() if isinstance(told, bytes) else told


STARTED = {"stateMachineArn": "arn:aws:states:eu-central-1:111122223333:stateMachine:Faces"}


@pytest.mark.parametrize(
    "trace",
    [
        None,
        ROOT,  # of a function that is not traced and passes on what it got
        f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=0",  # or used to
        f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=?",
    ],
)
def test_an_execution_decides_itself_whether_it_is_traced_when_nothing_before_it_is(
    trace: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _trace_told("stepfunctions", trace, monkeypatch, "StartExecution", **STARTED)

    assert told is None


def test_an_execution_is_part_of_the_uploads_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _trace_told("stepfunctions", RECORDED, monkeypatch, "StartExecution", **STARTED)

    assert told == RECORDED


def test_other_calls_belong_to_their_functions_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    not_recorded = RECORDED.replace("Sampled=1", "Sampled=0")
    for trace in (RECORDED, not_recorded):
        told = _trace_told(
            "rekognition", trace, monkeypatch, "DescribeCollection", CollectionId="a"
        )
        assert told == trace


# --- Moments ---


@pytest.mark.parametrize(
    "written",
    [
        "Sun, 22 Nov 2026 21:50:34 GMT",  # a header of HTTP, as of HeadObject
        "Sunday, 22-Nov-26 21:50:34 GMT",  # its old form
        "2026-11-22T21:50:34.000Z",
        "2026-11-22T22:50:34+01:00",
        1795384234,
        1795384234.0,
    ],
)
def test_a_moment_is_read_however_a_service_writes_it(written: object) -> None:
    found = clients._moment(written)

    assert found == datetime(2026, 11, 22, 21, 50, 34, tzinfo=UTC)


@pytest.mark.parametrize("written", ["yesterday GMT", "never", ""])
def test_what_is_no_moment_is_an_error(written: str) -> None:
    with pytest.raises(ValueError, match=r"timestamp|date"):
        clients._moment(written)


def test_the_clients_read_moments_by_it() -> None:
    of_clients = clients._new_session()
    made: Any = of_clients.create_client("s3", region_name="us-east-1")

    parser = made._endpoint._response_parser_factory.create_parser("rest-xml")

    assert parser._timestamp_parser is clients._moment
