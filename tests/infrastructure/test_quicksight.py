"""QuickSight cannot run here: what is synthesised is held against AWS's own description of it."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import botocore.session
import duckdb
import pytest
from botocore.model import ListShape, MapShape, StructureShape
from botocore.validate import ParamValidator
from sqlglot import exp

import app as cdk_app
from functions.matching.schema import TABLES
from tests.infrastructure.conftest import Template
from tests.infrastructure.test_synthesis import context, findings, run_app
from workflow.queries import queries
from workflow.synthesis import synthesised_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from botocore.model import Shape

MANAGERS = "arn:aws:quicksight:us-east-1:111122223333:group/default/managers"
ACCOUNT = "111122223333"
MODEL = botocore.session.get_session().get_service_model("quicksight")

#: What CloudFormation calls with a resource's properties, and the kind in the resource's ARN.
OPERATIONS = {
    "AWS::QuickSight::DataSource": ("CreateDataSource", "datasource", "DataSourceId"),
    "AWS::QuickSight::DataSet": ("CreateDataSet", "dataset", "DataSetId"),
    "AWS::QuickSight::RefreshSchedule": ("CreateRefreshSchedule", "", ""),
    "AWS::QuickSight::Analysis": ("CreateAnalysis", "analysis", "AnalysisId"),
    "AWS::QuickSight::Dashboard": ("CreateDashboard", "dashboard", "DashboardId"),
}
#: For CloudFormation itself: whether it waits for the first import.
NOT_IN_THE_REQUEST = {"IngestionWaitPolicy"}
#: The name in CloudFormation, where the request has another.
RENAMED = {"TimeZone": "Timezone"}
#: QuickSight's type by Athena's. Without the sub type a decimal keeps four places.
QUICKSIGHT_TYPES = {
    "varchar": {"Type": "STRING"},
    "double": {"Type": "DECIMAL", "SubType": "FLOAT"},
    "bigint": {"Type": "INTEGER"},
    "boolean": {"Type": "BOOLEAN"},
    "date": {"Type": "DATETIME"},
}
#: Actions that guard something other than an operation of the same name.
NOT_AN_OPERATION = {"PassDataSource", "PassDataSet", "QueryAnalysis", "QueryDashboard"}


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly with the setting."""
    folder: Path = tmp_path_factory.mktemp("quicksight")
    given = {**context(), "quicksight_principal_arn": MANAGERS}
    done = run_app(folder, CDK_CONTEXT_JSON=json.dumps(given))
    assert (done.returncode, done.stderr) == (0, "")  # nor is anything deprecated
    return folder


@pytest.fixture(scope="module")
def quicksight(assembly: Path) -> Template:
    return Template(json.loads((assembly / "FaceMatching-QuickSight.template.json").read_text()))


@pytest.fixture(scope="module")
def definition(quicksight: Template) -> dict[str, Any]:
    found: dict[str, Any] = requested(quicksight, "AWS::QuickSight::Dashboard")["Definition"]
    return found


@pytest.fixture(scope="module")
def columns(quicksight: Template) -> dict[str, dict[str, str]]:
    """Type by column of each data set."""
    return {
        name: {column["Name"]: column["Type"] for column in table(quicksight, name)["Columns"]}
        for name in (d["DataSetId"].removeprefix("FaceMatching-") for d in data_sets(quicksight))
    }


def data_sets(template: Template) -> list[dict[str, Any]]:
    return [r["Properties"] for r in template.of_type("AWS::QuickSight::DataSet").values()]


def table(template: Template, name: str) -> dict[str, Any]:
    """The custom SQL of a data set, with its columns."""
    (found,) = [d for d in data_sets(template) if d["DataSetId"] == f"FaceMatching-{name}"]
    (physical,) = found["PhysicalTableMap"].values()
    custom: dict[str, Any] = physical["CustomSql"]
    return custom


def requested(template: Template, kind: str, part: str = "") -> dict[str, Any]:
    """The request that CloudFormation makes of the one resource of a kind."""
    found: dict[str, Any] = in_the_api(template, template.properties(kind, part))
    return found


