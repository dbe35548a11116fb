"""What our Athena adds to the emulator's, and that SQL and the command line see the same pairs."""

from __future__ import annotations

import asyncio
import base64
import errno
import importlib
import json
import random
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from facematch.local.emulator.athena import Athena, Objects, athena_type, duckdb_type
from facematch.operations.matches import RecordPair
from functions.matching.decisions import Decided, Decision, Standing
from functions.matching.errors import Reason
from functions.matching.failures import FailureStatus
from functions.matching.identity import record_of_name
from functions.matching.reports import json_lines, report_key
from functions.matching.schema import TABLES
from tests.pairs_oracle import expected_pairs
from tests.pile import CONTENTS, Photograph, Pile, as_version_1
from workflow.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from functions.matching.images import UploadedImage


class StandInS3:
    """The part of the emulator's S3 that we use: an index, and bodies on disk."""

    def __init__(self, folder: Path) -> None:
        self.DATA_DIR = str(folder)
        self.folder = folder / self.get_account_id() / "pile"
        self._buckets: dict[str, dict[str, Any]] = {"pile": {"objects": {}}}
        self.off_disk: dict[str, bytes] = {}
        # Of the emulator's Disk.
        self.lock = threading.RLock()
        self.heard: list[Callable[[str, str], None]] = []

    @staticmethod
    def get_account_id() -> str:
        return "000000000000"

    def put(self, key: str, body: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self.objects[key] = {"etag": str(hash(body))}
        self._tell(key)

    def delete(self, key: str) -> None:
        del self.objects[key]
        (self.folder / key).unlink()
        self._tell(key)

    def _tell(self, key: str) -> None:
        for hear in self.heard:
            hear("pile", key)

    @property
    def objects(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = self._buckets["pile"]["objects"]
        return found

    def _get_object_data(self, _bucket: str, key: str) -> bytes | None:
        return self.off_disk.get(key)


class StandInGlue:
    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Any]] = {}
        for table in TABLES.values():
            self.add(table.name, table.readable, ["dt"] if table.by_day else [])

    def add(self, name: str, columns: dict[str, str], keys: list[str]) -> None:
        self._tables[f"db/{name}"] = {
            "Name": name,
            "StorageDescriptor": {
                "Columns": [{"Name": n, "Type": t} for n, t in columns.items()],
                "Location": f"s3://pile/{name}/",
                "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
            },
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
        }

    def add_view(self, name: str, sql: str, columns: dict[str, str]) -> None:
        document = {
            "originalSql": sql,
            "schema": "db",
            "columns": [{"name": n, "type": t} for n, t in columns.items()],
        }
        text = base64.b64encode(json.dumps(document).encode()).decode()
        self._tables[f"db/{name}"] = {
            "Name": name,
            "ViewOriginalText": f"/* Presto View: {text} */",
            "StorageDescriptor": {},
        }


@pytest.fixture
def s3(tmp_path: Path) -> StandInS3:
    return StandInS3(tmp_path)


@pytest.fixture
def glue() -> StandInGlue:
    return StandInGlue()


@pytest.fixture
def athena(glue: StandInGlue, s3: StandInS3) -> Athena:
    return Athena(None, glue, s3, s3)  # type: ignore[arg-type] # stands in for the disk, too


def ask(athena: Athena, sql: str) -> dict[str, Any]:
    return asyncio.run(athena.run(sql, "db"))


def fill(s3: StandInS3, made: Pile) -> None:
    for key, body in made.objects.items():
        s3.put(key, body)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("athena", ("_executions", "_workgroups", "_named_queries", "_data_catalogs")),
        ("athena", ("_prepared_statements", "_tags", "error_response_json")),
        ("glue", ("_tables",)),
        ("s3", ("DATA_DIR", "_buckets", "get_account_id")),
    ],
)
def test_what_is_used_of_the_emulator_beside_its_functions_is_there(
    module: str, names: tuple[str, ...]
) -> None:
    found = importlib.import_module(f"ministack.services.{module}")

    assert [name for name in names if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    ("hive", "duckdb"),
    [
        ("string", "VARCHAR"),
        ("array<string>", "VARCHAR[]"),
        ("struct<left:double,n:array<int>>", 'STRUCT("left" DOUBLE, "n" INTEGER[])'),
        (
            "array<struct<a:struct<b:boolean,c:bigint>,d:date>>",
            'STRUCT("a" STRUCT("b" BOOLEAN, "c" BIGINT), "d" DATE)[]',
        ),
    ],
)
def test_a_type_of_the_catalog_is_read_whole(hive: str, duckdb: str) -> None:
    assert duckdb_type(hive) == duckdb


@pytest.mark.parametrize("hive", ["text", "array<text>", "array<string", "map<string,int>", ""])
def test_a_type_that_is_not_known_is_refused(hive: str) -> None:
    with pytest.raises(ValueError, match="NOT_SUPPORTED"):
        duckdb_type(hive)


