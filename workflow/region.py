"""What depends on the region that the stack is deployed to, which synthesis does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk

from functions.matching.settings import REKOGNITION_QUOTA

if TYPE_CHECKING:
    from constructs import Construct

_FAST: Final = "FastRegion"


def by_region(scope: Construct, *, fast: int | str, elsewhere: int | str) -> float:
    """One number where Rekognition's default quota is high, another elsewhere.

    Parameters
    ----------
    fast, elsewhere
        As text for a number within a text: CloudFormation joins only texts.
    """
    if fast == elsewhere:
        return float(fast)
    stack = cdk.Stack.of(scope)
    condition = stack.node.try_find_child(_FAST) or cdk.CfnCondition(
        stack,
        _FAST,
        expression=cdk.Fn.condition_or(
            *(cdk.Fn.condition_equals(stack.region, region) for region in sorted(REKOGNITION_QUOTA))
        ),
    )
    assert isinstance(condition, cdk.CfnCondition)  # noqa: S101 - tells mypy what was found
    return cdk.Token.as_number(cdk.Fn.condition_if(condition.logical_id, fast, elsewhere))
