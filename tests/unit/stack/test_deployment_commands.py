"""Commands that one command tells people to run next."""

from __future__ import annotations

import pytest

from facematch.stack.deployment import Deployment


@pytest.mark.parametrize(
    ("stack", "local", "options", "command"),
    [
        ("FaceMatching", True, (), "facematch replay --all --local"),
        ("FaceMatching", False, (), "facematch replay --all"),
        (
            *("Faces", False, ("--profile", "my team", "--region", "eu-west-1")),
            "facematch replay --all --profile 'my team' --region eu-west-1 --stack Faces",
        ),
    ],
)
def test_a_command_names_the_deployment_that_it_is_about(
    *, stack: str, local: bool, options: tuple[str, ...], command: str
) -> None:
    made = Deployment(stack_name=stack, local=local, outputs={}, make_client=str, options=options)
    assert made.command("replay", "--all") == command