@pytest.mark.parametrize(
    ("duckdb", "athena"),
    [
        ("HUGEINT", "bigint"),
        ("VARCHAR[]", "array"),
        ("STRUCT(a INTEGER)[]", "array"),
        ("STRUCT(a VARCHAR[])", "row"),
        ("DECIMAL(2,1)", "decimal"),
    ],
)
def test_a_results_column_has_athenas_type(duckdb: str, athena: str) -> None:
    assert athena_type(duckdb) == athena


def test_a_column_that_is_null_or_missing_everywhere_has_the_type_of_the_catalog(
    athena: Athena, glue: StandInGlue, s3: StandInS3
) -> None:
    columns = {"a": "double", "b": "array<struct<c:int>>", "d": "boolean", "e": "string"}
    glue.add("odd", columns, ["dt"])
    s3.put("odd/dt=2026-11-22/1.json", b'{"a":null,"e":7,"unknown":1}\n')

    found = ask(athena, "SELECT * FROM odd")

    assert found["columns"] == ["a", "b", "d", "e", "dt"]
    assert found["column_types"] == ["double", "array", "boolean", "varchar", "varchar"]
    assert found["rows"] == [[None, None, None, "7", "2026-11-22"]]


def test_a_table_without_objects_has_its_columns(athena: Athena) -> None:
    found = ask(athena, "SELECT faces, dt FROM reports")

    assert (found["column_types"], found["rows"]) == (["array", "varchar"], [])


def test_objects_are_read_as_athena_reads_them(
    athena: Athena, glue: StandInGlue, s3: StandInS3
) -> None:
    """All of a partition's, with many lines or none; no hidden one, none outside a partition."""
    glue.add("odd", {"a": "string"}, ["dt"])
    s3.put("odd/dt=2026-11-22/1.json", b'{"a":"1"}\n{"a":"2"}\n')
    s3.put("odd/dt=2026-11-22/2.json", b'{"a":"3"}')
    s3.put("odd/dt=2026-11-22/3.json", b"")
    s3.put("odd/dt=2026-11-23/4.json", b'{"a":"\\u0000 \\" \xf0\x9f\x98\x80"}\n')
    s3.put("odd/dt=2026-11-23/_hidden.json", b'{"a":"hidden"}')
    s3.put("odd/5.json", b'{"a":"outside"}')
    s3.put("odd/x=2026-11-23/6.json", b'{"a":"elsewhere"}')
    s3.put("odder/dt=2026-11-23/7.json", b'{"a":"another"}')
    # A key that fits no path is kept elsewhere.
    s3.objects["odd/dt=2026-11-23/" + "x" * 300] = {"etag": "1"}
    s3.off_disk["odd/dt=2026-11-23/" + "x" * 300] = b'{"a":"off"}'

    found = ask(athena, "SELECT a, dt FROM odd ORDER BY dt, a")["rows"]

    assert found == [
        *(["1", "2026-11-22"], ["2", "2026-11-22"], ["3", "2026-11-22"]),
        *(['\x00 " 😀', "2026-11-23"], ["off", "2026-11-23"]),
    ]


def test_only_a_partition_that_has_changed_is_read_again(s3: StandInS3) -> None:
    objects = Objects(s3, s3)  # type: ignore[arg-type] # stands in for the disk, too
    s3.put("odd/dt=2026-11-22/1.json", b"1\n")
    s3.put("odd/dt=2026-11-23/2.json", b"2\n")
    first = objects.files("s3://pile/odd/", {"dt": ""})

    s3.put("odd/dt=2026-11-23/3.json", b"3\n")
    second = objects.files("s3://pile/odd/", {"dt": ""})
    del s3.objects["odd/dt=2026-11-22/1.json"]
    third = objects.files("s3://pile/odd/", {"dt": ""})

    assert [file.parent.name for file in first] == ["dt=2026-11-22", "dt=2026-11-23"]
    assert second[0] == first[0]
    assert second[1].read_text() == "2\n3\n"
    assert third == second[1:]
    assert not first[0].exists()
    assert not first[1].exists()


@pytest.mark.parametrize("change", ["put", "delete"])
def test_no_copy_is_left_of_an_object_that_is_replaced_or_deleted(
    athena: Athena, s3: StandInS3, glue: StandInGlue, change: str
) -> None:
    glue.add("odd", {"a": "string"}, ["dt"])
    glue.add("whole", {"a": "string"}, [])
    for key in ("odd/dt=2026-11-22/1.json", "odd/dt=2026-11-23/2.json", "whole/3.json"):
        s3.put(key, b'{"a":"Ann Lee"}\n')
    ask(athena, "SELECT * FROM odd, whole")
    assert len(copies(athena)) == 3

    if change == "put":
        s3.put("odd/dt=2026-11-22/1.json", b'{"a":"Bea Roe"}\n')
    else:
        s3.delete("odd/dt=2026-11-22/1.json")
    s3.delete("whole/3.json")

    assert copies(athena) == ["dt=2026-11-23"]
    ask(athena, "SELECT * FROM odd, whole")
    assert copies(athena) == ["dt=2026-11-22", "dt=2026-11-23"][change == "delete" :]


