"""Options that commands share, and the deployment that they choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facematch import deployment as deployments

if TYPE_CHECKING:
    from facematch.deployment import Deployment

Local = Annotated[bool, typer.Option("--local", help="Work on the local cloud.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile.")]
Region = Annotated[str | None, typer.Option(help="AWS region.")]
Stack = Annotated[str, typer.Option("--stack", help="Name of the CloudFormation stack.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def chosen(*, local: bool, profile: str | None, region: str | None, stack: str) -> Deployment:
    """The deployment that the options choose.

    Raises
    ------
    DeploymentNotFound
        When there is none.
    """
    if local:
        return deployments.on_this_machine()
    return deployments.on_aws(stack_name=stack, profile=profile, region=region)
