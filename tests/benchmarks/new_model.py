"""The steps of docs/new-model.md on two local clouds: ``python -m tests.benchmarks.new_model DIR``.

The first local cloud has the usual face engine, the second one another version of it
(tests/other_model.py), each in a temporary folder. Every step is the command of the page, with
``--local``; `aws s3 sync` is done by this module. In the end the pairs of both are compared.

    python -m tests.benchmarks.new_model DIR --photographs 1000
    python -m tests.benchmarks.new_model --compare old.csv new.csv

The second form compares what `facematch query pairs --csv` wrote on any two stacks.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facematch.local.cloud import LocalCloud
from facematch.local.state_folder import StateFolder
from facematch.stack.deployment import Deployment, on_local_cloud
from facematch.stack.faces import face_count
from tests.benchmarks import photographs
from tests.benchmarks.conditions import conditions, end_in_order, say, write
from tests.other_model import OtherModelCloud
from workflow.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMMAND: Final = ".venv/bin/python -m tests.benchmarks.new_model DIR --photographs 1000"
MEASURED: Final = PROJECT / "docs" / "measured" / "new_model.json"
DOCUMENT: Final = PROJECT / "docs" / "new-model.md"
#: Pairs that a person decides on the first stack, from the best to the worst.
DECISIONS: Final = 60
#: What a pair stands as when nobody has to look at it again.
_SETTLED: Final = frozenset({"DIFFERENT_PEOPLE", "SAME_PERSON"})
_PARALLEL: Final = 8
_STEP_SECONDS: Final = 3600

#: A pair's record keys, and what `facematch query pairs` says of it.
Pairs = dict[tuple[str, str], "Pair"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of records as one stack knows it."""

    similarity: float
    standing: str
    why: str


@dataclass
class Stack:
    """A local cloud that the command line works on.

    Attributes
    ----------
    steps
        Each command that was run, with the seconds that it took.
    """

    name: str
    home: Path
    deployment: Deployment
    steps: list[dict[str, Any]] = field(default_factory=list)

    def run(self, *command: str, shown: str | None = None) -> str:
        """Run a command of the page; returns what it prints.

        Raises
        ------
        SystemExit
            When it fails, with what it says.
        """
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "facematch", *command, "--local"],
            cwd=PROJECT,
            env={**os.environ, "FACEMATCH_HOME": str(self.home), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            timeout=_STEP_SECONDS,
            check=False,
        )
        if ended.returncode:
            raise SystemExit(
                f"{' '.join(command)} failed on the {self.name} stack; fix this, then repeat the "
                f"measurement:\n{ended.stdout}{ended.stderr}"
            )
        self.took(f"`facematch {shown or ' '.join(command)}`", time.monotonic() - began)
        return ended.stdout

    def took(self, step: str, seconds: float) -> None:
        """Note a step."""
        say(f"{self.name}: {step}: {seconds:.1f} s")
        self.steps.append({"stack": self.name, "step": step, "seconds": seconds})

    def facts(self) -> dict[str, Any]:
        """Return what tells the two stacks' faces apart."""
        deployment = self.deployment
        described = deployment.make_client("rekognition").describe_collection(
            CollectionId=deployment.collection_id
        )
        return {
            "face_model_version": described["FaceModelVersion"],
            "faces": face_count(deployment),
        }

    def face_ids(self) -> set[str]:
        """Return the ids of all faces in the collection."""
        pages = (
            self.deployment.make_client("rekognition")
            .get_paginator("list_faces")
            .paginate(CollectionId=self.deployment.collection_id)
        )
        return {face["FaceId"] for page in pages for face in page["Faces"]}


def read_pairs(text: str) -> Pairs:
    """Read the answer of `facematch query pairs --csv`."""
    return {
        (row["record_a"], row["record_b"]): Pair(
            float(row["similarity"]), row["standing"], row["why"]
        )
        for row in csv.DictReader(io.StringIO(text, newline=""))
    }