def test_a_copy_that_the_disk_does_not_take_leaves_nothing_of_it(
    athena: Athena, s3: StandInS3, glue: StandInGlue, monkeypatch: pytest.MonkeyPatch
) -> None:
    glue.add("odd", {"a": "string"}, ["dt"])
    s3.put("odd/dt=2026-11-22/1.json", b'{"a":"Ann Lee"}\n')
    s3.put("odd/dt=2026-11-22/2.json", b'{"a":"Bea Roe"}\n')
    ask(athena, "SELECT * FROM odd")
    s3.put("odd/dt=2026-11-22/3.json", b'{"a":"Cy Poe"}\n')
    bodies = Objects._bodies

    def full(self: Objects, bucket: str, keys: list[str]) -> Iterator[bytes]:
        yield next(bodies(self, bucket, keys))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Objects, "_bodies", full)
    with pytest.raises(OSError, match="No space left"):
        ask(athena, "SELECT * FROM odd")

    assert list(athena._objects.folder.rglob("*.json")) == []
    monkeypatch.setattr(Objects, "_bodies", bodies)
    assert len(ask(athena, "SELECT * FROM odd")["rows"]) == 3


def test_what_changes_while_a_query_reads_goes_when_it_has_ended(s3: StandInS3) -> None:
    objects = Objects(s3, s3)  # type: ignore[arg-type] # stands in for the disk, too
    s3.put("odd/dt=2026-11-22/1.json", b"1\n")

    with objects.reading():
        (file,) = objects.files("s3://pile/odd/", {"dt": ""})
        objects.changed("pile", "odd/dt=2026-11-22/1.json")
        assert file.read_text() == "1\n"  # DuckDB may be about to open it

    assert not file.exists()
    (again,) = objects.files("s3://pile/odd/", {"dt": ""})
    assert again.read_text() == "1\n"


def copies(athena: Athena) -> list[str]:
    """The folders of the partitions' files."""
    return sorted(file.parent.name for file in athena._objects.folder.rglob("*.json"))


def test_a_view_is_its_query_and_may_use_another(athena: Athena, glue: StandInGlue) -> None:
    glue.add_view("one", "SELECT count(*) AS n FROM reports", {"n": "bigint"})
    glue.add_view("two", "SELECT n + 1 AS n FROM one", {"n": "bigint"})

    assert ask(athena, 'SELECT n FROM "awsdatacatalog"."db"."two"')["rows"] == [["1"]]


@pytest.mark.parametrize("columns", [{"n": "varchar"}, {"m": "bigint"}, {}])
def test_a_view_whose_columns_are_not_the_declared_ones_is_stale(
    athena: Athena, glue: StandInGlue, columns: dict[str, str]
) -> None:
    glue.add_view("one", "SELECT count(*) AS n FROM reports", columns)

    with pytest.raises(ValueError, match="stale"):
        ask(athena, "SELECT * FROM one")


def test_numbers_and_nulls_are_trinos(athena: Athena) -> None:
    (row,) = ask(athena, "SELECT 7 / 2, ARRAY['a', NULL], DATE '2026-11-22', true, 1.5E0")["rows"]
    ordered = ask(athena, "SELECT x FROM (VALUES (1), (NULL), (2)) AS v (x) ORDER BY x DESC")

    assert row == ["3", "[a, null]", "2026-11-22", "true", "1.5"]
    assert ordered["rows"] == [["2"], ["1"], [None]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM athena",  # not even a variable of ours
        "COPY (SELECT 1) TO '/tmp/never'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "ATTACH '/tmp/never.db'",
    ],
)
def test_a_query_reaches_nothing_but_the_tables(athena: Athena, sql: str) -> None:
    with pytest.raises(Exception, match=r"disabled|SELECT only|does not exist"):
        ask(athena, sql)


@dataclass(frozen=True)
class RandomPile:
    """Photographs, and what the command line would know of them.

    Attributes
    ----------
    rows
        Match rows.
    current
        The newest version of each key, as the bucket lists it.
    faces
        Of that version, what the collection holds.
    """

    made: Pile
    rows: list[dict[str, Any]]
    current: dict[str, UploadedImage]
    faces: dict[str, str]
    decisions: dict[Any, Decision]


