"""An account with stacks that can be deleted: CloudFormation, Rekognition and KMS by fakes."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import WaiterError
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stacks:
    """A CloudFormation client that knows stacks with one bucket each, one of them deleted."""

    def __init__(self, buckets: dict[str, str]) -> None:
        self.buckets = buckets

    def get_paginator(self, operation: str) -> Any:
        outer = self

        class Pages:
            def paginate(self, StackName: str = "") -> list[dict[str, Any]]:  # noqa: N803
                if operation == "list_stacks":
                    stacks = [{"StackName": n, "StackId": f"id-{n}"} for n in outer.buckets]
                    return [{"StackSummaries": stacks}]
                bucket = outer.buckets[StackName.removeprefix("id-")]
                found = {"ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": bucket}
                other = {"ResourceType": "AWS::SQS::Queue", "PhysicalResourceId": "queue"}
                return [{"StackResourceSummaries": [found, other]}]

        return Pages()


class Collections:
    """A Rekognition client that knows one collection."""

    exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)

    def __init__(self) -> None:
        self.there = {"Faces-1": 3}

    def describe_collection(self, CollectionId: str) -> dict[str, Any]:  # noqa: N803
        return {"FaceCount": self.there[CollectionId]}

    def delete_collection(self, CollectionId: str) -> None:  # noqa: N803
        del self.there[CollectionId]


class Keys:
    """A KMS client that knows the state of keys."""

    def __init__(self) -> None:
        self.states = {"key-1": "Enabled", "key-2": "PendingDeletion"}

    def describe_key(self, KeyId: str) -> dict[str, Any]:  # noqa: N803
        return {"KeyMetadata": {"KeyState": self.states[KeyId]}}

    def schedule_key_deletion(self, KeyId: str, PendingWindowInDays: int) -> None:  # noqa: N803
        assert 7 <= PendingWindowInDays <= 30
        self.states[KeyId] = "PendingDeletion"


class Deletion(Stacks):
    """Deletes a stack unless something is in its bucket, as CloudFormation does."""

    def __init__(self, buckets: dict[str, str], make: Any, writes: list[str]) -> None:
        super().__init__(buckets)
        self._s3, self._writes, self.refused, self.gone = make("s3"), writes, 0, False
        self.forbidden = False

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        bucket = self.buckets[StackName]
        if self._writes:  # what still runs
            self._s3.put_object(Bucket=bucket, Key=self._writes.pop(), Body=b"")
        self.gone = not self.forbidden and not self._s3.list_object_versions(Bucket=bucket).get(
            "Versions"
        )

    def get_waiter(self, name: str) -> Any:
        outer = self

        class Waiter:
            def wait(self, **_: str) -> None:
                if not outer.gone:
                    outer.refused += 1
                    raise WaiterError(name, "the bucket is not empty", {})

        return Waiter()


@contextmanager
def an_account() -> Iterator[Callable[[str], Any]]:
    """Clients by service, of an account with two stacks."""
    with mock_aws():
        clients: dict[str, Any] = {
            "rekognition": Collections(),
            "kms": Keys(),
            "cloudformation": Stacks({"FaceMatching": "mine", "Other": "theirs"}),
            "s3": boto3.client("s3", region_name="us-east-1"),
        }
        for bucket in ("mine", "theirs"):
            clients["s3"].create_bucket(Bucket=bucket)
            clients["s3"].put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            )
        yield clients.__getitem__


def fill(make: Any, bucket: str) -> None:
    s3 = make("s3")
    for number in range(3):
        s3.put_object(Bucket=bucket, Key="Ann.jpg", Body=str(number).encode())
    s3.put_object(Bucket=bucket, Key="Bea.jpg", Body=b"")
    s3.delete_object(Bucket=bucket, Key="Ann.jpg")
