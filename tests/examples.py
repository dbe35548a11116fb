"""How many examples Hypothesis makes up: all of them in CI, a fifth by default."""

from __future__ import annotations

import os
from typing import Final

IN_CI: Final = os.environ.get("CI", "").lower() == "true"
_FEWEST: Final = 10


def examples(in_ci: int) -> int:
    """Return the number of examples for a test that has `in_ci` of them in CI."""
    return in_ci if IN_CI else max(_FEWEST, in_ci // 5)
