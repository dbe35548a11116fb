"""Athena: tables of the records' schema, views and named queries of the query files."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from functions.matching.places import Place
from functions.matching.schema import TABLES
from workflow.analytics import MOST_SCANNED_BYTES, database_name
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infrastructure.conftest import Template

OUTPUT = "<OutputAB65CDDE>"
WITHOUT_PARAMETERS = [query for query in queries().values() if not query.parameters]


def tables(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    found = template.of_type("AWS::Glue::Table").values()
    inputs = [table["Properties"]["TableInput"] for table in found]
    return {table["Name"]: table for table in inputs if table["TableType"] == kind}


def columns(table: dict[str, Any]) -> dict[str, str]:
    return {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}


def test_every_kind_of_record_is_a_table_with_its_columns_in_order(template: Template) -> None:
    found = tables(template, "EXTERNAL_TABLE")

    assert found.keys() == TABLES.keys()
    for name, table in found.items():
        assert list(columns(table).items()) == list(TABLES[name].readable.items())
        storage = table["StorageDescriptor"]
        assert template.text(storage["Location"]) == f"s3://{OUTPUT}/{name}/"
        serde = storage["SerdeInfo"]["SerializationLibrary"]
        assert serde == "org.openx.data.jsonserde.JsonSerDe"


def test_a_day_is_a_partition_that_nobody_has_to_add(template: Template) -> None:
    for name, table in tables(template, "EXTERNAL_TABLE").items():
        projection = {
            key: template.text(value)
            for key, value in table["Parameters"].items()
            if key.startswith(("projection.", "storage."))
        }
        if not TABLES[name].by_day:
            assert (projection, table["PartitionKeys"]) == ({}, [])
            continue
        assert table["PartitionKeys"] == [{"Name": "dt", "Type": "string"}]
        assert projection == {
            "projection.enabled": "true",
            "projection.dt.type": "date",
            "projection.dt.format": "yyyy-MM-dd",
            "projection.dt.range": "2026-01-01,NOW",
            "storage.location.template": f"s3://{OUTPUT}/{name}/dt=${{dt}}/",
        }


def test_days_begin_where_the_setting_says(synthesise: Callable[..., Template]) -> None:
    found = tables(synthesise(records_since="2019-07-01"), "EXTERNAL_TABLE")

    ranges = {name: table["Parameters"].get("projection.dt.range") for name, table in found.items()}
    assert ranges == {
        name: "2019-07-01,NOW" if table.by_day else None for name, table in TABLES.items()
    }


def test_a_query_without_parameters_is_a_view_as_athena_writes_one(template: Template) -> None:
    found = tables(template, "VIRTUAL_VIEW")

    assert found.keys() == {f"{query.name}_view" for query in WITHOUT_PARAMETERS}
    for query in WITHOUT_PARAMETERS:
        view = found[f"{query.name}_view"]
        text = re.fullmatch(r"/\* Presto View: (.+) \*/", view["ViewOriginalText"])
        assert text
        assert json.loads(base64.b64decode(text[1])) == {
            "originalSql": query.sql,
            "catalog": "awsdatacatalog",
            "schema": "facematching",
            "columns": [{"name": c.name, "type": c.type} for c in query.columns],
        }
        assert view["Parameters"]["presto_view"] == "true"
        hive = {"varchar": "string"}
        assert columns(view) == {c.name: hive.get(c.type, c.type) for c in query.columns}


def test_no_view_is_in_the_way_of_a_table(template: Template) -> None:
    names = [
        table["Properties"]["TableInput"]["Name"]
        for table in template.of_type("AWS::Glue::Table").values()
    ]
    assert len(names) == len(set(names))


def test_every_query_is_published_as_a_named_query(template: Template) -> None:
    found = [q["Properties"] for q in template.of_type("AWS::Athena::NamedQuery").values()]

    assert {q["Name"]: (q["QueryString"], q["Description"]) for q in found} == {
        query.name: (query.sql, query.meaning) for query in queries().values()
    }
    (database,) = template.of_type("AWS::Glue::Database")
    (workgroup,) = template.of_type("AWS::Athena::WorkGroup")
    assert all(q["Database"] == {"Ref": database} for q in found)
    assert all(q["WorkGroup"] == {"Ref": workgroup} for q in found)


def test_the_workgroup_encrypts_limits_and_cannot_be_overruled(template: Template) -> None:
    found = template.properties("AWS::Athena::WorkGroup")

    settings = found["WorkGroupConfiguration"]
    assert found["Name"] == "FaceMatching"
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["PublishCloudWatchMetricsEnabled"] is True
    assert settings["BytesScannedCutoffPerQuery"] == MOST_SCANNED_BYTES == 10_737_418_240
    assert settings["EngineVersion"]["SelectedEngineVersion"] == "Athena engine version 3"
    results = settings["ResultConfiguration"]
    assert results["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    assert template.text(results["OutputLocation"]) == f"s3://{OUTPUT}/athena-results/"


def test_results_are_deleted_after_a_month_and_records_are_not(template: Template) -> None:
    rules = template.properties("AWS::S3::Bucket", "Output")["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}

    assert expiring[Place.QUERY_RESULTS] == 30
    assert not [prefix for prefix in expiring if prefix.rstrip("/") in {"", *TABLES}]


def test_records_are_deleted_with_what_they_are_about(
    synthesise: Callable[..., Template],
) -> None:
    template = synthesise(
        image_expiration_days=10, report_expiration_days=20, failure_expiration_days=30
    )
    rules = template.properties("AWS::S3::Bucket", "Output")["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}

    kept = {prefix.rstrip("/"): days for prefix, days in expiring.items()}
    assert {table: kept.get(table) for table in TABLES} == {
        **dict.fromkeys(("reports", "matches", "look_alikes", "delivery_failures"), 20),
        "failures": 30,
        "decisions": None,
    }


def test_the_command_line_finds_database_and_workgroup(template: Template) -> None:
    outputs = template.document["Outputs"]

    (database,) = template.of_type("AWS::Glue::Database")
    (workgroup,) = template.of_type("AWS::Athena::WorkGroup")
    assert outputs["AnalyticsDatabase"]["Value"] == {"Ref": database}
    assert outputs["AnalyticsWorkgroup"]["Value"] == {"Ref": workgroup}


def test_two_stacks_do_not_share_a_database(synthesise: Callable[..., Template]) -> None:
    other = synthesise(stack_name="Face-Matching-2")

    (database,) = other.of_type("AWS::Glue::Database").values()
    assert database["Properties"]["DatabaseInput"]["Name"] == "face_matching_2"
    view = next(iter(tables(other, "VIRTUAL_VIEW").values()))
    text = view["ViewOriginalText"].split(" ")[3]
    assert json.loads(base64.b64decode(text))["schema"] == "face_matching_2"


@pytest.mark.parametrize(
    ("stack", "database"), [("FaceMatching", "facematching"), ("a-B-1", "a_b_1")]
)
def test_a_databases_name_is_lower_case_without_hyphens(stack: str, database: str) -> None:
    assert database_name(stack) == database
