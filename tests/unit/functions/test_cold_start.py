"""What a cold start loads, and the document that says what it costs."""

from __future__ import annotations

import json
import sys

import pytest

from tests.benchmarks import cold_start
from tests.benchmarks.cold_start import HANDLERS, MOST, fresh, imported
from workflow.project import PROJECT

#: The SDK without boto3, what it stands on (certifi where there is one), the layer, and ourselves.
PACKAGES = {
    *("botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"),
    *("aws_lambda_powertools", "typing_extensions"),
    "functions",
}
#: Of Powertools: what its package loads by itself, and what reads the batches of the queue.
POWERTOOLS = {"exceptions", "logging", "metrics", "package_logger", "shared", "tracing", "warnings"}
UTILITIES = {"jmespath_utils"}
BATCHES = {"batch", "data_classes"}
#: Of the standard library: large, and of no use to a function that waits for one answer at a time.
LARGE = {"asyncio", "multiprocessing", "sqlite3", "unittest", "xml.dom"}

MEASURED = json.loads(cold_start.MEASURED.read_text())


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_loads_nothing_that_it_does_not_use(handler: str) -> None:
    loaded = fresh(imported(handler), PROJECT).modules

    def below(package: str) -> set[str]:
        return {
            name.removeprefix(f"{package}.").partition(".")[0]
            for name in loaded
            if name.startswith(f"{package}.")
        }

    packages = {name.partition(".")[0] for name in loaded - {"__main__"}}
    assert packages - sys.stdlib_module_names <= PACKAGES
    assert below("functions") & HANDLERS.keys() == {handler}
    utilities = below("aws_lambda_powertools.utilities")
    powertools = below("aws_lambda_powertools") - {"utilities"}
    if handler == "starter":  # Powertools' batches bring all its events, and asyncio
        assert utilities == UTILITIES | BATCHES
        assert powertools == POWERTOOLS | {"middleware_factory"}
        assert loaded & LARGE == {"asyncio"}
    else:
        assert utilities == UTILITIES
        assert powertools == POWERTOOLS
        assert not loaded & LARGE


@pytest.mark.parametrize("handler", HANDLERS)
def test_the_measured_cold_start_reaches_the_target(handler: str) -> None:
    ratio = MEASURED["cases"]["shipped"][handler]["ratio"]

    assert ratio["cpu_ms"]["median"] <= MOST
    assert ratio["peak_mib"]["median"] <= MOST


def test_the_document_shows_what_was_measured() -> None:
    written = cold_start.DOCUMENT.read_text()

    assert cold_start.document(written, MEASURED) == written
