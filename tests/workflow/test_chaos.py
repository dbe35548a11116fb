"""Faults, and everything accounted for: the short version of ``make chaos``."""

from __future__ import annotations

from facematch.local.faults import FaultPlan
from tests.chaos import photographs
from tests.chaos.__main__ import PLANS
from tests.chaos.account import differences
from tests.chaos.run import injected, local_cloud, run
from tests.workflow.conftest import WAIT_SCALE

SHORT = PLANS / "apart" / "short.toml"
IMAGES = 16
#: Longer than a face cannot be found, when it is scaled as all waits are.
SETTINGS = {"settle_seconds": 10}


def test_after_faults_of_every_kind_and_replays_all_is_as_in_a_clean_run() -> None:
    plan = FaultPlan.read(SHORT)
    pile = photographs.made(IMAGES, seed=plan.seed)

    # Each in a cloud of its own: what other tests leave behind would be counted.
    with local_cloud(None, settings=SETTINGS, wait_scale=WAIT_SCALE) as (_, deployment):
        clean = run(deployment, pile, replay=False).account
    with local_cloud(SHORT, settings=SETTINGS, wait_scale=WAIT_SCALE) as (cloud, deployment):
        found = run(deployment, pile, messages=plan.messages, seed=plan.seed)
        faults = injected(cloud)

    assert list(differences(clean, clean)) == []
    assert list(differences(clean, found.account)) == []
    assert len(clean.pairs) > IMAGES
    assert clean.told == clean.pairs.keys()
    assert faults.keys() == {f"{fault.what} {fault.at}" for fault in plan.faults}
    assert found.replayed > 0
