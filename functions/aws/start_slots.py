"""The start slots that all starters share: one item of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.aws.clients import availability

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: The table's key, and its one item.
KEY_NAME: Final = "line"
_KEY: Final = {KEY_NAME: {"S": "starts"}}


class SharedStartSlots:
    """Gives away slots one by one, each by a conditional write: no two callers get the same.

    One write for each start: at most 50 a second, where one item takes 1,000 (Amazon DynamoDB
    Developer Guide, Quotas); for a million images, a dollar or two.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def take(self, now: float, interval: float) -> float:
        """The caller's slot, at `now` or later; the next one's is `interval` after it.

        Raises
        ------
        Unavailable
            When DynamoDB throttles or fails.
        """
        while True:
            # Callers are waiting: behind them. Else nobody is: at once. Who was overtaken between
            # the two looks again.
            after = self._advance(
                "next_turn + :interval", "next_turn > :now", now=now, interval=interval
            )
            if after is None:
                after = self._advance(
                    ":after",
                    "attribute_not_exists(next_turn) OR next_turn <= :now",
                    now=now,
                    after=now + interval,
                )
            if after is not None:
                return after - interval

    def _advance(self, next_turn: str, condition: str, **seconds: float) -> float | None:
        """The next slot after the write; None when the condition does not hold."""
        try:
            with availability():
                answer = self._dynamodb.update_item(
                    TableName=self._table,
                    Key=_KEY,
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
