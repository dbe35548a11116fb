"""The measurements' own arithmetic, and the document that shows them."""

from __future__ import annotations

import io
import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks import photographs, tables
from tests.benchmarks.alternatives import our_pairs, rates, their_pairs
from tests.benchmarks.conditions import percentiles, write
from tests.benchmarks.processes import UNSEEN, Account, Process, part_of
from tests.benchmarks.throughput import state_seconds, tenths

if TYPE_CHECKING:
    from pathlib import Path

MARKERS = "".join(f"<!-- table {name} -->\nold\n<!-- end -->\n" for name in tables._TABLES)


def process(pid: int, cpu: float, *, children_cpu: float = 0, **others: float) -> Process:
    part = "emulator" if pid == 1 else "function Index"
    return Process(pid, 10, 0 if pid == 1 else 1, part, cpu, children_cpu, others.get("memory_mb"))


def test_cpu_time_is_counted_from_the_first_look() -> None:
    account = Account()
    account.look([process(1, 5.0), process(2, 1.0)])
    account.look([process(1, 7.0), process(2, 4.0), process(3, 0.5)])

    assert account.cpu_seconds() == {"emulator": 2.0, "function Index": 3.5}


def test_a_process_that_ended_keeps_what_it_used_and_its_rest_is_told_by_its_parent() -> None:
    account = Account()
    account.look([process(1, 0.0), process(2, 1.0)])
    account.look([process(1, 0.0), process(2, 3.0)])
    # Process 2 used 0.5 s more before it ended, another one came and went for 0.25 s, and the
    # third, which has come in their place, still lives.
    account.look([process(1, 0.0, children_cpu=3.75), process(3, 8.0)])

    assert account.cpu_seconds() == {"emulator": 0.0, "function Index": 10.0, UNSEEN: 0.75}


def test_a_process_id_that_comes_again_is_another_process() -> None:
    account = Account()
    account.look([process(2, 9.0)])
    account.look([Process(2, 99, 1, "function Search", 1.0, 0.0)])

    assert account.cpu_seconds() == {"function Index": 0.0, "function Search": 1.0}


def test_the_peak_of_all_is_that_of_one_moment() -> None:
    account = Account()
    account.look([process(1, 0, memory_mb=100), process(2, 0, memory_mb=10)])
    account.look([process(1, 0, memory_mb=50), process(2, 0, memory_mb=20)])
    account.look([process(1, 0)])  # memory was not read

    assert account.peak_mb == {"emulator": 100, "function Index": 20}
    assert account.peak_total_mb == 110


FORK = "python -c from multiprocessing.forkserver import main; main"


@pytest.mark.parametrize(
    ("command", "name", "part"),
    [
        ("python -m facematch.local.emulator.process --port 1", "python", "emulator"),
        (f"{FORK} ['facematch.local.emulator.process']", "python", "emulator"),
        (f"{FORK} ['facematch.local.emulator.process']", "IntakeStarter", "function Starter"),
        ("python -m facematch.local.rekognition.server", "python", "Rekognition endpoint"),
        (f"{FORK} ['facematch.local.rekognition.workers']", "python", "face workers"),
        ("python -c from facematch.local import serve", "python", "holder of the local cloud"),
        ("sleep 1", "sleep", "other"),
    ],
)
def test_a_part_is_known_by_its_command_line_and_name(command: str, name: str, part: str) -> None:
    assert part_of(command, name) == part


def test_percentiles_are_measured_values() -> None:
    assert percentiles(range(100)) == {"p50": 50, "p95": 95}
    assert percentiles([7]) == {"p50": 7, "p95": 7}
    assert percentiles([]) == {}


def test_the_rate_of_each_tenth_is_over_its_own_time() -> None:
    stopped = [100 + number * 0.1 for number in range(1, 51)] + [
        105 + number * 0.2 for number in range(1, 51)
    ]
    random.Random(1).shuffle(stopped)

    assert tenths(stopped, started=100) == pytest.approx([10] * 5 + [5] * 5)


