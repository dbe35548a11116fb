"""Stands for AWS's services over seeded records: answers at once, and counts every request.

A listing is computed a page at a time. Athena's answers are computed, too. No SQL runs, so that its
time and its price are not in the figures.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from facematch.stack.deployment import Deployment, Outputs
from functions.matching.images import timestamp
from functions.matching.keys import external_image_id
from functions.matching.places import Place
from functions.matching.reports import json_lines
from tests.benchmarks.seeded import DAYS, MATCHING, NAMES_FROM, Kind, Version
from workflow.outputs import Output
from workflow.queries import command_queries, queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.benchmarks.seeded import Digests, Seeded
    from workflow.queries import Query

_PAGE: Final = 1000
#: Objects in the folder of query results, which anybody's name may be in.
_RESULTS: Final = 100
#: Match rows of other photographs about the one that is shown.
_FOUND_BY: Final = 50
_REMOVAL: Final = MATCHING.replace("Matching", "Removal")
_OUTPUTS: Final = {
    Output.IMAGE_PREFIX: "images/",
    Output.NAME_PATTERN: NAMES_FROM,
    Output.MAX_FACES: "1",
    Output.STARTS_PER_SECOND: "auto",
    Output.OUTPUT_BUCKET: "the-output",
    Output.STATE_MACHINE: MATCHING,
    Output.REMOVAL_STATE_MACHINE: _REMOVAL,
    Output.ANALYTICS_DATABASE: "records",
    Output.ANALYTICS_WORKGROUP: "records",
    Output.NOTIFY_THRESHOLD: "threshold",
    Output.COLLECTION: "faces",
    Output.QUEUE: "https://sqs.invalid/queue",
    Output.DEAD_LETTER_QUEUE: "https://sqs.invalid/dead-letters",
    Output.MATCHES_TOPIC: "matches",
    Output.FAILURES_TOPIC: "failures",
    Output.ALARM_TOPIC: "alarms",
}
Row = tuple[Any, ...]
Columns = dict[str, str]


class Requests:
    """How many requests there were of each operation, and the processor time of answering them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0

    def add(self, operation: str, seconds: float) -> None:
        """Count one."""
        with self._lock:
            self.counts[operation] += 1
            self.seconds += seconds


class ExecutionDoesNotExist(Exception):  # noqa: N818 - Step Functions' own name
    """There is no such execution."""


class _Exceptions:
    ExecutionDoesNotExist = ExecutionDoesNotExist


class _Paginator:
    def __init__(self, pages: Callable[..., Iterator[Any]]) -> None:
        self.paginate = pages


class Service:
    """A client: its operations are the methods `_do_*` and `_pages_*` of a subclass."""

    exceptions = _Exceptions

    def __init__(self, name: str, seeded: Seeded, digests: Digests, requests: Requests) -> None:
        self._name = name
        self._seeded = seeded
        self._digests = digests
        self._requests = requests
        self._one_at_a_time = threading.Lock()

    def __getattr__(self, operation: str) -> Any:
        if operation.startswith("_"):
            raise AttributeError(operation)
        answer = getattr(self, f"_do_{operation}")

        def counted(**asked: Any) -> Any:
            started = time.thread_time()
            try:
                with self._one_at_a_time:
                    return answer(**asked)
            finally:
                self._count(operation, started)

        return counted

    def get_paginator(self, operation: str) -> _Paginator:
        """Count each page, when it is asked for."""
        answers = getattr(self, f"_pages_{operation}")

        def pages(**asked: Any) -> Iterator[Any]:
            found = iter(answers(**asked))
            while True:
                started = time.thread_time()
                page = next(found, None)
                if page is None:
                    return
                self._count(operation, started)
                yield page

        return _Paginator(pages)

    def _count(self, operation: str, started: float) -> None:
        self._requests.add(f"{self._name}:{operation}", time.thread_time() - started)


def _pages(entries: Iterable[Any], size: int = _PAGE) -> Iterator[list[Any]]:
    """Cut entries into pages; without any entry there is one empty page."""
    left = iter(entries)
    page = list(islice(left, size))
    while True:
        yield page
        if not (page := list(islice(left, size))):
            return


