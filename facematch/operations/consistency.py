"""Whether the face collection and the images bucket agree.

No face without an image, no indexed image without its face. Executions that are on their way are
left out: they are between the two.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facematch.operations.inventory import Inventory, Outcome
from facematch.operations.ledger import CHUNK
from facematch.stack import athena
from facematch.stack.batches import batches
from facematch.stack.deployment import PARALLEL
from facematch.stack.executions import Executions
from facematch.stack.faces import listed_faces, remove_faces
from facematch.stack.objects import Bucket
from facematch.stack.queues import send_again
from facematch.stack.records import Records, digest_of
from functions.matching.places import Place
from functions.matching.register import Register, register_key
from functions.matching.reports import failure_key, report_key
from workflow.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from facematch.stack.deployment import Deployment
    from functions.matching.images import UploadedImage


@dataclass(slots=True)
class Disagreements:
    """What the collection and the bucket disagree about.

    Attributes
    ----------
    faces
        In the collection.
    orphans
        Faces without an image, by id: of a photograph that was deleted or overwritten.
    faceless
        Current versions whose face is not in the collection, or whose outcome is lost, by key.
    foreign
        Faces that something else put in: counted, and never touched.
    on_their_way
        Left out: they wait in the queue, their execution runs, or it has run meanwhile.
    """

    faces: int = 0
    orphans: dict[str, str] = field(default_factory=dict)
    faceless: dict[str, UploadedImage] = field(default_factory=dict)
    foreign: int = 0
    on_their_way: int = 0

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.orphans or self.faceless)


class CollectionCheck:
    """Compares the collection with the bucket of one deployment, and repairs what disagrees.

    Parameters
    ----------
    listed
        Told what is being listed, and how many more of it there are.
    """

    def __init__(
        self, deployment: Deployment, *, listed: Callable[[str, int], None] = lambda *_: None
    ) -> None:
        self._deployment = deployment
        self._executions = Executions(deployment)
        self._records = Records(deployment)
        self._images = Bucket.images(deployment)
        self._listed = listed

    def compare(self) -> Disagreements:
        """List both and compare.

        Outcomes tell which faces each version was given. What is listed after them and says the
        same is in order: its version is still the current one, and its faces are there. Only the
        other keys are looked at one by one.

        Of each of those, the register says which faces its versions were given. It is read before
        the collection is listed once more, and after it: where both say the same, nobody has worked
        on the key meanwhile, and what is listed has to agree with them.

        Raises
        ------
        QueryFailed, Unusable
            When Athena cannot be asked for the outcomes.
        """
        found = Disagreements()
        with Inventory() as inventory:
            self._fill(inventory, found)
            keys = dict(inventory.doubtful())
        if keys:
            self._look_at(keys, found)
        return found

    def _fill(self, inventory: Inventory, found: Disagreements) -> None:
        for chunk in batches(self._outcomes(), CHUNK):
            inventory.add_outcomes(chunk)
            self._listed("outcomes", len(chunk))
        for registers in batches(self._records.keys(Place.REGISTERS), CHUNK):
            inventory.add_registers(map(digest_of, registers))
            self._listed("registers", len(registers))
        for faces in batches(self._faces(found), CHUNK):
            inventory.add_faces(faces)
            self._listed("faces", len(faces))
        for images in batches(self._images.current(self._deployment.image_prefix), CHUNK):
            inventory.add_images(images)
            self._listed("images", len(images))

    def _outcomes(self) -> Iterator[Outcome]:
        """Yield how each version ended that has a report or was rejected.

        SQL that both engines know takes an element of an array, and no field of all its elements.
        The faces of a report that has more than are indexed now are not known.
        """
        most = int(self._deployment.outputs[Output.MAX_FACES])
        numbers = range(1, most + 1)
        ids = ", ".join(
            f"CASE WHEN cardinality(faces) >= {n} THEN faces[{n}].face_id END AS face_{n}"
            for n in numbers
        )
        none = ", ".join("CAST(NULL AS varchar)" for _ in numbers)
        rows = athena.streamed(
            self._deployment,
            f"SELECT digest, 1 AS is_report, cardinality(faces) AS held, {ids} FROM reports"  # noqa: S608 - only numbers
            f" UNION ALL SELECT digest, 0, 0, {none} FROM failures WHERE status = 'REJECTED'",
        )
        for digest, is_report, held, *ids_of_faces in rows:
            faces = [str(face) for face in ids_of_faces if face]
            yield Outcome(str(digest), bool(is_report), faces if len(faces) == held else None)

    def _look_at(self, keys: dict[str, bool], found: Disagreements) -> None:
        """Compare these keys one by one.

        Parameters
        ----------
        keys
            Each, and whether it may have had a register when those were listed.
        """
        self._listed("keys that disagree", len(keys))
        registered = self._registered(keys)
        by_key: dict[str, set[str]] = defaultdict(set)
        for face_id, key in self._faces(Disagreements()):
            if key in keys:
                by_key[key].add(face_id)
        with ThreadPoolExecutor(PARALLEL) as pool:
            images = [image for image in pool.map(self._images.current_version, keys) if image]
        current = {image.key: image for image in images}
        came_back = self._came_back(current, registered, {k for k, has in keys.items() if has})
        for key in keys:
            image = current.get(key)
            known = registered.get(image.digest) if image else None
            owned = known or frozenset()
            if by_key[key] == owned and key not in came_back:
                continue
            if image and self._is_on_its_way(image, known, came_back=key in came_back):
                found.on_their_way += 1
                continue
            found.orphans.update(dict.fromkeys(by_key[key] - owned, key))
            if image and (key in came_back or owned - by_key[key]):
                found.faceless[key] = image

    def mend(self, found: Disagreements) -> None:
        """Take orphans out, and send images without their face through the queue again."""
        remove_faces(self._deployment, sorted(found.orphans))
        for image in found.faceless.values():
            send_again(self._deployment, image)

    def _faces(self, found: Disagreements) -> Iterator[tuple[str, str]]:
        for face in listed_faces(self._deployment):
            found.faces += 1
            if face.key is None:
                found.foreign += 1
            else:
                yield face.face_id, face.key

    def _registered(self, keys: Iterable[str]) -> dict[str, frozenset[str]]:
        """Faces that each version of these keys was given, by its digest."""
        bucket = self._images.name
        return {
            digest: frozenset(entry.face_ids)
            for record in self._records.read(register_key(bucket, key) for key in keys)
            for digest, entry in Register.from_record(record).entries.items()
        }

    def _came_back(
        self,
        current: dict[str, UploadedImage],
        registered: dict[str, frozenset[str]],
        with_register: Collection[str],
    ) -> set[str]:
        """Keys whose current version has been through the workflow, and what it left is gone.

        Such is a photograph whose delete marker, or next version, somebody has deleted: for S3
        nothing new came, so nobody indexes it again, and its faces have left with its removal or
        its next version.

        Parameters
        ----------
        with_register
            Keys that had a register. Each version that the workflow indexed or removed leaves one.
        """
        reports = {
            report["key"]: report
            for report in self._records.read(map(report_key, current.values()))
        }
        back = {
            key
            for key, report in reports.items()
            if report["faces"] and not registered.get(current[key].digest)
        }
        without = [image for key, image in current.items() if key not in reports]
        failures = self._records.read(map(failure_key, without))
        failed = {failure["digest"] for failure in failures}
        for image in without:
            # The report again, and after the execution, which may have written it just now.
            if (
                image.digest not in failed
                and image.key in with_register
                and "SUCCEEDED" in self._executions.statuses(image.execution_name)
                and not self._has_outcome(image)
            ):
                back.add(image.key)
        return back

    def _is_on_its_way(
        self, image: UploadedImage, known: frozenset[str] | None, *, came_back: bool
    ) -> bool:
        """Whether somebody works on a current version, has done so meanwhile, or is about to.

        In this order, in which an image goes its way backwards: what ends between two of the
        questions has left something that the later one sees.

        Parameters
        ----------
        known
            The faces that its register named before they were listed; None: it was not in there.
        came_back
            It has been through the workflow, so that it does not wait.
        """
        has_outcome = came_back or self._has_outcome(image)
        if "RUNNING" in self._executions.statuses(image.execution_name):
            return True
        entry = self._records.register(image).entries.get(image.digest)
        if entry is None and not has_outcome:
            return True  # it waits in the queue; if that has lost it, the audit says so
        return known != (frozenset(entry.face_ids) if entry else None)

    def _has_outcome(self, image: UploadedImage) -> bool:
        return any(self._records.read([report_key(image), failure_key(image)]))
