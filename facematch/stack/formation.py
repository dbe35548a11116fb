"""A stack on AWS by its name, whether it still exists or not: what it kept, and deleting it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import ClientError, WaiterError

from facematch.errors import Actionable
from facematch.stack.deployment import Outputs, clients_on_aws, described
from facematch.stack.faces import delete_collection
from facematch.stack.objects import Bucket
from functions.aws.clients import error_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GONE: Final = frozenset({"ResourceNotFoundException", "NoSuchBucket", "NotFoundException"})
#: A stack in one of these states holds nothing. The CDK makes it anew.
_NEVER_MADE: Final = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"})
#: The shortest wait that KMS allows, days.
_KEY_IS_KEPT_DAYS: Final = 7


class Kind(StrEnum):
    """A resource that a stack keeps when it is deleted, because of people's data in it."""

    BUCKET = "AWS::S3::Bucket"
    COLLECTION = "AWS::Rekognition::Collection"
    KEY = "AWS::KMS::Key"


@dataclass(frozen=True, slots=True)
class Kept:
    """A bucket, collection or key that is still there.

    Attributes
    ----------
    count
        Object versions, or faces; 1 for a key.
    """

    kind: Kind
    name: str
    count: int


class Formation:
    """One stack, and those of its name that were deleted."""

    def __init__(self, make_client: Callable[[str], Any], stack_name: str) -> None:
        self._cloudformation = make_client("cloudformation")
        self._s3 = make_client("s3")
        self._rekognition = make_client("rekognition")
        self._kms = make_client("kms")
        self._stack_name = stack_name

    @classmethod
    def on_aws(cls, stack_name: str, *, profile: str | None, region: str | None) -> Self:
        """With the user's credentials."""
        return cls(clients_on_aws(profile=profile, region=region), stack_name)

    @property
    def region(self) -> str:
        """Where the stack is."""
        return str(self._cloudformation.meta.region_name)

    def outputs(self) -> dict[str, str] | None:
        """Return the outputs of the stack; None if there is no stack that was ever made."""
        stack = described(self._cloudformation, self._stack_name)
        if stack is None or stack["StackStatus"] in _NEVER_MADE:
            return None
        return {**Outputs(stack)}

    def stack_ids(self) -> list[str]:
        """The stack's id, and those of deleted stacks of its name that CloudFormation remembers.

        CloudFormation lists a deleted stack for 90 days (API Reference, ListStacks).
        """
        pages = self._cloudformation.get_paginator("list_stacks").paginate()
        return [
            stack["StackId"]
            for page in pages
            for stack in page["StackSummaries"]
            if stack["StackName"] == self._stack_name
        ]

    def kept(self) -> list[Kept]:
        """Buckets, collections and keys of these stacks that are still there."""
        found: dict[tuple[Kind, str], Kept] = {}
        for stack_id in self.stack_ids():
            for kind, name in self._resources(stack_id):
                if (kind, name) not in found and (count := self._count(kind, name)) is not None:
                    found[kind, name] = Kept(kind, name, count)
        return list(found.values())

    def bucket(self, kept: Kept) -> Bucket:
        """A bucket that was kept."""
        return Bucket(self._s3, kept.name)

    def delete(self, kept: Kept) -> None:
        """Delete one, with all that is in it; safe to repeat."""
        if kept.kind is Kind.BUCKET:
            self.bucket(kept).delete()
        elif kept.kind is Kind.COLLECTION:
            delete_collection(self._rekognition, kept.name)
        else:
            self._kms.schedule_key_deletion(KeyId=kept.name, PendingWindowInDays=_KEY_IS_KEPT_DAYS)

    def delete_stack(self) -> None:
        """Delete the stack, if it exists, and wait for it.

        Raises
        ------
        Actionable
            When CloudFormation cannot.
        """
        self._cloudformation.delete_stack(StackName=self._stack_name)
        waiter = self._cloudformation.get_waiter("stack_delete_complete")
        try:
            waiter.wait(StackName=self._stack_name)
        except WaiterError as error:
            raise Actionable(
                f"CloudFormation could not delete the stack {self._stack_name}: {error}. Look at "
                "its events for the reason, fix the problem, and run the command again."
            ) from None

    def _resources(self, stack_id: str) -> Iterator[tuple[Kind, str]]:
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=stack_id
        )
        for page in pages:
            for resource in page["StackResourceSummaries"]:
                name = resource.get("PhysicalResourceId")
                if name and resource["ResourceType"] in set(Kind):
                    yield Kind(resource["ResourceType"]), name

    def _count(self, kind: Kind, name: str) -> int | None:
        """Object versions, faces or keys; None when it is gone already, or about to go."""
        try:
            if kind is Kind.KEY:
                state = self._kms.describe_key(KeyId=name)["KeyMetadata"]["KeyState"]
                return None if state == "PendingDeletion" else 1
            if kind is Kind.COLLECTION:
                return int(self._rekognition.describe_collection(CollectionId=name)["FaceCount"])
            return sum(1 for _ in Bucket(self._s3, name).listed())
        except ClientError as error:
            if error_code(error) in _GONE:
                return None
            raise
