"""The registers of the keys, in the output bucket, changed by conditional writes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from functions.aws.clients import ABSENT, availability, error_code
from functions.matching.errors import Unavailable
from functions.matching.register import Entry, Register, register_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_s3 import S3Client

    from functions.aws.collection import FaceCollection
    from functions.matching.faces import IndexedFaces
    from functions.matching.images import Subject, UploadedImage

#: Somebody else wrote between our look and our write (Amazon S3 User Guide, Conditional writes).
OVERTAKEN: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_ATTEMPTS: Final = 5


class FaceRegisters:
    """What the collection holds of each key."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def read(self, image: UploadedImage) -> Register:
        """What is entered of the image's key; nothing, where nobody has been.

        Raises
        ------
        Unavailable
            When S3 throttles or fails.
        """
        return self.of_key(image.bucket, image.key)

    def of_key(self, bucket: str, key: str) -> Register:
        """Return what is entered of the key of an image, as `read` does."""
        register, _ = self._read(register_key(bucket, key))
        return register

    def join(
        self, image: UploadedImage, indexed: IndexedFaces, *, indexed_after: float
    ) -> tuple[Register, bool]:
        """Enter the version with its faces.

        A key's first version costs one write; only when that finds a register is it read.

        Returns
        -------
        tuple of Register and bool
            What the register says now, and whether it is new. Then no removal of the key has been
            here yet, since each leaves one, and no other version: whoever comes later will find
            these faces.

        Raises
        ------
        Unavailable
            When faces of the key are leaving or have left since `indexed_after`, or when S3
            throttles or fails.
        """
        first = Register({}).joined_by(image, indexed, indexed_after=indexed_after)
        if self._write(register_key(image.bucket, image.key), first, None):
            return first, True
        joined = self._change(
            image,
            lambda register: register.joined_by(image, indexed, indexed_after=indexed_after),
        )
        return joined, False

    def finish_leaving(self, image: UploadedImage, collection: FaceCollection) -> int:
        """Let the faces leave that were leaving when somebody was stopped.

        Parameters
        ----------
        image
            Any version of the key.

        Returns
        -------
        int
            How many faces left.
        """
        return self.take_faces_out(image, collection, digests=())

    def take_faces_out(
        self, image: UploadedImage, collection: FaceCollection, *, digests: Iterable[str]
    ) -> int:
        """Take the faces of some of the key's versions out; the versions stay entered.

        Parameters
        ----------
        image
            Any version of the key.

        Returns
        -------
        int
            How many faces left.
        """
        marked = self._mark(image, lambda _: digests)
        left = collection.remove(marked.leaving_faces())
        self._settle(image, marked, forgotten=set())
        return left

    def forget(
        self,
        image: Subject,
        collection: FaceCollection,
        *,
        leaving: Callable[[Register], Iterable[str]],
        delete_records: Callable[[str, str], None] = lambda _day, _digest: None,
    ) -> int:
        """Take versions of the key out altogether: their faces, their records, their entries.

        Leaves a register even where there was none: a version that is being indexed just now sees
        by it that it has to look at the bucket again.

        Parameters
        ----------
        image
            Any version of the key, or what left.
        leaving
            Chooses the versions, by their digests, from what the register says now.
        delete_records
            Deletes the records of a version, given its day and digest.

        Returns
        -------
        int
            How many faces left.
        """
        marked = self._mark(image, leaving)
        left = collection.remove(marked.leaving_faces())
        gone = _leaving(marked)
        for digest, entry in gone.items():
            delete_records(entry.day, digest)
        self._settle(image, marked, forgotten=set(gone))
        return left

    def _mark(self, image: Subject, leaving: Callable[[Register], Iterable[str]]) -> Register:
        """Enter who leaves, before anything does: whoever is stopped is finished by the next."""
        return self._change(image, lambda register: register.with_leaving(set(leaving(register))))

    def _settle(self, image: Subject, marked: Register, *, forgotten: set[str]) -> None:
        """Enter that they have left."""
        if _leaving(marked):
            left_at = time.time()
            self._change(
                image,
                lambda register: register.without_leaving(forget=forgotten, left_at=left_at),
            )

    def _change(self, image: Subject, change: Callable[[Register], Register]) -> Register:
        key = register_key(image.bucket, image.key)
        for _ in range(_ATTEMPTS):
            register, etag = self._read(key)
            changed = change(register)
            if (changed == register and etag) or self._write(key, changed, etag):
                return changed
        raise Unavailable("the register of the key is being changed by others again and again")

    def _read(self, key: str) -> tuple[Register, str | None]:
        try:
            with availability():
                found = self._s3.get_object(Bucket=self._bucket, Key=key)
                return Register.from_record(json.loads(found["Body"].read())), found["ETag"]
        except ClientError as error:
            if error_code(error) in ABSENT:
                return Register({}), None
            raise

    def _write(self, key: str, register: Register, etag: str | None) -> bool:
        """Write it unless somebody else has since; `etag` None: unless there is one."""
        body = json.dumps(register.to_record(), separators=(",", ":")).encode()
        try:
            with availability():
                if etag:
                    self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfMatch=etag)
                else:
                    self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            code = error_code(error)
            # What was there when we looked may have been deleted since, as by facematch forget: S3
            # then answers as if it had been asked for the object.
            if code in OVERTAKEN or (etag and code in ABSENT):
                return False
            raise
        return True


def _leaving(register: Register) -> dict[str, Entry]:
    return {digest: entry for digest, entry in register.entries.items() if entry.leaving}
