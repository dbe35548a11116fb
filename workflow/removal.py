"""The state machine of removals: an image left the bucket, its faces and records leave too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from workflow.machine import logged_machine, machine_role
from workflow.step import lambda_step

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

    from workflow.function import Function


class Removals(Construct):
    """One step, in an execution of its own that people can inspect and replay.

    Beside the matching workflow and not in it: there it would cost each image one transition more.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        removal: Function,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        remove_faces = lambda_step(
            self,
            "RemoveFaces",
            function=removal,
            comment="Take the faces and the report of what left the bucket out",
            payload={"removal": "{% $states.input %}"},
            outputs="{% $states.result.Payload %}",
        )
        self.state_machine = logged_machine(
            self,
            name=name,
            comment="A photograph was deleted: its faces and its report go too",
            start=remove_faces.next(sfn.Succeed.jsonata(self, "Removed")),
            role=machine_role(self, [removal], description="Of the removals' state machine"),
            key=key,
            timeout=cdk.Duration.hours(1),
        )
