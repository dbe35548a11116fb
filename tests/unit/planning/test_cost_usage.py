"""What an image uses of AWS, counted at the functions' edges: what `facematch cost` reckons with.

After a change of the functions, ``FACEMATCH_WRITE_USAGE=1`` in front of this test writes the
figures anew (facematch/planning/usage.json).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from facematch.planning.usage import USAGE_FILE, Usage, Way
from functions.matching.errors import ImageRejected
from tests.unit.cloud import OUTPUT, event_file, put_body, sqs_event
from tests.unit.fake_rekognition import photograph

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions.matching.images import UploadedImage
    from tests.unit.cloud import Cloud

#: What the Lambda service writes of each invocation: START, END and REPORT, which has a line for
#: X-Ray in it (AWS Lambda Developer Guide, Sending function logs to CloudWatch Logs).
ID = "52fdfc07-2182-454f-963f-5f0f9a621d72"
LAMBDA_LINES = (
    f"START RequestId: {ID} Version: $LATEST\n",
    f"END RequestId: {ID}\n",
    f"REPORT RequestId: {ID}\tDuration: 123.45 ms\tBilled Duration: 124 ms\tMemory Size: 256 MB\t"
    "Max Memory Used: 100 MB\t\nXRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\t"
    "SegmentId: 53995c3f42cd8ad8\tSampled: true\t\n",
)
#: An event in a state machine's log, without data (AWS Step Functions Developer Guide, Logging).
STATE_MACHINE_EVENT = {
    "id": "12",
    "type": "TaskStateExited",
    "details": {"name": "SearchFaces"},
    "previous_event_id": "11",
    "event_timestamp": "1793000000000",
    "execution_arn": "arn:aws:states:eu-central-1:123456789012:execution:FaceMatching:"
    "Ann_Lee_0003-0123456789abcdef0123456789abcdef",
    "redrive_count": "0",
}
#: GetParameter of a standard parameter costs nothing at the standard throughput.
FREE = "ssm:"


@dataclass
class Counting:
    """Counts the calls of the handlers, and what they write into their logs."""

    cloud: Cloud
    capsys: pytest.CaptureFixture[str]
    calls: Counter[str] = field(default_factory=Counter)
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: set[str] = field(default_factory=set)
    data_bytes: int = 0

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = self.cloud.before_call

        def heard(model: Any, params: dict[str, Any], **rest: Any) -> Any:
            self.calls[f"{model.service_model.service_name}:{model.name}"] += 1
            return answer(model, params, **rest)

        monkeypatch.setattr(self.cloud, "before_call", heard)
        for name in ("index_faces", "search_faces"):
            self._count(monkeypatch, name)

    def _count(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        real: Callable[..., Any] = getattr(self.cloud.rekognition, name)
        operation = "rekognition:" + name.title().replace("_", "")

        def counted(**request: Any) -> Any:
            self.calls[operation] += 1
            return real(**request)

        monkeypatch.setattr(self.cloud.rekognition, name, counted)

    def run(self, module: str, event: Any) -> Any:
        """Invoke a function, and note what it did."""
        self.cloud.handler(module)
        self.capsys.readouterr()
        self.calls.clear()
        answer = None
        with suppress(ImageRejected):
            answer = self.cloud.run(module, event)
        lines = self.capsys.readouterr().out.splitlines()
        for line in lines:
            for directive in json.loads(line).get("_aws", {}).get("CloudWatchMetrics", []):
                self.metrics |= {f"{module} {metric['Name']}" for metric in directive["Metrics"]}
        self.functions[module] = {
            "calls": {
                name: n for name, n in sorted(self.calls.items()) if not name.startswith(FREE)
            },
            "log_lines": len(lines),
            "log_bytes": sum(len(line.encode()) + 1 for line in lines),
        }
        return answer

    def step(self, module: str, state: dict[str, Any], **parameters: Any) -> Any:
        """Run a step as the state machine does; what its history holds of it is counted."""
        answer = self.run(module, parameters)
        output = {**state, module: answer}
        self.data_bytes += sum(
            len(json.dumps(data, separators=(",", ":")))
            for data in (state, parameters, answer, output)
        )
        return answer


def way(cloud: Cloud, counting: Counting, which: Way) -> None:
    """Send one image that way; its content decides."""
    angle = {Way.UNIQUE: (0,), Way.MATCHED: (20,), Way.NOTIFIED: (2,), Way.NO_FACE: ()}
    others = {Way.MATCHED: 0, Way.NOTIFIED: 0}
    if which in others:
        counting.cloud.index(cloud.upload("images/Bea_Roe_0001.jpg", photograph(others[which])))
    content = b"no image" if which is Way.REJECTED else photograph(*angle[which])
    image = cloud.upload("images/2026/Ann_Lee_0001.jpg", content)
    # Whichever starter comes first in an hour counts the faces; here a message without an image.
    counting.run("starter", event_file("sqs_s3_test_event.json"))
    counting.run("starter", sqs_event(put_body(image)))
    arn = cloud.execution_arn(image)
    payload = image.to_payload()
    state: dict[str, Any] = {"image": payload}
    state["index"] = counting.step("index", state, image=payload)
    if which is Way.REJECTED:
        error = {"Error": "ImageRejected", "Cause": json.dumps({"errorMessage": "NOT_JPEG_OR_PNG"})}
        state |= {"step": "IndexFaces", "error": error}
        counting.step("failure", state, **state, execution_arn=arn)
        return
    state["search"] = counting.step("search", state, image=payload, index=state["index"])
    state["report"] = counting.step("report", state, **state, execution_arn=arn, redrive_count=0)
    expected = {Way.UNIQUE: "UNIQUE", Way.NO_FACE: "NO_FACE"}.get(which, "MATCHED")
    assert state["report"]["status"] == expected
    assert state["report"]["above_threshold"] is (which is Way.NOTIFIED)
    if which is Way.NOTIFIED:
        counting.step("notify", state, **state, execution_arn=arn, redrive_count=0)


@pytest.fixture
def measured(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Way], dict[str, Any]]:
    def measured(which: Way) -> dict[str, Any]:
        counting = Counting(cloud, capsys)
        counting.listen(monkeypatch)
        way(cloud, counting, which)
        written = cloud.s3.list_objects_v2(Bucket=OUTPUT)["Contents"]
        own = [o for o in written if "indexed/" not in o["Key"]]
        return {
            "functions": counting.functions,
            "metrics": sorted(counting.metrics),
            "objects": len(own) + (which is not Way.REJECTED),
            "object_bytes": sum(o["Size"] for o in own)
            + max((o["Size"] for o in written if "indexed/" in o["Key"]), default=0),
            "data_bytes": counting.data_bytes,
        }

    return measured


@pytest.mark.parametrize("which", Way)
def test_the_calls_the_log_and_the_metrics_of_an_image_are_those_that_cost_reckons_with(
    measured: Callable[[Way], dict[str, Any]], which: Way
) -> None:
    found = measured(which)
    if os.environ.get("FACEMATCH_WRITE_USAGE"):
        document = json.loads(USAGE_FILE.read_text())
        document["ways"][which] = found
        USAGE_FILE.write_text(json.dumps(document, indent=2) + "\n")
    known = Usage.load().document["ways"][which]

    assert {name: f["calls"] for name, f in found["functions"].items()} == {
        name: f["calls"] for name, f in known["functions"].items()
    }
    assert found["metrics"] == known["metrics"]
    assert found["objects"] == known["objects"]
    for name, function in found["functions"].items():
        noted = known["functions"][name]
        assert function["log_lines"] == noted["log_lines"], name
        assert function["log_bytes"] == pytest.approx(noted["log_bytes"], rel=0.03), name
    for what in ("object_bytes", "data_bytes"):
        assert found[what] == pytest.approx(known[what], rel=0.05), what


def test_the_bytes_of_the_services_own_log_lines_are_those_of_their_examples() -> None:
    logs = Usage.load().document["logs"]
    added = logs["bytes_added_to_a_line"]
    event = json.dumps(STATE_MACHINE_EVENT, separators=(",", ":"))

    assert logs["bytes_of_lambda_itself"] == sum(len(line) + added for line in LAMBDA_LINES)
    assert logs["bytes_of_a_state_machine_event"] == len(event) + added


def test_under_a_burst_a_start_is_one_write_of_the_pace_table(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = cloud.handler("starter", STARTS_PER_SECOND="1").pace
    monkeypatch.setattr(pace, "_sleep", lambda _seconds: None)  # the turns are far ahead
    images: list[UploadedImage] = [
        cloud.upload(f"images/Ann_{n}.jpg", photograph(n)) for n in range(4)
    ]
    counting = Counting(cloud, capsys)
    counting.listen(monkeypatch)
    counting.run("starter", event_file("sqs_s3_test_event.json"))  # the hour's count of faces
    counting.run("starter", sqs_event(*(put_body(image) for image in images)))

    first_of_all = 1
    assert counting.functions["starter"]["calls"]["dynamodb:UpdateItem"] == 4 + first_of_all
