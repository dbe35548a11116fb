"""The topic that tells people and programs of a match."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from functions.aws.clients import availability

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

    from functions.matching.notifications import Notification


class MatchesTopic:
    """An SNS topic for notifications."""

    def __init__(self, sns: SNSClient, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def publish(self, notification: Notification) -> str:
        """Send text to e-mail and JSON to everything else; returns the SNS message id."""
        with availability():
            answer = self._sns.publish(
                TopicArn=self._topic_arn,
                Subject=notification.subject,
                MessageStructure="json",
                Message=json.dumps(
                    {"default": notification.document, "email": notification.text},
                    ensure_ascii=False,
                ),
                MessageAttributes={
                    name: _attribute(value) for name, value in notification.attributes.items()
                },
            )
        return answer["MessageId"]


def _attribute(value: float | str | list[str]) -> MessageAttributeValueTypeDef:
    if isinstance(value, list):
        text = json.dumps(value, ensure_ascii=False)
        return {"DataType": "String.Array", "StringValue": text}
    kind = "String" if isinstance(value, str) else "Number"
    return {"DataType": kind, "StringValue": str(value)}
