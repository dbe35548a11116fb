"""Today's command line on the stack from before, and on it after an update.

The tests stand in the order in which a person would go on: look at the old stack, deploy today's
template, look again, mend what is wrong, add photographs, have all of it written anew, forget
somebody. What is compared is what it means, not which fields a record has: later commits write
others.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import typer

from facematch.cli.main import FORMER, app
from facematch.evidence.folders import EvidenceFolders
from facematch.stack.records import Records
from functions.matching.identity import record_of_name
from functions.matching.places import Place
from tests.before import kept, rights
from tests.before.conftest import RAN, facematch, run
from tests.workflow.test_evidence_page import data
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.before.conftest import Stack

ZOE, ALOYSIUS, JUERGEN = "Zoë Ångström", "Aloysius_Mbeki", "Jürgen & Söhne"
FORMULA, HOSTILE = "=1+1 O'Nuñez", 'Ida; "II", <b>Roe'
LEO, BO = "Лев Толмачёв", "Bo%2BLee+Co"
ANA, MINA = "Ana-María del Río", "Mina 100%"
PAUL, QUENTIN, OTTILIE, BEFORE = "Paul_Plain", "Quentin Q.", "Ottilie Über", "Before The Queue"
FERDI, FIONA, FRITZ = "Ferdi Fast", "Fiona F.", "Fritz Untold"
SOLO, WANDA, NADJA = "Solo Única", "Wanda Wieder", "Nadja Neu"

#: How a pair of records stands, how many pairs of photographs support it, and its similarity, %.
#: Images that failed have no report, and support no pair.
Pairs = dict[tuple[str, str], tuple[str, int, float]]
PAIRS: Pairs = {
    (BO, LEO): ("REOPENED", 2, 100.0),
    (PAUL, QUENTIN): ("UNDECIDED", 1, 100.0),
    (JUERGEN, ZOE): ("UNSURE", 2, 100.0),
    (ALOYSIUS, JUERGEN): ("UNDECIDED", 2, 100.0),
    (ALOYSIUS, ZOE): ("SAME_PERSON", 2, 100.0),
    (FORMULA, HOSTILE): ("DIFFERENT_PEOPLE", 1, 100.0),
    (ANA, MINA): ("UNDECIDED", 1, 95.0),
}
#: After the decisions that were exported then have been imported.
DECIDED: Pairs = PAIRS | {
    (BO, LEO): ("SAME_PERSON", 2, 100.0),
    (PAUL, QUENTIN): ("DIFFERENT_PEOPLE", 1, 100.0),
    (ALOYSIUS, JUERGEN): ("UNSURE", 2, 100.0),
}
#: After what had failed, was lost or came back has gone through the workflow.
MENDED: Pairs = DECIDED | {
    (FIONA, FRITZ): ("UNDECIDED", 1, 100.0),
    (FERDI, FIONA): ("UNDECIDED", 1, 100.0),
    (FERDI, FRITZ): ("UNDECIDED", 1, 100.0),
    (BEFORE, OTTILIE): ("UNDECIDED", 1, 100.0),
    (SOLO, WANDA): ("UNDECIDED", 1, 100.0),
}
#: After one more photograph of the same face has been uploaded under a new name.
ADDED: Pairs = MENDED | {
    (NADJA, ZOE): ("UNDECIDED", 2, 100.0),
    (ALOYSIUS, NADJA): ("UNDECIDED", 2, 100.0),
    (JUERGEN, NADJA): ("UNDECIDED", 1, 100.0),
}
#: After everything has been searched again: then the matches of one photograph that were left out
#: are listed too.
AGAIN: Pairs = ADDED | {(ALOYSIUS, ZOE): ("SAME_PERSON", 4, 100.0)}

REJECTIONS = {
    **dict.fromkeys(("GONE", "KEY_UNUSABLE", "NOT_JPEG_OR_PNG", "SUPERSEDED", "TOO_LARGE"), 1),
    **dict.fromkeys(("TOO_SMALL", "UNNAMED"), 1),
}
FAILURES = {
    "FAILED AccessDeniedException": 2,  # one of them of a removal
    "FAILED Unavailable": 1,
    "FAILED States.ServiceRestart": 1,
    "ABORTED ABORTED": 1,
    "TIMED_OUT TIMED_OUT": 1,
}
#: Executions that ended badly, by the file of their image.
TO_REPLAY = {
    *("Ferdi-Fast_0001", "Fiona-F-_0001", "Fritz-Untold_0001", "Abel-Aborted_0001"),
    *("Tilda-Timeout_0001", "Rosa-Restart_0001", "Rita-Removed_0001"),
}
DECISIONS = {
    (OTTILIE, PAUL): "SAME_PERSON",
    (ALOYSIUS, JUERGEN): "UNDECIDED",
    (BO, LEO): "DIFFERENT_PEOPLE",
    (FORMULA, HOSTILE): "DIFFERENT_PEOPLE",
    (JUERGEN, ZOE): "UNSURE",
    (ALOYSIUS, ZOE): "SAME_PERSON",
}
EXPORTED = {
    (BO, LEO): "SAME_PERSON",
    (PAUL, QUENTIN): "DIFFERENT_PEOPLE",
    (ALOYSIUS, JUERGEN): "UNSURE",
}
#: Of the queries that have no default for them.
PARAMETERS = {
    ("history", "key"): f"images/{OTTILIE}_0001.jpg",
    ("pair_photographs", "record"): record_of_name(ALOYSIUS),
    ("pair_photographs", "other_record"): record_of_name(ZOE),
}
#: Commands that have no use for a stack, nor for anything that another command has kept.
NO_STACK = {
    "cost": "estimates by the template of today",
    "deploy": "asks AWS; a stack from before is deployed in tests/unit/operations/test_deploy.py",
    "demo": "uploads a folder, as `upload` does, to the local cloud of today",
}


def pairs(found: Iterable[dict[str, Any]]) -> Pairs:
    return {
        (pair["name_a"], pair["name_b"]): (
            pair["standing"],
            pair["image_pairs"],
            round(pair["similarity"], 1),
        )
        for pair in found
    }


def matches(stack: Stack) -> Pairs:
    return pairs(stack.json("matches", "--min", "0"))


def has(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether everything expected is there; a later version may say more."""
    return {name: found.get(name) for name in expected} == expected


