"""Options that commands share, and the deployment that they choose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from facematch import deployment as deployments
from facematch.errors import Unusable

if TYPE_CHECKING:
    from facematch.deployment import Deployment

Numbers = float | list[float] | None


class GivenName(str):
    """A stack's name that somebody gave, be it the default one."""

    __slots__ = ()


def _given(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source("stack")
    return name if source is None or source.name == "DEFAULT" else GivenName(name)


Local = Annotated[bool, typer.Option("--local", help="Work on the local cloud.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile.")]
Region = Annotated[str | None, typer.Option(help="AWS region.")]
Stack = Annotated[
    str, typer.Option("--stack", help="Name of the CloudFormation stack.", callback=_given)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def finite(option: typer.CallbackParam, value: Numbers) -> Numbers:
    """Callback of options with numbers: Python reads infinity and NaN, too.

    Raises
    ------
    Unusable
        When it is one of those: nothing can be reckoned with it.
    """
    for number in value if isinstance(value, list) else [value]:
        if number is not None and not math.isfinite(number):
            raise Unusable(f"{option.opts[0]} is {number:g}. Give it a finite number.")
    return value


def chosen(*, local: bool, profile: str | None, region: str | None, stack: str) -> Deployment:
    """The deployment that the options choose.

    Raises
    ------
    DeploymentNotFound
        When there is none.
    Unusable
        When an option says another place than --local.
    """
    if not local:
        return deployments.on_aws(stack_name=stack, profile=profile, region=region)
    insist_on_no_place(profile=profile, region=region)
    deployment = deployments.on_this_machine()
    insist_on_local_name(stack, deployment.stack_name)
    return deployment


def insist_on_no_place(*, profile: str | None, region: str | None) -> None:
    """Raise `Unusable` when a place on AWS is given, together with --local."""
    for option, value in (("--profile", profile), ("--region", region)):
        if value is not None:
            raise Unusable(
                f"{option} {value} names a place on AWS, and the local cloud has none. Leave out "
                f"{option}, or --local."
            )


def insist_on_local_name(stack: str, local_stack: str) -> None:
    """Raise `Unusable` when another stack is named, together with --local, than the local one."""
    if isinstance(stack, GivenName) and stack != local_stack:
        raise Unusable(
            f"--stack names {str(stack)!r}, and the stack on the local cloud is {local_stack!r}. "
            "Leave out --stack, or --local for a stack on AWS."
        )
