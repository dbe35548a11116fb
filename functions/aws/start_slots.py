"""The slots that all starters share: one item of a table for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.aws.clients import availability

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: The table's key. An item is a line of callers.
KEY_NAME: Final = "line"


class SharedStartSlots:
    """Gives away slots one by one, each by a conditional write: no two callers get the same.

    One write for each start: at most 50 a second, where one item takes 1,000 (Amazon DynamoDB
    Developer Guide, Quotas); for a million images, a dollar or two.

    Parameters
    ----------
    line
        What the slots are for; each line has slots of its own.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, line: str = "starts") -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = {KEY_NAME: {"S": line}}

    def take(self, now: float, interval: float) -> float:
        """The caller's slot, at `now` or later; the next one's is `interval` after it.

        Raises
        ------
        Unavailable
            When DynamoDB throttles or fails.
        """
        while True:
            # If callers are queued, take the slot after the last one; otherwise start now. If
            # another caller wins in between, retry.
            after = self._advance(
                "next_turn + :interval", "next_turn > :now", now=now, interval=interval
            )
            if after is not None:
                return after - interval
            if self.take_free(now, interval):
                return now

    def take_free(self, now: float, interval: float) -> bool:
        """Take the slot at `now` if nobody waits; returns whether the caller has it.

        Raises
        ------
        Unavailable
            When DynamoDB throttles or fails.
        """
        after = self._advance(
            ":after",
            "attribute_not_exists(next_turn) OR next_turn <= :now",
            now=now,
            after=now + interval,
        )
        return after is not None

    def _advance(self, next_turn: str, condition: str, **seconds: float) -> float | None:
        """The next slot after the write; None when the condition does not hold."""
        try:
            with availability():
                answer = self._dynamodb.update_item(
                    TableName=self._table,
                    Key=self._key,
                    UpdateExpression=f"SET next_turn = {next_turn}",
                    ConditionExpression=condition,
                    ExpressionAttributeValues={
                        f":{name}": {"N": f"{value:.6f}"} for name, value in seconds.items()
                    },
                    ReturnValues="UPDATED_NEW",
                )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return float(answer["Attributes"]["next_turn"]["N"])
