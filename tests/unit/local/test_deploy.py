"""What people have set stays when the local cloud deploys another template."""

from __future__ import annotations

from typing import Any

from facematch.local.deploy import _parameters_as_they_are

NAME = "/FaceMatching/notify-threshold"


def template(value: str) -> dict[str, Any]:
    properties = {"Name": NAME, "Value": value}
    return {"Resources": {"Threshold": {"Type": "AWS::SSM::Parameter", "Properties": properties}}}


class Emulator:
    """A stack with one parameter; an update writes it again, changed or not."""

    def __init__(self, deployed: dict[str, Any] | None, value: str) -> None:
        self.deployed = deployed
        self.value = value

    def describe_stacks(self, **_request: str) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]}

    def get_template(self, **_request: str) -> dict[str, Any]:
        return {"TemplateBody": self.deployed}

    def get_parameters(self, **_request: list[str]) -> dict[str, Any]:
        return {"Parameters": [{"Name": NAME, "Value": self.value}]}

    def put_parameter(self, *, Name: str, Value: str, Overwrite: bool) -> None:  # noqa: N803
        assert (Name, Overwrite) == (NAME, True)
        self.value = Value

    def updated(self, new: dict[str, Any]) -> str:
        """The parameter's value after an update."""
        with _parameters_as_they_are(self, self, "FaceMatching", new):
            self.value = new["Resources"]["Threshold"]["Properties"]["Value"]
        return self.value


def test_a_parameter_that_a_person_has_set_survives_an_update() -> None:
    assert Emulator(template("99"), "98.5").updated(template("99")) == "98.5"


def test_a_setting_that_has_changed_is_what_counts_then() -> None:
    assert Emulator(template("99"), "98.5").updated(template("97")) == "97"
