"""The history of an image: what was found from the other side, or why it cannot be shown."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from facematch.cli import main as cli
from facematch.cli.options import Where
from facematch.errors import Unusable
from facematch.operations.image_history import image_history
from facematch.stack.executions import Executions
from facematch.stack.objects import Bucket
from facematch.stack.records import Records
from functions.matching.places import Place
from functions.matching.register import register_key
from functions.matching.reports import (
    delivery_failure_key,
    failure_key,
    matches_key,
    report_key,
)
from functions.matching.schema import MATCHES
from tests.pile import NEW_IN_VERSION_2
from tests.unit.album import Album
from tests.unit.cloud import IMAGES, OUTPUT, deployment_of, own_client
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud


class Limited:
    """An S3 client of somebody who lacks a right, which S3 answers as it does: with 403."""

    def __init__(self, *denied: str) -> None:
        self._s3 = own_client("s3")
        self._denied = denied

    def __getattr__(self, name: str) -> Any:
        if name not in self._denied:
            return getattr(self._s3, name)

        def deny(**_: Any) -> None:
            response: Any = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(response, name)

        return deny


def as_somebody(cloud: Cloud, *denied: str) -> Deployment:
    return deployment_of(
        cloud,
        make_client=lambda service: Limited(*denied) if service == "s3" else own_client(service),
        RemovalStateMachineArn=cloud.removal_state_machine_arn,
    )


@pytest.fixture
def found(cloud: Cloud) -> tuple[UploadedImage, UploadedImage]:
    """Bo's photograph, which Ann's has found, and a longer key that begins with Bo's."""
    album = Album(cloud)
    bo, ann = album.add("Bo_1.jpg"), album.add("Ann_1.jpg")
    album.report(ann, {bo: 99.5})
    album.add("Bo_1.jpg.jpg")
    return bo, ann


def test_what_others_found_is_shown_with_the_rights_that_the_readme_asks_for(
    cloud: Cloud, found: tuple[UploadedImage, UploadedImage]
) -> None:
    """No s3:GetObject on the images bucket is among them, so S3 answers 403 to HeadObject."""
    bo, ann = found
    told = image_history(as_somebody(cloud, "head_object"), "Bo_1.jpg")
    assert told.image == bo
    assert [row["key"] for row in told.seen_by_others] == [ann.key]


