"""One run: upload a pile into a local cloud of its own, let it drain, replay what failed."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from facematch.local.cloud import LocalCloud
from facematch.local.faults import Messages
from facematch.local.state_folder import StateFolder
from facematch.operations.replay import Replayer, Selection
from facematch.stack.deployment import PARALLEL, Deployment, on_local_cloud
from facematch.stack.queues import DeadLetters
from functions.matching.images import timestamp
from tests.chaos.account import Account, Version, account, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from tests.chaos.photographs import Pile

#: Waits between retries and in Settle, in parts of their real length.
WAIT_SCALE = 0.05
#: Everything that is found is compared, so nothing may be cut; and Settle is half a second here.
SETTINGS: Mapping[str, Any] = {"max_matches": 400, "settle_seconds": 10}
ROUNDS = 10
PATIENCE_SECONDS = 600


class NotDrained(Exception):  # noqa: N818 - reads as what happened
    """A run did not come to rest in time."""


@dataclass(frozen=True)
class Uploaded:
    """One version, as S3 describes it."""

    key: str
    version_id: str
    etag: str
    size: int
    moment: datetime


@dataclass
class Run:
    """What came of a run.

    Attributes
    ----------
    injected
        How often each fault was made, by `what at`.
    replayed
        Executions, each time counted.
    seconds
        From the first upload to the last outcome.
    """

    account: Account
    injected: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    seconds: float = 0.0


@contextmanager
def local_cloud(
    plan: Path | None,
    *,
    settings: Mapping[str, Any] = SETTINGS,
    wait_scale: float = WAIT_SCALE,
) -> Iterator[tuple[LocalCloud, Deployment]]:
    """A local cloud with these faults, gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        LocalCloud(
            StateFolder(Path(folder)), overrides=settings, wait_scale=wait_scale, faults=plan
        ) as cloud,
    ):
        assert cloud.running
        yield cloud, on_local_cloud(cloud.running, cloud.home)


def run(
    deployment: Deployment,
    pile: Pile,
    *,
    messages: Messages = Messages(),  # noqa: B008 - frozen
    replay: bool = True,
    seed: int = 0,
) -> Run:
    """Upload the pile while the tap is closed, open it, and account for what comes of it.

    So an overwritten image is superseded in every run, and messages can come in any order.

    Parameters
    ----------
    replay
        Whether to replay what fails, everything in the deployment.

    Raises
    ------
    NotDrained
    """
    notifications = _subscribed(deployment)
    started = time.monotonic()
    with _closed_tap(deployment):
        uploaded = _upload(deployment, pile)
        _until(lambda: waiting(deployment, "QueueUrl") >= len(pile), "the messages of S3")
        if messages != Messages():
            _send_in_place_of_s3(deployment, uploaded, messages, random.Random(seed))
    _drain(deployment)
    replayed = 0
    replayer = Replayer(deployment)
    for _ in range(ROUNDS if replay else 0):
        # A message whose starter was killed again and again is a dead letter: an outcome, too.
        moved = DeadLetters(deployment).move_back()
        if moved:
            _drain(deployment)
        plan = replayer.plan(Selection(everything=True))
        if not (moved or plan.replays):
            break
        replayed += moved + len(replayer.run(plan, done=lambda _result: None))
        _drain(deployment)
    if messages.late:
        _send(deployment, [_message(deployment, each, timedelta(days=1)) for each in uploaded])
        _drain(deployment)
    seconds = time.monotonic() - started
    versions: dict[Version, str] = {}
    for each in uploaded:
        nth = sum(1 for key, _ in versions if key == each.key)
        versions[each.key, nth] = each.version_id
    found = account(deployment, versions, notifications())
    found.failed_executions = len(replayer.plan(Selection(everything=True)).replays)
    return Run(found, replayed=replayed, seconds=seconds)


def injected(cloud: LocalCloud) -> Counter[str]:
    """The faults that were made so far, by what and where."""
    if not cloud.fault_log.exists():
        return Counter()
    lines = map(json.loads, cloud.fault_log.read_text().splitlines())
    return Counter(f"{line['what']} {line['at']}" for line in lines)


