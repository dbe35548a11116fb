"""The settings of a local cloud are kept with its state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from facematch.errors import Unusable
from facematch.local.kept_settings import KeptSettings
from facematch.local.state_folder import StateFolder
from functions.matching.identity import FROM_FILE, FROM_FOLDER, compiled_names_from
from workflow.synthesis import RefusedSettingError

if TYPE_CHECKING:
    from pathlib import Path

NONE = KeptSettings({}, {})


@pytest.fixture
def home(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path)
    made.state.mkdir()
    return made


def test_a_setting_that_was_given_counts_at_the_next_start_and_others_join_it(
    home: StateFolder,
) -> None:
    NONE.with_given({"names_from": "folder"}).keep(home)

    second = KeptSettings.of(home).with_given({"max_faces": "3"})
    second.keep(home)

    assert KeptSettings.of(home).given == {"names_from": "folder", "max_faces": "3"}
    assert second.recorded["max_faces"] == 3
    (line, way_back) = second.words()
    assert line.endswith("max_faces=3, names_from=folder")
    assert way_back.endswith("facematch local start --defaults")


def test_a_change_since_the_last_start_is_found(home: StateFolder) -> None:
    NONE.with_given({"max_faces": "3"}).keep(home)
    kept = KeptSettings.of(home)

    assert kept.changes_to(kept.with_given({})) == []
    (change,) = kept.changes_to(kept.with_given({"max_faces": "5"}))
    assert (str(change), change.is_protected) == ("max_faces: 3 -> 5", True)


def test_what_says_the_same_as_cdk_json_is_not_kept(home: StateFolder) -> None:
    NONE.with_given({"names_from": "folder"}).keep(home)

    back = KeptSettings.of(home).with_given({"names_from": FROM_FILE})

    assert back.given == {}
    assert back.words() == []


def test_before_the_first_start_nothing_is_kept(home: StateFolder) -> None:
    assert KeptSettings.of(home) == NONE
    assert NONE.changes_to(NONE.with_given({"max_faces": "5"})) == []


def test_an_impossible_setting_is_refused_by_itself(home: StateFolder) -> None:
    NONE.with_given({"names_from": "folder"}).keep(home)
    with pytest.raises(RefusedSettingError, match="max_faces is '0'"):
        KeptSettings.of(home).with_given({"max_faces": "0"})


def test_a_kept_setting_that_has_become_impossible_can_be_forgotten(home: StateFolder) -> None:
    home.settings.write_text(json.dumps({"given": {"gone": "1"}, "recorded": {}}))
    with pytest.raises(Unusable, match=r"'gone' is not a setting.* local start --defaults"):
        KeptSettings.of(home).with_given({})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"given": 7}', '{"given": {}}'])
def test_a_file_that_cannot_be_read_is_named(home: StateFolder, text: str) -> None:
    home.settings.write_text(text)
    with pytest.raises(Unusable, match=r"settings\.json cannot be read.* Delete that file"):
        KeptSettings.of(home)


def test_a_rule_for_names_of_an_earlier_version_is_kept_under_its_new_name(
    home: StateFolder,
) -> None:
    pattern = compiled_names_from(FROM_FOLDER).pattern
    former = {"given": {"name_pattern": "folder"}, "recorded": {"name_pattern": pattern}}
    home.settings.write_text(json.dumps(former))

    kept = KeptSettings.of(home)

    assert (kept.given, kept.recorded) == ({"names_from": "folder"}, {"names_from": "folder"})
    assert kept.changes_to(kept.with_given({})) == []
