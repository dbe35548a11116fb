"""An error that is caught is the one that was meant; every other one is heard of."""

from __future__ import annotations

import errno
import fcntl
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facematch.errors import Unusable
from facematch.evidence.folders import EvidenceFolders
from facematch.local import deploy
from facematch.operations.backfill import Backfiller
from tests.unit.cloud import OUTPUT, deployment_of
from workflow import synthesis as toolkit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cloud import Cloud


def refusal(code: str, status: int, message: str = "no") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "AnOperation")


class Refusing:
    """A client that refuses everything in the same way."""

    exceptions: Any

    def __init__(self, error: ClientError, exceptions: Any = None) -> None:
        self._error, self.exceptions = error, exceptions

    def __getattr__(self, name: str) -> Any:
        def refuse(**_: Any) -> None:
            raise self._error

        return refuse


def test_a_manifest_that_must_not_be_read_is_not_said_to_be_no_manifest(cloud: Cloud) -> None:
    url = f"s3://{OUTPUT}/inventory/manifest.json"
    with pytest.raises(Unusable, match="cannot be read as an inventory"):
        Backfiller(deployment_of(cloud)).start(inventory=url)
    denied = Refusing(refusal("AccessDenied", 403), cloud.s3.exceptions)
    with pytest.raises(ClientError, match="AccessDenied"):
        Backfiller(deployment_of(cloud, make_client=lambda _: denied)).start(inventory=url)


def test_a_template_that_cannot_be_kept_is_an_error_unless_another_process_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolkit, "_ASSEMBLIES", tmp_path)
    monkeypatch.setattr(toolkit, "_fingerprint", lambda _: "digest")

    def synthesise(outdir: Path, _overrides: Any) -> Path:
        outdir.mkdir()
        (outdir / "manifest.json").touch()
        return outdir

    def full(_: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(toolkit, "synthesise", synthesise)
    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "rename", full)
        with pytest.raises(OSError, match="No space left"):
            toolkit.synthesised()

    def after_another(outdir: Path, overrides: Any) -> Path:
        (tmp_path / "digest").mkdir()
        (tmp_path / "digest" / "manifest.json").touch()
        return synthesise(outdir, overrides)

    monkeypatch.setattr(toolkit, "synthesise", after_another)
    assert toolkit.synthesised() == tmp_path / "digest"
    shutil.rmtree(tmp_path / "digest")


def test_a_file_system_without_locks_is_not_another_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OSError, match="No locks available"):
        EvidenceFolders(tmp_path / "state").delete(tmp_path / "page")


def test_a_stack_that_cannot_be_asked_for_is_not_taken_for_absent() -> None:
    absent = refusal("ValidationError", 400, "Stack [FaceMatching] does not exist")
    assert deploy._describe(Refusing(absent), "FaceMatching") is None
    with pytest.raises(ClientError):
        deploy._describe(Refusing(refusal("InternalFailure", 500)), "FaceMatching")
