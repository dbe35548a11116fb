"""Topics: matches for whoever investigates, failures for programs, alarms for whoever operates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from functions.matching.notifications import LEFT_OUT
from workflow.encryption import Place, publishing_services

if TYPE_CHECKING:
    from collections.abc import Collection


class Topics(Construct):
    """SNS topics under a key of the stack's own, or under the one of all its data.

    Under the key `alias/aws/sns`, whose policy cannot be edited, neither EventBridge nor
    CloudWatch alarms can publish (Amazon SNS Developer Guide, Key management).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey | None,
        notification_email: str | None,
        mailed_relations: Collection[str],
        alarm_email: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.key = key or self._key()
        self.matches = self._topic("Matches", notification_email, relations=mailed_relations)
        # A message for each failed execution: nobody wants a thousand of them as e-mail.
        self.failures = self._topic("Failures", None)
        self.alarms = self._topic("Alarms", alarm_email)

    def _key(self) -> kms.Key:
        place = Place.of(self)
        key = kms.Key(
            self,
            "Key",
            description=f"Topics of {place.stack_name}",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        for statement in publishing_services(place):
            key.add_to_resource_policy(statement)
        return key

    def _topic(
        self, construct_id: str, email: str | None, *, relations: Collection[str] = ()
    ) -> sns.Topic:
        topic = sns.Topic(self, construct_id, master_key=self.key, enforce_ssl=True)
        if email:
            # Records that a report leaves out may relate in any way, so nobody may miss them.
            only = sns.SubscriptionFilter.string_filter(allowlist=[*relations, LEFT_OUT])
            topic.add_subscription(
                subscriptions.EmailSubscription(
                    email, filter_policy={"relation": only} if relations else None
                )
            )
        return topic
