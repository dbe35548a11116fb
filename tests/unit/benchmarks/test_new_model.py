"""The comparison of two stacks' pairs, and the page that shows what was measured."""

from __future__ import annotations

import json

from tests.benchmarks import new_model
from tests.benchmarks.new_model import Pair, compared, read_pairs

HEAD = "record_a,record_b,name_a,similarity,standing,why\n"


def test_pairs_are_told_by_their_records_and_by_nothing_else() -> None:
    hostile = '"name:B, ""C""\nD"'
    old = read_pairs(f"{HEAD}name:A,{hostile},A,99.5,UNDECIDED,\nname:A,name:E,A,81.0,UNDECIDED,\n")
    new = read_pairs(f"{HEAD}name:A,{hostile},a,98.25,UNDECIDED,\nname:F,id:1,F,85,UNSURE,\n")

    found = compared(old, new)

    assert (found["of_both"], found["of_the_old_only"], found["of_the_new_only"]) == (1, 1, 1)
    assert (found["best_of_the_old_only"], found["best_of_the_new_only"]) == (81, 85)
    assert found["similarity_changed_by"] == {"p5": -1.25, "median": -1.25, "p95": -1.25}


def test_only_what_a_person_could_see_counts_as_more_alike() -> None:
    old = {(str(n), "b"): Pair(99.123, "UNDECIDED", "") for n in range(3)}
    new = {("0", "b"): Pair(99.129, "", ""), ("1", "b"): Pair(99.13, "", "")}

    assert compared(old, new)["more_alike"] == 1


def test_a_decision_is_kept_or_open_again_and_why() -> None:
    old = {(str(n), "b"): Pair(99, "DIFFERENT_PEOPLE", "") for n in range(4)}
    old["s", "b"] = Pair(99, "SAME_PERSON", "")
    old["u", "b"] = Pair(99, "UNSURE", "")
    new = {
        ("0", "b"): Pair(99, "DIFFERENT_PEOPLE", ""),
        ("1", "b"): Pair(99.5, "REOPENED", "HIGHER_SIMILARITY"),
        ("2", "b"): Pair(99.5, "REOPENED", "HIGHER_SIMILARITY NEW_PHOTOGRAPH"),
        ("s", "b"): Pair(99.5, "SAME_PERSON", ""),
        ("u", "b"): Pair(99.5, "UNSURE", ""),
    }

    found = compared(old, new)

    assert (found["decided"], found["decided_to_be_different"]) == (4, 3)
    assert found["decided_and_silent"] == 2
    assert found["reopened_by_a_higher_similarity"] == 1
    assert found["reopened_by_a_photograph"] == 1


def test_stacks_without_a_pair_in_common_have_no_difference_of_similarity() -> None:
    assert compared({("a", "b"): Pair(99, "", "")}, {})["similarity_changed_by"] == {}


def test_the_page_shows_what_was_measured() -> None:
    written = new_model.DOCUMENT.read_text()

    assert new_model.document(written, json.loads(new_model.MEASURED.read_text())) == written


def test_the_measurement_lost_no_photograph_and_no_decision() -> None:
    measured = json.loads(new_model.MEASURED.read_text())

    assert measured["old"]["faces"] == measured["new"]["faces"] > 0
    assert measured["old"]["face_model_version"] != measured["new"]["face_model_version"]
    assert measured["face_ids_of_both"] == 0
    result = measured["compared"]
    settled = result["decided_and_silent"]
    open_again = result["reopened_by_a_higher_similarity"] + result["reopened_by_a_photograph"]
    assert settled + open_again == result["decided"]
    assert " 0 have neither record nor execution" in measured["audit"]
