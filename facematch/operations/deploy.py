"""What a deployment to AWS would change in the settings of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facematch.errors import Unusable
from workflow.changes import Change, changes, recorded, recorded_in
from workflow.outputs import Output

if TYPE_CHECKING:
    from facematch.stack.formation import Formation
    from workflow.settings import Settings


@dataclass(frozen=True, slots=True)
class Comparison:
    """The settings of a stack, compared with those about to be deployed.

    Attributes
    ----------
    is_new
        There is no such stack yet.
    is_partial
        The stack was deployed by an earlier version, which recorded few settings.
    """

    changes: list[Change]
    is_new: bool = False
    is_partial: bool = False


def compare(formation: Formation, settings: Settings) -> Comparison:
    """Compare the settings of the deployed stack with those about to be deployed.

    Raises
    ------
    Unusable
        If a stack of that name exists and is not of this project.
    """
    outputs = formation.outputs()
    if outputs is None:
        return Comparison([], is_new=True)
    try:
        before = recorded_in(outputs)
    except (KeyError, ValueError) as error:
        raise Unusable(
            f"The stack {settings.stack_name} in {formation.region} does not look like one of this "
            f"project: its outputs cannot be read ({error}). Nothing was deployed, because a "
            "deployment would replace its resources. Deploy under another name:\n"
            "  make deploy CONTEXT='-c stack_name=NAME'"
        ) from None
    return Comparison(
        changes(before, recorded(settings)), is_partial=Output.SETTINGS not in outputs
    )
