"""The functions in the real Lambda runtime client, as a check on the emulator's own worker."""

from __future__ import annotations

import io
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workflow.conftest import Workflow

pytest.importorskip("awslambdaric", reason="the Lambda runtime client has no wheel for this system")


def zipped(bootstrap: str | None) -> bytes:
    """The functions, with the program that starts the runtime client if one is given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((PROJECT / "functions").rglob("*.py")):
            archive.write(path, path.relative_to(PROJECT))
        if bootstrap:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, bootstrap)
    return buffer.getvalue()


@pytest.fixture
def index_in_the_real_runtime(workflow: Workflow) -> Iterator[None]:
    client, name = workflow.cloud.client("lambda"), workflow.function("Index")
    usual = client.get_function_configuration(FunctionName=name)["Runtime"]
    start = f'#!/bin/sh\nexec "{sys.executable}" -m awslambdaric "$_HANDLER"\n'
    client.update_function_code(FunctionName=name, ZipFile=zipped(start))
    client.update_function_configuration(FunctionName=name, Runtime="provided.al2023")
    yield
    client.update_function_code(FunctionName=name, ZipFile=zipped(None))
    client.update_function_configuration(FunctionName=name, Runtime=usual)


@pytest.mark.usefixtures("index_in_the_real_runtime")
def test_the_runtime_client_reports_a_rejection_under_the_name_that_the_machine_catches(
    workflow: Workflow,
) -> None:
    image = workflow.upload("Broken_0001.jpg", b"not a photograph")

    assert workflow.finished(image)["error"] == "ImageRejected"
    assert workflow.failure(image)["reason"] == "NOT_JPEG_OR_PNG"


@pytest.mark.usefixtures("index_in_the_real_runtime")
def test_the_runtime_client_reports_an_unavailable_service_under_the_name_that_is_retried(
    workflow: Workflow,
) -> None:
    workflow.rekognition.fail_next(2, "ThrottlingException", "IndexFaces")
    image = workflow.upload("Ann_Lee_0001.jpg", workflow.photograph("obama.jpg"))
    execution = workflow.finished(image)

    assert execution["status"] == "SUCCEEDED"
    errors = {
        event["taskFailedEventDetails"]["error"]
        for event in workflow.history(execution["executionArn"])
        if "taskFailedEventDetails" in event
    }
    assert errors == {"Unavailable"}
