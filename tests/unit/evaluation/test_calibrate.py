"""The proposal for the notify threshold."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from facematch.cli.main import app
from facematch.errors import Unusable
from facematch.evaluation.calibrate import by_evaluation, by_reference
from facematch.evaluation.reference import Reference
from facematch.local.rekognition.faces import similarity
from functions.matching.settings import SIMILARITY_PATTERN

if TYPE_CHECKING:
    from pathlib import Path


def entry(threshold: float, false: tuple[int, float], true: float = 0.9) -> dict[str, Any]:
    """False matches of 100,000 pairs and the end of their interval."""
    count, high = false
    return {
        "threshold": threshold,
        "false_match_rate": {
            "rate": count / 100_000,
            "low": 0,
            "high": high,
            "count": count,
            "of": 100_000,
        },
        "true_match_rate": {"rate": true, "low": true - 0.05, "high": true + 0.05, "of": 200},
    }


DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "conditions": {
        "engine": "Amazon Rekognition, eu-west-1",
        "face_model_version": "7.0",
        "data_set": "ours",
        "confidence": 0.95,
    },
    "thresholds": [
        entry(50, (0, 1e-9)),  # no report lists what is below 80
        entry(80, (90, 2e-3), 0.99),
        entry(95, (9, 2e-4), 0.95),
        entry(99, (1, 5e-5), 0.9),
        entry(99.9, (0, 4e-5), 0.7),
    ],
}


@pytest.mark.parametrize(
    ("wrong", "threshold", "reached"),
    [
        (500, 95, True),  # a rate of 5e-4
        (60, 99, True),  # the interval of 99 keeps 6e-5
        (45, 99.9, True),
        (20, 99, False),  # the rate of 99 keeps 2e-5, the sample cannot show it
        (1, 99.9, False),
    ],
)
def test_the_lowest_threshold_that_is_shown_to_keep_the_number_is_proposed(
    wrong: float, threshold: float, reached: bool
) -> None:
    proposal = by_evaluation(DOCUMENT, pairs=1_000_000, wrong=wrong)

    assert (proposal.threshold, proposal.reached) == (threshold, reached)
    assert any("cannot show it" in words for words in proposal.words) is not reached


def test_below_the_default_nothing_is_proposed_that_is_not_shown() -> None:
    clean = {**DOCUMENT, "thresholds": [entry(t, (0, 1e-4)) for t in (80, 95, 99, 99.9)]}

    assert by_evaluation(clean, pairs=1_000_000, wrong=1).threshold == 99
    assert by_evaluation(clean, pairs=1_000_000, wrong=100).threshold == 80


def test_what_is_lost_and_what_may_come_is_said() -> None:
    said = " ".join(by_evaluation(DOCUMENT, pairs=1_000_000, wrong=60).words)

    assert "Amazon Rekognition, eu-west-1 (model 7.0) on ours" in said
    assert "at 99 %, 1 of 100,000 pairs of different people" in said
    assert "at most 5.0e-05 (95% confidence): on average at most 50.0 wrong pairs a month" in said
    assert "REKOGNITION." not in said
    assert "Lost at 99 %: 10.0% of the pairs of photographs of one person (5.0% to 15.0%)" in said


LOCAL: dict[str, Any] = {
    **DOCUMENT,
    "conditions": {
        **DOCUMENT["conditions"],
        "engine": "the local face engine",
        "face_model_version": Reference.read().face_model_version,
    },
}


@pytest.mark.parametrize("wrong", [60, 1])
def test_a_measurement_of_the_local_engine_is_not_aws_either(wrong: float) -> None:
    words = by_evaluation(LOCAL, pairs=1_000_000, wrong=wrong).words

    assert "NOTHING ABOUT AMAZON REKOGNITION" in words[0]
    assert "--aws" in words[0]


def test_a_sample_that_shows_nothing_does_not_lower_what_a_larger_one_asks_for() -> None:
    """The local engine's own curve is of far more pairs than anybody's folder."""
    wrong, pairs = 20, 500_000_000
    alone = by_reference(pairs=pairs, wrong=wrong)

    proposal = by_evaluation(LOCAL, pairs=pairs, wrong=wrong)

    assert proposal.threshold == alone.threshold > 99.9
    assert not proposal.reached
    said = " ".join(proposal.words)
    assert "cannot show it" in said
    assert (
        f"it takes {alone.threshold:.10g} % at least: there the curve ends, and 500 pairs" in said
    )
    assert "Lost at 99.9 %" in said  # the nearest that was measured

    # It is of that model only.
    other = {**LOCAL, "conditions": {**LOCAL["conditions"], "face_model_version": "other"}}
    assert by_evaluation(other, pairs=pairs, wrong=wrong).threshold == 99.9
    # And what the sample shows, it shows.
    assert by_evaluation(LOCAL, pairs=1_000_000, wrong=500).threshold == 95


def test_without_a_measurement_the_curve_of_the_local_engine_counts_and_is_not_aws() -> None:
    proposal = by_reference(pairs=1_000_000, wrong=10)

    assert proposal.threshold == pytest.approx(similarity(0.511), abs=1e-3)
    assert proposal.reached
    assert "NOTHING ABOUT AMAZON REKOGNITION" in proposal.words[0]


def test_where_the_search_threshold_decides_fewer_are_expected_than_are_wanted() -> None:
    floor = by_reference(pairs=1000, wrong=500)
    assert floor.threshold == 80
    said = " ".join(floor.words)
    assert "Fewer than 500 wrong pairs a month are expected" in said
    assert "About" not in said

    above = by_reference(pairs=1_000_000, wrong=10)
    assert above.threshold > 80
    assert "About 10 wrong pairs a month are expected" in " ".join(above.words)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("inf", "--wrong-per-month is inf. Give it a finite number"),
        ("1046", "--wrong-per-month is 1,046, and a month has 1,045 pairs"),
    ],
)
def test_a_number_of_wrong_pairs_that_cannot_be_is_refused(wrong: str, sentence: str) -> None:
    options = ["--faces", "100", "--new-per-month", "10", "--wrong-per-month"]
    refused = CliRunner().invoke(app, ["calibrate", *options, wrong])
    assert isinstance(refused.exception, Unusable)
    assert sentence in str(refused.exception)
    assert CliRunner().invoke(app, ["calibrate", *options, "1045"]).exit_code == 0


def test_no_number_of_wrong_pairs_is_refused_too() -> None:
    options = ["--faces", "100", "--new-per-month", "10", "--wrong-per-month", "nan"]
    assert CliRunner().invoke(app, ["calibrate", *options]).exit_code != 0


def test_beyond_the_end_of_the_curve_nothing_is_made_up() -> None:
    proposal = by_reference(pairs=1_000_000_000, wrong=1)

    assert proposal.threshold == pytest.approx(similarity(0.604), abs=1e-3)
    assert not proposal.reached
    assert any("1,000 pairs a month would be wrong" in words for words in proposal.words)
    lowest = by_reference(pairs=100, wrong=50)
    assert lowest.threshold == 80


def test_a_curve_of_another_model_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facematch.local.rekognition.faces.FACE_MODEL_VERSION", "newer")
    said = " ".join(by_reference(pairs=1000, wrong=1).words)
    assert f"curve is of the model {Reference.read().face_model_version}" in said
    assert "the engine is now newer" in said


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["calibrate", *arguments])


def test_the_command_shows_the_pairs_and_how_the_threshold_is_set(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps(DOCUMENT))
    asked = ("--faces=9000", "--new-per-month=1000", "--wrong-per-month=500")

    said = run(*asked, f"--evaluation={file}", "--stack=Mine").output.replace("\n", " ")

    assert "1,000 x 9,000 + 1,000 x 999 / 2 = 9,499,500 pairs" in said
    assert "Proposed notify threshold: 99 %" in said
    command = re.search(r"aws ssm put-parameter --name /Mine/notify-threshold .* (\S+)\s*$", said)
    assert command
    assert command[1] == "99"
    few = run(*asked[:2], "--wrong-per-month=1", f"--evaluation={file}").output
    assert "No threshold is shown to keep it. To begin with: 99.9 %" in few.replace("\n", " ")
    as_json = json.loads(run(*asked, f"--evaluation={file}", "--json").output)
    assert (as_json["threshold"], as_json["pairs"]) == (99, 9_499_500)


def test_the_value_is_one_that_the_parameter_takes() -> None:
    for wrong in ("0.01", "3", "5000", "1000000"):
        said = run("--faces=100000", "--new-per-month=1000", f"--wrong-per-month={wrong}").output
        value = re.search(r"--value\s+(\S+)", said)
        assert value
        assert re.match(SIMILARITY_PATTERN, value[1])


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"schema": 2, "thresholds": [1]}'])
def test_a_file_that_is_no_evaluation_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(content)
    asked = ("--faces=9000", "--new-per-month=1000", "--wrong-per-month=500")
    result = run(*asked, f"--evaluation={file}")
    assert isinstance(result.exception, Unusable)
    assert "is no evaluation of this version" in str(result.exception)
