"""The simulation of docs/pace.md works on what is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.aws.clients import ATTEMPTS
from functions.matching.settings import QUOTA_SHARE
from tests.benchmarks.pace import Deployed, Load, run
from tests.unit.benchmarks.test_pace import DEPLOYED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infrastructure.conftest import Template


def test_the_settings_are_those_of_the_template(template: Template) -> None:
    read = Deployed.from_template(template.document)

    assert read == DEPLOYED
    assert read.sdk_attempts == ATTEMPTS


def test_without_a_time_to_settle_there_is_none(synthesise: Callable[..., Template]) -> None:
    assert Deployed.from_template(synthesise(settle_seconds=0).document).settle == 0


def test_more_faces_mean_fewer_starts(synthesise: Callable[..., Template]) -> None:
    deployed = Deployed.from_template(synthesise(max_faces=2).document)

    assert run(Load(images=200, tps=50), deployed).aimed == QUOTA_SHARE / 2
