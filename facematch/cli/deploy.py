"""facematch deploy: the CDK, after a comparison with the settings that are deployed."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

import typer

from facematch.cli.options import Profile, Region
from facematch.cli.terminal import messages, safe
from facematch.errors import Unusable
from facematch.operations.deploy import compare
from facematch.stack.formation import Formation
from workflow import synthesis
from workflow.changes import Change, refused
from workflow.collection_regions import lack_of_collections

if TYPE_CHECKING:
    from collections.abc import Collection

#: What the command does not know goes to the CDK.
CONTEXT_SETTINGS: Final[dict[str, Any]] = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
}


def deploy(context: typer.Context, *, profile: Profile = None, region: Region = None) -> None:
    """Deploy the stack to AWS, unless that would change an important setting by accident.

    Settings stand in cdk.json; -c name=value gives one to this deployment only. Key, prefix, names,
    max_faces and retention change only if -c names them. Other options go to `cdk deploy`.
    """
    named = synthesis.given_settings(context.args)
    settings = synthesis.settings_with(named)
    formation = Formation.on_aws(settings.stack_name, profile=profile, region=region)
    if refusal := lack_of_collections(formation.region):
        raise Unusable(refusal)
    comparison = compare(formation, settings)
    where = f"{settings.stack_name} in {formation.region}"
    if comparison.is_new:
        messages.print(safe(f"There is no stack {where} yet: this deployment creates it."))
    if comparison.is_partial:
        messages.print(
            safe(
                f"The stack {where} was deployed by an earlier version, which recorded few of its "
                "settings. The others are not compared this time."
            )
        )
    _allow(comparison.changes, named)
    arguments = [*(["--profile", profile] if profile else []), *context.args]
    place = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), formation.region)
    sys.exit(synthesis.deploy(arguments, {**os.environ, **place}))


def _allow(found: Collection[Change], named: Collection[str]) -> None:
    """Print the changes; raise `Unusable` for those of protected settings that were not named."""
    if found:
        messages.print("This deployment changes settings of the stack:")
    for change in found:
        messages.print(safe(f"  {change}"))
    if unnamed := refused(found, named):
        values = shlex.join(
            word for change in unnamed for word in ("-c", f"{change.name}={_text(change.after)}")
        ).replace("$", "$$")  # make expands a single one
        raise Unusable(
            f"Nothing was deployed. {', '.join(change.name for change in unnamed)} would change, "
            "which can delete data or make it unreadable, and no -c names it.\n"
            "To keep what is deployed, write its value into cdk.json.\n"
            f"To change it, name it:\n  make deploy CONTEXT={shlex.quote(values)}"
        )


def _text(value: object) -> str:
    """Return the value as ``-c name=value`` takes it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
