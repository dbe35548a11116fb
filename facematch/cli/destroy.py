"""facematch destroy: a stack on AWS and everything that it kept."""

from __future__ import annotations

from typing import Final

import typer

from facematch.cli.options import Profile, Region, Stack
from facematch.cli.terminal import messages, output, safe
from facematch.errors import Unusable
from facematch.operations.destroy import empty_and_delete_stack
from facematch.stack.deployment import DEFAULT_STACK_NAME
from facematch.stack.formation import Formation, Kind

_KINDS: Final = {
    Kind.BUCKET: "bucket",
    Kind.COLLECTION: "face collection",
    Kind.KEY: "encryption key",
}
_THINGS: Final = {Kind.BUCKET: "object versions", Kind.COLLECTION: "faces", Kind.KEY: "key"}


def destroy(
    *,
    profile: Profile = None,
    region: Region = None,
    stack: Stack = DEFAULT_STACK_NAME,
) -> None:
    """Delete a stack on AWS and everything that it kept: photographs, faces, reports.

    Shows first what there is, and asks for the stack's name. The local cloud is emptied by
    `facematch local reset`.
    """
    formation = Formation.on_aws(stack, profile=profile, region=region)
    with messages.status("looking at what there is"):
        stacks = formation.stack_ids()
        kept = formation.kept()
    if not stacks:
        raise Unusable(
            f"There is no stack {stack!r} here, and CloudFormation remembers none that was "
            "deleted in the last 90 days. Name it with --stack, --profile and --region."
        )
    output.print(safe(f"The stack {stack}, and for ever:"))
    for item in kept:
        output.print(
            safe(f"  {_KINDS[item.kind]} {item.name}: {item.count:,} {_THINGS[item.kind]}")
        )
    answer = typer.prompt("Type the stack's name to delete all of it")
    if answer != stack:
        raise Unusable(
            f"Nothing was deleted: {answer!r} is not the stack's name. Repeat the command and type "
            f"{stack}."
        )
    with messages.status("emptying the buckets and deleting the stack"):
        empty_and_delete_stack(formation, kept)
    for item in formation.kept():
        with messages.status(safe(f"deleting {item.name}")):
            formation.delete(item)
    output.print("Deleted. Step Functions keeps the executions' histories for up to 90 days.")
