"""QuickSight: data sets out of the queries, an analysis and a dashboard, for people who manage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import aws_cdk as cdk
from aws_cdk.aws_quicksight import (
    CfnAnalysis,
    CfnDashboard,
    CfnDataSet,
    CfnDataSource,
    CfnRefreshSchedule,
)

from functions.matching.schema import TABLES
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from workflow.queries import Column, Query

Shape: TypeAlias = "dict[str, Any]"
"""A part of a request. A test checks each request against the model of QuickSight's API."""

#: The queries that the dashboard shows. Custom SQL takes no parameters, so none of them has any.
DATA_SETS: Final = ("pairs", "daily", "failures", "similarity")
#: QuickSight's type of a column by Athena's (QuickSight API Reference, InputColumn).
COLUMN_TYPES: Final = {
    "varchar": "STRING",
    "double": "DECIMAL",
    "bigint": "INTEGER",
    "boolean": "BOOLEAN",
    "date": "DATETIME",
}
#: UTC. The day before is complete then, in the records as in the partitions.
_REFRESHED_AT: Final = "02:00"

#: What an owner may do: the whole set that QuickSight's console grants an owner, as its
#: DescribeDataSetPermissions and the like tell afterwards. It may refuse other combinations
#: (github.com/hashicorp/terraform-provider-aws, issue 33907).
_OWNS_DATA_SOURCE: Final = (
    "quicksight:DescribeDataSource",
    "quicksight:DescribeDataSourcePermissions",
    "quicksight:PassDataSource",
    "quicksight:UpdateDataSource",
    "quicksight:DeleteDataSource",
    "quicksight:UpdateDataSourcePermissions",
)
_OWNS_DATA_SET: Final = (
    "quicksight:DescribeDataSet",
    "quicksight:DescribeDataSetPermissions",
    "quicksight:PassDataSet",
    "quicksight:UpdateDataSet",
    "quicksight:DeleteDataSet",
    "quicksight:UpdateDataSetPermissions",
    "quicksight:DescribeIngestion",
    "quicksight:ListIngestions",
    "quicksight:CreateIngestion",
    "quicksight:CancelIngestion",
    "quicksight:DescribeDataSetRefreshProperties",
    "quicksight:PutDataSetRefreshProperties",
    "quicksight:DeleteDataSetRefreshProperties",
    "quicksight:CreateRefreshSchedule",
    "quicksight:DescribeRefreshSchedule",
    "quicksight:ListRefreshSchedules",
    "quicksight:UpdateRefreshSchedule",
    "quicksight:DeleteRefreshSchedule",
)
_OWNS_ANALYSIS: Final = (
    "quicksight:DescribeAnalysis",
    "quicksight:DescribeAnalysisPermissions",
    "quicksight:QueryAnalysis",
    "quicksight:UpdateAnalysis",
    "quicksight:DeleteAnalysis",
    "quicksight:RestoreAnalysis",
    "quicksight:UpdateAnalysisPermissions",
)
_OWNS_DASHBOARD: Final = (
    "quicksight:DescribeDashboard",
    "quicksight:DescribeDashboardPermissions",
    "quicksight:ListDashboardVersions",
    "quicksight:QueryDashboard",
    "quicksight:UpdateDashboard",
    "quicksight:DeleteDashboard",
    "quicksight:UpdateDashboardPermissions",
    "quicksight:UpdateDashboardPublishedVersion",
)

#: Column, row, width and height of each visual, in cells of QuickSight's grid of 36 columns.
_LAYOUT: Final = {
    "images": (0, 0, 6, 5),
    "faces": (6, 0, 6, 5),
    "matches": (12, 0, 6, 5),
    "pairs": (18, 0, 6, 5),
    "rejected": (24, 0, 6, 5),
    "failed": (30, 0, 6, 5),
    "outcomes-by-day": (0, 5, 18, 12),
    "similarity-histogram": (18, 5, 18, 12),
    "top-pairs": (0, 17, 24, 14),
    "failures-by-reason": (24, 17, 12, 14),
}