def passed(report: dict[str, Any]) -> Any:
    """Whether a report reached the notify threshold, by either name of the field."""
    return report["above_threshold"] if "above_threshold" in report else report["notified"]


def files(executions: Iterable[str]) -> set[str]:
    """The files that names or ARNs of executions begin with."""
    return {re.split("-[0-9a-f]{32}", name.rpartition(":")[2])[0] for name in executions}


# --- The stack as it was kept, and the same after an update ------------------------------------


def test_the_stack_is_found_with_everything_that_it_has(old: Stack) -> None:
    def without_ports(outputs: dict[str, str]) -> dict[str, str]:
        return {name: re.sub(r"(127\.0\.0\.1):\d+", r"\1", o) for name, o in outputs.items()}

    found = json.loads(run("local", "status", "--json").stdout)

    assert (found["running"], found["folder"]) == (True, str(old.home.folder))
    assert has(without_ports(found["outputs"]), without_ports(kept.document("outputs.json")))


def test_the_notify_threshold_is_the_one_that_a_person_has_set(old: Stack) -> None:
    assert old.deployment.notify_threshold() == 98.5


def test_the_status_counts_each_outcome(old: Stack) -> None:
    found = old.json("status", "--since", "2d")

    assert found["finished"] == {"MATCHED": 13, "UNIQUE": 6, "NO_FACE": 2}
    rejected = {f"REJECTED {reason}": count for reason, count in REJECTIONS.items()}
    assert has(found["failed"], rejected | FAILURES)
    assert (found["waiting"], found["running"], found["dead_letters"]) == (0, 0, 2)


