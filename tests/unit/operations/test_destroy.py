"""A stack is deleted although somebody writes into its buckets meanwhile."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from facematch.errors import Actionable
from facematch.operations.destroy import empty_and_delete_stack
from facematch.stack.formation import Formation
from tests.unit.stacks import Deletion, fill


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
