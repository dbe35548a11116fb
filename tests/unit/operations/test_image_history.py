"""The history of an image: what was found from the other side, or why it cannot be shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from facematch.cli import main as cli
from facematch.cli.options import Where
from facematch.errors import Unusable
from facematch.operations.image_history import image_history
from facematch.stack.executions import Executions
from tests.unit.album import Album
from tests.unit.cloud import IMAGES, deployment_of, own_client

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud


class Limited:
    """An S3 client of somebody who lacks a right, which S3 answers as it does: with 403."""

    def __init__(self, *denied: str) -> None:
        self._s3 = own_client("s3")
        self._denied = denied

    def __getattr__(self, name: str) -> Any:
        if name not in self._denied:
            return getattr(self._s3, name)

        def deny(**_: Any) -> None:
            response: Any = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(response, name)

        return deny


def as_somebody(cloud: Cloud, *denied: str) -> Deployment:
    return deployment_of(
        cloud,
        make_client=lambda service: Limited(*denied) if service == "s3" else own_client(service),
        RemovalStateMachineArn=cloud.removal_state_machine_arn,
    )


@pytest.fixture
def found(cloud: Cloud) -> tuple[UploadedImage, UploadedImage]:
    """Bo's photograph, which Ann's has found, and a longer key that begins with Bo's."""
    album = Album(cloud)
    bo, ann = album.add("Bo_1.jpg"), album.add("Ann_1.jpg")
    album.report(ann, {bo: 99.5})
    album.add("Bo_1.jpg.jpg")
    return bo, ann


def test_what_others_found_is_shown_with_the_rights_that_the_readme_asks_for(
    cloud: Cloud, found: tuple[UploadedImage, UploadedImage]
) -> None:
    """No s3:GetObject on the images bucket is among them, so S3 answers 403 to HeadObject."""
    bo, ann = found
    told = image_history(as_somebody(cloud, "head_object"), "Bo_1.jpg")
    assert told.image == bo
    assert [row["key"] for row in told.seen_by_others] == [ann.key]


def test_what_must_not_be_looked_at_is_an_error_and_not_silence(
    cloud: Cloud,
    found: tuple[UploadedImage, UploadedImage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bo, _ = found
    cloud.start(bo)  # so that the key needs not be looked up
    denied = as_somebody(cloud, "list_object_versions", "head_object")
    monkeypatch.setattr(Where, "deployment", lambda _: denied)

    shown = CliRunner().invoke(cli.app, ["show", bo.execution_name])

    assert shown.exit_code != 0
    assert isinstance(shown.exception, ClientError)


@pytest.mark.parametrize("change", ["deleted", "overwritten", "the other deleted"])
def test_what_is_not_there_any_more_is_no_evidence(
    cloud: Cloud, found: tuple[UploadedImage, UploadedImage], change: str
) -> None:
    bo, ann = found
    if change == "overwritten":
        cloud.s3.put_object(Bucket=IMAGES, Key=ann.key, Body=b"another")
    else:
        key = ann.key if change == "deleted" else bo.key
        cloud.s3.delete_object(Bucket=IMAGES, Key=key)
    cloud.start(bo)

    assert image_history(as_somebody(cloud), bo.execution_name).seen_by_others == []


def test_without_versioning_too(cloud: Cloud) -> None:
    cloud.version_bucket("Suspended")
    album = Album(cloud)
    bo, ann = album.add("Bo_1.jpg"), album.add("Ann_1.jpg")
    album.report(ann, {bo: 99.5})

    told = image_history(as_somebody(cloud), "images/Bo_1.jpg")

    assert told.image == bo
    assert [row["key"] for row in told.seen_by_others] == [ann.key]


@pytest.mark.usefixtures("found")
def test_a_key_that_begins_another_one_is_not_that_other(cloud: Cloud) -> None:
    with pytest.raises(Unusable, match="no object of that key or base name"):
        image_history(as_somebody(cloud), "Bo_1")


def test_a_base_name_is_enough_when_only_one_object_has_it(cloud: Cloud) -> None:
    image = cloud.upload("images/2024/may/Ann_1.jpg", b"one")
    assert image_history(as_somebody(cloud), "Ann_1.jpg").image == image


def test_a_base_name_of_several_objects_is_refused_with_their_keys(cloud: Cloud) -> None:
    for folder in "ab":
        cloud.upload(f"images/{folder}/Ann_1.jpg", b"one")
    with pytest.raises(Unusable, match=r"images/a/Ann_1\.jpg, images/b/Ann_1\.jpg\. Name"):
        image_history(as_somebody(cloud), "Ann_1.jpg")


def test_days_between_a_failure_and_its_redrive_are_no_steps_time(cloud: Cloud) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    entered = {"stateEnteredEventDetails": {"name": "SearchFaces"}}
    history = [
        ("TaskStateEntered", 0, entered),
        ("TaskFailed", 2, {"taskFailedEventDetails": {"error": "Unavailable"}}),
        ("ExecutionFailed", 2, {}),
        ("ExecutionRedriven", 5 * 86_400, {}),
        ("TaskStateExited", 5 * 86_400 + 1, {"stateExitedEventDetails": {"name": "SearchFaces"}}),
    ]
    events = [
        {"type": kind, "timestamp": start + timedelta(seconds=after), **details}
        for kind, after, details in history
    ]
    executions = Executions(deployment_of(cloud))
    with patch.object(Executions, "_history", lambda *_: iter(events)):
        (step,) = executions.steps("arn")
    assert (step.seconds, step.errors) == (3, ["Unavailable"])
