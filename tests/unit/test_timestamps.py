"""What AWS says of times, read as botocore reads it."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.utils import parse_timestamp

from facematch.timestamps import parse_quickly


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-29T11:12:13.000Z",
        "2026-11-29T11:12:13Z",
        "2026-11-29T11:12:13+01:00",
        "Sun, 29 Nov 2026 11:12:13 GMT",
        1764414733.25,
        "1764414733",
    ],
)
def test_a_time_is_read_as_botocore_reads_it(written: Any) -> None:
    session = botocore.session.Session()
    factory = session.get_component("response_parser_factory")
    parse_quickly(session, parse_timestamp)

    parser = factory.create_parser("rest-xml")

    assert parser._timestamp_parser(written) == parse_timestamp(written)


def test_what_a_listing_says_is_not_left_to_the_slow_parser() -> None:
    session = botocore.session.Session()

    def slow(value: object) -> object:
        raise AssertionError(value)

    parse_quickly(session, slow)  # type: ignore[arg-type]

    parser = session.get_component("response_parser_factory").create_parser("rest-xml")
    assert parser._timestamp_parser("2026-11-29T11:12:13.000Z").year == 2026
