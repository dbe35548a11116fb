"""Fetches one file from the package index that pip is set up for, and runs nothing of it.

``pip download`` runs the setup.py of a source distribution to learn what it depends on, and the
build backend that its pyproject.toml names, before anybody could look at the file. So pip's own
finder and session are used here: they know every index, mirror, proxy, certificate and credential
that pip is set up with. Their names are private to pip; they are the same from pip 22.3 to 26.3.
pip changes logging and signals, so it is imported in a process of its own only: `main`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Final

#: How many bytes are read of a file at most.
SIZE_LIMIT: Final = 16 << 20
_BLOCK: Final = 1 << 16


class NotFetched(Exception):  # noqa: N818 - reads as what happened
    """The file could not be fetched; the text says why."""


def fetch(project: str, file: str, sha256: str) -> bytes:
    """Fetch a file of a project, from whichever index has it with this content.

    Raises
    ------
    NotFetched
        When no index has it.
    """
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", __name__, project, file, sha256],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise NotFetched(said.rpartition("\n")[2] or f"exit code {done.returncode}")
    return done.stdout


def main(project: str, file: str, sha256: str) -> None:
    """Write the file to standard output; the last line of standard error says why there is none."""
    from pip._internal.commands import create_command  # noqa: PLC0415

    command = create_command("download")
    options, _ = command.parse_args(["--quiet", "--no-input", "--disable-pip-version-check"])
    refused = "no index that pip is set up for has it"
    with command.main_context():
        session = command.get_default_session(options)  # type: ignore[attr-defined]
        finder = command._build_package_finder(options, session)  # type: ignore[attr-defined]  # noqa: SLF001
        for candidate in finder.find_all_candidates(project):
            if candidate.link.filename != file:
                continue
            # Compressed on its way it would be another file.
            answer = session.get(
                candidate.link.url_without_fragment,
                headers={"Accept-Encoding": "identity"},
                stream=True,
            )
            answer.raise_for_status()
            content = b""
            for block in answer.iter_content(_BLOCK):
                content += block
                if len(content) > SIZE_LIMIT:
                    break
            found = hashlib.sha256(content).hexdigest()
            if found == sha256:
                sys.stdout.buffer.write(content)
                return
            refused = f"what an index has is another file (sha256 {found}, not {sha256})"
    sys.exit(refused)


if __name__ == "__main__":
    main(*sys.argv[1:])