def compared(old: Pairs, new: Pairs) -> dict[str, Any]:
    """Compare the pairs of records of two stacks."""
    both = old.keys() & new.keys()
    differences = sorted(new[records].similarity - old[records].similarity for records in both)
    decided = {records for records in both if old[records].standing in _SETTLED}
    return {
        "of_both": len(both),
        "of_the_old_only": len(old.keys() - both),
        "of_the_new_only": len(new.keys() - both),
        "best_of_the_old_only": _best(old, old.keys() - both),
        "best_of_the_new_only": _best(new, new.keys() - both),
        "more_alike": sum(
            _as_seen(new[records].similarity) > _as_seen(old[records].similarity)
            for records in both
        ),
        "similarity_changed_by": {
            name: differences[min(len(differences) - 1, int(part * len(differences)))]
            for name, part in (("p5", 0.05), ("median", 0.5), ("p95", 0.95))
            if differences
        },
        "decided": len(decided),
        "decided_to_be_different": sum(
            old[records].standing == "DIFFERENT_PEOPLE" for records in decided
        ),
        "decided_and_silent": sum(new[records].standing in _SETTLED for records in decided),
        "reopened_by_a_higher_similarity": sum(
            new[records].why == "HIGHER_SIMILARITY" for records in decided
        ),
        "reopened_by_a_photograph": sum("NEW_PHOTOGRAPH" in new[r].why for r in decided),
    }


def _best(pairs: Pairs, records: Iterable[tuple[str, str]]) -> float | None:
    return max((pairs[each].similarity for each in records), default=None)


def _as_seen(similarity: float) -> int:
    return floor(similarity * 100 + 1e-9)


def measure(pile: photographs.Pile, folder: Path) -> dict[str, Any]:
    """Take every step of the page, and compare."""
    with ExitStack() as clouds:
        old, new = (
            _started(name, kind, folder / name, clouds)
            for name, kind in (("old", LocalCloud), ("new", OtherModelCloud))
        )
        old.run("upload", str(pile.folder), "--wait", shown="upload FOLDER --wait")
        decisions = folder / "decided.jsonl"
        decisions.write_text(_decided(old))
        old.run("decisions", "import", str(decisions), shown="decisions import FILE")

        exported = folder / "decisions.jsonl"
        old.run("decisions", "export", str(exported), shown="decisions export FILE")
        new.run("decisions", "import", str(exported), shown="decisions import FILE")
        new.took("`aws s3 sync`, done by the script", _copied(old.deployment, new.deployment))
        new.took("until every copy has an outcome", _awaited(new.deployment, len(pile.people)))
        audit = new.run("audit")
        backfill = new.run("backfill")
        old_pairs, new_pairs = (
            read_pairs(stack.run("query", "pairs", "--csv")) for stack in (old, new)
        )
        return {
            "photographs": pile.facts(),
            "old": {**old.facts(), "pairs": len(old_pairs)},
            "new": {**new.facts(), "pairs": len(new_pairs)},
            "face_ids_of_both": len(old.face_ids() & new.face_ids()),
            "decisions": len(exported.read_text().splitlines()),
            "compared": compared(old_pairs, new_pairs),
            "audit": " ".join(audit.split()),
            "backfill": " ".join(backfill.split()),
            "steps": old.steps + new.steps,
        }


def _started(name: str, kind: type[LocalCloud], home: Path, clouds: ExitStack) -> Stack:
    cloud = clouds.enter_context(kind(StateFolder(home)))
    running = cloud.running
    assert running
    return Stack(name, home, on_local_cloud(running, cloud.home))


