"""Fixtures of the unit tests: no network, no credentials, a cloud in memory."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import boto3.session
import pytest
from moto import mock_aws

from functions.aws import clients
from tests.unit.cloud import REGION, Cloud
from tests.unit.stacks import an_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import botocore.session

_FROM_OUTSIDE = (
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_SESSION_TOKEN",
    "FACEMATCH_LOCAL",
    "LOG_LEVEL",
    "POWERTOOLS_LOGGER_LOG_EVENT",
    "POWERTOOLS_DEV",
)


@pytest.fixture(autouse=True)
def _nothing_from_outside(
    socket_disabled: None,  # noqa: ARG001 - for what it does
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Sockets off; neither the credentials nor the settings of whoever runs the tests."""
    for name in _FROM_OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    nowhere: Path = tmp_path_factory.getbasetemp() / "nowhere"
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(nowhere),
        "AWS_SHARED_CREDENTIALS_FILE": str(nowhere),
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "unit",
        "POWERTOOLS_METRICS_NAMESPACE": "FaceMatching",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    of_boto3, of_functions = _sessions()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", of_boto3)
    monkeypatch.setattr(clients, "session", of_functions)


@cache
def _sessions() -> tuple[boto3.session.Session, botocore.session.Session]:
    """Shared, since a session's first client of a service takes long to make.

    And made here, after moto has been imported, which else would not hear of their calls.
    """
    return boto3.session.Session(), clients._new_session()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A deployed stack's resources, by moto, and a Rekognition that behaves."""
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        made = Cloud(monkeypatch)
        yield made
        made.forget_handlers()


@pytest.fixture
def account() -> Iterator[Callable[[str], Any]]:
    """An account with two stacks, one of which is to be deleted."""
    with an_account() as made:
        yield made
