"""Backfill: starts the state machine that sends a bucket's objects to the queue, and follows it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from facematch.errors import Actionable, Unusable
from facematch.operations.ledger import Found, Ledger, image_prefix
from facematch.stack.executions import Executions
from facematch.stack.objects import Bucket
from facematch.stack.records import Records, digest_of
from functions.matching.keys import is_folder_marker
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.stack.deployment import Deployment


T = TypeVar("T")
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
        self._executions = Executions(deployment)

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
        return self._executions.start_backfill({**what, "again": again})

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
            execution = self._executions.described(execution_arn)
            counts = self._executions.backfilled(execution_arn)
            seen(counts.succeeded + counts.failed, counts.listed)
            if execution and not execution.is_running:
                return Run(
                    execution_arn=execution_arn,
                    status=execution.status,
                    listed=counts.listed,
                    gone_through=counts.succeeded,
                    error=execution.error,
                    cause=execution.cause,
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

        def each(found: T) -> T:
            listed(1)
            return found

        with Ledger(bucket) as ledger:
            ledger.add_versions(
                each(image)
                for image in Bucket.images(self._deployment).current(below)
                if not is_folder_marker(image.key, image.size)
            )
            reports = Records(self._deployment).keys(Place.REPORTS)
            ledger.add_known((digest_of(each(key)) for key in reports), Found.REPORTED)
            ledger.join(Found.REPORTED)
            objects, reported = ledger.total(), ledger.counts()[Found.REPORTED]
        return Preview(prefix=below, objects=objects, reported=reported)

    def _inventory_key(self, url: str) -> str:
        """Key of the manifest, looked into: the state machine would fail later and say less."""
        place = f"s3://{self._deployment.output_bucket}/{Place.INVENTORIES}"
        if not (url.startswith(place) and url.endswith("/manifest.json")):
            raise Unusable(
                f"{url} is not a manifest.json below {place}, where the state machine may read. "
                "Let S3 deliver the inventory of the images bucket there (format CSV)."
            )
        key = url.removeprefix(f"s3://{self._deployment.output_bucket}/")
        found = Records(self._deployment).body(key)
        try:
            manifest = json.loads(found.content) if found else {}
            facts = (manifest["sourceBucket"], manifest["fileFormat"])
        except (ValueError, KeyError, TypeError) as error:
            why = error if found else "there is no such object"
            raise Unusable(
                f"{url} cannot be read as an inventory's manifest: {why}. Name a manifest.json "
                "that S3 Inventory has written, or leave --inventory out to list the bucket."
            ) from None
        if facts != (self._deployment.images_bucket, "CSV"):
            raise Unusable(
                f"{url} is an inventory of {facts[0]} in {facts[1]}. Name one of "
                f"{self._deployment.images_bucket} in CSV."
            )
        return key
