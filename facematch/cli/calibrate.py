"""facematch calibrate: propose a threshold out of an evaluation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facematch.cli.options import AsJson, Stack, finite
from facematch.cli.terminal import output, print_json, safe
from facematch.errors import Unusable
from facematch.evaluation.calibrate import _read, by_evaluation, by_reference
from facematch.stack.deployment import DEFAULT_STACK_NAME


def calibrate(
    *,
    faces: Annotated[int, typer.Option(min=0, help="Faces that the collection holds.")],
    new: Annotated[int, typer.Option("--new-per-month", min=1, help="Faces that come.")],
    wrong: Annotated[
        float,
        typer.Option(
            "--wrong-per-month", min=0.001, callback=finite, help="Wrong pairs that are tolerable."
        ),
    ],
    evaluation: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="evaluation.json of an evaluation."),
    ] = None,
    stack: Stack = DEFAULT_STACK_NAME,
    as_json: AsJson = False,
) -> None:
    """Propose a notify threshold for the number of wrong pairs of names that a month may bring."""
    pairs = new * faces + new * (new - 1) // 2
    if not pairs:
        raise Unusable("--faces 0 --new-per-month 1 makes no pair of faces. Give more faces.")
    if wrong > pairs:
        raise Unusable(
            f"--wrong-per-month is {wrong:,.10g}, and a month has {pairs:,} pairs, right and wrong "
            "together. Give fewer."
        )
    if evaluation:
        proposal = by_evaluation(_read(evaluation), pairs=pairs, wrong=wrong)
    else:
        proposal = by_reference(pairs=pairs, wrong=wrong)
    if as_json:
        print_json(asdict(proposal), indent=2)
        return
    text = f"{proposal.threshold:.10g}"
    head = (
        f"Proposed notify threshold: {text} %"
        if proposal.reached
        else f"No threshold is shown to keep it. To begin with: {text} %"
    )
    output.print(head, style="bold")
    said = [
        f"{new:,} new faces a month with {faces:,} there already make {new:,} x {faces:,} + "
        f"{new:,} x {new - 1:,} / 2 = {pairs:,} pairs. {wrong:g} wrong ones are a rate of "
        f"{proposal.wanted_rate:.1e}.",
        *proposal.words,
        "Each face is taken to have a name of its own: where names have several photographs, fewer "
        "pairs of names are wrong. And the people are taken to be as alike as those measured: "
        "relatives, or people of one group, are more alike.",
        "It is a parameter of the stack, and changes without a deployment:",
    ]
    for sentence in said:
        output.print(safe(sentence))
    output.say(
        f"  aws ssm put-parameter --name /{stack}/notify-threshold --type String --overwrite "
        f"--value {text}"
    )
