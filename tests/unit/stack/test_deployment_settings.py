"""Deployment settings: whatever is impossible is refused with a sentence."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import json_values
from workflow.project import PROJECT
from workflow.settings import SETTINGS, SettingError, Settings

CDK_JSON = PROJECT / "cdk.json"
DEFAULTS = Settings.from_context({})
MANAGERS = "arn:aws:quicksight:us-east-1:111122223333:group/default/managers"
ANN = "arn:aws-us-gov:quicksight:us-gov-west-1:111122223333:user/default/Role/ann@example.org"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REPLICATED = (
    "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
)

IMPOSSIBLE: dict[str, list[Any]] = {
    "stack_name": ["", "1st", "a_b", "a b", "x" * 51, "name\n", None, 7],
    "image_prefix": ["images", "/images/", "im ages/", "bilder-ü/", "images//", "images/\n", 7],
    "names_from": ["", "(", "no group", "(?P<other>x)", "(?P<name>a{99999999999})", None, 7],
    "max_faces": [0, 101, -1, 1.5, "1.5", "one", "", None, True, [1], 10**400, "1e400", "nan"],
    "several_faces": ["", "REJECT", "smallest", "largest|reject", None, True],
    "quality_filter": ["auto", "BEST", "", "AUTO|LOW", None, 1],
    "search_threshold": [0, 0.99, "0.8", 100.1, "nan", "inf", "high", "", None, False, {}],
    "max_matches": [0, 4097, 2.5, "all", None],
    "notify_threshold": [0, 0.99, "0.99", 101, "nan", "-99", "", None, True],
    "settle_seconds": [-1, 3601, 0.5, "soon", None],
    "starts_per_second": [0, "0", -1, 1001, "auto", "nan", True],
    "traced_percent": [-1, 100.1, "all", "nan", True, {}],
    "notification_email": ["nobody", "a@b", "a b@c.de", "@", 7],
    "notify_relations": ["", "none", "UNRELATED,ALL", "unrelated", ",", [], None, 7],
    "alarm_email": ["nobody", "a@b", "a@b.de, c@d.de", 7],
    "retain_data": ["yes", "1", 1, "", None, "on"],
    "encryption_key": [
        "AWS",
        "owner",
        "",
        None,
        True,
        KEY + "\n",
        KEY.rpartition("/")[2],
        KEY.replace("1111", "11"),
        KEY[:-1],
        "arn:aws:kms:us-east-1:111122223333:alias/faces",  # it may move to another key
        "arn:aws:s3:::key/1234abcd",
    ],
    "image_expiration_days": ["0", 0, -1, 1.5, "a year", True],
    "report_expiration_days": ["0", 0, -1, 1.5, "a year", True],
    "failure_expiration_days": ["0", 0, -1, 1.5, "a year", True],
    "powertools_version": [
        *("newest", "LATEST", "3", "3.37", "v3.37.0", "3.37.0.1", "03.37.0", "3.37.0\n", "3.x.0"),
        *("3.37.0/../x", "", None, 3.37, 3),
    ],
    "records_since": [
        *("2006-03-13", "9999-12-31", "2025-02-29", "2025-1-1", "20250101", "2025-W01-1"),
        *("2025-01-01T00:00", "2025-01-01\n", "yesterday", "", None, 2025, True),
    ],
    "quicksight_principal_arn": [
        "managers",
        "arn:aws:iam::111122223333:user/ann",
        "arn:aws:quicksight:us-east-1:111122223333:namespace/default",  # everybody
        "arn:aws:quicksight:us-east-1:1111:group/default/managers",
        "arn:aws:quicksight:us-east-1:111122223333:group/managers",
        MANAGERS + "\n",
        MANAGERS + "s" * 200,
        7,
    ],
}
ALLOWED: dict[str, list[tuple[Any, Any]]] = {
    "stack_name": [("Faces-2", "Faces-2"), ("x" * 50, "x" * 50)],
    "image_prefix": [("", ""), ("a/b/", "a/b/")],
    "names_from": [("^(?P<name>[^/]+)/", "^(?P<name>[^/]+)/")],
    "max_faces": [("1", 1), ("100", 100), (5.0, 5)],
    "several_faces": [("largest", "largest"), ("reject", "reject")],
    "quality_filter": [("NONE", "NONE"), ("HIGH", "HIGH")],
    "search_threshold": [("80", 80.0), ("99", 99.0), (1, 1.0)],
    "max_matches": [("1", 1), ("100", 100)],
    "notify_threshold": [("99.9", 99.9), ("100", 100.0), (80, 80.0)],
    "settle_seconds": [("0", 0), ("3600", 3600)],
    "starts_per_second": [("4.5", 4.5), (None, None), ("", None), (0.05, 0.05)],
    "traced_percent": [("100", 100.0), (0, 0.0), ("0.5", 0.5), ("", None), (None, None)],
    "notification_email": [("a@b.de", "a@b.de"), ("", None), (None, None)],
    "notify_relations": [
        ("all", "all"),
        ("UNRELATED", "UNRELATED"),
        ("UNRELATED, SAME_NAME", "SAME_NAME,UNRELATED"),
        (["VARIANT"], "VARIANT"),
    ],
    "alarm_email": [("ops+faces@example.com", "ops+faces@example.com"), (None, None)],
    "retain_data": [("true", True), ("false", False), ("False", False), (True, True)],
    "encryption_key": [("aws", "aws"), ("own", "own"), (KEY, KEY), (REPLICATED, REPLICATED)],
    "image_expiration_days": [("365", 365), (1, 1), ("", None), (None, None)],
    "report_expiration_days": [("", None), (None, None)],
    "failure_expiration_days": [("", None), (None, None)],
    "powertools_version": [("latest", "latest"), ("3.37.0", "3.37.0"), ("10.0.12", "10.0.12")],
    "records_since": [("2006-03-14", "2006-03-14"), ("2024-02-29", "2024-02-29")],
    "quicksight_principal_arn": [(MANAGERS, MANAGERS), (ANN, ANN), ("", None), (None, None)],
}


def test_every_setting_is_tried() -> None:
    assert set(IMPOSSIBLE) == set(ALLOWED) == set(SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in IMPOSSIBLE.items() for value in values],
    ids=lambda value: str(value)[:30],
)
def test_an_impossible_value_is_refused_with_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(SettingError) as raised:
        Settings.from_context({name: value})
    sentence = str(raised.value)
    assert sentence.startswith(f"{name} is {value!r}. Allowed: ")
    assert sentence.endswith(".")
    assert len(sentence) > len(f"{name} is {value!r}. Allowed: .")


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [(name, value, read) for name, values in ALLOWED.items() for value, read in values],
)
def test_a_possible_value_is_read_as_text_too(name: str, value: Any, read: Any) -> None:
    setting = getattr(Settings.from_context({name: value}), name)
    assert setting == read
    assert type(setting) is type(read)


@pytest.mark.parametrize("name", [name for name in SETTINGS if SETTINGS[name].default is not None])
def test_the_default_may_be_given_as_text(name: str) -> None:
    default = SETTINGS[name].default
    assert getattr(Settings.from_context({name: str(default)}), name) == default


@given(name=st.sampled_from(sorted(SETTINGS)), value=json_values)
def test_anything_else_is_accepted_or_refused_with_a_sentence(name: str, value: Any) -> None:
    refused = ""
    try:
        Settings.from_context({name: value})
    except SettingError as error:
        refused = str(error)
    assert not refused or refused.startswith((f"{name} is ", "notify_threshold is "))


def test_records_may_begin_today_in_utc_but_not_tomorrow() -> None:
    today = datetime.now(UTC).date()

    assert Settings.from_context({"records_since": str(today)}).records_since == str(today)
    with pytest.raises(SettingError, match=r"^records_since is .* and not in the future"):
        Settings.from_context({"records_since": str(today + timedelta(days=2))})


@pytest.mark.parametrize("name", ["report_expiration_days", "failure_expiration_days"])
def test_no_outcome_expires_before_its_photograph(name: str) -> None:
    kept = Settings.from_context({"image_expiration_days": "30", name: "30"})
    assert getattr(kept, name) == 30
    for context in ({name: 30}, {name: 29, "image_expiration_days": 30}):
        with pytest.raises(SettingError, match=f"^{name} is "):
            Settings.from_context(context)


@pytest.mark.parametrize("key", ["max_face", "Max_faces", "threshold", "names-from", ""])
def test_an_unknown_setting_is_refused_with_the_known_ones(key: str) -> None:
    with pytest.raises(SettingError) as raised:
        Settings.from_context({key: 1})
    assert repr(key) in str(raised.value)
    assert all(name in str(raised.value) for name in SETTINGS)


@pytest.mark.parametrize(
    "key",
    [
        "@aws-cdk/core:validateAgainstDefaultRules",
        "aws:cdk:enable-path-metadata",
        "availability-zones:account=123456789012:region=eu-central-1",
        "aws-cdk/lib:flag",
    ],
)
def test_what_belongs_to_the_cdk_is_ignored(key: str) -> None:
    assert Settings.from_context({key: ["anything"]}) == DEFAULTS


@pytest.mark.parametrize(
    ("context", "possible"),
    [
        ({"notify_threshold": "79"}, False),
        ({"search_threshold": "99.5"}, False),
        ({"search_threshold": "99.5", "notify_threshold": "99.5"}, True),
        ({"search_threshold": "50", "notify_threshold": "50"}, True),
    ],
)
def test_what_no_report_lists_cannot_notify(context: dict[str, str], *, possible: bool) -> None:
    refusal = pytest.raises(SettingError, match="which is below search_threshold")
    with nullcontext() if possible else refusal:
        Settings.from_context(context)


def test_cdk_json_says_the_defaults() -> None:
    context = json.loads(CDK_JSON.read_text())["context"]
    ours = {key: value for key, value in context.items() if key in SETTINGS}
    assert ours == {name: SETTINGS[name].default for name in ours}
    assert Settings.from_context(context) == DEFAULTS
    assert {name for name in SETTINGS if SETTINGS[name].default is not None} == set(ours)


def test_cdk_json_has_no_context_key_of_which_the_cdk_warns_at_every_command() -> None:
    context = json.loads(CDK_JSON.read_text())["context"]
    assert [key for key in context if key.startswith("aws:")] == []


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, setting in SETTINGS.items() if not setting.meaning] == []
