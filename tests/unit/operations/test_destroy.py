"""Deleting what a stack kept: all of it, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError
from moto import mock_aws

from facematch.errors import Actionable
from facematch.operations.destroy import empty_and_delete_stack
from facematch.stack.formation import Formation, Kept, Kind


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


@pytest.fixture
def account() -> Any:
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


def test_what_a_stack_kept_is_counted_with_every_version_and_delete_marker(account: Any) -> None:
    formation = Formation(account, "FaceMatching")
    ((bucket),) = [kept.name for kept in formation.kept()]
    fill(account, bucket)

    assert formation.kept() == [Kept(Kind.BUCKET, bucket, 5)]


def test_a_bucket_is_emptied_and_deleted_and_that_of_another_stack_is_not(account: Any) -> None:
    mine, other = Formation(account, "FaceMatching"), Formation(account, "Other")
    (kept,), (others,) = mine.kept(), other.kept()
    for item in (kept, others):
        fill(account, item.name)

    mine.delete(kept)

    assert mine.kept() == []
    assert [item.count for item in other.kept()] == [5]


def test_a_collection_is_deleted(account: Any) -> None:
    formation = Formation(account, "FaceMatching")

    formation.delete(Kept(Kind.COLLECTION, "Faces-1", 3))

    assert account("rekognition").there == {}


def test_a_key_that_was_kept_goes_as_soon_as_kms_allows(account: Any) -> None:
    formation = Formation(account, "FaceMatching")
    formation.delete(Kept(Kind.KEY, "key-1", 1))
    assert account("kms").states["key-1"] == "PendingDeletion"
    assert formation._count(Kind.KEY, "key-1") is None


def test_versions_that_are_not_deleted_are_told_of(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    formation = Formation(account, "FaceMatching")
    (kept,) = formation.kept()
    fill(account, kept.name)
    refusal = {"Errors": [{"Key": "Ann.jpg", "Code": "AccessDenied", "Message": "no"}]}
    monkeypatch.setattr(formation._s3, "delete_objects", lambda **_: refusal)

    with pytest.raises(Actionable, match="AccessDenied"):
        formation.delete(kept)

    assert [item.name for item in formation.kept()] == [kept.name]


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


def formation_of(account: Any, writes: list[str]) -> tuple[Formation, Deletion]:
    stacks = Deletion({"FaceMatching": "mine"}, account, writes)
    make = {name: account(name) for name in ("s3", "rekognition", "kms")}
    make["cloudformation"] = stacks
    return Formation(make.__getitem__, "FaceMatching"), stacks


def test_nobody_is_told_of_photographs_that_are_destroyed(account: Any) -> None:
    """Else each would start a removal, which leaves a register in the bucket that was emptied."""
    s3 = account("s3")
    queue = boto3.client("sqs", region_name="us-east-1").create_queue(QueueName="intake")
    assert queue
    s3.put_bucket_notification_configuration(
        Bucket="mine",
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": "arn:aws:sqs:us-east-1:123456789012:intake",
                    "Events": ["s3:ObjectRemoved:*"],
                }
            ]
        },
    )
    fill(account, "mine")
    formation, stacks = formation_of(account, [])

    empty_and_delete_stack(formation, formation.kept())

    assert (stacks.gone, stacks.refused) == (True, 0)
    found = s3.get_bucket_notification_configuration(Bucket="mine")
    assert "QueueConfigurations" not in found


def test_what_was_written_while_the_stack_was_deleted_is_deleted_too(account: Any) -> None:
    fill(account, "mine")
    formation, stacks = formation_of(account, ["indexed/1.json"])

    empty_and_delete_stack(formation, formation.kept())

    assert (stacks.gone, stacks.refused) == (True, 1)


def test_a_stack_that_is_refused_for_another_reason_is_not_tried_again(account: Any) -> None:
    formation, stacks = formation_of(account, [])

    stacks.forbidden = True
    with pytest.raises(Actionable, match="could not delete the stack"):
        empty_and_delete_stack(formation, formation.kept())
    assert stacks.refused == 1