def test_what_must_not_be_looked_at_is_an_error_and_not_silence(
    cloud: Cloud,
    found: tuple[UploadedImage, UploadedImage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bo, _ = found
    cloud.start(bo)  # so that the key needs not be looked up
    denied = as_somebody(cloud, "list_object_versions", "head_object")
    monkeypatch.setattr(Where, "deployment", lambda _: denied)

    shown = CliRunner().invoke(cli.app, ["show", bo.execution_name])

    assert shown.exit_code != 0
    assert isinstance(shown.exception, ClientError)


@pytest.mark.parametrize("change", ["deleted", "overwritten", "the other deleted"])
def test_what_is_not_there_any_more_is_no_evidence(
    cloud: Cloud, found: tuple[UploadedImage, UploadedImage], change: str
) -> None:
    bo, ann = found
    if change == "overwritten":
        cloud.s3.put_object(Bucket=IMAGES, Key=ann.key, Body=b"another")
    else:
        key = ann.key if change == "deleted" else bo.key
        cloud.s3.delete_object(Bucket=IMAGES, Key=key)
    cloud.start(bo)

    assert image_history(as_somebody(cloud), bo.execution_name).seen_by_others == []


def test_without_versioning_too(cloud: Cloud) -> None:
    cloud.version_bucket("Suspended")
    album = Album(cloud)
    bo, ann = album.add("Bo_1.jpg"), album.add("Ann_1.jpg")
    album.report(ann, {bo: 99.5})

    told = image_history(as_somebody(cloud), "images/Bo_1.jpg")

    assert told.image == bo
    assert [row["key"] for row in told.seen_by_others] == [ann.key]


@pytest.mark.usefixtures("found")
def test_a_key_that_begins_another_one_is_not_that_other(cloud: Cloud) -> None:
    with pytest.raises(Unusable, match="no object of that key or base name"):
        image_history(as_somebody(cloud), "Bo_1")


def test_a_base_name_is_enough_when_only_one_object_has_it(cloud: Cloud) -> None:
    image = cloud.upload("images/2024/may/Ann_1.jpg", b"one")
    assert image_history(as_somebody(cloud), "Ann_1.jpg").image == image


def test_a_base_name_of_several_objects_is_refused_with_their_keys(cloud: Cloud) -> None:
    for folder in "ab":
        cloud.upload(f"images/{folder}/Ann_1.jpg", b"one")
    with pytest.raises(Unusable, match=r"images/a/Ann_1\.jpg, images/b/Ann_1\.jpg\. Name"):
        image_history(as_somebody(cloud), "Ann_1.jpg")


# --- What others found, without reading every match row ---


def by_reading_every_row(cloud: Cloud, image: UploadedImage) -> list[dict[str, Any]]:
    """What others found: rows about versions that are the newest now, and about this one's face."""
    deployment = deployment_of(cloud)
    records, bucket = Records(deployment), Bucket.images(deployment)
    entries = records.register(image).entries
    faces = entries[image.digest].face_ids if image.digest in entries else ()
    found = []
    for row in records.read(list(records.keys(Place.MATCHES))):
        own = bucket.current_version(row["key"])
        if (
            row["matched_key"] == image.key
            and own
            and own.version_id == row["version_id"]
            and image.last_modified <= datetime.fromisoformat(row["searched_at"])
            and (not entries or row["matched_face_id"] in faces)
        ):
            found.append({**row, "same_file": image.is_same_file_as(own)})
    return found


def complete(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in order, with null for the columns that older ones lack, as a query answers."""
    columns = [*MATCHES.columns, "same_file"]
    return sorted(({column: row.get(column) for column in columns} for row in rows), key=json.dumps)


@pytest.mark.parametrize("seed", range(4))
def test_what_others_found_is_what_reading_every_row_finds(
    cloud: Cloud, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photographs that were searched, overwritten and deleted in any order; some rows are older."""
    monkeypatch.setattr("functions.matching.register._CLOCKS_APART", 0)
    chance = random.Random(seed)
    keys = [f"images/{name}_{number}.jpg" for name in ("Ann", "Bo", "Cy") for number in (1, 2)]
    for _ in range(14):
        key = chance.choice(keys)
        image = cloud.upload(key, photograph(chance.choice((0, 3, 90))))
        if chance.random() < 0.8:
            cloud.run("report", cloud.report_event(image))
        if chance.random() < 0.3:
            (*rows,) = cloud.rows(image)
            former = [{k: v for k, v in row.items() if k not in NEW_IN_VERSION_2} for row in rows]
            cloud.write(matches_key(image), *former)
        if chance.random() < 0.2:
            cloud.s3.delete_object(Bucket=IMAGES, Key=chance.choice(keys))
        if chance.random() < 0.2:
            register = register_key(IMAGES, chance.choice(keys))
            cloud.s3.delete_object(Bucket=OUTPUT, Key=register)

    found = 0
    for key in keys:
        now = Bucket.images(deployment_of(cloud)).current_version(key)
        if now is None:
            continue
        cloud.start(now)
        told = image_history(as_somebody(cloud), now.execution_name)
        assert complete(told.seen_by_others) == complete(by_reading_every_row(cloud, now))
        found += len(told.seen_by_others)
    assert found


def processed(cloud: Cloud, name: str, *angles: float) -> UploadedImage:
    image = cloud.upload(f"images/{name}_1.jpg", photograph(*angles))
    cloud.run("report", cloud.report_event(image))
    return image


def test_of_the_records_only_those_that_are_shown_are_read(cloud: Cloud) -> None:
    bo = processed(cloud, "Bo", 0)
    ann = processed(cloud, "Ann", 3)
    for n in range(5):
        processed(cloud, f"Cy{n}", 90 + n)
    read: list[str] = []
    body = Records.body

    def heard(records: Records, key: str) -> Any:
        read.append(key)
        return body(records, key)

    with patch.object(Records, "body", heard):
        told = image_history(as_somebody(cloud), bo.key)

    assert [row["key"] for row in told.seen_by_others] == [ann.key]
    assert sorted(read) == sorted([report_key(bo), failure_key(bo), delivery_failure_key(bo)])


def test_however_many_found_it_a_history_takes_few_requests(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the most similar finders are looked up; the others are counted."""
    album = Album(cloud)
    bo = album.add("Bo_1.jpg")
    for number in range(25):
        album.report(album.add(f"Ann{number}_1.jpg"), {bo: 80 + number / 2})
    asked: list[str] = []

    class Counted:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(self._client, name)

    deployment = as_somebody(cloud)
    make = deployment.make_client
    counting = replace(deployment, make_client=lambda service: Counted(make(service)))

    told = image_history(counting, bo.key)

    assert [row["similarity"] for row in told.seen_by_others] == [92 - n / 2 for n in range(10)]
    assert told.not_looked_up == 15
    assert len(asked) <= 30
    monkeypatch.setattr(Where, "deployment", lambda _: deployment)
    said = CliRunner().invoke(cli.app, ["show", bo.key]).stdout
    assert "and up to 15 less similar ones" in said


def test_an_older_version_was_not_found_by_who_found_the_newer_one(cloud: Cloud) -> None:
    older = processed(cloud, "Bo", 90)
    cloud.start(older)
    bo, _ = processed(cloud, "Bo", 0), processed(cloud, "Ann", 3)

    assert image_history(as_somebody(cloud), older.execution_name).seen_by_others == []
    assert len(image_history(as_somebody(cloud), bo.key).seen_by_others) == 1


def test_athena_hears_no_name(cloud: Cloud) -> None:
    """It remembers a query with its parameters for 45 days."""
    bo, _ = processed(cloud, "Bo", 0), processed(cloud, "Ann", 3)

    assert image_history(as_somebody(cloud), bo.key).seen_by_others

    assert len(cloud.athena.asked) == 1
    assert "Bo" not in str(cloud.athena.asked)


def test_athena_is_not_asked_about_what_nobody_can_have_found(cloud: Cloud) -> None:
    empty, deleted = processed(cloud, "Bo"), processed(cloud, "Ann", 0)
    cloud.s3.delete_object(Bucket=IMAGES, Key=deleted.key)
    for image in (empty, deleted):
        cloud.start(image)
        assert image_history(as_somebody(cloud), image.execution_name).seen_by_others == []

    assert cloud.athena.asked == []


@pytest.mark.parametrize("why", ["denied", "no workgroup"])
def test_without_athena_the_rest_is_shown_and_what_is_not_known_is_told(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    bo, ann = processed(cloud, "Bo", 0), processed(cloud, "Ann", 3)
    deployment = as_somebody(cloud)
    cloud.athena.denied = why == "denied"
    if why == "no workgroup":
        del deployment.outputs["AnalyticsWorkgroup"]
    monkeypatch.setattr(Where, "deployment", lambda _: deployment)

    shown = CliRunner().invoke(cli.app, ["show", ann.key])
    told = image_history(deployment, bo.key)

    assert shown.exit_code == 0
    assert "matches 99.86 % Bo" in shown.stdout
    assert "which photographs found this one is not known" in shown.stdout
    assert told.seen_by_others == []
    assert told.not_asked
    assert ("docs/queries.md" if why == "denied" else "deploy it again") in told.not_asked


def test_a_copy_is_called_that_from_either_side(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Where, "deployment", lambda _: as_somebody(cloud))
    for name, angle in (("Bo", 0), ("Ann", 0), ("Cy", 3)):
        processed(cloud, name, angle)

    def shown(name: str) -> str:
        return CliRunner().invoke(cli.app, ["show", f"images/{name}_1.jpg"]).stdout

    assert "seen from 100.00 % Ann  images/Ann_1.jpg, the same file\n" in shown("Bo")
    assert "matches 100.00 % Bo  images/Bo_1.jpg, the same file\n" in shown("Ann")
    assert "seen from 99.86 % Cy  images/Cy_1.jpg\n" in shown("Ann")
    assert "same file" not in shown("Cy")


def test_days_between_a_failure_and_its_redrive_are_no_steps_time(cloud: Cloud) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    entered = {"stateEnteredEventDetails": {"name": "SearchFaces"}}
    history = [
        ("TaskStateEntered", 0, entered),
        ("TaskFailed", 2, {"taskFailedEventDetails": {"error": "Unavailable"}}),
        ("ExecutionFailed", 2, {}),
        ("ExecutionRedriven", 5 * 86_400, {}),
        ("TaskStateExited", 5 * 86_400 + 1, {"stateExitedEventDetails": {"name": "SearchFaces"}}),
    ]
    events = [
        {"type": kind, "timestamp": start + timedelta(seconds=after), **details}
        for kind, after, details in history
    ]
    executions = Executions(deployment_of(cloud))
    with patch.object(Executions, "_history", lambda *_: iter(events)):
        (step,) = executions.steps("arn")
    assert (step.seconds, step.errors) == (3, ["Unavailable"])
