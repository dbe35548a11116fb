"""What a command says when its result is empty."""

from __future__ import annotations

from facematch.cli.terminal import messages
from facematch.operations.no_photographs import no_photographs
from facematch.stack.deployment import Deployment


def show_if_no_photographs(deployment: Deployment) -> None:
    """Explain an empty result, if the reason is that no photograph was uploaded yet."""
    for line in (no_photographs(deployment) or "").splitlines():
        messages.say(line)
