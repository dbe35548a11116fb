"""Uploading a folder: what is uploaded, under which key, and how its outcome is waited for."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from facematch.cli import upload as command
from facematch.cli.main import app
from facematch.cli.options import Where
from facematch.files.photographs import FolderFile, LeftOut, left_out_words, listed
from facematch.operations import upload as module
from facematch.operations.upload import (
    NothingToUpload,
    Outcomes,
    Uploader,
    Version,
    wait_for_outcomes,
)
from facematch.stack.records import Records
from functions.aws.buckets import ImagesBucket
from functions.matching.errors import Reason
from functions.matching.failures import FailureStatus
from functions.matching.keys import version_digest
from functions.matching.places import Place
from functions.matching.reports import delivery_failure_key, failure_key, report_key
from tests.unit.album import Album
from tests.unit.cloud import IMAGES, OUTPUT, deployment_of, own_client
from tests.unit.fake_rekognition import photograph
from tests.unit.functions.matching.test_images import IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud


def client(service: str) -> Any:
    """A client whose S3 says in a PutObject's answer what time it is, as moto's does not."""
    if service != "s3":
        return own_client(service)
    s3 = boto3.client("s3")

    def add_date(parsed: dict[str, Any], **_: Any) -> None:
        parsed["ResponseMetadata"].setdefault("HTTPHeaders", {})["date"] = formatdate(usegmt=True)

    s3.meta.events.register("after-call.s3.PutObject", add_date)
    return s3


@pytest.fixture
def deployment(cloud: Cloud) -> Deployment:
    return deployment_of(cloud, make_client=client)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "Ann_Lee_1.jpg": photograph(0),
        "Bo/Bo_1.JPEG": photograph(90),
        "Bo/deeper/Zoë 2+.png": photograph(45),
        "phone.heic": photograph(30),
        "notes.txt": b"text",
        "film.mp4": b"film",
        ".hidden.jpg": photograph(1),
        ".thumbnails/Ann_1.jpg": photograph(2),
        "Bo/._Bo_1.jpg": b"macOS",
    }
    for name, content in files.items():
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "photographs"


def upload(deployment: Deployment, folder: Path) -> list[Version]:
    uploader = Uploader(deployment)
    versions, errors = uploader.upload(uploader.plan(folder).new, done=lambda _: None)
    assert errors == {}
    return versions


def current(cloud: Cloud, key: str) -> UploadedImage:
    image = ImagesBucket(cloud.s3).version(IMAGES, key, None)
    assert image
    return image


# --- The plan ---


def test_a_key_is_the_prefix_and_the_path_below_the_folder(
    deployment: Deployment, folder: Path
) -> None:
    plan = Uploader(deployment).plan(folder)
    assert sorted(plan.new) == [
        "images/Ann_Lee_1.jpg",
        "images/Bo/Bo_1.JPEG",
        "images/Bo/deeper/Zoë 2+.png",
        "images/phone.heic",
    ]
    assert plan.new["images/Bo/Bo_1.JPEG"].path == folder / "Bo" / "Bo_1.JPEG"


def test_hidden_files_are_left_out_silently_and_what_is_no_photograph_is_told(
    deployment: Deployment, folder: Path
) -> None:
    plan = Uploader(deployment).plan(folder)
    assert sorted(path.name for path in plan.left_out) == ["film.mp4", "notes.txt"]


def test_a_path_too_long_for_a_key_is_left_out_and_says_so(
    deployment: Deployment, folder: Path
) -> None:
    path = folder.joinpath(*["é" * 100] * 5, "é" * 50 + ".jpg")
    path.parent.mkdir(parents=True)
    path.write_bytes(photograph(0))
    plan = Uploader(deployment).plan(folder)
    assert plan.left_out[path] is LeftOut.LONG_KEY
    assert [words for words in left_out_words(plan.left_out) if "1,024 bytes" in words]


def test_a_name_that_is_not_utf_8_keeps_no_other_photograph_back(
    deployment: Deployment, folder: Path
) -> None:
    path = folder / os.fsdecode(b"bad\xff\xfe_0001.jpg")
    path.write_bytes(photograph(0))

    plan = Uploader(deployment).plan(folder)

    assert len(plan.new) == 4
    assert plan.left_out[path] is LeftOut.NO_KEY
    (words,) = [words for words in left_out_words(plan.left_out) if "UTF-8" in words]
    assert r"bad\xff\xfe_0001.jpg has a path that is not UTF-8" in words


def test_a_link_is_never_uploaded_and_text_and_json_say_so(
    cloud: Cloud,
    deployment: Deployment,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = tmp_path / "id_ed25519"
    secret.write_bytes(b"a private key")
    (folder / "Ann_0001.jpg").symlink_to(secret)
    (folder / "more").symlink_to(tmp_path)
    monkeypatch.setattr(Where, "deployment", lambda _: deployment)

    done = CliRunner().invoke(app, ["upload", str(folder), "--json"])

    assert done.exit_code == 0
    assert {"path": str(folder / "Ann_0001.jpg"), "reason": "LINK"} in json.loads(done.stdout)[
        "left_out"
    ]
    assert {"path": str(folder / "more"), "reason": "LINKED_FOLDER"} in json.loads(done.stdout)[
        "left_out"
    ]
    assert "is a link, " in done.stderr
    assert "is a link to a folder" in done.stderr
    keys = [item["Key"] for item in cloud.s3.list_objects_v2(Bucket=IMAGES)["Contents"]]
    assert len(keys) == 4
    assert not [key for key in keys if "0001" in key or "id_" in key]


def test_a_dry_run_tells_how_names_are_read_and_uploads_nothing(
    cloud: Cloud, deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Ann Lee", "Bo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "IMG_0009.jpg").write_bytes(photograph(0))
    monkeypatch.setattr(Where, "deployment", lambda _: deployment)

    done = CliRunner().invoke(app, ["upload", str(tmp_path), "--dry-run"])
    document = json.loads(
        CliRunner().invoke(app, ["upload", str(tmp_path), "--dry-run", "--json"]).stdout
    )

    assert done.exit_code == 0
    assert done.stdout == "2 would be uploaded, 0 are unchanged. Nothing was uploaded.\n"
    assert "Names: 1 name on 2 photographs." in done.stderr
    assert "  images/Ann Lee/IMG_0009.jpg shows IMG\n" in done.stderr
    assert "look like those that a camera or a program gives to files (IMG)." in done.stderr
    assert '\n  make deploy CONTEXT="-c names_from=folder"\n' in done.stderr
    assert document["would_upload"] == 2
    assert document["names"]["doubts"] == {"OF_A_MACHINE": ["IMG"]}
    assert cloud.s3.list_objects_v2(Bucket=IMAGES)["KeyCount"] == 0


def test_what_became_a_link_after_it_was_listed_is_not_uploaded(
    cloud: Cloud, deployment: Deployment, folder: Path, tmp_path: Path
) -> None:
    uploader = Uploader(deployment)
    plan = uploader.plan(folder)
    secret = tmp_path / "id_ed25519"
    secret.write_bytes(b"a private key")
    (folder / "Ann_Lee_1.jpg").unlink()
    (folder / "Ann_Lee_1.jpg").symlink_to(secret)

    versions, errors = uploader.upload(plan.new, done=lambda _: None)

    assert list(errors) == ["images/Ann_Lee_1.jpg"]
    assert len(versions) == 3
    assert cloud.s3.list_objects_v2(Bucket=IMAGES)["KeyCount"] == 3


def test_what_became_a_link_is_not_compared_with_the_bucket_either(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(deployment, folder)
    found = listed(folder)
    monkeypatch.setattr(module, "listed", lambda _: found)
    copy = folder.parent / "copy.jpg"
    (folder / "Ann_Lee_1.jpg").rename(copy)
    (folder / "Ann_Lee_1.jpg").symlink_to(copy)

    plan = Uploader(deployment).plan(folder)

    assert list(plan.new) == ["images/Ann_Lee_1.jpg"]
    _, errors = Uploader(deployment).upload(plan.new, done=lambda _: None)
    assert list(errors) == ["images/Ann_Lee_1.jpg"]


def test_a_folder_of_photographs_that_cannot_be_uploaded_says_why(
    deployment: Deployment, tmp_path: Path
) -> None:
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(photograph(0))
    with pytest.raises(NothingToUpload, match=r"not UTF-8.*Name another folder"):
        Uploader(deployment).plan(tmp_path)


def test_a_folder_without_photographs_is_told(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / ".hidden.jpg").write_bytes(photograph(0))
    with pytest.raises(NothingToUpload, match=str(tmp_path)):
        Uploader(deployment).plan(tmp_path)


def test_what_the_bucket_holds_already_is_not_uploaded_again(
    cloud: Cloud, deployment: Deployment, folder: Path
) -> None:
    uploaded = upload(deployment, folder)
    plan = Uploader(deployment).plan(folder)
    assert plan.new == {}
    assert {version.digest for version in plan.unchanged} == {v.digest for v in uploaded}
    for version in plan.unchanged:
        image = current(cloud, version.key)
        assert (version.digest, version.days) == (image.digest, (image.day,))


@pytest.mark.parametrize("content", [photograph(7), photograph(10)])
def test_what_has_changed_is_uploaded_again(
    deployment: Deployment, folder: Path, content: bytes
) -> None:
    upload(deployment, folder)
    (folder / "Ann_Lee_1.jpg").write_bytes(content)
    plan = Uploader(deployment).plan(folder)
    assert list(plan.new) == ["images/Ann_Lee_1.jpg"]
    assert len(plan.unchanged) == 3


def _under_a_key(uploader: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    """As S3 answers where objects are encrypted under a key of KMS: the eTag is no MD5."""
    listed, head = uploader._bucket.current, uploader._bucket._s3.head_object

    def versions(prefix: str) -> Iterator[UploadedImage]:
        return (replace(image, etag=image.etag[::-1]) for image in listed(prefix))

    monkeypatch.setattr(uploader._bucket, "current", versions)
    monkeypatch.setattr(
        uploader._bucket._s3,
        "head_object",
        lambda **asked: {**head(**asked), "ServerSideEncryption": "aws:kms"},
    )


def test_a_version_that_s3_calls_null_is_waited_for_under_its_own_digest(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an upload is answered while versioning is suspended, and not by moto."""
    uploader = Uploader(deployment)
    put = uploader._bucket._s3.put_object
    monkeypatch.setattr(
        uploader._bucket._s3, "put_object", lambda **asked: {**put(**asked), "VersionId": "null"}
    )
    (version,), _ = uploader.upload(
        {"images/Ann_Lee_1.jpg": FolderFile(folder, "Ann_Lee_1.jpg")}, done=lambda _: None
    )

    etag = hashlib.md5(photograph(0), usedforsecurity=False).hexdigest()
    assert version.digest == version_digest(IMAGES, version.key, f"etag:{etag}")


