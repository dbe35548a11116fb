"""Analytics: the records as tables and views in Athena, and the questions as named queries."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from constructs import Construct

from functions.matching.places import Place
from functions.matching.schema import TABLES
from workflow.queries import queries

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3

    from functions.matching.schema import Table
    from workflow.queries import Query

#: Where in the output bucket Athena writes results, and for how long they stay.
RESULTS_KEPT: Final = cdk.Duration.days(30)
#: A query that would read more is stopped. At 5 USD for a terabyte, as far as we know, that is
#: 0.05 USD; an image has some 2 kB of records, and a query reads them at most twice: so it is room
#: for about two and a half million images.
MOST_SCANNED_BYTES: Final = 10 * 1024**3

_JSON_SERDE: Final = "org.openx.data.jsonserde.JsonSerDe"
_TEXT_INPUT: Final = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT: Final = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
#: Hive's names of the types of the queries' columns, where they differ from Athena's.
_HIVE_TYPES: Final = {"varchar": "string"}


class Analytics(Construct):
    """A Glue database, its tables and views, a workgroup of Athena, and its named queries.

    Tables come from `functions.matching.schema`. Those that have days use partition projection, so
    that nothing has to add partitions; a day is a string (Amazon Athena User Guide, Partition
    projection, Supported types).

    Every query without parameters is a view, too. A view is a Glue table of type VIRTUAL_VIEW whose
    text is base64 of the JSON that Athena's own CREATE VIEW writes: undocumented, but stable for
    years and used in public (github.com/iconara/terraform-aws-athena-view; stackoverflow.com,
    question 56289272). Names and types of its columns stand there twice, in Athena's types and in
    Hive's, and both must be those that the query gives.

    Parameters
    ----------
    records_since
        First day of the projection. A query without a condition on `dt` asks S3 for each day from
        then on, and sees no record of an earlier day.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stack_name: str,
        output: s3.Bucket,
        key: kms.IKey | None,
        records_since: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._output = output
        self._records_since = records_since
        self._key = key
        self.database_name = database_name(stack_name)
        self.workgroup_name = stack_name

        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self.database_name,
                description="What the workflow found in photographs: reports, matches, failures",
            ),
        )
        self.workgroup = self._workgroup()
        for table in TABLES.values():
            self._table(table)
        for query in queries().values():
            self._named_query(query)
            if not query.parameters:
                self._view(query)
        output.add_lifecycle_rule(
            id="AthenaResults", prefix=Place.QUERY_RESULTS, expiration=RESULTS_KEPT
        )

    def _workgroup(self) -> athena.CfnWorkGroup:
        encrypted = athena.CfnWorkGroup.EncryptionConfigurationProperty(
            encryption_option="SSE_KMS" if self._key else "SSE_S3",
            kms_key=self._key.key_arn if self._key else None,
        )
        return athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=self.workgroup_name,
            description="Questions about matches; results stay for a month",
            recursive_delete_option=True,  # its history goes with the stack; results are in S3
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                bytes_scanned_cutoff_per_query=MOST_SCANNED_BYTES,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=self._output.s3_url_for_object(Place.QUERY_RESULTS),
                    encryption_configuration=encrypted,
                ),
            ),
        )

    def _table(self, table: Table) -> None:
        location = self._output.s3_url_for_object(f"{table.name}/")
        parameters = {"classification": "json"}
        if table.by_day:
            parameters |= {
                "projection.enabled": "true",
                "projection.dt.type": "date",
                "projection.dt.format": "yyyy-MM-dd",
                "projection.dt.range": f"{self._records_since},NOW",
                "storage.location.template": f"{location}dt=${{dt}}/",
            }
        glue.CfnTable(
            self,
            f"{_camel(table.name)}Table",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self.database.ref,
            table_input=glue.CfnTable.TableInputProperty(
                name=table.name,
                description="docs/records.md describes every column",
                table_type="EXTERNAL_TABLE",
                parameters={"EXTERNAL": "TRUE", **parameters},
                partition_keys=[_column("dt", "string")] if table.by_day else [],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=location,
                    columns=[_column(name, kind) for name, kind in table.readable.items()],
                    input_format=_TEXT_INPUT,
                    output_format=_TEXT_OUTPUT,
                    serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library=_JSON_SERDE),
                ),
            ),
        )

    def _view(self, query: Query) -> None:
        document = {
            "originalSql": query.sql,
            "catalog": "awsdatacatalog",
            "schema": self.database_name,
            "columns": [{"name": column.name, "type": column.type} for column in query.columns],
        }
        text = base64.b64encode(json.dumps(document).encode()).decode()
        glue.CfnTable(
            self,
            f"{_camel(query.name)}View",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self.database.ref,
            table_input=glue.CfnTable.TableInputProperty(
                name=view_name(query),
                description=query.meaning,
                table_type="VIRTUAL_VIEW",
                parameters={"presto_view": "true", "comment": "Presto View"},
                partition_keys=[],
                view_original_text=f"/* Presto View: {text} */",
                view_expanded_text="/* Presto View */",
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[
                        _column(column.name, _HIVE_TYPES.get(column.type, column.type))
                        for column in query.columns
                    ],
                    serde_info=glue.CfnTable.SerdeInfoProperty(),
                ),
            ),
        )

    def _named_query(self, query: Query) -> None:
        athena.CfnNamedQuery(
            self,
            f"{_camel(query.name)}Query",
            name=query.name,
            description=query.meaning,
            database=self.database.ref,
            work_group=self.workgroup.ref,
            query_string=query.sql,
        )


def database_name(stack_name: str) -> str:
    """Of the Glue database: lower case, without the hyphens of a stack's name."""
    return re.sub(r"[^a-z0-9]", "_", stack_name.lower())


def view_name(query: Query) -> str:
    """Of the query's view: it cannot be the query's own, which for failures is a table's."""
    return f"{query.name}_view"


def _column(name: str, kind: str) -> glue.CfnTable.ColumnProperty:
    return glue.CfnTable.ColumnProperty(name=name, type=kind)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
