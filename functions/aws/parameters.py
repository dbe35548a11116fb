"""The notify threshold: an SSM parameter, so that it changes without a deployment."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.matching.errors import Unavailable
from functions.matching.settings import notify_threshold

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

#: How long a change of the parameter may take to be noticed, seconds.
CACHE_SECONDS: Final = 30


class NotifyThreshold:
    """Reads the threshold, cached briefly.

    Not by Powertools' SSMProvider, which loads boto3 and three other services' providers.
    """

    def __init__(self, ssm: SSMClient, parameter: str, *, search_threshold: float) -> None:
        self._ssm = ssm
        self._parameter = parameter
        self._search_threshold = search_threshold
        self._text = ""
        self._fresh_until = -math.inf

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
            raise Unavailable(f"{error}; set the SSM parameter {self._parameter}") from None

    def _read(self, *, fresh: bool) -> float:
        # The clock on the wall: between invocations Lambda freezes the environment, and it is not
        # said that another clock goes on.
        if fresh or time.time() >= self._fresh_until:
            try:
                found = self._ssm.get_parameter(Name=self._parameter)
            except (BotoCoreError, ClientError) as error:
                raise Unavailable(f"the SSM parameter {self._parameter} cannot be read") from error
            self._text = found["Parameter"]["Value"]
            self._fresh_until = time.time() + CACHE_SECONDS
        return notify_threshold(self._text, search_threshold=self._search_threshold)