def test_every_execution_is_listed(old: Stack) -> None:
    found = old.json("executions", "--limit", "1000")

    statuses = Counter(execution["status"] for execution in found)
    assert statuses == {"SUCCEEDED": 30, "FAILED": 12, "ABORTED": 1, "TIMED_OUT": 1}
    (vanished,) = old.json("executions", "--name", "Gustav-Gone", "--status", "SUCCEEDED")[1:]
    assert vanished["of_removal"]


def test_a_photograph_is_shown_with_its_steps_and_its_matches_from_both_sides(old: Stack) -> None:
    key = f"images/Archiv 1/{JUERGEN}_0007.jpg"

    told = old.json("show", key)

    assert [step["name"] for step in told["steps"]][-1] == "NotifyMatch"
    assert told["report"]["status"] == "MATCHED"
    assert passed(told["report"])
    listed = [match["name"] for face in told["report"]["faces"] for match in face["matches"]]
    assert sorted(listed) == [ALOYSIUS, ZOE, ZOE]
    seen_by = [row["key"] for row in told["seen_by_others"]]
    assert seen_by == [f"images/Archiv 1/{ALOYSIUS}_0002.jpg"]
    by_execution = old.json("show", told["executions"][0]["name"])
    assert by_execution["report"] == told["report"]


def test_a_photograph_of_somebody_is_searched_for_and_not_stored(
    old: Stack, tmp_path: Path
) -> None:
    (images,) = (old.home.folder / "state" / "s3" / "000000000000").glob("*images*/images")
    photograph = tmp_path / "unknown.jpg"
    photograph.write_bytes((images / "Archiv 1" / f"{JUERGEN}_0007.jpg").read_bytes())
    faces = old.json("status")["faces"]

    found = old.json("search", str(photograph), "--min", "80")

    assert found["faces"] == 1
    assert found["box"] is not None
    names = [each["name"] for each in found["lookalikes"]]
    assert (names[0], found["lookalikes"][0]["similarity"] > 99.9) == (JUERGEN, True)
    assert {ALOYSIUS, ZOE} <= set(names)
    assert old.json("status")["faces"] == faces


@pytest.mark.parametrize(
    ("name", "status", "above"),
    [
        (SOLO, "UNIQUE", True),  # the only match was forgotten since
        (FORMULA, "MATCHED", False),  # silenced by a decision
        (ANA, "MATCHED", False),  # too weak
        (FRITZ, "MATCHED", True),  # and nobody was told
    ],
)
def test_a_report_says_what_it_said(old: Stack, name: str, status: str, above: bool) -> None:
    told = old.json("show", f"{name}_0001.jpg")

    assert (told["report"]["status"], bool(passed(told["report"]))) == (status, above)


def test_a_failed_image_is_shown_with_its_steps_and_a_remedy(old: Stack) -> None:
    told = old.json("show", f"{FIONA}_0001.jpg")

    assert [step["name"] for step in told["steps"]] == ["IndexFaces", "Settle", "SearchFaces"]
    assert (told["failure"]["status"], told["report"]) == ("FAILED", None)
    assert told["failure"]["remedy"].startswith("Read the cause")


@pytest.mark.parametrize(
    "command",
    [["matches"], ["failures"], ["forget", "--dry-run", "--name", ZOE]],
    ids=lambda command: command[0],
)
def test_a_command_that_asks_athena_says_when_the_stack_must_be_deployed_again(
    old: Stack, command: list[str], request: pytest.FixtureRequest
) -> None:
    """The tables of then lack columns of today."""
    as_it_was = request.node.callspec.params["old"] == "as it was deployed"
    assert old.deployment.local

    result = run(*command, "--local", expect=1 if as_it_was else 0)

    assert ("Deploy the stack again" in str(result.exception)) is as_it_was


