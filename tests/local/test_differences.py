"""The table of differences is what is applied, and nothing else is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from facematch.local.differences import COLLECTION_ID, DIFFERENCES, Machine, applied
from workflow.synthesis import synthesised

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINE = Machine(endpoint="http://127.0.0.1:4566", rekognition="http://127.0.0.1:4567")


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    (file,) = synthesised().glob("*.template.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def changes(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where two templates differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from changes(before.get(key), after.get(key), (*path, key))
    elif before != after:
        yield path


def test_what_is_changed_is_in_the_table_and_nothing_else_is_changed(
    template: dict[str, Any],
) -> None:
    kinds = {name: resource["Type"] for name, resource in template["Resources"].items()}
    found = set()
    for path in changes(template, applied(template, MACHINE)):
        if path[0] == "Resources":
            found.add((kinds[path[1]], *path[2:5]))
        else:
            found.add(path[:2] if path[0] != "Parameters" else path[:1])

    arn_of_the_collection = ("AWS::IAM::Policy", "Properties", "PolicyDocument", "Statement")
    variables = ("AWS::Lambda::Function", "Properties", "Environment", "Variables")
    assert found == {
        ("AWS::Rekognition::Collection",),
        ("AWS::CloudWatch::Alarm",),
        ("AWS::CloudWatch::Dashboard",),
        ("AWS::Athena::NamedQuery",),
        ("AWS::XRay::SamplingRule",),
        arn_of_the_collection,
        ("Outputs", "CollectionId"),
        ("Parameters",),
        ("AWS::Lambda::Function", "Properties", "Layers"),
        variables,
        ("AWS::SQS::Queue", "Properties", "VisibilityTimeout"),
    }


@pytest.mark.parametrize(
    "difference", [d for d in DIFFERENCES if d.apply], ids=lambda difference: difference.what
)
def test_a_difference_that_is_applied_changes_the_template(
    template: dict[str, Any], difference: Any
) -> None:
    changed = json.loads(json.dumps(template))
    difference.apply(changed, MACHINE)

    assert changed != template


def test_the_template_itself_is_left_as_it_is(template: dict[str, Any]) -> None:
    before = json.dumps(template, sort_keys=True)

    applied(template, MACHINE)

    assert json.dumps(template, sort_keys=True) == before


def test_every_function_is_told_the_endpoints_of_this_machine(template: dict[str, Any]) -> None:
    functions = [
        resource["Properties"]
        for resource in applied(template, MACHINE)["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]

    assert len(functions) == 7
    for function in functions:
        variables = function["Environment"]["Variables"]
        assert variables["FACEMATCH_LOCAL"] == "1"
        assert variables["AWS_ENDPOINT_URL"] == MACHINE.endpoint
        assert variables["AWS_ENDPOINT_URL_REKOGNITION"] == MACHINE.rekognition


def test_nothing_refers_to_the_collection_that_the_emulator_does_not_know(
    template: dict[str, Any],
) -> None:
    local = applied(template, MACHINE)

    assert "AWS::Rekognition::Collection" not in json.dumps(local)
    assert json.dumps({"Ref": "Collection"}) not in json.dumps(local)
    assert local["Outputs"]["CollectionId"]["Value"] == COLLECTION_ID


def test_a_pace_that_is_set_is_kept_here_too() -> None:
    (file,) = synthesised({"starts_per_second": "7"}).glob("*.template.json")
    paces = {
        resource["Properties"]["Environment"]["Variables"].get("STARTS_PER_SECOND")
        for resource in applied(json.loads(file.read_text()), MACHINE)["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    }

    assert paces == {None, "7.0"}


def test_every_difference_says_what_it_is_there_and_here_and_why() -> None:
    for difference in DIFFERENCES:
        assert all((difference.what, difference.on_aws, difference.here, difference.why))
    assert len({difference.what for difference in DIFFERENCES}) == len(DIFFERENCES)
