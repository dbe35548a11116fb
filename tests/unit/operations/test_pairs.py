"""Who matches whom: what `facematch matches` makes of the rows of the query `pairs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facematch.cli.matches import by_relation
from facematch.operations.matches import RecordPair, matches
from functions.matching.decisions import Decided, NewEvidence, Standing
from functions.matching.relations import Relation
from tests.pile import Photograph, Pile
from tests.unit.cloud import OUTPUT, deployment_of

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment
    from tests.unit.cloud import Cloud

ANN, BO, CY, LEE = (
    Photograph(f"images/{name}_1.jpg", minute)
    for minute, name in enumerate(("Ann Lee", "Bo", "Cy Lee", "LEE, Ann"))
)


@pytest.fixture
def deployment(cloud: Cloud) -> Deployment:
    return deployment_of(cloud)


def fill(cloud: Cloud, made: Pile) -> None:
    for key, body in made.objects.items():
        cloud.s3.put_object(Bucket=OUTPUT, Key=key, Body=body)


def test_a_pair_is_read_with_everything_that_its_row_says(
    cloud: Cloud, deployment: Deployment
) -> None:
    made = Pile()
    made.reported(ANN)
    made.reported(BO, (ANN, 99.5))
    made.decided("Ann Lee", "Bo", Decided.DIFFERENT_PEOPLE, similarity=99.0, on=[ANN, BO])
    fill(cloud, made)

    assert matches(deployment, minimum=80) == [
        RecordPair(
            record_a="name:Ann Lee",
            record_b="name:Bo",
            name_a="Ann Lee",
            name_b="Bo",
            similarity=99.5,
            image_pairs=1,
            key_a=ANN.key,
            key_b=BO.key,
            people_a=2,
            people_b=2,
            relation=Relation.UNRELATED,
            standing=Standing.REOPENED,
            why=(NewEvidence.HIGHER_SIMILARITY,),
            decided_by="Rita",
            decided_at="2026-11-22T12:00:00.000Z",
            note="",
        )
    ]


@pytest.mark.parametrize(("minimum", "shown"), [(99.5, True), (99.51, False)])
def test_a_pair_below_the_minimum_is_left_out(
    cloud: Cloud, deployment: Deployment, minimum: float, *, shown: bool
) -> None:
    made = Pile()
    made.reported(ANN)
    made.reported(BO, (ANN, 99.5))
    fill(cloud, made)

    assert bool(matches(deployment, minimum=minimum)) is shown


def test_pairs_are_ranked_by_relation_and_those_with_several_people_come_last(
    cloud: Cloud, deployment: Deployment
) -> None:
    alone = Photograph("images/Cy Lee_2.jpg", 5)
    made = Pile()
    made.reported(ANN, people=1)
    made.reported(BO, (ANN, 98.0), people=1)
    made.reported(CY, (ANN, 99.9), people=3)
    made.reported(LEE, (ANN, 99.99), people=1)
    made.reported(alone, (BO, 97.0), people=1)
    made.reported(Photograph("images/Dee_1.jpg", 6), (ANN, 99.0), people=2)
    fill(cloud, made)

    found = by_relation(matches(deployment, minimum=80))

    assert [(pair.relation, pair.name_b, pair.shows_several) for pair in found] == [
        (Relation.UNRELATED, "Bo", False),
        (Relation.UNRELATED, "Cy Lee", False),
        (Relation.UNRELATED, "Dee", True),
        (Relation.SHARED_PART, "Cy Lee", True),
        (Relation.VARIANT, "LEE, Ann", False),
    ]


def test_a_photograph_whose_people_nobody_counted_is_not_ranked_behind_the_others(
    cloud: Cloud, deployment: Deployment
) -> None:
    made = Pile()
    made.reported(ANN, people=None)
    made.reported(BO, (ANN, 98.0), people=1)
    fill(cloud, made)

    (pair,) = matches(deployment, minimum=80)

    assert (pair.people_a, pair.people_b, pair.shows_several) == (None, 1, False)


def test_without_reports_there_is_no_pair(deployment: Deployment) -> None:
    assert matches(deployment, minimum=80) == []