def test_each_state_of_a_history_has_its_time() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)

    def event(kind: str, state: str, seconds: float) -> dict[str, object]:
        field = "stateEnteredEventDetails" if "Entered" in kind else "stateExitedEventDetails"
        return {"type": kind, field: {"name": state}, "timestamp": at + timedelta(seconds=seconds)}

    events = [
        event("TaskStateEntered", "IndexFaces", 0),
        {"type": "TaskScheduled", "timestamp": at},
        event("TaskStateExited", "IndexFaces", 2.5),
        event("WaitStateEntered", "Settle", 2.5),
        event("WaitStateExited", "Settle", 3.5),
        event("TaskStateEntered", "SearchFaces", 3.5),  # it fails there: never left
    ]

    assert list(state_seconds(events)) == [("IndexFaces", 2.5), ("Settle", 1.0)]


def test_match_rates_are_of_all_pairs() -> None:
    people = ["Ann", "Ann", "Bea", "Bea"]

    assert rates({(0, 1), (0, 2)}, people) == {
        "same_pairs": 2,
        "different_pairs": 4,
        "true_match_rate": 0.5,
        "false_match_rate": 0.25,
    }


def test_pairs_are_read_alike_from_results_and_from_vectors() -> None:
    lines = [
        json.dumps({"photograph": 0, "matches": []}),
        json.dumps({"photograph": 2, "matches": [[0, 0.1], [1, 0.2]]}),
    ]
    vectors = np.array([[1, 0], [np.nan, np.nan], [1, 0], [0, 1]], np.float32)

    assert their_pairs(lines) == {(0, 2), (1, 2)}
    assert our_pairs(vectors, 80) == {(0, 2)}  # a photograph without a face matches nothing


