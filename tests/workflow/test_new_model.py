"""A second stack with another face model: the steps of docs/new-model.md, on a few photographs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from facematch.local.rekognition.faces import FACE_MODEL_VERSION
from facematch.local.state_folder import StateFolder
from facematch.operations.decisions import decisions_in, exported, import_decisions
from facematch.operations.matches import RecordPair, matches
from functions.matching.decisions import NewEvidence, Standing
from tests.other_model import VERSION, OtherModelCloud
from tests.workflow.conftest import WAIT_SCALE, Workflow, workflow_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from functions.matching.images import UploadedImage

#: One man under three names. The other model finds the first and the last photograph more alike,
#: by more than a hundredth of a per cent, and the other two pairs not.
PHOTOGRAPHS = {
    "Una_Vale_0001.jpg": "obama2.jpg",
    "Vic_West_0001.jpg": "obama3.jpg",
    "Wes_York_0001.jpg": "obama_partial_face.jpg",
}
UNA, VIC, WES = "name:Una Vale", "name:Vic West", "name:Wes York"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    home = StateFolder(tmp_path_factory.mktemp("cloud"))
    with OtherModelCloud(home, wait_scale=WAIT_SCALE) as cloud, workflow_on(cloud) as made:
        yield made


def filled(workflow: Workflow) -> dict[str, UploadedImage]:
    """Upload the photographs one after the other."""
    images = {}
    for key, photograph in PHOTOGRAPHS.items():
        images[key] = workflow.upload(key, workflow.photograph(photograph))
        assert workflow.finished(images[key])["status"] == "SUCCEEDED"
    return images


def pairs_of(workflow: Workflow) -> dict[tuple[str, str], RecordPair]:
    return {
        (pair.record_a, pair.record_b): pair
        for pair in matches(workflow.deployment, minimum=80)
        if {pair.record_a, pair.record_b} <= {UNA, VIC, WES}
    }


def decision(pair: RecordPair, workflow: Workflow) -> dict[str, Any]:
    """A line of the file of decisions, about what the pair shows."""
    return {
        **{name: getattr(pair, name) for name in ("record_a", "record_b", "name_a", "name_b")},
        "decision": "DIFFERENT_PEOPLE",
        "note": "",
        "decided_by": "Rea Viewer",
        "decided_at": "2026-01-20T09:00:00.000Z",
        "similarity": pair.similarity,
        "keys": [pair.key_a, pair.key_b],
        "images_bucket": workflow.deployment.images_bucket,
    }


def imported(workflow: Workflow, file: Path) -> list[str]:
    """Import the file of decisions; what became of each."""
    found = decisions_in(
        file,
        stack_name=workflow.deployment.stack_name,
        images_bucket=workflow.deployment.images_bucket,
    )
    return [what for _, what in import_decisions(workflow.deployment, found)]


def test_decisions_silence_their_pairs_on_a_stack_with_a_new_model_unless_it_finds_them_more_alike(
    workflow: Workflow, second: Workflow, tmp_path: Path
) -> None:
    images = filled(workflow)
    before = pairs_of(workflow)
    assert before.keys() == {(UNA, VIC), (UNA, WES), (VIC, WES)}
    made, kept = tmp_path / "made.jsonl", tmp_path / "kept.jsonl"
    made.write_text("".join(json.dumps(decision(p, workflow)) + "\n" for p in before.values()))
    assert imported(workflow, made) == ["imported"] * 3

    # Decisions of other tests about other people are in the same cloud.
    kept.write_text(
        "".join(
            line
            for line in exported(workflow.deployment).splitlines(keepends=True)
            if {json.loads(line)[side] for side in ("record_a", "record_b")} <= {UNA, VIC, WES}
        )
    )
    assert imported(second, kept) == ["imported"] * 3
    copies = filled(second)
    after = pairs_of(second)

    for key in PHOTOGRAPHS:
        old, new = workflow.report(images[key]), second.report(copies[key])
        assert (old["face_model_version"], new["face_model_version"]) == (
            FACE_MODEL_VERSION,
            VERSION,
        )
        assert old["faces"][0]["face_id"] != new["faces"][0]["face_id"]
    more_alike = {
        records
        for records, pair in after.items()
        if int(pair.similarity * 100) > int(before[records].similarity * 100)
    }
    assert more_alike == {(UNA, WES)}
    assert {records: (pair.standing, pair.why) for records, pair in after.items()} == {
        (UNA, VIC): (Standing.DIFFERENT_PEOPLE, ()),
        (VIC, WES): (Standing.DIFFERENT_PEOPLE, ()),
        (UNA, WES): (Standing.REOPENED, (NewEvidence.HIGHER_SIMILARITY,)),
    }
    vic, wes = (second.report(copies[f"{name}_0001.jpg"]) for name in ("Vic_West", "Wes_York"))
    assert (vic["silenced"], vic["reopened"], vic["above_threshold"]) == ([UNA], [], False)
    assert (wes["silenced"], wes["reopened"], wes["above_threshold"]) == ([VIC], [UNA], True)
