"""A Lambda function with a role and a log group of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from workflow.acknowledge import acknowledge
from workflow.encryption import needed
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms

_RUNTIME: Final = lambda_.Runtime.PYTHON_3_14
#: MB of what every image passes, nearly always warm. With 128 a cold start would take twice its two
#: seconds and half of the memory were in use; with 512 an image would be 4 % faster, for twice the
#: price (docs/cold-start.md).
MEMORY: Final = 256


class FunctionCode(Construct):
    """What all functions share: the code, one asset, and the Powertools layer.

    The asset holds the folder `functions` itself, so that a module has the same import path in
    Lambda, in tests and on the command line.

    Parameters
    ----------
    powertools_version
        Of the layer: a release, or "latest".
    """

    def __init__(self, scope: Construct, construct_id: str, *, powertools_version: str) -> None:
        super().__init__(scope, construct_id)
        self.code = lambda_.Code.from_asset(
            str(PROJECT),
            exclude=["*", "!functions", "!functions/**", "**/__pycache__", "**/*.pyc"],
            ignore_mode=cdk.IgnoreMode.GIT,
        )
        # The public layer needs no Docker at build time. CloudFormation reads the parameter at each
        # deployment and changes nothing if it is missing, as that of 3.23.0 is
        # (powertools-lambda-python, #7689).
        layer_arn = ssm.StringParameter.value_for_string_parameter(
            self, f"/aws/service/powertools/python/arm64/{_RUNTIME.name}/{powertools_version}"
        )
        self.powertools = lambda_.LayerVersion.from_layer_version_arn(self, "Powertools", layer_arn)


class Function(Construct):
    """One module of `functions/`, with its own role, log group and environment.

    Parameters
    ----------
    module
        File in `functions/` without its extension; its `handler` is called.
    environment
        What the module's settings read, without the variables that all functions have.
    key
        What the function logs, and all that it reads and writes, is encrypted under it.
    memory
        MB; also decides the share of a CPU.
    tracing
        By default the function asks X-Ray whether to trace, when its caller has not decided.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: FunctionCode,
        module: str,
        description: str,
        environment: Mapping[str, str],
        key: kms.IKey | None,
        timeout: cdk.Duration,
        memory: int = MEMORY,
        tracing: lambda_.Tracing = lambda_.Tracing.ACTIVE,
    ) -> None:
        super().__init__(scope, construct_id)
        self.module = module
        self._key = key
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Of the function {module}",
        )
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            encryption_key=key,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=_RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            code=code.code,
            layers=[code.powertools],
            handler=f"functions.{module}.handler",
            role=self.role,
            log_group=self.log_group,
            timeout=timeout,
            memory_size=memory,
            tracing=tracing,
            environment={
                "POWERTOOLS_SERVICE_NAME": module,
                "POWERTOOLS_METRICS_NAMESPACE": self._namespace,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **environment,
            },
        )
        acknowledge(
            self.role,
            rule="AwsSolutions-IAM5[Resource::*]",
            reason="xray:PutTraceSegments and xray:PutTelemetryRecords, which active tracing "
            "needs, have no resource to name.",
        )

    def allow(self, *actions: str, on: list[str]) -> None:
        """Give the function's role exactly these actions on exactly these resources.

        And what they need of the key that the resources are encrypted under.
        """
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=on))
        if self._key and (of_key := needed(actions)):
            self.role.add_to_principal_policy(
                iam.PolicyStatement(actions=of_key, resources=[self._key.key_arn])
            )

    @property
    def _namespace(self) -> str:
        """Of the metrics: the stack's name, so that two stacks of an account are not added up."""
        return cdk.Stack.of(self).stack_name

    def counted(
        self, name: str, period: cdk.Duration, *, statistic: str = cloudwatch.Stats.SUM
    ) -> cloudwatch.Metric:
        """What the function itself counts under a name, as Powertools publishes it."""
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=name,
            dimensions_map={"service": self.module},
            statistic=statistic,
            period=period,
        )