def test_failures_are_grouped_with_the_way_out(updated: Stack) -> None:
    found = {group["reason"]: group for group in updated.json("failures")}

    # A newer version of the key is there.
    rejections = {reason: count for reason, count in REJECTIONS.items() if reason != "SUPERSEDED"}
    assert has({reason: group["count"] for reason, group in found.items()}, rejections)
    assert {reason: found[reason]["replay"] for reason in rejections} == dict.fromkeys(
        rejections, "NONE"
    )
    for failure, count in FAILURES.items():
        group = found[failure.partition(" ")[2]]
        assert (group["count"], group["replay"]) == (count, "REDRIVE")


def test_the_pairs_of_names_are_those_that_people_have_seen_and_decided(updated: Stack) -> None:
    assert matches(updated) == PAIRS
    strong = updated.json("matches")
    assert pairs(strong) == {names: pair for names, pair in PAIRS.items() if pair[2] >= 98.5}
    (reopened,) = (pair for pair in strong if pair["standing"] == "REOPENED")
    assert reopened["why"] == ["NEW_PHOTOGRAPH"]


def test_the_audit_names_what_has_no_outcome(old: Stack) -> None:
    found = old.json("audit", expect=1)

    assert has(found, {"versions": 36, "rejected": 7, "failed": 5, "deleted": 1})
    without = Counter(
        item["key"] for name in found if name.endswith("_versions") for item in found[name]
    )
    # One has a report, and an execution that failed when it should have told of it: it counts
    # either as reported or as one to be replayed.
    assert found["reported"] + without.pop(f"images/{FRITZ}_0001.jpg", 0) == 21
    assert without == {f"images/{BEFORE}_0001.jpg": 1, f"images/{WANDA}_0001.jpg": 1}


def test_the_collection_check_finds_faces_without_an_image_and_an_image_without_its_face(
    old: Stack,
) -> None:
    found = old.json("collection", "check", expect=1)

    assert sorted(found["orphans"].values()) == [
        "images/Otto Orphan_0001.jpg",
        "images/Rita Removed_0001.jpg",
    ]
    assert found["faceless"] == [f"images/{WANDA}_0001.jpg"]
    assert (found["faces"], found["foreign"], found["on_their_way"]) == (21, 1, 0)


def test_every_decision_is_listed(old: Stack) -> None:
    found = old.json("decisions", "list")

    assert {(d["name_a"], d["name_b"]): d["decision"] for d in found} == DECISIONS
    (note,) = (d["note"] for d in found if d["decision"] == "UNSURE")
    assert note == "=HYPERLINK(\"x\") <script>alert('1')</script>"
    assert {d["decided_by"] for d in found} == {"Rita Müller-Lüdenscheidt"}


