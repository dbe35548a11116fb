"""A state machine with a role of its own, a log of errors without their data, and traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn

from workflow.acknowledge import acknowledge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_kms as kms
    from constructs import Construct

    from workflow.function import Function

#: For log delivery and X-Ray, which take no resource (AWS Step Functions Developer Guide, IAM
#: policies for logging and for tracing).
LOG_AND_TRACE_ACTIONS: Final = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)


def logged_machine(
    scope: Construct,
    *,
    name: str,
    comment: str,
    start: sfn.IChainable,
    role: iam.Role,
    key: kms.IKey | None,
    timeout: cdk.Duration,
) -> sfn.StateMachine:
    """Make the state machine.

    Parameters
    ----------
    role
        With every right that it needs: what the CDK's constructs would grant (`<function>:*`, and
        more) is not taken.
    key
        Its log is encrypted under it.
    """
    log_group = logs.LogGroup(
        scope,
        "Logs",
        # Below this prefix, log delivery stays within the size of CloudWatch's resource policy
        # (AWS Step Functions Developer Guide, Logging).
        log_group_name=f"/aws/vendedlogs/states/{name}",
        encryption_key=key,
        retention=logs.RetentionDays.THREE_MONTHS,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    machine = sfn.StateMachine(
        scope,
        "StateMachine",
        state_machine_name=name,
        comment=comment,
        definition_body=sfn.DefinitionBody.from_chainable(start),
        query_language=sfn.QueryLanguage.JSONATA,
        # A name in the log would have to be found again to be forgotten: no execution data, and
        # only errors, since an event tells its execution's name. Everything else is in the
        # execution's history, as long as in the log: 90 days.
        logs=sfn.LogOptions(
            destination=log_group, level=sfn.LogLevel.ERROR, include_execution_data=False
        ),
        tracing_enabled=True,
        timeout=timeout,
        role=role.without_policy_updates(),
    )
    machine.node.add_dependency(role)
    acknowledge(
        machine,
        rule="AwsSolutions-SF1",
        reason="Errors are logged. All events are in each execution's history, with their data and "
        "for as long as the log; a second copy would cost as much as the functions, and carry "
        "the names of executions.",
    )
    return machine


def machine_role(scope: Construct, functions: Sequence[Function], *, description: str) -> iam.Role:
    """Make the role of a state machine that calls these functions, and nothing else."""
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
        description=description,
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["lambda:InvokeFunction"],
            resources=[function.function.function_arn for function in functions],
        )
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=list(LOG_AND_TRACE_ACTIONS), resources=["*"])
    )
    acknowledge(
        role,
        rule="AwsSolutions-IAM5[Resource::*]",
        reason="Log delivery and X-Ray, which take no resource (AWS Step Functions Developer "
        "Guide, IAM policies for logging and for tracing).",
    )
    return role
