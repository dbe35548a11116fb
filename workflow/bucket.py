"""A bucket for people's data: private, encrypted, over TLS only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from workflow.acknowledge import acknowledge

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct


#: What was overwritten or deleted is needed as long as its execution can be redriven (14 days)
#: after having waited in the queue (10 days); after that it would only be a photograph of somebody
#: that was meant to be gone.
_OLDER_VERSIONS: Final = s3.LifecycleRule(
    id="OlderVersions",
    noncurrent_version_expiration=cdk.Duration.days(30),
    expired_object_delete_marker=True,
)


def data_bucket(
    scope: Construct,
    construct_id: str,
    *,
    key: kms.IKey | None,
    retain_data: bool,
    versioned: bool,
) -> s3.Bucket:
    """Make the bucket.

    Parameters
    ----------
    key
        What is uploaded is encrypted under it; S3's own by default.
    retain_data
        Keep it when the stack is deleted, though not when the stack's creation fails.
    versioned
        Keep what is overwritten and deleted, so that an execution reads the version it is about.
    """
    bucket = s3.Bucket(
        scope,
        construct_id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=key,
        # One call of KMS for many objects, instead of one for each.
        bucket_key_enabled=True if key else None,
        enforce_ssl=True,
        versioned=versioned,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="IncompleteUploads",
                abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
            ),
            *([_OLDER_VERSIONS] if versioned else []),
        ],
        removal_policy=removal_policy(retain_data=retain_data),
    )
    acknowledge(
        bucket,
        rule="AwsSolutions-S1",
        reason="Server access logs would copy every person's name, which stands in the keys, into "
        "one more bucket that forgetting a person would have to search. Who read what is "
        "CloudTrail's to record (data events), with the caller's identity.",
    )
    return bucket


def removal_policy(*, retain_data: bool) -> cdk.RemovalPolicy:
    """RetainExceptOnCreate, or Delete, which CloudFormation refuses for a bucket with objects."""
    if retain_data:
        return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    return cdk.RemovalPolicy.DESTROY
