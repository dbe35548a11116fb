"""The settings that a stack records are compared with those about to be deployed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from workflow.changes import PROTECTED, changes, recorded, recorded_in, recorded_text, refused
from workflow.outputs import Output
from workflow.settings import SETTINGS, Settings
from workflow.synthesis import given_settings

#: Of AWS CloudFormation quotas: "Output value".
MOST_BYTES = 1024
OTHERS: dict[str, Any] = {
    "image_prefix": "a/" * 500,
    "names_from": f"(?P<name>{'x' * 900})",
    "max_faces": 100,
    "several_faces": "reject",
    "quality_filter": "MEDIUM",
    "search_threshold": 99.99999,
    "max_matches": 4096,
    "notify_threshold": 99.99999,
    "settle_seconds": 3600,
    "starts_per_second": 999.999,
    "traced_percent": 99.999,
    "notify_relations": "SAME_NAME,UNRELATED,SHARED_PART,VARIANT,UNKNOWN",
    "notification_email": f"{'n' * 60}@{'e' * 180}.example",
    "alarm_email": f"{'n' * 61}@{'e' * 180}.example",
    "retain_data": False,
    "records_since": "2006-03-14",
    "powertools_version": "10.100.1000",
    "encryption_key": "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-" + "0" * 32,
    "image_expiration_days": 36500,
    "report_expiration_days": 36500,
    "failure_expiration_days": 36500,
    "quicksight_principal_arn": "arn:aws:quicksight:us-east-1:111122223333:user/default/"
    + "u" * 190,
}


def outputs_of(settings: Settings) -> dict[str, str]:
    return {
        Output.SETTINGS: recorded_text(settings),
        Output.IMAGE_PREFIX: settings.image_prefix or "/",
        Output.NAME_PATTERN: settings.names_pattern,
        Output.MAX_FACES: str(settings.max_faces),
    }


def settings(**given: Any) -> Settings:
    return Settings.from_context(given)


def test_every_setting_at_its_longest_fits_into_one_output() -> None:
    longest = settings(**{name: value for name, value in OTHERS.items() if name in SETTINGS})
    assert len(recorded_text(longest).encode()) <= MOST_BYTES


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - {"stack_name"}))
def test_a_change_of_any_setting_is_found(name: str) -> None:
    one, other = settings(), settings(**{name: OTHERS[name]}, **needed_by(name))
    found = changes(recorded_in(outputs_of(one)), recorded(other))
    assert name in [change.name for change in found]
    assert changes(recorded_in(outputs_of(other)), recorded(other)) == []


def needed_by(name: str) -> dict[str, Any]:
    """Settings without which the value is refused."""
    if name in {"report_expiration_days", "failure_expiration_days"}:
        return {"image_expiration_days": 30}
    return {"notify_threshold": 99.999999} if name == "search_threshold" else {}


def test_the_settings_that_can_cost_data_are_protected_and_no_others() -> None:
    assert SETTINGS.keys() > PROTECTED
    assert sorted(PROTECTED) == sorted(
        [
            *("encryption_key", "image_prefix", "names_from", "max_faces", "several_faces"),
            "retain_data",
            *(name for name in asdict(settings()) if name.endswith("_expiration_days")),
        ]
    )


def test_nobody_reads_an_address_in_the_outputs() -> None:
    told = settings(notification_email="ann@example.org", alarm_email="bea@example.org")
    assert "example" not in json.dumps(outputs_of(told))
    (found,) = changes(
        recorded_in(outputs_of(told)),
        recorded(settings(notification_email="eve@example.org", alarm_email="bea@example.org")),
    )
    assert (found.name, "@" in str(found)) == ("notification_email", False)


def test_a_protected_setting_changes_only_if_somebody_names_it() -> None:
    before = recorded_in(outputs_of(settings(encryption_key="own", notify_threshold=99.5)))
    found = changes(before, recorded(settings()))
    assert [str(change) for change in found] == [
        'encryption_key: "own" -> "aws"',
        "notify_threshold: 99.5 -> 99",
    ]
    assert [change.name for change in refused(found, [])] == ["encryption_key"]
    assert refused(found, ["encryption_key"]) == []


def test_a_stack_of_an_earlier_version_is_compared_by_what_it_records() -> None:
    outputs = outputs_of(settings(max_faces=5, notify_threshold=90))
    del outputs[Output.SETTINGS]
    found = changes(recorded_in(outputs), recorded(settings()))
    assert [change.name for change in found] == ["max_faces"]


def test_a_setting_that_the_deployed_version_did_not_know_is_no_change() -> None:
    outputs = outputs_of(settings())
    known = json.loads(outputs[Output.SETTINGS])
    del known["traced_percent"]
    known["gone_since"] = 7
    outputs[Output.SETTINGS] = json.dumps(known)
    assert changes(recorded_in(outputs), recorded(settings(traced_percent=50))) == []


@pytest.mark.parametrize(
    ("values", "said"), [("[]", "no JSON object"), ("7", "no JSON object"), ("{", "line 1")]
)
def test_outputs_that_cannot_be_read_are_an_error(values: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recorded_in({**outputs_of(settings()), Output.SETTINGS: values})


def test_outputs_of_another_project_are_an_error() -> None:
    with pytest.raises(KeyError):
        recorded_in({"Url": "https://example.org"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "names_from=folder"],
        ["-cnames_from=folder"],
        ["-c=names_from=folder"],
        ["--context", "names_from=folder"],
        ["--context=names_from=folder"],
        ["--profile", "p", "-c", "names_from=folder", "--require-approval", "never"],
    ],
    ids=" ".join,
)
def test_each_spelling_of_a_setting_is_understood(arguments: list[str]) -> None:
    given = given_settings(arguments)
    assert given == {"names_from": "folder"}
    assert settings(**given).names_from == "folder"