@pytest.mark.usefixtures("old")
def test_every_decision_is_exported_with_its_records(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    run("decisions", "export", str(file), "--local")

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {(d["name_a"], d["name_b"]): d["decision"] for d in lines} == DECISIONS
    assert all(line["record_a"] == record_of_name(line["name_a"]) for line in lines)


def test_a_replay_would_take_each_execution_that_ended_badly(old: Stack) -> None:
    plan = old.json("replay", "--all", "--dry-run")

    assert files(item["execution"] for item in plan["replays"]) == TO_REPLAY
    assert len(plan["replays"]) == len(TO_REPLAY)
    assert sum(plan["left_out"].values()) == 7  # rejected


def test_dead_letters_are_shown_with_their_bodies(old: Stack) -> None:
    found = old.json("replay", "--dead-letters", "--dry-run")

    assert (found["dead_letters"], found["moved"]) == (2, 0)
    assert any('"s3:TestEvent"' in letter["body"] for letter in found["shown"])


def test_a_backfill_would_find_every_object_and_those_with_a_report(old: Stack) -> None:
    found = old.json("backfill", "--dry-run")

    assert has(found, {"prefix": "images/", "objects": 31, "reported": 19})


def test_forgetting_somebody_would_find_everything_about_them(updated: Stack) -> None:
    found = updated.json("forget", "--dry-run", "--name", ZOE)

    # Two photographs without match rows of their own; reports and rows of three others.
    assert has(found, {"versions": 2, "faces": 2, "records": 2, "mentions": 4, "registers": 2})
    assert has(found, {"decisions": 2, "dead_letters": 0, "dashboards": 1})
    assert found["results"] >= 1  # and one of each `show` before


def test_the_evidence_page_shows_all_of_it_over_the_page_of_then(updated: Stack) -> None:
    folder = updated.home.folder / "dashboard"
    assert (folder / "index.html").exists()

    assert "14 photographs" in run("evidence", "--local").stdout

    page = data(folder / "index.html")
    outcomes = {"MATCHED": 12, "UNIQUE": 5, "NO_FACE": 2, "REJECTED": 6}
    failed = {"FAILED": 4, "TIMED_OUT": 1, "ABORTED": 1}
    assert has(page["counts"], {"images": 31, "faces": 17} | outcomes | failed)
    assert len(page["matches"]) == sum(pair[1] for pair in PAIRS.values())
    names = {photograph["name"] for photograph in page["photographs"]}
    assert names == {name for pair in PAIRS for name in pair}
    assert {(d["name_a"], d["name_b"]): d["decision"] for d in page["decisions"]} == DECISIONS


# --- After the update ---------------------------------------------------------------------------


def test_a_plain_client_is_given_this_cloud(updated: Stack) -> None:
    running = updated.home.running()
    assert running

    assert running.endpoint in run("local", "env").stdout


def test_every_query_is_answered(updated: Stack) -> None:
    for query in json.loads(run("query", "--json").stdout):
        needed = [p["name"] for p in query["parameters"] if p["default"] is None]
        given = [f"--param={name}={PARAMETERS[query['name'], name]}" for name in needed]
        rows = updated.json("query", query["name"], *given)

        assert [row.keys() for row in rows[:1]] in (
            [],
            [{column["name"]: None for column in query["columns"]}.keys()],
        )


def test_the_queries_find_the_same(updated: Stack) -> None:
    assert pairs(updated.json("query", "pairs")) == PAIRS
    (day,) = updated.json("query", "daily")
    outcomes = {"matched": 12, "unique_images": 5, "no_face": 2, "rejected": 6, "failed": 6}
    assert has(day, {"day": kept.day(), "images": 31} | outcomes)
    failures = {
        f"{f['status']} {f['reason']}": f["images"] for f in updated.json("query", "failures")
    }
    assert has(failures, FAILURES)
    groups = {(row["person"], row["name"]) for row in updated.json("query", "groups")}
    assert groups == {
        *((record_of_name(ALOYSIUS), name) for name in (ALOYSIUS, JUERGEN, ZOE)),
        *((record_of_name(BO), name) for name in (BO, LEO)),
        *((record_of_name(PAUL), name) for name in (PAUL, QUENTIN)),
    }
    names = {row["name"]: row["photographs"] for row in updated.json("query", "names")}
    assert len(names) == 28
    assert (names[ZOE], names[HOSTILE], names[None]) == (2, 1, 1)
    bins = {
        row["from_similarity"]: row["image_pairs"] for row in updated.json("query", "similarity")
    }
    assert bins == {94: 1, 99.99: sum(pair[1] for pair in PAIRS.values()) - 1}


def test_the_queries_tell_a_photograph_s_history_and_a_pair_s_photographs(updated: Stack) -> None:
    newer, older = updated.json("query", "history", "--param", f"key=images/{OTTILIE}_0001.jpg")
    assert (newer["status"], older["status"]) == ("MATCHED", "UNIQUE")
    assert (passed(newer), passed(older)) == (True, False)
    assert (newer["newest"], older["newest"]) == (True, False)
    asked = [
        f"--param={parameter}={PARAMETERS['pair_photographs', parameter]}"
        for parameter in ("record", "other_record")
    ]
    found = updated.json("query", "pair_photographs", *asked)
    assert [row["other_key"] for row in found] == [f"images/{ZOE}_000{n}.jpg" for n in (1, 2)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["status", "--since", "2d"], ["FAILED Unavailable", "REJECTED TOO_SMALL", "UNIQUE"]),
        (["failures"], ["Convert it to JPEG", "facematch replay --all"]),
        (["matches"], [HOSTILE, "new photograph", "3 decided"]),
        (["decisions", "list"], ["<script>alert('1')</script>", "taken back"]),
        (["show", f"{SOLO}_0001.jpg"], ["UNIQUE", "NotifyMatch"]),
        (["show", f"images/Archiv 1/{JUERGEN}_0007.jpg"], [f"{ZOE} images/{ZOE}_0002.jpg"]),
        (["show", f"{FIONA}_0001.jpg"], ["AccessDeniedException", "Read the cause"]),
        (["executions"], ["TIMED_OUT", "Gustav-Gone_0001"]),
    ],
)
@pytest.mark.usefixtures("updated")
def test_what_people_read_is_printed(command: list[str], words: list[str]) -> None:
    printed = " ".join(run(*command, "--local").stdout.split())

    assert [word for word in words if word not in printed] == []