def random_pile(chance: random.Random) -> RandomPile:
    """Photographs of five names, overwritten, rejected, matched and decided about at random.

    A search finds the face of the version that was indexed last, however long the next one waits;
    and of two that look alike, the one that is searched later finds the other.
    """
    made = Pile()
    minutes = iter(chance.sample(range(200), 60))
    keys = [f"images/{name}_{number}.jpg" for name in "ABCDE" for number in (1, 2)]
    versions = [
        Photograph(key, minute, f"v{number}", etag=f"{crc32(f'{key}{number}'.encode()) % 2:032}")
        for key in keys
        for number, minute in enumerate(
            sorted(next(minutes) for _ in range(chance.choice((1, 1, 2, 3))))
        )
    ]
    newest = {version.key: version for version in versions}
    searched = {v: v.minute + chance.choice((1.5, 20.5, 100.5)) for v in versions}
    #: When a version was worked on: then the faces of older ones left. None: it was too late.
    worked_on: dict[Photograph, float] = {}
    has_face: set[Photograph] = set()
    for version in versions:
        newer = [v for v in versions if v.key == version.key and v.minute > version.minute]
        if any(v.minute <= searched[version] for v in newer):
            made.failed(version, FailureStatus.REJECTED, Reason.SUPERSEDED)
            continue
        worked_on[version] = searched[version] - chance.choice((0.25, 1.25))
        if chance.random() < 0.1:
            made.failed(version, FailureStatus.REJECTED, Reason.TOO_SMALL)
        else:
            has_face.add(version)

    def is_found(version: Photograph, at_minute: float) -> bool:
        return worked_on[version] <= at_minute and not any(
            other.key == version.key and other.minute > version.minute and when <= at_minute
            for other, when in worked_on.items()
        )

    alike = {
        frozenset((one, other)): chance.choice((80.0, 98.999, 99.0, 99.001, 99.99))
        for one in versions
        for other in versions
        if one.name != other.name and chance.random() < 0.2
    }
    for version in has_face:
        made.reported(
            version,
            *(
                (other, alike[pair])
                for other in sorted(has_face - {version}, key=lambda v: (v.key, v.minute))
                if (pair := frozenset((version, other))) in alike
                and is_found(other, searched[version])
            ),
            searched=searched[version],
        )
    for one, other in (("A", "B"), ("B", "C"), ("C", "D"), ("A", "D")):
        seen = [v for v in versions if v.name in {one, other}]
        made.decided(
            one,
            other,
            chance.choice(list(Decided)),
            similarity=chance.choice((98.999, 99.0, 99.99)),
            on=chance.sample(seen, max(1, len(seen) - chance.choice((0, 0, 1, 3)))),
        )
    lines = {
        kind: [
            json.loads(line)
            for key, body in made.objects.items()
            if key.startswith(f"{kind}/")
            for line in body.splitlines()
        ]
        for kind in ("matches", "decisions")
    }
    decisions = {
        decision.records: decision for decision in map(Decision.from_record, lines["decisions"])
    }
    return RandomPile(
        made,
        lines["matches"],
        {key: version.image for key, version in newest.items()},
        {key: version.face_id for key, version in newest.items() if version in has_face},
        decisions,
    )


def rows_that_count(pile: RandomPile) -> list[dict[str, Any]]:
    """Return the rows about two newest versions: the face that was found is still there."""
    return [
        row
        for row in pile.rows
        if pile.current[row["key"]].version_id == row["version_id"]
        and row["matched_face_id"] == pile.faces.get(row["matched_key"])
    ]


@pytest.mark.parametrize("seed", range(10))
def test_sql_finds_the_pairs_that_python_works_out(
    seed: int, athena: Athena, s3: StandInS3
) -> None:
    pile = random_pile(random.Random(seed))
    fill(s3, pile.made)

    expected = expected_pairs(rows_that_count(pile), pile.current, pile.decisions)
    found = typed(ask(athena, queries()["pairs"].sql))

    assert [RecordPair.from_row(row) for row in found] == [
        # UNDECIDED takes a decision back.
        replace(pair, decided_by=None, decided_at=None, note=None)
        if pair.standing is Standing.UNDECIDED
        else pair
        for pair in expected
    ]
    assert expected
    assert {pair.standing for pair in expected} - {"UNDECIDED"}
    assert {0} < {pair.same_files for pair in expected}


@pytest.mark.parametrize(("one", "other", "same"), CONTENTS)
def test_sql_knows_the_same_file_by_the_rule_of_the_command_line(
    athena: Athena, s3: StandInS3, one: tuple[str, int], other: tuple[str, int], *, same: bool
) -> None:
    ann, bea = (
        Photograph(f"images/{name}_1.jpg", etag=etag, size=size)
        for name, (etag, size) in (("Ann", one), ("Bea", other))
    )
    made = Pile()
    made.reported(ann, (bea, 99.99))
    made.reported(bea, (ann, 99.99))
    fill(s3, made)

    assert ann.image.is_same_file_as(bea.image) is same
    assert answer(athena, queries()["pairs"].sql, "image_pairs", "same_files") == [
        ["1", str(int(same))]
    ]
    photographs = (
        queries()["pair_photographs"].sql.replace("?", "'name:Ann'", 1).replace("?", "'name:Bea'")
    )
    assert answer(athena, photographs, "same_file") == [[str(same).lower()]]