def _decided(stack: Stack) -> str:
    """Decide some pairs, evenly from the best to the worst: the lines of a file of decisions."""
    pairs = json.loads(stack.run("matches", "--min", "80", "--json"))
    chosen = pairs[:: max(1, len(pairs) // DECISIONS)][:DECISIONS]
    lines = []
    for number, pair in enumerate(chosen):
        shown = json.loads(
            stack.run(
                *("query", "pair_photographs", "--json"),
                *("--param", f"record={pair['record_a']}"),
                *("--param", f"other_record={pair['record_b']}"),
                shown="query pair_photographs",
            )
        )
        lines.append(
            {
                **{name: pair[name] for name in ("record_a", "record_b", "name_a", "name_b")},
                # Decisions of both kinds, in turn, whoever the two records are.
                "decision": "SAME_PERSON" if number % 2 else "DIFFERENT_PEOPLE",
                "note": "",
                "decided_by": "the benchmark",
                "decided_at": "2026-01-20T09:00:00.000Z",
                "similarity": pair["similarity"],
                "keys": sorted({row[side] for row in shown for side in ("key", "other_key")}),
                "images_bucket": stack.deployment.images_bucket,
            }
        )
    return "".join(json.dumps(line) + "\n" for line in lines)


def _copied(old: Deployment, new: Deployment) -> float:
    """Copy every photograph into the other bucket; the seconds that it took."""
    began = time.monotonic()
    source, target = (deployment.make_client("s3") for deployment in (old, new))
    pages = source.get_paginator("list_objects_v2").paginate(
        Bucket=old.images_bucket, Prefix=old.image_prefix
    )

    def copy(key: str) -> None:
        body = source.get_object(Bucket=old.images_bucket, Key=key)["Body"].read()
        target.put_object(Bucket=new.images_bucket, Key=key, Body=body)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        keys = (item["Key"] for page in pages for item in page.get("Contents", []))
        list(pool.map(copy, keys))
    return time.monotonic() - began


def _awaited(deployment: Deployment, images: int) -> float:
    """Wait until all reports and failure records are there; the seconds that it took."""
    began, found = time.monotonic(), 0
    s3 = deployment.make_client("s3")
    while time.monotonic() - began < _STEP_SECONDS:
        found = sum(
            page["KeyCount"]
            for prefix in ("reports/", "failures/")
            for page in s3.get_paginator("list_objects_v2").paginate(
                Bucket=deployment.output_bucket, Prefix=prefix
            )
        )
        if found >= images:
            return time.monotonic() - began
        time.sleep(1)
    raise SystemExit(f"{found} of {images} copies have an outcome. Repeat the measurement.")


# --- The page ----------------------------------------------------------------------------------


def tables(measured: Mapping[str, Any]) -> dict[str, str]:
    """The tables of docs/new-model.md."""
    result = measured["compared"]
    changed = result["similarity_changed_by"]
    steps: dict[tuple[str, str], list[float]] = {}
    for step in measured["steps"]:
        steps.setdefault((step["stack"], step["step"]), []).append(step["seconds"])
    rows = [
        (
            "face model",
            measured["old"]["face_model_version"],
            measured["new"]["face_model_version"],
        ),
        ("faces", *(f"{measured[side]['faces']:,}" for side in ("old", "new"))),
        ("face ids that both have", f"{measured['face_ids_of_both']:,}", ""),
        ("pairs of records", *(f"{measured[side]['pairs']:,}" for side in ("old", "new"))),
        ("on both stacks", f"{result['of_both']:,}", f"{result['of_both']:,}"),
        (
            "on this stack only",
            f"{result['of_the_old_only']:,}",
            f"{result['of_the_new_only']:,}",
        ),
        (
            "best similarity on this stack only",
            *(
                "" if best is None else f"{best:.2f} %"
                for best in (result["best_of_the_old_only"], result["best_of_the_new_only"])
            ),
        ),
        ("pairs that the new model finds more alike", "", f"{result['more_alike']:,}"),
        (
            "change of similarity, percentage points: 5th percentile, median, 95th",
            "",
            ", ".join(f"{changed[name]:+.2f}" for name in ("p5", "median", "p95")),
        ),
        ("decisions", f"{measured['decisions']}", f"{measured['decisions']}"),
        ("of them *different people*", *2 * (f"{result['decided_to_be_different']}",)),
        (
            "settled, so that nobody has to look",
            *(f"{result[name]}" for name in ("decided", "decided_and_silent")),
        ),
        (
            "open again, by a higher similarity only",
            "",
            f"{result['reopened_by_a_higher_similarity']}",
        ),
        (
            "open again, by a photograph that the person had not seen",
            "",
            f"{result['reopened_by_a_photograph']}",
        ),
    ]
    return {
        "compared": _table(("", "old", "new"), rows),
        "steps": _table(
            ("stack", "step", "seconds"),
            [
                (
                    stack,
                    step + (f", {len(seconds)} times" if len(seconds) > 1 else ""),
                    f"{sum(seconds):.1f}",
                )
                for (stack, step), seconds in steps.items()
            ],
        ),
    }


def document(text: str, measured: Mapping[str, Any]) -> str:
    """The page with these figures in its tables."""
    for name, table in tables(measured).items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        assert found, f"the document has no place for the table {name}"
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Measure and write the page, or compare two files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", nargs="?", type=Path, metavar="DIR")
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    options = parser.parse_args()
    if options.compare:
        old, new = (read_pairs(file.read_text(encoding="utf-8")) for file in options.compare)
        write(compared(old, new), None)
        return
    end_in_order()
    where = conditions(COMMAND)
    with tempfile.TemporaryDirectory(prefix="new-model-") as temporary:
        below = Path(temporary)
        (below / "photographs").mkdir()
        found = photographs.sources(options.photos)
        pile = photographs.laid(
            *(found, options.photographs, below / "photographs"),
            seed=options.seed,
            described=photographs.described(options.photos),
        )
        measured = {"conditions": where, **measure(pile, below)}
    write(measured, MEASURED)
    DOCUMENT.write_text(document(DOCUMENT.read_text(), json.loads(MEASURED.read_text())))


if __name__ == "__main__":
    main()