def test_every_difference_from_aws_is_shown() -> None:
    assert "Face collection" in run("local", "differences").stdout


@pytest.mark.parametrize("form", ["json", "csv"])
def test_decisions_that_were_exported_then_are_imported(
    updated: Stack, tmp_path: Path, form: str
) -> None:
    text = (kept.FOLDER / f"decisions.{form}").read_bytes().decode()
    file = tmp_path / f"decisions.{form}"
    file.write_text(kept.shifted(text), newline="")

    found = updated.json("decisions", "import", str(file))

    assert found["decisions"] == 3
    assert found.get("imported", 0) + found.get("unchanged", 0) == 3
    assert matches(updated) == DECIDED
    listed = updated.json("decisions", "list")
    assert {(d["name_a"], d["name_b"]): d["decision"] for d in listed} == DECISIONS | EXPORTED


def test_the_console_s_redrive_resumes_executions_of_then(updated: Stack) -> None:
    """With the definition of then, and the functions of today."""
    files = ("Fritz-Untold", "Fiona-F")  # at NotifyMatch, at SearchFaces
    client = updated.deployment.make_client("stepfunctions")
    for file in files:
        (failed,) = updated.json("executions", "--name", file)
        client.redrive_execution(executionArn=failed["arn"])
    updated.settle()

    for file in files:
        (redriven,) = updated.json("executions", "--name", file)
        assert (redriven["status"], redriven["redrives"]) == ("SUCCEEDED", 1)


def test_a_replay_brings_every_image_to_its_outcome(updated: Stack) -> None:
    done = updated.json("replay", "--all")

    expected = TO_REPLAY - {"Fritz-Untold_0001", "Fiona-F-_0001"}
    assert files(item["execution"] for item in done["replays"]) == expected
    updated.settle()
    failed = updated.json("status", "--since", "2d")["failed"]
    assert failed == {f"REJECTED {reason}": count for reason, count in REJECTIONS.items()}
    assert updated.json("show", "Abel Aborted_0001.png")["report"]["status"] == "NO_FACE"
    assert updated.json("show", f"{FERDI}_0001.jpg")["report"]["status"] == "MATCHED"


def test_the_collection_is_mended(updated: Stack) -> None:
    found = updated.json("collection", "check", "--fix")
    updated.settle()

    assert list(found["orphans"].values()) == ["images/Otto Orphan_0001.jpg"]
    assert updated.json("collection", "check")["foreign"] == 1
    assert updated.json("show", f"{WANDA}_0001.jpg")["report"]["status"] == "MATCHED"