class S3(Service):
    """Both buckets."""

    def _pages_list_object_versions(self, *, Prefix: str, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 - S3's name
        for page in _pages(self._entries(Prefix)):
            yield {
                "Versions": [entry for entry in page if "ETag" in entry],
                "DeleteMarkers": [entry for entry in page if "ETag" not in entry],
            }

    def _do_list_object_versions(self, *, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        entry = next(self._entries(Prefix), None)
        return (
            {} if entry is None else {"Versions" if "ETag" in entry else "DeleteMarkers": [entry]}
        )

    def _entries(self, prefix: str) -> Iterator[dict[str, Any]]:
        seeded = self._seeded
        slots = range(seeded.slots)
        if prefix.endswith(".jpg"):  # the whole key: do not look through all others
            slots = range(seeded.slot_of(prefix), seeded.slot_of(prefix) + 1)
        for slot in slots:
            if not seeded.key(slot).startswith(prefix):
                continue
            deleted = seeded.is_deleted(slot)
            if deleted:
                yield {
                    "Key": seeded.key(slot),
                    "VersionId": f"{slot:032x}-d",
                    "IsLatest": True,
                    "LastModified": seeded.uploaded(Version(slot)),
                }
            for version in seeded.versions_of(slot):
                image = seeded.image(version)
                yield {
                    "Key": image.key,
                    "VersionId": image.version_id,
                    "IsLatest": not version.older and not deleted,
                    "LastModified": image.last_modified,
                    "ETag": f'"{image.etag}"',
                    "Size": image.size,
                    "StorageClass": "STANDARD",
                }

    def _pages_list_objects_v2(
        self,
        *,
        Prefix: str,  # noqa: N803
        StartAfter: str = "",  # noqa: N803
        **_: Any,
    ) -> Iterator[dict[str, Any]]:
        keys = (key for key in self._keys(Prefix) if key.startswith(Prefix) and key > StartAfter)
        for page in _pages(keys):
            when = self._seeded.uploaded(Version(0))
            yield {
                "Contents": [
                    {"Key": key, "ETag": '"etag"', "Size": 1, "LastModified": when} for key in page
                ]
            }

    def _keys(self, prefix: str) -> Iterator[str]:
        seeded, place = self._seeded, Place(f"{prefix.partition('/')[0]}/")
        if place == Place.REGISTERS:
            return map(seeded.register_key, seeded.registered())
        if place == Place.DECISIONS:
            return (f"{place}{pair:032x}.json" for pair in seeded.decisions())
        if place == Place.QUERY_RESULTS:
            return (f"{place}{number}.csv" for number in range(_RESULTS))
        versions: dict[Place, Callable[[], Iterator[Version]]] = {
            Place.REPORTS: seeded.reported,
            Place.MATCHES: lambda: map(seeded.matched, range(2 * seeded.pairs)),
            Place.FAILURES: seeded.failures,
            Place.DELIVERY_FAILURES: seeded.undelivered,
        }
        found = versions.get(place, lambda: iter(()))()
        return (seeded.record_key(place, version) for version in found)

    def _do_get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        lines = self._lines(Key)
        if not lines:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "gone"}}, "GetObject")
        body = json_lines(lines)
        return {"Body": io.BytesIO(body), "ETag": '"etag"', "ContentLength": len(body)}

    def _do_head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if not self._lines(Key):
            raise ClientError({"Error": {"Code": "404", "Message": "gone"}}, "HeadObject")
        return {}

    def _lines(self, key: str) -> list[dict[str, Any]]:
        place, stem = Place(f"{key.partition('/')[0]}/"), key.rpartition("/")[2].partition(".")[0]
        if place == Place.DECISIONS:
            return [self._seeded.decision(int(stem, 16))]
        if place == Place.REGISTERS:
            slot = self._digests.register(stem)
            return [] if slot is None else [self._seeded.register(slot).to_record()]
        version = self._digests.version(stem)
        return [] if version is None else self._seeded.record(place, version)


