"""Who is told that an object is not there."""

from __future__ import annotations

from typing import Any, Final

from facematch.local.emulator.private_names import functions

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.s3",
        "an object that is not there is told of only to who may list the bucket",
        {
            "_get_object_data": ("bucket_name", "key", "version_id"),
        },
    ),
    *functions(
        "ministack.core.iam_actions",
        "an object that is not there is told of only to who may list the bucket",
        {
            "s3_additional_checks": ("method", "path", "headers", "body", "query_params"),
        },
    ),
)


def hide_absence(iam_actions: Any, s3: Any) -> None:  # noqa: ANN401 - modules
    """Answer 403 for an object that is not there, unless the caller may list the bucket.

    As S3 does (Amazon S3 API Reference, GetObject and HeadObject). For a version that is not there
    the caller has to be allowed to list versions, which is the stricter reading of the reference.
    """
    additional_checks = iam_actions.s3_additional_checks

    def checks_and_listing(
        method: str, path: str, headers: object, body: bytes, query_params: dict[str, Any]
    ) -> list[tuple[str, str]]:
        checks: list[tuple[str, str]] = additional_checks(method, path, headers, body, query_params)
        bucket, _, key = path.lstrip("/").partition("/")
        if method in {"GET", "HEAD"} and key and not query_params.keys() - {"versionId"}:
            (version,) = query_params.get("versionId", [None])
            if s3._get_object_data(bucket, key, version) is None:
                action = "s3:ListBucketVersions" if version else "s3:ListBucket"
                checks.append((action, f"arn:aws:s3:::{bucket}"))
        return checks

    iam_actions.s3_additional_checks = checks_and_listing