def in_the_api(template: Template, value: Any) -> Any:
    """A value of the template as the API gets it; an intrinsic that is not known here fails."""
    if isinstance(value, list):
        return [in_the_api(template, item) for item in value]
    if not isinstance(value, dict):
        return value
    if value == {"Ref": "AWS::AccountId"}:
        return ACCOUNT
    if "Fn::GetAtt" in value:
        name, attribute = value["Fn::GetAtt"]
        assert attribute == "Arn"
        resource = template.resources[name]
        _, kind, id_property = OPERATIONS[resource["Type"]]
        identity = resource["Properties"][id_property]
        return f"arn:aws:quicksight:us-east-1:{ACCOUNT}:{kind}/{identity}"
    assert not any(key == "Ref" or key.startswith("Fn::") for key in value), value
    return {
        RENAMED.get(key, key): in_the_api(template, inner)
        for key, inner in value.items()
        if key not in NOT_IN_THE_REQUEST
    }


def problems(request: dict[str, Any], operation: str) -> list[str]:
    """What AWS's description of the operation says against a request."""
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape).generate_report()
    return [*report.splitlines(), *_constraints(request, shape, operation)]


def _constraints(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """What botocore leaves to the service: enums, patterns, largest sizes, one of a union."""
    size = len(value) if isinstance(value, str | list | dict) else value
    if shape.metadata.get("max", size) < size:
        yield f"{where}: {size} is more than {shape.metadata['max']}"
    if isinstance(value, str):
        if value not in shape.metadata.get("enum", [value]):
            yield f"{where}: {value!r} is none of {shape.metadata['enum']}"
        if not re.fullmatch(shape.metadata.get("pattern", "(?s:.*)"), value):
            yield f"{where}: {value!r} is not {shape.metadata['pattern']}"
    if "only one of the attributes" in shape.documentation and size != 1:
        yield f"{where}: {sorted(value)}, but only one may be given"
    for name, inner, inner_shape in _parts(value, shape):
        yield from _constraints(inner, inner_shape, f"{where}.{name}")


def _parts(value: Any, shape: Shape) -> Iterator[tuple[str, Any, Shape]]:
    """Name, value and shape of what a list, map or structure holds."""
    if isinstance(shape, ListShape):
        yield from ((str(index), item, shape.member) for index, item in enumerate(value))
    elif isinstance(shape, MapShape):
        yield from ((f"{key} (key)", key, shape.key) for key in value)
        yield from ((key, item, shape.value) for key, item in value.items())
    elif isinstance(shape, StructureShape):
        yield from (
            (key, item, shape.members[key]) for key, item in value.items() if key in shape.members
        )


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from walk(inner)


def unknown_columns(
    definition: dict[str, Any], columns: dict[str, dict[str, str]]
) -> list[tuple[str, str]]:
    """Columns that the definition uses and that their data set does not have."""
    used = [
        (found["DataSetIdentifier"], found["ColumnName"])
        for found in walk(definition)
        if "ColumnName" in found
    ]
    assert used
    return [(data_set, name) for data_set, name in used if name not in columns.get(data_set, {})]


def visuals(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The visuals of the one sheet, by id."""
    (sheet,) = definition["Sheets"]
    found = [next(iter(visual.values())) for visual in sheet["Visuals"]]
    by_id = {visual["VisualId"]: visual for visual in found}
    assert len(by_id) == len(found), "an id stands twice"
    return by_id


# What is made, and when


def test_without_the_setting_there_is_nothing_of_quicksight(template: Template) -> None:
    # The fixture has found one template in the assembly: there is no second stack.
    assert "QuickSight" not in json.dumps(template.document)


def test_the_setting_changes_nothing_in_the_workflow_but_the_record_of_it(
    template: Template, assembly: Path
) -> None:
    with_it = json.loads((assembly / "FaceMatching.template.json").read_text())
    without = json.loads(json.dumps(template.document))
    records = [json.loads(each["Outputs"].pop("Settings")["Value"]) for each in (with_it, without)]

    assert with_it == without
    assert records[0] == {**records[1], "quicksight_principal_arn": MANAGERS}


def test_whoever_asks_for_the_one_template_gets_it_without_quicksight() -> None:
    template = synthesised_template([f"quicksight_principal_arn={MANAGERS}"])

    types = {resource["Type"] for resource in template["Resources"].values()}
    assert "AWS::StepFunctions::StateMachine" in types
    assert not any(kind.startswith("AWS::QuickSight") for kind in types)


def test_cdk_nag_finds_nothing_in_either_stack(tmp_path: Path) -> None:
    given = {**context(), "quicksight_principal_arn": MANAGERS}

    assert findings(tmp_path, cdk_app.app(context=given, outdir=str(tmp_path))) == []


# What AWS says to it


@pytest.mark.parametrize("kind", OPERATIONS)
def test_each_request_is_one_that_the_api_takes(quicksight: Template, kind: str) -> None:
    found = quicksight.of_type(kind)

    assert found
    for resource in found.values():
        request = in_the_api(quicksight, resource["Properties"])
        assert problems(request, OPERATIONS[kind][0]) == []


def test_nothing_else_is_made(quicksight: Template) -> None:
    made = {resource["Type"] for resource in quicksight.resources.values()}

    assert made - {"AWS::CDK::Metadata"} == set(OPERATIONS)


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets what a path such as ``Definition.Sheets.0.Name`` leads to."""

    def change(request: dict[str, Any]) -> None:
        *way, last = path.split(".")
        inner: Any = request
        for step in way:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]
        inner[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("Definition.Sheets.0.Visuals.0.KPIVisual", {}), "VisualId"),
        (_set("Definition.Sheets.0.Visuals.0.Colour", {}), "Unknown parameter"),
        (_set("Definition.Sheets.0.Visuals.0.TableVisual", {"VisualId": "v"}), "only one"),
        (_set("Definition.Sheets.0.SheetId", "over view!"), "is not"),
        (_set("Definition.Sheets.0.ContentType", "LOOSE"), "is none of"),
        (_set("DashboardId", "d" * 513), "more than 512"),
        (_set("AwsAccountId", "1"), "Invalid length"),
        (_set("Name", 7), "Invalid type"),
    ],
)
def test_a_request_that_the_api_refuses_is_found(
    quicksight: Template, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    request = requested(quicksight, "AWS::QuickSight::Dashboard")
    change(request)

    assert any(said in problem for problem in problems(request, "CreateDashboard"))


def test_the_owner_gets_actions_that_there_are(quicksight: Template) -> None:
    for resource in quicksight.resources.values():
        for permission in resource["Properties"].get("Permissions", []):
            assert permission["Principal"] == MANAGERS
            names = [action.removeprefix("quicksight:") for action in permission["Actions"]]
            assert set(names) - NOT_AN_OPERATION <= set(MODEL.operation_names)
            assert len(set(names)) == len(names)


def test_everything_that_can_be_owned_has_the_owner(quicksight: Template) -> None:
    ownerless = [
        resource["Type"]
        for resource in quicksight.resources.values()
        if "Permissions" not in resource["Properties"]
    ]

    assert set(ownerless) <= {"AWS::QuickSight::RefreshSchedule", "AWS::CDK::Metadata"}


# The data


def test_the_columns_of_a_data_set_are_those_of_its_query(quicksight: Template) -> None:
    for data_set in data_sets(quicksight):
        name = data_set["DataSetId"].removeprefix("FaceMatching-")
        declared = [
            {"Name": column.name, **QUICKSIGHT_TYPES[column.type]}
            for column in queries()[name].columns
        ]
        assert table(quicksight, name)["Columns"] == declared


def test_only_queries_without_parameters_are_imported(quicksight: Template) -> None:
    for data_set in data_sets(quicksight):
        name = data_set["DataSetId"].removeprefix("FaceMatching-")
        assert queries()[name].parameters == ()
        sql = table(quicksight, name)["SqlQuery"]
        assert queries()[name].sql in sql
        assert not sql.rstrip().endswith(";")
        assert "<<$" not in sql  # a parameter of QuickSight's own


@pytest.fixture
def catalog(quicksight: Template) -> duckdb.DuckDBPyConnection:
    """Empty tables in the database that the data sets name, which is nobody's default."""
    sql = table(quicksight, "pairs")["SqlQuery"]
    (database,) = set(re.findall(r'"AwsDataCatalog"\."([^"]+)"\.', sql))
    connection = duckdb.connect()
    connection.execute("ATTACH ':memory:' AS \"AwsDataCatalog\"")
    connection.execute(f'CREATE SCHEMA "AwsDataCatalog"."{database}"')
    for name, made in TABLES.items():
        kinds = {**made.readable, **({"dt": "string"} if made.by_day else {})}
        columns = ", ".join(
            f'"{column}" {exp.DataType.build(kind, dialect="hive").sql("duckdb")}'
            for column, kind in kinds.items()
        )
        connection.execute(f'CREATE TABLE "AwsDataCatalog"."{database}"."{name}" ({columns})')
    return connection


def test_the_sql_finds_its_tables_and_gives_the_declared_columns(
    quicksight: Template, catalog: duckdb.DuckDBPyConnection
) -> None:
    for data_set in data_sets(quicksight):
        name = data_set["DataSetId"].removeprefix("FaceMatching-")
        # As QuickSight does: it selects from the custom SQL.
        described = catalog.sql(f"SELECT * FROM ({table(quicksight, name)['SqlQuery']}) AS t")
        given = dict(zip(described.columns, map(str, described.types), strict=True))
        assert given == {c.name: c.type.upper() for c in queries()[name].columns}


def test_database_and_workgroup_are_those_of_the_workflow(
    quicksight: Template, template: Template
) -> None:
    source = quicksight.properties("AWS::QuickSight::DataSource")["DataSourceParameters"]
    database = template.properties("AWS::Glue::Database")["DatabaseInput"]["Name"]
    workgroup = template.properties("AWS::Athena::WorkGroup")["Name"]

    assert source == {"AthenaParameters": {"WorkGroup": workgroup}}
    for data_set in data_sets(quicksight):
        sql = table(quicksight, data_set["DataSetId"].removeprefix("FaceMatching-"))["SqlQuery"]
        assert set(re.findall(r'"AwsDataCatalog"\."([^"]+)"\.', sql)) == {database}


def test_the_sql_needs_no_default_database(catalog: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.CatalogException):
        catalog.sql(queries()["daily"].sql)


def test_each_data_set_is_imported_and_refreshed_every_day(quicksight: Template) -> None:
    schedules = quicksight.of_type("AWS::QuickSight::RefreshSchedule").values()
    daily = [
        schedule["Properties"]["DataSetId"]
        for schedule in schedules
        if schedule["Properties"]["Schedule"]["ScheduleFrequency"]["Interval"] == "DAILY"
    ]

    assert sorted(daily) == sorted(data_set["DataSetId"] for data_set in data_sets(quicksight))
    assert {data_set["ImportMode"] for data_set in data_sets(quicksight)} == {"SPICE"}


def test_a_schedule_is_made_after_its_data_set(quicksight: Template) -> None:
    for schedule in quicksight.of_type("AWS::QuickSight::RefreshSchedule").values():
        (first,) = schedule["DependsOn"]
        made = quicksight.resources[first]["Properties"]["DataSetId"]
        assert made == schedule["Properties"]["DataSetId"]


# What is shown


def test_analysis_and_dashboard_show_the_same(quicksight: Template) -> None:
    analysis = quicksight.properties("AWS::QuickSight::Analysis")
    dashboard = quicksight.properties("AWS::QuickSight::Dashboard")

    assert analysis["Definition"] == dashboard["Definition"]


def test_every_data_set_is_declared_and_shown(
    definition: dict[str, Any], quicksight: Template
) -> None:
    declarations = definition["DataSetIdentifierDeclarations"]
    declared = {d["Identifier"]: d["DataSetArn"] for d in declarations}
    used = {found["DataSetIdentifier"] for found in walk(definition) if "ColumnName" in found}

    assert len(declared) == len(declarations)
    assert set(declared) == used
    ids = {data_set["DataSetId"] for data_set in data_sets(quicksight)}
    assert {arn.split("dataset/")[1] for arn in declared.values()} == ids
    assert all(arn.endswith(f"-{name}") for name, arn in declared.items())


def test_every_column_that_is_shown_is_in_its_data_set(
    definition: dict[str, Any], columns: dict[str, dict[str, str]]
) -> None:
    assert unknown_columns(definition, columns) == []


def test_a_column_that_is_not_there_would_be_found(
    definition: dict[str, Any], columns: dict[str, dict[str, str]]
) -> None:
    changed = copy.deepcopy(definition)
    next(found for found in walk(changed) if "ColumnName" in found)["ColumnName"] = "imagse"

    assert [name for _, name in unknown_columns(changed, columns)] == ["imagse"]


def test_a_field_is_of_the_kind_of_its_column(
    definition: dict[str, Any], columns: dict[str, dict[str, str]]
) -> None:
    kinds = {
        "NumericalMeasureField": {"INTEGER", "DECIMAL"},
        "NumericalDimensionField": {"INTEGER", "DECIMAL"},
        "CategoricalMeasureField": {"STRING"},
        "CategoricalDimensionField": {"STRING"},
        "DateDimensionField": {"DATETIME"},
    }
    for found in walk(definition):
        for kind, fitting in kinds.items():
            if kind in found:
                column = found[kind]["Column"]
                assert columns[column["DataSetIdentifier"]][column["ColumnName"]] in fitting


def test_fields_have_ids_of_their_own_and_sorts_and_labels_know_them(
    definition: dict[str, Any],
) -> None:
    every: list[str] = []
    for visual in visuals(definition).values():
        fields = [found["FieldId"] for found in walk(visual) if "Column" in found]
        referred = {
            found["FieldId"]
            for found in walk(visual)
            if "FieldId" in found and "Column" not in found
        }
        assert fields
        assert referred <= set(fields)
        every += fields
    assert len(set(every)) == len(every)


def test_the_layout_holds_each_visual_once_without_overlap(definition: dict[str, Any]) -> None:
    (sheet,) = definition["Sheets"]
    (layout,) = sheet["Layouts"]
    elements = layout["Configuration"]["GridLayout"]["Elements"]
    cells = [
        (element["ColumnIndex"] + x, element["RowIndex"] + y)
        for element in elements
        for x in range(element["ColumnSpan"])
        for y in range(element["RowSpan"])
    ]

    assert sorted(e["ElementId"] for e in elements) == sorted(visuals(definition))
    assert {e["ElementType"] for e in elements} == {"VISUAL"}
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 36  # the columns of QuickSight's grid


def test_the_numbers_the_plots_and_the_table_are_there(definition: dict[str, Any]) -> None:
    (sheet,) = definition["Sheets"]
    kinds = [next(iter(visual)) for visual in sheet["Visuals"]]

    assert sorted(kinds) == sorted(["KPIVisual"] * 6 + ["BarChartVisual"] * 3 + ["TableVisual"])
    shown = {
        name: {found["ColumnName"] for found in walk(visual) if "ColumnName" in found}
        for name, visual in visuals(definition).items()
    }
    assert shown["outcomes-by-day"] == {
        "day",
        *("matched", "unique_images", "no_face", "rejected", "failed"),
    }
    assert shown["similarity-histogram"] == {"from_similarity", "image_pairs"}
    assert {"name_a", "name_b", "similarity", "standing"} <= shown["top-pairs"]
    assert shown["failures-by-reason"] == {"reason", "status", "images"}


def test_outcomes_are_stacked_and_the_best_pair_comes_first(definition: dict[str, Any]) -> None:
    by_id = visuals(definition)
    outcomes = by_id["outcomes-by-day"]["ChartConfiguration"]
    (first,) = by_id["top-pairs"]["ChartConfiguration"]["SortConfiguration"]["RowSort"]

    assert outcomes["BarsArrangement"] == "STACKED"
    assert first["FieldSort"] == {"FieldId": "top-pairs.similarity", "Direction": "DESC"}


def test_names_from_outside_leave_the_dashboard_in_no_spreadsheet(quicksight: Template) -> None:
    options = quicksight.properties("AWS::QuickSight::Dashboard")["DashboardPublishOptions"]

    assert options["ExportToCSVOption"] == {"AvailabilityStatus": "DISABLED"}