@pytest.mark.parametrize("minimum", [80.0, 98.9995, 99.0, 99.99])
@pytest.mark.parametrize("seed", range(5))
def test_groups_are_what_the_pairs_of_the_command_line_at_that_minimum_connect(
    seed: int, minimum: float, athena: Athena, s3: StandInS3
) -> None:
    pile = random_pile(random.Random(seed))
    fill(s3, pile.made)
    strong = (
        {**row, "notify_threshold": minimum}
        for row in rows_that_count(pile)
        if row["similarity"] >= minimum
    )
    groups: dict[str, set[str]] = {}
    for pair in expected_pairs(strong, pile.current, pile.decisions):
        if pair.standing is not Standing.DIFFERENT_PEOPLE:
            joined = groups.get(pair.name_a, {pair.name_a}) | groups.get(pair.name_b, {pair.name_b})
            groups.update(dict.fromkeys(joined, joined))

    found = answer(athena, at_minimum(minimum), "name", "person", "records")

    assert sorted(found) == [
        [name, record_of_name(min(group)), str(len(group))]
        for name, group in sorted(groups.items())
    ]


#: Ann and Bea were told apart on Ann_1 and Bea_1; Bea_2 came later.
ANN_1, BEA_1, BEA_2 = (
    Photograph(f"images/{name}.jpg", minute)
    for minute, name in enumerate(("Ann_1", "Bea_1", "Bea_2"))
)


@pytest.mark.parametrize(
    ("similarity", "decided_at", "standing", "minimum", "one_person"),
    [
        (81.9, 99.62, "DIFFERENT_PEOPLE", 99, False),
        (81.9, 99.62, "DIFFERENT_PEOPLE", 82, False),
        (81.9, 99.62, "DIFFERENT_PEOPLE", 81.9, True),
        (98.99, 99.62, "DIFFERENT_PEOPLE", 99, False),
        (99.0, 99.62, "REOPENED", 99, True),
        (98.9, 90.0, "DIFFERENT_PEOPLE", 99, False),  # more than was seen, and yet too little
        (98.9, 90.0, "DIFFERENT_PEOPLE", 98, True),
    ],
)
def test_a_new_look_alike_opens_a_decision_again_only_when_it_is_strong_enough(
    athena: Athena,
    s3: StandInS3,
    *,
    similarity: float,
    decided_at: float,
    standing: str,
    minimum: float,
    one_person: bool,
) -> None:
    made = Pile()
    made.reported(ANN_1)
    made.reported(BEA_1, (ANN_1, decided_at))
    made.reported(BEA_2, (ANN_1, similarity), notify_threshold=99)
    made.decided("Ann", "Bea", Decided.DIFFERENT_PEOPLE, similarity=decided_at, on=[ANN_1, BEA_1])
    fill(s3, made)

    assert answer(athena, queries()["pairs"].sql, "standing") == [[standing]]
    assert bool(answer(athena, at_minimum(minimum), "name")) is one_person


@pytest.mark.parametrize(
    ("decided_at", "on", "why"),
    [
        (98.0, [ANN_1, BEA_1], "HIGHER_SIMILARITY"),
        (99.62, [ANN_1], "NEW_PHOTOGRAPH"),
        (98.0, [ANN_1], "HIGHER_SIMILARITY NEW_PHOTOGRAPH"),
        (99.62, [ANN_1, BEA_1], None),
    ],
)
def test_a_pair_that_is_open_again_says_why(
    athena: Athena, s3: StandInS3, decided_at: float, on: list[Photograph], why: str | None
) -> None:
    made = Pile()
    made.reported(ANN_1)
    made.reported(BEA_1, (ANN_1, 99.62))
    made.decided("Ann", "Bea", Decided.DIFFERENT_PEOPLE, similarity=decided_at, on=on)
    fill(s3, made)

    assert answer(athena, queries()["pairs"].sql, "why") == [[why]]


