"""Who a photograph shows, end to end: names of files and folders, and record ids."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from facematch.evidence.folders import EvidenceFolders
from facematch.operations.forget import Forgetting, Person
from facematch.operations.matches import matches
from facematch.stack.athena import run
from functions.matching.identity import FROM_FILE, FROM_FOLDER, compiled_names_from
from tests.workflow.conftest import eventually
from workflow.outputs import Output
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage
    from tests.workflow.conftest import Workflow

PARTS = ("Index", "Search", "Report", "Notify", "Failure")
IDS = r"(?:^|/)(?:(?P<id>[^~/]*)~)?(?P<name>[^~/]+?)(?:_\d+)?[.][^./]+\Z"
ONE_MAN = ("obama.jpg", "obama2.jpg", "obama3.jpg")


class Layout:
    """The workflow under another rule for names."""

    def __init__(self, workflow: Workflow, names_from: str) -> None:
        self.workflow = workflow
        pattern = compiled_names_from(names_from).pattern
        for part in PARTS:
            workflow.configure(part, NAMES_FROM=pattern)
        outputs = {**workflow.deployment.outputs, Output.NAME_PATTERN: pattern}
        self.deployment: Deployment = replace(workflow.deployment, outputs=outputs)

    def upload(self, *keys: str) -> list[UploadedImage]:
        """Upload photographs of one man, one after another."""
        images = []
        for key, name in zip(keys, ONE_MAN, strict=False):
            images.append(self.workflow.upload(key, self.workflow.photograph(name)))
            assert self.workflow.finished(images[-1])["status"] == "SUCCEEDED"
        return images

    def pairs_of(self, record: str) -> list[dict[str, Any]]:
        """The pairs of a record in SQL, which may still see photographs of other tests."""
        result = run(self.deployment, queries()["pairs"].sql)
        rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
        return [row for row in rows if record in {row["record_a"], row["record_b"]}]


@pytest.fixture
def names_from(workflow: Workflow) -> Iterator[Any]:
    yield lambda rule: Layout(workflow, rule)
    Layout(workflow, FROM_FILE)


def test_two_ids_with_one_name_are_told_and_two_spellings_of_one_id_are_one_record(
    workflow: Workflow, names_from: Any, tmp_path: Path
) -> None:
    ids = names_from(IDS)
    notifications = workflow.subscribed("MatchesTopicArn")

    # Leading zeros count.
    ids.upload("007~Una Marsh_0001.jpg", "07~Una_Marsh_0001.jpg", "007~Unna Marsh_0002.jpg")

    (pair,) = matches(ids.deployment, minimum=99)
    assert (pair.record_a, pair.record_b) == ("id:007", "id:07")
    assert (pair.name_a, pair.name_b, pair.image_pairs) == (
        "Una Marsh / Unna Marsh",
        "Una_Marsh",
        2,
    )
    (row,) = ids.pairs_of("id:007")
    assert (row["record_a"], row["record_b"]) == ("id:007", "id:07")
    assert (row["name_a"], row["name_b"]) == ("Una Marsh / Unna Marsh", "Una_Marsh")
    told = eventually(lambda: notifications() if len(notifications()) == 2 else None)
    messages = [json.loads(message["Message"]) for message in told]
    first = next(m for m in messages if m["record"] == "id:07")
    assert (first["pairs"][0]["other_record"], first["pairs"][0]["relation"]) == (
        "id:007",
        "SAME_NAME",
    )
    same_name = next(m for m in told if json.loads(m["Message"])["record"] == "id:07")
    assert "the same name: Una_Marsh (id 07) looks like Una Marsh (id 007)" in same_name["Subject"]
    assert json.loads(same_name["MessageAttributes"]["relation"]["Value"]) == ["SAME_NAME"]

    by_name = Forgetting(ids.deployment, Person.named("Una Marsh"), EvidenceFolders(tmp_path))
    assert not by_name.find().is_about_them()
    assert by_name.namesakes == {"007", "07"}
    by_id = Forgetting(ids.deployment, Person.with_id("007"), EvidenceFolders(tmp_path))
    assert by_id.find().counts() | {"results": 0, "records": 0} == {
        **dict.fromkeys(by_id.find().counts(), 0),
        "versions": 2,
        "faces": 2,
        "registers": 2,
        "mentions": 2,
    }


def test_a_name_with_an_id_and_without_one_are_two_records_with_the_same_name(
    names_from: Any,
) -> None:
    ids = names_from(IDS)
    # An empty id is none; a hostile one is a text like any other.
    hostile = "' OR 1=1; --<b>"
    ids.upload("~Bo Ray_0001.jpg", f"{hostile}~Bo Ray_0001.jpg", "Bo_Ray_0002.jpg")

    (pair,) = matches(ids.deployment, minimum=99)
    assert (pair.record_a, pair.record_b) == (f"id:{hostile}", "name:Bo Ray")
    assert pair.relation == "SAME_NAME"
    (row,) = ids.pairs_of("name:Bo Ray")
    assert (row["record_a"], row["relation"]) == (f"id:{hostile}", "SAME_NAME")


def test_folders_below_the_prefix_are_names(names_from: Any) -> None:
    folders = names_from(FROM_FOLDER)
    folders.upload("Cy Fox/IMG_1.jpg", "archive/Cyrus Fox/IMG_1.jpg", "archive/Cy_Fox/IMG_2.jpg")

    (pair,) = matches(folders.deployment, minimum=99)
    assert {pair.record_a, pair.record_b} == {"name:Cy Fox", "name:Cyrus Fox"}
    assert pair.image_pairs == 2
