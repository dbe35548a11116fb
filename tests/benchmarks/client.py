"""The client of a run, in a process of its own: uploads folders as `facematch upload --wait` does.

Reads a folder's path from standard input and uploads it into the local cloud of FACEMATCH_HOME;
answers with a line of JSON when every photograph has its outcome. Ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from facematch.operations.upload import Uploader, wait_for_outcomes
from facematch.stack.deployment import on_this_machine


def main() -> None:
    """Serve until the input is closed."""
    deployment = on_this_machine()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        uploader = Uploader(deployment)
        plan = uploader.plan(Path(line.rstrip("\n")))
        started, used = time.time(), time.process_time()
        versions, errors = uploader.upload(plan.new, done=lambda _size: None)
        uploaded = time.time()
        outcomes = wait_for_outcomes(deployment, versions, finished=lambda _count: None)
        answer = {
            "started": started,
            "uploaded": uploaded,
            "cpu_seconds": time.process_time() - used,
            "not_uploaded": len(errors),
            "reported": len(outcomes.reported),
            "rejected": len(outcomes.rejected),
            "failed": len(outcomes.failed),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