@contextmanager
def _closed_tap(deployment: Deployment) -> Iterator[None]:
    client = deployment.make_client("lambda")
    (mapping,) = client.list_event_source_mappings()["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def _upload(deployment: Deployment, pile: Pile) -> list[Uploaded]:
    """Upload the pile, the versions of a key one after the other."""
    s3 = deployment.make_client("s3")
    bodies: dict[str, list[bytes]] = {}
    for key, body in pile:
        bodies.setdefault(deployment.image_prefix + key, []).append(body)

    def upload(key: str) -> list[Uploaded]:
        versions = []
        for body in bodies[key]:
            put = s3.put_object(Bucket=deployment.images_bucket, Key=key, Body=body)
            head = s3.head_object(Bucket=deployment.images_bucket, Key=key)
            versions.append(
                Uploaded(
                    key, put["VersionId"], put["ETag"].strip('"'), len(body), head["LastModified"]
                )
            )
        return versions

    with ThreadPoolExecutor(PARALLEL) as pool:
        return [each for versions in pool.map(upload, bodies) for each in versions]


def _send_in_place_of_s3(
    deployment: Deployment, uploaded: list[Uploaded], messages: Messages, rng: random.Random
) -> None:
    sqs = deployment.make_client("sqs")
    sqs.purge_queue(QueueUrl=deployment.outputs["QueueUrl"])
    bodies = [_message(deployment, each) for each in uploaded for _ in range(messages.copies)]
    if messages.shuffled:
        rng.shuffle(bodies)
    _send(deployment, bodies)


def _message(deployment: Deployment, each: Uploaded, late: timedelta = timedelta()) -> str:
    """What S3 sends of a new object (Amazon S3 User Guide, Event message structure)."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": timestamp(each.moment - late),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "EXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "images",
            "bucket": {
                "name": deployment.images_bucket,
                "ownerIdentity": {"principalId": "EXAMPLE"},
                "arn": f"arn:aws:s3:::{deployment.images_bucket}",
            },
            "object": {
                "key": quote_plus(each.key, safe="/"),
                "size": each.size,
                "eTag": each.etag,
                "versionId": each.version_id,
                "sequencer": f"{int(each.moment.timestamp() * 1000):018X}",
            },
        },
    }
    return json.dumps({"Records": [record]})


def _send(deployment: Deployment, bodies: list[str]) -> None:
    sqs = deployment.make_client("sqs")

    def send(body: str) -> None:
        sqs.send_message(QueueUrl=deployment.outputs["QueueUrl"], MessageBody=body)

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(send, bodies))


def _drain(deployment: Deployment) -> None:
    """Wait until no message waits and no execution runs, at two looks in a row."""
    stepfunctions = deployment.make_client("stepfunctions")

    def at_rest() -> bool:
        if waiting(deployment, "QueueUrl"):
            return False
        running = stepfunctions.list_executions(
            stateMachineArn=deployment.state_machine_arn, statusFilter="RUNNING"
        )
        return not running["executions"]

    def twice() -> bool:
        if not at_rest():
            return False
        time.sleep(0.5)  # a failure's event may be on its way
        return at_rest()

    _until(twice, "the queue and the executions")


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise NotDrained(f"{what}: not at rest after {PATIENCE_SECONDS} s")
        time.sleep(0.2)


def _subscribed(deployment: Deployment) -> Callable[[], list[dict[str, Any]]]:
    """Subscribe a queue to the matches; what is returned reads all that has arrived."""
    sqs, sns = deployment.make_client("sqs"), deployment.make_client("sns")
    queue = sqs.create_queue(QueueName=f"chaos-{time.monotonic_ns()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(
        TopicArn=deployment.outputs["MatchesTopicArn"], Protocol="sqs", Endpoint=arn["QueueArn"]
    )

    def read() -> list[dict[str, Any]]:
        received = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                received.append(json.loads(json.loads(message["Body"])["Message"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return received

    return read