def test_a_backfill_takes_in_what_was_there_before_and_the_audit_lacks_nothing(
    updated: Stack,
) -> None:
    assert updated.json("backfill")["gone_through"] == 31
    updated.settle()

    assert matches(updated) == MENDED
    found = updated.json("audit", "--fix")
    assert (found["missing"], found["replay"], found["failed"]) == (0, 0, 0)


def test_one_more_photograph_finds_the_faces_of_then(updated: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    body = updated.deployment.make_client("s3").get_object(
        Bucket=updated.deployment.images_bucket, Key=f"images/{ZOE}_0001.jpg"
    )["Body"]
    (folder / f"{NADJA}_0001.jpg").write_bytes(body.read())

    found = updated.json("upload", str(folder), "--wait")

    assert found["reported"] == [f"images/{NADJA}_0001.jpg"]
    assert matches(updated) == ADDED


def test_everything_written_anew_says_the_same(updated: Stack) -> None:
    before = {record["key"]: record for record in reports(updated)}

    run("backfill", "--again", "--local")
    updated.settle()

    assert matches(updated) == AGAIN
    assert pairs(updated.json("query", "pairs")) == AGAIN
    found = updated.json("status", "--since", "2d")
    assert found["finished"] == {"MATCHED": 22, "UNIQUE": 1, "NO_FACE": 5}
    after = {record["key"]: record for record in reports(updated)}
    assert after.keys() == before.keys()
    assert {face["face_id"] for record in after.values() for face in record["faces"]} == {
        face["face_id"] for record in before.values() for face in record["faces"]
    }
    assert has(updated.json("audit"), {"versions": 37, "reported": 28, "rejected": 7, "deleted": 2})
    assert updated.json("collection", "check")["faces"] == 23


def reports(stack: Stack) -> list[dict[str, Any]]:
    records = Records(stack.deployment)
    return list(records.read(list(records.keys(Place.REPORTS))))


def test_after_a_restart_everything_is_there(updated: Stack) -> None:
    updated.cloud.stop()

    started = facematch(updated.home.folder, "local", "start")

    assert started.returncode == 0, started.stderr
    assert matches(updated) == AGAIN
    assert updated.deployment.notify_threshold() == 98.5


def test_a_person_is_forgotten_in_records_of_either_age(updated: Stack) -> None:
    updated.json("forget", "--name", ZOE, "--yes")
    page = updated.home.folder / "dashboard" / "index.html"

    gone = {names: pair for names, pair in AGAIN.items() if ZOE not in names}
    assert matches(updated) == gone
    assert not page.exists()
    records = Records(updated.deployment)
    for kind in kept.KINDS:
        lines = list(records.read(list(records.keys(Place(f"{kind}/")))))
        assert ZOE not in json.dumps(lines, ensure_ascii=False)
    decided = {(d["name_a"], d["name_b"]) for d in updated.json("decisions", "list")}
    assert decided == {names for names in DECISIONS | EXPORTED if ZOE not in names}


def test_all_of_it_is_destroyed(updated: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = updated.deployment

    class Session:
        def __init__(self, **_place: Any) -> None:
            self.client = lambda service, **_config: deployment.make_client(service)

    monkeypatch.setattr("boto3.session.Session", Session)

    printed = run("destroy", typed="FaceMatching\n").stdout

    assert deployment.images_bucket in printed
    for bucket in (deployment.images_bucket, deployment.output_bucket):
        left = deployment.make_client("s3").list_object_versions(Bucket=bucket)
        assert not left.get("Versions", []) + left.get("DeleteMarkers", [])


def test_the_local_cloud_is_stopped(updated: Stack) -> None:
    assert facematch(updated.home.folder, "local", "stop").returncode == 0

    run("local", "status", expect=1)


# --- What needs no running stack ------------------------------------------------------------------


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local cloud's folder of then once more, of which none runs."""
    project = tmp_path_factory.mktemp("another")
    for package in ("facematch", "functions", "workflow"):
        (project / package).symlink_to(PROJECT / package)
    return kept.restore(project / ".facematch")


@pytest.fixture
def home(another: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, for the command line; the evidence page and the evaluation are beside it."""
    monkeypatch.setenv("FACEMATCH_HOME", str(another))
    monkeypatch.setattr(EvidenceFolders.__init__, "__defaults__", (another.parent,))
    return another


def test_the_page_of_then_is_deleted(home: Path) -> None:
    page = home / "dashboard"
    assert (page / "index.html").exists()

    printed = run("dashboard", "--delete", "--local").stdout

    assert f"Deleted: {page}" in printed.replace("\n", "")
    assert not page.exists()


def test_a_threshold_is_proposed_by_the_evaluation_of_then(home: Path) -> None:
    file = home.parent / "evaluation" / "evaluation.json"
    asked = ("--faces", "1000", "--new-per-month", "10", "--wrong-per-month", "5")

    found = json.loads(run("calibrate", *asked, "--evaluation", str(file), "--json").stdout)

    assert (found["threshold"], found["reached"]) == (99.0, False)
    assert any("0 of 2 pairs of different people" in words for words in found["words"])


def test_an_evaluation_takes_the_place_of_the_one_of_then(home: Path, tmp_path: Path) -> None:
    people = tmp_path / "people"
    people.mkdir()
    (images,) = (home / "state" / "s3" / "000000000000").glob("*images*/images")
    for name in (f"{ZOE}_0001.jpg", f"{ZOE}_0002.jpg", f"{MINA}_0001.jpg", f"{LEO}_0001.jpg"):
        (people / name).write_bytes((images / name).read_bytes())

    asked = ("evaluate", str(people), "--processes", "1", "--json")
    done = facematch(home, *asked, project=home.parents[1])

    assert done.returncode == 0, done.stderr
    sample = {"faces": 4, "same_person_pairs": 1, "different_person_pairs": 5}
    assert has(json.loads(done.stdout)["sample"], sample)
    written = json.loads((home.parent / "evaluation" / "evaluation.json").read_text())
    assert has(written["sample"], sample)  # and not that of then, of three faces


def test_everything_of_then_is_deleted_by_a_reset(home: Path) -> None:
    run("local", "reset", "--yes")

    assert not (home / "state").exists()
    assert not (home / "dashboard").exists()


def commands(group: Any, *parents: str) -> set[str]:
    """The words of every command below a group."""
    found = set()
    for name, command in group.commands.items():
        words = (*parents, name)
        found |= commands(command, *words) if hasattr(command, "commands") else {" ".join(words)}
    return found


@pytest.fixture
def whole_session(request: pytest.FixtureRequest) -> None:
    """Every test of this file is run, and so every command."""
    here = {i.name.partition("[")[0] for i in request.session.items if i.path == request.path}
    if here != {name for name in globals() if name.startswith("test_")}:
        pytest.skip("Only a part of these tests is run, and so not every command.")


@pytest.mark.usefixtures("whole_session")
def test_every_command_has_run_here() -> None:
    """A new command needs a test on the stack from before, or a reason why it has no use for it."""
    assert commands(typer.main.get_command(app)) - NO_STACK.keys() == RAN - FORMER.keys()


@pytest.mark.usefixtures("whole_session")
def test_the_readme_grants_each_command_what_it_uses_and_nothing_else() -> None:
    granted = rights.granted()
    used = {command: actions for command, actions in rights.USED.items() if actions}
    unseen = {command: actions.keys() for command, actions in rights.UNSEEN.items()}

    here = {command: actions.keys() for command, actions in rights.ONLY_HERE.items()}
    lacking = {c: a - granted.get(c, set()) - here.get(c, set()) for c, a in used.items()}
    assert {command: actions for command, actions in lacking.items() if actions} == {}
    needless = {c: actions - used.get(c, set()) for c, actions in granted.items()}
    assert {command: actions for command, actions in needless.items() if actions} == unseen
