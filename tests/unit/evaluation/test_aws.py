"""The temporary collection of an evaluation on AWS, when AWS cannot be asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as boto

from facematch.errors import Actionable
from facematch.evaluation.aws import found_by_rekognition
from facematch.stack.temporary_collection import TemporaryCollection

THERE = "https://rekognition.eu-central-1.amazonaws.com"


class Rekognition:
    """Whatever is asked of it ends in one error."""

    meta = SimpleNamespace(region_name="eu-central-1")
    exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)

    def __init__(self, error: Exception) -> None:
        self._error = error

    def create_collection(self, **_: Any) -> None:
        raise self._error

    delete_collection = create_collection


def evaluate(error: Exception) -> None:
    found_by_rekognition(
        TemporaryCollection(Rekognition(error)),
        [],
        max_faces=1,
        quality_filter="AUTO",
        progress=lambda *_: None,
    )


@pytest.mark.parametrize(
    "error",
    [
        boto.NoCredentialsError(),
        boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        boto.TokenRetrievalError(provider="sso", error_msg="expired"),
        boto.EndpointConnectionError(endpoint_url=THERE, error="refused"),
        boto.ProxyConnectionError(proxy_url="http://proxy", error="refused"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_collection_that_was_never_asked_for_is_none_that_is_left(error: Exception) -> None:
    with pytest.raises(type(error)):
        evaluate(error)


@pytest.mark.parametrize(
    "error",
    [
        boto.ReadTimeoutError(endpoint_url=THERE, error="late"),
        boto.ConnectionClosedError(endpoint_url=THERE, error="closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_collection_that_may_have_been_made_is_named_to_be_deleted(error: Exception) -> None:
    with pytest.raises(Actionable, match="aws rekognition delete-collection"):
        evaluate(error)