def test_of_two_versions_that_failed_only_the_newest_is_a_failed_image(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.failed(Photograph("images/Ann_1.jpg", 0, "v1"), FailureStatus.FAILED, "Unavailable")
    made.failed(Photograph("images/Ann_1.jpg", 9, "v2"), FailureStatus.REJECTED, Reason.TOO_SMALL)
    fill(s3, made)

    assert answer(athena, queries()["failed_images"].sql, "key", "reason") == [
        ["images/Ann_1.jpg", "TOO_SMALL"]
    ]


def changed(made: Pile, prefix: str, **values: Any) -> None:
    """Change fields of every record below a prefix; None takes a field away."""
    for key in [key for key in made.objects if key.startswith(prefix)]:
        lines = [json.loads(line) | values for line in made.objects[key].splitlines()]
        made.objects[key] = json_lines(
            [{k: v for k, v in line.items() if v is not None} for line in lines]
        )


@pytest.mark.parametrize(
    ("seen", "standing"),
    [
        ({"face_ids": ["of another face model"]}, "DIFFERENT_PEOPLE"),
        ({"face_ids": [], "versions": []}, "DIFFERENT_PEOPLE"),  # the keys of another stack
        ({"face_ids": [], "versions": ["another", "version"]}, "REOPENED"),
        ({"face_ids": [], "versions": [], "keys": ["images/other.jpg"]}, "REOPENED"),
        ({"versions": None, "keys": None}, "DIFFERENT_PEOPLE"),  # of an earlier version
    ],
)
def test_what_a_person_saw_are_photographs(
    athena: Athena, s3: StandInS3, seen: dict[str, Any], standing: str
) -> None:
    made = Pile()
    made.reported(ANN_1)
    made.reported(BEA_1, (ANN_1, 99.62))
    made.decided("Ann", "Bea", Decided.DIFFERENT_PEOPLE, similarity=99.62, on=[ANN_1, BEA_1])
    changed(made, "decisions/", **seen)
    fill(s3, made)

    assert answer(athena, queries()["pairs"].sql, "standing") == [[standing]]


def test_of_a_decision_of_before_and_one_of_today_the_newest_counts(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ANN_1)
    made.reported(BEA_1, (ANN_1, 99.62))
    made.decided("Ann", "Bea", Decided.DIFFERENT_PEOPLE, similarity=99.62, on=[ANN_1, BEA_1])
    changed(made, "decisions/", record_a=None, record_b=None)
    (before,) = [key for key in made.objects if key.startswith("decisions/")]
    made.objects["decisions/of-before.json"] = made.objects.pop(before)
    made.decided("Ann", "Bea", Decided.SAME_PERSON, similarity=99.62, on=[ANN_1, BEA_1])
    changed(made, before, decided_at="2026-11-23T12:00:00.000Z")
    fill(s3, made)
    assert answer(athena, queries()["pairs"].sql, "standing") == [["SAME_PERSON"]]

    changed(made, before, decided_at="2026-11-21T12:00:00.000Z")
    fill(s3, made)
    assert answer(athena, queries()["pairs"].sql, "standing") == [["DIFFERENT_PEOPLE"]]


def test_two_spellings_of_one_record_in_rows_of_before_are_no_pair(
    athena: Athena, s3: StandInS3
) -> None:
    one, other = (Photograph(f"images/{name}_1.jpg") for name in ("Ann Lee", "Ann_Lee"))
    made = Pile()
    made.reported(one, (other, 99.9))
    made.reported(other)
    changed(made, "matches/", record=None, matched_record=None)
    changed(made, "reports/", record=None)
    fill(s3, made)

    assert answer(athena, queries()["pairs"].sql, "standing") == []
    assert answer(athena, queries()["names"].sql, "record", "photographs") == [
        ["name:Ann Lee", "2"]
    ]


def test_the_threshold_is_that_of_the_search_that_found_the_face(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ANN_1)
    made.reported(BEA_1, (ANN_1, 99.62), notify_threshold=80)
    made.reported(BEA_2, (ANN_1, 98.0), notify_threshold=98)
    made.decided("Ann", "Bea", Decided.DIFFERENT_PEOPLE, similarity=99.62, on=[ANN_1, BEA_1])
    fill(s3, made)
    assert answer(athena, queries()["pairs"].sql, "standing") == [["REOPENED"]]

    made.reported(BEA_2, (ANN_1, 98.0), notify_threshold=98.01)
    fill(s3, made)
    assert answer(athena, queries()["pairs"].sql, "standing") == [["DIFFERENT_PEOPLE"]]


@pytest.mark.parametrize(("similarity", "above"), [(99.5, "true"), (98.0, "false")])
def test_reports_of_both_schema_versions_say_whether_they_are_above_the_threshold(
    athena: Athena, s3: StandInS3, similarity: float, above: str
) -> None:
    made = Pile()
    for photograph in (ANN_1, BEA_1):
        made.reported(photograph, (BEA_2, similarity), notify_threshold=99)
    key = report_key(ANN_1.image)
    made.objects[key] = json_lines([as_version_1(json.loads(made.objects[key]))])
    fill(s3, made)

    for photograph in (ANN_1, BEA_1):
        asked = queries()["history"].sql.replace("?", f"'{photograph.key}'")
        assert answer(athena, asked, "above_threshold") == [[above]]


def test_a_match_of_which_nobody_was_notified_is_among_the_failures_until_it_is_overwritten(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ANN_1, (BEA_1, 99.5))
    made.undelivered(ANN_1)
    made.reported(BEA_1, (ANN_1, 99.5))
    made.undelivered(BEA_1, None)
    made.failed(BEA_2, FailureStatus.FAILED, "Unavailable")
    fill(s3, made)

    columns = ("lacks", "status", "reason", "images")
    stopped = ["delivery", "ABORTED", "ABORTED", "1"]
    unavailable = ["outcome", "FAILED", "Unavailable", "1"]
    assert answer(athena, queries()["failures"].sql, *columns) == [
        stopped,
        ["delivery", "FAILED", "NotFoundException", "1"],
        unavailable,
    ]
    history = queries()["history"].sql.replace("?", f"'{ANN_1.key}'")
    assert answer(athena, history, "status", "delivery_failed") == [
        ["MATCHED", "NotFoundException"]
    ]

    made.reported(Photograph(ANN_1.key, 9, "v2"))
    fill(s3, made)

    assert answer(athena, queries()["failures"].sql, *columns) == [stopped, unavailable]


def test_a_delivery_failure_whose_report_has_left_says_nothing(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.undelivered(ANN_1)
    fill(s3, made)

    assert answer(athena, queries()["failures"].sql, "lacks") == []


def test_photographs_whose_reports_leave_names_out_are_listed(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ANN_1, (BEA_1, 99.5), names_left_out=6, best_left_out=99.25)
    made.reported(BEA_1, more_names_possible=True, best_left_out=98.0)
    made.reported(BEA_2, (ANN_1, 98.0), left_out=5)  # further faces of names that it lists
    former = Photograph("images/Cy_1.jpg")
    made.reported(former, (ANN_1, 98.0), left_out=5)
    key = report_key(former.image)
    made.objects[key] = json_lines([as_version_1(json.loads(made.objects[key]))])
    fill(s3, made)

    columns = ("key", "names_left_out", "more_names_possible", "best_left_out_similarity")
    listed = answer(athena, queries()["left_out"].sql, *columns)

    assert sorted(listed, key=str) == [
        [ANN_1.key, "6", "false", "99.25"],
        [BEA_1.key, "0", "true", "98.0"],
        [former.key, "0", "true", None],  # version 1 counted no names
    ]
    asked = queries()["history"].sql.replace("?", f"'{ANN_1.key}'")
    assert answer(athena, asked, "names_left_out", "more_names_possible") == [["6", "false"]]


def answer(athena: Athena, sql: str, *columns: str) -> list[list[str | None]]:
    """These columns of the result."""
    found = ask(athena, sql)
    places = [found["columns"].index(column) for column in columns]
    return [[row[place] for place in places] for row in found["rows"]]


def typed(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows with the values that their types say."""
    kinds: dict[str, Any] = {"bigint": int, "double": float, "boolean": "true".__eq__}
    return [
        {
            name: value if value is None else kinds.get(kind, str)(value)
            for name, kind, value in zip(found["columns"], found["column_types"], row, strict=True)
        }
        for row in found["rows"]
    ]


def at_minimum(minimum: float) -> str:
    """The groups, with the parameter in its place."""
    return queries()["groups"].sql.replace("?", f"{minimum:.4f}e0")


# --- Conflicts: one record, two faces ---


def found_conflicts(athena: Athena, s3: StandInS3, made: Pile) -> list[tuple[str, ...]]:
    """The conflicts in a pile: keys without their folder, the photograph and the best other one."""
    fill(s3, made)
    rows = conflict_rows(athena)
    return [
        tuple(row[column].removeprefix("images/") for column in ("key", "other_key"))
        for row in rows
    ]


def conflict_rows(athena: Athena) -> list[dict[str, Any]]:
    found = ask(athena, queries()["conflicts"].sql)
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


def ann(number: int, minute: float = 0, version: str = "v1") -> Photograph:
    return Photograph(f"images/Ann_{number}.jpg", minute, version)


def test_a_photograph_that_resembles_no_other_one_of_its_record_is_a_conflict(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ann(1))
    made.reported(ann(2, 5), similar={ann(1): 90.0})
    made.reported(ann(3, 10), similar={ann(1): 99.0, ann(2): 95.0})
    made.reported(ann(4, 15))
    made.reported(Photograph("images/Bob_1.jpg"))  # the only one of its record
    made.reported(Photograph("images/Bob_2.jpg"), faces=0)
    made.failed(Photograph("images/Bob_3.jpg"), FailureStatus.REJECTED, Reason.TOO_SMALL)
    fill(s3, made)

    assert conflict_rows(athena) == [
        {
            "record": "name:Ann",
            "name": "Ann",
            "key": "images/Ann_4.jpg",
            "other_key": "images/Ann_1.jpg",
            "photographs": "4",
            "uploaded_at": "2026-11-22T08:15:00.000Z",
            "report": report_key(ann(4, 15).image),
            "other_report": report_key(ann(1).image),
            "standing": "UNDECIDED",
            "decided_by": None,
            "decided_at": None,
        }
    ]


@pytest.mark.parametrize("found_by", [1, 2])
def test_a_resemblance_counts_whichever_search_found_it(
    athena: Athena, s3: StandInS3, found_by: int
) -> None:
    made = Pile()
    made.reported(ann(1), similar={ann(2): 90.0} if found_by == 1 else None, searched=9)
    made.reported(ann(2, 5), similar={ann(1): 90.0} if found_by == 2 else None)

    assert found_conflicts(athena, s3, made) == []


def test_of_two_photographs_that_do_not_resemble_each_other_both_are_listed(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ann(1))
    made.reported(ann(2, 5))

    both = [("Ann_1.jpg", "Ann_2.jpg"), ("Ann_2.jpg", "Ann_1.jpg")]
    assert found_conflicts(athena, s3, made) == both


def test_the_best_other_one_resembles_the_most_then_is_the_most_similar(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ann(1))
    made.reported(ann(2, 1))
    made.reported(ann(3, 2), similar={ann(2, 1): 91.0})
    made.reported(ann(4, 3))
    made.reported(ann(5, 4), similar={ann(4, 3): 99.0})
    assert found_conflicts(athena, s3, made) == [("Ann_1.jpg", "Ann_4.jpg")]

    made.reported(ann(6, 5), similar={ann(3, 2): 85.0})
    assert found_conflicts(athena, s3, made) == [("Ann_1.jpg", "Ann_3.jpg")]


def test_resemblance_to_a_version_that_was_overwritten_does_not_count(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ann(1))
    made.reported(ann(2, 5), similar={ann(1): 99.0})
    made.reported(ann(1, 10, "v2"))

    both = [("Ann_1.jpg", "Ann_2.jpg"), ("Ann_2.jpg", "Ann_1.jpg")]
    assert found_conflicts(athena, s3, made) == both


def test_the_face_of_an_older_version_that_a_search_found_does_not_count(
    athena: Athena, s3: StandInS3
) -> None:
    """The newer version was uploaded before the search, and was indexed after it."""
    made = Pile()
    made.reported(ann(1))
    made.reported(ann(1, 5, "v2"), searched=9)
    made.reported(ann(2, 6), similar={ann(1): 99.0}, searched=7)

    assert len(found_conflicts(athena, s3, made)) == 2


def test_a_photograph_whose_look_alikes_may_have_been_left_out_is_no_conflict(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ann(1), look_alikes_left_out=1)
    made.reported(ann(2, 5), more_names_possible=True, best_left_out=80.0)

    assert found_conflicts(athena, s3, made) == []


def test_a_photograph_that_an_earlier_version_searched_is_no_conflict(
    athena: Athena, s3: StandInS3
) -> None:
    made = Pile()
    made.reported(ann(1))
    former = as_version_1(json.loads(made.objects[report_key(ann(1).image)]))
    made.objects[report_key(ann(1).image)] = json_lines([former])
    made.reported(ann(2, 5))

    assert found_conflicts(athena, s3, made) == [("Ann_2.jpg", "Ann_1.jpg")]


def test_a_conflict_stands_as_it_was_decided(athena: Athena, s3: StandInS3) -> None:
    made = Pile()
    made.reported(ann(1))
    made.reported(ann(2, 5))
    decision = {
        "record_a": "name:Ann",
        "record_b": "photograph:images/Ann_2.jpg",
        "name_a": "Ann",
        "name_b": "images/Ann_2.jpg",
        "decision": "DIFFERENT_PEOPLE",
        "decided_by": "Rita",
        "decided_at": "2026-11-22T12:00:00.000Z",
        "similarity": 0.0,
        "face_ids": [],
        "imported_at": "2026-11-22T12:00:00.000Z",
    }
    made.objects["decisions/1.json"] = json_lines([decision])
    fill(s3, made)

    assert [(row["key"], row["standing"], row["decided_by"]) for row in conflict_rows(athena)] == [
        ("images/Ann_1.jpg", "UNDECIDED", None),
        ("images/Ann_2.jpg", "DIFFERENT_PEOPLE", "Rita"),
    ]


@pytest.mark.parametrize("seed", range(10))
def test_conflicts_are_those_of_the_simplest_rule(athena: Athena, s3: StandInS3, seed: int) -> None:
    chance = random.Random(seed)
    made = Pile()
    photographs = [
        Photograph(f"images/{name}_{n}.jpg", chance.randrange(100))
        for name in "ABCDE"
        for n in range(chance.randrange(1, 6))
    ]
    alike = {
        (one, other)
        for one in photographs
        for other in photographs
        if one is not other and one.name == other.name and chance.random() < 0.25
    }
    for photograph in photographs:
        made.reported(
            photograph,
            similar={other: 90.0 for one, other in alike if one is photograph},
            searched=200,
        )
    expected = [
        photograph.key
        for photograph in sorted(photographs, key=lambda each: each.key)
        if sum(other.name == photograph.name for other in photographs) > 1
        and not any(photograph in pair for pair in alike)
    ]
    fill(s3, made)

    assert [row["key"] for row in conflict_rows(athena)] == expected
