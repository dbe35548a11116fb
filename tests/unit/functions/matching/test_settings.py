"""What the functions read from their environment."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from functions.aws.environment import from_environment
from functions.matching.settings import (
    QUOTA_SHARE,
    SIMILARITY_PATTERN,
    FailureSettings,
    IndexSettings,
    NotifySettings,
    ReportSettings,
    SearchSettings,
    StarterSettings,
    notify_threshold,
    regional_starts_per_second,
    similarity,
)

ENVIRONMENT = {
    "IMAGES_BUCKET": "images",
    "IMAGE_PREFIX": "images/",
    "STATE_MACHINE_ARN": "arn",
    "REMOVAL_STATE_MACHINE_ARN": "arn-of-removals",
    "STARTS_PER_SECOND": "auto",
    "PACE_TABLE": "table",
    "MAX_FACES": "3",
    "AWS_REGION": "eu-central-1",
    "COLLECTION_ID": "collection",
    "SEVERAL_FACES": "reject",
    "QUALITY_FILTER": "AUTO",
    "NAMES_FROM": "(?P<name>.+)",
    "SEARCH_THRESHOLD": "80.5",
    "MAX_MATCHES": "7",
    "OUTPUT_BUCKET": "output",
    "NOTIFY_THRESHOLD_PARAMETER": "/parameter",
    "MATCHES_TOPIC_ARN": "topic",
}
ALL: tuple[Any, ...] = (
    *(StarterSettings, IndexSettings, SearchSettings),
    *(ReportSettings, NotifySettings, FailureSettings),
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("settings", ALL)
def test_settings_have_the_types_that_they_promise(settings: Any) -> None:
    read = from_environment(settings)
    kinds: dict[str, type] = {"max_faces": int, "max_matches": int}
    kinds |= {"search_threshold": float, "names_from": re.Pattern}
    for name in settings.__dataclass_fields__:
        assert isinstance(getattr(read, name), kinds.get(name, str))


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (settings, name.upper())
        for settings in ALL
        for name in settings.__dataclass_fields__
        if name != "image_prefix"
    ],
)
def test_a_missing_variable_is_named(
    settings: Any, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(ValueError, match=variable):
        from_environment(settings)


def test_no_image_prefix_means_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PREFIX", "")
    assert from_environment(StarterSettings).image_prefix == ""


@pytest.mark.parametrize(
    ("settings", "variable", "value"),
    [
        (IndexSettings, "MAX_FACES", "one"),
        (IndexSettings, "NAMES_FROM", "no group"),
        (SearchSettings, "SEARCH_THRESHOLD", "high"),
        (SearchSettings, "MAX_MATCHES", "1.5"),
    ],
)
def test_an_impossible_variable_is_named(
    settings: Any, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable):
        from_environment(settings)


@pytest.mark.parametrize(
    ("region", "quota"), [("us-east-1", 50), ("eu-west-1", 50), ("eu-central-1", 5), ("x", 5)]
)
@given(max_faces=st.integers(1, 100))
def test_the_regions_rate_stays_below_the_quota_of_both_operations(
    region: str, quota: int, max_faces: int
) -> None:
    rate = regional_starts_per_second(region, max_faces)
    assert rate < quota
    assert rate * max_faces < quota


@pytest.mark.parametrize(
    ("setting", "rate"), [("8", 8.0), ("0.05", 0.05), ("auto", QUOTA_SHARE * 5 / 3)]
)
def test_the_rate_of_the_starters_is_what_is_set_or_else_the_regions(
    setting: str, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARTS_PER_SECOND", setting)
    assert from_environment(StarterSettings).rate == pytest.approx(rate)


@pytest.mark.parametrize(("rate", "turns"), [("48", 10), ("4.8", 1), ("0.5", 1), ("inf", 1)])
def test_removals_keep_within_the_quota_of_deletefaces(
    rate: str, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARTS_PER_SECOND", rate)
    assert from_environment(StarterSettings).turns_of_a_removal == turns


@given(value=st.floats(80, 100))
def test_a_threshold_from_the_search_threshold_to_100_is_read(value: float) -> None:
    assert notify_threshold(repr(value), search_threshold=80) == value


@given(text=st.floats().filter(lambda value: not 80 <= value <= 100).map(repr) | st.text("9.,%a "))
@example(text="0.99")
@example(text="99,5")
@example(text="99 %")
def test_any_other_threshold_is_refused_with_what_is_allowed(text: str) -> None:
    assume(not re.fullmatch(r"\s*(8\d|9\d|100)(\.\d*)?\s*", text))
    with pytest.raises(ValueError, match=r"^the notify threshold: .*give ") as raised:
        notify_threshold(text, search_threshold=80)
    assert text.strip() in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.99", "0.99 is a fraction; give 99"),
        (".995", ".995 is a fraction; give 99.5"),
        ("99%", "99% has a percent sign; give 99"),
        ("99,5 %", "99,5 % has a percent sign; give 99.5"),
        ("99,5", "99,5 has a comma; give 99.5"),
        ("-5", "'-5' is no similarity; give a number from 1 to 100, in %"),
        ("150", "'150' is no similarity; give a number from 1 to 100, in %"),
        ("150%", "'150%' is no similarity; give a number from 1 to 100, in %"),
        ("nan", "'nan' is no similarity; give a number from 1 to 100, in %"),
        ("", "'' is no similarity; give a number from 1 to 100, in %"),
        ("0.001", "0.001 is a fraction; give 0.1; give a number from 1 to 100, in %"),
    ],
)
def test_a_similarity_that_is_no_percentage_is_refused_with_the_right_figure(
    text: str, says: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        similarity(text)


@given(text=st.from_regex(SIMILARITY_PATTERN) | st.text("0123456789.,% "))
@example(text="100.0")
@example(text="0.99")
@example(text="1")
def test_what_parameter_store_admits_is_a_similarity(text: str) -> None:
    if re.fullmatch(SIMILARITY_PATTERN.removeprefix("^").removesuffix("$"), text):
        assert 1 <= similarity(text) <= 100
