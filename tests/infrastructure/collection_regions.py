"""Write workflow/collection_regions.json: ``python -m tests.infrastructure.collection_regions``."""

from __future__ import annotations

import json
import re
from importlib.resources import files

from workflow.collection_regions import COLLECTION, REGIONS_FILE


def by_cfn_lint() -> dict[str, bool]:
    """Whether a region has face collections, for each region that cfn-lint knows."""
    schemas = (files("cfnlint") / "data" / "schemas" / "providers").iterdir()
    regions = {each.name.removesuffix(".json"): each.read_text() for each in schemas}
    return {
        region: COLLECTION in json.loads(resources)
        for region, resources in sorted(regions.items())
        if re.fullmatch(r"[a-z]+(-[a-z]+)+-[0-9]+", region)
    }


if __name__ == "__main__":
    REGIONS_FILE.write_text(json.dumps(by_cfn_lint(), indent=2) + "\n")
