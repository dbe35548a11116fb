"""The account of a run: every version with its outcome, faces, pairs and notifications."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from facematch.stack.records import Records
from functions.matching.keys import key_of, version_digest
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from facematch.stack.deployment import Deployment

#: A version in any run: the ids that S3 gives differ. The key, and which upload of it.
Version = tuple[str, int]
#: %: how far one product of matrices may be from another of another shape.
TOLERANCE = 0.001


@dataclass(frozen=True)
class Pair:
    """Two images with the same face under two names, whichever reported the other."""

    keys: tuple[str, str]
    similarity: float


@dataclass
class Account:
    """What there is after a run, by what is the same in every run.

    Attributes
    ----------
    outcomes
        All of a version: there should be one. A report is REPORTED or NO_FACE: which of two
        images says MATCHED depends on their order.
    faces
        Of the collection: key by face id.
    pairs
        By pair id, out of the match rows of both sides.
    told
        Pair ids that a notification told of, listed in it or in the report that it names.
    undelivered
        Versions of whose match nobody was notified, by their records.
    repeated
        Notifications about a version beyond its first one.
    digests
        Of this run's versions and images, for whoever looks one up.
    """

    outcomes: dict[Version, list[str]] = field(default_factory=dict)
    faces: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    undelivered: set[Version] = field(default_factory=set)
    repeated: int = 0
    messages_left: int = 0
    dead_letters: int = 0
    failed_executions: int = 0
    search_threshold: float = 0.0
    digests: dict[Version, str] = field(default_factory=dict)

    def named(self, key: str) -> str:
        """The digest of a key's newest version in this run: names stay where they are."""
        versions = sorted(version for version in self.digests if version[0] == key)
        return self.digests[versions[-1]] if versions else "?"