class QuickSightStack(cdk.Stack):
    """Data source → data sets, refreshed daily → analysis and dashboard, from one definition.

    A stack of its own, because it needs what the account's owner sets up in QuickSight, and that
    needs the other stack's bucket: a refusal here takes nothing of the workflow back, and
    `cdk destroy` of this one leaves the workflow as it is.

    QuickSight reads with a role of its own, which the account's owner gives access to Athena and
    to the output bucket (docs/quicksight.md). Nothing here grants it anything.

    Parameters
    ----------
    name
        Of everything here, as people see it in QuickSight.
    database, workgroup
        Of Athena. Names that are known at synthesis, so that neither stack imports from the other.
    principal_arn
        Of the QuickSight user or group that becomes the owner of everything.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        database: str,
        workgroup: str,
        principal_arn: str,
    ) -> None:
        super().__init__(
            scope, construct_id, description="What the face matching found, as a dashboard"
        )
        self._name = name
        self._principal_arn = principal_arn
        self._data_source = self._athena(workgroup)
        self._data_sets = {
            name: self._data_set(queries()[name], database=database) for name in DATA_SETS
        }
        for data_set in self._data_sets.values():
            self._refresh_daily(data_set)
        definition = self._definition()
        self._analysis(definition)
        self._dashboard(definition)

    def _owner_may(self, actions: Sequence[str]) -> list[Shape]:
        return [{"principal": self._principal_arn, "actions": list(actions)}]

    def _athena(self, workgroup: str) -> CfnDataSource:
        return CfnDataSource(
            self,
            "Athena",
            aws_account_id=self.account,
            data_source_id=f"{self._name}-athena",
            name=self._name,
            type="ATHENA",
            data_source_parameters=CfnDataSource.DataSourceParametersProperty(
                athena_parameters=CfnDataSource.AthenaParametersProperty(work_group=workgroup)
            ),
            permissions=self._owner_may(_OWNS_DATA_SOURCE),
        )

    def _data_set(self, query: Query, *, database: str) -> CfnDataSet:
        table = CfnDataSet.CustomSqlProperty(
            data_source_arn=self._data_source.attr_arn,
            name=query.name,
            sql_query=custom_sql(query, database=database),
            columns=[_input_column(column) for column in query.columns],
        )
        return CfnDataSet(
            self,
            query.name.capitalize(),
            aws_account_id=self.account,
            data_set_id=f"{self._name}-{query.name}",
            name=f"{self._name} {query.name}",
            import_mode="SPICE",
            physical_table_map={query.name: CfnDataSet.PhysicalTableProperty(custom_sql=table)},
            # A first import that fails (no access to the bucket) fails the deployment, rather
            # than leaving a dashboard without data.
            ingestion_wait_policy=CfnDataSet.IngestionWaitPolicyProperty(
                wait_for_spice_ingestion=True, ingestion_wait_time_in_hours=1
            ),
            permissions=self._owner_may(_OWNS_DATA_SET),
        )

    def _refresh_daily(self, data_set: CfnDataSet) -> None:
        schedule = CfnRefreshSchedule(
            data_set,
            "Daily",
            aws_account_id=self.account,
            data_set_id=data_set.data_set_id,
            schedule=CfnRefreshSchedule.RefreshScheduleMapProperty(
                schedule_id="daily",
                refresh_type="FULL_REFRESH",
                schedule_frequency=CfnRefreshSchedule.ScheduleFrequencyProperty(
                    interval="DAILY", time_of_the_day=_REFRESHED_AT, time_zone="UTC"
                ),
            ),
        )
        # By hand: the data set's id is plain text here, which carries no dependency.
        schedule.add_resource_dependency(data_set)

    def _definition(self) -> dict[str, Any]:
        """What is shown: plain values, which an analysis and a dashboard take alike.

        Each of both has classes of its own for it, of the same shape.
        """
        return {
            "dataSetIdentifierDeclarations": [
                {"identifier": name, "dataSetArn": data_set.attr_arn}
                for name, data_set in self._data_sets.items()
            ],
            "sheets": [_overview()],
        }

    def _analysis(self, definition: dict[str, Any]) -> None:
        CfnAnalysis(
            self,
            "Analysis",
            aws_account_id=self.account,
            analysis_id=self._name,
            name=self._name,
            definition=definition,
            permissions=self._owner_may(_OWNS_ANALYSIS),
        )

    def _dashboard(self, definition: dict[str, Any]) -> None:
        """The dashboard; CloudFormation publishes the version that it makes."""
        CfnDashboard(
            self,
            "Dashboard",
            aws_account_id=self.account,
            dashboard_id=self._name,
            name=self._name,
            definition=definition,
            dashboard_publish_options=CfnDashboard.DashboardPublishOptionsProperty(
                # Names come from outside, and a cell that begins with '=' is a formula to a
                # spreadsheet; `facematch query --csv` guards against it.
                export_to_csv_option=CfnDashboard.ExportToCSVOptionProperty(
                    availability_status="DISABLED"
                ),
                # Switched on for one dashboard, it costs a fee for the whole account.
                data_qa_enabled_option=CfnDashboard.DataQAEnabledOptionProperty(
                    availability_status="DISABLED"
                ),
            ),
            permissions=self._owner_may(_OWNS_DASHBOARD),
        )


def custom_sql(query: Query, *, database: str) -> str:
    """The query, unchanged, with its declared columns and over tables that carry their database.

    A QuickSight data source has no database of its own, so that a bare ``FROM reports`` would find
    none. The tables are named before the query instead: in Trino, what a WITH names is known in the
    queries inside, and a table that none of them uses is not read.
    """
    tables = ",\n".join(
        f'{table} AS (SELECT * FROM "AwsDataCatalog"."{database}"."{table}")'  # noqa: S608 - ours
        for table in TABLES
    )
    columns = ", ".join(column.name for column in query.columns)
    return f"WITH {tables}\nSELECT {columns} FROM (\n{query.sql}\n)"


def _input_column(column: Column) -> CfnDataSet.InputColumnProperty:
    return CfnDataSet.InputColumnProperty(
        name=column.name,
        type=COLUMN_TYPES[column.type],
        # The other sub type, FIXED, keeps four decimal places.
        sub_type="FLOAT" if column.type == "double" else None,
    )


def _overview() -> Shape:
    """The one sheet."""
    return {
        "sheetId": "overview",
        "name": "Overview",
        "visuals": [
            _number("images", "Images with an outcome", _sum("images", "daily", "images")),
            _number("faces", "Faces seen", _sum("faces", "daily", "faces")),
            _number("matches", "Matches in reports", _sum("matches", "daily", "matches")),
            _number("pairs", "Pairs of records", _count("pairs", "pairs", "name_a")),
            _number("rejected", "Images rejected", _sum("rejected", "daily", "rejected")),
            _number("failed", "Images failed", _sum("failed", "daily", "failed")),
            _outcomes_by_day(),
            _similarity_histogram(),
            _top_pairs(),
            _failures_by_reason(),
        ],
        "layouts": [
            {
                "configuration": {
                    "gridLayout": {
                        "elements": [
                            {
                                "elementId": visual,
                                "elementType": "VISUAL",
                                "columnIndex": column,
                                "rowIndex": row,
                                "columnSpan": width,
                                "rowSpan": height,
                            }
                            for visual, (column, row, width, height) in _LAYOUT.items()
                        ]
                    }
                }
            }
        ],
    }


def _number(visual: str, title: str, value: Shape) -> Shape:
    """One large number."""
    return _visual("kpiVisual", visual, title, {"fieldWells": {"values": [value]}})


def _outcomes_by_day() -> Shape:
    """Images by the day of their upload, stacked by what became of them."""
    visual = "outcomes-by-day"
    day = {
        "fieldId": _field(visual, "day"),
        "column": _column("daily", "day"),
        "dateGranularity": "DAY",
    }
    outcomes = ("matched", "unique_images", "no_face", "rejected", "failed")
    chart = {
        "orientation": "VERTICAL",
        "barsArrangement": "STACKED",
        "fieldWells": _bars(
            {"dateDimensionField": day}, [_sum(visual, "daily", outcome) for outcome in outcomes]
        ),
        "sortConfiguration": _sorted_by(visual, "day", "ASC"),
    }
    return _visual("barChartVisual", visual, "Outcomes by day of upload (UTC)", chart)


def _similarity_histogram() -> Shape:
    """Pairs of photographs by their similarity, in the query's bins."""
    visual = "similarity-histogram"
    start = {
        "fieldId": _field(visual, "from_similarity"),
        "column": _column("similarity", "from_similarity"),
        "formatConfiguration": _decimals(2),
    }
    chart = {
        "orientation": "VERTICAL",
        "fieldWells": _bars(
            {"numericalDimensionField": start}, [_sum(visual, "similarity", "image_pairs")]
        ),
        "sortConfiguration": _sorted_by(visual, "from_similarity", "ASC"),
    }
    return _visual(
        "barChartVisual",
        visual,
        "Pairs of photographs by similarity",
        chart,
        "From, %. Bins are 1 % wide below 99, a tenth below 99.9, a hundredth above; empty ones "
        "are left out.",
    )


