"""The synthesised template, as CloudFormation would get it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from workflow.synthesis import index_cdk, synthesised_template

index_cdk()  # before the CDK is imported, which reads the index

import app as cdk_app  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Template:
    """The template, asked in words."""

    document: dict[str, Any]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.document["Resources"]
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: r for name, r in self.resources.items() if r["Type"] == kind}

    def properties(self, kind: str, part: str = "") -> dict[str, Any]:
        """The properties of the one resource of a kind whose logical id has `part` in it."""
        (found,) = [r for name, r in self.of_type(kind).items() if part in name]
        properties: dict[str, Any] = found["Properties"]
        return properties

    def function(self, module: str) -> dict[str, Any]:
        """The properties of the function whose handler is in the module."""
        (found,) = [
            r["Properties"]
            for r in self.of_type("AWS::Lambda::Function").values()
            if r["Properties"]["Handler"] == f"functions.{module}.handler"
        ]
        return dict(found)

    def definition(self) -> dict[str, Any]:
        """The state machine's definition, with the logical ids of functions in their ARNs."""
        machine = self.properties("AWS::StepFunctions::StateMachine", "Matching")
        definition: dict[str, Any] = json.loads(self.text(machine["DefinitionString"]))
        return definition

    def statements(self, role: str) -> list[dict[str, Any]]:
        """The statements of the policies attached to a role, given by its logical id."""
        return [
            statement
            for policy in self.of_type("AWS::IAM::Policy").values()
            if {"Ref": role} in policy["Properties"]["Roles"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]

    def text(self, value: Any) -> str:
        """A value with its Joins joined and its references written as ``<LogicalId>``."""
        if isinstance(value, str):
            return value
        (kind, argument) = next(iter(value.items()))
        if kind == "Fn::Join":
            return str(argument[0]).join(self.text(part) for part in argument[1])
        return f"<{argument if kind == 'Ref' else '.'.join(argument)}>"


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Template]:
    """Synthesise with settings; the same settings are synthesised once."""
    made: dict[str, Template] = {}

    def synthesise(**settings: Any) -> Template:
        key = json.dumps(settings, sort_keys=True)
        if not settings:
            # That of the local cloud, made once for all processes; test_synthesis.py says that it
            # is that of AWS.
            made.setdefault(key, Template(synthesised_template(())))
        if key not in made:
            folder: Path = tmp_path_factory.mktemp("synth")
            context = json.loads((cdk_app.PROJECT / "cdk.json").read_text())["context"]
            # The CDK checks the usual template against its rules in test_synthesis.py, and those
            # with keys of one's own in test_encryption.py: 3 s of CPU for each.
            context["@aws-cdk/core:validateAgainstDefaultRules"] = False
            app = cdk_app.app(context={**context, **settings}, outdir=str(folder))
            app.synth()
            (file,) = folder.glob("*.template.json")
            made[key] = Template(json.loads(file.read_text()))
        return made[key]

    return synthesise


@pytest.fixture(scope="session")
def template(synthesise: Callable[..., Template]) -> Template:
    return synthesise()
