"""A deployment says which settings it changes, and changes the important ones only if named."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from facematch.cli import main as command_line
from tests.unit.cloud import REGION
from tests.unit.workflow.test_changes import outputs_of, settings
from workflow import synthesis
from workflow.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Account:
    """The stacks of an account by name, and what the CDK was asked to deploy."""

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, Any]] = {}
        self.deployed: list[tuple[list[str], Mapping[str, str]]] = []

    def holds(self, outputs: Mapping[str, str], status: str = "UPDATE_COMPLETE") -> None:
        self.stacks["FaceMatching"] = {
            "StackName": "FaceMatching",
            "StackStatus": status,
            "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()],
        }

    def answer(self, operation: str, request: Mapping[str, Any]) -> Any:
        assert operation == "DescribeStacks"
        if found := self.stacks.get(request["StackName"]):
            return {"Stacks": [found]}
        said = f"Stack with id {request['StackName']} does not exist"
        raise ClientError({"Error": {"Code": "ValidationError", "Message": said}}, operation)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = Account()

    def synthesise(outdir: Path, _overrides: Any) -> Path:
        return outdir

    def cdk(arguments: list[str], environment: Mapping[str, str]) -> int:
        made.deployed.append((arguments, environment))
        return 0

    def answer(_client: BaseClient, operation: str, request: Mapping[str, Any]) -> Any:
        return made.answer(operation, request)

    monkeypatch.setattr(synthesis, "synthesise", synthesise)
    monkeypatch.setattr(synthesis, "_cdk", cdk)
    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    return made


def deploy(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["facematch", "deploy", *shlex.split(words)])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return int(ended.value.code or 0)


def test_a_first_deployment_is_said_to_be_one(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("-c max_faces=3", monkeypatch) == 0
    assert f"no stack FaceMatching in {REGION} yet" in capsys.readouterr().err
    ((arguments, _),) = aws.deployed
    assert arguments[:2] == ["deploy", "--app"]
    assert arguments[-2:] == ["-c", "max_faces=3"]


def test_the_same_settings_are_deployed_without_a_word(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.holds(outputs_of(synthesis.settings_with({})))
    assert deploy("", monkeypatch) == 0
    assert capsys.readouterr().err == ""
    assert len(aws.deployed) == 1


def test_a_forgotten_subscription_is_told_and_deployed(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = synthesis.settings_with({"notification_email": "ann@example.org"})
    aws.holds(outputs_of(before))
    assert deploy("", monkeypatch) == 0
    said = capsys.readouterr().err
    assert "notification_email: a value that is kept secret" in said
    assert "-> not set" in said
    assert "ann@" not in said
    assert len(aws.deployed) == 1


def test_a_forgotten_key_is_not_taken_away(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = synthesis.settings_with({"encryption_key": "own", "image_expiration_days": 30})
    aws.holds(outputs_of(before))
    assert deploy("", monkeypatch) == 2
    said = capsys.readouterr().err
    assert 'encryption_key: "own" -> "aws"' in said
    assert "Nothing was deployed" in said
    hint = said.strip().splitlines()[-1].strip()
    assert hint == "make deploy CONTEXT='-c encryption_key=aws -c image_expiration_days='"
    assert aws.deployed == []

    assert deploy(hint.partition("CONTEXT=")[2].strip("'"), monkeypatch) == 0
    assert len(aws.deployed) == 1


def test_an_expression_in_the_hint_survives_make_and_the_shell(
    aws: Account,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    pattern = "(?P<name>[^/ ']+)$"
    context = {**synthesis._cdk_json()["context"], "names_from": pattern}
    monkeypatch.setattr(synthesis, "_cdk_json", lambda: {"context": context})
    aws.holds(outputs_of(settings()))
    assert deploy("", monkeypatch) == 2
    hint = capsys.readouterr().err.strip().splitlines()[-1]

    (tmp_path / "Makefile").write_text("deploy:\n\t@printf '%s\\n' $(CONTEXT)\n")
    # The tests may themselves run under make, which would tell the inner make to say
    # which folder it enters.
    outside_make = {name: text for name, text in os.environ.items() if "MAKE" not in name}
    printed = subprocess.run(
        ["sh", "-c", hint],
        cwd=tmp_path,
        env=outside_make,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.splitlines() == ["-c", f"names_from={pattern}"]


def test_the_named_value_is_deployed_although_cdk_json_says_another(
    aws: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.holds(outputs_of(synthesis.settings_with({"encryption_key": "own"})))
    assert deploy("-c encryption_key=own", monkeypatch) == 0
    ((arguments, _),) = aws.deployed
    assert "encryption_key=own" in arguments


def test_a_stack_of_another_project_is_left_alone(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.holds({"Url": "https://example.org"})
    assert deploy("", monkeypatch) == 2
    assert "make deploy CONTEXT='-c stack_name=NAME'" in capsys.readouterr().err
    assert aws.deployed == []


def test_the_chosen_place_is_compared_and_deployed_to(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        deploy("--region eu-west-1 -c stack_name=Other --require-approval never", monkeypatch) == 0
    )
    assert "no stack Other in eu-west-1 yet" in capsys.readouterr().err
    ((arguments, environment),) = aws.deployed
    assert (environment["AWS_REGION"], environment["AWS_DEFAULT_REGION"]) == ("eu-west-1",) * 2
    assert arguments[-2:] == ["--require-approval", "never"]


def test_a_region_without_face_collections_is_refused_before_it_begins(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--region eu-north-1", monkeypatch) == 2
    assert "eu-north-1 has no AWS::Rekognition::Collection" in capsys.readouterr().err
    assert aws.deployed == []


def test_an_impossible_setting_is_refused_before_aws_is_asked(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("-c max_faces=0", monkeypatch) == 2
    assert "max_faces is '0'" in capsys.readouterr().err
    assert aws.deployed == []


def test_a_stack_that_was_never_made_is_a_first_deployment(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.holds({}, status="ROLLBACK_COMPLETE")
    assert deploy("", monkeypatch) == 0
    assert "this deployment creates it" in capsys.readouterr().err


def test_a_stack_of_an_earlier_version_is_said_to_be_compared_in_part(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = outputs_of(synthesis.settings_with({"max_faces": 5}))
    del outputs[Output.SETTINGS]
    aws.holds(outputs)
    assert deploy("", monkeypatch) == 2
    said = capsys.readouterr().err
    assert "earlier version" in said
    assert "max_faces: 5 -> 1" in said


def test_the_region_of_the_environment_is_that_of_the_cdk(
    aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert deploy("", monkeypatch) == 0
    assert "in eu-central-1 yet" in capsys.readouterr().err
    ((_, environment),) = aws.deployed
    assert environment["AWS_REGION"] == "eu-central-1"


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("--profile", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        ("--region", ("AWS_REGION", "AWS_DEFAULT_REGION")),
    ],
)
def test_without_credentials_or_region_nothing_is_deployed(
    option: str,
    names: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in names:
        monkeypatch.delenv(name)
    assert deploy("", monkeypatch) == 2
    said = capsys.readouterr().err
    assert option in said
    assert "--local" not in said