class StepFunctions(Service):
    """Executions of the versions; those of removals are forgotten."""

    def _pages_list_executions(
        self,
        *,
        stateMachineArn: str,  # noqa: N803
        statusFilter: str,  # noqa: N803
        **_: Any,
    ) -> Iterator[dict[str, Any]]:
        seeded = self._seeded
        found: Iterable[dict[str, Any]] = ()
        if stateMachineArn == MATCHING and statusFilter == "RUNNING":
            found = (self._item(version, "RUNNING", "-r1") for version in seeded.running())
        elif stateMachineArn == MATCHING and statusFilter == "FAILED":
            failed = (*seeded.failures(), *seeded.undelivered())
            found = (self._item(version, "FAILED") for version in failed)
        for page in _pages(found):
            yield {"executions": page}

    def _item(self, version: Version, status: str, suffix: str = "") -> dict[str, Any]:
        arn = f"{self._seeded.execution(version)}{suffix}"
        ended = {} if status == "RUNNING" else {"stopDate": self._seeded.uploaded(version)}
        return {
            "executionArn": arn,
            "name": arn.rpartition(":")[2],
            "status": status,
            "startDate": self._seeded.uploaded(version),
            **ended,
        }

    def _do_describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        name, _, attempt = executionArn.rpartition(":")[2].partition("-r")
        digest = name[-32:]
        is_digest = len(digest) == 32 and set(digest) <= set("0123456789abcdef")
        version = self._digests.version(digest) if is_digest else None
        if version is None or self._seeded.kind(version) is Kind.DELETED:
            raise ExecutionDoesNotExist
        if attempt:
            if attempt != "1" or not self._seeded.runs_again(version):
                raise ExecutionDoesNotExist
            item = self._item(version, "RUNNING", "-r1")
        else:
            ok = self._seeded.kind(version).has_report
            item = self._item(version, "SUCCEEDED" if ok else "FAILED")
        return {**item, "input": self._seeded.image(version).execution_input}

    def _pages_get_execution_history(self, **_: Any) -> Iterator[dict[str, Any]]:
        moment = self._seeded.uploaded(Version(0))
        yield {
            "events": [
                {"type": kind, "timestamp": moment, detail: {"name": step}}
                for step in ("IndexFaces", "Settle", "SearchFaces", "WriteReport")
                for kind, detail in (
                    ("TaskStateEntered", "stateEnteredEventDetails"),
                    ("TaskStateExited", "stateExitedEventDetails"),
                )
            ]
        }


class Rekognition(Service):
    """The face collection."""

    def _pages_list_faces(
        self,
        *,
        PaginationConfig: dict[str, int],  # noqa: N803
        **_: Any,
    ) -> Iterator[dict[str, Any]]:
        for page in _pages(self._seeded.with_a_face(), PaginationConfig["PageSize"]):
            yield {
                "Faces": [
                    {
                        "FaceId": self._seeded.face_id(version),
                        "ExternalImageId": external_image_id(self._seeded.key(version.slot)),
                        "Confidence": 99.9,
                    }
                    for version in page
                ]
            }

    def _do_describe_collection(self, **_: Any) -> dict[str, Any]:
        return {"FaceCount": self._seeded.photographs}


class Others(Service):
    """The services that are asked a question or two."""

    def _do_get_parameter(self, **_: Any) -> dict[str, Any]:
        return {"Parameter": {"Name": "threshold", "Value": "99"}}

    def _do_get_queue_attributes(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        waiting = 0 if "dead" in QueueUrl else self._seeded.photographs // 100
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(waiting),
                "ApproximateNumberOfMessagesNotVisible": "0",
                "MessageRetentionPeriod": "864000",
            }
        }

    def _do_receive_message(self, **_: Any) -> dict[str, Any]:
        return {}

    def _do_get_metric_statistics(self, **_: Any) -> dict[str, Any]:
        return {"Datapoints": [{"Timestamp": self._seeded.uploaded(Version(0)), "Maximum": 60.0}]}

    def _pages_get_metric_data(
        self,
        *,
        MetricDataQueries: list[dict[str, Any]],  # noqa: N803
        **_: Any,
    ) -> Iterator[dict[str, Any]]:
        values = [self._seeded.photographs / DAYS] * DAYS
        yield {"MetricDataResults": [{"Id": q["Id"], "Values": values} for q in MetricDataQueries]}

    def _pages_list_subscriptions_by_topic(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"Subscriptions": [{"Endpoint": "a@example.org", "SubscriptionArn": "arn:aws:sns"}]}


