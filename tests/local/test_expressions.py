"""JSONata at less cost gives what the emulator's own evaluation gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jsonata.jsonata import Jsonata
from ministack.services import stepfunctions

from facematch.local.emulator.expressions import Expressions, followed

OWN = stepfunctions._evaluate_jsonata
INPUT = {
    "image": {"key": "images/Ann.jpg", "size": 7, "none": None},
    "faces": [{"id": "a"}, {"id": "b"}],
    "one": [{"id": "a"}],
    "empty": {},
    "nothing": [],
    "pairs": [[1, 2], [3]],
    "nulls": [None, 1],
    "no": False,
    "zero": 0,
}
CONTEXT = {"Execution": {"Id": "arn:of:it"}, "variables": {}}
RESULT = {"Payload": {"best": 99.5}}


@pytest.fixture
def expressions(monkeypatch: pytest.MonkeyPatch) -> Expressions:
    monkeypatch.setattr(Jsonata, "get_parser", Jsonata.get_parser)
    monkeypatch.setattr(stepfunctions, "_evaluate_jsonata", OWN)
    made = Expressions(stepfunctions, Jsonata)
    made.install()
    return made


def value_of(evaluate: Any, expression: str) -> Any:
    try:
        return evaluate(expression, INPUT, CONTEXT, RESULT, None)
    except stepfunctions._ExecutionError as error:
        return (error.error, error.cause)


EXPRESSIONS = (
    "$states.input",
    "$states.input.image",
    "$states.input.image.key",
    "$states.input.image.size",
    "$states.input.image.none",
    "$states.input.image.absent",
    "$states.input.image.key.deeper",
    "$states.input.faces",
    "$states.input.faces.id",
    "$states.input.one",
    "$states.input.one.id",
    "$states.input.empty",
    "$states.input.nothing",
    "$states.input.pairs",
    "$states.input.nulls",
    "$states.input.no",
    "$states.input.zero",
    "$states.result.Payload",
    "$states.errorOutput",
    "$states.context.Execution.Id",
    "$merge([$states.input, {'report': $states.result.Payload}])",
    "$exists($states.context.Execution.RedriveCount) ? 1 : 0",
    "$states.input.faces[id='b'].id & '!'",
    "$count($states.input.faces",
    "$unknown()",
)
#: Before anything of ours is in its place.
EXPECTED = {expression: value_of(OWN, expression) for expression in EXPRESSIONS}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_has_the_value_that_the_emulator_gives_it(
    expressions: Expressions, expression: str
) -> None:
    first = value_of(expressions.evaluate, expression)
    again = value_of(expressions.evaluate, expression)

    assert first == again == EXPECTED[expression]


def test_executions_at_the_same_time_do_not_meet_in_a_shared_tree(
    expressions: Expressions,
) -> None:
    def evaluated(number: int) -> Any:
        state = {"faces": [{"id": str(number), "n": n} for n in range(20)]}
        return expressions.evaluate(
            "$map($states.input.faces, function($f) {$f.id & '-' & $string($f.n)})", state
        )

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(evaluated, range(200)))

    assert found == [[f"{number}-{n}" for n in range(20)] for number in range(200)]


def test_a_path_is_followed_through_objects_only() -> None:
    assert followed({"a": {"b": 1}}, ["a", "b"]) == 1
    assert followed({"a": [{"b": 1}]}, ["a", "b"]) is None
    assert followed({"a": 1}, ["a", "b"]) is None
