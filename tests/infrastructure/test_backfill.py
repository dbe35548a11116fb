"""The backfill's state machine: its graph, its messages, its rights."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import jsonata
import pytest
from hypothesis import given, settings

from functions.aws.events import ObjectCreated, Origin, changed_objects
from functions.matching.places import Place
from tests.examples import examples
from tests.infrastructure.test_rights import (
    IMAGES,
    LOG_DELIVERY_AND_TRACES,
    OUTPUT,
    rights,
    role_of_machine,
)
from tests.unit.strategies import s3_keys

if TYPE_CHECKING:
    from tests.infrastructure.conftest import Template

BUCKET = "<IntakeImages13CC7F5D>"
MAPS = ("Listing", "Inventory")


def machine(template: Template) -> dict[str, Any]:
    return template.properties("AWS::StepFunctions::StateMachine", "Backfill")


def definition(template: Template) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(template.text(machine(template)["DefinitionString"]))
    return found


def evaluated(expression: Any, states: dict[str, Any]) -> Any:
    """What Step Functions makes of a JSONata expression."""
    code = expression.removeprefix("{%").removesuffix("%}")
    return jsonata.Jsonata.jsonata(code).evaluate(None, {"states": states})


def message(
    template: Template, name: str, item: dict[str, Any], **given_input: Any
) -> ObjectCreated | None:
    """What the starter reads when the Map `name` meets an item; None when it is left out."""
    state = definition(template)["States"][name]
    selected = evaluated(
        state["ItemSelector"], {"input": given_input, "context": {"Map": {"Item": {"Value": item}}}}
    )
    children = state["ItemProcessor"]["States"]
    (choice,) = children[f"IsImageOf{name}"]["Choices"]
    if not evaluated(choice["Condition"], {"input": selected}):
        return None
    body = evaluated(children[f"SendOf{name}"]["Arguments"]["MessageBody"], {"input": selected})
    (created,) = changed_objects(body, bucket=BUCKET, prefix="images/")
    assert isinstance(created, ObjectCreated)
    return created


def listed(key: str) -> dict[str, Any]:
    """An item of ListObjectsV2, as the Distributed Map gives it."""
    return {
        "Etag": '"d41d8cd98f00b204e9800998ecf8427e"',
        "Key": key,
        "LastModified": 1_795_000_000,
        "Size": 184_320,
        "StorageClass": "STANDARD",
    }


def test_one_express_child_an_object_sends_one_message_to_the_intake_queue(
    template: Template,
) -> None:
    states = definition(template)["States"]

    for name in MAPS:
        processor = states[name]["ItemProcessor"]
        assert processor["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
        assert "ItemBatcher" not in states[name]
        tasks = [s for s in processor["States"].values() if s["Type"] == "Task"]
        (send,) = tasks
        assert send["Resource"].endswith(":states:::sqs:sendMessage")
        assert send["Arguments"]["QueueUrl"].startswith("<IntakeQueue")
        (retry,) = send["Retry"]
        assert retry["ErrorEquals"] == ["States.TaskFailed"]
        assert retry["JitterStrategy"] == "FULL"
        # Express executions end after five minutes.
        waits = [min(retry["MaxDelaySeconds"], 2 * 2**n) for n in range(retry["MaxAttempts"])]
        assert sum(waits) < 300 - 60


def test_no_failure_is_tolerated_and_the_rate_of_children_is_bounded(template: Template) -> None:
    for name in MAPS:
        state = definition(template)["States"][name]
        assert not {"ToleratedFailurePercentage", "ToleratedFailureCount"} & set(state)
        assert 0 < state["MaxConcurrency"] <= 100


def test_results_do_not_have_to_fit_into_a_payload(template: Template) -> None:
    for name in MAPS:
        state = definition(template)["States"][name]
        assert state["ResultWriter"]["Arguments"] == {
            "Bucket": "<OutputAB65CDDE>",
            "Prefix": "backfill/",
        }
        assert state["ResultWriter"]["WriterConfig"]["Transformation"] == "COMPACT"
        outputs = [s.get("Output") for s in state["ItemProcessor"]["States"].values()]
        assert [o for o in outputs if o] == ["left out", "sent"]  # and no key
    rules = template.properties("AWS::S3::Bucket", "Output")["LifecycleConfiguration"]["Rules"]
    for prefix in ("backfill/", "inventory/"):
        assert [r["ExpirationInDays"] for r in rules if r.get("Prefix") == prefix] == [30]


@pytest.mark.parametrize(
    ("given_input", "chosen"),
    [({}, "Listing"), ({"prefix": "images/a"}, "Listing"), ({"inventory": "x"}, "Inventory")],
)
def test_an_inventory_replaces_the_listing(
    template: Template, given_input: dict[str, Any], chosen: str
) -> None:
    which = definition(template)["States"]["WhichList"]
    (choice,) = which["Choices"]

    found = evaluated(choice["Condition"], {"input": given_input})

    assert (choice["Next"] if found else which["Default"]) == chosen


@pytest.mark.parametrize(("given_input", "prefix"), [({}, "images/"), ({"prefix": "i/a"}, "i/a")])
def test_without_a_prefix_every_image_is_listed(
    template: Template, given_input: dict[str, Any], prefix: str
) -> None:
    reader = definition(template)["States"]["Listing"]["ItemReader"]

    assert reader["Arguments"]["Bucket"] == BUCKET
    assert evaluated(reader["Arguments"]["Prefix"], {"input": given_input}) == prefix


@given(key=s3_keys().filter(lambda key: not key.endswith("/")))
@settings(max_examples=examples(300), deadline=None)
def test_every_key_of_a_listing_survives(template: Template, key: str) -> None:
    created = message(template, "Listing", listed(f"images/{key}"), prefix="images/")

    assert created is not None
    assert created.key == f"images/{key}"


@given(key=s3_keys().filter(lambda key: not key.endswith("/")))
@settings(max_examples=examples(300), deadline=None)
def test_every_key_of_an_inventory_survives(template: Template, key: str) -> None:
    line = {"Bucket": BUCKET, "Key": quote_plus(f"images/{key}", safe="/")}

    created = message(template, "Inventory", line, inventory="inventory/manifest.json")

    assert created is not None
    assert (created.key, created.version_id) == (f"images/{key}", None)


@pytest.mark.parametrize(
    ("given_input", "origin"),
    [({}, Origin.BACKFILL), ({"again": False}, Origin.BACKFILL), ({"again": True}, Origin.AGAIN)],
)
def test_a_message_of_the_listing_names_no_version_and_is_marked(
    template: Template, given_input: dict[str, Any], origin: Origin
) -> None:
    created = message(template, "Listing", listed("images/Ann_1.jpg"), **given_input)

    assert created is not None
    assert abs((datetime.now(UTC) - created.event_time).total_seconds()) < 60
    assert created == ObjectCreated(
        bucket=BUCKET,
        key="images/Ann_1.jpg",
        version_id=None,
        etag="d41d8cd98f00b204e9800998ecf8427e",
        size=184_320,
        event_time=created.event_time,
        origin=origin,
    )


@pytest.mark.parametrize(
    ("columns", "version", "size"),
    [
        ({"VersionId": "v1", "Size": "5", "ETag": "abc", "IsDeleteMarker": "false"}, "v1", 5),
        ({"VersionId": "", "Size": "", "ETag": ""}, None, 0),
        ({"VersionId": "null", "IsLatest": "true"}, None, 0),
    ],
)
def test_an_inventory_may_have_any_columns(
    template: Template, columns: dict[str, str], version: str | None, size: int
) -> None:
    line = {"Bucket": BUCKET, "Key": "images/Ann_1.jpg", **columns}

    created = message(template, "Inventory", line)

    assert created is not None
    assert (created.version_id, created.size) == (version, size)
    assert created.etag


def test_an_object_with_content_is_no_folder_marker_whatever_its_key(template: Template) -> None:
    line = {"Bucket": BUCKET, "Key": "images/folder/", "Size": "7"}
    created = message(template, "Inventory", line)
    assert created is not None
    assert created.key == "images/folder/"


@pytest.mark.parametrize(
    "line",
    [
        {"Bucket": BUCKET, "Key": "images/folder/"},
        {"Bucket": BUCKET, "Key": "elsewhere/Ann_1.jpg"},
        {"Bucket": "other", "Key": "images/Ann_1.jpg"},
        {"Bucket": BUCKET, "Key": "images/Ann_1.jpg", "IsDeleteMarker": "true"},
        {"Bucket": BUCKET, "Key": "images/Ann_1.jpg", "IsDeleteMarker": "True"},
    ],
)
def test_what_is_no_image_is_left_out(template: Template, line: dict[str, str]) -> None:
    assert message(template, "Inventory", line) is None


def test_the_state_machine_may_list_read_inventories_send_and_start_itself(
    template: Template,
) -> None:
    found = rights(template, role_of_machine(template, "Backfill"))

    states = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:"
    assert found == LOG_DELIVERY_AND_TRACES | {
        ("s3:ListBucket", IMAGES),
        ("s3:GetObject", f"{OUTPUT}/inventory/*"),
        ("sqs:SendMessage", "<queue>"),
        ("states:StartExecution", f"{states}stateMachine:FaceMatching-backfill"),
        ("states:DescribeExecution", f"{states}execution:FaceMatching-backfill:*"),
        ("states:StopExecution", f"{states}execution:FaceMatching-backfill:*"),
        ("states:RedriveExecution", f"{states}execution:FaceMatching-backfill/Listing:*"),
        ("states:RedriveExecution", f"{states}execution:FaceMatching-backfill/Inventory:*"),
        ("s3:PutObject", f"{OUTPUT}/backfill/*"),
        ("s3:GetObject", f"{OUTPUT}/backfill/*"),
        ("s3:ListMultipartUploadParts", f"{OUTPUT}/backfill/*"),
        ("s3:AbortMultipartUpload", f"{OUTPUT}/backfill/*"),
    }


def test_s3_delivers_inventories_of_the_images_where_they_are_read(template: Template) -> None:
    policy = template.properties("AWS::S3::BucketPolicy", "Output")["PolicyDocument"]
    (delivery,) = [s for s in policy["Statement"] if s.get("Sid") == "DeliverInventories"]

    assert delivery["Principal"] == {"Service": "s3.amazonaws.com"}
    assert delivery["Action"] == "s3:PutObject"
    assert template.text(delivery["Resource"]) == f"{OUTPUT}/{Place.INVENTORIES}*"
    assert delivery["Condition"]["ArnLike"] == {
        "aws:SourceArn": {"Fn::GetAtt": ["IntakeImages13CC7F5D", "Arn"]}
    }


def test_executions_are_logged_without_their_data_and_traced(template: Template) -> None:
    found = machine(template)

    assert found["StateMachineName"] == "FaceMatching-backfill"
    assert found.get("StateMachineType", "STANDARD") == "STANDARD"
    assert found["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert found["TracingConfiguration"]["Enabled"] is True
    assert definition(template)["QueryLanguage"] == "JSONata"


def test_no_failure_of_a_backfill_is_taken_for_an_images(template: Template) -> None:
    rule = template.properties("AWS::Events::Rule")

    machines = [arn["Ref"] for arn in rule["EventPattern"]["detail"]["stateMachineArn"]]
    assert {name.partition("StateMachine")[0] for name in machines} == {"Matching", "Removals"}
