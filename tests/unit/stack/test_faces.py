"""Faces leave the collection though Rekognition throttles, or a person is told what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facematch.errors import Actionable
from facematch.stack.deployment import Deployment
from facematch.stack.faces import remove_faces

if TYPE_CHECKING:
    from collections.abc import Sequence


class Throttled:
    """A collection that throttles the first requests."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    def delete_faces(self, CollectionId: str, FaceIds: Sequence[str]) -> dict[str, Any]:  # noqa: N803
        assert CollectionId == "Faces"
        if self.refusals:
            self.refusals -= 1
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DeleteFaces")
        return {"DeletedFaces": list(FaceIds)}


def deployment(refusals: int) -> Deployment:
    rekognition = Throttled(refusals)
    return Deployment(
        stack_name="FaceMatching",
        local=False,
        outputs={"CollectionId": "Faces"},
        make_client=lambda _service: rekognition,
    )


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, which nobody waits here."""
    made: list[float] = []
    monkeypatch.setattr("facematch.stack.faces.time", SimpleNamespace(sleep=made.append))
    return made


def test_faces_are_removed_when_rekognition_has_throttled() -> None:
    assert remove_faces(deployment(2), ["a", "b"]) == 2


def test_faces_that_stay_are_told_of_as_soon_as_the_last_attempt_fails(waits: list[float]) -> None:
    with pytest.raises(Actionable, match=r"Not all of 2 faces.*Throttling.*Repeat the command\."):
        remove_faces(deployment(99), ["a", "b"])

    assert waits == [1, 2, 4, 8]
