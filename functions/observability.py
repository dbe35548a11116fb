"""Logger and metrics that every function shares.

A person's name stands in no log line and no metric: there the version's digest stands, as the
correlation id of every line.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics

if TYPE_CHECKING:
    from functions.matching.images import Subject

# An invocation that has nothing to count, as for a test event, is nothing to warn of.
warnings.filterwarnings("ignore", "No application metrics to publish")

#: The service's name, the level and the metrics' namespace come from the environment.
logger = Logger(utc=True)
metrics = Metrics()


def working_on(image: Subject) -> None:
    """Put the image's digest on every further line of this invocation."""
    logger.set_correlation_id(image.digest)
