"""Destroy: deletes the stack and empties what it kept (`retain_data`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facematch.errors import Actionable
from facematch.stack.formation import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facematch.stack.formation import Formation, Kept


def empty_and_delete_stack(formation: Formation, kept: Iterable[Kept]) -> None:
    """Empty the stack's buckets, then delete it; once more if something wrote meanwhile.

    CloudFormation cannot delete a bucket that holds something.

    Raises
    ------
    Actionable
        When S3 or CloudFormation refuse.
    """
    buckets = [formation.bucket(item) for item in kept if item.kind is Kind.BUCKET]
    for bucket in buckets:
        # Each photograph that leaves would start a removal, which writes into the other bucket.
        bucket.stop_telling()
    for bucket in buckets:
        bucket.empty()
    try:
        formation.delete_stack()
    except Actionable:
        # Events that were on their way, and executions that ran.
        if not any(item.count for item in formation.kept() if item.kind is Kind.BUCKET):
            raise
        for bucket in buckets:
            bucket.empty()
        formation.delete_stack()
