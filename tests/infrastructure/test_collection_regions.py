"""Regions without face collections: refused by name before anything is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.infrastructure.collection_regions import by_cfn_lint
from workflow.collection_regions import REGIONS_FILE, lack_of_collections
from workflow.project import PROJECT
from workflow.synthesis import synthesise

if TYPE_CHECKING:
    from pathlib import Path


def test_the_list_is_that_of_cfn_lint() -> None:
    assert json.loads(REGIONS_FILE.read_text()) == by_cfn_lint(), (
        "run: python -m tests.infrastructure.collection_regions"
    )


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1", "xx-new-9", ""])
def test_a_region_with_collections_and_one_that_is_too_new_are_not_refused(region: str) -> None:
    assert lack_of_collections(region) is None


@pytest.mark.parametrize(
    ("region", "named", "left_out"),
    [
        ("eu-north-1", "eu-central-1", "us-east-1"),
        ("eu-west-3", "eu-west-1", "eusc-de-east-1"),
        ("ap-east-1", "ap-southeast-1", "eu-central-1"),
        ("ca-west-1", "ca-central-1", "us-east-1"),
        ("us-gov-east-1", "us-gov-west-1", "us-east-1"),
        ("me-central-1", "eu-central-1", "us-gov-west-1"),
        ("af-south-1", "eu-central-1", "us-iso-east-1"),
    ],
)
def test_a_region_without_collections_is_refused_with_those_nearby(
    region: str, named: str, left_out: str
) -> None:
    sentence = lack_of_collections(region) or ""

    assert sentence.startswith(f"The region {region} has no AWS::Rekognition::Collection")
    assert named in sentence
    assert left_out not in sentence


def test_where_no_region_of_the_partition_has_collections_none_is_named() -> None:
    assert (lack_of_collections("cn-north-1") or "").endswith("an account of another partition.")


def test_the_cdk_is_stopped_when_it_would_deploy_to_such_a_region(tmp_path: Path) -> None:
    """Its command line tells the app in CDK_DEFAULT_REGION which region it has found."""
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=PROJECT,
        env={**os.environ, "CDK_OUTDIR": str(tmp_path), "CDK_DEFAULT_REGION": "eu-north-1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == f"{lack_of_collections('eu-north-1')}\n"
    assert not list(tmp_path.iterdir())


def test_a_template_for_this_machine_or_for_any_region_is_made_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDK_DEFAULT_REGION", "eu-north-1")

    assert (synthesise(tmp_path / "made") / "FaceMatching.template.json").exists()
