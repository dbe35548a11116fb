"""Every query, on the local cloud's Athena, over a small pile of records that was checked by hand.

The tables and views are those of the deployed template, in a database of their own.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from facematch.errors import Actionable
from facematch.operations import query as command
from facematch.stack.athena import QueryFailed, run
from functions.matching.decisions import Decided
from functions.matching.errors import Reason
from functions.matching.failures import FailureStatus
from functions.matching.identity import record_of_name
from tests.pile import MORNING, Photograph, Pile
from tests.workflow.conftest import eventually
from workflow.queries import PARAMETER_TYPES, Query, queries

if TYPE_CHECKING:
    from pathlib import Path

    from facematch.stack.deployment import Deployment
    from tests.workflow.conftest import Workflow

BUCKET = "pile"
DATABASE = "pile"

ANN_1, ANN_2 = Photograph("images/Ann_1.jpg"), Photograph("images/Ann_2.jpg", 2)
BOB_1 = Photograph("images/Bob_1.jpg", 1)
CID_OLD, CID_NEW = Photograph("images/Cid_1.jpg", 4), Photograph("images/Cid_1.jpg", 10, "v2")
EVE_OLD, EVE_NEW = Photograph("images/Eve_1.jpg", 1), Photograph("images/Eve_1.jpg", 20, "v2")
DAN_1 = Photograph("images/Dan_1.jpg", 5)
FAY_1, GUS_1 = Photograph("images/Fay_1.jpg"), Photograph("images/Gus_1.jpg", 3)
HAL_1, HAL_2 = Photograph("images/Hal_1.jpg"), Photograph("images/Hal_2.jpg", 7)
IDA_1 = Photograph("images/Ida_1.jpg", 3)
JON_1, KIM_1 = Photograph("images/Jon_1.jpg"), Photograph("images/Kim_1.jpg", 3)
LEE_1, MIA_1 = Photograph("images/Lee_1.jpg"), Photograph("images/Mia_1.jpg", 3)
NIK_1, IN_FLIGHT = Photograph("images/Nik_1.jpg", 8), Photograph("images/Olga_1.jpg", 7)
YESTERDAY = Photograph("images/Pia_1.jpg", -24 * 60)
#: The last minute before the day on which the default of `records_since` begins.
REPLICATED_MINUTE = (datetime(2025, 12, 31, 23, 59, tzinfo=UTC) - MORNING).total_seconds() / 60
HOSTILE = (
    Photograph("images/O'Brien'; DROP TABLE reports; --_1.jpg", 30),
    Photograph('images/=cmd|"?" <script>\u202e\n_1.jpg', 31),
)


def pile() -> Pile:
    made = Pile()
    # Two sides report one pair of photographs, and a second photograph supports the names.
    made.reported(ANN_1, (BOB_1, 99.5), searched=3)
    made.reported(BOB_1, (ANN_1, 99.497))
    made.reported(ANN_2, (BOB_1, 99.953))
    # Of one of them nobody was notified.
    made.undelivered(ANN_1)
    # The version that matched has been overwritten.
    made.reported(CID_OLD, (ANN_1, 100.0))
    made.reported(CID_NEW)
    # The other image has been overwritten since; its new version matches, too.
    made.reported(EVE_OLD)
    made.reported(DAN_1, (EVE_OLD, 95.0), names_left_out=2, best_left_out=94.5)
    made.reported(EVE_NEW, (DAN_1, 93.259))
    # Decided: still different to a hundredth, more similar, another face where that notified, the
    # same, taken back.
    made.decided("Eve", "Dan", Decided.DIFFERENT_PEOPLE, similarity=93.251, on=[DAN_1, EVE_NEW])
    made.reported(FAY_1)
    made.reported(GUS_1, (FAY_1, 99.02))
    made.decided("Fay", "Gus", Decided.DIFFERENT_PEOPLE, similarity=99.01, on=[FAY_1, GUS_1])
    made.reported(HAL_1)
    made.reported(HAL_2, (IDA_1, 98.0), notify_threshold=98.0)
    made.reported(IDA_1, (HAL_1, 98.5))
    made.decided("Ida", "Hal", Decided.DIFFERENT_PEOPLE, similarity=98.5, on=[HAL_1, IDA_1])
    made.reported(JON_1)
    made.reported(KIM_1, (JON_1, 97.0))
    made.decided("Jon", "Kim", Decided.SAME_PERSON, similarity=90.0, on=[JON_1])
    made.reported(LEE_1)
    made.reported(MIA_1, (LEE_1, 96.0))
    made.decided("Lee", "Mia", Decided.UNDECIDED, similarity=96.0, on=[LEE_1, MIA_1])
    # The other image has no outcome: it is on its way, or was deleted.
    made.reported(NIK_1, (IN_FLIGHT, 91.0))
    # A report wins over a failure; a rejected version was overwritten by a good one, and the other
    # way round; two versions in one second; no name, no face; and one that somebody stopped.
    made.reported(YESTERDAY, faces=0)
    made.failed(YESTERDAY, FailureStatus.FAILED, "Unavailable")
    made.failed(Photograph("images/Quin_1.jpg"), FailureStatus.REJECTED, Reason.NOT_JPEG_OR_PNG)
    made.reported(Photograph("images/Quin_1.jpg", 5, "v2"))
    made.reported(Photograph("images/Rob_1.jpg"))
    made.failed(
        Photograph("images/Rob_1.jpg", 5, "v2"), FailureStatus.REJECTED, Reason.NOT_JPEG_OR_PNG
    )
    made.failed(Photograph("images/Sue_1.jpg", 5, "z"), FailureStatus.REJECTED, Reason.SUPERSEDED)
    made.reported(Photograph("images/Sue_1.jpg", 5, "a"), faces=0)
    made.failed(Photograph("images/.jpg"), FailureStatus.REJECTED, Reason.UNNAMED)
    made.failed(Photograph("images/Tom_1.jpg", 6, "v2"), FailureStatus.ABORTED)
    made.failed(Photograph("images/Tom_1.jpg", 6), FailureStatus.REJECTED, Reason.SUPERSEDED)
    made.failed(Photograph("images/Tom_2.jpg", 9), FailureStatus.FAILED, "KeyError")
    # Names from outside.
    made.reported(HOSTILE[0])
    made.reported(HOSTILE[1], (HOSTILE[0], 81.0))
    return made


@pytest.fixture(scope="module")
def athena(workflow: Workflow) -> Deployment:
    """The deployment, with a database over the pile instead of its own records."""
    put(workflow, BUCKET, pile())
    catalog(workflow, DATABASE, BUCKET)
    outputs = {**workflow.deployment.outputs, "AnalyticsDatabase": DATABASE}
    return replace(workflow.deployment, outputs=outputs)


def put(workflow: Workflow, bucket: str, made: Pile) -> None:
    workflow.s3.create_bucket(Bucket=bucket)
    for key, body in made.objects.items():
        workflow.s3.put_object(Bucket=bucket, Key=key, Body=body)


def catalog(workflow: Workflow, database: str, bucket: str, since: str = "") -> None:
    """The deployed tables and views, over another bucket, with days from `since` on."""
    glue = workflow.cloud.client("glue")
    deployed = workflow.deployment.outputs["AnalyticsDatabase"]
    output = workflow.deployment.output_bucket
    glue.create_database(DatabaseInput={"Name": database})
    for table in glue.get_tables(DatabaseName=deployed)["TableList"]:
        made = json.loads(
            json.dumps(
                {
                    name: table[name]
                    for name in (
                        *("Name", "TableType", "Parameters", "PartitionKeys"),
                        *("StorageDescriptor", "ViewOriginalText"),
                    )
                    if name in table
                }
            ).replace(f"s3://{output}/", f"s3://{bucket}/")
        )
        if since and "projection.dt.range" in made["Parameters"]:
            made["Parameters"]["projection.dt.range"] = f"{since},NOW"
        if text := table.get("ViewOriginalText"):
            view = json.loads(base64.b64decode(text.split(" ")[3]))
            encoded = base64.b64encode(json.dumps({**view, "schema": database}).encode()).decode()
            made["ViewOriginalText"] = f"/* Presto View: {encoded} */"
        glue.create_table(DatabaseName=database, TableInput=made)


def answer(deployment: Deployment, query: str, /, **parameters: Any) -> list[dict[str, Any]]:
    asked = queries()[query]
    literals = command.bound(asked, [f"{name}={value}" for name, value in parameters.items()])
    result = run(deployment, asked.sql, literals)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def rows(found: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in found]


def test_pairs_are_counted_once_from_what_is_evidence_now(athena: Deployment) -> None:
    found = rows(
        answer(athena, "pairs"),
        *("name_a", "name_b", "similarity", "image_pairs", "photographs_a", "photographs_b"),
    )

    assert found == [
        ("Ann", "Bob", 99.953, 2, 2, 1),
        ("Fay", "Gus", 99.02, 1, 1, 1),
        ("Hal", "Ida", 98.5, 2, 2, 1),
        ("Jon", "Kim", 97.0, 1, 1, 1),
        ("Lee", "Mia", 96.0, 1, 1, 1),
        ("Dan", "Eve", 93.259, 1, 1, 1),
        ('=cmd|"?" <script>\u202e\n', "O'Brien'; DROP TABLE reports; --", 81.0, 1, 1, 1),
    ]


def test_a_pair_stands_as_it_was_decided_until_there_is_stronger_evidence(
    athena: Deployment,
) -> None:
    found = rows(answer(athena, "pairs"), "name_a", "standing", "decided_by", "decided_at")

    when = "2026-11-22T12:00:00.000Z"
    assert found[:6] == [
        ("Ann", "UNDECIDED", None, None),
        ("Fay", "REOPENED", "Rita", when),
        ("Hal", "REOPENED", "Rita", when),
        ("Jon", "SAME_PERSON", "Rita", when),
        ("Lee", "UNDECIDED", None, None),
        ("Dan", "DIFFERENT_PEOPLE", "Rita", when),
    ]


def test_a_pair_was_seen_from_its_first_match_to_its_last(athena: Deployment) -> None:
    (ann_and_bob, *_) = answer(athena, "pairs")

    assert ann_and_bob["first_seen"] == "2026-11-22T08:02:00.000Z"
    assert ann_and_bob["last_seen"] == "2026-11-22T08:03:00.000Z"


@pytest.mark.parametrize("names", [("Ann", "Bob"), ("Bob", "Ann")])
def test_photographs_behind_a_pair_are_found_in_either_order(
    athena: Deployment, names: tuple[str, str]
) -> None:
    found = answer(
        athena,
        "pair_photographs",
        record=record_of_name(names[0]),
        other_record=record_of_name(names[1]),
    )

    columns = ("key", "other_key") if names[0] == "Ann" else ("other_key", "key")
    assert rows(found, "similarity", *columns, "first_seen", "last_seen") == [
        (99.953, ANN_2.key, BOB_1.key, "2026-11-22T08:03:00.000Z", "2026-11-22T08:03:00.000Z"),
        (99.5, ANN_1.key, BOB_1.key, "2026-11-22T08:02:00.000Z", "2026-11-22T08:03:00.000Z"),
    ]


@pytest.fixture(scope="module")
def replicated(workflow: Workflow) -> Deployment:
    """A record that is older than the default of `records_since`, as S3 Replication brings it."""
    made = Pile()
    made.reported(replace(ANN_1, minute=REPLICATED_MINUTE), (BOB_1, 99.5))
    put(workflow, "replicated", made)
    assert any("/dt=2025-12-31/" in key for key in made.objects)
    return workflow.deployment


@pytest.mark.parametrize(("since", "photographs"), [("", 0), ("2025-12-31", 1)])
def test_a_record_is_found_if_its_day_is_not_before_records_since(
    workflow: Workflow, replicated: Deployment, since: str, photographs: int
) -> None:
    database = f"replicated_{photographs}"
    catalog(workflow, database, "replicated", since)
    outputs = {**replicated.outputs, "AnalyticsDatabase": database}

    found = answer(replace(replicated, outputs=outputs), "daily")

    assert rows(found, "day", "images") == [("2025-12-31", 1)] * photographs


def test_a_hostile_name_is_a_name_and_nothing_else(athena: Deployment) -> None:
    one, other = HOSTILE
    found = answer(
        athena,
        "pair_photographs",
        record=record_of_name(str(one.name)),
        other_record=record_of_name(str(other.name)),
    )

    assert rows(found, "similarity", "key", "other_key") == [(81.0, one.key, other.key)]
    for name in ("' OR '1'='1", "x' OR record = 'name:Ann", "\\' OR 1=1 --", "Ann\\", "Ann'"):
        assert answer(athena, "pair_photographs", record=name, other_record="name:Bob") == []
    assert len(answer(athena, "pairs")) == 7  # the tables are all there


@pytest.mark.parametrize(
    ("minimum", "groups"),
    [
        (99.02, [["Ann", "Bob"], ["Fay", "Gus"]]),
        (99.03, [["Ann", "Bob"]]),
        (97, [["Ann", "Bob"], ["Fay", "Gus"], ["Hal", "Ida"], ["Jon", "Kim"]]),
        (93, [["Ann", "Bob"], ["Fay", "Gus"], ["Hal", "Ida"], ["Jon", "Kim"], ["Lee", "Mia"]]),
        (99.954, []),
    ],
)
def test_names_are_grouped_from_the_minimum_up_but_not_by_who_was_told_apart(
    athena: Deployment, minimum: float, groups: list[list[str]]
) -> None:
    found = answer(athena, "groups", minimum=minimum)

    assert rows(found, "person", "name", "records", "links", "complete") == [
        (record_of_name(group[0]), name, 2, 1, True) for group in groups for name in group
    ]


@pytest.fixture(scope="module")
def chains(workflow: Workflow) -> Deployment:
    """A ring of thirteen, a star of ten, and a chain of thirty names that is too long."""
    made = Pile()
    ring = [Photograph(f"images/Ring {number:02}_1.jpg") for number in range(13)]
    star = [Photograph(f"images/Star {number:02}_1.jpg") for number in range(10)]
    chain = [Photograph(f"images/Chain {number:02}_1.jpg") for number in range(30)]
    for here, following in zip(ring, [*ring[1:], ring[0]], strict=True):
        made.reported(here, (following, 99.5))
    for ray in star[:-1]:
        made.reported(ray, (star[-1], 99.5))
    made.reported(star[-1])
    for here, following in pairwise(chain):
        made.reported(here, (following, 99.5))
    made.reported(chain[-1])
    put(workflow, "chains", made)
    catalog(workflow, "chains", "chains")
    outputs = {**workflow.deployment.outputs, "AnalyticsDatabase": "chains"}
    return replace(workflow.deployment, outputs=outputs)


def test_a_group_is_whoever_can_be_reached_and_says_when_that_was_too_far(
    chains: Deployment,
) -> None:
    found = answer(chains, "groups")

    of_ring = [row for row in found if row["name"].startswith("Ring")]
    assert {(row["person"], row["records"], row["links"], row["complete"]) for row in of_ring} == {
        ("name:Ring 00", 13, 2, True)
    }
    of_star = [row for row in found if row["name"].startswith("Star")]
    assert rows(of_star, "person", "records", "links", "complete") == [
        ("name:Star 00", 10, 1 if number < 9 else 9, True) for number in range(10)
    ]
    of_chain = [row for row in found if row["name"].startswith("Chain")]
    assert len(of_chain) == 30
    assert not any(row["complete"] for row in of_chain)
    assert [row["name"] for row in of_chain if row["person"] == "name:Chain 00"] == [
        f"Chain {number:02}" for number in range(13)
    ]


def test_similarities_are_cut_into_bins_that_are_finer_where_thresholds_lie(
    athena: Deployment,
) -> None:
    assert rows(answer(athena, "similarity"), "from_similarity", "image_pairs") == [
        (81.0, 1),
        (93.0, 1),
        (96.0, 1),
        (97.0, 1),
        (98.0, 2),
        (99.0, 1),
        (99.5, 1),
        (99.95, 1),
    ]


def test_a_day_counts_every_key_once(athena: Deployment) -> None:
    yesterday, today = answer(athena, "daily")

    outcomes = ("images", "matched", "unique_images", "no_face", "rejected", "failed")
    columns = ("day", *outcomes, "faces", "matches")
    # Matched today: Ann twice, Bob, Eve, Dan, Gus, Hal, Ida, Kim, Mia, Nik and a hostile name; not:
    # Cid, Fay, Hal, Jon, Lee, Quin and a hostile name. Sue has no face. Rob and the one without a
    # name were rejected, Tom failed twice. Each has a face that was not indexed, too.
    assert rows([yesterday, today], *columns) == [
        ("2026-11-21", 1, 0, 0, 1, 0, 0, 1, 0),
        ("2026-11-22", 24, 12, 7, 1, 2, 2, 39, 12),
    ]
    assert (yesterday["no_face_share"], today["no_face_share"]) == (1.0, 0.05)


def test_failures_are_those_that_stand(athena: Deployment) -> None:
    found = answer(athena, "failures")

    assert sorted(rows(found, "lacks", "status", "reason", "images", "first_failed")) == [
        ("delivery", "FAILED", "NotFoundException", 1, "2026-11-22T08:02:00.000Z"),
        ("outcome", "ABORTED", "ABORTED", 1, "2026-11-22T08:08:00.000Z"),
        ("outcome", "FAILED", "KeyError", 1, "2026-11-22T08:11:00.000Z"),
        ("outcome", "REJECTED", "NOT_JPEG_OR_PNG", 1, "2026-11-22T08:07:00.000Z"),
        ("outcome", "REJECTED", "UNNAMED", 1, "2026-11-22T08:02:00.000Z"),
    ]
    assert all(row["first_failed"] == row["last_failed"] for row in found)


def test_names_are_listed_by_their_photographs(athena: Deployment) -> None:
    found = answer(athena, "names")

    columns = ("name", "photographs", "matched", "rejected", "failed", "best_similarity")
    assert rows(found, *columns)[:3] == [
        ("Ann", 2, 2, 0, 0, 99.953),
        ("Hal", 2, 1, 0, 0, 98.0),
        ("Tom", 2, 0, 0, 2, None),
    ]
    assert rows(found, *columns)[-1] == (None, 1, 0, 1, 0, None)


def test_an_images_history_has_each_version_once_newest_first(athena: Deployment) -> None:
    columns = ("version_id", "status", "reason", "best_similarity", "newest")

    assert rows(answer(athena, "history", key=CID_NEW.key), *columns) == [
        ("v2", "UNIQUE", None, 0.0, True),
        ("v1", "MATCHED", None, 100.0, False),
    ]
    assert rows(answer(athena, "history", key="images/Sue_1.jpg"), *columns) == [
        ("a", "NO_FACE", None, 0.0, True),
        ("z", "REJECTED", "SUPERSEDED", None, False),
    ]
    assert rows(answer(athena, "history", key=YESTERDAY.key), *columns) == [
        ("v1", "NO_FACE", None, 0.0, True),
    ]
    assert answer(athena, "history", key="images/") == []


def test_photographs_that_look_like_more_names_than_their_reports_list_are_named(
    athena: Deployment,
) -> None:
    columns = (
        "key",
        "names_left_out",
        "more_names_possible",
        "best_left_out_similarity",
        "matches",
    )

    assert rows(answer(athena, "left_out"), *columns) == [(DAN_1.key, 2, False, 94.5, 1)]


#: A value of every type, for parameters without a default.
ANYTHING = dict(zip(PARAMETER_TYPES, ("x", "1.5", "1", "true", "2026-11-22", "1.5"), strict=True))


@pytest.mark.parametrize("asked", queries().values(), ids=lambda asked: asked.name)
def test_a_result_has_the_columns_and_types_that_the_query_declares(
    athena: Deployment, asked: Query
) -> None:
    given = [f"{p.name}={p.default or ANYTHING[p.type]}" for p in asked.parameters]

    result = run(athena, asked.sql, command.bound(asked, given))

    assert result.columns == {column.name: column.type for column in asked.columns}


@pytest.mark.parametrize(
    "asked",
    [asked for asked in queries().values() if not asked.parameters],
    ids=lambda asked: asked.name,
)
def test_a_view_gives_what_its_query_gives(athena: Deployment, asked: Query) -> None:
    view = run(athena, f"SELECT * FROM {asked.name}_view")
    direct = run(athena, asked.sql)

    assert view.columns == direct.columns
    assert sorted(view.rows, key=str) == sorted(direct.rows, key=str)
    assert view.rows


def test_results_are_paged_through_to_the_end(athena: Deployment) -> None:
    (count,) = run(athena, "SELECT count(*) FROM names_view").rows[0]
    found = run(
        athena,
        "SELECT a.name AS a, b.name AS b, c.name AS c FROM names_view AS a "
        "CROSS JOIN names_view AS b CROSS JOIN names_view AS c",
    ).rows

    assert isinstance(count, int)
    assert len(found) == count**3 > 2000


def test_a_result_is_written_where_athena_says(athena: Deployment, workflow: Workflow) -> None:
    client = athena.make_client("athena")
    run(athena, "SELECT name, best_similarity FROM names_view WHERE name = 'Tom'")
    listed = client.list_query_executions(WorkGroup=athena.outputs["AnalyticsWorkgroup"])
    last = client.get_query_execution(QueryExecutionId=listed["QueryExecutionIds"][-1])
    location = last["QueryExecution"]["ResultConfiguration"]["OutputLocation"]

    bucket, _, key = location.removeprefix("s3://").partition("/")
    assert bucket == athena.output_bucket
    assert key.startswith("athena-results/")
    body = workflow.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert body == b'"name","best_similarity"\n"Tom",\n'


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELECT 1; SELECT 2", "Only one sql statement"),
        ("SELECT name FROM reports WHERE name = ?", "expected 1 but found 0"),
        ("CREATE VIEW mine AS SELECT 1", "SELECT only"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled"),
        ("SELECT name, name FROM reports", "same name"),
    ],
)
def test_what_athena_cannot_run_ends_with_its_reason(
    athena: Deployment, sql: str, reason: str
) -> None:
    with pytest.raises(QueryFailed, match=reason):
        run(athena, sql, of_a_person=True)


@pytest.mark.parametrize(
    "sql",
    [
        "drop table reports",
        "DROP TABLE IF EXISTS reports;",
        f"drop table {DATABASE}.reports",
        "/* tidy */ drop table reports -- up",
        "CREATE EXTERNAL TABLE IF NOT EXISTS more (a int) LOCATION 's3://pile/more/'",
        "CREATE TABLE more (a int)",
        "WITH a AS (SELECT 1) DELETE FROM reports",
        "SELECT 1; drop table reports",
        "ALTER TABLE reports ADD COLUMNS (b int)",
        "MSCK REPAIR TABLE reports",
    ],
)
def test_no_query_changes_the_catalog(athena: Deployment, workflow: Workflow, sql: str) -> None:
    glue = workflow.cloud.client("glue")
    before = glue.get_tables(DatabaseName=DATABASE)["TableList"]

    with pytest.raises(QueryFailed, match=r"SELECT only|Only one sql statement"):
        run(athena, sql)

    assert glue.get_tables(DatabaseName=DATABASE)["TableList"] == before
    assert run(athena, "SELECT count(*) AS n FROM reports").rows[0][0]


@pytest.mark.parametrize("parameter", ["Ann", "'Ann", "'a' OR 'b'", "1; DROP TABLE reports"])
def test_a_parameter_that_is_no_literal_is_refused(athena: Deployment, parameter: str) -> None:
    with pytest.raises(Actionable, match="not a literal"):
        run(athena, "SELECT name FROM reports WHERE name = ?", [parameter])


def test_an_object_that_changes_is_read_again(athena: Deployment, workflow: Workflow) -> None:
    sql = "SELECT count(*) FROM reports WHERE name = 'Zoe'"
    made = Pile()
    made.reported(Photograph("images/Zoe_1.jpg", 3 * 24 * 60))

    before = run(athena, sql).rows
    for key, body in made.objects.items():
        workflow.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    there = run(athena, sql).rows
    for key in made.objects:
        workflow.s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    emptied = run(athena, sql).rows
    for key in made.objects:
        workflow.s3.delete_object(Bucket=BUCKET, Key=key)
    after = run(athena, sql).rows

    assert (before, there, emptied, after) == ([(0,)], [(1,)], [(0,)], [(0,)])


def test_nested_columns_have_the_types_of_the_catalog(athena: Deployment) -> None:
    (row,) = run(
        athena,
        "SELECT faces[1].box.left, faces[1].matches, unindexed_faces, dt FROM reports "
        "WHERE name = 'Nik'",
    ).rows

    left, matches, unindexed, day = row
    assert (left, day) == (0.25, "2026-11-22")
    assert str(matches).startswith("[{pair_id=")
    assert unindexed == (
        "[{reasons=[LOW_SHARPNESS], box={left=0.25, top=0.125, width=0.5, height=0.5}}]"
    )


def test_the_command_prints_a_table_csv_and_json(workflow: Workflow, tmp_path: Path) -> None:
    """As a person runs it, on a file with its own parameter, over the deployed records."""
    file = tmp_path / "mine.sql"
    file.write_text(
        "-- Something of mine.\n-- parameter: word varchar = =1+1   anything\n"
        "-- column: word varchar   it\nSELECT '=1+1' AS word, 1.5E0 AS number, "
        "CAST(NULL AS bigint) AS nothing, true AS yes WHERE '=1+1' = ?;\n"
    )
    printed = {
        form: facematch(workflow, "query", str(file), *([form] if form else []))
        for form in ("", "--csv", "--json")
    }

    assert "1 row." in printed[""]
    assert printed["--csv"] == "word,number,nothing,yes\n'=1+1,1.5,,True\n"
    assert json.loads(printed["--json"]) == [
        {"word": "=1+1", "number": 1.5, "nothing": None, "yes": True}
    ]


def facematch(workflow: Workflow, *arguments: str) -> str:
    """What the command prints on the local cloud of the tests."""
    done = subprocess.run(
        [sys.executable, "-m", "facematch.cli.main", *arguments, "--local"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FACEMATCH_HOME": str(workflow.cloud.home.folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stranger_planted_under_somebodys_name_is_found(workflow: Workflow) -> None:
    """Through the whole workflow, until the photograph leaves."""
    images = [
        workflow.upload(f"Vic_Doe_{number}.jpg", workflow.photograph(photograph))
        for number, photograph in enumerate(("obama.jpg", "biden.jpg", "obama2.jpg"), 1)
    ]
    for image in images:
        assert workflow.finished(image)["status"] == "SUCCEEDED"

    def listed() -> list[dict[str, Any]]:
        found = json.loads(facematch(workflow, "query", "conflicts", "--json"))
        return [row for row in found if row["record"] == "name:Vic Doe"]

    (found,) = listed()
    assert (found["name"], found["key"]) == ("Vic_Doe", "images/Vic_Doe_2.jpg")
    assert found["other_key"] == "images/Vic_Doe_1.jpg"
    assert (found["photographs"], found["standing"]) == (3, "UNDECIDED")
    assert found in json.loads(facematch(workflow, "matches", "--conflicts", "--json"))
    assert "candidate" in facematch(workflow, "matches", "--conflicts")

    stranger = images[1]
    workflow.s3.delete_object(Bucket=stranger.bucket, Key=stranger.key)
    eventually(lambda: None if workflow.records("reports", stranger) else True)
    assert listed() == []
