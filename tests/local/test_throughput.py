"""`make bench`: a run of the local cloud is measured to its end.

Slow, since the run starts a local cloud of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks import photographs, throughput
from tests.benchmarks.processes import PROC

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_counts_and_tells_what_each_part_took(tmp_path: Path) -> None:
    found = photographs.sources(None)
    warm_up = tmp_path / "warm"
    photographs.lay_warm_up(found, warm_up, seed=1)
    pile = photographs.laid(found, 6, tmp_path / "pile", seed=1, described="made")

    run = throughput.run(pile, warm_up, tmp_path)

    assert run["problems"] == []
    assert run["outcomes"] == {"reported": 6, "rejected": 0, "failed": 0}
    assert run["matched"] > 0
    assert {"IndexFaces", "SearchFaces", "WriteReport"} <= run["state_seconds"].keys()
    if PROC.exists():
        assert {"emulator", "face workers", "function Index"} <= run["cpu_ms_per_image"].keys()