class Athena(Service):
    """The queries of the commands, each known by its text."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._asked: dict[str, tuple[str, Sequence[str]]] = {}
        self._saved: dict[str, tuple[Query, Callable[[Sequence[str]], Iterator[Row]]]] = {
            query.sql: (query, rows)
            for query, rows in (
                (queries()["pairs"], self._pairs),
                (queries()["left_out"], self._left_out),
                (queries()["failed_images"], self._failed_images),
                (command_queries()["mentions"], self._mentions),
                (command_queries()["page_matches"], self._page_matches),
                (queries()["conflicts"], self._conflicts),
                (command_queries()["page_outcomes"], self._page_outcomes),
            )
        }

    def _do_start_query_execution(
        self,
        *,
        QueryString: str,  # noqa: N803
        ExecutionParameters: Sequence[str] = (),  # noqa: N803
        **_: Any,
    ) -> dict[str, str]:
        query_id = str(len(self._asked))
        self._asked[query_id] = (QueryString, ExecutionParameters)
        return {"QueryExecutionId": query_id}

    def _do_get_query_execution(self, **_: Any) -> dict[str, Any]:
        return {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}

    def _pages_get_query_results(self, *, QueryExecutionId: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        columns, rows = self._answer(*self._asked[QueryExecutionId])
        info = [{"Name": name, "Type": kind} for name, kind in columns.items()]
        for number, page in enumerate(_pages(_with_header(columns, rows))):
            data = [{"Data": [_datum(value) for value in row]} for row in page]
            metadata = {"ResultSetMetadata": {"ColumnInfo": info}} if number == 0 else {}
            yield {"ResultSet": {"Rows": data, **metadata}}

    def _answer(self, sql: str, literals: Sequence[str]) -> tuple[Columns, Iterator[Row]]:
        if saved := self._saved.get(sql):
            query, rows = saved
            return {column.name: column.type for column in query.columns}, rows(literals)
        if sql.startswith("SELECT * FROM matches WHERE matched_face_id"):
            return self._found_by(literals)
        if sql.startswith("SELECT digest, 1 AS is_report"):
            kinds = {"is_report": "integer", "held": "bigint"}
            return {"digest": "varchar", **kinds, "face_1": "varchar"}, self._outcomes()
        raise AssertionError(f"The stub does not know this query: {sql[:200]}")

    def _sides(self, pair: int) -> tuple[Version, Version]:
        return self._seeded.matched(2 * pair), self._seeded.matched(2 * pair + 1)

    def _pairs(self, _: Sequence[str]) -> Iterator[Row]:
        seeded = self._seeded
        for pair in range(seeded.pairs):
            a, b = self._sides(pair)
            one, other = seeded.identity(a.slot), seeded.identity(b.slot)
            seen = timestamp(seeded.uploaded(b))
            decided = ("DIFFERENT_PEOPLE", None, "somebody", seen, "seen")
            yield (
                *(one.record, other.record, one.name, other.name, "UNRELATED"),
                *(seeded.similarity(pair), seeded.key(a.slot), seeded.key(b.slot), False),
                *(seeded.people(pair), 1, 1, 0, 1, 1, seen, seen),
                *(decided if seeded.is_decided(pair) else ("UNDECIDED", None, None, None, None)),
            )

    def _left_out(self, _: Sequence[str]) -> Iterator[Row]:
        seeded = self._seeded
        for pair in seeded.lacking():
            a, _b = self._sides(pair)
            one = seeded.identity(a.slot)
            seen = timestamp(seeded.uploaded(a))
            yield (seeded.key(a.slot), one.name, one.record, 3, False, 95.0, 100, seen)

    def _failed_images(self, _: Sequence[str]) -> Iterator[Row]:
        for lacks, place, versions in (
            ("outcome", Place.FAILURES, self._seeded.failures()),
            ("delivery", Place.DELIVERY_FAILURES, self._seeded.undelivered()),
        ):
            columns = [column.name for column in queries()["failed_images"].columns]
            for version in versions:
                (record,) = self._seeded.record(place, version)
                yield (lacks, *(record[name] for name in columns[1:]))

    def _mentions(self, _: Sequence[str]) -> Iterator[Row]:
        """Yield the records of one person and of who matches them: of the first photograph's."""
        seeded = self._seeded
        own = seeded.of_the_name(seeded.matched(0).slot)
        others = [other for version in own if (other := seeded.other_side(version))]
        for version in (*own, *others):
            for place in (Place.REPORTS, Place.MATCHES, Place.FAILURES, Place.DELIVERY_FAILURES):
                if seeded.record(place, version):
                    day = seeded.uploaded(version).date().isoformat()
                    yield (place.kind, day, seeded.digest(version))

    def _page_matches(self, literals: Sequence[str]) -> Iterator[Row]:
        seeded, shown = self._seeded, min(int(literals[1]), self._seeded.pairs)
        for pair in range(shown):
            a, b = self._sides(pair)
            one, other = seeded.identity(a.slot), seeded.identity(b.slot)
            x, y = seeded.image(a), seeded.image(b)
            box = "[0.25, 0.25, 0.25, 0.375]"
            following = seeded.similarity(pair + 1) if pair + 1 < seeded.pairs else None
            yield (
                *(one.record, other.record, one.name, other.name, x.key, y.key),
                *(seeded.face_id(a), seeded.face_id(b), box, box, x.version_id, y.version_id),
                *(timestamp(x.last_modified), timestamp(y.last_modified), x.etag, y.etag),
                *(x.size, y.size, seeded.people(pair), 1, seeded.similarity(pair)),
                *(seeded.pairs, seeded.pairs, following),
            )

    def _conflicts(self, _: Sequence[str]) -> Iterator[Row]:
        seeded = self._seeded
        for a, b in seeded.conflicts():
            one = seeded.identity(a.slot)
            yield (
                *(one.record, one.name, seeded.key(a.slot), seeded.key(b.slot), 3),
                timestamp(seeded.uploaded(a)),
                *(seeded.record_key(Place.REPORTS, version) for version in (a, b)),
                *("UNDECIDED", None, None),
            )

    def _page_outcomes(self, _: Sequence[str]) -> Iterator[Row]:
        seeded, days = self._seeded, DAYS
        for number in range(days):
            slot = seeded.slots * number // days
            day = seeded.uploaded(Version(slot)).date().isoformat()
            for status, reason, images in (
                ("MATCHED", None, 2 * seeded.pairs // days),
                ("UNIQUE", None, seeded.photographs // days),
                ("REJECTED", "NOT_JPEG_OR_PNG", seeded.photographs // 250 // days),
            ):
                yield (day, status, reason, images, 0 if reason else images)

    def _found_by(self, literals: Sequence[str]) -> tuple[Columns, Iterator[Row]]:
        seeded = self._seeded
        shown = seeded.key(seeded.version_of_face(literals[0].strip("'")).slot)
        kinds = {"similarity": "double", "prominent_faces": "bigint"}
        names = ("similarity", "key", "version_id", "name", "record", "searched_at", "matched_key")
        columns = {name: kinds.get(name, "varchar") for name in (*names, "prominent_faces")}

        def rows() -> Iterator[Row]:
            for number in range(min(_FOUND_BY, 2 * seeded.pairs)):
                image = seeded.image(seeded.matched(number))
                whom = seeded.identity(seeded.matched(number).slot)
                now = timestamp(seeded.uploaded(Version(seeded.slots)))
                similarity = 99.9 - number / 100
                yield (
                    *(similarity, image.key, image.version_id, whom.name, whom.record),
                    now,
                    shown,
                    1,
                )

        return columns, rows()

    def _outcomes(self) -> Iterator[Row]:
        seeded = self._seeded
        for version in seeded.reported():
            has_face = seeded.kind(version) is not Kind.NO_FACE
            face = seeded.face_id(version) if has_face else None
            yield (seeded.digest(version), 1, int(has_face), face)
        for version in seeded.failures():
            if seeded.kind(version) is Kind.REJECTED:
                yield (seeded.digest(version), 0, 0, None)


def _with_header(columns: Columns, rows: Iterator[Row]) -> Iterator[Row]:
    yield tuple(columns)
    yield from rows


def _datum(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    return {"VarCharValue": json.dumps(value) if isinstance(value, bool) else str(value)}


_SERVICES: Final[dict[str, type[Service]]] = {
    "s3": S3,
    "stepfunctions": StepFunctions,
    "athena": Athena,
    "rekognition": Rekognition,
}


def stub(seeded: Seeded, digests: Digests) -> tuple[Deployment, Requests]:
    """Return a stack whose clients are stubs, and the count of their requests."""
    requests = Requests()
    outputs = {**_OUTPUTS, Output.IMAGES_BUCKET: seeded.bucket}
    listed = [{"OutputKey": str(key), "OutputValue": text} for key, text in outputs.items()]
    stack = {"StackName": "FaceMatching", "StackStatus": "CREATE_COMPLETE", "Outputs": listed}

    @cache
    def client(service: str) -> Service:
        return _SERVICES.get(service, Others)(service, seeded, digests, requests)

    deployment = Deployment(
        stack_name="FaceMatching", local=False, outputs=Outputs(stack), make_client=client
    )
    return deployment, requests
