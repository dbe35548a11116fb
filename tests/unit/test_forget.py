"""Forgetting, where evidence pages are in the way; tests/workflow forgets for good."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from facematch import forget
from facematch.cli import app
from facematch.errors import Actionable
from facematch.evidence.write import MARKER, Dashboards
from functions.matching.keys import DEFAULT_NAME_PATTERN

from .cloud import IMAGES, OUTPUT, own_client
from .evidence import Album, deployment_of
from .test_evidence_pictures import file_of, with_face

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from .cloud import Cloud


class NoFaces:
    """A face collection that holds none."""

    def get_paginator(self, _operation: str) -> NoFaces:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Faces": []}]


class Machine:
    """A stack with a photograph of Ann, and pages about it on this machine."""

    def __init__(self, cloud: Cloud, room: Path) -> None:
        self.cloud, self.room = cloud, room
        Album(cloud).add("Ann_1.jpg", file_of(with_face((400, 300), (40, 60, 80, 80))))
        self.deployment = deployment_of(cloud)
        self.deployment.outputs.update(
            CollectionId="collection",
            NamePattern=DEFAULT_NAME_PATTERN,
            DeadLetterQueueUrl=cloud.sqs.create_queue(QueueName="dead")["QueueUrl"],
            RemovalStateMachineArn=cloud.removal_state_machine_arn,
        )
        object.__setattr__(self.deployment, "make_client", self._client)
        self.dashboards = Dashboards(room / "state")

    def page(self, name: str) -> Path:
        folder = self.room / name
        self.dashboards.write(
            self.deployment, folder, minimum=0, limit=1, decisions_command="import"
        )
        return folder

    def forget(self, *options: str) -> Result:
        return CliRunner().invoke(app, ["forget", "--name", "Ann", "--yes", *options])

    def photographs(self) -> list[Any]:
        listed = self.cloud.s3.list_object_versions(Bucket=IMAGES)
        return list(listed.get("Versions", []))

    def written_down(self) -> list[dict[str, Any]]:
        listed = self.cloud.s3.list_objects_v2(Bucket=OUTPUT, Prefix=forget.AUDIT_PREFIX)
        return [
            json.loads(self.cloud.s3.get_object(Bucket=OUTPUT, Key=item["Key"])["Body"].read())
            for item in listed.get("Contents", [])
        ]

    @staticmethod
    def _client(service: str) -> Any:
        return NoFaces() if service == "rekognition" else own_client(service)


@pytest.fixture
def machine(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(cloud, tmp_path)
    monkeypatch.setattr(forget, "Dashboards", lambda: made.dashboards)
    monkeypatch.setattr(forget, "chosen", lambda **_: made.deployment)
    with patch("facematch.evidence.write.render", json.dumps):
        yield made


def test_a_folder_that_is_a_page_no_more_neither_stops_nor_counts(machine: Machine) -> None:
    page, gone = machine.page("page"), machine.page("gone")
    shutil.rmtree(gone)
    gone.mkdir()
    (gone / "thesis.txt").write_text("three years of work")

    result = machine.forget()

    assert result.exit_code == 0, result.output
    assert not machine.photographs()
    assert not page.exists()
    assert (gone / "thesis.txt").exists()
    (record,) = machine.written_down()
    assert record["deleted"]["dashboards"] == 1
    assert f"{gone} held an evidence page once" in result.output.replace("\n", "")
    assert machine.dashboards.listed() == []


def test_a_page_that_cannot_be_deleted_is_named_when_all_else_is_deleted(machine: Machine) -> None:
    stuck, page = machine.page("stuck"), machine.page("zpage")
    remove = shutil.rmtree

    def rmtree(path: Path) -> None:
        if path.parent == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        remove(path)

    with patch("facematch.evidence.write.shutil.rmtree", rmtree):
        result = machine.forget("--json")

    assert isinstance(result.exception, Actionable)
    assert f"facematch dashboard --delete --to {stuck}" in str(result.exception)
    assert not machine.photographs()
    assert not page.exists()
    assert (stuck / MARKER).exists()
    (record,) = machine.written_down()
    assert record["deleted"]["dashboards"] == 1
    assert json.loads(result.stdout)["dashboards"] == 1
