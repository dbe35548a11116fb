"""Athena for the emulator: parameters, typed tables and views, and no copy of what is not asked.

The emulator's own Athena runs a query on DuckDB too, but ignores ExecutionParameters, guesses the
types of JSON tables from what is in them, knows no views, and copies every object for every query.
Here a query sees the Glue catalog as on Athena:

- A table has the columns and types of the catalog, whatever its objects hold, and no day before
  the first of its partition projection.
- A view (a table of type VIRTUAL_VIEW) is the query in it, and is refused as stale when its columns
  are not the declared ones.
- Parameters are bound, never pasted. Each is a literal (Amazon Athena User Guide, Use
  parameterized queries).
- Objects of a partition are read once and kept together in one file for the next query, until
  one of them changes: DuckDB takes 0.1 ms to open a file, and there is one for each image. The
  file goes as soon as that happens, so that nothing of somebody who is forgotten stays in it.

Only SELECT, and only JSON tables. DuckDB may read nothing else of this machine.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import copy
import datetime as dt
import itertools
import json
import os
import re
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from facematch.local.emulator.private_names import functions, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from facematch.local.emulator.disk import Disk

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.athena",
        "Athena on our own catalog",
        {
            "_start_query_execution": ("data",),
            "_parse_ddl": ("query",),
            "_execute_query": ("query_id", "query", "database", "ddl", "catalog"),
            "_run_duckdb": ("query", "database", "catalog"),
            "_save_query_results": ("query_id",),
            "get_state": (),
        },
    ),
    *values("ministack.services.athena", "Athena on our own catalog", "_executions"),
    *values("ministack.services.glue", "the tables", "_tables"),
    *functions(
        "ministack.services.s3",
        "reads records and writes results",
        {
            "_get_object_data": ("bucket_name", "key", "version_id"),
            "_put_object": ("bucket_name", "key", "body", "headers"),
        },
    ),
    *values("ministack.services.s3", "reads records and writes results", "_buckets"),
)

_JSON_SERDE: Final = "org.openx.data.jsonserde.JsonSerDe"
_VIEW: Final = re.compile(r"/\* Presto View: (?P<text>[A-Za-z0-9+/=]+) \*/")

#: Trino's meaning where DuckDB has a choice; and no way out of the folder that is given to it.
_SETTINGS: Final = (
    "SET integer_division = true",
    "SET default_null_order = 'nulls_last'",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
)

_DUCKDB_TYPES: Final = {
    "string": "VARCHAR",
    "varchar": "VARCHAR",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
}
#: What Athena calls the type of a result's column. An aggregate of Trino's is a bigint where
#: DuckDB's is wider or has no sign.
_ATHENA_TYPES: Final = {
    "VARCHAR": "varchar",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",
    "UBIGINT": "bigint",
    "DOUBLE": "double",
    "FLOAT": "float",
    "DECIMAL": "decimal",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "STRUCT": "row",
    "MAP": "map",
}

#: Trino's functions on bytes, for the one purpose that they have here: the hexadecimal digits of a
#: text's SHA-256. DuckDB's `sha256` takes a text and returns small digits.
TRINO_FUNCTIONS: Final = ("to_utf8(text) AS text", "to_hex(digits) AS upper(digits)")

_PARAMETERS: contextvars.ContextVar[tuple[Any, ...]] = contextvars.ContextVar("parameters")


class Athena:
    """Replaces how MiniStack's Athena runs a query.

    Parameters
    ----------
    athena, glue, s3
        Its modules; `PRIVATE_NAMES` lists what is used of them.
    disk
        Of its S3.
    """

    def __init__(self, athena: Any, glue: Any, s3: Any, disk: Disk) -> None:  # noqa: ANN401 - modules
        self._athena = athena
        self._glue = glue
        self._objects = Objects(s3, disk)
        self._s3 = s3
        self._one_at_a_time = asyncio.Lock()

    def install(self) -> None:
        """Put it in, before anything is served."""
        self._start = self._athena._start_query_execution
        self._athena._start_query_execution = self.start
        self._athena._parse_ddl = self.no_ddl
        self._athena._run_duckdb = self.run
        self._athena._save_query_results = self.save_results
        self._athena.get_state = self.get_state

    def get_state(self) -> dict[str, Any]:
        """What is written at a snapshot: not the queries, whose results may be large."""
        kept = ("_workgroups", "_named_queries", "_data_catalogs", "_prepared_statements", "_tags")
        return copy.deepcopy({name: getattr(self._athena, name) for name in kept})

    @staticmethod
    def no_ddl(_query: str) -> None:
        """Take no statement for one that changes the catalog.

        The emulator would carry it out, and no deployment brings back a table that was dropped.
        So it comes to `run` like every other, which runs only SELECT.
        """

    def start(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 - the emulator's response
        """StartQueryExecution, with its parameters."""
        given = request.get("ExecutionParameters") or []
        try:
            values = tuple(literal(text) for text in given)
        except ValueError as error:
            return self._athena.error_response_json("InvalidRequestException", str(error), 400)
        token = _PARAMETERS.set(values)  # the task that runs the query inherits it
        try:
            status, headers, body = self._start(request)
        finally:
            _PARAMETERS.reset(token)
        if status < 300:  # noqa: PLR2004 - a success of HTTP
            execution = self._athena._executions[json.loads(body)["QueryExecutionId"]]
            name = f"{execution['QueryExecutionId']}.csv"
            location = execution["ResultConfiguration"]["OutputLocation"].removesuffix(name)
            execution["ResultConfiguration"]["OutputLocation"] = f"{location.rstrip('/')}/{name}"
            if given:
                execution["ExecutionParameters"] = given
        return status, headers, body

    async def run(self, query: str, database: str, _catalog: str | None = None) -> dict[str, Any]:
        """Run the query beside the server's loop, one at a time: they share the objects' files."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._run, query, database, _PARAMETERS.get(()))

    def _run(self, query: str, database: str, parameters: Sequence[Any]) -> dict[str, Any]:
        with self._objects.reading(), duckdb.connect(":memory:") as connection:
            for setting in _SETTINGS:
                connection.execute(setting)
            connection.execute("ATTACH ':memory:' AS awsdatacatalog")
            folder = _quoted(str(self._objects.folder))
            connection.execute(f"SET allowed_directories = [{folder}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            try:
                statements = connection.extract_statements(query)
            except duckdb.ParserException as error:
                raise ValueError(f"{error}\nHere Athena runs SELECT only") from None
            if len(statements) != 1:
                raise ValueError(f"Only one sql statement is allowed. Got: {len(statements)}")
            if statements[0].type is not duckdb.StatementType.SELECT:
                raise ValueError("NOT_SUPPORTED: here Athena runs SELECT only")
            catalog = Catalog(connection, dict(self._glue._tables.items()), self._objects)
            catalog.provide(query, database)
            expected = len(statements[0].named_parameters)
            if expected != len(parameters):
                raise ValueError(
                    f"Incorrect number of parameters: expected {expected} but found "
                    f"{len(parameters)}"
                )
            result = connection.execute(query, list(parameters))
            columns = result.description or []
            return {
                "columns": [column[0] for column in columns],
                "column_types": [athena_type(str(column[1])) for column in columns],
                "rows": [
                    [None if v is None else athena_text(v) for v in row]
                    for row in result.fetchall()
                ],
            }

    async def save_results(self, query_id: str) -> None:
        """Write the result where GetQueryExecution says it is; every value in quotes but null."""
        execution = self._athena._executions[query_id]
        results = execution["_results"]
        lines = (
            ",".join("" if value is None else _in_csv(value) for value in row) + "\n"
            for row in [results["columns"], *results["rows"]]
        )
        location = execution["ResultConfiguration"]["OutputLocation"]
        bucket, _, key = location.removeprefix("s3://").partition("/")
        body = "".join(lines).encode()
        headers = {"content-type": "text/csv", "content-length": str(len(body))}
        status, *_ = self._s3._put_object(bucket, key, body, headers)
        if status >= 300:  # noqa: PLR2004 - a success of HTTP
            raise ValueError(f"Unable to write the results to {location}")


class Catalog:
    """The tables and views of the Glue catalog that a query may name, made in DuckDB.

    Parameters
    ----------
    tables
        As Glue has them, by ``<database>/<table>``.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: Mapping[str, dict[str, Any]],
        objects: Objects,
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._objects = objects
        self._made: set[str] = set()

    def provide(self, query: str, database: str) -> None:
        """Make what the text may name, and make the database the current one."""
        self._use(database)
        for address, table in self._tables.items():
            of_database, _, name = address.partition("/")
            if (
                address not in self._made
                and _names(query, name)
                and (of_database == database or _names(query, of_database))
            ):
                self._made.add(address)
                self._make(table, of_database)
                self._use(database)

    def _use(self, database: str) -> None:
        schema = f"awsdatacatalog.{_identifier(database)}"
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        self._connection.execute(f"USE {schema}")
        for function in TRINO_FUNCTIONS:
            self._connection.execute(f"CREATE OR REPLACE MACRO {function}")

    def _make(self, table: dict[str, Any], database: str) -> None:
        view = _VIEW.fullmatch(table.get("ViewOriginalText") or "")
        name = f"awsdatacatalog.{_identifier(database)}.{_identifier(table['Name'])}"
        if view is None:
            self._connection.execute(f"CREATE VIEW {name} AS {self._rows(table)}")
            return
        document = json.loads(base64.b64decode(view["text"]))
        self.provide(document["originalSql"], document["schema"])
        self._use(document["schema"])
        self._connection.execute(f"CREATE VIEW {name} AS {document['originalSql']}")
        declared = [(column["name"], column["type"]) for column in document["columns"]]
        found = [
            (row[0], athena_type(row[1]))
            for row in self._connection.execute(f"DESCRIBE {name}").fetchall()
        ]
        if declared != found:
            raise ValueError(
                f"INVALID_VIEW: View '{database}.{table['Name']}' is stale or in invalid state: "
                f"it declares {declared}, and its query gives {found}"
            )

    def _rows(self, table: dict[str, Any]) -> str:
        storage = table["StorageDescriptor"]
        serde = (storage.get("SerdeInfo") or {}).get("SerializationLibrary")
        if serde != _JSON_SERDE:
            raise ValueError(f"NOT_SUPPORTED: here Athena reads JSON tables only, not {serde}")
        columns = {column["Name"]: duckdb_type(column["Type"]) for column in storage["Columns"]}
        keys = {key["Name"]: duckdb_type(key["Type"]) for key in table.get("PartitionKeys") or []}
        parameters = table.get("Parameters") or {}
        files = self._objects.files(
            storage["Location"],
            {key: parameters.get(f"projection.{key}.range", "").partition(",")[0] for key in keys},
        )
        if not files:
            nothing = (
                f"CAST(NULL AS {t}) AS {_identifier(n)}" for n, t in {**columns, **keys}.items()
            )
            return f"SELECT {', '.join(nothing)} WHERE false"
        partitions = f", hive_partitioning = true, hive_types = {_struct(keys)}" if keys else ""
        names = ", ".join(_identifier(name) for name in {**columns, **keys})
        paths = ", ".join(_quoted(str(file)) for file in files)
        return (
            f"SELECT {names} FROM read_json([{paths}], "  # noqa: S608 - each of them quoted
            f"format = 'newline_delimited', columns = {_struct(columns)}{partitions})"
        )


class Objects:
    """The objects of tables, those of a partition together in one file.

    Attributes
    ----------
    folder
        Where the files are. They are for one query at a time.
    """

    def __init__(self, s3: Any, disk: Disk) -> None:  # noqa: ANN401 - a module
        self._s3 = s3
        self._disk = disk
        self.folder = Path(tempfile.mkdtemp(prefix="athena-"))
        self._numbers = itertools.count()
        #: By the partition's place: what it was made of, and the file.
        self._files: dict[tuple[str, ...], tuple[list[tuple[str, str]], Path]] = {}
        #: The places that are made of the objects of a bucket's folder: one for each table there.
        self._places: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        self._lock = threading.Lock()
        self._being_read = False
        #: Bucket and folder of what has changed while a query read the files.
        self._changed: set[tuple[str, str]] = set()
        disk.heard.append(self.changed)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For one query: no file goes meanwhile, and then all that are out of date."""
        with self._lock:
            self._being_read = True
        try:
            yield
        finally:
            with self._lock:
                self._being_read = False
                self._drop(self._changed)
                self._changed.clear()

    def changed(self, bucket: str, key: str) -> None:
        """Keep no copy of an object that was written, replaced or deleted."""
        folder = (bucket, key.rpartition("/")[0])
        with self._lock:
            if self._being_read:
                self._changed.add(folder)
            else:
                self._drop([folder])

    def _drop(self, changed: Iterable[tuple[str, str]]) -> None:
        for folder in changed:
            for place in self._places.pop(folder, ()):
                if place in self._files:
                    self._files.pop(place)[1].unlink(missing_ok=True)

    def files(self, location: str, first: Mapping[str, str]) -> list[Path]:
        """One file of JSON Lines for each partition, in folders named ``<key>=<value>``.

        Parameters
        ----------
        first
            The lowest value of each key that a query sees; empty if it sees all.
        """
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        prefix = prefix.rstrip("/") + "/"
        partitions: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for key, etag in self._listed(bucket, prefix):
            *folders, name = key.removeprefix(prefix).split("/")
            values = [folder.partition("=")[::2] for folder in folders]
            in_partition = [key for key, _ in values] == list(first) and all(
                value >= first[key] for key, value in values
            )
            # Athena reads no file whose name begins so (Amazon Athena User Guide, Limitations).
            if in_partition and not name.startswith(("_", ".")) and name:
                partitions.setdefault(tuple(folders), []).append((key, etag))
        places = {(bucket, prefix, *folders): found for folders, found in partitions.items()}
        for place in [p for p in self._files if p[:2] == (bucket, prefix) and p not in places]:
            self._files.pop(place)[1].unlink()
        return [self._file(place, objects) for place, objects in sorted(places.items())]

    def _listed(self, bucket: str, prefix: str) -> list[tuple[str, str]]:
        found = self._s3._buckets.get(bucket)
        if found is None:
            raise ValueError(f"HIVE_METASTORE_ERROR: no such bucket: {bucket}")
        with self._disk.lock:  # so each is on the disk as it is listed, or newer
            objects = list(found["objects"].items())
        return [(key, record["etag"]) for key, record in objects if key.startswith(prefix)]

    def _file(self, place: tuple[str, ...], objects: list[tuple[str, str]]) -> Path:
        made_of, path = self._files.get(place, ([], Path()))
        if made_of == objects:
            return path
        if made_of:
            self._files.pop(place)[1].unlink()
        folder = self.folder.joinpath(str(next(self._numbers)), *place[2:])
        folder.mkdir(parents=True)
        path = folder / "rows.json"
        try:
            with path.open("wb") as file:
                for body in self._bodies(place[0], [key for key, _ in objects]):
                    file.write(body if body.endswith(b"\n") or not body else body + b"\n")
        except OSError:  # nobody would know the half of a file that a full disk leaves
            path.unlink(missing_ok=True)
            raise
        self._files[place] = (objects, path)
        of_folder = (place[0], objects[0][0].rpartition("/")[0])
        self._places.setdefault(of_folder, set()).add(place)
        return path

    def _bodies(self, bucket: str, keys: Iterable[str]) -> Iterator[bytes]:
        # Where the emulator keeps an object, unless its key fits no path: read in place, since the
        # emulator's own way takes ten times as long.
        root = os.path.realpath(Path(self._s3.DATA_DIR, self._s3.get_account_id(), bucket))
        for key in keys:
            try:
                with open(f"{root}/{key}", "rb") as file:  # noqa: PTH123 - a million of them
                    yield file.read()
            except OSError:
                yield self._s3._get_object_data(bucket, key) or b""  # or deleted meanwhile


_NUMBER: Final = re.compile(r"[+-]?(\d+(?P<fraction>\.\d*)?|\.\d+)(?P<exponent>[eE][+-]?\d+)?")
_STRING: Final = re.compile(r"'((?:[^']|'')*)'")
_WORDS: Final = {"true": True, "false": False, "null": None}


def literal(text: str) -> str | float | bool | dt.date | None:
    """The value of an execution parameter.

    Raises
    ------
    ValueError
        When it is no literal: a text stands in single quotes, each of its own doubled.
    """
    text = text.strip()
    if found := _STRING.fullmatch(text):
        return found[1].replace("''", "'")
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if found := re.fullmatch(rf"date\s*{_STRING.pattern}", text, re.IGNORECASE):
        return dt.date.fromisoformat(found[1])
    if found := _NUMBER.fullmatch(text):
        return float(text) if re.search(r"[.eE]", text) else int(text)
    raise ValueError(
        "INVALID_PARAMETER_USAGE: an execution parameter is not a literal; a text stands in single "
        "quotes"
    )


def duckdb_type(hive: str) -> str:
    """DuckDB's name of a type of the Glue catalog, as ``array<struct<a:int,b:string>>``.

    Raises
    ------
    ValueError
        When it has none here.
    """
    kind, _, inner = hive.partition("<")
    if not inner and kind in _DUCKDB_TYPES:
        return _DUCKDB_TYPES[kind]
    if kind == "array" and inner.endswith(">"):
        return f"{duckdb_type(inner[:-1])}[]"
    if kind == "struct" and inner.endswith(">"):
        fields = (field.partition(":") for field in _split(inner[:-1]))
        return f"STRUCT({', '.join(f'{_identifier(n)} {duckdb_type(t)}' for n, _, t in fields)})"
    raise ValueError(f"NOT_SUPPORTED: the type {hive!r}")


def _split(text: str) -> Iterator[str]:
    """The parts between the commas that are in no brackets."""
    depth = start = 0
    for position, character in enumerate(text):
        depth += (character == "<") - (character == ">")
        if character == "," and not depth:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def athena_type(duckdb_name: str) -> str:
    """What Athena calls a type of DuckDB's in the columns of a result."""
    if duckdb_name.endswith("[]"):
        return "array"
    return _ATHENA_TYPES.get(duckdb_name.partition("(")[0], "varchar")


def athena_text(value: Any) -> str:  # noqa: ANN401 - any value of DuckDB's
    """A value as Athena writes it in a result: ``[a, b]`` and ``{name=value}``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(athena_text(item) for item in value)}]"
        case dict():
            return f"{{{', '.join(f'{name}={athena_text(item)}' for name, item in value.items())}}}"
        case dt.datetime():
            return value.isoformat(sep=" ", timespec="milliseconds")
    return str(value)


def _in_csv(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _names(query: str, name: str) -> bool:
    """Whether the text has the word; too often rather than too seldom."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", query, re.IGNORECASE) is not None


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _struct(types: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_quoted(n)}: {_quoted(t)}" for n, t in types.items()) + "}"
