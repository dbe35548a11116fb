"""The account finds what it is there to find."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from tests.chaos.account import Account, Pair, differences

if TYPE_CHECKING:
    from collections.abc import Callable

ANN, BEA, CID = ("images/Ann_1.jpg", 0), ("images/Bea_1.jpg", 0), ("images/Cid_1.jpg", 0)


@pytest.fixture
def clean() -> Account:
    return Account(
        outcomes={ANN: ["REPORTED"], BEA: ["REPORTED"], CID: ["REJECTED TOO_SMALL"]},
        faces={"face-a": ANN[0], "face-b": BEA[0]},
        pairs={"a-b": Pair((ANN[0], BEA[0]), 99.5)},
        told={"a-b"},
        search_threshold=80.0,
        digests={ANN: "digest-a", BEA: "digest-b", CID: "digest-c"},
    )


def test_a_run_that_ended_as_the_clean_one_differs_in_nothing(clean: Account) -> None:
    again = copy.deepcopy(clean)
    again.repeated = 3  # a notification may come twice

    assert not differences(clean, again)


def _no_outcome(found: Account) -> None:
    found.outcomes[ANN] = []


def _another_outcome(found: Account) -> None:
    found.outcomes[ANN] = ["FAILED Unavailable"]


def _two_outcomes(found: Account) -> None:
    found.outcomes[ANN].append("FAILED Unavailable")


def _no_face(found: Account) -> None:
    del found.faces["face-a"]


def _another_face(found: Account) -> None:
    found.faces["face-a2"] = ANN[0]


def _no_pair(found: Account) -> None:
    found.pairs.clear()


def _another_pair(found: Account) -> None:
    found.pairs["a-c"] = Pair((ANN[0], CID[0]), 99.0)


def _another_similarity(found: Account) -> None:
    found.pairs["a-b"] = Pair((ANN[0], BEA[0]), 99.4)


def _nobody_told(found: Account) -> None:
    found.told.clear()


def _told_of_nothing(found: Account) -> None:
    found.told.add("a-c")


def _undelivered(found: Account) -> None:
    found.undelivered.add(ANN)


def _message_left(found: Account) -> None:
    found.messages_left = 1


def test_an_execution_that_stays_failed_is_lost_though_its_image_has_a_report() -> None:
    found = Account(failed_executions=1)
    assert list(differences(Account(), found)) == [
        "lost: 1 executions failed and were not replayed"
    ]


def _dead_letter(found: Account) -> None:
    found.dead_letters = 1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_no_outcome, "lost: the outcome of digest-a"),
        (_another_outcome, "lost: the outcome of digest-a: REPORTED, and not FAILED Unavailable"),
        (_two_outcomes, "duplicated: the outcome of digest-a: REPORTED, FAILED Unavailable"),
        (_no_face, "lost: the face face-a of digest-a"),
        (_another_face, "duplicated: a face of digest-a"),
        (_no_pair, "lost: the pair digest-a and digest-b"),
        (_another_pair, "invented: the pair digest-a and digest-c"),
        (
            _another_similarity,
            "invented: another similarity of digest-a and digest-b: 99.4000, and not 99.5000",
        ),
        (_nobody_told, "lost: the notification of digest-a and digest-b"),
        (_told_of_nothing, "invented: a notification of a pair that no match row has"),
        (_undelivered, "lost: the delivery of digest-a"),
        (_message_left, "lost: 1 messages are left in the queue"),
        (_dead_letter, "lost: 1 messages are dead letters"),
    ],
)
def test_a_difference_is_named_by_digests(
    clean: Account, change: Callable[[Account], None], line: str
) -> None:
    found = copy.deepcopy(clean)
    change(found)

    assert line in list(differences(clean, found))


def test_a_pair_at_the_very_threshold_may_be_there_or_not(clean: Account) -> None:
    clean.pairs["a-c"] = Pair((ANN[0], CID[0]), 80.0004)
    found = copy.deepcopy(clean)
    del found.pairs["a-c"]

    assert not differences(clean, found)
    assert not differences(found, clean)
