"""The evidence page: one HTML file that needs nothing but the pictures beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import vl_convert

from facematch.files.whole import write_whole
from workflow.project import STATE_ROOT, private_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER: Final = Path(__file__).parent
#: In the order in which they build on each other; together they are one script.
_SCRIPTS: Final = ("text", "model", "decisions", "charts", "pairs", "details", "main")
_NOTICE: Final = (
    "/* Vega, Vega-Lite and Vega-Embed: BSD-3-Clause, University of Washington Interactive Data "
    "Lab and contributors; bundled with what they use by vl-convert. */\n"
)
#: What JSON may hold and a script element must not: the end of the element, the start of a comment.
_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def render(data: Mapping[str, Any]) -> str:
    """The page for this data, as the text of its ``index.html``.

    The style, the scripts, the charting library and the data stand in the text. A
    Content-Security-Policy names exactly these scripts and this style by their hashes, so that
    nothing else runs, and nothing is loaded but pictures.

    Raises
    ------
    ValueError
        For a number that JSON does not have (NaN, infinity).
    """
    style = _read("page.css")
    script = _script()
    charts = chart_library()
    parts = {
        "policy": _policy(scripts=(charts, script), style=style),
        "style": style,
        "data": _json(data),
        "charts": charts,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda token: parts[token[1]], _read("page.html"))


@cache
def chart_library(kept_in: Path = STATE_ROOT) -> str:
    """Return Vega-Embed with Vega and Vega-Lite from the package vl-convert-python (BSD-3-Clause).

    Bundling takes longer than writing the rest of a small page, so the bundle of each version of
    the package is kept in a file.

    Parameters
    ----------
    kept_in
        The folder of that file, which only its owner can read.
    """
    file = kept_in / f"charts-{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        if (kept := file.read_text(encoding="utf-8")).startswith(_NOTICE):
            return kept
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Inside a script element these two would begin something else; both only stand in strings.
    library = _NOTICE + bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    with suppress(OSError):  # the page needs the library, not the file
        write_whole(
            private_folder(kept_in) / file.name,
            library,
            temporary=file.with_suffix(f".{os.getpid()}.new"),
        )
    return library


def _script() -> str:
    """Our scripts as one, which leaves nothing behind in the global scope."""
    texts = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{texts}\n}})();'


def _policy(*, scripts: tuple[str, ...], style: str) -> str:
    """The Content-Security-Policy; pictures may come from beside the page only."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(_hash(text) for text in scripts)}",
            f"style-src {_hash(style)}",
            "img-src 'self' file:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(data: Mapping[str, Any]) -> str:
    """ASCII only: whatever stands in a key, half a surrogate pair too, it can be written."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.translate(_ESCAPES)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
