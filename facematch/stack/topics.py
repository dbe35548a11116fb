"""The stack's topics: who was subscribed to them and has not confirmed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow.outputs import Output

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment

#: Stands in the place of the subscription's ARN (Amazon SNS API Reference,
#: ListSubscriptionsByTopic).
_PENDING: Final = "PendingConfirmation"
_TOPICS: Final = {
    "matches": Output.MATCHES_TOPIC,
    "failures": Output.FAILURES_TOPIC,
    "alarms": Output.ALARM_TOPIC,
}


def unconfirmed_subscribers(deployment: Deployment) -> dict[str, list[str]]:
    """List the addresses that get nothing from a topic until somebody confirms them there."""
    pages = deployment.make_client("sns").get_paginator("list_subscriptions_by_topic")
    found = {
        name: [
            subscription["Endpoint"]
            for page in pages.paginate(TopicArn=deployment.outputs[output])
            for subscription in page["Subscriptions"]
            if subscription["SubscriptionArn"] == _PENDING
        ]
        for name, output in _TOPICS.items()
    }
    return {name: addresses for name, addresses in found.items() if addresses}