@dataclass
class Differences:
    """Of a run from the clean one, a line for each."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.duplicated or self.invented)

    def __iter__(self) -> Any:
        for kind in ("lost", "duplicated", "invented"):
            yield from (f"{kind}: {line}" for line in getattr(self, kind))


def account(
    deployment: Deployment,
    versions: Mapping[Version, str],
    notifications: Iterable[dict[str, Any]],
) -> Account:
    """Look at everything that the run left behind about these versions.

    Parameters
    ----------
    versions
        Their ids in this run.
    """
    records = Records(deployment)
    bucket = deployment.images_bucket
    made = Account(
        outcomes={version: [] for version in versions},
        digests={v: version_digest(bucket, v[0], given) for v, given in versions.items()},
    )
    of_digest = {digest: version for version, digest in made.digests.items()}
    keys = {key for key, _ in versions}
    for report in records.read(list(records.keys(Place.REPORTS))):
        if version := of_digest.get(report["digest"]):
            no_face = report["status"] == "NO_FACE"
            made.outcomes[version].append("NO_FACE" if no_face else "REPORTED")
            made.search_threshold = report["search_threshold"]
            assert not report["matches_left_out"], "max_matches is too small to compare runs"
    for record in records.read(list(records.keys(Place.FAILURES))):
        if version := of_digest.get(record["digest"]):
            made.outcomes[version].append(f"{record['status']} {record['reason']}")
    failed_deliveries = records.read(list(records.keys(Place.DELIVERY_FAILURES)))
    found = {of_digest.get(record["digest"]) for record in failed_deliveries}
    made.undelivered = {version for version in found if version}
    listed = _read_pairs(made, records, of_digest)
    _read_notifications(made, notifications, of_digest, listed)
    made.faces = {face: key for face, key in _faces(deployment) if key in keys}
    made.messages_left = waiting(deployment, "QueueUrl")
    made.dead_letters = waiting(deployment, "DeadLetterQueueUrl")
    return made


def _read_pairs(
    made: Account, records: Records, of_digest: Mapping[str, Version]
) -> dict[str, set[str]]:
    """Read the match rows; what passes the notify threshold, by digest, is returned."""
    passing: dict[str, set[str]] = {}
    for row in records.read(list(records.keys(Place.MATCHES))):
        if row["digest"] in of_digest:
            first, second = sorted((row["key"], row["matched_key"]))
            made.pairs[row["pair_id"]] = Pair((first, second), row["similarity"])
            if row["similarity"] >= row["notify_threshold"]:
                passing.setdefault(row["digest"], set()).add(row["pair_id"])
    return passing


def _read_notifications(
    made: Account,
    notifications: Iterable[dict[str, Any]],
    of_digest: Mapping[str, Version],
    passing: Mapping[str, set[str]],
) -> None:
    told: Counter[str] = Counter()
    for message in notifications:
        if message["digest"] in of_digest:
            told[message["digest"]] += 1
            made.told |= {pair["pair_id"] for pair in message["pairs"]}
            if message["pairs_in_report"] > len(message["pairs"]):  # "and n more: see the report"
                made.told |= passing.get(message["digest"], set())
    made.repeated = sum(count - 1 for count in told.values())


def differences(clean: Account, found: Account) -> Differences:
    """What a run lost, did twice or made up, compared with the clean one."""
    result = Differences()
    _compare_outcomes(clean, found, result)
    _compare_faces(clean, found, result)
    _compare_pairs(clean, found, result)
    for pair in sorted(clean.told - found.told):
        result.lost.append(f"the notification of {_both(clean.pairs.get(pair), found)}")
    for pair in sorted(found.told - clean.pairs.keys()):
        result.invented.append(f"a notification of {_both(found.pairs.get(pair), found)}")
    for version in sorted(found.undelivered):
        result.lost.append(f"the delivery of {found.digests.get(version, '?')}")
    if found.messages_left:
        result.lost.append(f"{found.messages_left} messages are left in the queue")
    if found.failed_executions:
        result.lost.append(f"{found.failed_executions} executions failed and were not replayed")
    if found.dead_letters:
        result.lost.append(f"{found.dead_letters} messages are dead letters")
    return result


def _compare_outcomes(clean: Account, found: Account, result: Differences) -> None:
    for version in sorted(clean.outcomes):
        outcomes, expected = found.outcomes.get(version, []), clean.outcomes[version]
        digest = found.digests.get(version, "?")
        if not outcomes:
            result.lost.append(f"the outcome of {digest}")
        elif len(outcomes) > 1:
            result.duplicated.append(f"the outcome of {digest}: {', '.join(outcomes)}")
        elif outcomes != expected:
            result.lost.append(f"the outcome of {digest}: {expected[0]}, and not {outcomes[0]}")


def _compare_faces(clean: Account, found: Account, result: Differences) -> None:
    faces = Counter(found.faces.values()) - Counter(clean.faces.values())
    result.duplicated += [f"a face of {found.named(key)}" for key in sorted(faces)]
    for face in sorted(clean.faces.keys() - found.faces.keys()):
        result.lost.append(f"the face {face} of {found.named(clean.faces[face])}")
    for face in sorted(found.faces.keys() - clean.faces.keys()):
        result.invented.append(f"the face {face} of {found.named(found.faces[face])}")


def _compare_pairs(clean: Account, found: Account, result: Differences) -> None:
    certain = clean.search_threshold + TOLERANCE
    for pair in sorted(clean.pairs.keys() - found.pairs.keys()):
        if clean.pairs[pair].similarity >= certain:
            result.lost.append(f"the pair {_both(clean.pairs[pair], found)}")
    for pair in sorted(found.pairs.keys() - clean.pairs.keys()):
        if found.pairs[pair].similarity >= certain:
            result.invented.append(f"the pair {_both(found.pairs[pair], found)}")
    for pair in sorted(clean.pairs.keys() & found.pairs.keys()):
        before, now = clean.pairs[pair], found.pairs[pair]
        if before.keys != now.keys or abs(before.similarity - now.similarity) > TOLERANCE:
            result.invented.append(
                f"another similarity of {_both(now, found)}: "
                f"{now.similarity:.4f}, and not {before.similarity:.4f}"
            )


def waiting(deployment: Deployment, queue: str) -> int:
    """Messages in the queue, whatever becomes of them just now."""
    states = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
    attributes = deployment.make_client("sqs").get_queue_attributes(
        QueueUrl=deployment.outputs[queue], AttributeNames=states
    )["Attributes"]
    return sum(int(attributes[state]) for state in states)


def _faces(deployment: Deployment) -> Iterable[tuple[str, str]]:
    pages = (
        deployment.make_client("rekognition")
        .get_paginator("list_faces")
        .paginate(CollectionId=deployment.outputs["CollectionId"])
    )
    for page in pages:
        for face in page["Faces"]:
            yield face["FaceId"], key_of(face["ExternalImageId"])


def _both(pair: Pair | None, found: Account) -> str:
    if pair is None:
        return "a pair that no match row has"
    return " and ".join(map(found.named, pair.keys))
