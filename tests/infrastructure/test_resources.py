"""Buckets, queues, functions and rules: what they must be for the promises to hold."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from facematch.planning.template import Starters
from functions.matching import settings as function_settings
from functions.matching.settings import REKOGNITION_QUOTA, paced, turns_of_a_removal
from workflow.changes import recorded, recorded_in
from workflow.project import PROJECT
from workflow.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infrastructure.conftest import Template

DAY = 24 * 3600
SETTINGS_OF = {
    "starter": function_settings.StarterSettings,
    "index": function_settings.IndexSettings,
    "search": function_settings.SearchSettings,
    "report": function_settings.ReportSettings,
    "notify": function_settings.NotifySettings,
    "failure": function_settings.FailureSettings,
    "removal": function_settings.RemovalSettings,
}
COLD_START = PROJECT / "docs" / "measured" / "cold_start.json"
OF_THE_RUNTIME = {"AWS_REGION"}
KEPT = ("AWS::S3::Bucket", "AWS::Rekognition::Collection")


def test_no_function_is_there_but_ours_and_no_custom_resource(template: Template) -> None:
    handlers = {
        function["Properties"]["Handler"]
        for function in template.of_type("AWS::Lambda::Function").values()
    }

    assert handlers == {f"functions.{module}.handler" for module in SETTINGS_OF}
    kinds = {resource["Type"] for resource in template.resources.values()}
    assert not [kind for kind in kinds if kind.startswith(("Custom::", "AWS::CloudFormation"))]


@pytest.mark.parametrize("module", SETTINGS_OF)
def test_a_function_gets_every_variable_that_its_settings_read(
    template: Template, module: str
) -> None:
    given = set(template.function(module)["Environment"]["Variables"])

    read = {field.name.upper() for field in fields(SETTINGS_OF[module])}
    assert read - OF_THE_RUNTIME <= given
    assert {v for v in given if not v.startswith("POWERTOOLS_")} == read - OF_THE_RUNTIME


@pytest.mark.parametrize("version", ["latest", "3.37.0"])
def test_the_powertools_layer_is_of_the_version_that_the_setting_names(
    synthesise: Callable[..., Template], version: str
) -> None:
    parameters = synthesise(powertools_version=version).document["Parameters"].values()

    found = [p["Default"] for p in parameters if "powertools" in p["Default"]]
    assert found == [f"/aws/service/powertools/python/arm64/python3.14/{version}"]


def test_functions_run_the_newest_python_on_arm_with_powertools_logs_and_traces(
    template: Template,
) -> None:
    log_groups = template.of_type("AWS::Logs::LogGroup")
    for module in SETTINGS_OF:
        function = template.function(module)
        assert function["Runtime"] == "python3.14"
        assert function["Architectures"] == ["arm64"]
        assert len(function["Layers"]) == 1
        traced = "PassThrough" if module == "starter" else "Active"
        assert function["TracingConfig"] == {"Mode": traced}
        group = log_groups[function["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["Properties"]["RetentionInDays"] == 90


def test_functions_have_the_memory_that_was_reasoned_from_measurement(template: Template) -> None:
    measured = json.loads(COLD_START.read_text())

    for module in SETTINGS_OF:
        memory = template.function(module)["MemorySize"]
        assert memory == measured["memory"][module]["chosen"]
        # As much again for the Lambda runtime, and for what an invocation needs.
        assert memory >= 2 * measured["cases"]["shipped"][module]["peak_mib"]["max"]


def test_buckets_are_private_encrypted_and_refuse_plain_http(template: Template) -> None:
    buckets = template.of_type("AWS::S3::Bucket")
    policies = template.of_type("AWS::S3::BucketPolicy").values()

    assert len(buckets) == 2
    for name, bucket in buckets.items():
        properties = bucket["Properties"]
        assert all(properties["PublicAccessBlockConfiguration"].values())
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        (policy,) = [p for p in policies if p["Properties"]["Bucket"] == {"Ref": name}]
        statements = policy["Properties"]["PolicyDocument"]["Statement"]
        assert any(
            s["Effect"] == "Deny" and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for s in statements
        )
        assert properties["LifecycleConfiguration"]["Rules"]


def test_every_object_that_comes_or_leaves_below_the_prefix_is_told_to_the_queue(
    synthesise: Callable[..., Template],
) -> None:
    template = synthesise(image_prefix="people/new/")
    images = template.properties("AWS::S3::Bucket", "IntakeImages")
    (name,) = [n for n in template.of_type("AWS::S3::Bucket") if n.startswith("IntakeImages")]

    told = images["NotificationConfiguration"]["QueueConfigurations"]
    events = {"s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"}
    assert {one["Event"] for one in told} == events
    rules = [{"Name": "prefix", "Value": "people/new/"}]
    assert all(one["Filter"]["S3Key"]["Rules"] == rules for one in told)
    assert images["VersioningConfiguration"] == {"Status": "Enabled"}
    # S3 sends a test message when the notification is made: the queue must admit it by then.
    assert any(d.startswith("IntakeQueuePolicy") for d in template.resources[name]["DependsOn"])


RATES = (0.05, 1, 4.8, 5, 48, 60, 80, 100, 200, 480, 1000)


@pytest.mark.parametrize(
    "settings",
    [{}, {"max_faces": 2}, {"max_faces": 100}, *({"starts_per_second": rate} for rate in RATES)],
    ids=str,
)
def test_a_message_outlasts_the_slowest_batch_and_is_poison_only_after_five_receives(
    synthesise: Callable[..., Template], settings: dict[str, Any]
) -> None:
    template = synthesise(**settings)
    queue = template.properties("AWS::SQS::Queue", "IntakeQueue")
    dead_letters = template.properties("AWS::SQS::Queue", "IntakeDeadLetters")
    mapping = template.properties("AWS::Lambda::EventSourceMapping")
    timeout = template.function("starter")["Timeout"]
    starters = Starters.of_source(mapping)

    assert queue["VisibilityTimeout"] >= 6 * timeout
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert queue["MessageRetentionPeriod"] == 10 * DAY
    assert dead_letters["MessageRetentionPeriod"] == 14 * DAY
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    for quota, count in ((50, starters.fast), (5, starters.elsewhere)):
        rate = settings.get("starts_per_second") or paced(quota, settings.get("max_faces", 1))
        # All messages of all starters are removals, and take their turns one after the other.
        turns = count * mapping["BatchSize"] * turns_of_a_removal(rate)
        assert timeout >= 2 * turns / rate


@pytest.mark.parametrize(
    ("settings", "fastest", "elsewhere"),
    [
        ({}, 48, 4.8),
        ({"starts_per_second": 100}, 100, 100),
        ({"max_faces": 2}, 24, 2.4),
        ({"starts_per_second": 1000}, 1000, 1000),
    ],
)
def test_there_are_as_many_starters_as_the_regions_rate_needs_and_no_more(
    synthesise: Callable[..., Template],
    settings: dict[str, Any],
    fastest: float,
    elsewhere: float,
) -> None:
    mapping = synthesise(**settings).properties("AWS::Lambda::EventSourceMapping")

    found = Starters.of_source(mapping)
    for count, rate in ((found.fast, fastest), (found.elsewhere, elsewhere)):
        # 0.1 s for each start, and twice as many; 2 are the fewest that Lambda allows.
        assert max(2, rate / 10) <= count <= max(2, rate / 4)
    assert "MaximumBatchingWindowInSeconds" not in mapping  # a lone upload starts at once


def test_the_region_decides_over_the_number_of_starters(template: Template) -> None:
    source = template.properties("AWS::Lambda::EventSourceMapping")
    condition, fast, elsewhere = source["ScalingConfig"]["MaximumConcurrency"]["Fn::If"]

    assert (fast, elsewhere) == (10, 2)
    (told,) = template.document["Conditions"][condition].values()
    regions = {one["Fn::Equals"][1] for one in told}
    assert regions == REKOGNITION_QUOTA.keys()
    assert {one["Fn::Equals"][0]["Ref"] for one in told} == {"AWS::Region"}


@pytest.mark.parametrize(
    ("retain_data", "policy"), [(True, "RetainExceptOnCreate"), ("false", "Delete")]
)
def test_data_stays_when_the_stack_goes_if_that_is_set(
    synthesise: Callable[..., Template], retain_data: Any, policy: str
) -> None:
    template = synthesise(retain_data=retain_data)

    for kind in KEPT:
        for name, resource in template.of_type(kind).items():
            assert resource["DeletionPolicy"] == policy, name


def test_deploying_again_never_meets_the_name_of_something_that_was_kept(
    template: Template,
) -> None:
    assert all("BucketName" not in b["Properties"] for b in template.of_type(KEPT[0]).values())
    collection = template.properties("AWS::Rekognition::Collection")["CollectionId"]
    assert "AWS::StackId" in str(collection)


def test_executions_that_ended_badly_go_to_the_record_and_to_the_topic_but_rejections_do_not(
    template: Template,
) -> None:
    rule = template.properties("AWS::Events::Rule")
    detail = rule["EventPattern"]["detail"]

    assert detail["$or"] == [
        {"status": ["FAILED"], "error": [{"anything-but": ["ImageRejected"]}]},
        {"status": ["TIMED_OUT", "ABORTED"]},
    ]
    targets = [template.text(target["Arn"]) for target in rule["Targets"]]
    assert [t.split("7")[0] for t in targets] == ["<FailureFunction", "<TopicsFailures"]
    assert all("DeadLetterConfig" in target for target in rule["Targets"])


def test_a_failure_event_that_cannot_be_recorded_is_kept(template: Template) -> None:
    config = template.properties("AWS::Lambda::EventInvokeConfig")

    assert "FailuresUndelivered" in str(config["DestinationConfig"]["OnFailure"])
    assert "FailureFunction" in str(config["FunctionName"])


def test_a_threshold_is_deployed_with_every_digit(synthesise: Callable[..., Template]) -> None:
    template = synthesise(notify_threshold="99.99996", search_threshold="80.1234567")

    assert template.properties("AWS::SSM::Parameter")["Value"] == "99.99996"
    for module in ("search", "report"):
        variables = template.function(module)["Environment"]["Variables"]
        assert variables["SEARCH_THRESHOLD"] == "80.1234567"


def test_the_notify_threshold_refuses_a_fraction(template: Template) -> None:
    import re  # noqa: PLC0415

    parameter = template.properties("AWS::SSM::Parameter")

    allowed = re.compile(parameter["AllowedPattern"])
    assert parameter["Value"] == "99"
    assert [v for v in ("99", "99.95", "100", "80") if not allowed.match(v)] == []
    assert [v for v in ("0.99", "101", "", "99 %", "-99", "0") if allowed.match(v)] == []


@pytest.mark.parametrize(
    ("setting", "topic"),
    [("notification_email", "TopicsMatches"), ("alarm_email", "TopicsAlarms")],
)
def test_an_address_is_subscribed_to_its_topic(
    synthesise: Callable[..., Template], template: Template, setting: str, topic: str
) -> None:
    assert template.of_type("AWS::SNS::Subscription") == {}

    subscription = synthesise(**{setting: "ann@example.org"}).properties("AWS::SNS::Subscription")

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ann@example.org")
    assert topic in subscription["TopicArn"]["Ref"]


def test_only_the_chosen_relations_are_mailed_and_what_a_report_leaves_out_always(
    synthesise: Callable[..., Template],
) -> None:
    address = {"notification_email": "ann@example.org"}

    everything = synthesise(**address).properties("AWS::SNS::Subscription")
    chosen = synthesise(**address, notify_relations="UNRELATED,SAME_NAME").properties(
        "AWS::SNS::Subscription"
    )

    assert "FilterPolicy" not in everything
    assert chosen["FilterPolicy"] == {"relation": ["SAME_NAME", "UNRELATED", "LEFT_OUT"]}


def test_the_command_line_finds_what_it_needs_in_the_outputs(template: Template) -> None:
    assert set(template.document["Outputs"]) == {
        "ImagesBucket",
        "ImagePrefix",
        "Settings",
        "NamePattern",
        "MaxFaces",
        "StartsPerSecond",
        "OutputBucket",
        "StateMachineArn",
        "BackfillStateMachineArn",
        "RemovalStateMachineArn",
        "AnalyticsDatabase",
        "AnalyticsWorkgroup",
        "QueueUrl",
        "DeadLetterQueueUrl",
        "CollectionId",
        "MatchesTopicArn",
        "FailuresTopicArn",
        "AlarmTopicArn",
        "PaceTable",
        "NotifyThresholdParameter",
    }


def test_the_stack_records_the_settings_that_it_was_deployed_with(
    synthesise: Callable[..., Template],
) -> None:
    outputs = synthesise(encryption_key="own", image_prefix="").document["Outputs"]
    found = recorded_in({name: output["Value"] for name, output in outputs.items()})
    assert found == recorded(Settings.from_context({"encryption_key": "own", "image_prefix": ""}))