@pytest.fixture
def found() -> list[photographs.Source]:
    """Ten people, two photographs each."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((100, 120)).save(buffer, "JPEG")
    names = [f"Person {letter}" for letter in "ABCDEFGHIJ"]
    return [
        photographs.Source(name, name, ".jpg", buffer.getvalue()) for name in names for _ in "12"
    ]


def test_a_pile_is_the_same_for_the_same_seed(
    found: list[photographs.Source], tmp_path: Path
) -> None:
    piles = [
        photographs.laid(found, 45, tmp_path / name, seed=seed, described="")
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    ]
    bodies = [
        {path.relative_to(pile.folder): path.read_bytes() for path in pile.people} for pile in piles
    ]

    assert bodies[0] == bodies[1] != bodies[2]


def test_a_pile_has_unique_names_and_one_person_in_ten_has_two(
    found: list[photographs.Source], tmp_path: Path
) -> None:
    pile = photographs.laid(found, 45, tmp_path / "pile", seed=1, described="")

    assert len({path.name for path in pile.people}) == 45
    assert list(pile.people) == sorted(pile.folder.rglob("*.jpg")), "not in the upload's order"
    (double,) = photographs.double_lives(set(pile.people.values()), 1)
    assert {pile.names[path] for path, person in pile.people.items() if person == double} == {
        double,
        f"{double}_Alias",
    }
    assert pile.matching_share == list(pile.people.values()).count(double) / 45
    originals = sum(path.read_bytes() == found[0].body for path in pile.people)
    assert originals == len(found) == pile.sources


def test_aliases_are_one_person_also_over_a_third_name(tmp_path: Path) -> None:
    aliases = tmp_path / "aliases.csv"
    aliases.write_text("name_a,name_b,note\nA,B,\nC,D,\nB,C,by way of both\n")

    assert len(set(photographs.same_people(aliases).values())) == 1


def throughput_run(images: int, rate: float) -> dict[str, object]:
    return {
        "images": images,
        "valid": True,
        "images_per_second": rate,
        "matched": 30,
        "engine": {"images_per_second": 80.0},
        "share_of_engine": rate / 80,
        "people": 140,
        "photographs": "made",
        "cpu_ms_per_image": {"emulator": 8.0, "face workers": 20.0},
        "cpu_ms_per_image_total": 28.0,
        "peak_mb": {"emulator": 300.0},
        "peak_mb_total": 900.0,
        "queue_seconds": {"p50": 1.0, "p95": 2.0},
        "execution_seconds": {"p50": 3, "p95": 4},
        "state_seconds": {"IndexFaces": {"p50": 0.5, "p95": 0.75}},
        "images_per_second_by_tenth": [rate] * 10,
    }


CONDITIONS = {
    "date": "2026-01-02",
    "cores": 2,
    "processor": "P",
    "memory_gb": 8,
    "system": "Linux",
    "python": "3.11",
    "packages": {},
    "load_before": 0.1,
    "command": "python -m it",
}


def test_the_tables_show_medians_with_their_spread_and_which_targets_are_reached(
    tmp_path: Path,
) -> None:
    runs = [throughput_run(300, 50), throughput_run(300, 48), throughput_run(300, 52)]
    runs += [throughput_run(2000, 40), throughput_run(5000, 44)]
    invalid = {"images": 300, "valid": False, "problems": ["1 failed"]}
    write({"conditions": CONDITIONS, "runs": [*runs, invalid]}, tmp_path / "throughput.json")

    made = tables.tables(tmp_path)

    assert "| 300 | 3 | 50.0 (48.0 to 52.0) | 80.0 (80.0 to 80.0) | 62 %" in made["throughput"]
    assert "Runs that do not count: 1." in made["throughput"]
    assert "| emulator | 8.0 | 8.0 | 8.0 |" in made["parts"]
    assert "| IndexFaces | 0.500 | 0.750 |" in made["steps"]
    assert "| at least 90 % | 88 % | **no** |" in made["targets"]
    assert "| 1,200 MB | 900 MB | yes |" in made["targets"]
    assert "| at least 2 times | - | - |" in made["targets"]
    assert made["search"] == "Not measured yet."


def test_the_target_is_against_the_fastest_of_the_others(tmp_path: Path) -> None:
    def run(way: str, rate: float) -> dict[str, Any]:
        ours = {"images_per_second": 30.0, "cpu_ms_per_image": 50.0, "peak_mb": 900.0}
        return {**ours, "way": way, "images_per_second": rate, "ours": ours, "ratio": 30.0 / rate}

    measured = {
        "conditions": CONDITIONS,
        "images": 600,
        "photographs": "made",
        "people": 140,
        "runs": [run("one process", 10.0), run("all cores", 16.0), run("all cores", 20.0)],
        "accuracy": [
            {
                "way": "one process",
                "threshold": 0.6,
                "faceless": 0,
                "same_pairs": 1,
                "different_pairs": 1,
                "true_match_rate": 1.0,
                "false_match_rate": 0.0,
            }
        ],
    }
    write(measured, tmp_path / "alternatives.json")

    made = tables.tables(tmp_path)

    assert "| at least 2 times | 1.69 times | **no** |" in made["targets"]
    assert "| all cores | 18.0 (16.0 to 20.0) |" in made["alternatives"]


def test_tables_replace_what_stands_between_their_markers_only() -> None:
    document = tables.written(f"before\n{MARKERS}after\n", dict.fromkeys(tables._TABLES, r"new \1"))

    assert document == f"before\n{MARKERS}after\n".replace("old", r"new \1")
    with pytest.raises(SystemExit, match="0 places for the table 'search'"):
        tables.written("", {"search": ""})


def test_the_document_shows_what_was_measured() -> None:
    document = tables.DOCUMENT.read_text()

    assert document == tables.written(document, tables.tables(tables.MEASURED)), (
        "write the tables anew: python -m tests.benchmarks.tables"
    )
