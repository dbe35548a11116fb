"""Destroy: deletes the stack, and what it kept (`retain_data`), after showing it and asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, WaiterError

from facematch.errors import Actionable
from facematch.stack.objects import MOST_AT_ONCE, delete_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


_BUCKET: Final = "AWS::S3::Bucket"
_COLLECTION: Final = "AWS::Rekognition::Collection"
_KEY: Final = "AWS::KMS::Key"
_KINDS: Final = {_BUCKET: "bucket", _COLLECTION: "face collection", _KEY: "encryption key"}
_THINGS: Final = {_BUCKET: "object versions", _COLLECTION: "faces", _KEY: "key"}
_GONE: Final = frozenset({"ResourceNotFoundException", "NoSuchBucket", "NotFoundException"})


@dataclass(frozen=True, slots=True)
class Kept:
    """A bucket or collection with people's data in it.

    Attributes
    ----------
    count
        Object versions, or faces.
    """

    kind: str
    name: str
    count: int


class Destruction:
    """What there is to delete of one stack, whether it still exists or not."""

    def __init__(self, make_client: Callable[[str], Any], stack_name: str) -> None:
        self._cloudformation = make_client("cloudformation")
        self._s3 = make_client("s3")
        self._rekognition = make_client("rekognition")
        self._kms = make_client("kms")
        self._stack_name = stack_name

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
        found: dict[tuple[str, str], Kept] = {}
        for stack_id in self.stack_ids():
            for resource in self._resources(stack_id):
                kind, name = resource["ResourceType"], resource.get("PhysicalResourceId")
                if kind in _KINDS and name and (kind, name) not in found:
                    count = self._count(kind, name)
                    if count is not None:
                        found[kind, name] = Kept(kind, name, count)
        return list(found.values())

    def empty_and_delete_stack(self, kept: Iterable[Kept]) -> None:
        """Empty the stack's buckets, then delete it; once more if something wrote meanwhile.

        Raises
        ------
        Actionable
            When S3 or CloudFormation refuse.
        """
        buckets = [item for item in kept if item.kind == _BUCKET]
        for bucket in buckets:
            # Each photograph that leaves would start a removal, which writes into the other bucket.
            self._s3.put_bucket_notification_configuration(
                Bucket=bucket.name, NotificationConfiguration={}
            )
        for bucket in buckets:
            self.empty(bucket)
        try:
            self.delete_stack()
        except Actionable:
            # Events that were on their way, and executions that ran.
            if not any(item.count for item in self.kept() if item.kind == _BUCKET):
                raise
            for bucket in buckets:
                self.empty(bucket)
            self.delete_stack()

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
                "its events for the reason and mend that, then repeat the command."
            ) from None

    def delete(self, kept: Kept) -> None:
        """Delete one, with all that is in it; safe to repeat."""
        if kept.kind == _COLLECTION:
            self._rekognition.delete_collection(CollectionId=kept.name)
        elif kept.kind == _KEY:
            # With its data gone, as soon as KMS allows.
            self._kms.schedule_key_deletion(KeyId=kept.name, PendingWindowInDays=7)
        else:
            self.empty(kept)
            self._s3.delete_bucket(Bucket=kept.name)

    def empty(self, kept: Kept) -> None:
        """Delete every version in a bucket, without which CloudFormation cannot delete it.

        Raises
        ------
        Actionable
            When S3 refuses some.
        """
        for versions in self._versions(kept.name):
            delete_versions(self._s3, kept.name, versions)

    def _resources(self, stack_id: str) -> Iterator[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=stack_id
        )
        for page in pages:
            yield from page["StackResourceSummaries"]

    def _count(self, kind: str, name: str) -> int | None:
        """Object versions, faces or keys; None when it is gone already, or about to go."""
        try:
            if kind == _KEY:
                state = self._kms.describe_key(KeyId=name)["KeyMetadata"]["KeyState"]
                return None if state == "PendingDeletion" else 1
            if kind == _COLLECTION:
                return int(self._rekognition.describe_collection(CollectionId=name)["FaceCount"])
            return sum(len(versions) for versions in self._versions(name))
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise

    def _versions(self, bucket: str) -> Iterator[list[dict[str, str]]]:
        """Every version and delete marker, in lists as long as DeleteObjects takes."""
        pages = self._s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": MOST_AT_ONCE}
        )
        for page in pages:
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            versions = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found]
            for start in range(0, len(versions), MOST_AT_ONCE):
                yield versions[start : start + MOST_AT_ONCE]