def _top_pairs() -> Shape:
    """Pairs of records, best first. Four decimals: two would round 99.996 up to 100.00."""
    visual = "top-pairs"
    labels = {
        "name_a": "Name",
        "name_b": "Other name",
        "similarity": "Similarity, %",
        "image_pairs": "Pairs of photographs",
        "photographs_a": "Photographs",
        "photographs_b": "Photographs of the other",
        "first_seen": "First seen (UTC)",
        "last_seen": "Last seen (UTC)",
        "standing": "Decision",
        "decided_by": "Decided by",
    }
    values: list[Shape] = [
        {"fieldId": _field(visual, name), "column": _column("pairs", name)} for name in labels
    ]
    values[list(labels).index("similarity")]["formatConfiguration"] = {
        "numberFormatConfiguration": _decimals(4)
    }
    chart = {
        "fieldWells": {"tableUnaggregatedFieldWells": {"values": values}},
        "fieldOptions": {
            "selectedFieldOptions": [
                {"fieldId": _field(visual, name), "customLabel": label}
                for name, label in labels.items()
            ]
        },
        "sortConfiguration": {"rowSort": [_sort(visual, "similarity", "DESC")]},
    }
    return _visual(
        "tableVisual",
        visual,
        "Pairs of records, best first",
        chart,
        "Candidates for a person's judgement. A similarity is not a proof.",
    )


