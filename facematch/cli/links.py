"""How an execution's status is coloured, and where AWS's console shows it."""

from __future__ import annotations

from rich.text import Text

from facematch.cli.terminal import output
from facematch.stack.deployment import Deployment


def colored(status: str) -> Text:
    """The status, in the colour of how good it is."""
    style = {"SUCCEEDED": "green", "RUNNING": "cyan"}.get(status, "red")
    return Text(status, style=style)


def show_links(deployment: Deployment, execution_arn: str | None = None) -> None:
    """Where the console shows it; the local cloud has none."""
    if deployment.local:
        return
    region = deployment.state_machine_arn.split(":")[3]
    place = (
        f"executions/details/{execution_arn}"
        if execution_arn
        else f"statemachines/view/{deployment.state_machine_arn}"
    )
    output.say(f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/{place}")
