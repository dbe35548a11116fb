"""Options that commands share, and the deployment that they choose."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from facematch.errors import Unusable
from facematch.stack import deployment as deployments
from facematch.stack.deployment import DEFAULT_STACK_NAME, Deployment
from functions.matching.settings import similarity

Since = Annotated[
    str | None, typer.Option(help="Only later than: 30m, 2h, 7d ago, or 2026-11-22T10:00.")
]
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
        When a number is one of those: no result could be calculated from it.
    """
    for number in value if isinstance(value, list) else [value]:
        if number is not None and not math.isfinite(number):
            raise Unusable(f"{option.opts[0]} is {number:g}. Give it a finite number.")
    return value


def similarity_or_all(given: str | float) -> float:
    """Parse the value of an option that takes a similarity in %; 0 takes all.

    Raises
    ------
    typer.BadParameter
        When it is neither.
    """
    text = str(given)
    try:
        return 0.0 if text in {"0", "0.0"} else similarity(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """On which stack a command works, as the options say."""

    local: bool
    profile: str | None
    region: str | None
    stack: str

    def deployment(self) -> Deployment:
        """The deployment that the options choose.

        Raises
        ------
        DeploymentNotFound
            When there is none.
        Unusable
            When an option says another place than --local.
        """
        if not self.local:
            return deployments.on_aws(
                stack_name=self.stack, profile=self.profile, region=self.region
            )
        require_no_place(profile=self.profile, region=self.region)
        deployment = deployments.on_this_machine()
        require_local_name(self.stack, deployment.stack_name)
        return deployment


def on_stack(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --local, --profile, --region and --stack, as its parameter `where`."""
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.name != "where"]

    @functools.wraps(command)
    def with_options(
        *arguments: object,
        local: bool,
        profile: str | None,
        region: str | None,
        stack: str,
        **options: object,
    ) -> None:
        where = Where(local=local, profile=profile, region=region, stack=stack)
        command(*arguments, where=where, **options)

    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("local", keyword, default=False, annotation=Local),
        inspect.Parameter("profile", keyword, default=None, annotation=Profile),
        inspect.Parameter("region", keyword, default=None, annotation=Region),
        inspect.Parameter("stack", keyword, default=DEFAULT_STACK_NAME, annotation=Stack),
    ]
    # Typer reads both.
    setattr(with_options, "__signature__", signature.replace(parameters=own + shared))  # noqa: B010
    with_options.__annotations__ = {each.name: each.annotation for each in own + shared}
    return with_options


def require_no_place(*, profile: str | None, region: str | None) -> None:
    """Raise `Unusable` when a place on AWS is given, together with --local."""
    for option, value in (("--profile", profile), ("--region", region)):
        if value is not None:
            raise Unusable(
                f"{option} {value} names a place on AWS, and the local cloud has none. Leave out "
                f"{option}, or --local."
            )


def require_local_name(stack: str, local_stack: str) -> None:
    """Raise `Unusable` when another stack is named, together with --local, than the local one."""
    if isinstance(stack, GivenName) and stack != local_stack:
        raise Unusable(
            f"--stack names {str(stack)!r}, and the stack on the local cloud is {local_stack!r}. "
            "Leave out --stack, or --local for a stack on AWS."
        )