def _failures_by_reason() -> Shape:
    """Images without a report by what went wrong, most first."""
    visual = "failures-by-reason"
    wells = _bars(
        _category(visual, "failures", "reason"),
        [_sum(visual, "failures", "images")],
        colors=[_category(visual, "failures", "status")],
    )
    chart = {
        "orientation": "HORIZONTAL",
        "barsArrangement": "STACKED",
        "fieldWells": wells,
        "sortConfiguration": _sorted_by(visual, "images", "DESC"),
    }
    return _visual("barChartVisual", visual, "Failures by reason", chart)


def _visual(kind: str, visual: str, title: str, chart: Shape, subtitle: str = "") -> Shape:
    shape: Shape = {"visualId": visual, "title": _shown(title), "chartConfiguration": chart}
    return {kind: shape | ({"subtitle": _shown(subtitle)} if subtitle else {})}


def _shown(text: str) -> Shape:
    return {"visibility": "VISIBLE", "formatText": {"plainText": text}}


def _field(visual: str, column: str) -> str:
    """Id of a visual's field: no column is in a visual twice."""
    return f"{visual}.{column}"


def _column(data_set: str, name: str) -> Shape:
    return {"dataSetIdentifier": data_set, "columnName": name}


def _sum(visual: str, data_set: str, column: str) -> Shape:
    return {
        "numericalMeasureField": {
            "fieldId": _field(visual, column),
            "column": _column(data_set, column),
            "aggregationFunction": {"simpleNumericalAggregation": "SUM"},
        }
    }


def _count(visual: str, data_set: str, column: str) -> Shape:
    return {
        "categoricalMeasureField": {
            "fieldId": _field(visual, column),
            "column": _column(data_set, column),
            "aggregationFunction": "COUNT",
        }
    }


def _category(visual: str, data_set: str, column: str) -> Shape:
    field = {"fieldId": _field(visual, column), "column": _column(data_set, column)}
    return {"categoricalDimensionField": field}


def _bars(category: Shape, values: list[Shape], **colors: list[Shape]) -> Shape:
    return {"barChartAggregatedFieldWells": {"category": [category], "values": values, **colors}}


def _sort(visual: str, column: str, direction: str) -> Shape:
    return {"fieldSort": {"fieldId": _field(visual, column), "direction": direction}}


def _sorted_by(visual: str, column: str, direction: str) -> Shape:
    return {"categorySort": [_sort(visual, column, direction)]}


def _decimals(places: int) -> Shape:
    decimals = {"decimalPlacesConfiguration": {"decimalPlaces": places}}
    return {"formatConfiguration": {"numberDisplayFormatConfiguration": decimals}}
