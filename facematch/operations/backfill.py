"""Backfill: starts the state machine that sends a bucket's objects to the queue, and follows it."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Actionable, Unusable
from facematch.operations.ledger import Found, Ledger, image_prefix
from facematch.stack.objects import current_versions
from facematch.stack.records import Records, digest_of, image_listed
from functions.matching.keys import is_folder_marker
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.stack.deployment import Deployment


_LONGEST_PAUSE_SECONDS: Final = 5.0


class NothingListed(Actionable):
    """There is no object to send; the text says where none was found."""


class BackfillFailed(Actionable):
    """The state machine did not send everything; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What came of a backfill.

    Attributes
    ----------
    listed
        Objects, or lines of the inventory.
    gone_through
        Those of them that were sent, or that are no images: folder and delete markers.
    """

    execution_arn: str
    status: str
    listed: int
    gone_through: int
    error: str | None
    cause: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a backfill would find: objects, and how many of them have a report already."""

    prefix: str
    objects: int
    reported: int


class Backfiller:
    """Fills one deployment with what its bucket holds already."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._stepfunctions = deployment.make_client("stepfunctions")

    def start(
        self, *, prefix: str | None = None, inventory: str | None = None, again: bool = False
    ) -> str:
        """Start the state machine; returns the execution's ARN.

        Parameters
        ----------
        prefix
            Of the keys, with the image prefix; not together with an inventory.
        inventory
            URL of an S3 Inventory's manifest.json.
        again
            Process what has a report, too.

        Raises
        ------
        Unusable
            When the prefix or the inventory is not one of the images.
        """
        if inventory and prefix:
            raise Unusable(
                "Either --prefix or --inventory: an inventory lists what it lists. Leave one out."
            )
        what = (
            {"inventory": self._inventory_key(inventory)}
            if inventory
            else {"prefix": image_prefix(self._deployment, prefix)}
        )
        started = self._stepfunctions.start_execution(
            stateMachineArn=self._deployment.backfill_state_machine_arn,
            name=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            input=json.dumps({**what, "again": again}),
        )
        return str(started["executionArn"])

    def follow(
        self,
        execution_arn: str,
        *,
        seen: Callable[[int, int], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> Run:
        """Wait until the execution has ended.

        Parameters
        ----------
        seen
            Told how many objects have been gone through, and how many were listed so far.
        """
        pause = 0.2
        while True:
            execution = self._stepfunctions.describe_execution(executionArn=execution_arn)
            counts = self._counts(execution_arn)
            seen(counts["succeeded"] + counts["failed"], counts["total"])
            if execution["status"] != "RUNNING":
                return Run(
                    execution_arn=execution_arn,
                    status=execution["status"],
                    listed=counts["total"],
                    gone_through=counts["succeeded"],
                    error=execution.get("error"),
                    cause=execution.get("cause"),
                )
            sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, 1.5 * pause)

    def preview(self, prefix: str | None, *, listed: Callable[[int], None]) -> Preview:
        """Count objects and reports, without a word to the queue.

        Parameters
        ----------
        listed
            Told how many more objects or reports were listed.
        """
        bucket, below = self._deployment.images_bucket, image_prefix(self._deployment, prefix)
        s3 = self._deployment.make_client("s3")

        def each(found: Any) -> Any:  # noqa: ANN401 - passed on
            listed(1)
            return found

        with Ledger(bucket) as ledger:
            ledger.add_versions(
                image_listed(bucket, each(item))
                for item in current_versions(s3, bucket, below)
                if not is_folder_marker(item["Key"], item["Size"])
            )
            reports = Records(self._deployment).keys(Place.REPORTS)
            ledger.add_known((digest_of(each(key)) for key in reports), Found.REPORTED)
            ledger.join(Found.REPORTED)
            objects, reported = ledger.total(), ledger.counts()[Found.REPORTED]
        return Preview(prefix=below, objects=objects, reported=reported)

    def _counts(self, execution_arn: str) -> dict[str, int]:
        runs = self._stepfunctions.list_map_runs(executionArn=execution_arn)["mapRuns"]
        if not runs:
            return {"succeeded": 0, "failed": 0, "total": 0}
        described = self._stepfunctions.describe_map_run(mapRunArn=runs[0]["mapRunArn"])
        counts: dict[str, int] = described["itemCounts"]
        return counts

    def _inventory_key(self, url: str) -> str:
        """Key of the manifest, looked into: the state machine would fail later and say less."""
        place = f"s3://{self._deployment.output_bucket}/{Place.INVENTORIES}"
        if not (url.startswith(place) and url.endswith("/manifest.json")):
            raise Unusable(
                f"{url} is not a manifest.json below {place}, where the state machine may read. "
                "Let S3 deliver the inventory of the images bucket there (format CSV)."
            )
        key = url.removeprefix(f"s3://{self._deployment.output_bucket}/")
        s3 = self._deployment.make_client("s3")
        try:
            body = s3.get_object(Bucket=self._deployment.output_bucket, Key=key)["Body"].read()
            manifest = json.loads(body)
            facts = (manifest["sourceBucket"], manifest["fileFormat"])
        except (s3.exceptions.NoSuchKey, ValueError, KeyError, TypeError) as error:
            raise Unusable(
                f"{url} cannot be read as an inventory's manifest: {error}. Name a manifest.json "
                "that S3 Inventory has written, or leave --inventory out to list the bucket."
            ) from None
        if facts != (self._deployment.images_bucket, "CSV"):
            raise Unusable(
                f"{url} is an inventory of {facts[0]} in {facts[1]}. Name one of "
                f"{self._deployment.images_bucket} in CSV."
            )
        return key
