"""JSONata in the emulator, at less cost: what a state machine asks is the same for each execution.

The emulator parses an expression anew each time it evaluates it, with a parser that it makes anew
for each execution; that was a quarter of its processor time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from facematch.local.emulator.private_names import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.stepfunctions",
        "remembers parsed expressions",
        {
            "_evaluate_jsonata": ("expression", "raw_input", "ctx", "result", "error_output"),
        },
    ),
    *functions(
        "jsonata.jsonata",
        "remembers parsed expressions",
        {
            "Jsonata.get_parser": (),
        },
    ),
    *functions(
        "jsonata.parser",
        "remembers parsed expressions",
        {
            "Parser.parse": ("self", "jsonata", "regex_engine"),
        },
    ),
)

#: A plain way into the state's input, result, error or context. AWS Step Functions Developer
#: Guide, Transforming data with JSONata: `$states`.
_PLAIN: Final = re.compile(r"\$states((?:\.[A-Za-z_]\w*)+)")
_LARGEST: Final = 1024


class Expressions:
    """Remembers parsed expressions, and follows plain paths without the engine.

    Parameters
    ----------
    stepfunctions, engine
        The emulator's module, and the class ``jsonata.Jsonata``;
        `PRIVATE_NAMES` lists what is used of it.
    """

    def __init__(self, stepfunctions: Any, engine: Any) -> None:  # noqa: ANN401 - modules
        self._stepfunctions = stepfunctions
        self._engine = engine
        self._get_parser: Callable[[], Any] = engine.get_parser
        self._evaluate: Callable[..., Any] = stepfunctions._evaluate_jsonata
        self._parsed: dict[str, Any] = {}
        self.dbg = False  # the engine asks its parser whether it is to print what it does

    def install(self) -> None:
        """Put ourselves in the engine's place."""
        self._engine.get_parser = staticmethod(lambda: self)
        self._stepfunctions._evaluate_jsonata = self.evaluate

    def parse(self, expression: str, *arguments: Any) -> Any:  # noqa: ANN401 - a syntax tree
        """The expression's syntax tree, which evaluation only reads."""
        tree = self._parsed.get(expression)
        if tree is None:
            tree = self._get_parser().parse(expression, *arguments)
            if tree.errors is None and len(self._parsed) < _LARGEST:
                self._parsed[expression] = tree
        return tree

    def evaluate(
        self,
        expression: str,
        raw_input: Any,  # noqa: ANN401 - JSON
        ctx: Mapping[str, Any] | None = None,
        result: Any = None,  # noqa: ANN401
        error_output: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The value of the expression, by the emulator itself unless it is a plain path."""
        plain = _PLAIN.fullmatch(expression)
        if plain:
            states = {
                "input": raw_input,
                "result": result,
                "errorOutput": error_output,
                "context": ctx or {},
            }
            found = followed(states, plain[1].split(".")[1:])
            # Null, and whether it is there at all, is the engine's business.
            if found is not None:
                return found
        return self._evaluate(expression, raw_input, ctx, result, error_output)


def followed(value: Any, path: list[str]) -> Any:  # noqa: ANN401 - JSON
    """What lies at the path through objects; None when something else is on the way."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