def test_under_a_key_of_kms_what_the_bucket_holds_is_not_uploaded_again_either(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(deployment, folder)
    (folder / "Ann_Lee_1.jpg").write_bytes(photograph(7))  # of the same size
    uploader = Uploader(deployment)
    _under_a_key(uploader, monkeypatch)

    plan = uploader.plan(folder)

    assert list(plan.new) == ["images/Ann_Lee_1.jpg"]
    assert len(plan.unchanged) == 3
    assert plan.not_compared == []


def test_where_the_etag_is_the_md5_no_weaker_checksum_makes_a_changed_photograph_the_same(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(deployment, folder)
    (folder / "Ann_Lee_1.jpg").write_bytes(photograph(7))  # of the same size
    monkeypatch.setattr(module, "_crc32", lambda _: "of both")
    uploader = Uploader(deployment)
    head = uploader._bucket._s3.head_object
    monkeypatch.setattr(
        uploader._bucket._s3,
        "head_object",
        lambda **asked: {**head(**asked), "ChecksumCRC32": "of both"},
    )

    assert list(uploader.plan(folder).new) == ["images/Ann_Lee_1.jpg"]


def test_what_s3_does_not_let_us_compare_is_uploaded_again_and_told(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(deployment, folder)
    uploader = Uploader(deployment)
    _under_a_key(uploader, monkeypatch)

    def deny(**_: Any) -> None:
        response: Any = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(response, "HeadObject")

    monkeypatch.setattr(uploader._bucket._s3, "head_object", deny)

    plan = uploader.plan(folder)

    assert len(plan.new) == len(plan.not_compared) == 4


def test_what_was_deleted_from_the_bucket_is_uploaded_again(
    cloud: Cloud, deployment: Deployment, folder: Path
) -> None:
    upload(deployment, folder)
    cloud.s3.delete_object(Bucket=IMAGES, Key="images/Ann_Lee_1.jpg")
    assert list(Uploader(deployment).plan(folder).new) == ["images/Ann_Lee_1.jpg"]


def test_only_the_current_version_is_compared(
    cloud: Cloud, deployment: Deployment, folder: Path
) -> None:
    upload(deployment, folder)
    cloud.upload("images/Ann_Lee_1.jpg", photograph(90))
    assert list(Uploader(deployment).plan(folder).new) == ["images/Ann_Lee_1.jpg"]


# --- The upload ---


def test_uploaded_versions_have_the_digests_that_the_starter_will_give_them(
    cloud: Cloud, deployment: Deployment, folder: Path
) -> None:
    versions = upload(deployment, folder)
    assert len(versions) == 4
    for version in versions:
        image = current(cloud, version.key)
        assert version.digest == image.digest
        assert image.day in version.days


def test_without_versioning_too(cloud: Cloud, deployment: Deployment, folder: Path) -> None:
    cloud.s3.create_bucket(
        Bucket="unversioned", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    deployment.outputs["ImagesBucket"] = "unversioned"
    uploaded = upload(deployment, folder)
    listed = Uploader(deployment).plan(folder).unchanged
    bucket = ImagesBucket(cloud.s3)
    digests = set()
    for version in uploaded:
        image = bucket.version("unversioned", version.key, None)
        assert image
        digests.add(image.digest)
    assert {version.digest for version in uploaded} == digests
    assert {version.digest for version in listed} == digests


def test_a_photograph_has_the_type_of_its_content(
    cloud: Cloud, deployment: Deployment, folder: Path
) -> None:
    upload(deployment, folder)
    types = {
        key: cloud.s3.head_object(Bucket=IMAGES, Key=f"images/{key}")["ContentType"]
        for key in ("Ann_Lee_1.jpg", "Bo/Bo_1.JPEG", "Bo/deeper/Zoë 2+.png", "phone.heic")
    }
    assert list(types.values()) == ["image/jpeg"] * 4  # all are, whatever their names say


def test_a_file_that_cannot_be_uploaded_does_not_keep_the_others_back(
    cloud: Cloud, deployment: Deployment, folder: Path
) -> None:
    uploader = Uploader(deployment)
    plan = uploader.plan(folder)
    (folder / "Ann_Lee_1.jpg").unlink()
    sizes: list[int] = []
    versions, errors = uploader.upload(plan.new, done=sizes.append)
    assert list(errors) == ["images/Ann_Lee_1.jpg"]
    assert len(versions) == 3
    assert len(sizes) == 4
    assert current(cloud, "images/phone.heic").size == len(photograph(30))


# --- Waiting for outcomes ---


@dataclass
class Story:
    """A time that passes only when somebody sleeps, and what happens in the course of it."""

    happenings: list[Callable[[], object]] = field(default_factory=list)
    now: float = 0.0
    told: list[int] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 30
        self.now += seconds
        if self.happenings:
            self.happenings.pop(0)()
        assert self.now < 3600, "it would wait for ever"


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    made = Story()
    time = SimpleNamespace(monotonic=lambda: made.now, sleep=made.sleep)
    monkeypatch.setattr("facematch.operations.upload.time", time)
    return made


def version(image: UploadedImage) -> Version:
    return Version(image.key, image.digest, (image.day,))


@pytest.fixture
def two(cloud: Cloud) -> list[UploadedImage]:
    return [cloud.upload(f"images/{name}_1.jpg", photograph(0)) for name in ("Ann", "Bo")]


def wait(deployment: Deployment, images: list[UploadedImage], story: Story) -> Outcomes:
    return wait_for_outcomes(
        deployment,
        [version(image) for image in images],
        finished=story.told.append,
        sleep=story.sleep,
    )


def test_it_waits_until_every_version_has_its_outcome(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    ann, bo = two
    failure = {"status": "REJECTED", "reason": "TOO_LARGE", "key": bo.key}
    story.happenings = [
        lambda: None,
        lambda: cloud.write(report_key(ann), {"status": "UNIQUE"}),
        lambda: cloud.write(failure_key(bo), failure),
    ]
    assert wait(deployment, two, story) == Outcomes(
        reported=[ann.key], rejected=[bo.key], reasons={bo.key: "TOO_LARGE"}
    )
    assert story.told == [0, 0, 1, 2]


def test_a_failed_execution_is_told_apart_from_a_rejected_image(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    ann, bo = two
    cloud.write(failure_key(ann), {"status": "TIMED_OUT", "reason": "Timeout", "key": ann.key})
    cloud.write(failure_key(bo), {"status": "REJECTED", "reason": "GONE", "key": bo.key})
    assert wait(deployment, two, story) == Outcomes(
        failed=[ann.key], rejected=[bo.key], reasons={ann.key: "Timeout", bo.key: "GONE"}
    )


def test_a_version_that_a_newer_one_replaced_is_neither_rejected_nor_failed(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    album = Album(cloud)
    ann, bo = two
    album.report(ann)
    album.fail(bo, FailureStatus.REJECTED, reason=Reason.SUPERSEDED)
    assert wait(deployment, two, story) == Outcomes(reported=[ann.key], superseded=[bo.key])


def test_what_is_shown_gives_reasons_and_the_next_command(
    deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Where, "deployment", lambda _: deployment)
    ended = Outcomes(reported=["a"], superseded=["images/twin.jpg"])
    monkeypatch.setattr(command, "wait_for_outcomes", lambda *_, **__: ended)

    def shown() -> tuple[int, str]:
        result = CliRunner().invoke(app, ["upload", str(folder), "--wait"])
        return result.exit_code, result.stdout

    code, text = shown()
    assert code == 0
    assert "1 have a report, 1 gave way to a newer version, 0 were rejected, 0 failed." in text
    assert "(nothing to do): images/twin.jpg" in text
    assert "facematch" not in text

    ended.undelivered, ended.reasons["a"] = ["a"], "NotFoundException"
    code, text = shown()
    assert code == 1
    assert "of 1 of them nobody was notified" in text
    assert "  has a match, but nobody was notified (NotFoundException): a\n" in text
    assert "\nOnce the cause is fixed: facematch replay --all\n" in text

    ended.undelivered.clear()
    ended.rejected, ended.reasons["b"] = ["b"], "TOO_LARGE"
    code, text = shown()
    assert (code, "facematch failures" in text, "facematch replay" in text) == (0, True, False)
    assert "rejected (TOO_LARGE): b" in text

    ended.failed, ended.reasons["c"] = ["c"], "States.Timeout"
    code, text = shown()
    assert (code, "facematch failures" in text, "facematch replay" in text) == (1, True, True)
    assert "failed (States.Timeout): c" in text


def test_the_records_of_other_versions_are_no_outcome(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    ann, bo = two
    cloud.write(report_key(bo), {"status": "UNIQUE"})
    story.happenings = [lambda: cloud.write(report_key(ann), {"status": "UNIQUE"})]
    assert wait(deployment, [ann], story).reported == [ann.key]
    assert story.told == [0, 1]


def test_it_waits_for_an_execution_that_still_runs_after_its_report(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    ann, bo = two
    arn = cloud.start(ann)
    cloud.start(bo)
    cloud.write(report_key(ann), {"status": "MATCHED"})
    story.happenings = [lambda: None, lambda: cloud.end(arn, "SUCCEEDED")]
    assert wait(deployment, [ann], story).reported == [ann.key]
    assert len(story.told) == 3


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_ended_badly_is_found_although_no_record_of_it_arrives(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story, status: str
) -> None:
    ann, bo = two
    cloud.end(cloud.start(ann), status)
    arn = cloud.start(bo)

    def succeed() -> None:
        cloud.write(report_key(bo), {"status": "UNIQUE"})
        cloud.end(arn, "SUCCEEDED")

    story.happenings = [succeed]
    assert wait(deployment, two, story) == Outcomes(
        reported=[bo.key], failed=[ann.key], reasons={ann.key: status}
    )


def matched(image: UploadedImage, execution_arn: str, **changes: Any) -> dict[str, Any]:
    """The report of a match that is worth a notification."""
    report = {"status": "MATCHED", "key": image.key, "execution_arn": execution_arn}
    return {**report, "above_threshold": True, **changes}


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_match_of_which_nobody_was_notified_is_told_before_any_record_arrives(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story, status: str
) -> None:
    ann, bo = two
    arns = [cloud.start(image) for image in two]
    for image, arn in zip(two, arns, strict=True):
        cloud.write(report_key(image), matched(image, arn))

    def end() -> None:
        cloud.end(arns[0], "SUCCEEDED")
        cloud.end(arns[1], status)

    story.happenings = [end]
    outcomes = wait(deployment, two, story)
    assert sorted(outcomes.reported) == [ann.key, bo.key]
    assert (outcomes.undelivered, outcomes.reasons) == ([bo.key], {bo.key: status})


def test_a_match_of_which_nobody_was_notified_long_ago_is_known_by_its_record(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    _, bo = two
    for image in two:
        cloud.write(report_key(image), matched(image, f"{cloud.execution_arn(image)}-forgotten"))
    cloud.write(delivery_failure_key(bo), {"key": bo.key, "reason": "NotFoundException"})
    outcomes = wait(deployment, two, story)
    assert (outcomes.undelivered, outcomes.reasons) == ([bo.key], {bo.key: "NotFoundException"})


def test_an_execution_that_failed_and_was_replayed_left_nothing_undelivered(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    ann, bo = two
    for image in two:
        cloud.end(cloud.start(image), "FAILED")
    replay = cloud.stepfunctions.start_execution(
        stateMachineArn=cloud.state_machine_arn, name=f"{ann.execution_name}-r1", input="{}"
    )["executionArn"]
    cloud.end(replay, "SUCCEEDED")
    cloud.write(report_key(ann), matched(ann, replay))
    below = matched(bo, cloud.execution_arn(bo), above_threshold=False)
    cloud.write(report_key(bo), below)
    outcomes = wait(deployment, two, story)
    assert (outcomes.undelivered, outcomes.reasons) == ([], {})


def test_a_failure_that_was_mended_meanwhile_counts_as_reported(
    cloud: Cloud, deployment: Deployment, two: list[UploadedImage], story: Story
) -> None:
    ann, bo = two
    cloud.write(failure_key(ann), {"status": "FAILED", "key": ann.key})

    def redrive() -> None:
        cloud.write(report_key(ann), {"status": "UNIQUE"})
        cloud.s3.delete_object(Bucket=OUTPUT, Key=failure_key(ann))

    story.happenings = [redrive, lambda: cloud.write(report_key(bo), {"status": "UNIQUE"})]
    outcomes = wait(deployment, two, story)
    assert sorted(outcomes.reported) == [ann.key, bo.key]
    assert outcomes.failed == []


def test_nothing_to_wait_for_is_finished_at_once(deployment: Deployment, story: Story) -> None:
    assert wait(deployment, [], story) == Outcomes()
    assert story.now == 0


def test_it_looks_seldom_while_much_is_left_and_often_towards_the_end(
    cloud: Cloud, deployment: Deployment, story: Story
) -> None:
    images = [cloud.upload(f"images/Person{n}_1.jpg", photograph(0)) for n in range(40)]
    waits: list[float] = []

    def one_a_second(seconds: float) -> None:
        waits.append(seconds)
        story.now += seconds
        for image in images[: int(story.now)]:
            cloud.write(report_key(image), {"status": "UNIQUE"})

    wait_for_outcomes(
        deployment,
        [version(image) for image in images],
        finished=story.told.append,
        sleep=one_a_second,
    )

    assert story.told[-1] == 40
    assert max(waits) > 5
    assert waits[-1] < 1
    assert len(waits) < 40
    assert story.now < 42


def test_a_wait_of_a_quarter_of_an_hour_takes_few_looks(
    deployment: Deployment, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [photographed(number) for number in range(900)]
    looks = 0

    def one_a_second(_: Records, place: Place, _day: str | None = None) -> Any:
        nonlocal looks
        if place != Place.REPORTS:
            return iter(())
        looks += 1
        return map(report_key, images[: int(story.now)])

    monkeypatch.setattr(Records, "keys", one_a_second)
    outcomes = wait(deployment, images, story)

    assert len(outcomes.reported) == 900
    assert looks < 70
    assert story.now < 905


def photographed(number: int) -> UploadedImage:
    return replace(IMAGE, key=f"images/Person{number}_1.jpg")


def test_a_look_that_takes_long_is_followed_by_a_long_rest(
    cloud: Cloud,
    deployment: Deployment,
    two: list[UploadedImage],
    story: Story,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ann, bo = two
    waits: list[float] = []
    keys = Records.keys

    def slow(self: Records, place: Place, day: str | None = None) -> Any:
        story.now += 2
        return keys(self, place, day)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        for image in two:
            cloud.write(report_key(image), {"status": "UNIQUE"})

    monkeypatch.setattr(Records, "keys", slow)
    wait_for_outcomes(
        deployment, [version(ann), version(bo)], finished=story.told.append, sleep=sleep
    )

    assert waits == [32]
