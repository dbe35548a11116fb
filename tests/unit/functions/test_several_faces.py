"""Photographs of several people: what is told of them, and the setting that rejects them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from functions.aws.register import FaceRegisters
from functions.matching.errors import ImageRejected, Reason, Unavailable
from functions.matching.subjects import MainSubject, SeveralFaces
from tests.unit.cloud import COLLECTION, IMAGES, OUTPUT
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

KEY = "images/Ann_1.jpg"
TWO = photograph(0, 90, widths=(0.4, 0.2))
ONE = photograph(0, 90, widths=(0.4, 0.19))


@pytest.fixture
def rejecting(cloud: Cloud) -> Cloud:
    """A cloud deployed with ``several_faces=reject``."""
    cloud.handler("index", SEVERAL_FACES="reject")
    return cloud


def faces(cloud: Cloud) -> set[str]:
    return set(cloud.rekognition.collections[COLLECTION])


def rejected(cloud: Cloud, image: UploadedImage) -> None:
    with pytest.raises(ImageRejected) as raised:
        cloud.index(image)
    assert raised.value.reason is Reason.SEVERAL_PEOPLE
    assert raised.value.detail == "this photograph shows 2 people"
    assert faces(cloud) == set()


def _crash(**_: Any) -> None:
    raise RuntimeError("the worker died")


def pass_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clocks of different machines no longer matter, as before a retry some seconds later."""
    monkeypatch.setattr("functions.matching.register._CLOCKS_APART", 0.0)


@pytest.mark.parametrize(
    ("content", "subject", "people"),
    [
        (TWO, MainSubject.LARGEST_OF_SEVERAL, 2),
        (ONE, MainSubject.SINGLE, 1),
        (photograph(), None, 0),
    ],
)
def test_report_and_register_say_which_face_is_meant(
    cloud: Cloud, content: bytes, subject: MainSubject | None, people: int
) -> None:
    image = cloud.upload(KEY, content)
    cloud.run("report", cloud.report_event(image))

    report = cloud.report(image)
    assert report
    assert (report["subject"], report["prominent_faces"]) == (subject, people)
    entry = FaceRegisters(cloud.s3, OUTPUT).read(image).entries[image.digest]
    assert (entry.subject, entry.prominent_faces) == (subject, people)


def test_by_default_the_largest_of_several_is_indexed(cloud: Cloud) -> None:
    assert len(cloud.index(cloud.upload(KEY, TWO))["faces"]) == 1


def test_a_photograph_of_one_person_is_indexed_where_others_are_rejected(rejecting: Cloud) -> None:
    assert len(rejecting.index(rejecting.upload(KEY, ONE))["faces"]) == 1


def test_no_face_of_a_rejected_photograph_stays_however_often_it_comes(
    rejecting: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_time(monkeypatch)
    image = rejecting.upload(KEY, TWO)
    for _ in range(3):
        rejected(rejecting, image)


def test_a_photograph_with_several_faces_and_none_of_quality_is_rejected_too(
    rejecting: Cloud,
) -> None:
    rejected(rejecting, rejecting.upload(KEY, photograph(blurred=2)))


@pytest.mark.parametrize("operation", ["DeleteFaces", "PutObject"])
def test_whoever_is_stopped_between_index_and_removal_is_finished_by_the_next_attempt(
    rejecting: Cloud, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """The first write enters the faces. DeleteFaces, or the write after it, does not answer."""
    pass_time(monkeypatch)
    image = rejecting.upload(KEY, TWO)
    remove = rejecting.rekognition.delete_faces
    if operation == "DeleteFaces":
        monkeypatch.setattr(rejecting.rekognition, "delete_faces", _crash)
    else:
        for _ in range(2):
            rejecting.meanwhile("PutObject", lambda: None)
        rejecting.break_next("PutObject", RuntimeError("the worker died"))
    with pytest.raises(RuntimeError):
        rejecting.index(image)
    if operation == "DeleteFaces":
        assert faces(rejecting)
        monkeypatch.setattr(rejecting.rekognition, "delete_faces", remove)

    with pytest.raises(Unavailable):
        rejecting.index(image)  # it ends the removal, and is retried
    assert faces(rejecting) == set()
    rejected(rejecting, image)


def test_whoever_is_stopped_before_the_faces_are_entered_ends_the_same(rejecting: Cloud) -> None:
    image = rejecting.upload(KEY, TWO)
    rejecting.break_next("PutObject", RuntimeError("the worker died"))
    with pytest.raises(RuntimeError):
        rejecting.index(image)
    assert faces(rejecting)

    rejected(rejecting, image)


def test_a_rejected_photograph_takes_the_one_that_it_overwrites_out(rejecting: Cloud) -> None:
    rejecting.index(rejecting.upload(KEY, ONE))
    rejected(rejecting, rejecting.upload(KEY, TWO))


def test_a_photograph_that_is_overwritten_meanwhile_leaves_the_newer_one_its_face(
    rejecting: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = rejecting.upload(KEY, TWO)
    newer: list[UploadedImage] = []
    rejecting.meanwhile("PutObject", lambda: newer.append(rejecting.upload(KEY, ONE)))
    with pytest.raises(ImageRejected):
        rejecting.index(older)

    pass_time(monkeypatch)
    indexed = rejecting.index(newer[0])
    assert {face["face_id"] for face in indexed["faces"]} == faces(rejecting)


def test_a_deleted_photograph_is_gone_before_it_is_rejected(rejecting: Cloud) -> None:
    image = rejecting.upload(KEY, TWO)
    rejecting.s3.delete_object(Bucket=IMAGES, Key=KEY)
    with pytest.raises(ImageRejected) as raised:
        rejecting.index(image)
    assert raised.value.reason is Reason.GONE


def test_a_replay_under_the_setting_leaves_one_outcome_and_no_face(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_time(monkeypatch)
    image = cloud.upload(KEY, TWO)
    cloud.run("report", cloud.report_event(image))
    index = cloud.handler("index")
    changed = replace(index.settings, several_faces=SeveralFaces.REJECT)
    monkeypatch.setattr(index, "settings", changed)

    rejected(cloud, image)
    assert cloud.report(image) is None
    error = {
        "Error": "ImageRejected",
        "Cause": f"SEVERAL_PEOPLE {image.digest} this photograph shows 2 people",
    }
    cloud.run(
        "failure",
        {
            "image": image.to_payload(),
            "step": "IndexFaces",
            "error": error,
            "execution_arn": cloud.execution_arn(image),
        },
    )
    failure = cloud.failure(image)
    assert failure
    assert failure["reason"] == "SEVERAL_PEOPLE"
    assert failure["message"] == (
        f"{image.uri} is not indexed, because the setting several_faces is reject: "
        "this photograph shows 2 people."
    )
    assert failure["remedy"].startswith("Crop it to the person")
