"""An empty result is explained, if the reason is that nothing was uploaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from botocore.exceptions import ClientError

from facematch.operations.no_photographs import no_photographs
from tests.unit.cloud import IMAGES, deployment_of

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud


def test_a_bucket_without_photographs_is_named_with_the_command_to_run(cloud: Cloud) -> None:
    cloud.s3.put_object(Bucket=IMAGES, Key="images/folder/", Body=b"")
    cloud.s3.put_object(Bucket=IMAGES, Key="elsewhere/Ann.jpg", Body=b"x")

    said = no_photographs(deployment_of(cloud))

    assert said is not None
    assert said.startswith(f"The bucket {IMAGES} of the stack ")
    assert said.endswith(
        "holds no photograph below images/ yet. Upload some:\n  facematch upload FOLDER --wait"
    )


def test_a_local_cloud_without_photographs_is_named_by_its_folder(cloud: Cloud) -> None:
    said = no_photographs(replace(deployment_of(cloud), local=True, kept_in=Path("/cloud")))

    assert said is not None
    assert said.startswith("The local cloud in /cloud holds no photograph")
    assert said.endswith("facematch upload FOLDER --wait --local")


def test_nothing_is_said_of_a_bucket_that_holds_one(cloud: Cloud) -> None:
    cloud.s3.put_object(Bucket=IMAGES, Key="images/Ann.jpg", Body=b"x")
    assert no_photographs(deployment_of(cloud)) is None


def test_without_the_right_to_list_nothing_is_said_and_nothing_fails(cloud: Cloud) -> None:
    class Denied:
        def get_paginator(self, _operation: str) -> NoReturn:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectVersions")

    assert no_photographs(deployment_of(cloud, make_client=lambda _: Denied())) is None


def test_what_was_deleted_does_not_count(cloud: Cloud) -> None:
    cloud.s3.put_object(Bucket=IMAGES, Key="images/Ann.jpg", Body=b"x")
    cloud.s3.delete_object(Bucket=IMAGES, Key="images/Ann.jpg")
    assert no_photographs(deployment_of(cloud)) is not None
