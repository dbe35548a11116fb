"""What `facematch failures` says: each object, under the remedy that fits it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from unittest.mock import patch

from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.cli.options import Where
from tests.unit.cloud import deployment_of

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud


def failed(cloud: Cloud, key: str, cause: str) -> None:
    cloud.fail(cloud.upload(key, b""), error="Lambda.AWSLambdaException", cause=cause)


def said(cloud: Cloud, *options: str) -> str:
    with patch.object(Where, "deployment", lambda _: deployment_of(cloud)):
        result = CliRunner().invoke(app, ["failures", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_ten_objects_of_a_reason_are_printed_and_the_document_has_all(cloud: Cloud) -> None:
    keys = [f"images/A{number:02}.jpg" for number in range(12)]
    for key in keys:
        failed(cloud, key, "Status Code: 500")

    text = said(cloud)

    assert [key in text for key in keys] == [True] * 10 + [False] * 2
    assert "and 2 more" in text
    (group,) = json.loads(said(cloud, "--json"))
    assert group["keys"] == keys


def test_one_error_with_two_causes_has_two_remedies(cloud: Cloud) -> None:
    failed(cloud, "images/A.jpg", "Status Code: 403; Error Code: AccessDeniedException")
    failed(cloud, "images/B.jpg", "Status Code: 500")

    groups = json.loads(said(cloud, "--json"))

    assert len(groups) == 2
    (denied,) = [group for group in groups if "lambda:InvokeFunction" in group["remedy"]]
    assert denied["keys"] == ["images/A.jpg"]
