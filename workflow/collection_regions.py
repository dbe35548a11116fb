"""Regions in which CloudFormation makes face collections.

``collection_regions.json`` holds each region that cfn-lint knows, and whether it has the resource.
``python -m tests.infrastructure.collection_regions`` writes it from cfn-lint's schemas, and a test
compares both.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

COLLECTION: Final = "AWS::Rekognition::Collection"
REGIONS_FILE: Final = Path(__file__).with_suffix(".json")


def lack_of_collections(region: str) -> str | None:
    """Return why the stack cannot be deployed to a region, and which regions can take it instead.

    None if the region has face collections, and if it is unknown: it may be newer than the list.
    """
    regions = _regions()
    if regions.get(region, True):
        return None
    others = [r for r, has in regions.items() if has and _partition(r) == _partition(region)]
    nearby = [other for other in others if _area(other) == _area(region)]
    remedy = (
        f"Deploy to one of these regions: {', '.join(nearby or others)}."
        if others
        else "No region of its partition has one: deploy with an account of another partition."
    )
    return f"The region {region} has no {COLLECTION}, which the stack needs. {remedy}"


@cache
def _regions() -> dict[str, bool]:
    found: dict[str, bool] = json.loads(REGIONS_FILE.read_text())
    return found


def _area(region: str) -> str:
    """The region's name without its direction and number: ``eu``, ``us-gov``."""
    return region.rsplit("-", 2)[0]


def _partition(region: str) -> str:
    """The area where AWS runs it apart from all others; ``aws`` for all others together."""
    area = _area(region)
    return area if "-" in area or area == "cn" else "aws"
