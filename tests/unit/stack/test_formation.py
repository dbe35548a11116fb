"""What a stack kept is found and deleted: all of it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from facematch.errors import Actionable
from facematch.stack.formation import Formation, Kept, Kind
from tests.unit.stacks import fill


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
