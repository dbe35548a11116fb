"""Whether the face collection and the images bucket agree.

No face without an image, no indexed image without its face. Executions that are on their way are
left out: they are between the two.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facematch.stack.executions import Executions
from facematch.stack.faces import listed_faces, remove_faces
from facematch.stack.objects import Bucket
from facematch.stack.queues import send_again
from facematch.stack.records import Records, digest_of
from functions.matching.places import Place
from functions.matching.register import Register, register_key
from functions.matching.reports import failure_key, report_key

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """Compares, and mends, in one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._executions = Executions(deployment)
        self._records = Records(deployment)

    def compare(self) -> Disagreements:
        """List both and compare.

        The registers say which faces a version was given. They are read before the collection is
        listed, and of a key that disagrees once more after it: where both say the same, nobody has
        worked on the key meanwhile, and what is listed has to agree with them.
        """
        found = Disagreements()
        registered = self._registered()
        faces = dict(self._faces(found))
        images = Bucket.images(self._deployment).current(self._deployment.image_prefix)
        current = {image.key: image for image in images}
        by_key: dict[str, set[str]] = defaultdict(set)
        for face_id, key in faces.items():
            by_key[key].add(face_id)
        came_back = self._came_back(current, registered)
        for key in current.keys() | by_key.keys():
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
        return found

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

    def _registered(self) -> dict[str, frozenset[str]]:
        """Faces that each version was given, by its digest."""
        return {
            digest: frozenset(entry.face_ids)
            for record in self._records.read(list(self._records.keys(Place.REGISTERS)))
            for digest, entry in Register.from_record(record).entries.items()
        }

    def _came_back(
        self, current: dict[str, UploadedImage], registered: dict[str, frozenset[str]]
    ) -> set[str]:
        """Keys whose current version has been through the workflow, and what it left is gone.

        Such is a photograph whose delete marker, or next version, somebody has deleted: for S3
        nothing new came, so nobody indexes it again, and its faces have left with its removal or
        its next version.
        """
        digests = {image.digest: key for key, image in current.items()}
        reported, failed = (
            digests.keys() & map(digest_of, self._records.keys(place))
            for place in (Place.REPORTS, Place.FAILURES)
        )
        bare = [current[digests[digest]] for digest in reported if not registered.get(digest)]
        reports = self._records.read(report_key(image) for image in bare)
        back = {report["key"] for report in reports if report["faces"]}
        # Whoever has been here has left a register; of the many that wait, nobody asks.
        without = (current[digests[each]] for each in digests.keys() - reported - failed)
        by_register = {register_key(image.bucket, image.key): image for image in without}
        for register in by_register.keys() & self._records.keys(Place.REGISTERS):
            image = by_register[register]
            # The report again, and after the execution, which may have written it just now.
            if "SUCCEEDED" in self._executions.statuses(
                image.execution_name
            ) and not self._has_outcome(image):
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
