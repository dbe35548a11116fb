"""The notify threshold: an SSM parameter, so that it changes without a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from functions.matching.errors import Unavailable
from functions.matching.settings import notify_threshold

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

#: How long a change of the parameter may take to be noticed, seconds.
CACHE_SECONDS: Final = 30


class NotifyThreshold:
    """Reads the threshold, cached briefly."""

    def __init__(self, ssm: SSMClient, parameter: str, *, search_threshold: float) -> None:
        self._provider = SSMProvider(boto3_client=ssm)
        self._parameter = parameter
        self._search_threshold = search_threshold

    def value(self) -> float:
        """The threshold, %.

        Raises
        ------
        Unavailable
            When it cannot be read, or is impossible: an operator can set it right while the
            state machine retries.
        """
        try:
            return self._read(fresh=False)
        except ValueError:
            pass
        try:
            return self._read(fresh=True)
        except ValueError as error:
            raise Unavailable(f"{error}: set the SSM parameter {self._parameter}") from None

    def _read(self, *, fresh: bool) -> float:
        try:
            text = self._provider.get(
                self._parameter, max_age=CACHE_SECONDS, force_fetch=fresh, decrypt=False
            )
        except GetParameterError as error:
            raise Unavailable(f"the SSM parameter {self._parameter} cannot be read") from error
        return notify_threshold(str(text), search_threshold=self._search_threshold)
